package vmm

import (
	"encoding/binary"
	"fmt"

	"ringmap/kvmcore"
)

// Boot is what the guest's first program is told through the device tree.
type Boot struct {
	Args   string // kernel command line
	Initrd Range  // empty: none
}

// DeviceTree describes the board to its guest: a flattened device tree, as
// Devicetree Specification 0.4, chapter 5, with the nodes that Linux's
// Documentation/devicetree/bindings ask for.
func (b *Board) DeviceTree(boot Boot) []byte {
	t := newTree()
	t.begin("")
	t.cells("#address-cells", 2)
	t.cells("#size-cells", 2)
	t.text("compatible", "linux,dummy-virt")
	t.text("model", "ringmap")
	if b.GIC {
		t.cells("interrupt-parent", phandleGIC)
	}
	b.chosen(t, boot)
	b.memory(t)
	b.cpus(t)
	b.firmware(t)
	b.timer(t)
	if b.GIC {
		b.gic(t)
	}
	b.uart(t)
	t.end()
	return t.blob()
}

// Phandles of nodes that others refer to.
const (
	phandleGIC = 1 + iota
	phandleITS
	phandleClock
)

// First cells of a GICv3 interrupt specifier, and its last.
const (
	irqSPI, irqPPI    = 0, 1
	levelHigh         = 4
	ppiSecure, ppiP   = 13, 14 // CNTPS, CNTP: PPIs 29 and 30
	ppiV, ppiHyp      = 11, 10 // CNTV, CNTHP: PPIs 27 and 26
	ppiHypV           = 12     // CNTHV: PPI 28
	ppiGICMaintenance = 9
)

func (b *Board) chosen(t *tree, boot Boot) {
	t.begin("chosen")
	t.text("stdout-path", fmt.Sprintf("/pl011@%x", uint64(UARTBase)))
	t.text("bootargs", boot.Args)
	if boot.Initrd.Size != 0 {
		t.wide("linux,initrd-start", boot.Initrd.Base)
		t.wide("linux,initrd-end", boot.Initrd.End())
	}
	t.end()
}

func (b *Board) memory(t *tree) {
	for i, r := range b.RAM {
		if i == 0 {
			r.Size -= b.Reserved
		}
		t.begin(fmt.Sprintf("memory@%x", r.Base))
		t.text("device_type", "memory")
		t.wide("reg", r.Base, r.Size)
		t.end()
	}
}

func (b *Board) cpus(t *tree) {
	t.begin("cpus")
	t.cells("#address-cells", 1) // no vCPU has Aff3
	t.cells("#size-cells", 0)
	for i := range b.VCPUs {
		at := uint32(kvmcore.Affinity(uint32(i)))
		t.begin(fmt.Sprintf("cpu@%x", at))
		t.text("device_type", "cpu")
		t.text("compatible", "arm,armv8")
		t.text("enable-method", "psci")
		t.cells("reg", at)
		t.end()
	}
	t.end()
}

func (b *Board) firmware(t *tree) {
	t.begin("psci")
	t.text("compatible", "arm,psci-1.0", "arm,psci-0.2")
	t.text("method", "hvc")
	t.end()
}

func (b *Board) timer(t *tree) {
	t.begin("timer")
	t.text("compatible", "arm,armv8-timer")
	t.cells("interrupts",
		irqPPI, ppiSecure, levelHigh, irqPPI, ppiP, levelHigh,
		irqPPI, ppiV, levelHigh, irqPPI, ppiHyp, levelHigh, irqPPI, ppiHypV, levelHigh)
	t.empty("always-on")
	t.end()
}

