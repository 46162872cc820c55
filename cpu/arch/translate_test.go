package arch

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"ringmap/mmu"
	"ringmap/sim"
)

// bare is a PE on memory of its own.
type bare struct {
	*PE
	mem    *mmu.Memory
	domain *mmu.Domain
	tlb    mmu.TLB
	state  State
}

var testTLB = mmu.TLBSpec{Entries: 32, Ways: 4, L1Entries: 6, L1Ways: 3, WalkEntries: 8, WalkWays: 2}

func newBare(el uint8) *bare {
	b := &bare{mem: mmu.NewMemory(), domain: mmu.NewDomain()}
	b.domain.Add(&b.tlb, testTLB)
	b.PE = NewPE(b.mem, b.domain, &b.tlb, Clock{CoreHz: 3_000_000_000})
	b.state.Reset(el, 0)
	b.Load(&b.state, nil)
	return b
}

// verdict asks the PE.
func (b *bare) verdict(va uint64, a mmu.Access, mode mmu.Mode) verdict {
	e, _, abort := b.Translate(mmu.VA(va), a, mode)
	if e != nil {
		return verdict{pa: uint64(e.PAOf(mmu.VA(va))), device: e.Device()}
	}
	stage := "stage 1"
	if abort.Stage2 {
		stage = "stage 2"
	}
	if abort.Walk {
		stage += " on walk"
	}
	if abort.VA != mmu.VA(va) {
		stage += fmt.Sprintf(" of %#x", abort.VA)
	}
	return verdict{fault: fmt.Sprintf("%s %s %d", stage, abort.Kind, abort.Level), ipa: uint64(abort.IPA)}
}

// arena is memory full of descriptors that mostly point into it: 32 × 64 KiB.
const (
	arenaBase  = 1 << 30
	arenaUnits = 32
)

func arenaAddress(r *sim.Stream) uint64 {
	return arenaBase + r.N(arenaUnits)<<16 + r.N(16)<<12
}

// descriptor makes a descriptor that is often good.
func descriptor(r *sim.Stream) uint64 {
	d := arenaAddress(r)
	if r.N(12) == 0 {
		d = r.Uint64() & (1<<(30+r.N(19)) - 1) >> 12 << 12
	}
	switch kind := r.N(16); {
	case kind < 11:
		d |= 3
	case kind < 15:
		d |= 1
	}
	d |= r.N(1<<8) << 2 & 0x3fc // attributes, AP, SH
	if r.N(8) != 0 {
		d |= 1<<10 | 3<<6&(r.N(4)<<6|1<<6) // AF, readable at stage 2
	}
	d |= r.N(2) << 11
	if r.N(4) == 0 {
		d |= r.N(1<<13) << 51 // contiguous, PXN, UXN, software's, hierarchical
	}
	return d
}

func (b *bare) fillArena(r *sim.Stream) {
	var p [1 << 16]byte
	for unit := range mmu.PA(arenaUnits) {
		for i := 0; i < len(p); i += 8 {
			binary.LittleEndian.PutUint64(p[i:], descriptor(r))
		}
		b.mem.Write(arenaBase+unit<<16, p[:], 0)
	}
}

