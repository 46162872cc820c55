package vmm

// interval: only the main thread drains rings, all of them in every round. A
// vCPU whose ring is full sleeps until that has happened.
var policyInterval = Policy{
	Name:     "interval",
	Desc:     "the main thread drains every ring once a period; a vCPU with a full ring waits for it",
	Source:   "tools/testing/selftests/kvm/dirty_log_test.c, dirty_ring_collect_dirty_pages",
	OnFull:   FullWait,
	PeriodNS: 10_000_000,
}
