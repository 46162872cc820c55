package conform

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// naive is KVM's dirty tracking written down once more, straight from the rules:
// maps and loops, no tables, no time. It makes the recordings of random
// scenarios, which the model must replay without a difference.
type naive struct {
	rng        *rand.Rand
	version    int
	ring       int // entries, 0 = off
	withBitmap bool
	manual     int
	slots      map[int]*naiveSlot
	vcpus      []*naiveVCPU
	stage2     map[int]bool    // by gfn: mapped; the value = writable
	blocks     map[int]bool    // by gfn>>9, the same
	touched    map[[2]int]bool // host pages, by memory and page: true = own frame, false = the zero page
	lists      int
	memories   int
	events     []string
	warned     bool
}

type naiveSlot struct {
	id, base, pages, flags int
	memory                 int // names the host memory behind it
	backing                string
	bitmap                 map[int]bool // nil = none
}

type naiveVCPU struct {
	script  []naiveAccess
	ops, at int
	pending bool     // an MMIO exit is to be completed
	entries [][3]int // flags, slot, offset
	dirty   int
	reset   int
	request bool
	fetch   int
}

// naiveAccess is one guest access: to a page, or a store that leaves the guest.
type naiveAccess struct {
	gfn   int
	write bool
	pair  bool   // the next page too
	exit  string // what is stored to 0x9000000, "" = memory
}

const (
	naiveCode = 0x10000
	naiveBase = 0x40000
)

func (n *naive) slot(gfn int) *naiveSlot {
	for _, s := range n.slots {
		if gfn >= s.base && gfn < s.base+s.pages {
			return s
		}
	}
	return nil
}

func (n *naive) useBitmap() bool { return n.ring == 0 || n.withBitmap }

func (n *naive) emit(format string, args ...any) {
	n.events = append(n.events, fmt.Sprintf(format, args...))
}

// access lets v's guest do one access; false = KVM_RUN returns because the ring
// is full, before the access has happened. A pair is one instruction: both its
// pages must be writable when it executes.
func (n *naive) access(v *naiveVCPU, a naiveAccess) bool {
	for {
		if !n.allowed(a) {
			n.fault(v, a)
		} else if next := (naiveAccess{gfn: a.gfn + 1, write: true}); a.pair && !n.allowed(next) {
			n.fault(v, next)
		} else {
			return true
		}
		if v.full() {
			return false
		}
	}
}

func (n *naive) allowed(a naiveAccess) bool {
	writable, mapped := n.stage2[a.gfn]
	if w, block := n.blocks[a.gfn>>9]; block {
		writable, mapped = w, true
	}
	return mapped && (!a.write || writable)
}

// full is the test before each guest entry.
func (v *naiveVCPU) full() bool {
	v.request = v.request && v.dirty-v.reset >= len(v.entries)-64
	return v.request
}

func (n *naive) fault(v *naiveVCPU, a naiveAccess) {
	s := n.slot(a.gfn)
	rel := a.gfn - s.base
	logging := s.bitmap != nil
	page := [2]int{s.memory, rel}
	own, touched := n.touched[page]
	if s.backing != "4k:fresh" {
		own = true
	}
	if !own && a.write { // allocate; a zero page that was mapped is unmapped first
		n.touched[page] = true
		own = true
		if touched {
			for _, o := range n.slots {
				if o.memory == s.memory {
					delete(n.stage2, o.base+rel)
				}
			}
		}
	} else if !own {
		n.touched[page] = false
	}
	writable := own && (a.write || !logging)
	first := a.gfn
	_, wasBlock := n.blocks[a.gfn>>9]
	if b := a.gfn &^ 511; !logging && s.backing == "thp:populated" && b >= s.base && b+512 <= s.base+s.pages {
		for g := b; g < b+512; g++ {
			delete(n.stage2, g)
		}
		n.blocks[b>>9] = writable
		first = b
		if n.version == 612 {
			first = a.gfn
		}
	} else {
		if wasBlock {
			delete(n.blocks, a.gfn>>9)
		}
		n.stage2[a.gfn] = writable
	}
	if writable {
		n.mark(v, s, first-s.base)
	}
}

