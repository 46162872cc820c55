package kvmcore

import (
	"bytes"
	"testing"

	"ringmap/sim"
)

// sync is the state of a rig with its guests' streams.
func (r *rig) sync(c *sim.Codec) {
	r.h.Sync(c)
	for _, v := range r.vm.VCPUs {
		v.Guest.(*script).Sync(c)
	}
}

func (r *rig) save() []byte {
	c := sim.NewEncoder()
	r.sync(c)
	return c.Finish()
}

func (r *rig) load(t *testing.T, state []byte) {
	t.Helper()
	c := sim.NewDecoder(state)
	r.sync(c)
	if c.Finish(); c.Err() != nil {
		t.Fatal(c.Err())
	}
}

// Every path is saved after each of its steps, restored into a host built alike
// and finished: the end is that of the undisturbed run, byte for byte.
func TestSnapshotInEveryStep(t *testing.T) {
	profile := n1(t)
	pages := upTo(150)
	dirty := func(r *rig) { r.write(0, pages...) }
	for _, tc := range []struct {
		name    string
		mode    mode
		prepare func(*rig)
		start   func(*rig)
	}{
		{"reset", mode{ring: 256, bitmap: true}, func(r *rig) {
			dirty(r)
			var fetch uint32
			r.harvest(0, &fetch, 120)
		}, func(r *rig) { r.t.StartReset(r.vm) }},
		{"get auto", mode{}, dirty, func(r *rig) { r.t.StartGetDirtyLog(r.vm, 1, new(DirtyLog)) }},
		{"get manual", mode{manual: 1}, dirty, func(r *rig) { r.t.StartGetDirtyLog(r.vm, 1, new(DirtyLog)) }},
		{"get into nowhere, repaired", mode{kernel: "7.2+fixed"}, dirty, func(r *rig) { r.t.StartGetDirtyLog(r.vm, 1, nil) }},
		{"clear", mode{manual: 1}, dirty, func(r *rig) {
			r.t.StartClearDirtyLog(r.vm, 1, 0, 256, &DirtyLog{[]DirtyWord{{0, 0xff00ff}, {2, ^uint64(0)}}})
		}},
		{"clear with split", mode{manual: 3, split: 2 << 20, backing: BackingTHP, unlog: true}, func(r *rig) {
			r.write(0, 5, 600)
			r.setLogging(true)
		}, func(r *rig) { r.t.StartClearDirtyLog(r.vm, 1, 0, 64, &DirtyLog{[]DirtyWord{{0, 0x20}}}) }},
		{"enable logging", mode{split: 2 << 20, backing: BackingTHP, unlog: true}, func(r *rig) {
			r.write(0, 5, 600)
			r.slot().Flags |= SlotLogDirty
			r.vm.fitBitmap(r.slot())
		}, func(r *rig) { r.t.StartEnableLogging(r.vm, r.slot()) }},
		{"run", mode{ring: 256, bitmap: true, fresh: true}, func(r *rig) {
			r.vm.VCPUs[0].SetPVTime(testBase + 3<<12)
			r.do(0, GuestLoad, 9)
			r.do(0, GuestStore, 9, 10, 3, 200)
			r.mmio(0)
			r.t = r.vm.VCPUs[0].Thread
		}, func(r *rig) { r.vm.VCPUs[0].Enter() }},
	} {
		tc.mode.pages, tc.mode.profile = 1024, profile
		fresh := func() *rig {
			r := newRig(t, tc.mode)
			tc.prepare(r)
			return r
		}
		step := func(r *rig) bool { // false when the path has ended
			if v := r.vm.VCPUs[0]; r.t == v.Thread && r.t.inGuest() {
				return v.Continue(sim.Never) == RunFault
			}
			return r.t.Step() == Running
		}
		want := fresh()
		tc.start(want)
		var saved [][]byte
		for more := true; more; {
			saved = append(saved, want.save())
			more = step(want)
		}
		end := want.save()
		if len(saved) < 6 {
			t.Errorf("%s: only %d steps", tc.name, len(saved))
		}
		for i := 0; i < len(saved); i += 1 + len(saved)/60 {
			r := fresh()
			r.load(t, saved[i])
			if !bytes.Equal(r.save(), saved[i]) {
				t.Fatalf("%s, step %d: the restored host saves differently", tc.name, i)
			}
			for step(r) {
			}
			if !bytes.Equal(r.save(), end) {
				t.Fatalf("%s: restored after step %d, the path ends differently", tc.name, i)
			}
		}
	}
}
