package arch

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/mmu"
)

// TestVectors: where each exception goes, and with what PSTATE. DDI 0487 D1.3.
func TestVectors(t *testing.T) {
	sync := func(p *PE) Exception { return p.SVC(0) }
	irq := func(p *PE) Exception { return Exception{Kind: IRQ, Return: p.PC} }
	serror := func(p *PE) Exception { return Exception{Kind: SError, ESR: esr(ECSError, 0), Return: p.PC} }
	hvc := func(p *PE) Exception { return p.HVC(1) }
	to2 := func(p *PE) Exception { return Exception{Kind: IRQ, EL: 2, Return: p.PC} }
	const span, dssbs = sctlrSPAN, sctlrDSSBS
	for _, c := range []struct {
		name       string
		el, spsel  uint8
		sctlr, hcr uint64
		pan        bool
		e          func(*PE) Exception
		want       uint64 // PC; VBAR_EL1 is 0x10000, VBAR_EL2 0x20000
		state      PState
	}{
		{"SVC at EL0", 0, 0, span, 0, false, sync, 0x10400, PState{EL: 1}},
		{"SVC at EL1t", 1, 0, span, 0, false, sync, 0x10000, PState{EL: 1}},
		{"SVC at EL1h", 1, 1, span, 0, false, sync, 0x10200, PState{EL: 1}},
		{"SVC at EL2h", 2, 1, 0, 0, false, sync, 0x20200, PState{EL: 2}},
		{"SVC at EL2t", 2, 0, 0, 0, false, sync, 0x20000, PState{EL: 2}},
		{"IRQ at EL0", 0, 0, span, 0, false, irq, 0x10480, PState{EL: 1}},
		{"IRQ at EL1h", 1, 1, span, 0, false, irq, 0x10280, PState{EL: 1}},
		{"SError at EL1h", 1, 1, span, 0, false, serror, 0x10380, PState{EL: 1}},
		{"HVC at EL1", 1, 1, span, 0, false, hvc, 0x20400, PState{EL: 2}},
		{"HVC at EL2", 2, 1, span, 0, false, hvc, 0x20200, PState{EL: 2}},
		{"HVC disabled", 1, 1, span, HCRHCD, false, hvc, 0x10200, PState{EL: 1}},
		{"HVC at EL0", 0, 0, span, 0, false, hvc, 0x10400, PState{EL: 1}},
		{"IRQ from EL1 to EL2", 1, 1, 0, 0, false, to2, 0x20480, PState{EL: 2}},
		{"SVC at EL0 under TGE", 0, 0, 0, HCRTGE, false, sync, 0x20400, PState{EL: 2}},
		{"SVC at EL0 under a VHE host", 0, 0, 0, HCRTGE | HCRE2H, false, sync, 0x20400, PState{EL: 2, PAN: true}},
		{"PAN set on entry", 0, 0, 0, 0, false, sync, 0x10400, PState{EL: 1, PAN: true}},
		{"PAN kept", 0, 0, span, 0, true, sync, 0x10400, PState{EL: 1, PAN: true}},
		{"SSBS by DSSBS", 1, 1, span | dssbs, 0, false, sync, 0x10200, PState{EL: 1, SSBS: true}},
	} {
		b := newBare(2)
		s := &b.state
		s.Reg[VBAR_EL1], s.Reg[VBAR_EL2] = 0x10000, 0x20000
		s.Reg[SCTLR_EL1], s.Reg[SCTLR_EL2], s.Reg[HCR_EL2] = c.sctlr, c.sctlr, c.hcr
		s.PState = PState{NZCV: 9, DAIF: 1, PAN: c.pan, UAO: true, IL: true, EL: c.el, SPSel: c.spsel}
		s.PC = 0x8000
		b.Load(s, nil)
		before := s.SPSR()
		el := b.Take(c.e(b.PE))
		c.state.NZCV, c.state.DAIF, c.state.SPSel = 9, 15, 1
		if diff := cmp.Diff(c.state, s.PState); diff != "" || s.PC != c.want || el != s.EL {
			t.Errorf("%s: PC %#x, want %#x; EL%d; PSTATE (-want +got):\n%s", c.name, s.PC, c.want, el, diff)
		}
		if saved := s.Reg[banks[el-1].spsr]; saved != before {
			t.Errorf("%s: saved PSTATE %#x, was %#x", c.name, saved, before)
		}
	}
}