func (n *naive) mark(v *naiveVCPU, s *naiveSlot, rel int) {
	switch {
	case s.flags&1 == 0:
	case n.ring != 0:
		if v.dirty-v.reset >= n.ring {
			n.warned = true
		}
		v.entries[v.dirty%n.ring] = [3]int{1, s.id, rel}
		v.dirty++
		if v.dirty-v.reset >= n.ring-64 {
			v.request = true
		}
	case s.bitmap != nil:
		s.bitmap[rel] = true
	}
}

// protect takes write permission from pages [from, to] of a slot.
func (n *naive) protect(s *naiveSlot, from, to int) {
	for g := s.base + from; g <= s.base+to; g++ {
		if _, ok := n.stage2[g]; ok {
			n.stage2[g] = false
		}
		if _, ok := n.blocks[g>>9]; ok {
			n.blocks[g>>9] = false
		}
	}
}

// reprotect is the end of a reset batch.
func (n *naive) reprotect(id, offset int, mask uint64) {
	s := n.slots[id]
	var in []int
	for i := range 64 {
		if mask>>i&1 != 0 {
			in = append(in, i)
		}
	}
	if s == nil || offset+in[len(in)-1] >= s.pages {
		return
	}
	n.protect(s, offset+in[0], offset+in[len(in)-1])
}

func (n *naive) resetRings() int {
	count := 0
	for _, v := range n.vcpus {
		var id, offset int
		var mask uint64
		for {
			e := &v.entries[v.reset%n.ring]
			if e[0]&2 == 0 {
				break
			}
			e[0] = 0
			v.reset++
			count++
			if d := e[2] - offset; mask != 0 && id == e[1] {
				if d >= 0 && d < 64 {
					mask |= 1 << d
					continue
				}
				if d < 0 && d > -64 && mask<<-d>>-d == mask {
					mask, offset = mask<<-d|1, e[2]
					continue
				}
			}
			if mask != 0 {
				n.reprotect(id, offset, mask)
			}
			id, offset, mask = e[1], e[2], 1
		}
		if mask != 0 {
			n.reprotect(id, offset, mask)
		}
	}
	return count
}

// clear takes bits of one word from a bitmap, and permission from their span.
func (n *naive) clear(s *naiveSlot, word int, wanted func(bit int) bool) (taken []int) {
	for rel := word * 64; rel < word*64+64; rel++ {
		if s.bitmap[rel] && wanted(rel) {
			delete(s.bitmap, rel)
			taken = append(taken, rel)
		}
	}
	if len(taken) > 0 {
		n.protect(s, taken[0], taken[len(taken)-1])
	}
	return taken
}

func (n *naive) get(s *naiveSlot) (set []int) {
	if n.manual != 0 {
		for rel := range s.pages {
			if s.bitmap[rel] {
				set = append(set, rel)
			}
		}
		return set
	}
	for w := range (s.pages + 63) / 64 {
		set = append(set, n.clear(s, w, func(int) bool { return true })...)
	}
	return set
}

// place creates, changes, moves or deletes (pages 0) a slot.
func (n *naive) place(id, base, pages, flags int, backing string) {
	s, kept := n.slots[id], true
	hva := "same"
	switch {
	case pages == 0 || s != nil && s.base != base:
		for g := s.base; g < s.base+s.pages; g++ {
			delete(n.stage2, g)
			delete(n.blocks, g>>9)
		}
		if pages == 0 {
			delete(n.slots, id)
		}
	case s == nil:
		n.memories++
		s = &naiveSlot{id: id, memory: n.memories, backing: backing}
		n.slots[id] = s
		hva, kept = "new:"+backing, false
	}
	identical := kept && s.base == base && s.flags == flags && pages != 0
	s.base, s.flags = base, flags
	if pages != 0 {
		s.pages = pages
	}
	n.emit(`{"op":"set_memory_region","slot":%d,"flags":%d,"gpa":"%#x","size":"%#x","hva":"%s","ret":0,"err":""}`,
		id, flags, base<<12, pages<<12, hva)
	if identical || pages == 0 {
		return
	}
	switch {
	case flags&1 == 0:
		s.bitmap = nil
		return
	case s.bitmap == nil && n.useBitmap():
		s.bitmap = map[int]bool{}
		if n.manual == 3 {
			for rel := range pages {
				s.bitmap[rel] = true
			}
		}
	}
	if n.manual != 3 {
		n.protect(s, 0, s.pages-1)
	}
}

