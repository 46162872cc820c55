package workloads

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

const (
	linuxTrace  = "testdata/linux-4vcpu-small.pwt.zst"
	sqliteTrace = "testdata/sqlite-start.lackey.zst"
)

// file writes a trace to a file whose name says nothing about it.
func file(t testing.TB, contents []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, contents, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path string) *Trace {
	t.Helper()
	tr, err := OpenTrace(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return tr
}

func streams(t testing.TB, tr *Trace, spec TraceSpec) []kvmcore.Stream {
	t.Helper()
	s, err := tr.Streams(spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// drain reads a stream to its end, which is not returned.
func drain(s kvmcore.Stream) []kvmcore.GuestAccess {
	var all []kvmcore.GuestAccess
	var dst [64]kvmcore.GuestAccess
	for {
		n := s.Fill(dst[:])
		if n == 0 || dst[n-1].Op == kvmcore.GuestEnd {
			return append(all, dst[:max(0, n-1)]...)
		}
		all = append(all, dst[:n]...)
	}
}

// pwt builds a timeline; the header's count is that of the records.
func pwt(h PWTHeader, records ...pwtRecord) []byte {
	h.Records = uint64(len(records))
	return appendRecords(h.encode(), records...)
}

func appendRecords(b []byte, records ...pwtRecord) []byte {
	for _, r := range records {
		b = binary.LittleEndian.AppendUint64(b, r.instr)
		b = binary.LittleEndian.AppendUint32(b, r.page)
		b = binary.LittleEndian.AppendUint16(b, r.vcpu)
		b = binary.LittleEndian.AppendUint16(b, r.flags)
	}
	return b
}

// champSim is one record.
func champSim(ip uint64, stores [2]uint64, loads [4]uint64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, ip)
	b = append(b, 0, 0, 1, 2, 3, 4, 5, 6)
	for _, va := range stores {
		b = binary.LittleEndian.AppendUint64(b, va)
	}
	for _, va := range loads {
		b = binary.LittleEndian.AppendUint64(b, va)
	}
	return b
}

// cloudSuite is one record of the 96-byte form.
func cloudSuite(ip, store, load uint64) []byte {
	b := make([]byte, cloudSuiteRecord)
	binary.LittleEndian.PutUint64(b, ip)
	copy(b[10:18], "\x01\x02\x03\x04\x05\x06\x07\x08")
	binary.LittleEndian.PutUint64(b[24:], store)
	binary.LittleEndian.PutUint64(b[56:], load)
	b[88], b[89] = 1, 0
	return b
}

var twoVCPUs = PWTHeader{VCPUs: 2, Window: 1000, Memory: 64 << 12, Name: "test"}

func samplePWT() []byte {
	return pwt(twoVCPUs, pwtRecord{10, 3, 0, 0}, pwtRecord{400, 4, 1, 0}, pwtRecord{20, 5, 0, 0}, pwtRecord{3_000_000, 63, 0, 0}, pwtRecord{500, 3, 1, 0})
}

const sampleLackey = `==1== Lackey
I  00400ffe,4
 L 1fff000ffc,8
 S 1fff000658,8
-- a warning
I  00401002,2
 M 1fff001ffe,4
`

func sampleChampSim() []byte {
	return slicesConcat(champSim(0x400ffe, [2]uint64{0x7fff0003}, [4]uint64{0x7fff1ffe, 0x7fff0000}),
		champSim(0x401002, [2]uint64{0, 0x7fff1000}, [4]uint64{}))
}

func slicesConcat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func compress(t testing.TB, codec string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	switch codec {
	case "":
		return data
	case "gzip":
		w := gzip.NewWriter(&b)
		w.Write(data)
		w.Close()
	case "zstd":
		w, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(data)
		w.Close()
	case "xz":
		return xzStored(data)
	}
	return b.Bytes()
}

// Every format in every compression, by content alone.
func TestDetection(t *testing.T) {
	for format, data := range map[string][]byte{"pwt": samplePWT(), "lackey": []byte(sampleLackey), "champsim": sampleChampSim()} {
		for _, codec := range []string{"", "gzip", "zstd", "xz"} {
			tr := open(t, file(t, compress(t, codec, data)))
			if tr.Format != format || tr.Compression != codec {
				t.Errorf("%s in %q is taken for %s in %q", format, codec, tr.Format, tr.Compression)
			}
			info, err := tr.Info()
			if err != nil || info.Format != format || info.Records == 0 {
				t.Errorf("%s in %q: %+v, %v", format, codec, info, err)
			}
		}
	}
	skippable := append([]byte("\x5e\x2a\x4d\x18\x03\x00\x00\x00abc"), compress(t, "zstd", samplePWT())...)
	if tr := open(t, file(t, skippable)); tr.Format != "pwt" {
		t.Errorf("a skippable frame before it hides the trace: %s", tr.Format)
	}
}

func TestInfo(t *testing.T) {
	for _, c := range []struct {
		path string
		want TraceInfo
	}{
		{linuxTrace, TraceInfo{Format: "pwt", Compression: "zstd", Name: "linux-6.12 busybox mix", Records: 474083, VCPUs: 4, Pages: 15827,
			Memory: 256 << 20, Window: 1000000, Instructions: 1947099867, PerVCPU: []uint64{461834175, 485701458, 660559372, 339004862}, Stores: 474083}},
		{sqliteTrace, TraceInfo{Format: "lackey", Compression: "zstd", Records: 199994, VCPUs: 1, Pages: 134, Instructions: 153687, Loads: 34971, Stores: 12769}},
		{file(t, samplePWT()), TraceInfo{Format: "pwt", Name: "test", Records: 5, VCPUs: 2, Pages: 4, Memory: 64 << 12, Window: 1000,
			Instructions: 3_000_500, PerVCPU: []uint64{3_000_000, 500}, Stores: 5}},
		{file(t, []byte(sampleLackey)), TraceInfo{Format: "lackey", Records: 5, VCPUs: 1, Pages: 5, Instructions: 2, Loads: 2, Stores: 2}},
		{file(t, sampleChampSim()), TraceInfo{Format: "champsim", Records: 2, VCPUs: 1, Pages: 4, Instructions: 2, Loads: 2, Stores: 2}},
	} {
		got, err := open(t, c.path).Info()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.path, diff)
		}
	}
}

