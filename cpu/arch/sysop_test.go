package arch

import (
	"strings"
	"testing"

	"ringmap/mmu"
	"ringmap/sim"
)

// guest is a bare PE at EL1 with 4 KiB tables for 39 bits of address at
// 0x1000_0000: level-3 table at +0x2000, which maps pages of the 2 MiB from VA 0
// on; a block of 2 MiB after it.
func newGuest(el uint8) *bare {
	b := newBare(el)
	s := &b.state
	put := func(at mmu.PA, v uint64) { b.mem.Store(0x1000_0000+at, 8, v, 0) }
	put(0, 0x1000_1003)                         // level 1
	put(0x1000, 0x1000_2003)                    // level 2
	put(0x1008, 0x2020_0000|1<<10|3<<8|1<<2|1)  // a block of Device memory, EL1's, global
	put(0x2000, 0x2000_0000|1<<11|1<<10|3<<8|3) // page 0: EL1 RW
	put(0x2008, 0x2000_1000|1<<11|1<<10|1<<6|3) // page 1: EL0 too
	put(0x2010, 0x2000_2000|1<<11|1<<10|3<<6|3) // page 2: read-only, for all
	put(0x2028, 0x2000_5000|1<<11|1<<10|3<<8|3) // page 5: as page 0
	put(0x2018, 0x2000_3000|1<<11|3<<8|3)       // page 3: no access flag
	s.Reg[TTBR0_EL1] = 0x1000_0000 | 5<<48
	s.Reg[TCR_EL1] = 25 | 25<<16 | 1<<23 | 2<<30 | 2<<32 | 1<<36
	s.Reg[MAIR_EL1] = 0x00ff // index 0 Normal, 1 Device-nGnRnE
	s.Reg[SCTLR_EL1] |= sctlrM
	for _, r := range [...][2]Reg{{TTBR0_EL2, TTBR0_EL1}, {MAIR_EL2, MAIR_EL1}} {
		s.Reg[r[0]] = s.Reg[r[1]]
	}
	s.Reg[TCR_EL2] = 25 | 2<<16
	s.Reg[SCTLR_EL2] |= sctlrM
	b.Load(s, nil)
	return b
}

// stage2 puts an identity stage 2 of 1 GiB blocks behind it (level 1, 39 bits)
// but for what level 2 and 3 tables say of the 2 MiB at 0x2000_0000.
func (b *bare) stage2() {
	s := &b.state
	put := func(at mmu.PA, v uint64) { b.mem.Store(0x3000_0000+at, 8, v, 0) }
	put(0, 0x3000_1003)
	for i := range mmu.PA(512) {
		put(0x1000+i*8, uint64(i)<<21|0x7fd)
	}
	put(0x1000+0x100*8, 0x3000_2003)
	for i := range mmu.PA(512) {
		put(0x2000+i*8, 0x2000_0000|uint64(i)<<12|0x7ff)
	}
	put(0x2008, 0x2000_1000|0x77f) // page 1: read-only
	put(0x2010, 0)                 // page 2: nothing
	put(0x2028, 0x2000_5000|0x7c7) // page 5: Device
	s.Reg[VTTBR_EL2] = 0x3000_0000 | 9<<48
	s.Reg[VTCR_EL2] = 25 | 1<<6 | 2<<16 | 1<<19
	s.Reg[HCR_EL2] |= HCRVM
	b.Load(s, nil)
}

// sys executes a SYS instruction by name.
func (b *bare) sys(t *testing.T, name string, v uint64) (Action, Exception, bool) {
	t.Helper()
	for i := range sysOps {
		if sysOps[i].Name == name {
			return b.Sys(sysOps[i].Enc, 0, v)
		}
	}
	t.Fatalf("no %s", name)
	return 0, Exception{}, false
}