// program appends operations to a vCPU's script.
func (n *naive) program(vi int) {
	v := n.vcpus[vi]
	var code []string
	begin := func() {
		v.script = append(v.script, naiveAccess{gfn: naiveCode}, naiveAccess{gfn: naiveCode + 16*(vi+1) + v.ops*64/4096})
		v.ops++
	}
	for range 1 + n.rng.IntN(3) {
		s := n.anyData()
		base, pages := s.base, s.pages
		begin()
		switch first, stride := n.rng.IntN(pages), 1+n.rng.IntN(5); n.rng.IntN(6) {
		case 0, 1:
			count := 1 + n.rng.IntN((pages-1-first)/stride+1)
			for i := range count {
				v.script = append(v.script, naiveAccess{gfn: base + first + i*stride, write: true})
			}
			code = append(code, fmt.Sprintf(`{"k":"write_seq","base":"%#x","stride":%d,"count":%d,"val":-3}`, (base+first)<<12, stride<<12, count))
		case 2:
			count := 1 + n.rng.IntN(first/stride+1)
			for i := range count {
				v.script = append(v.script, naiveAccess{gfn: base + first - i*stride})
			}
			code = append(code, fmt.Sprintf(`{"k":"read_seq","base":"%#x","stride":%d,"count":%d}`, (base+first)<<12, -stride<<12, count))
		case 3:
			for i := first; i < pages; i += stride {
				v.script = append(v.script, naiveAccess{gfn: base + i}, naiveAccess{gfn: base + i, write: true})
			}
			code = append(code, fmt.Sprintf(`{"k":"readwrite_seq","base":"%#x","stride":%d,"count":%d}`, (base+first)<<12, stride<<12, (pages-first+stride-1)/stride))
		case 4:
			var list []string
			for range 1 + n.rng.IntN(20) {
				p := n.rng.IntN(pages)
				list = append(list, fmt.Sprint(p))
				v.script = append(v.script, naiveAccess{gfn: naiveCode + 128 + n.lists/512}, naiveAccess{gfn: base + p, write: true})
				n.lists++
			}
			code = append(code, fmt.Sprintf(`{"k":"write_list","base":"%#x","pages":[%s]}`, base<<12, strings.Join(list, ",")))
		case 5:
			p := n.rng.IntN(pages - 1)
			v.script = append(v.script, naiveAccess{gfn: base + p, write: true, pair: true})
			code = append(code, fmt.Sprintf(`{"k":"write_pair","addr":"%#x"}`, (base+p)<<12|0xff8))
		}
	}
	begin()
	v.script = append(v.script, naiveAccess{exit: "0x7"})
	code = append(code, `{"k":"mmio_exit","val":7}`)
	n.emit(`{"op":"guest_program","vcpu":%d,"code":[%s]}`, vi, strings.Join(code, ","))
}

// anyData returns a slot of two pages or more that the guest's programs may use.
func (n *naive) anyData() *naiveSlot {
	for {
		if s := n.slots[n.rng.IntN(3)]; s != nil {
			return s
		}
	}
}

// run is KVM_RUN.
func (n *naive) run(vi int) {
	v := n.vcpus[vi]
	if v.pending {
		v.pending = false
		v.at++
	}
	full := v.full()
	for !full {
		if v.at >= len(v.script) {
			end := []naiveAccess{{gfn: naiveCode}, {gfn: naiveCode + 16*(vi+1) + v.ops*64/4096}}
			if full = !n.access(v, end[0]) || !n.access(v, end[1]); !full {
				n.exit(vi, "0xdead")
				return
			}
			break
		}
		a := v.script[v.at]
		if a.exit != "" {
			v.pending = true
			n.exit(vi, a.exit)
			return
		}
		if full = !n.access(v, a); !full {
			v.at++
		}
	}
	n.emit(`{"op":"run","vcpu":%d,"ret":0,"err":"","exit":"DIRTY_RING_FULL"}`, vi)
}

func (n *naive) exit(vi int, data string) {
	n.emit(`{"op":"run","vcpu":%d,"ret":0,"err":"","exit":"MMIO","mmio":{"addr":"0x9000000","len":4,"write":true,"data":"%s"}}`, vi, data)
}

