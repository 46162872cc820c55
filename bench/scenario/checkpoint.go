package scenario

import "ringmap/kvmcore/vmm"

// Checkpoint is a VM that is copied to a backup host again and again.
type Checkpoint struct {
	Epoch  Time  `key:"epoch"`
	Pages  Count `key:"pages"`
	Mode   Name  `key:"mode"`
	FailAt Time  `key:"fail_at"`
	Detect Time  `key:"detect"`
	Link   Link  `key:"link"`
}

// Checkpoints tells whether the scenario asks for checkpoints.
func (s *Scenario) Checkpoints() bool { return !s.Checkpoint.Epoch.Never || s.Checkpoint.Pages != 0 }

// planCheckpoint checks checkpoints.
func (s *Scenario) planCheckpoint(p *Plan, _ *Trace) (err error) {
	if !s.Checkpoints() {
		return nil
	}
	c := &s.Checkpoint
	spec := &vmm.CheckpointSpec{Hz: uint64(p.Clock), Pages: uint64(c.Pages)}
	switch {
	case s.Migrates():
		return s.Problem("checkpoint", "keep one of them", "a VM is migrated or checkpointed, not both")
	case p.Track == vmm.TrackOff:
		return s.Problem("checkpoint", "write another tracking.mode", "checkpoints need dirty tracking, and tracking.mode is off")
	case p.Track == vmm.TrackClearLog:
		return s.Problem("checkpoint", "write vmm.clear: get", "a checkpoint collects everything at once, which KVM_CLEAR_DIRTY_LOG is not for")
	case s.VMM.Collect != "last":
		return s.Problem("vmm.collect", "write last", "a checkpoint has its own order")
	}
	if !c.Epoch.Never {
		if spec.Epoch, err = s.cycles(p, "checkpoint.epoch", c.Epoch); err != nil {
			return err
		}
		if spec.Epoch == 0 {
			return s.Problem("checkpoint.epoch", "write a time, such as 25ms, or never", "an epoch of no time runs nothing")
		}
	}
	switch c.Mode {
	case "remus":
	case "colo":
		spec.Sync = true
	default:
		return s.Problem("checkpoint.mode", DidYouMean(string(c.Mode), []string{"remus", "colo"}), "there is no mode %q", c.Mode)
	}
	if !c.FailAt.Never {
		if spec.FailAt, err = s.cycles(p, "checkpoint.fail_at", c.FailAt); err != nil {
			return err
		}
		spec.FailAt = max(spec.FailAt, 1)
	}
	if spec.Detect, err = s.cycles(p, "checkpoint.detect", c.Detect); err != nil {
		return err
	}
	if spec.Link, err = s.planLink(p, "checkpoint.link", &c.Link); err != nil {
		return err
	}
	p.Checkpoint = spec
	return nil
}