// TestAddressTranslation: PAR_EL1 after AT. DDI 0487 D19.2.109.
func TestAddressTranslation(t *testing.T) {
	for _, c := range []struct {
		name   string
		el     uint8
		pan    bool
		stage2 bool
		hcr    uint64
		op     string
		va     uint64
		want   uint64
	}{
		{"page", 1, false, false, 0, "AT S1E1R", 0x123, 0xff00_0000_2000_0980},
		{"page, user", 1, false, false, 0, "AT S1E0R", 0x123, 0x81f},
		{"user page, user", 1, false, false, 0, "AT S1E0W", 0x1123, 0xff00_0000_2000_1800},
		{"user page under PAN", 1, true, false, 0, "AT S1E1R", 0x1123, 0xff00_0000_2000_1800},
		{"user page, PAN asked", 1, true, false, 0, "AT S1E1RP", 0x1123, 0x81f},
		{"read-only page", 1, false, false, 0, "AT S1E1W", 0x2123, 0x81f},
		{"no access flag", 1, false, false, 0, "AT S1E1R", 0x3000, 0x817},
		{"nothing", 1, false, false, 0, "AT S1E1R", 0x4000, 0x80f},
		{"out of range", 1, false, false, 0, "AT S1E1R", 1 << 40, 0x809},
		{"device block", 1, false, false, 0, "AT S1E1W", 0x20_1234, 0x0000_0000_2020_1900},
		{"stage 1 alone before stage 2", 1, false, true, 0, "AT S1E1R", 0x2123, 0xff00_0000_2000_2800},
		{"both stages", 2, false, true, 0, "AT S12E1R", 0x123, 0xff00_0000_2000_0980},
		{"both stages, written", 2, false, true, 0, "AT S12E1W", 0x123, 0xff00_0000_2000_0980},
		{"both stages, read where read-only", 2, false, true, 0, "AT S12E1R", 0x1123, 0xff00_0000_2000_1800},
		{"both stages, Device by stage 2", 2, false, true, 0, "AT S12E1R", 0x5123, 0x0400_0000_2000_5900},
		{"both stages, stage 2 read-only", 2, false, true, 0, "AT S12E1W", 0x1123, 0xa1f},
		{"both stages, nothing at stage 2", 2, false, true, 0, "AT S12E1R", 0x2123, 0xa0f},
		{"both stages, stage 1 forbids", 2, false, true, 0, "AT S12E0R", 0x123, 0x81f},
		{"EL2", 2, false, false, 0, "AT S1E2R", 0x123, 0xff00_0000_2000_0980},
		{"VHE host of itself", 2, false, false, HCRE2H | HCRTGE, "AT S1E1R", 0x123, 0xff00_0000_2000_0980},
		{"EL2 of EL1", 2, false, false, 0, "AT S1E1W", 0x2123, 0x81f},
	} {
		b := newGuest(2)
		if c.stage2 {
			b.stage2()
		}
		b.state.PAN = c.pan
		if c.hcr != 0 { // EL2's tables alone are on then
			b.state.Reg[TCR_EL2], b.state.Reg[SCTLR_EL1] = b.state.Reg[TCR_EL1], 0
			b.Write(HCR_EL2, c.hcr)
		}
		b.setEL(c.el, 1)
		_, e, failed := b.sys(t, c.op, c.va)
		if failed {
			t.Errorf("%s: %+v", c.name, e)
			continue
		}
		if got := b.state.Reg[PAR_EL1]; got != c.want {
			t.Errorf("%s: PAR_EL1 is %#x, want %#x", c.name, got, c.want)
		}
	}
	b := newGuest(1)
	b.stage2()
	b.mem.Store(0x3000_1000+0x80*8, 8, 0, 0) // stage 1's tables are not mapped
	if _, e, failed := b.sys(t, "AT S1E1R", 0x123); !failed || e.EL != 2 || e.ESR != 0x920001c6 || e.IPA != 0x1000_0000 {
		t.Errorf("AT with stage 1's tables out of reach: %v %+v", failed, e)
	}
	b.setEL(2, 1)
	if _, _, failed := b.sys(t, "AT S1E1R", 0x123); failed || b.state.Reg[PAR_EL1] != 0xb0d {
		t.Errorf("the same from EL2: PAR_EL1 is %#x", b.state.Reg[PAR_EL1])
	}
	b.setEL(1, 1)
	if _, e, failed := b.sys(t, "AT S12E1R", 0x123); !failed || e.ESR != 0x02000000 {
		t.Errorf("AT S12E1R at EL1: %v %+v", failed, e)
	}
}