func (n *naive) harvest(vi int) {
	v := n.vcpus[vi]
	most, mark := -1, []int{2, 2, 2, 3, 6}[n.rng.IntN(5)]
	if n.rng.IntN(3) == 0 {
		most = n.rng.IntN(100)
	}
	from := v.fetch
	var got []string
	for v.entries[v.fetch%n.ring][0] == 1 && (most < 0 || len(got) < most) {
		e := &v.entries[v.fetch%n.ring]
		e[0] = mark
		got = append(got, fmt.Sprintf("[%d,%d,0,1]", e[1], e[2]))
		v.fetch++
	}
	n.emit(`{"op":"harvest","vcpu":%d,"max":%d,"mark":%d,"fetch":%d,"entries":[%s],"n":%d}`,
		vi, most, mark, from, strings.Join(got, ","), len(got))
}

func (n *naive) dump(vi int) {
	v := n.vcpus[vi]
	var flags, entries []string
	var count [4]int
	for _, e := range v.entries {
		flags = append(flags, fmt.Sprintf("[%d,1]", e[0]))
		entries = append(entries, fmt.Sprintf("[%d,%d,0,1]", e[1], e[2]))
		count[e[0]&3]++
	}
	n.emit(`{"op":"ring_dump","vcpu":%d,"flags":[%s],"entries":[%s]}`, vi, strings.Join(flags, ","), strings.Join(entries, ","))
	n.emit(`{"op":"ring_state","vcpu":%d,"clean":%d,"dirty":%d,"reset":%d,"dirty_reset":%d}`, vi, count[0], count[1], count[2], count[3])
}

// dirtyLog is a GET, or a CLEAR of a random range with a random pattern.
func (n *naive) dirtyLog() {
	s := n.anyData()
	err := ""
	switch {
	case !n.useBitmap():
		err = "ENXIO"
	case s.bitmap == nil:
		err = "ENOENT"
	}
	if n.rng.IntN(2) == 0 {
		if err != "" {
			n.emit(`{"op":"get_dirty_log","slot":%d,"buf":"ok","ret":-1,"err":"%s"}`, s.id, err)
			return
		}
		set := n.get(s)
		var runs []string
		for _, rel := range set {
			runs = append(runs, fmt.Sprintf("[%d,1]", rel))
		}
		n.emit(`{"op":"get_dirty_log","slot":%d,"buf":"ok","ret":0,"err":"","set":[%s],"count":%d}`, s.id, strings.Join(runs, ","), len(set))
		return
	}
	first := 64 * n.rng.IntN(s.pages/64+2)
	num := n.rng.IntN(s.pages + 80)
	if n.rng.IntN(2) == 0 {
		num = max(s.pages-first, 0)
	}
	step := 1 + n.rng.IntN(9)
	wanted := func(rel int) bool { return rel >= first && rel < first+num && (rel-first)%step == 0 }
	var bits []string
	for i := 0; i < num; i += step {
		bits = append(bits, fmt.Sprintf("[%d,1]", i))
	}
	if err == "" && (first > s.pages || num > s.pages-first || num < s.pages-first && num%64 != 0) {
		err = "EINVAL"
	}
	ret := -1
	if err == "" {
		ret = 0
		for w := first / 64; w < (first+num+63)/64; w++ {
			n.clear(s, w, wanted)
		}
	}
	n.emit(`{"op":"clear_dirty_log","slot":%d,"first":%d,"num":%d,"buf":"ok","bits":[%s],"ret":%d,"err":"%s"}`,
		s.id, first, num, strings.Join(bits, ","), ret, err)
}

// newNaive begins a scenario: capabilities, slots and vCPUs in the usual order.
func newNaive(seed uint64, version int) *naive {
	n := &naive{
		rng: rand.New(rand.NewPCG(seed, 5)), version: version, slots: map[int]*naiveSlot{},
		stage2: map[int]bool{}, blocks: map[int]bool{}, touched: map[[2]int]bool{},
	}
	ok := func(op string) { n.emit(`{"op":%s,"ret":0,"err":""}`, op) }
	ok(`"create_vm"`)
	mode := n.rng.IntN(3)
	if mode > 0 {
		n.ring = 256 << n.rng.IntN(2)
		ok(fmt.Sprintf(`"enable_cap","cap":223,"flags":0,"args":["%#x","0x0"]`, n.ring*16))
	}
	if n.withBitmap = mode == 2; n.withBitmap {
		ok(`"enable_cap","cap":225,"flags":0,"args":["0x0","0x0"]`)
	}
	if n.manual = []int{0, 0, 1, 3}[n.rng.IntN(4)]; n.manual != 0 {
		ok(fmt.Sprintf(`"enable_cap","cap":168,"flags":0,"args":["%#x","0x0"]`, n.manual))
	}
	n.place(900, naiveCode, 256, n.rng.IntN(2), "4k:populated")
	for i := range 1 + n.rng.IntN(3) {
		ok(fmt.Sprintf(`"create_vcpu","id":%d`, i))
		n.vcpus = append(n.vcpus, &naiveVCPU{entries: make([][3]int, n.ring)})
	}
	n.place(0, naiveBase, 2+n.rng.IntN(600), n.rng.IntN(2), n.backing())
	n.place(1, naiveBase+0x2000, 2+n.rng.IntN(300), 1, n.backing())
	return n
}

