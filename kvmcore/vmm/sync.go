package vmm

import (
	"fmt"

	"ringmap/sim"
)

// Sync saves, restores or hashes the VMM. The engine, the host with its threads,
// the audit and the destination's memory are synced by their owners.
func (v *VMM) Sync(c *sim.Codec) {
	c.Tag("vmm")
	n := len(v.vcpus)
	c.Int(&n)
	if n != len(v.vcpus) {
		c.Fail(fmt.Errorf("the machine has %d vCPUs, the snapshot %d", len(v.vcpus), n))
		return
	}
	v.main.sync(c)
	for i := range v.vcpus {
		v.vcpus[i].sync(c)
	}
	for i := range v.fetch {
		c.U32(&v.fetch[i])
		c.U64(&v.harvested[i])
	}
	v.editor.sync(c)
	v.sched.sync(c, len(v.vcpus)+1)
	c.U32(&v.RingMax)
	pauser := uint32(0)
	if v.pauser != nil {
		pauser = uint32(v.pauser.index) + 1
	}
	if c.U32(&pauser); int(pauser) > len(v.vcpus) {
		c.Fail(errNowhere)
		pauser = 0
	}
	if v.pauser = nil; pauser != 0 {
		v.pauser = &v.vcpus[pauser-1]
	}
	for i := range v.slots {
		v.slots[i].staged.sync(c)
		v.slots[i].send.sync(c)
		v.slots[i].toClear.sync(c)
	}
	v.big.sync(c, v.threads)
	c.Int(&v.live)
	c.Int(&v.inside)
	c.Bool(&v.pausing)
	sim.Uint(c, &v.started)
	sim.Uint(c, &v.stopped)
	sim.Uint(c, &v.ended)
	c.Bool(&v.done)
	v.Stats.sync(c)
	v.UART.sync(c)
	v.syncMistakes(c)
	if v.Migrate != nil {
		v.mig.sync(c, v)
	}
	if v.Checkpoint != nil {
		v.ckpt.sync(c)
		v.Checkpoint.Backup.sync(c)
	}
	sim.Slice(c, &v.Findings, func(c *sim.Codec, f *Finding) {
		sim.Uint(c, &f.At)
		sim.Uint(c, &f.Kind)
		u := uint32(f.VCPU)
		c.U32(&u)
		f.VCPU = int32(u)
		c.U64(&f.A)
		c.U64(&f.B)
	})
}

func (s *Stats) sync(c *sim.Codec) {
	for _, n := range []*uint64{
		&s.Reaps, &s.Resets, &s.Harvested, &s.UnknownEntries, &s.Rounds, &s.Clears, &s.Saves, &s.SaveCycles,
		&s.BitmapPages, &s.BitmapScanned, &s.PagesSent, &s.UntouchedSent, &s.Findings,
		&s.PauseAlls, &s.Flagged, &s.Edits,
	} {
		c.U64(n)
	}
}