// TestSysActions: what is left to the caller, and who may.
func TestSysActions(t *testing.T) {
	for _, c := range []struct {
		op         string
		el         uint8
		sctlr, hcr uint64
		want       Action
		trap       uint64 // ESR's EC and the EL that takes it, 0: none
	}{
		{"DC ZVA", 1, 0, 0, Zeroes, 0},
		{"DC ZVA", 0, sctlrDZE, 0, Zeroes, 0},
		{"DC ZVA", 0, 0, 0, 0, 0x18<<4 | 1},
		{"DC ZVA", 1, 0, HCRTDZ, 0, 0x18<<4 | 2},
		{"DC CVAC", 0, sctlrUCI, 0, Cleans, 0},
		{"DC CVAC", 0, 0, 0, 0, 0x18<<4 | 1},
		{"DC CVAC", 0, 0, HCRTGE, 0, 0x18<<4 | 2},
		{"DC CIVAC", 1, 0, HCRTPCP, 0, 0x18<<4 | 2},
		{"DC IVAC", 1, 0, 0, Invalidate, 0},
		{"DC IVAC", 0, sctlrUCI, 0, 0, 0<<4 | 1},
		{"DC CISW", 1, 0, 0, SetWay, 0},
		{"DC CISW", 1, 0, HCRTSW, 0, 0x18<<4 | 2},
		{"IC IVAU", 0, sctlrUCI, 0, Fetches, 0},
		{"IC IVAU", 1, 0, HCRTPU, 0, 0x18<<4 | 2},
		{"IC IALLU", 1, 0, 0, DropsCode, 0},
		{"IC IALLUIS", 1, 0, 0, DropsAll, 0},
		{"IC IALLUIS", 0, sctlrUCI, 0, 0, 0<<4 | 1},
		{"TLBI VMALLE1", 1, 0, 0, Local, 0},
		{"TLBI VMALLE1", 1, 0, HCRFB, Broadcast, 0},
		{"TLBI VMALLE1", 2, 0, HCRFB, Local, 0},
		{"TLBI VMALLE1IS", 1, 0, 0, Broadcast, 0},
		{"TLBI VAE1", 0, 0, 0, 0, 0<<4 | 1},
		{"TLBI VAE1", 1, 0, HCRTTLB, 0, 0x18<<4 | 2},
		{"TLBI ALLE1", 1, 0, 0, 0, 0<<4 | 1},
		{"TLBI ALLE1", 2, 0, 0, Local, 0},
		{"AT S1E1R", 1, 0, 0, Translates, 0},
		{"AT S1E1R", 0, 0, 0, 0, 0<<4 | 1},
	} {
		b := newBare(2)
		b.state.Reg[SCTLR_EL1], b.state.Reg[HCR_EL2] = c.sctlr, c.hcr|HCRRW
		b.state.EL = c.el
		b.Load(&b.state, nil)
		a, e, failed := b.sys(t, c.op, 0)
		trap := uint64(0)
		if failed {
			trap = uint64(EC(e.ESR>>esrEC))<<4 | uint64(b.target(&e))
		}
		if a != c.want || trap != c.trap || failed != (c.trap != 0) {
			t.Errorf("%s at EL%d, SCTLR %#x, HCR %#x: action %d, trap %#x, want %d, %#x", c.op, c.el, c.sctlr, c.hcr, a, trap, c.want, c.trap)
		}
	}
	for i := range sysOps { // by EL alone
		op := &sysOps[i]
		for el := range uint8(3) {
			b := newBare(2)
			b.state.Reg[SCTLR_EL1] = all
			b.setEL(el, 0)
			if _, _, failed := b.Sys(op.Enc, 0, 0); failed != (el < op.EL) {
				t.Errorf("%s at EL%d: failed %v", op.Name, el, failed)
			}
		}
		if least := bit(op.Enc>>11&7 == 0, 1) | bit(op.Enc>>11&7 == 4, 2); uint64(op.EL) != least { // op1 says, D1.1
			t.Errorf("%s is for EL%d, want %d", op.Name, op.EL, least)
		}
	}
	b := newBare(1)
	if _, e, failed := b.Sys(EncOf(1, 7, 15, 15, 7), 0, 0); !failed || e.ESR != 0x02000000 {
		t.Error("SYS of nothing does something")
	}
	if _, e, failed := b.Sys(EncOf(3, 0, 7, 8, 0), 0, 0); !failed || e.ESR != 0x02000000 {
		t.Error("SYS with op0 of a register does something")
	}
}

