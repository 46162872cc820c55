package arch

import (
	"fmt"
	mathbits "math/bits"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/cpu/isa"
)

// TestTable: every register has a row, under the name that the assembler gives
// its encoding, and rows agree with themselves.
func TestTable(t *testing.T) {
	encs := map[Enc]Reg{}
	for r := NoReg + 1; r < NumRegs; r++ {
		row := r.Row()
		if row.Name == "" {
			t.Fatalf("register %d has no row", r)
		}
		if name := isa.SysReg(row.Enc).String(); !strings.HasSuffix(row.Name, "_RES0") && !strings.EqualFold(name, row.Name) && row.Name != "DBGDTRX_EL0" {
			t.Errorf("%s has the encoding of %s", row.Name, name)
		}
		if other, ok := encs[row.Enc]; ok {
			t.Errorf("%s and %s have one encoding", row.Name, other)
		}
		encs[row.Enc] = r
		if got := RegAt(row.Enc); got != r {
			t.Errorf("%s is found as %s", row.Name, got)
		}
		if row.Enc>>14 < 2 {
			t.Errorf("%s: op0 is %d", row.Name, row.Enc>>14)
		}
		if row.EL[0]&^row.EL[1] != 0 || row.EL[1]&^row.EL[2] != 0 {
			t.Errorf("%s: a lower EL may do more: %v", row.Name, row.EL)
		}
		if row.Host != NoReg && row.Host.Row().EL[2] == no {
			t.Errorf("%s: for a VHE host %s, which EL2 may not access", row.Name, row.Host)
		}
		if (row.Effect == Zero) && (row.Mask != 0 || row.Reset != 0) {
			t.Errorf("%s: zero, with reset value or mask", row.Name)
		}
	}
	for i, op := range sysOps {
		if !strings.EqualFold(isa.SysReg(op.Enc).String(), op.Name) {
			t.Errorf("%s has the encoding of %s", op.Name, isa.SysReg(op.Enc))
		}
		if SysOpAt(op.Enc) != &sysOps[i] {
			t.Errorf("%s is not found by its encoding", op.Name)
		}
	}
}

// encoding assembles an access and returns the register's encoding.
func encoding(t *testing.T, name string) Enc {
	t.Helper()
	w, err := isa.Assemble("mrs x0, "+name, 0)
	if err != nil {
		if w, err = isa.Assemble("msr "+name+", x0", 0); err != nil {
			t.Fatal(err)
		}
	}
	return Enc(w[0] >> 5 & 0xffff)
}

// fakeGIC answers every register with its number.
type fakeGIC struct{ log []string }

func (g *fakeGIC) ReadICC(r Reg, virtual bool) (uint64, bool) {
	g.log = append(g.log, fmt.Sprintf("read %s %v", r, virtual))
	return uint64(r), true
}

func (g *fakeGIC) WriteICC(r Reg, v uint64, virtual bool) bool {
	g.log = append(g.log, fmt.Sprintf("write %s=%#x %v", r, v, virtual))
	return r != ICC_SRE_EL1
}

// TestGuestRegisters: what the guests of the ladder touch at EL1 (recorded from
// QEMU) is there; EL3's registers are not.
func TestGuestRegisters(t *testing.T) {
	list, err := os.ReadFile("testdata/guest-registers.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(list)) {
		b := newBare(1)
		b.GIC = &fakeGIC{}
		b.state.Reg[CPACR_EL1] = 3 << 20
		name, rights, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "daifset", "daifclr": // MSR (immediate) only
			continue
		}
		n++
		e := encoding(t, name)
		want := Undefined
		if name != "sctlr_el3" {
			want = NoTrap
		}
		if name == "sp_el0" {
			b.SPSel = 1
		}
		if strings.Contains(rights, "R") {
			if _, trap := b.Read(RegAt(e)); trap != want {
				t.Errorf("reading %s: %v", name, trap)
			}
		}
		if strings.Contains(rights, "W") && name != "icc_sre_el1" {
			if trap := b.Write(RegAt(e), 0); trap != want {
				t.Errorf("writing %s: %v", name, trap)
			}
		}
	}
	if n != 128 {
		t.Errorf("only %d registers in the list", n)
	}
}