// chooseRegisters sets up a random regime, mostly one that works.
func (b *bare) chooseRegisters(r *sim.Stream) {
	s := &b.state
	txsz := func() uint64 {
		if r.N(10) == 0 {
			return r.N(64)
		}
		return 16 + r.N(24)
	}
	sometimes := func(n, v uint64) uint64 {
		if r.N(n) == 0 {
			return v
		}
		return 0
	}
	tcr := txsz() | txsz()<<16 | r.N(4)<<14 | r.N(4)<<30 | sometimes(20, 1<<7) | sometimes(20, 1<<23) |
		sometimes(2, 1<<37) | sometimes(2, 1<<38) | sometimes(3, 1<<41) | sometimes(3, 1<<42) | r.N(2)<<22 | r.N(2)<<36
	ips := 5 - sometimes(3, 1+r.N(5))
	sctlr := uint64(1) - sometimes(8, 1) | sometimes(3, 1<<19)
	for _, regs := range [][5]Reg{{SCTLR_EL1, TCR_EL1, TTBR0_EL1, TTBR1_EL1, MAIR_EL1}, {SCTLR_EL2, TCR_EL2, TTBR0_EL2, TTBR1_EL2, MAIR_EL2}} {
		s.Reg[regs[0]], s.Reg[regs[1]] = sctlr, tcr|ips<<32
		s.Reg[regs[2]] = arenaAddress(r) | r.N(1<<16)<<48 | r.N(2)
		s.Reg[regs[3]] = arenaAddress(r) | r.N(1<<16)<<48
		s.Reg[regs[4]] = 0xff_00_44_04_bb_ff_ff_00
	}
	s.Reg[HCR_EL2] = HCRRW | r.N(2)<<0 | sometimes(6, HCRDC) | sometimes(3, HCRE2H) | sometimes(6, HCRTGE) | sometimes(4, HCRPTW)
	if s.Reg[HCR_EL2]&HCRE2H == 0 {
		s.Reg[TCR_EL2] = tcr&0xffff | ips<<16 | r.N(2)<<20 | r.N(2)<<24
	}
	g := r.N(3)
	bits := 33 + r.N(16)
	sl0 := uint64(0)
	for sl := range uint64(3) { // one that fits, if any does
		granule := tg0(g)
		level := 2 - sl
		if granule != 12 {
			level = 3 - sl
		}
		low := granule + (granule-3)*(3-level)
		if bits > low && bits <= low+granule-3+4 {
			sl0 = sl
		}
	}
	if r.N(12) == 0 {
		sl0 = r.N(4)
	}
	s.Reg[VTCR_EL2] = 64 - bits | sl0<<6 | g<<14 | (5-sometimes(4, r.N(4)))<<16 | 1<<19
	s.Reg[VTTBR_EL2] = arenaAddress(r) | r.N(4)<<48
	s.EL = uint8(r.N(3))
	s.PAN = r.N(2) == 0
	b.Load(s, nil)
}

// chooseVA picks an address that is mostly in one of the ranges.
func chooseVA(r *sim.Stream) uint64 {
	va := r.Uint64()
	switch r.N(8) {
	case 0:
		return va
	case 1:
		return va & (1<<48 - 1)
	}
	bits := 64 - 16 - r.N(24)
	va &= 1<<bits - 1
	if r.N(2) == 0 {
		va |= ^uint64(0) << bits
	}
	if r.N(4) == 0 {
		va = va&(1<<56-1) | r.N(256)<<56
	}
	return va
}

// compare translates by the PE and naively.
func (b *bare) compare(va uint64, a mmu.Access, unprivileged bool) (got, want verdict) {
	s := b.State
	mode := s.Mode()
	if unprivileged {
		mode = s.UnprivilegedMode()
	}
	if a == mmu.AccessFetch {
		mode = s.FetchMode()
	}
	host := s.Reg[HCR_EL2]&(HCRE2H|HCRTGE) == HCRE2H|HCRTGE
	user := s.EL == 0 || a != mmu.AccessFetch && unprivileged && !s.UAO && (s.EL == 1 || host)
	pan := s.PAN && a != mmu.AccessFetch && !user
	n := naive{s, b.mem}
	want = n.translate(va, a, user, pan)
	return b.verdict(va, a, mode), want
}