// TestTLBI: after the tables changed, what each instruction brings to light.
func TestTLBI(t *testing.T) {
	type reach struct{ page, otherPage, global, otherASID, otherVMID, el2 bool }
	everything := reach{true, true, true, true, true, false}
	vm := reach{true, true, true, true, false, false}
	for op, want := range map[string]reach{
		"TLBI VAE1": {page: true}, "TLBI VAE1IS": {page: true}, "TLBI VALE1": {page: true}, "TLBI VALE1IS": {page: true},
		"TLBI VAAE1": {page: true, otherASID: true}, "TLBI VAAE1IS": {page: true, otherASID: true},
		"TLBI VAALE1": {page: true, otherASID: true}, "TLBI VAALE1IS": {page: true, otherASID: true},
		"TLBI ASIDE1": {page: true, otherPage: true}, "TLBI ASIDE1IS": {page: true, otherPage: true},
		"TLBI VMALLE1": vm, "TLBI VMALLE1IS": vm, "TLBI VMALLS12E1": vm, "TLBI VMALLS12E1IS": vm,
		"TLBI ALLE1": everything, "TLBI ALLE1IS": everything,
		"TLBI ALLE2": {el2: true}, "TLBI ALLE2IS": {el2: true}, "TLBI VAE2": {el2: true}, "TLBI VAE2IS": {el2: true}, "TLBI VALE2": {el2: true}, "TLBI VALE2IS": {el2: true},
		"TLBI IPAS2E1": {}, "TLBI IPAS2E1IS": {}, "TLBI IPAS2LE1": {}, "TLBI IPAS2LE1IS": {},
	} {
		b := newGuest(2)
		s := &b.state
		look := func(el uint8, asid, vmid, va uint64) bool { // present in the tables, as far as the TLB knows
			s.Reg[TTBR0_EL1] = 0x1000_0000 | asid<<48
			s.Reg[VTTBR_EL2] = vmid << 48
			s.Reg[VTCR_EL2] = 1 << 19
			s.EL = el
			b.Load(s, nil)
			return b.verdict(va, mmu.AccessRead, mmu.ModePriv).fault == ""
		}
		all := func() reach {
			return reach{!look(1, 5, 9, 0), !look(1, 5, 9, 0x1000), !look(1, 5, 9, 0x20_0000), !look(1, 6, 9, 0), !look(1, 5, 10, 0), !look(2, 0, 0, 0)}
		}
		if all() != (reach{}) {
			t.Fatalf("%s: not everything is mapped", op)
		}
		for _, at := range []mmu.PA{0x1008, 0x2000, 0x2008} {
			b.mem.Store(0x1000_0000+at, 8, 0, 0)
		}
		look(2-uint8(bit(strings.Contains(op, "VA") && !strings.Contains(op, "2") || strings.Contains(op, "ASID"), 1)), 5, 9, 0x5000)
		operand := uint64(5) << 48
		if _, e, failed := b.sys(t, op, operand); failed {
			t.Fatalf("%s: %+v", op, e)
		}
		if got := all(); got != want {
			t.Errorf("%s reached %+v, want %+v", op, got, want)
		}
	}
}

// TestTLBIOperand: addresses of either half, tags and ASIDs as instructions hold
// them.
func TestTLBIOperand(t *testing.T) {
	const va = 0xffff_ff80_0000_1000
	const page = va >> 12 & (1<<44 - 1)
	for _, c := range []struct {
		op      string
		as      uint64 // TCR.AS
		operand uint64
		gone    bool
	}{
		{"TLBI VAE1", 1, 0x0105<<48 | page, true},
		{"TLBI VAE1", 1, 0x0205<<48 | page, false},
		{"TLBI VAE1", 0, 0x0205<<48 | page, true}, // 8-bit ASIDs
		{"TLBI VAE1", 1, 0x0105<<48 | 1, false},   // the other half
		{"TLBI VAAE1", 1, page, true},
		{"TLBI ASIDE1", 1, 0x0105 << 48, true},
		{"TLBI ASIDE1", 1, 0x0005 << 48, false},
	} {
		b := newGuest(1)
		s := &b.state
		s.Reg[TTBR1_EL1], s.Reg[TTBR0_EL1] = 0x1000_0000, 0x1000_0000|0x0105<<48
		s.Reg[TCR_EL1] = s.Reg[TCR_EL1]&^(1<<23|1<<36) | c.as<<36
		b.Load(s, nil)
		if v := b.verdict(va, mmu.AccessRead, mmu.ModePriv); v.fault != "" {
			t.Fatal(v)
		}
		b.sys(t, c.op, c.operand)
		if gone := b.Peek(va) == nil; gone != c.gone {
			t.Errorf("%s %#x with AS %d: gone %v", c.op, c.operand, c.as, gone)
		}
	}
}

