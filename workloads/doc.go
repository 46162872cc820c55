// Package workloads is what runs in the guest and on its devices: access
// patterns, recorded traces of real programs, and the life of an ITS.
//
//	pattern ── seeded pages, read/write mix, think time ─┐
//	trace ──── .pwt | lackey | ChampSim, decompressed ───┼─► kvmcore.Stream, one per vCPU
//	script ─── guest program of a recording ─────────────┘
//	ITSSpec ── set-up of GICv3 and ITS, then timed MSIs and table saves
//
// A stream never looks at simulated time, so a kernel model can change under it
// and the guest still does the same. All of its choices come from integers:
// distributions are tables in fixed point, cycles per instruction an exact
// decimal, so that every machine draws the same numbers.
//
// Sources: tools/testing/selftests/kvm/dirty_log_perf_test.c and
// lib/memstress.c for the shape of the patterns; the formats of the traces are
// described in their files (pwt.go, lackey.go, champsim.go); IHI 0069 and
// Documentation/virt/kvm/devices/arm-vgic-its.rst for the ITS.
package workloads
