package bench

import (
	"fmt"
	"testing"

	"ringmap/bench/scenario"
	"ringmap/mmu"
)

// TestProgramGoesOnFromSnapshot: saved at any time and restored, a machine that
// executes code ends with the same state, console and record.
func TestProgramGoesOnFromSnapshot(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		last uint64
	}{
		"locks":          {"vm: {vcpus: 8, memory: 16MiB}\nhost: {quantum: 300cyc}\nvmm: {interval: 30us}\nworkload: {elf: ../workloads/guests/programs/locks.elf}", 400_000},
		"pages":          {"vm: {vcpus: 2, memory: 16MiB}\nvmm: {interval: 50us}\nworkload: {elf: ../workloads/guests/programs/pages.elf}", 1_500_000},
		"locks in order": {"cpu: {model: inorder}\nvm: {vcpus: 8, memory: 16MiB}\nhost: {quantum: 3000cyc}\nvmm: {interval: 30us}\nworkload: {elf: ../workloads/guests/programs/locks.elf}", 700_000},
		"pages in order": {"cpu: {model: inorder, switch: 20000instr}\nvm: {vcpus: 2, memory: 16MiB}\nvmm: {interval: 50us}\nworkload: {elf: ../workloads/guests/programs/pages.elf}", 1_500_000},
		"sort":           {"vm: {vcpus: 1, memory: 16MiB}\ntracking: {mode: bitmap}\nvmm: {interval: 100us}\nworkload: {elf: ../workloads/guests/programs/sort.elf}", 4_500_000},
		"lpis":           {"vm: {vcpus: 3, memory: 64MiB}\nhost: {quantum: 300cyc}\nvmm: {interval: 100us}\nworkload: {elf: \"builtin:lpis\"}", 1_200_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole, s := testMachine(t, c.text)
			want := newResult(s, whole.plan, "")
			if err := whole.simulate(want, Options{}); err != nil {
				t.Fatal(err)
			}
			end := whole.hash() // the audit's last look changes it
			whole.record(want, s)
			if want.Finished != "system off" || want.Audit.LostPages != 0 || len(want.Console) == 0 || len(differing(whole)) != 0 {
				t.Fatalf("ended with %q, %d pages lost, console %q", want.Finished, want.Audit.LostPages, want.Console)
			}
			for i := range uint64(9) {
				at := c.last / 9 * (i + 1)
				first, s := testMachine(t, c.text)
				r := newResult(s, first.plan, "")
				if err := first.simulate(r, Options{Snapshot: scenario.Time{Cycles: at}}); err != nil {
					t.Fatal(err)
				}
				if first.hash() != end {
					t.Fatalf("taking a snapshot at cycle %d changed the run", at)
				}
				second, s := testMachine(t, c.text)
				got := newResult(s, second.plan, "")
				if err := second.simulate(got, Options{Resume: r.Snapshot, ResumeName: fmt.Sprint(at)}); err != nil {
					t.Fatal(err)
				}
				same := second.hash() == end
				if second.record(got, s); !same || string(got.Console) != string(want.Console) {
					t.Fatalf("continued from cycle %d: another end; console %q", at, got.Console)
				}
			}
		})
	}
}

// TestContention: with cores that run in small steps the lock is fought for, and
// holds, in every mode.
func TestContention(t *testing.T) {
	for _, mode := range []string{"ring+bitmap", "ring", "bitmap", "off"} {
		m, s := testMachine(t, "vm: {vcpus: 8, memory: 16MiB}\nhost: {quantum: 40cyc}\nvmm: {interval: 20us}\nworkload: {elf: ../workloads/guests/programs/locks.elf}",
			"tracking.mode="+mode)
		r := runAll(t, m, s)
		if want := "locks: 8 vCPUs, 1600 under the lock, 1600 by LDADD\n"; string(r.Console) != want || r.Audit.LostPages != 0 {
			t.Errorf("%s: console %q, %d pages lost", mode, r.Console, r.Audit.LostPages)
		}
	}
}

// TestModelsAgreeOnPrograms: what a program leaves in guest memory does not depend
// on the core model, nor on when it was changed.
func TestModelsAgreeOnPrograms(t *testing.T) {
	for _, name := range []string{"pages", "sort", "hash", "queue", "locks"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := "vm: {vcpus: 1, memory: 16MiB}\ntracking: {mode: off}\nworkload: {elf: ../workloads/guests/programs/" + name + ".elf}"
			atomic, s := testMachine(t, text)
			want := runAll(t, atomic, s)
			for _, at := range []string{"start", "2500instr"} {
				inorder, s := testMachine(t, text, "cpu.model=inorder", "cpu.switch="+at)
				got := runAll(t, inorder, s)
				if string(got.Console) != string(want.Console) || got.Instructions != want.Instructions || got.Cycles == want.Cycles {
					t.Errorf("%s: %d instructions in %d cycles, atomic %d in %d; console %q", at, got.Instructions, got.Cycles, want.Instructions, want.Cycles, got.Console)
				}
				if n := guestDiffers(atomic, inorder); n != 0 {
					t.Errorf("%s: %d pages of guest memory differ", at, n)
				}
			}
		})
	}
}

// guestDiffers counts the pages of two guests' memory that differ.
func guestDiffers(a, b *machine) (n int) {
	slot := a.vm.Slots.All()[0]
	for i := range slot.Pages {
		hva := slot.HVA + mmu.HVA(i<<mmu.FrameShift)
		pa, okA := a.host.Memory.PFN(hva)
		pb, okB := b.host.Memory.PFN(hva)
		if okA != okB || okA && !a.host.Machine.Mem.EqualFrame(pa, b.host.Machine.Mem, pb) {
			n++
		}
	}
	return n
}
