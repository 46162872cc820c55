package kvmcore

import (
	"fmt"

	"ringmap/sim"
)

// Sync saves, restores or hashes the host with all that runs on it. It is
// restored into one that was built the same way: as many VMs, vCPUs, devices and
// threads, in the same order. Memslots and the process's mappings may differ.
// The guests' streams are synced by their owner.
func (h *Host) Sync(c *sim.Codec) {
	c.Tag("host")
	h.Machine.Sync(c)
	h.Memory.Sync(c)
	c.U16(&h.vmids)
	sim.Slice(c, &h.Warns, func(c *sim.Codec, s *string) { c.Str(s) })
	sim.Slice(c, &h.Losses, func(c *sim.Codec, l *Loss) { l.Sync(c) })
	h.Stats.Sync(c)
	told := h.Story != nil
	if c.Bool(&told); told && c.Loading() && h.Story == nil {
		h.Story = &Story{}
	}
	if told {
		h.Story.Sync(c)
	}
	if c.Loading() {
		clear(h.Warned)
		for _, function := range h.Warns {
			h.Warned[function] = true
		}
		if !told {
			h.Story = nil
		}
	}
	if !same(c, "VMs", len(h.VMs)) || !same(c, "threads", len(h.threads)) {
		return
	}
	for _, vm := range h.VMs {
		vm.sync(c)
	}
	for _, t := range h.threads {
		t.Sync(c)
	}
	h.syncWoken(c)
	h.syncKicked(c)
}

// same codes a number that the host restored into must agree with.
func same(c *sim.Codec, what string, have int) bool {
	n := have
	c.Int(&n)
	if n != have {
		c.Fail(fmt.Errorf("kvmcore: saved with %d %s, restored with %d", n, what, have))
	}
	return c.Err() == nil
}

// syncWoken codes the threads that locks have woken, by their numbers.
func (h *Host) syncWoken(c *sim.Codec) {
	ids := make([]uint64, len(h.Woken))
	for i, t := range h.Woken {
		ids[i] = uint64(t.ID)
	}
	sim.Slice(c, &ids, func(c *sim.Codec, id *uint64) { c.U64(id) })
	if !c.Loading() {
		return
	}
	h.Woken = h.Woken[:0]
	for _, id := range ids {
		if id >= uint64(len(h.threads)) {
			c.Fail(fmt.Errorf("kvmcore: thread %d of %d is woken", id, len(h.threads)))
			return
		}
		h.Woken = append(h.Woken, h.threads[id])
	}
}

// syncKicked codes the vCPUs that were kicked, by the numbers of their threads.
func (h *Host) syncKicked(c *sim.Codec) {
	type kicked struct {
		thread uint64
		at     sim.Cycle
	}
	list := make([]kicked, len(h.Kicked))
	for i, k := range h.Kicked {
		list[i] = kicked{uint64(k.VCPU.Thread.ID), k.At}
	}
	sim.Slice(c, &list, func(c *sim.Codec, k *kicked) {
		c.U64(&k.thread)
		sim.Uint(c, &k.at)
	})
	if !c.Loading() {
		return
	}
	h.Kicked = h.Kicked[:0]
	for _, k := range list {
		v := h.vcpuOfThread(k.thread)
		if v == nil {
			c.Fail(fmt.Errorf("kvmcore: thread %d was kicked and runs no vCPU", k.thread))
			return
		}
		h.Kicked = append(h.Kicked, Kicked{v, k.at})
	}
}

// vcpuOfThread is the vCPU that the thread of that number runs, nil if none.
func (h *Host) vcpuOfThread(id uint64) *VCPU {
	for _, vm := range h.VMs {
		for _, v := range vm.VCPUs {
			if uint64(v.Thread.ID) == id {
				return v
			}
		}
	}
	return nil
}

func (vm *VM) sync(c *sim.Codec) {
	c.Tag("vm")
	c.U16(&vm.VMID)
	vm.Stage2.Sync(c, vm.Host.Machine.Alloc)
	c.U32(&vm.RingSize)
	c.Bool(&vm.RingWithBitmap)
	c.U64(&vm.ManualProtect)
	c.U64(&vm.EagerSplit)
	vm.Slots.sync(c)
	vm.SlotsLock.Sync(c)
	vm.MMULock.Sync(c)
	c.Bool(&vm.tableWriteInProgress)
	vm.VMRing.Sync(c)
	sim.Uint(c, &vm.FullFlag)
	sim.Uint(c, &vm.Noticed)
	vm.vmRingLock.sync(c)
	c.Int(&vm.nextKick)
	if vm.nextKick < 0 || vm.nextKick >= max(len(vm.VCPUs), 1) {
		c.Fail(fmt.Errorf("kvmcore: vCPU %d is the next to kick", vm.nextKick))
		vm.nextKick = 0
	}
	vm.Program.sync(c)
	if !same(c, "vCPUs", len(vm.VCPUs)) || !same(c, "devices", len(vm.Devices)) {
		return
	}
	for _, v := range vm.VCPUs {
		v.sync(c)
	}
	vm.syncDevices(c)
}

func (v *VCPU) sync(c *sim.Codec) {
	c.Tag("vcpu")
	c.U32(&v.ID)
	v.Ring.Sync(c)
	v.Run.Sync(c)
	c.U32(&v.Requests)
	v.PVTime.Sync(c)
	v.Cursor.Sync(c)
	if v.A64 != nil {
		v.A64.sync(c)
	}
	c.Bool(&v.ran)
	v.Stats.Sync(c)
}

// sync codes the slots in the order of their guest frames.
func (t *SlotTable) sync(c *sim.Codec) {
	slots := t.byGFN
	sim.Slice(c, &slots, func(c *sim.Codec, p **Slot) {
		if c.Loading() {
			*p = new(Slot)
		}
		(*p).sync(c)
	})
	if !c.Loading() {
		return
	}
	*t = SlotTable{}
	for _, s := range slots {
		if s.ID >= UserMemSlots || s.Pages == 0 || s.End() < s.Base || t.ByID(s.ID) != nil || t.overlaps(s.Base, s.Pages, nil) {
			c.Fail(fmt.Errorf("kvmcore: impossible memslot %d", s.ID))
			return
		}
		t.insert(s)
	}
}

func (s *Slot) sync(c *sim.Codec) {
	c.U16(&s.ID)
	c.U16(&s.ASID)
	sim.Uint(c, &s.Base)
	c.U64(&s.Pages)
	sim.Uint(c, &s.Flags)
	sim.Uint(c, &s.HVA)
	s.Bitmap.Sync(c)
}

// Sync saves, restores or hashes the address space; contents are in Memory.
func (h *HostMemory) Sync(c *sim.Codec) {
	c.Tag("hostmem")
	sim.Uint(c, &h.zero)
	sim.Uint(c, &h.next)
	sim.Slice(c, &h.mappings, func(c *sim.Codec, p **mapping) {
		if c.Loading() {
			*p = new(mapping)
		}
		m := *p
		sim.Uint(c, &m.start)
		c.U64(&m.size)
		sim.Uint(c, &m.backing)
		c.Bool(&m.populated)
		sim.Uint(c, &m.fixed)
		if m.backing >= numBackings || !userRange(m.start, m.size) {
			c.Fail(fmt.Errorf("kvmcore: impossible mapping at %#x", m.start))
			return
		}
		m.unit = h.unitShift(m.backing)
		m.units.sync(c)
		m.tail.sync(c)
	})
}

func (t *unitTable) sync(c *sim.Codec) {
	t.states.Sync(c, func(c *sim.Codec, s *unitState) { sim.Uint(c, s) })
}