// text writes accesses one per word, for tables.
func text(all []kvmcore.GuestAccess) string {
	var b strings.Builder
	for _, a := range all {
		switch a.Op {
		case kvmcore.GuestIdle:
			fmt.Fprintf(&b, "idle %d", a.Value)
		default:
			fmt.Fprintf(&b, "%c%d %x", "LS?F"[a.Op], a.Size, uint64(a.IPA))
		}
		if a.Instr != 0 || a.Cycles != 0 {
			fmt.Fprintf(&b, " +%d/%d", a.Instr, a.Cycles)
		}
		b.WriteString("; ")
	}
	return b.String()
}

// The rules of each format, on small samples.
func TestReplayRules(t *testing.T) {
	tr := open(t, file(t, samplePWT()))
	s := streams(t, tr, TraceSpec{Base: 0x40000000, Size: 64 << 12, VCPUs: 2, CPI: 1500})
	for i, want := range []string{
		// Record 0 at 15 cycles. Record 1 after 400 instructions, 600 cycles. vCPU 0's
		// next is ready at 30 and waits for it. Its third takes 2,999,980 more,
		// which go out in two parts.
		"S8 40003000 +10/15; idle 570; S8 40005000 +10/15; idle 0 +2097152/3145728; S8 4003f000 +902828/1354242; ",
		// Ready at 750, but vCPU 0's third is at 600 + 4,499,970.
		"S8 40004000 +400/600; idle 4499820; S8 40003000 +100/150; ",
	} {
		if got := text(drain(s[i])); got != want {
			t.Errorf("pwt, vCPU %d:\n got %s\nwant %s", i, got, want)
		}
	}

	// Pages in order of first touch: code 0, 1; data 2, 3, 4.
	want := "F4 ffc +1/1; F4 1000; L4 2ffc; L4 3000; S8 2658; L2 3ffe +1/1; L2 4000; S2 3ffe; S2 4000; "
	lackey := open(t, file(t, []byte(sampleLackey)))
	if got := text(drain(streams(t, lackey, TraceSpec{Size: 1 << 20, VCPUs: 1})[0])); got != want {
		t.Errorf("lackey:\n got %s\nwant %s", got, want)
	}
	for _, size := range []int{1, 2} {
		if got := text(take(streams(t, lackey, TraceSpec{Size: 1 << 20, VCPUs: 1})[0], 9, size)); got != want {
			t.Errorf("lackey, %d at a time:\n got %s\nwant %s", size, got, want)
		}
	}

	want = "F4 ffc +1/2; L8 1ff8; L8 2000; S8 2000; F4 3000 +1/2; S8 1000; "
	if got := text(drain(streams(t, open(t, file(t, sampleChampSim())), TraceSpec{Size: 1 << 20, VCPUs: 1, CPI: 2000})[0])); got != want {
		t.Errorf("champsim:\n got %s\nwant %s", got, want)
	}
}