// TestStage2Sequence: KVM's way of changing a stage-2 mapping under a running
// guest. IPAS2E1 alone may leave the combined entry, and here does.
func TestStage2Sequence(t *testing.T) {
	b := newGuest(2)
	b.stage2()
	read := func() string {
		b.setEL(1, 1)
		v := b.verdict(0x123, mmu.AccessRead, mmu.ModePriv)
		b.setEL(2, 1)
		return v.String()
	}
	const before, after = "pa=0x20000123 device=false", "pa=0x20007123 device=false"
	if got := read(); got != before {
		t.Fatal(got)
	}
	b.mem.Store(0x3000_2000, 8, 0x2000_7000|0x7ff, 0)
	for _, step := range []struct{ op, want string }{
		{"TLBI IPAS2E1IS", before},
		{"TLBI VMALLE1IS", after},
	} {
		b.sys(t, step.op, 0x2000_0000>>12)
		if got := read(); got != step.want {
			t.Errorf("after %s: %s, want %s", step.op, got, step.want)
		}
	}
}

// TestShortVMID: without VTCR_EL2.VS a VMID has 8 bits.
func TestShortVMID(t *testing.T) {
	for _, vs := range []uint64{0, 1} {
		b := newGuest(1)
		s := &b.state
		s.Reg[VTCR_EL2] = vs << 19
		for vmid, want := range map[uint64]uint16{0x0109: []uint16{9, 0x109}[vs], 9: 9} {
			s.Reg[VTTBR_EL2] = vmid << 48
			b.Load(s, nil)
			if b.Present.VMID != want {
				t.Errorf("VS %d: VMID %#x is %#x", vs, vmid, b.Present.VMID)
			}
		}
	}
}

// TestEpoch: what EXEC keeps of a translation dies with every change that
// matters, and survives those that do not.
func TestEpoch(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(*bare)
		want bool
	}{
		"nothing":          {func(b *bare) {}, false},
		"a hit":            {func(b *bare) { b.verdict(0, mmu.AccessRead, mmu.ModePriv) }, false},
		"TPIDR":            {func(b *bare) { b.Write(TPIDR_EL1, 1) }, false},
		"PAN":              {func(b *bare) { b.Write(PAN, all) }, false}, // another mode
		"TTBR0":            {func(b *bare) { b.Write(TTBR0_EL1, 0x1000_0000|6<<48) }, true},
		"the same TTBR0":   {func(b *bare) { b.Write(TTBR0_EL1, 0x1000_0000|5<<48) }, false},
		"TCR":              {func(b *bare) { b.Write(TCR_EL1, 25) }, true},
		"SCTLR":            {func(b *bare) { b.Write(SCTLR_EL1, 0) }, true},
		"MAIR":             {func(b *bare) { b.Write(MAIR_EL1, 0) }, true},
		"TLBI":             {func(b *bare) { b.Sys(EncOf(1, 0, 8, 7, 0), 31, 0) }, true},
		"exception to EL1": {func(b *bare) { b.Take(b.SVC(0)) }, false},
		"exception to EL2": {func(b *bare) { b.Take(b.HVC(0)) }, true},
		"return to EL0":    {func(b *bare) { b.state.Reg[SPSR_EL1] = 0; b.ExceptionReturn() }, false},
		"an equal state":   {func(b *bare) { s := b.state; b.Load(&s, nil) }, false},
		"another state":    {func(b *bare) { s := b.state; s.Reg[TTBR0_EL1] ^= 1 << 50; b.Load(&s, nil) }, true},
		"another stage 2":  {func(b *bare) { b.Load(&b.state, &mmu.Stage2{}) }, true},
		"VTTBR":            {func(b *bare) { b.state.Reg[VTTBR_EL2] = 1 << 20; b.Refresh() }, true},
	} {
		b := newGuest(1)
		if name == "VTTBR" {
			b.stage2()
		}
		b.verdict(0, mmu.AccessRead, mmu.ModePriv)
		before := b.Epoch()
		c.do(b)
		if got := b.Epoch() != before; got != c.want {
			t.Errorf("%s: the epoch changed: %v", name, got)
		}
	}
}