func (b *Board) gic(t *tree) {
	first := uint64(min(b.VCPUs, RedistFirst)) * gicrBytes
	t.begin(fmt.Sprintf("intc@%x", GICDBase))
	t.text("compatible", "arm,gic-v3")
	t.cells("#interrupt-cells", 3)
	t.empty("interrupt-controller")
	t.cells("#address-cells", 2)
	t.cells("#size-cells", 2)
	t.empty("ranges")
	if b.Redist2.Size == 0 {
		t.wide("reg", GICDBase, gicdBytes, GICRBase, first)
	} else {
		t.cells("#redistributor-regions", 2)
		t.wide("reg", GICDBase, gicdBytes, GICRBase, first, b.Redist2.Base, b.Redist2.Size)
	}
	t.cells("interrupts", irqPPI, ppiGICMaintenance, levelHigh)
	t.cells("phandle", phandleGIC)
	if b.ITS {
		t.begin(fmt.Sprintf("its@%x", ITSBase))
		t.text("compatible", "arm,gic-v3-its")
		t.empty("msi-controller")
		t.cells("#msi-cells", 1)
		t.wide("reg", ITSBase, itsBytes)
		t.cells("phandle", phandleITS)
		t.end()
	}
	t.end()
}

func (b *Board) uart(t *tree) {
	t.begin("apb-pclk")
	t.text("compatible", "fixed-clock")
	t.cells("#clock-cells", 0)
	t.cells("clock-frequency", 24_000_000)
	t.text("clock-output-names", "clk24mhz")
	t.cells("phandle", phandleClock)
	t.end()

	t.begin(fmt.Sprintf("pl011@%x", uint64(UARTBase)))
	t.text("compatible", "arm,pl011", "arm,primecell")
	t.wide("reg", uint64(UARTBase), uartSize)
	if b.GIC {
		t.cells("interrupts", irqSPI, uartSPI, levelHigh)
	}
	t.cells("clocks", phandleClock, phandleClock)
	t.text("clock-names", "uartclk", "apb_pclk")
	t.end()
}

// tree writes a flattened device tree.
type tree struct {
	body  []byte // the structure block
	names []byte // the strings block
	at    map[string]uint32
}

func newTree() *tree { return &tree{at: map[string]uint32{}} }

// Tokens and sizes of the format. Devicetree Specification 5.4.1.
const (
	fdtBeginNode = 1
	fdtEndNode   = 2
	fdtProp      = 3
	fdtEnd       = 9
	fdtMagic     = 0xd00dfeed
	fdtVersion   = 17
	fdtOldest    = 16 // that a reader may know
	fdtHeader    = 40
	fdtReserved  = 16 // the memory reservation block: its terminator alone
)

func (t *tree) word(v uint32) { t.body = binary.BigEndian.AppendUint32(t.body, v) }

func (t *tree) pad() {
	for len(t.body)%4 != 0 {
		t.body = append(t.body, 0)
	}
}

func (t *tree) begin(name string) {
	t.word(fdtBeginNode)
	t.body = append(append(t.body, name...), 0)
	t.pad()
}

func (t *tree) end() { t.word(fdtEndNode) }

func (t *tree) prop(name string, value []byte) {
	at, known := t.at[name]
	if !known {
		at = uint32(len(t.names))
		t.at[name] = at
		t.names = append(append(t.names, name...), 0)
	}
	t.word(fdtProp)
	t.word(uint32(len(value)))
	t.word(at)
	t.body = append(t.body, value...)
	t.pad()
}

func (t *tree) empty(name string) { t.prop(name, nil) }

// text is a property of one or more strings.
func (t *tree) text(name string, values ...string) {
	var b []byte
	for _, v := range values {
		b = append(append(b, v...), 0)
	}
	t.prop(name, b)
}

// cells is a property of 32-bit numbers, wide one of 64-bit numbers.
func (t *tree) cells(name string, values ...uint32) {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	t.prop(name, b)
}

func (t *tree) wide(name string, values ...uint64) {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	t.prop(name, b)
}

// blob puts the blocks together.
func (t *tree) blob() []byte {
	t.word(fdtEnd)
	structure := uint32(fdtHeader + fdtReserved)
	strings := structure + uint32(len(t.body))
	var b []byte
	for _, v := range []uint32{
		fdtMagic, strings + uint32(len(t.names)), structure, strings, fdtHeader, fdtVersion, fdtOldest,
		0, // the boot PE: cpu@0
		uint32(len(t.names)), uint32(len(t.body)),
	} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	b = append(b, make([]byte, fdtReserved)...)
	return append(append(b, t.body...), t.names...)
}