// TestSyndromes: ESR, FAR, HPFAR and the return address, as known machines show
// them.
func TestSyndromes(t *testing.T) {
	const va = 0xffff_8000_1234_5678
	translation := mmu.Abort{VA: va, Kind: mmu.FaultTranslation, Level: 3}
	stage2 := mmu.Abort{VA: va, IPA: 0x9000_0018, Kind: mmu.FaultTranslation, Level: 3, Stage2: true}
	walk := mmu.Abort{VA: va, IPA: 0x4000_1ff8, Kind: mmu.FaultPermission, Level: 2, Stage2: true, Walk: true}
	second := func(e Exception, _ bool) Exception { return e }
	storeW2 := NewTransfer(2, 2, false, false, false)
	for _, c := range []struct {
		name string
		el   uint8
		e    func(p *PE) Exception
		to   uint8
		esr  uint64
		far  uint64
		hp   uint64
		next bool // returns behind the instruction
	}{
		{"SVC", 0, func(p *PE) Exception { return p.SVC(0) }, 1, 0x56000000, 0, 0, true},
		{"HVC", 1, func(p *PE) Exception { return p.HVC(0x4b48) }, 2, 0x5a004b48, 0, 0, true},
		{"BRK", 1, func(p *PE) Exception { return p.BRK(0x800) }, 1, 0xf2000800, 0, 0, false},
		{"BRK debugged by EL2", 1, func(p *PE) Exception { p.State.Reg[MDCR_EL2] = mdcrTDE; return p.BRK(1) }, 2, 0xf2000001, 0, 0, false},
		{"external, to EL2", 1, func(p *PE) Exception { p.State.Reg[HCR_EL2] |= HCRTEA; return p.External(va, false) }, 2, 0x92000010, va, 0, false},
		{"unknown", 1, (*PE).Unknown, 1, 0x02000000, 0, 0, false},
		{"SMC without firmware", 1, func(p *PE) Exception { return second(p.SMC(0)) }, 1, 0x02000000, 0, 0, false},
		{"illegal state", 1, (*PE).IllegalState, 1, 0x3a000000, 0, 0, false},
		{"PC alignment", 0, (*PE).PCAlignment, 1, 0x8a000000, 0x8000, 0, false},
		{"SP alignment", 1, (*PE).SPAlignment, 1, 0x9a000000, 0, 0, false},
		{"read from EL0", 0, func(p *PE) Exception { return p.DataAbort(translation, false, false, 0) }, 1, 0x92000007, va, 0, false},
		{"write from EL0", 0, func(p *PE) Exception { return p.DataAbort(translation, true, false, storeW2) }, 1, 0x92000047, va, 0, false},
		{"write from EL1", 1, func(p *PE) Exception { return p.DataAbort(translation, true, false, storeW2) }, 1, 0x96000047, va, 0, false},
		{"DC from EL1", 1, func(p *PE) Exception { return p.DataAbort(translation, false, true, 0) }, 1, 0x96000147, va, 0, false},
		{"fetch from EL0", 0, func(p *PE) Exception { return p.InstructionAbort(translation) }, 1, 0x82000007, va, 0, false},
		{"fetch from EL1", 1, func(p *PE) Exception {
			return p.InstructionAbort(mmu.Abort{VA: va, Kind: mmu.FaultPermission, Level: 2})
		}, 1, 0x8600000e, va, 0, false},
		{"MMIO write", 1, func(p *PE) Exception { return p.DataAbort(stage2, true, false, storeW2) }, 2, 0x93820047, va, 0x900000, false},
		{"MMIO LDRSB to X5, acquire", 0, func(p *PE) Exception {
			return p.DataAbort(stage2, false, false, NewTransfer(0, 5, true, true, true))
		}, 2, 0x9325c007, va, 0x900000, false},
		{"MMIO by a pair", 0, func(p *PE) Exception { return p.DataAbort(stage2, true, false, 0) }, 2, 0x92000047, va, 0x900000, false},
		{"stage 2 on a walk, store", 1, func(p *PE) Exception { return p.DataAbort(walk, true, false, storeW2) }, 2, 0x9200008e, va, 0x400010, false},
		{"stage 2 on a walk, fetch", 1, func(p *PE) Exception { return p.InstructionAbort(walk) }, 2, 0x8200008e, va, 0x400010, false},
		{"alignment", 1, func(p *PE) Exception {
			return p.DataAbort(mmu.Abort{VA: va, Kind: mmu.FaultAlignment}, true, false, 0)
		}, 1, 0x96000061, va, 0, false},
		{"address size", 1, func(p *PE) Exception {
			return p.DataAbort(mmu.Abort{VA: va, Kind: mmu.FaultAddressSize, Level: 0}, false, false, 0)
		}, 1, 0x96000000, va, 0, false},
		{"access flag", 1, func(p *PE) Exception {
			return p.DataAbort(mmu.Abort{VA: va, Kind: mmu.FaultAccessFlag, Level: 1}, false, false, 0)
		}, 1, 0x96000009, va, 0, false},
		{"external", 1, func(p *PE) Exception { return p.External(va, false) }, 1, 0x96000010, va, 0, false},
		{"external fetch", 0, func(p *PE) Exception { return p.External(va, true) }, 1, 0x82000010, va, 0, false},
		{"MRS ID_AA64PFR0_EL1", 1, func(p *PE) Exception {
			p.State.Reg[HCR_EL2] |= HCRTID3
			_, e, _ := p.MRS(EncOf(3, 0, 0, 4, 0), 0)
			return e
		}, 2, 0x62300009, 0, 0, false},
		{"MSR ICC_SGI1R_EL1", 1, func(p *PE) Exception {
			p.State.Reg[HCR_EL2] |= HCRIMO
			e, _ := p.MSR(EncOf(3, 0, 12, 11, 5), 1, 7)
			return e
		}, 2, 0x623a3036, 0, 0, false},
		{"MRS of what is not there", 1, func(p *PE) Exception { return second2(p.MRS(EncOf(3, 6, 1, 0, 0), 0)) }, 1, 0x02000000, 0, 0, false},
		{"MRS of another maker's", 1, func(p *PE) Exception {
			p.State.Reg[HCR_EL2] |= HCRTIDCP
			return second2(p.MRS(EncOf(3, 1, 15, 1, 2), 3))
		}, 2, 0x62347c63, 0, 0, false},
		{"CTR_EL0 at EL0", 0, func(p *PE) Exception { return second2(p.MRS(EncOf(3, 3, 0, 0, 1), 9)) }, 1, 0x6232c121, 0, 0, false},
		{"FP without CPACR", 0, func(p *PE) Exception { return p.RegTrap(p.FPTrap(), 0, 0, false) }, 1, 0x1fe00000, 0, 0, false},
		{"WFI", 1, func(p *PE) Exception { p.State.Reg[HCR_EL2] |= HCRTWI; return second(p.WFI()) }, 2, 0x07e00000, 0, 0, false},
		{"WFE", 1, func(p *PE) Exception { p.State.Reg[HCR_EL2] |= HCRTWE; return second(p.WFE()) }, 2, 0x07e00001, 0, 0, false},
		{"WFE at EL0", 0, func(p *PE) Exception { p.State.Reg[SCTLR_EL1] = 0; return second(p.WFE()) }, 1, 0x07e00001, 0, 0, false},
		{"SMC trapped", 1, func(p *PE) Exception { p.State.Reg[HCR_EL2] |= HCRTSC; return second(p.SMC(0)) }, 2, 0x5e000000, 0, 0, false},
		{"TLBI trapped", 1, func(p *PE) Exception {
			p.State.Reg[HCR_EL2] |= HCRTTLB
			_, e, _ := p.Sys(EncOf(1, 0, 8, 3, 0), 31, 0)
			return e
		}, 2, 0x621023e6, 0, 0, false},
		{"DC ZVA at EL0 without DZE", 0, func(p *PE) Exception {
			p.State.Reg[SCTLR_EL1] = 0
			_, e, _ := p.Sys(EncOf(1, 3, 7, 4, 1), 0, 0)
			return e
		}, 1, 0x6212dc08, 0, 0, false},
	} {
		b := newBare(2)
		s := &b.state
		s.PC = 0x8000
		b.setEL(c.el, c.el&1)
		if to := b.Take(c.e(b.PE)); to != c.to {
			t.Errorf("%s: to EL%d, want EL%d", c.name, to, c.to)
			continue
		}
		bank := &banks[c.to-1]
		got := [4]uint64{s.Reg[bank.esr], s.Reg[bank.far], s.Reg[HPFAR_EL2], s.Reg[bank.elr]}
		want := [4]uint64{c.esr, c.far, c.hp, 0x8000 + bit(c.next, 4)}
		if got != want {
			t.Errorf("%s: ESR, FAR, HPFAR, ELR are %#x, want %#x", c.name, got, want)
		}
	}
}