// A model of the nominal times as the format's description states them, with
// exact fractions, against streams of random timelines.
func TestPWTNominalTimes(t *testing.T) {
	rng := sim.NewStream(4, "timelines")
	for round := range 200 {
		h := PWTHeader{VCPUs: uint32(1 + rng.N(5)), Window: uint32(1 + rng.N(5000)), Memory: (200 + rng.N(1000)) << 12}
		cpi := CPI(1 + rng.N(3000))
		var records []pwtRecord
		instr := make([]uint64, h.VCPUs)
		for range rng.N(120) {
			v := uint16(rng.N(uint64(h.VCPUs)))
			instr[v] += rng.N(1 << rng.N(23))
			records = append(records, pwtRecord{instr[v], uint32(rng.N(h.Memory >> 12)), v, 0})
		}
		type store struct {
			page uint32
			at   uint64 // cycles
		}
		want := make([][]store, h.VCPUs)
		own := make([]uint64, h.VCPUs) // thousandths
		last := make([]uint64, h.VCPUs)
		before := uint64(0)
		for _, r := range records {
			at := max(own[r.vcpu]+(r.instr-last[r.vcpu])*uint64(cpi), before)
			own[r.vcpu], last[r.vcpu], before = at, r.instr, at
			want[r.vcpu] = append(want[r.vcpu], store{r.page, at / 1000})
		}
		tr := open(t, file(t, pwt(h, records...)))
		for v, s := range streams(t, tr, TraceSpec{Size: h.Memory, VCPUs: int(h.VCPUs), CPI: cpi}) {
			var got []store
			now, retired := uint64(0), uint64(0)
			for _, a := range drain(s) {
				now += uint64(a.Cycles)
				retired += uint64(a.Instr)
				if a.Op == kvmcore.GuestIdle {
					now += a.Value
				} else {
					got = append(got, store{uint32(a.IPA >> 12), now})
				}
			}
			if diff := cmp.Diff(want[v], got, cmp.AllowUnexported(store{})); diff != "" {
				t.Fatalf("round %d, vCPU %d: stores (-want +got):\n%s", round, v, diff)
			}
			if retired != last[v] {
				t.Fatalf("round %d, vCPU %d: %d instructions, want %d", round, v, retired, last[v])
			}
		}
	}
}

