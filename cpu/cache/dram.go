package cache

import (
	"math/bits"

	"ringmap/sim"
)

// dram is the memory: channels with a data bus, each with banks that hold one
// row open.
//
//	line number: | row | bank (xor low bits of row) | line of the row | channel |
//
// A read of the open row takes CAS, of a closed bank Activate before, of a bank
// with another row open Precharge before that. Rows stay open. The xor spreads
// rows that would fight for one bank (permutation-based interleaving, Zhang, Zhu
// and Zhang, MICRO 2000).
type dram struct {
	spec    *DRAM
	buses   []calendar // by channel
	banks   []bank     // by channel << bankBits | bank
	channel uint       // log2
	column  uint       // log2 of the lines of a row
	bank    uint       // log2
	stats   *Stats
}

type bank struct {
	row  uint64    // open row + 1; 0 = closed
	busy sim.Cycle // until when its last business takes
	held uint32    // how long that took
}

func newDRAM(s *DRAM, stats *Stats) dram {
	return dram{
		spec: s, stats: stats,
		buses:   make([]calendar, s.Channels),
		banks:   make([]bank, s.Channels*s.Banks),
		channel: uint(bits.TrailingZeros(uint(s.Channels))),
		column:  uint(bits.TrailingZeros64(s.Row / LineSize)),
		bank:    uint(bits.TrailingZeros(uint(s.Banks))),
	}
}

// place is where a line lies.
func (d *dram) place(line uint64) (channel, bank, row uint64) {
	channel = line & (1<<d.channel - 1)
	at := line >> d.channel >> d.column
	row = at >> d.bank
	bank = (at ^ row) & (1<<d.bank - 1)
	return channel, channel<<d.bank | bank, row
}

// access moves a line to or from memory for a request that reaches the controller
// at cycle at, and returns when it has.
func (d *dram) access(line uint64, at sim.Cycle) sim.Cycle {
	channel, n, row := d.place(line)
	b := &d.banks[n]
	if at < b.busy && at+sim.Cycle(b.held) >= b.busy {
		at = b.busy
	}
	open := uint32(0)
	switch b.row {
	case row + 1:
		d.stats.RowHits++
	case 0:
		d.stats.RowClosed++
		open = d.spec.Activate
	default:
		d.stats.RowConflicts++
		open = d.spec.Precharge + d.spec.Activate
	}
	b.row = row + 1
	ready := at + sim.Cycle(open) // for the next column of the row
	data := d.buses[channel].book(ready+sim.Cycle(d.spec.CAS), d.spec.Burst)
	if end := data + sim.Cycle(d.spec.Burst) - sim.Cycle(d.spec.CAS); end > b.busy {
		if at != b.busy {
			b.held = 0
		}
		b.held += uint32(end - at)
		b.busy = end
	}
	return data + sim.Cycle(d.spec.Burst) + sim.Cycle(d.spec.Controller)
}

// calendar is what a data bus has to do, in windows of time: cores run ahead of
// one another, so requests come out of order, and each finds its own time's
// traffic there. It remembers a span; what is older or newer overwrites.
type calendar struct {
	window []uint64 // number + 1 of the window that a place stands for
	used   []uint32 // cycles of it that are taken
}

const (
	windowShift = 6 // log2 of a window's cycles
	windows     = 1 << 10
)

// book takes a number of cycles from cycle at on and returns when they begin.
func (c *calendar) book(at sim.Cycle, cycles uint32) sim.Cycle {
	if c.used == nil {
		c.window, c.used = make([]uint64, windows), make([]uint32, windows)
	}
	for w := uint64(at) >> windowShift; ; w++ {
		used := c.at(w)
		if *used >= 1<<windowShift {
			continue
		}
		start := max(at, sim.Cycle(w<<windowShift)+sim.Cycle(*used))
		*used += cycles
		for *used > 1<<windowShift { // what does not fit goes into the next ones
			over := *used - 1<<windowShift
			*used = 1 << windowShift
			w++
			used = c.at(w)
			*used += over
		}
		return start
	}
}

func (c *calendar) at(w uint64) *uint32 {
	i := w % windows
	if c.window[i] != w+1 {
		c.window[i], c.used[i] = w+1, 0
	}
	return &c.used[i]
}