// TestTranslateAgainstPseudocode: any tables, any registers, any address: the
// same address or the same fault.
func TestTranslateAgainstPseudocode(t *testing.T) {
	worlds := 40
	if os.Getenv("RINGMAP_LONG") != "" {
		worlds = 1000
	}
	seen := map[string]int{}
	for seed := range uint64(worlds) {
		r := sim.NewStream(seed, "translate")
		b := newBare(1)
		b.fillArena(&r)
		for range 60 {
			b.chooseRegisters(&r)
			b.domain.InvalidateAll()
			for range 50 {
				va := chooseVA(&r)
				for range 1 + r.N(4) { // again, for hits, in other modes
					a := mmu.Access(r.N(3))
					switch r.N(6) { // what differs only above what tables resolve
					case 0:
						va ^= (r.N(255) + 1) << 56
					case 1:
						va ^= 1 << (47 + r.N(9))
					case 2:
						va ^= 0x7f << 48
					}
					b.state.UAO = r.N(2) == 0
					got, want := b.compare(va, a, r.N(3) == 0)
					if got != want {
						t.Fatalf("seed %d, EL%d, VA %#x, access %d:\n got %v\nwant %v\nSCTLR %#x TCR %#x HCR %#x VTCR %#x", seed, b.EL, va, a, got, want,
							b.state.Reg[SCTLR_EL1], b.state.Reg[TCR_EL1], b.state.Reg[HCR_EL2], b.state.Reg[VTCR_EL2])
					}
					if want.fault == "" {
						seen["ok"]++
					} else {
						seen[want.fault]++
					}
				}
			}
		}
	}
	for _, what := range []string{"ok", "stage 1 translation 0", "stage 1 translation 1", "stage 1 translation 2", "stage 1 translation 3",
		"stage 1 address size 0", "stage 1 address size 1", "stage 1 address size 2", "stage 1 address size 3",
		"stage 1 access flag 1", "stage 1 access flag 2", "stage 1 access flag 3",
		"stage 1 permission 1", "stage 1 permission 2", "stage 1 permission 3",
		"stage 2 translation 0", "stage 2 translation 2", "stage 2 translation 3", "stage 2 permission 2", "stage 2 permission 3", "stage 2 access flag 3",
		"stage 2 on walk translation 0", "stage 2 on walk translation 3", "stage 2 on walk address size 3", "stage 2 on walk permission 3", "stage 2 on walk access flag 3"} {
		if seen[what] < 1 {
			t.Errorf("%q came up %d times: the test does not reach it", what, seen[what])
		}
	}
}

// FuzzTranslate: tables and registers by whoever wishes us ill. Nothing loops,
// nothing panics, and the pseudocode agrees.
func FuzzTranslate(f *testing.F) {
	r := sim.NewStream(1, "fuzz")
	for range 8 {
		seed := make([]byte, 24*8+64*8)
		for i := 0; i < 24*8; i += 8 {
			binary.LittleEndian.PutUint64(seed[i:], r.Uint64())
		}
		for i := 24 * 8; i < len(seed); i += 8 {
			binary.LittleEndian.PutUint64(seed[i:], descriptor(&r))
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		word := func() (v uint64) {
			var p [8]byte
			n := copy(p[:], data)
			data = data[n:]
			return binary.LittleEndian.Uint64(p[:])
		}
		b := newBare(1)
		s := &b.state
		for _, reg := range []Reg{SCTLR_EL1, TCR_EL1, TTBR0_EL1, TTBR1_EL1, MAIR_EL1, SCTLR_EL2, TCR_EL2, TTBR0_EL2, TTBR1_EL2, MAIR_EL2, HCR_EL2, VTCR_EL2, VTTBR_EL2} {
			s.Reg[reg] = word()
		}
		control := word()
		s.EL, s.PAN, s.UAO = uint8(control%3), control>>8&1 != 0, control>>9&1 != 0
		b.Load(s, nil)
		var vas [8]uint64
		for i := range vas {
			vas[i] = word()
		}
		for at := mmu.PA(arenaBase); len(data) > 0 && at < arenaBase+1<<16; at += 8 {
			b.mem.Store(at, 8, word(), 0)
		}
		for i, va := range vas {
			for a := range mmu.AccessFetch + 1 {
				got, want := b.compare(va, a, control>>(16+uint(i))&1 != 0)
				if got != want {
					t.Fatalf("EL%d, VA %#x, access %d: got %v, want %v", s.EL, va, a, got, want)
				}
			}
		}
	})
}