// The real trace: nothing lost, nothing invented, every value new.
func TestLinuxTrace(t *testing.T) {
	tr := open(t, linuxTrace)
	if tr.Window() != 1_000_000 {
		t.Errorf("window %d", tr.Window())
	}
	if vcpus, memory := tr.Recorded(); vcpus != 4 || memory != 256<<20 {
		t.Errorf("recorded with %d vCPUs, %d bytes", vcpus, memory)
	}
	info, err := tr.Info()
	if err != nil {
		t.Fatal(err)
	}
	stores := uint64(0)
	values := map[uint64]bool{}
	for v, s := range streams(t, tr, TraceSpec{Base: 0x40000000, Size: 256 << 20, VCPUs: 4, CPI: 800}) {
		instr := uint64(0)
		for _, a := range drain(s) {
			instr += uint64(a.Instr)
			if a.Op != kvmcore.GuestStore {
				continue
			}
			stores++
			if values[a.Value] || a.Value == 0 {
				t.Fatalf("vCPU %d stores %#x again", v, a.Value)
			}
			values[a.Value] = true
		}
		if instr != info.PerVCPU[v] {
			t.Errorf("vCPU %d retires %d instructions, want %d", v, instr, info.PerVCPU[v])
		}
	}
	if stores != info.Records {
		t.Errorf("%d stores, want %d", stores, info.Records)
	}
	if tr.Err() != nil {
		t.Error(tr.Err())
	}
}

// The real lackey trace against a model that maps bytes: loads and stores hit
// the guest bytes of the lines in order, and every store changes its first byte.
func TestLackeyAgainstBytes(t *testing.T) {
	tr := open(t, sqliteTrace)
	raw, err := decompressed(sqliteTrace)
	if err != nil {
		t.Fatal(err)
	}
	type touch struct {
		op kvmcore.GuestOp
		va uint64
	}
	var want []touch
	order := map[uint64]uint64{} // virtual page to guest page
	page := func(va uint64) {
		if _, ok := order[va>>12]; !ok {
			order[va>>12] = uint64(len(order))
		}
	}
	instr := uint64(0)
	for _, line := range strings.Split(string(raw), "\n") {
		var addr, size uint64
		if n, _ := fmt.Sscanf(line[min(3, len(line)):], "%x,%d", &addr, &size); n != 2 || line[0] == '=' {
			continue
		}
		for va := addr; va < addr+size; va++ {
			page(va)
		}
		if line[0] == 'I' {
			instr++
		}
		if line[1] == 'L' || line[1] == 'M' {
			for va := addr; va < addr+size; va++ {
				want = append(want, touch{kvmcore.GuestLoad, va})
			}
		}
		if line[1] == 'S' || line[1] == 'M' {
			for va := addr; va < addr+size; va++ {
				want = append(want, touch{kvmcore.GuestStore, va})
			}
		}
	}
	base := mmu.IPA(0x1000_0000)
	memory := map[mmu.IPA]byte{}
	at, retired, cycles := 0, uint64(0), uint64(0)
	for _, a := range drain(streams(t, tr, TraceSpec{Base: base, Size: 16 << 20, VCPUs: 1, CPI: 1337})[0]) {
		retired += uint64(a.Instr)
		cycles += uint64(a.Cycles)
		if want := CPI(1337).Cycles(retired); cycles != want {
			t.Fatalf("%d cycles after %d instructions, want %d", cycles, retired, want)
		}
		if a.Op == kvmcore.GuestFetch {
			continue
		}
		if uint64(a.IPA)>>12 != uint64(a.IPA+mmu.IPA(a.Size)-1)>>12 {
			t.Fatalf("access to %#x, size %d, crosses a page", a.IPA, a.Size)
		}
		for i := range mmu.IPA(a.Size) {
			if at == len(want) {
				t.Fatal("more accesses than lines")
			}
			w := want[at]
			at++
			if ipa := base + mmu.IPA(order[w.va>>12]<<12+w.va&0xfff); a.Op != w.op || a.IPA+i != ipa {
				t.Fatalf("byte %d: op %d at %#x, want op %d at %#x", at, a.Op, a.IPA+i, w.op, ipa)
			}
			if a.Op == kvmcore.GuestStore {
				b := byte(a.Value >> (8 * i))
				if i == 0 && b == memory[a.IPA] {
					t.Fatalf("store of %#x, size %d, to %#x leaves its first byte as it was", a.Value, a.Size, a.IPA)
				}
				memory[a.IPA+i] = b
			}
		}
	}
	if at != len(want) {
		t.Errorf("%d bytes accessed, want %d", at, len(want))
	}
	if retired > instr || instr-retired > 20 {
		t.Errorf("%d instructions retired, want %d but for those after the last access", retired, instr)
	}
}