// TestSnapshot: save, restore, continue equals the undisturbed run.
func TestSnapshot(t *testing.T) {
	sync := func(b *bare, r *sim.Stream, c *sim.Codec) {
		b.mem.Sync(c)
		b.domain.Sync(c, b.mem)
		b.state.Sync(c)
		r.Sync(c)
		if c.Loading() {
			b.Load(&b.state, nil)
		}
		b.PE.Sync(c)
	}
	step := func(b *bare, r *sim.Stream) (seen [4]uint64) {
		b.Now += sim.Cycle(r.N(1000))
		switch r.N(12) {
		case 0:
			b.Write(Reg(1+r.N(uint64(NumRegs)-1)), r.Uint64())
		case 1:
			op := sysOps[r.N(uint64(len(sysOps)))]
			b.Sys(op.Enc, 3, r.Uint64()&(0xffff<<48|3))
		case 2:
			b.Take(b.SVC(uint16(r.N(9))))
		case 3:
			b.ExceptionReturn()
		case 4:
			b.state.Reg[SPSR_EL1], b.state.Reg[SPSR_EL2] = r.N(16), r.N(16)
		case 5:
			b.chooseRegisters(r)
		case 6:
			e, ok := b.Pending()
			if ok {
				b.Take(e)
			}
			b.Lines = Lines{IRQ: r.N(2) == 0, VIRQ: r.N(2) == 0}
		default:
			got, _ := b.compare(chooseVA(r), mmu.Access(r.N(3)), r.N(2) == 0)
			seen[2] = got.pa
		}
		seen[0], seen[1] = b.PC, b.Epoch()
		seen[3] = uint64(b.TimerDeadline(VirtTimer))
		return seen
	}
	for seed := range uint64(3) {
		a, r := newBare(2), sim.NewStream(seed, "snapshot")
		a.fillArena(&r)
		for range 2000 {
			step(a, &r)
		}
		e := sim.NewEncoder()
		sync(a, &r, e)
		z, q := newBare(1), sim.NewStream(77, "other")
		d := sim.NewDecoder(e.Finish())
		sync(z, &q, d)
		if d.Finish(); d.Err() != nil {
			t.Fatal(d.Err())
		}
		for i := range 2000 {
			if got, want := step(z, &q), step(a, &r); got != want {
				t.Fatalf("seed %d: step %d after the restore: %#x, undisturbed %#x", seed, i, got, want)
			}
		}
		h, g := sim.NewHasher(), sim.NewHasher()
		sync(a, &r, h)
		sync(z, &q, g)
		if h.Sum() != g.Sum() {
			t.Errorf("seed %d: the states differ in the end", seed)
		}
	}
}

// TestStateRefusesDamage: a damaged state gives an error or another state, never
// a panic, now or later.
func TestStateRefusesDamage(t *testing.T) {
	a := newGuest(2)
	e := sim.NewEncoder()
	a.state.Sync(e)
	good := e.Finish()
	var same State
	d := sim.NewDecoder(good)
	same.Sync(d)
	if d.Finish(); d.Err() != nil || same != a.state {
		t.Fatalf("undamaged: %v", d.Err())
	}
	for i := range good {
		for _, flip := range []byte{1, 0x80, 0xff} {
			bad := append([]byte(nil), good...)
			bad[i] ^= flip
			z := newBare(1)
			d := sim.NewDecoder(bad)
			z.state.Sync(d)
			if d.Finish(); d.Err() != nil {
				continue
			}
			z.Load(&z.state, nil)
			z.verdict(0x1000, mmu.AccessRead, z.Mode())
			z.Pending()
			z.ExceptionReturn()
			for r := NoReg; r < NumRegs; r++ {
				z.Read(r)
			}
			z.Take(z.Unknown())
		}
	}
}

// BenchmarkTranslate is a hit of the TLB, by the PE.
func BenchmarkTranslate(b *testing.B) {
	g := newGuest(1)
	for b.Loop() {
		if e, _, _ := g.Translate(0x1008, mmu.AccessRead, mmu.ModePriv); e == nil {
			b.Fatal("no translation")
		}
	}
}

// BenchmarkTTBR is a switch of address spaces.
func BenchmarkTTBR(b *testing.B) {
	g := newGuest(1)
	for i := 0; b.Loop(); i++ {
		g.Write(TTBR0_EL1, 0x1000_0000|uint64(i&63)<<48)
	}
}