func second2(_ uint64, e Exception, _ bool) Exception { return e }

// TestModelledHost: with the kernel modelled, an exception to EL2 tells it all
// and changes nothing else.
func TestModelledHost(t *testing.T) {
	b := newBare(1)
	b.HostEL2 = true
	s := &b.state
	s.PC, s.NZCV = 0x8000, 5
	pstate := s.PState
	if el := b.Take(b.HVC(3)); el != 2 {
		t.Fatalf("HVC went to EL%d", el)
	}
	if s.PState != pstate || s.PC != 0x8000 || s.Reg[ELR_EL2] != 0x8004 || s.Reg[SPSR_EL2] != pstate.SPSR() || s.Reg[ESR_EL2] != 0x5a000003 {
		t.Errorf("PSTATE %+v, PC %#x, ELR %#x, ESR %#x", s.PState, s.PC, s.Reg[ELR_EL2], s.Reg[ESR_EL2])
	}
	s.Reg[VBAR_EL1], s.Reg[SCTLR_EL1] = 0x10000, sctlrSPAN
	e := b.External(0x1234, false)
	e.EL = 2
	b.Inject(e)
	if s.PC != 0x10200 || s.EL != 1 || s.Reg[ESR_EL1] != 0x96000010 || s.Reg[FAR_EL1] != 0x1234 {
		t.Errorf("injected: PC %#x, EL%d, ESR %#x", s.PC, s.EL, s.Reg[ESR_EL1])
	}
}