// decompressed returns all of a trace's bytes.
func decompressed(path string) ([]byte, error) {
	s, err := openSource(path)
	if err != nil {
		return nil, err
	}
	defer s.close()
	var all []byte
	for {
		b, err := s.peek(1)
		if len(b) == 0 {
			if err.Error() == "EOF" {
				err = nil
			}
			return all, err
		}
		all = append(all, s.buf[s.pos:]...)
		s.pos = len(s.buf)
	}
}

// Stores of any size over each other, through the shadow of the last values.
// Overlaps differ in the byte that the store begins with at least.
func TestSmallStoresDiffer(t *testing.T) {
	p := process{pages: pageTable{limit: 4}}
	dst := make([]kvmcore.GuestAccess, 64)
	memory := map[mmu.IPA]byte{}
	rng := sim.NewStream(1, "small stores")
	for range 20000 {
		p.begin(dst)
		p.store(0x7000_0000+rng.N(40)+rng.N(3)*0xfe0, 1+rng.N(40))
		for _, a := range append(dst[:p.n:p.n], p.rest...) {
			if memory[a.IPA] == byte(a.Value) {
				t.Fatalf("store of %#x, size %d, to %#x leaves its first byte as it was", a.Value, a.Size, a.IPA)
			}
			for i := range mmu.IPA(a.Size) {
				memory[a.IPA+i] = byte(a.Value >> (8 * i))
			}
			if a.Size < 8 && a.Value>>(8*a.Size) != 0 {
				t.Fatalf("value %#x has more than %d bytes", a.Value, a.Size)
			}
		}
		p.rest = p.rest[:0]
	}
}

// Each vCPU runs its own copy of a process in its own part of memory.
func TestProcessCopies(t *testing.T) {
	tr := open(t, file(t, []byte(sampleLackey)))
	s := streams(t, tr, TraceSpec{Size: 64 << 12, VCPUs: 3})
	want := drain(s[0])
	for v := 1; v < 3; v++ {
		got := drain(s[v])
		for i := range got {
			got[i].IPA -= mmu.IPA(v) * 21 << 12
		}
		if diff := cmp.Diff(want, got, sameAccess); diff != "" {
			t.Errorf("vCPU %d runs something else (-vCPU 0 +):\n%s", v, diff)
		}
	}
}

func TestTraceSync(t *testing.T) {
	for name, path := range map[string]string{"pwt": linuxTrace, "lackey": sqliteTrace, "champsim": file(t, bytes.Repeat(sampleChampSim(), 3000))} {
		t.Run(name, func(t *testing.T) {
			vcpus, _ := open(t, path).Recorded()
			spec := TraceSpec{Base: 0x40000000, Size: 256 << 20, VCPUs: vcpus, CPI: 777}
			for _, cut := range []int{0, 1, 2, 63, 5000, 16000} {
				tr := open(t, path)
				whole := streams(t, tr, spec)
				take(whole[0], cut, 3, 64)
				e := sim.NewEncoder()
				whole[0].Sync(e)
				state := e.Finish()
				if len(state) > 100 {
					t.Fatalf("the state takes %d bytes: it holds the trace", len(state))
				}
				again := streams(t, open(t, path), spec)
				take(again[0], 1000, 64) // a used stream must forget
				d := sim.NewDecoder(state)
				again[0].Sync(d)
				if d.Finish(); d.Err() != nil {
					t.Fatal(d.Err())
				}
				if diff := cmp.Diff(take(whole[0], 500, 64), take(again[0], 500, 64), sameAccess); diff != "" {
					t.Fatalf("after %d accesses the restored stream goes on differently (-whole +restored):\n%s", cut, diff)
				}
			}
		})
	}
}

