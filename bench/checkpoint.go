package bench

// Epoch is one checkpoint; see vmm.Epoch.
type Epoch struct {
	Began     uint64 `json:"began"`
	Paused    uint64 `json:"paused"`
	Resumed   uint64 `json:"resumed"`
	Committed uint64 `json:"committed"` // 0 = never
	Pages     uint64 `json:"pages"`
	Bytes     uint64 `json:"bytes"`
	ByPages   bool   `json:"ended_by_pages"`
}

// recordEpochs lists the checkpoints, and says how a failover went.
func (m *machine) recordEpochs(r *Result) {
	if m.plan.Checkpoint == nil || m.dst == nil {
		return
	}
	for _, e := range m.vmm.Epochs() {
		r.Epochs = append(r.Epochs, Epoch{
			uint64(e.Began), uint64(e.Paused), uint64(e.Resumed), uint64(e.Committed), e.Pages, e.Bytes, e.ByPages,
		})
	}
	switch {
	case m.vmm.TookOver():
		r.Failover = "backup"
	case m.vmm.Dead():
		r.Failover = "nobody"
	}
}
