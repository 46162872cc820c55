// Package sim is the ground the simulator stands on: time and events, the
// codec that saves and hashes state, seeded randomness, statistics, traces and
// snapshot files. It imports nothing of ours and knows nothing of machines.
//
//	Schedule ─► wheel (1 cycle a slot) ◄─ wheel (256 cycles a slot) ◄─ heap
//	                 │ order: cycle, class, insertion
//	                 ▼
//	         Handler.Handle(engine, event) ──► Schedule …
//
//	component.Sync(codec): encoder → bytes, decoder → state, hasher → sum
//
// One simulation is one goroutine. Nothing here reads a clock, the order of a
// map or an unseeded generator, and no float decides anything: the same calls
// give the same bytes on any machine.
//
// Sources: G. Varghese and T. Lauck, "Hashed and Hierarchical Timing Wheels"
// (SOSP 1987), for the wheels; J. Salmon et al., "Parallel Random Numbers: As
// Easy as 1, 2, 3" (SC 2011), for counter-based generators; D. Lemire, "Fast
// Random Integer Generation in an Interval" (TOMACS 2019), for Stream.N; the
// histogram's buckets are those of HdrHistogram.
package sim