func TestSyncRefusesAnotherTrace(t *testing.T) {
	spec := TraceSpec{Size: 64 << 12, VCPUs: 2}
	s := streams(t, open(t, file(t, samplePWT())), spec)
	take(s[0], 3, 3)
	e := sim.NewEncoder()
	s[0].Sync(e)
	other := samplePWT()
	other[pwtHeaderSize]++
	d := sim.NewDecoder(e.Finish())
	streams(t, open(t, file(t, other)), spec)[0].Sync(d)
	if d.Err() == nil || !strings.Contains(d.Err().Error(), "is not the trace of this snapshot") {
		t.Errorf("another file restores with error %v", d.Err())
	}
	// A position beyond the end.
	e = sim.NewEncoder()
	e.Tag("workloads/trace")
	tr := open(t, file(t, samplePWT()))
	hash, at := tr.Hash, uint64(1000)
	e.U64(&hash)
	e.U64(&at)
	d = sim.NewDecoder(e.Finish())
	streams(t, tr, spec)[0].Sync(d)
	if d.Err() == nil || !strings.Contains(d.Err().Error(), "gives only 5 accesses") {
		t.Errorf("a position beyond the end restores with error %v", d.Err())
	}
}

// Accesses do not depend on how many are asked for at once.
func TestReplayDoesNotDependOnBatches(t *testing.T) {
	for _, path := range []string{linuxTrace, sqliteTrace} {
		tr := open(t, path)
		vcpus, _ := tr.Recorded()
		spec := TraceSpec{Size: 256 << 20, VCPUs: vcpus}
		want := take(streams(t, tr, spec)[0], 20000, 64)
		got := take(streams(t, tr, spec)[0], 20000, 1, 2, 3, 100)
		if diff := cmp.Diff(want, got, sameAccess); diff != "" {
			t.Errorf("%s: other accesses with other batches (-64 +mixed):\n%s", path, diff)
		}
	}
}

func TestReplayAllocatesNothing(t *testing.T) {
	for _, path := range []string{linuxTrace, sqliteTrace} {
		tr := open(t, path)
		vcpus, _ := tr.Recorded()
		s := streams(t, tr, TraceSpec{Size: 256 << 20, VCPUs: vcpus})[0]
		var dst [64]kvmcore.GuestAccess
		take(s, 60000, 64)
		if n := testing.AllocsPerRun(50, func() { s.Fill(dst[:]) }); n > 0.1 {
			t.Errorf("%s: %v allocations per Fill", path, n)
		}
	}
}