// TestExceptionReturn: every mode from every EL, legal or not.
func TestExceptionReturn(t *testing.T) {
	const flags = 0x9<<28 | spsrPAN | spsrUAO | spsrSSBS | spsrSS | 5<<6
	for el := uint8(0); el <= 2; el++ {
		for mode := range uint64(32) {
			for _, tge := range []uint64{0, HCRTGE} {
				b := newBare(2)
				s := &b.state
				s.Reg[HCR_EL2] = HCRRW | tge
				s.PState = PState{EL: el, SPSel: el & 1, DAIF: 15}
				b.Load(s, nil)
				s.Reg[banks[max(el, 1)-1].spsr] = flags | mode
				s.Reg[banks[max(el, 1)-1].elr] = 0x4444
				s.Monitor.Size, s.Event, s.PC = 8, false, 0x8000
				_, undefined := b.ExceptionReturn()
				if el == 0 {
					if !undefined || s.PC != 0x8000 || s.Monitor.Size == 0 {
						t.Errorf("ERET at EL0 with SPSR %#x: %v", mode, undefined)
					}
					continue
				}
				to := uint8(mode >> 2 & 3)
				legal := mode == 0 || mode == 4 || mode == 5 || mode == 8 || mode == 9
				legal = legal && to <= el && !(tge != 0 && el == 2 && to == 1)
				want := PState{NZCV: 9, DAIF: 5, EL: el, SPSel: el & 1, PAN: true, UAO: true, IL: true}
				if legal {
					want.EL, want.SPSel, want.IL, want.SSBS = to, uint8(mode&1), false, true
				}
				if undefined || s.PState != want || s.PC != 0x4444 || s.Monitor.Size != 0 || !s.Event {
					t.Errorf("EL%d, mode %#x, TGE %#x: PSTATE %+v, want %+v; PC %#x", el, mode, tge, s.PState, want, s.PC)
				}
			}
		}
	}
	b := newBare(1)
	b.state.Reg[SPSR_EL1] = 5 | spsrIL
	b.ExceptionReturn()
	if !b.state.IL || b.EL != 1 {
		t.Errorf("a saved IL is not restored: %+v", b.state.PState)
	}
}