func (n *naive) backing() string {
	return []string{"4k:populated", "4k:populated", "4k:fresh", "thp:populated"}[n.rng.IntN(4)]
}

// step does one random thing.
func (n *naive) step() {
	vi := n.rng.IntN(len(n.vcpus))
	switch n.rng.IntN(16) {
	case 0, 1, 2:
		n.program(vi)
	case 3, 4, 5, 6:
		n.run(vi)
	case 7, 8, 9:
		if n.ring == 0 {
			n.dirtyLog()
			return
		}
		n.harvest(vi)
	case 10, 11:
		if n.ring == 0 {
			n.emit(`{"op":"reset_dirty_rings","ret":-1,"err":"EINVAL"}`)
			return
		}
		n.emit(`{"op":"reset_dirty_rings","ret":%d,"err":""}`, n.resetRings())
	case 12, 13:
		n.dirtyLog()
	case 14:
		if n.ring != 0 {
			n.dump(vi)
		}
	case 15:
		n.reshape()
	}
}

// reshape toggles logging, moves or replaces a slot. Addresses that programs to
// come out of the old place use must not vanish: those have run by then.
func (n *naive) reshape() {
	for _, v := range n.vcpus {
		if v.at+1 < len(v.script) {
			return
		}
	}
	s := n.anyData()
	switch n.rng.IntN(5) {
	case 0:
		n.place(s.id, s.base, s.pages, s.flags, "")
	case 1, 2:
		n.place(s.id, s.base, s.pages, s.flags^1, "")
	case 3:
		n.place(s.id, naiveBase+0x2000*s.id+0x400*n.rng.IntN(4), s.pages, s.flags, "")
	case 4:
		id, base := s.id, s.base
		n.place(id, base, 0, 0, "")
		n.place(id, base, 2+n.rng.IntN(400), n.rng.IntN(2), n.backing())
	}
}

func (n *naive) line(id string) string {
	warn := ""
	if n.warned {
		warn = `"kvm_dirty_ring_push"`
	}
	return fmt.Sprintf(`{"id":%q,"scenario":"naive","arch":"aarch64","kernel":"k","page_size":4096,"params":{},"events":[%s],"warn":[%s],"dmesg":[]}`,
		id, strings.Join(n.events, ","), warn)
}

// Random scenarios of the naive kernel replay on the model without a difference.
func TestAgainstNaiveKernel(t *testing.T) {
	scenarios := 150
	if testing.Short() {
		scenarios = 30
	}
	for _, kernel := range []struct {
		name    string
		version int
	}{{"7.2", 702}, {"6.12", 612}} {
		var recording bytes.Buffer
		happened := map[string]int{}
		for seed := range scenarios {
			n := newNaive(uint64(seed), kernel.version)
			for range 200 {
				n.step()
			}
			for _, what := range []string{"DIRTY_RING_FULL", `"0xdead"`, `"op":"harvest"`, `"err":"ENXIO"`, `"err":"EINVAL"`, `"hva":"same"`, "thp", "fresh"} {
				if slices.ContainsFunc(n.events, func(e string) bool { return strings.Contains(e, what) }) {
					happened[what]++
				}
			}
			recording.WriteString(n.line(fmt.Sprintf("seed %d", seed)) + "\n")
		}
		sum, err := Replay(kernel.name, &recording, "naive")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range sum.Results {
			if r.Status != StatusOK {
				t.Errorf("%s, %s: %s: %s", kernel.name, r.ID, r.Status, r.Detail)
			}
		}
		for what, times := range happened {
			if times < scenarios/10 {
				t.Errorf("%s happened in %d of %d scenarios only", what, times, scenarios)
			}
		}
	}
}