// What does not fit in memory goes to a file and comes back the same.
func TestPacksSpill(t *testing.T) {
	p := newPacks(3)
	p.bound = 100_000
	rng := sim.NewStream(1, "packs")
	want := make([][]byte, 3)
	for i := range 400_000 {
		v := int(rng.N(3))
		b := binary.AppendUvarint(nil, uint64(i)<<rng.N(30))
		want[v] = append(want[v], b...)
		if err := p.add(v, b); err != nil {
			t.Fatal(err)
		}
	}
	if p.file == nil || p.memory > 600_000 {
		t.Fatalf("%d bytes in memory, file %v", p.memory, p.file)
	}
	name := p.file.Name()
	for v := range want {
		var got, space []byte
		for i := 0; ; i++ {
			b, err := p.chunk(v, i, &space)
			if err != nil {
				break
			}
			got = append(got, b...)
		}
		if !bytes.Equal(got, want[v]) {
			t.Errorf("list %d comes back different", v)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary file is still there: %v", err)
	}
}

func TestPackPWT(t *testing.T) {
	want, err := decompressed(linuxTrace)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	raw := filepath.Join(dir, "raw.bin")
	if err := os.WriteFile(raw, want[pwtHeaderSize:], 0o644); err != nil {
		t.Fatal(err)
	}
	h := PWTHeader{VCPUs: 4, Window: 1_000_000, Memory: 256 << 20, Name: "linux-6.12 busybox mix"}
	for _, name := range []string{"out.pwt", "out.pwt.gz", "out.pwt.zst"} {
		out := filepath.Join(dir, name)
		packed, err := PackPWT(raw, out, h)
		if err != nil {
			t.Fatal(err)
		}
		if packed.Records != 474083 {
			t.Errorf("%s: %d records", name, packed.Records)
		}
		got, err := decompressed(out)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: other bytes than the packed original, error %v", name, err)
		}
	}
	bad := h
	bad.VCPUs = 2
	if _, err := PackPWT(raw, filepath.Join(dir, "bad.pwt"), bad); err == nil || !strings.Contains(err.Error(), "the header says 2 vCPUs") {
		t.Errorf("packed with too few vCPUs: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "bad.pwt")); !errors.Is(err, os.ErrNotExist) {
		t.Error("an output file is left behind")
	}
	bad = h
	bad.Name = "a name of more than twenty-four bytes"
	if _, err := PackPWT(raw, filepath.Join(dir, "bad.pwt"), bad); err == nil {
		t.Error("packed with too long a name")
	}
}

// An output that cannot be written whole is removed.
func TestPackPWTOnFullDisk(t *testing.T) {
	const full = "/dev/full" // Linux: every write fails with ENOSPC
	if _, err := os.Stat(full); err != nil {
		t.Skip(err)
	}
	out := filepath.Join(t.TempDir(), "out.pwt")
	if err := os.Symlink(full, out); err != nil {
		t.Fatal(err)
	}
	raw := file(t, samplePWT()[pwtHeaderSize:])
	if _, err := PackPWT(raw, out, twoVCPUs); err == nil {
		t.Error("a full disk is no error")
	}
	if _, err := os.Lstat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the output is left behind: %v", err)
	}
}

// xzStored is data as an xz file, its LZMA2 chunks not compressed. The xz file
// format, version 1.1.0.
func xzStored(data []byte) []byte {
	crc := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) }
	vli := func(n uint64) []byte { return binary.AppendUvarint(nil, n) }
	flags := []byte{0, 1} // check: CRC32
	out := slicesConcat([]byte("\xfd7zXZ\x00"), flags, crc(flags))
	header := []byte{2, 0, 0x21, 1, 0x16, 0, 0, 0} // 12 bytes, one filter: LZMA2, 8 MiB
	block := slicesConcat(header, crc(header))
	for first, rest := true, data; len(rest) > 0; first = false {
		n := min(len(rest), 1<<16)
		kind := byte(2)
		if first {
			kind = 1 // resets the dictionary
		}
		block = append(block, kind, byte((n-1)>>8), byte(n-1))
		block = append(block, rest[:n]...)
		rest = rest[n:]
	}
	block = append(block, 0)
	unpadded := len(block) + 4
	for len(block)%4 != 0 {
		block = append(block, 0)
	}
	out = slicesConcat(out, block, crc(data))
	index := slicesConcat([]byte{0}, vli(1), vli(uint64(unpadded)), vli(uint64(len(data))))
	for len(index)%4 != 0 {
		index = append(index, 0)
	}
	out = slicesConcat(out, index, crc(index))
	footer := slicesConcat(binary.LittleEndian.AppendUint32(nil, uint32(len(index)+4)/4-1), flags)
	return slicesConcat(out, crc(footer), footer, []byte("YZ"))
}