// TestSPSR: what an exception saves, its return restores.
func TestSPSR(t *testing.T) {
	for i := range 1 << 13 {
		p := PState{NZCV: uint8(i & 15), DAIF: uint8(i >> 4 & 15), PAN: i>>8&1 != 0, UAO: i>>9&1 != 0, SSBS: i>>10&1 != 0}
		p.EL = uint8(i >> 11 & 3 % 3)
		p.SPSel = min(p.EL, 1)
		b := newBare(2)
		b.state.PState = p
		b.Load(&b.state, nil)
		b.Take(Exception{Kind: IRQ, EL: 2, Return: 0x10})
		b.ExceptionReturn()
		if b.state.PState != p {
			t.Fatalf("%+v came back as %+v", p, b.state.PState)
		}
	}
}

// TestBranchAddr: tags leave the PC where the top byte is ignored.
func TestBranchAddr(t *testing.T) {
	for _, c := range []struct {
		el       uint8
		tcr, hcr uint64
		to, want uint64
	}{
		{1, 0, 0, 0x12_00_0000_0000_1000, 0x12_00_0000_0000_1000},
		{1, 1 << 37, 0, 0x12_00_0000_0000_1000, 0x1000},
		{1, 1 << 37, 0, 0x12_ff_0000_0000_1000, 0x12_ff_0000_0000_1000},
		{1, 1 << 38, 0, 0x12_ff_0000_0000_1000, 0xff_ff_0000_0000_1000},
		{0, 1 << 38, 0, 0x12_80_0000_0000_1000, 0xff_80_0000_0000_1000},
		{2, 1 << 20, 0, 0x12_80_0000_0000_1000, 0x80_0000_0000_1000},
		{2, 0, 0, 0x12_80_0000_0000_1000, 0x12_80_0000_0000_1000},
		{2, 1 << 37, HCRE2H, 0x12_00_0000_0000_1000, 0x1000},
		{1, 3 << 37, 0, 0xffff_0000_0000_1000, 0xffff_0000_0000_1000},
	} {
		b := newBare(2)
		b.state.Reg[TCR_EL1], b.state.Reg[TCR_EL2], b.state.Reg[HCR_EL2] = c.tcr, c.tcr, c.hcr
		b.state.EL = c.el
		b.Load(&b.state, nil)
		if got := b.BranchAddr(c.to); got != c.want {
			t.Errorf("EL%d, TCR %#x: %#x becomes %#x, want %#x", c.el, c.tcr, c.to, got, c.want)
		}
	}
}