// TestIdentity: the features that DESIGN wants and no others, under no known name.
func TestIdentity(t *testing.T) {
	b := newBare(1)
	read := func(r Reg) uint64 {
		v, trap := b.Read(r)
		if trap != NoTrap {
			t.Fatalf("%s: %v", r, trap)
		}
		return v
	}
	field := func(r Reg, low uint) uint64 { return read(r) >> low & 15 }
	for _, c := range []struct {
		what string
		reg  Reg
		low  uint
		want uint64
	}{
		{"AArch32 at EL0", ID_AA64PFR0_EL1, 0, 1}, {"EL1", ID_AA64PFR0_EL1, 4, 1}, {"EL2", ID_AA64PFR0_EL1, 8, 1}, {"EL3", ID_AA64PFR0_EL1, 12, 0},
		{"GIC", ID_AA64PFR0_EL1, 24, 1}, {"RAS", ID_AA64PFR0_EL1, 28, 1}, {"SVE", ID_AA64PFR0_EL1, 32, 0}, {"CSV2", ID_AA64PFR0_EL1, 56, 1}, {"CSV3", ID_AA64PFR0_EL1, 60, 1},
		{"SSBS", ID_AA64PFR1_EL1, 4, 2}, {"MTE", ID_AA64PFR1_EL1, 8, 0},
		{"debug", ID_AA64DFR0_EL1, 0, 8}, {"PMU", ID_AA64DFR0_EL1, 8, 0}, {"breakpoints", ID_AA64DFR0_EL1, 12, 5}, {"watchpoints", ID_AA64DFR0_EL1, 20, 3},
		{"CRC32", ID_AA64ISAR0_EL1, 16, 1}, {"LSE", ID_AA64ISAR0_EL1, 20, 2}, {"TS", ID_AA64ISAR0_EL1, 52, 0},
		{"PAC", ID_AA64ISAR1_EL1, 4, 0}, {"PAC", ID_AA64ISAR1_EL1, 8, 0}, {"LDAPR", ID_AA64ISAR1_EL1, 20, 1},
		{"PARange", ID_AA64MMFR0_EL1, 0, 5}, {"ASID", ID_AA64MMFR0_EL1, 4, 2}, {"16K", ID_AA64MMFR0_EL1, 20, 1}, {"64K", ID_AA64MMFR0_EL1, 24, 0}, {"4K", ID_AA64MMFR0_EL1, 28, 0},
		{"HAFDBS", ID_AA64MMFR1_EL1, 0, 0}, {"VMID", ID_AA64MMFR1_EL1, 4, 2}, {"VHE", ID_AA64MMFR1_EL1, 8, 1}, {"LO", ID_AA64MMFR1_EL1, 16, 0}, {"PAN", ID_AA64MMFR1_EL1, 20, 2},
		{"UAO", ID_AA64MMFR2_EL1, 4, 1}, {"VARange", ID_AA64MMFR2_EL1, 16, 0}, {"NV", ID_AA64MMFR2_EL1, 24, 0},
	} {
		if got := field(c.reg, c.low); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
	if midr := read(MIDR_EL1); midr>>24 == 0x41 || midr>>16&15 != 15 {
		t.Errorf("MIDR_EL1 is %#x", midr)
	}
	if got := read(RegAt(EncOf(3, 0, 0, 4, 7))); got != 0 {
		t.Errorf("a reserved ID register reads as %#x", got)
	}
	for i, want := range []uint64{64 << 10, 64 << 10, 1 << 20} {
		b.Write(CSSELR_EL1, uint64(i))
		v := read(CCSIDR_EL1)
		if size := (v>>13&0x7fff + 1) * (v>>3&0x3ff + 1) * 16 << (v & 7); size != want {
			t.Errorf("cache %d has %d bytes, want %d", i, size, want)
		}
	}
}

// TestIdentityAtEL1: EL1 sees what EL2 says it is.
func TestIdentityAtEL1(t *testing.T) {
	b := newBare(2)
	b.state.Reset(2, 0x10203)
	b.Write(VPIDR_EL2, 0x1234)
	b.Write(VMPIDR_EL2, 0x80000077)
	at := func(el uint8) [2]uint64 {
		b.setEL(el, 1)
		midr, _ := b.Read(MIDR_EL1)
		mpidr, _ := b.Read(MPIDR_EL1)
		return [2]uint64{midr, mpidr}
	}
	if got, want := at(2), [2]uint64{midr, 0x80010203}; got != want {
		t.Errorf("EL2 reads %#x, want %#x", got, want)
	}
	if got, want := at(1), [2]uint64{0x1234, 0x80000077}; got != want {
		t.Errorf("EL1 reads %#x, want %#x", got, want)
	}
}

// TestRightsAndTraps: who may, and who is told. DDI 0487 D19.2, accessors.
func TestRightsAndTraps(t *testing.T) {
	const read, write = false, true
	for _, c := range []struct {
		el   uint8
		reg  Reg
		dir  bool
		set  map[Reg]uint64
		want Trap
	}{
		{1, SCTLR_EL1, read, nil, NoTrap},
		{0, SCTLR_EL1, read, nil, Undefined},
		{1, SCTLR_EL2, read, nil, Undefined},
		{1, HCR_EL2, write, nil, Undefined},
		{1, NoReg, read, nil, Undefined},
		{2, NoReg, read, nil, Undefined},
		{1, MIDR_EL1, write, nil, Undefined},
		{1, OSLAR_EL1, read, nil, Undefined},
		{2, CNTFRQ_EL0, write, nil, NoTrap},
		{1, CNTFRQ_EL0, write, nil, Undefined},
		{0, TPIDR_EL0, write, nil, NoTrap},
		{0, TPIDRRO_EL0, read, nil, NoTrap},
		{0, TPIDRRO_EL0, write, nil, Undefined},
		{0, TPIDRRO_EL0, write, map[Reg]uint64{HCR_EL2: HCRTGE}, Undefined},

		{0, CTR_EL0, read, nil, TrapEL1},
		{0, CTR_EL0, read, map[Reg]uint64{HCR_EL2: HCRTGE}, TrapEL2},
		{0, CTR_EL0, read, map[Reg]uint64{SCTLR_EL1: sctlrUCT}, NoTrap},
		{0, CTR_EL0, read, map[Reg]uint64{SCTLR_EL1: sctlrUCT, HCR_EL2: HCRTID2}, TrapEL2},
		{0, CTR_EL0, read, map[Reg]uint64{SCTLR_EL2: sctlrUCT, HCR_EL2: HCRTID2 | HCRTGE | HCRE2H}, NoTrap},
		{1, CTR_EL0, read, nil, NoTrap},
		{0, DAIF, read, nil, TrapEL1},
		{0, DAIF, write, map[Reg]uint64{SCTLR_EL1: sctlrUMA}, NoTrap},
		{0, NZCV, write, nil, NoTrap},
		{0, DCZID_EL0, read, nil, NoTrap},

		{1, SCTLR_EL1, write, map[Reg]uint64{HCR_EL2: HCRTVM}, TrapEL2},
		{1, SCTLR_EL1, read, map[Reg]uint64{HCR_EL2: HCRTVM}, NoTrap},
		{1, SCTLR_EL1, read, map[Reg]uint64{HCR_EL2: HCRTRVM}, TrapEL2},
		{2, SCTLR_EL1, write, map[Reg]uint64{HCR_EL2: HCRTVM}, NoTrap},
		{1, VBAR_EL1, write, map[Reg]uint64{HCR_EL2: HCRTVM}, NoTrap},
		{1, CONTEXTIDR_EL1, write, map[Reg]uint64{HCR_EL2: HCRTVM}, TrapEL2},
		{1, REVIDR_EL1, read, map[Reg]uint64{HCR_EL2: HCRTID1}, TrapEL2},
		{1, CLIDR_EL1, read, map[Reg]uint64{HCR_EL2: HCRTID2}, TrapEL2},
		{1, ID_AA64PFR0_EL1, read, map[Reg]uint64{HCR_EL2: HCRTID3}, TrapEL2},
		{1, RegAt(EncOf(3, 0, 0, 3, 6)), read, map[Reg]uint64{HCR_EL2: HCRTID3}, TrapEL2},
		{1, MIDR_EL1, read, map[Reg]uint64{HCR_EL2: HCRTID1 | HCRTID3}, NoTrap},
		{1, ACTLR_EL1, read, map[Reg]uint64{HCR_EL2: HCRTACR}, TrapEL2},
		{1, CPACR_EL1, write, map[Reg]uint64{CPTR_EL2: cptrTCPAC}, TrapEL2},
		{1, ERRIDR_EL1, read, map[Reg]uint64{HCR_EL2: HCRTERR}, TrapEL2},
		{1, MDSCR_EL1, write, map[Reg]uint64{MDCR_EL2: mdcrTDA}, TrapEL2},
		{1, DBGBVR0_EL1, write, map[Reg]uint64{MDCR_EL2: mdcrTDE}, TrapEL2},
		{1, OSLAR_EL1, write, map[Reg]uint64{MDCR_EL2: mdcrTDOSA}, TrapEL2},
		{1, MDRAR_EL1, read, map[Reg]uint64{MDCR_EL2: mdcrTDRA}, TrapEL2},
		{1, PMCCNTR_EL0, read, map[Reg]uint64{MDCR_EL2: mdcrTPM}, TrapEL2},
		{1, PMCR_EL0, read, map[Reg]uint64{MDCR_EL2: mdcrTPMCR}, TrapEL2},
		{1, PMCCNTR_EL0, read, map[Reg]uint64{MDCR_EL2: mdcrTPMCR}, NoTrap},
		{0, PMCCNTR_EL0, read, nil, TrapEL1},
		{0, PMCCNTR_EL0, read, map[Reg]uint64{PMUSERENR_EL0: 4}, NoTrap},
		{0, PMCCNTR_EL0, write, map[Reg]uint64{PMUSERENR_EL0: 4}, TrapEL1},
		{0, PMSWINC_EL0, write, map[Reg]uint64{PMUSERENR_EL0: 2}, NoTrap},
		{0, PMUSERENR_EL0, read, nil, NoTrap},
		{0, PMUSERENR_EL0, write, nil, Undefined},
		{0, PMSELR_EL0, write, map[Reg]uint64{PMUSERENR_EL0: 8}, NoTrap},
		{0, PMXEVCNTR_EL0, read, map[Reg]uint64{PMUSERENR_EL0: 8}, NoTrap},
		{0, PMXEVCNTR_EL0, write, map[Reg]uint64{PMUSERENR_EL0: 8}, TrapEL1},
		{0, RegAt(EncOf(3, 3, 14, 8, 1)), read, map[Reg]uint64{PMUSERENR_EL0: 8}, NoTrap},
		{0, PMCEID0_EL0, read, map[Reg]uint64{PMUSERENR_EL0: 14}, TrapEL1},
		{0, PMCEID0_EL0, read, map[Reg]uint64{PMUSERENR_EL0: 1}, NoTrap},
		{0, MDCCSR_EL0, read, nil, NoTrap},
		{0, MDCCSR_EL0, read, map[Reg]uint64{MDSCR_EL1: 1 << 12}, TrapEL1},
		{1, MDCCSR_EL0, read, map[Reg]uint64{MDSCR_EL1: 1 << 12}, NoTrap},

		{0, CNTVCT_EL0, read, nil, TrapEL1},
		{0, CNTVCT_EL0, read, map[Reg]uint64{CNTKCTL_EL1: 2}, NoTrap},
		{0, CNTPCT_EL0, read, map[Reg]uint64{CNTKCTL_EL1: 2}, TrapEL1},
		{0, CNTFRQ_EL0, read, map[Reg]uint64{CNTKCTL_EL1: 2}, NoTrap},
		{0, CNTFRQ_EL0, read, nil, TrapEL1},
		{0, CNTV_CTL_EL0, write, map[Reg]uint64{CNTKCTL_EL1: 1 << 8}, NoTrap},
		{0, CNTP_CTL_EL0, write, map[Reg]uint64{CNTKCTL_EL1: 1 << 8}, TrapEL1},
		{0, CNTP_CTL_EL0, write, map[Reg]uint64{CNTKCTL_EL1: 1 << 9}, NoTrap},
		{1, CNTP_CTL_EL0, write, map[Reg]uint64{CNTHCTL_EL2: 1}, TrapEL2},
		{1, CNTPCT_EL0, read, map[Reg]uint64{CNTHCTL_EL2: 2}, TrapEL2},
		{1, CNTV_CTL_EL0, write, map[Reg]uint64{CNTHCTL_EL2: 0}, NoTrap},
		{1, CNTPCT_EL0, read, map[Reg]uint64{CNTHCTL_EL2: 1 << 10, HCR_EL2: HCRE2H}, NoTrap},
		{1, CNTP_CVAL_EL0, read, map[Reg]uint64{CNTHCTL_EL2: 1 << 10, HCR_EL2: HCRE2H}, TrapEL2},
		{2, CNTP_CVAL_EL0, read, map[Reg]uint64{CNTHCTL_EL2: 0}, NoTrap},

		{1, FPCR, read, map[Reg]uint64{CPACR_EL1: 0}, TrapFP1},
		{1, FPCR, read, map[Reg]uint64{CPACR_EL1: 1 << 20}, NoTrap},
		{0, FPCR, read, map[Reg]uint64{CPACR_EL1: 1 << 20}, TrapFP1},
		{0, FPSR, write, map[Reg]uint64{CPACR_EL1: 3 << 20}, NoTrap},
		{1, FPSR, write, map[Reg]uint64{CPACR_EL1: 3 << 20, CPTR_EL2: cptrTFP}, TrapFP2},
		{2, FPSR, write, map[Reg]uint64{CPTR_EL2: cptrTFP}, TrapFP2},
		{2, FPSR, write, map[Reg]uint64{CPACR_EL1: 0}, NoTrap},
		{2, FPSR, write, map[Reg]uint64{HCR_EL2: HCRE2H, CPTR_EL2: 0}, TrapFP2},
		{2, FPSR, write, map[Reg]uint64{HCR_EL2: HCRE2H, CPTR_EL2: 1 << 20}, NoTrap},
		{1, FPSR, write, map[Reg]uint64{HCR_EL2: HCRE2H, CPTR_EL2: 0, CPACR_EL1: 3 << 20}, TrapFP2},
		{0, FPSR, write, map[Reg]uint64{HCR_EL2: HCRE2H | HCRTGE, CPTR_EL2: 1 << 20}, TrapFP2},
		{0, FPSR, write, map[Reg]uint64{HCR_EL2: HCRE2H | HCRTGE, CPTR_EL2: 3 << 20}, NoTrap},

		{1, ICC_PMR_EL1, write, nil, NoTrap},
		{0, ICC_PMR_EL1, read, nil, Undefined},
		{1, ICC_IAR1_EL1, write, nil, Undefined},
		{1, ICC_SRE_EL1, write, nil, Undefined}, // as the GIC says
		{1, ICC_SGI1R_EL1, write, map[Reg]uint64{HCR_EL2: HCRIMO}, TrapEL2},
		{1, ICC_SGI1R_EL1, write, nil, NoTrap},
		{1, ICH_HCR_EL2, read, nil, Undefined},
		{2, ICH_LR3_EL2, write, nil, NoTrap},

		{2, SCTLR_EL12, read, nil, Undefined},
		{2, SCTLR_EL12, read, map[Reg]uint64{HCR_EL2: HCRE2H}, NoTrap},
		{1, SCTLR_EL12, read, map[Reg]uint64{HCR_EL2: HCRE2H}, Undefined},
		{2, CNTV_CTL_EL02, write, map[Reg]uint64{HCR_EL2: HCRE2H}, NoTrap},
	} {
		b := newBare(1)
		b.GIC = &fakeGIC{}
		for r, v := range c.set {
			b.state.Reg[r] = v
		}
		b.state.EL = c.el
		b.Load(&b.state, nil)
		var got Trap
		if c.dir == write {
			got = b.Write(c.reg, 0)
		} else {
			_, got = b.Read(c.reg)
		}
		if got != c.want {
			t.Errorf("EL%d, %s, write %v, with %#v: %v, want %v", c.el, c.reg, c.dir, c.set, got, c.want)
		}
	}
}

// TestRights: with everything permitted, an access is UNDEFINED if and only if
// the table gives no right to it.
func TestRights(t *testing.T) {
	for el := range uint8(3) {
		for r := NoReg + 1; r < NumRegs; r++ {
			b := newBare(2)
			b.GIC = &fakeGIC{}
			for reg, v := range map[Reg]uint64{CPACR_EL1: 3 << 20, CNTKCTL_EL1: 0x3ff, PMUSERENR_EL0: 15, CPTR_EL2: 0, SCTLR_EL1: all} {
				b.state.Reg[reg] = v
			}
			b.setEL(el, min(el, 1))
			row := r.Row()
			expect := func(right Rights) Trap {
				if row.EL[el]&right == 0 || row.Guard == ByVHE || right == w && r == ICC_SRE_EL1 {
					return Undefined
				}
				return NoTrap
			}
			if _, trap := b.Read(r); trap != expect(1) {
				t.Errorf("EL%d reads %s: %v", el, r, trap)
			}
			if trap := b.Write(r, 0); trap != expect(w) {
				t.Errorf("EL%d writes %s: %v", el, r, trap)
			}
		}
	}
}

// TestZeroes: encodings that share a row.
func TestZeroes(t *testing.T) {
	for _, name := range []string{"id_pfr0_el1", "id_isar6_el1", "mvfr2_el1", "id_aa64zfr0_el1", "id_aa64isar2_el1", "s3_0_c0_c7_7"} {
		if r := RegAt(encoding(t, name)); r != ID_RES0 {
			t.Errorf("%s is %s", name, r)
		}
	}
	for _, name := range []string{"erxfr_el1", "erxmisc1_el1", "erxstatus_el1"} {
		if r := RegAt(encoding(t, name)); r != ERX_RES0 {
			t.Errorf("%s is %s", name, r)
		}
	}
	for _, name := range []string{"pmevcntr0_el0", "pmevcntr30_el0", "pmevtyper5_el0"} {
		if r := RegAt(encoding(t, name)); r != PMEV_RES0 {
			t.Errorf("%s is %s", name, r)
		}
	}
	for _, name := range []string{"s3_0_c0_c8_0", "s3_0_c5_c3_2", "s3_0_c5_c6_0", "s3_3_c14_c7_7", "lorid_el1", "sctlr_el3", "s3_0_c0_c0_1"} {
		if r := RegAt(encoding(t, name)); r != NoReg {
			t.Errorf("%s is %s", name, r)
		}
	}
}

// TestHostNames: with E2H, EL1's names mean EL2's registers at EL2, and _EL12
// EL1's.
func TestHostNames(t *testing.T) {
	b := newBare(2)
	b.Write(HCR_EL2, HCRE2H)
	for r := NoReg + 1; r < NumRegs; r++ {
		row := r.Row()
		if row.Host == NoReg || row.Effect == Timer || row.Host.Row().Effect == Timer || row.Host.Row().Effect == Zero {
			continue
		}
		b.state.Reg[row.Host] = 0
		if trap := b.Write(r, all); trap != NoTrap {
			t.Errorf("writing %s at EL2 with E2H: %v", r, trap)
		}
		if b.state.Reg[row.Host] != row.Host.Row().Mask {
			t.Errorf("writing %s set %s to %#x", r, row.Host, b.state.Reg[row.Host])
		}
		b.state.Reg[HCR_EL2] = HCRE2H | HCRRW
	}
	b.setEL(1, 1)
	b.state.Reg[TTBR0_EL2] = 5
	b.Write(TTBR0_EL1, 7)
	if got := b.state.Reg[TTBR0_EL1]; got != 7 || b.state.Reg[TTBR0_EL2] != 5 {
		t.Errorf("EL1 wrote TTBR0_EL1: it is %d", got)
	}
}

// TestMasks: only writable bits change, and the reset value shows in the others.
func TestMasks(t *testing.T) {
	for r := NoReg + 1; r < NumRegs; r++ {
		row := r.Row()
		if row.Effect != Stored && row.Effect != Translation || row.EL[2]&w == 0 || row.Guard == ByVHE {
			continue
		}
		for _, v := range []uint64{0, all} {
			b := newBare(2)
			if trap := b.Write(r, v); trap != NoTrap {
				t.Errorf("writing %s at EL2: %v", r, trap)
			}
			if got, want := b.state.Reg[r], v&row.Mask|row.Reset&^row.Mask; got != want {
				t.Errorf("%s is %#x after writing %#x, want %#x", r, got, v, want)
			}
		}
	}
}

// TestControlBits: where the manual has them. DDI 0487 D19.2.48, D19.2.117, and
// the registers of debug and traps.
func TestControlBits(t *testing.T) {
	for want, bits := range map[string][]uint64{
		"0 2 3 4 5 6 7 8 9 12 13 14":        {HCRVM, HCRPTW, HCRFMO, HCRIMO, HCRAMO, HCRVF, HCRVI, HCRVSE, HCRFB, HCRDC, HCRTWI, HCRTWE},
		"16 17 18 19 20 21 22 23 24 25":     {HCRTID1, HCRTID2, HCRTID3, HCRTSC, HCRTIDCP, HCRTACR, HCRTSW, HCRTPCP, HCRTPU, HCRTTLB},
		"26 27 28 29 30 31 34 36 37":        {HCRTVM, HCRTGE, HCRTDZ, HCRHCD, HCRTRVM, HCRRW, HCRE2H, HCRTERR, HCRTEA},
		"0 1 3 4 9 12 14 15 16 18 19 21":    {sctlrM, sctlrA, sctlrSA, sctlrSA0, sctlrUMA, sctlrI, sctlrDZE, sctlrUCT, sctlrNTWI, sctlrNTWE, sctlrWXN, sctlrIESB},
		"23 26 44":                          {sctlrSPAN, sctlrUCI, sctlrDSSBS},
		"10 31 5 6 8 9 10 11":               {cptrTFP, cptrTCPAC, mdcrTPMCR, mdcrTPM, mdcrTDE, mdcrTDA, mdcrTDOSA, mdcrTDRA},
		"24 21 15 14 10 9 8 7 6 25 0 20 21": {issISV, issSSE, issSF, issAR, issFnV, issEA, issCM, issS1PTW, issWnR, esrIL, issRead, spsrIL, spsrSS},
		"22 23 12 0 1 2":                    {spsrPAN, spsrUAO, spsrSSBS, timerEnable, timerMask, timerStatus},
	} {
		var got []string
		for _, b := range bits {
			got = append(got, fmt.Sprint(mathbits.TrailingZeros64(b)))
			if b&(b-1) != 0 {
				t.Errorf("%#x is not one bit", b)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("bits %v, want %s", got, want)
		}
	}
	for r, want := range map[Reg]uint64{
		SCTLR_EL1: 0x1000_34ad_da9f&^(1<<7|1<<11|1<<28|1<<29|1<<20) | 1<<2, TCR_EL1: 0x677_ffff_ffbf, HCR_EL2: 0x77_7fff_7fff,
		SPSR_EL1: 0xf0f0_13df, VBAR_EL1: 0xffff_ffff_ffff_f800, CPACR_EL1: 0x30_0000, VTCR_EL2: 0xf_ffff,
	} {
		if got := r.Row().Mask; got != want {
			t.Errorf("%s: writable are %#x, want %#x", r, got, want)
		}
	}
}

// TestSpecials: registers that are another part of the state.
func TestSpecials(t *testing.T) {
	b := newBare(1)
	s := &b.state
	read := func(r Reg) uint64 {
		v, trap := b.Read(r)
		if trap != NoTrap {
			t.Errorf("reading %s: %v", r, trap)
		}
		return v
	}
	if v := read(CurrentEL); v != 4 {
		t.Errorf("CurrentEL is %#x", v)
	}
	b.Write(NZCV, 0xa<<28|0xfff)
	b.Write(DAIF, 0x2c0)
	b.Write(PAN, 1<<22)
	b.Write(UAO, 1<<23)
	b.Write(SSBS, 1<<12)
	if s.PState != (PState{NZCV: 10, DAIF: 11, EL: 1, SPSel: 1, PAN: true, UAO: true, SSBS: true}) {
		t.Errorf("PSTATE is %+v", s.PState)
	}
	for r, want := range map[Reg]uint64{NZCV: 10 << 28, DAIF: 0x2c0, PAN: 1 << 22, UAO: 1 << 23, SSBS: 1 << 12, SPSel: 1} {
		if got := read(r); got != want {
			t.Errorf("%s reads %#x, want %#x", r, got, want)
		}
	}
	b.Write(PAN, 0)
	b.Write(UAO, 0)
	b.Write(SSBS, 0)
	if s.PAN || s.UAO || s.SSBS {
		t.Errorf("PSTATE is %+v", s.PState)
	}
	b.Write(SP_EL0, 0x1000)
	s.SP[1] = 0x2000
	if *s.StackPointer() != 0x2000 || read(SP_EL0) != 0x1000 {
		t.Error("SP_EL0 at EL1h")
	}
	b.Write(SPSel, 0)
	if _, trap := b.Read(SP_EL0); trap != Undefined || *s.StackPointer() != 0x1000 {
		t.Error("SP_EL0 is accessible while it is SP")
	}
	if b.Write(SP_EL0, 0) != Undefined {
		t.Error("SP_EL0 is writable while it is SP")
	}
	if _, trap := b.Read(SP_EL1); trap != Undefined {
		t.Error("SP_EL1 is accessible at EL1")
	}
	b.Write(OSLAR_EL1, 1)
	if v := read(OSLSR_EL1); v != 0xa {
		t.Errorf("OSLSR is %#x with the lock taken", v)
	}
	b.Write(OSLAR_EL1, 0)
	if v := read(OSLSR_EL1); v != 8 {
		t.Errorf("OSLSR is %#x with the lock released", v)
	}
	b.Write(DBGCLAIMSET_EL1, 0x1ff)
	b.Write(DBGCLAIMCLR_EL1, 0xf)
	if set, clr := read(DBGCLAIMSET_EL1), read(DBGCLAIMCLR_EL1); set != 0xff || clr != 0xf0 {
		t.Errorf("claim tags are %#x, %#x", set, clr)
	}
	s.Reg[SCTLR_EL1] = 0
	if v := read(DCZID_EL0); v != 4 {
		t.Errorf("DCZID at EL1 is %#x", v)
	}
	b.setEL(0, 0)
	if v := read(DCZID_EL0); v != 0x14 {
		t.Errorf("DCZID at EL0 without DZE is %#x", v)
	}
}

// TestPStateImmediate: MSR (immediate), by EL.
func TestPStateImmediate(t *testing.T) {
	for _, c := range []struct {
		el            uint8
		sctlr         uint64
		op1, op2, imm uint8
		want          Trap
		pstate        PState
	}{
		{1, 0, 3, 6, 5, NoTrap, PState{DAIF: 7, EL: 1, SPSel: 1}},
		{1, 0, 3, 7, 2, NoTrap, PState{DAIF: 0, EL: 1, SPSel: 1}},
		{0, 0, 3, 7, 2, TrapEL1, PState{DAIF: 2}},
		{0, sctlrUMA, 3, 7, 2, NoTrap, PState{}},
		{1, 0, 0, 5, 0, NoTrap, PState{DAIF: 2, EL: 1}},
		{1, 0, 0, 4, 1, NoTrap, PState{DAIF: 2, EL: 1, SPSel: 1, PAN: true}},
		{1, 0, 0, 3, 1, NoTrap, PState{DAIF: 2, EL: 1, SPSel: 1, UAO: true}},
		{0, 0, 0, 4, 1, Undefined, PState{DAIF: 2}},
		{0, 0, 0, 5, 1, Undefined, PState{DAIF: 2}},
		{0, 0, 3, 1, 1, NoTrap, PState{DAIF: 2, SSBS: true}},
		{1, 0, 3, 2, 1, Undefined, PState{DAIF: 2, EL: 1, SPSel: 1}},
	} {
		b := newBare(1)
		b.state.PState = PState{DAIF: 2}
		b.state.Reg[SCTLR_EL1] = c.sctlr
		b.setEL(c.el, c.el&1)
		if got := b.WritePState(c.op1, c.op2, c.imm); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
		if diff := cmp.Diff(c.pstate, b.state.PState); diff != "" {
			t.Errorf("%+v:\n%s", c, diff)
		}
	}
}

// TestGIC: the ICC registers are the GIC's, and virtual where interrupts are.
func TestGIC(t *testing.T) {
	b := newBare(1)
	if _, trap := b.Read(ICC_IAR1_EL1); trap != Undefined {
		t.Errorf("without a GIC: %v", trap)
	}
	if trap := b.Write(ICC_PMR_EL1, 1); trap != Undefined {
		t.Errorf("without a GIC: %v", trap)
	}
	g := &fakeGIC{}
	b.GIC = g
	b.Read(ICC_IAR1_EL1)
	b.state.Reg[HCR_EL2] = HCRIMO
	b.Write(ICC_EOIR1_EL1, 27)
	b.setEL(2, 1)
	b.Write(ICC_EOIR1_EL1, 28)
	if diff := cmp.Diff([]string{"read ICC_IAR1_EL1 false", "write ICC_EOIR1_EL1=0x1b true", "write ICC_EOIR1_EL1=0x1c false"}, g.log); diff != "" {
		t.Error(diff)
	}
}
