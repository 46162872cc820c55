package kvmcore

import "ringmap/sim"

// Lock is a kernel lock that blocks: a mutex (only exclusive holders) or a
// reader-writer lock, first come first served. A release hands over: the woken
// thread owns the lock when it continues, and is appended to Host.Woken with
// its core advanced to the time of the release.
type Lock struct {
	writer  int32 // Thread.ID+1 of the exclusive holder, 0 = none
	readers int32 // shared holders
	queue   []waiter

	// Cores run ahead of each other within a quantum. A lock remembers until
	// when it was held, so that a thread behind in time still waits its turn.
	exclusiveUntil, sharedUntil sim.Cycle

	Acquired, Contended, WaitCycles uint64
}

// waiter is a thread in a lock's queue.
type waiter struct {
	thread int32
	shared bool
}