// TestInterrupts: which interrupt is taken, and where. DDI 0487 D1.3.6.
func TestInterrupts(t *testing.T) {
	for _, c := range []struct {
		name  string
		el    uint8
		daif  uint8
		hcr   uint64
		lines Lines
		want  string
	}{
		{"none", 1, 0, 0, Lines{}, ""},
		{"IRQ", 1, 0, 0, Lines{IRQ: true}, "1 to EL1"},
		{"IRQ masked", 1, 2, 0, Lines{IRQ: true}, ""},
		{"IRQ with FIQ masked", 1, 1, 0, Lines{IRQ: true}, "1 to EL1"},
		{"FIQ before IRQ", 0, 0, 0, Lines{IRQ: true, FIQ: true}, "2 to EL1"},
		{"SError first", 0, 0, 0, Lines{IRQ: true, FIQ: true, SError: true}, "3 to EL1"},
		{"IRQ to EL2, masked or not", 1, 15, HCRIMO, Lines{IRQ: true}, "1 to EL2"},
		{"IRQ at EL2", 2, 0, HCRIMO, Lines{IRQ: true}, "1 to EL2"},
		{"IRQ at EL2, masked", 2, 2, HCRIMO, Lines{IRQ: true}, ""},
		{"EL1's IRQ at EL2", 2, 0, 0, Lines{IRQ: true}, ""},
		{"IRQ at EL2 under TGE", 2, 0, HCRTGE, Lines{IRQ: true}, "1 to EL2"},
		{"IRQ at EL0 under TGE", 0, 15, HCRTGE | HCRE2H, Lines{IRQ: true}, "1 to EL2"},
		{"virtual IRQ", 1, 0, HCRIMO, Lines{VIRQ: true}, "1 to EL1"},
		{"virtual IRQ masked", 1, 2, HCRIMO, Lines{VIRQ: true}, ""},
		{"virtual IRQ without IMO", 1, 0, 0, Lines{VIRQ: true}, ""},
		{"virtual IRQ at EL2", 2, 0, HCRIMO, Lines{VIRQ: true}, ""},
		{"virtual IRQ under TGE", 0, 0, HCRIMO | HCRTGE, Lines{VIRQ: true}, ""},
		{"HCR_EL2.VI", 0, 0, HCRIMO | HCRVI, Lines{}, "1 to EL1"},
		{"HCR_EL2.VF", 0, 0, HCRFMO | HCRVF, Lines{}, "2 to EL1"},
		{"physical before virtual", 0, 0, HCRIMO | HCRVI, Lines{IRQ: true}, "1 to EL2"},
		{"HCR_EL2.VSE", 1, 0, HCRAMO | HCRVSE, Lines{}, "3 to EL1"},
	} {
		b := newBare(2)
		b.state.Reg[HCR_EL2] = c.hcr | HCRRW
		b.state.PState = PState{EL: c.el, SPSel: min(c.el, 1), DAIF: c.daif}
		b.Load(&b.state, nil)
		b.Lines = c.lines
		got := ""
		if e, ok := b.Pending(); ok {
			got = fmt.Sprintf("%d to EL%d", e.Kind, b.Take(e))
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if b.state.Reg[HCR_EL2]&HCRVSE != 0 {
			t.Errorf("%s: the virtual SError is still pending", c.name)
		}
	}
	b := newBare(1)
	b.Lines = Lines{IRQ: true, VFIQ: true}
	b.state.Reg[HCR_EL2] |= HCRFMO
	if v, _ := b.Read(ISR_EL1); v != 1<<7|1<<6 {
		t.Errorf("ISR_EL1 is %#x", v)
	}
	if b.state.DAIF != 15 || !b.Wakes() {
		t.Error("a masked interrupt does not end WFI")
	}
	b.Lines = Lines{}
	if b.Wakes() {
		t.Error("nothing ends WFI")
	}
	b = newBare(2)
	b.state.Reg[HCR_EL2] |= HCRFMO
	b.Lines = Lines{IRQ: true, VFIQ: true}
	if v, _ := b.Read(ISR_EL1); v != 1<<7 {
		t.Errorf("ISR_EL1 at EL2 is %#x", v)
	}
	b.Lines = Lines{VFIQ: true}
	if b.Wakes() {
		t.Error("a virtual interrupt wakes EL2")
	}
}

// TestFirmware: SMC is the firmware's where there is one, above EL0.
func TestFirmware(t *testing.T) {
	b := newBare(1)
	if _, firmware := b.SMC(0); firmware {
		t.Error("firmware that is not there answers")
	}
	b.Firmware = true
	if _, firmware := b.SMC(0); !firmware {
		t.Error("the firmware does not answer")
	}
	b.setEL(0, 0)
	if _, firmware := b.SMC(0); firmware {
		t.Error("the firmware answers EL0")
	}
}

// TestChecks: which accesses must be aligned, by EL.
func TestChecks(t *testing.T) {
	for _, c := range []struct {
		el         uint8
		reg        Reg
		bits, hcr  uint64
		sp, access bool
	}{
		{1, SCTLR_EL1, 0, 0, false, false},
		{1, SCTLR_EL1, 1 << 1, 0, false, true},
		{1, SCTLR_EL1, 1 << 3, 0, true, false},
		{1, SCTLR_EL1, 1 << 4, 0, false, false},
		{0, SCTLR_EL1, 1 << 4, 0, true, false},
		{0, SCTLR_EL1, 1 << 3, 0, false, false},
		{0, SCTLR_EL1, 1 << 1, 0, false, true},
		{2, SCTLR_EL2, 1<<3 | 1<<1, 0, true, true},
		{2, SCTLR_EL1, 1<<3 | 1<<1, 0, false, false},
		{0, SCTLR_EL2, 1<<4 | 1<<1, HCRE2H | HCRTGE, true, true},
	} {
		b := newBare(2)
		b.state.Reg[SCTLR_EL1], b.state.Reg[SCTLR_EL2], b.state.Reg[HCR_EL2] = 0, 0, c.hcr
		b.state.Reg[c.reg] = c.bits
		b.setEL(c.el, 0)
		if b.ChecksSP() != c.sp || b.ChecksAlignment() != c.access {
			t.Errorf("%+v: SP %v, accesses %v", c, b.ChecksSP(), b.ChecksAlignment())
		}
	}
}
