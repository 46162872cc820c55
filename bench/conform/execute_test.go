package conform

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
	"ringmap/workloads/script"
)

// TestRecordingsExecuted: guests that are machine code give what was recorded too.
// Without RINGMAP_LONG it takes every fourth scenario of one kernel.
func TestRecordingsExecuted(t *testing.T) {
	kernels, each := []string{"7.2"}, 4
	if os.Getenv("RINGMAP_LONG") != "" {
		kernels, each = append(kernels, "6.12"), 1
	}
	for _, kernel := range kernels {
		files, err := filepath.Glob(filepath.Join("testdata", kernel, "*.jsonl"))
		if err != nil || len(files) != 6 {
			t.Fatalf("%d recordings of %s: %v", len(files), kernel, err)
		}
		for _, file := range files {
			t.Run(kernel+"/"+filepath.Base(file), func(t *testing.T) {
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				var lines [][]byte
				for i, line := range bytes.Split(data, []byte("\n")) {
					if i%each == 0 {
						lines = append(lines, line)
					}
				}
				sum, err := Execute(kernel, bytes.NewReader(bytes.Join(lines, []byte("\n"))), file)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range sum.Results {
					if r.Status != StatusOK {
						t.Errorf("%s: %s: %s", r.ID, r.Status, r.Detail)
					}
				}
				if sum.OK != len(sum.Results) || sum.OK == 0 {
					t.Errorf("%d of %d scenarios ok", sum.OK, len(sum.Results))
				}
			})
		}
	}
}

// TestInterpreter: stream and program do the same for scripts that no recording
// has: every operation, loops in loops, many vCPUs. What is compared is every exit
// and all memory at each.
func TestInterpreter(t *testing.T) {
	const vcpus = 3
	for seed := range seeds() {
		rnd := sim.NewStream(seed, "interpreter")
		var scripts [vcpus][]script.Op
		for v := range scripts {
			scripts[v] = randomScript(&rnd)
		}
		stream, program := playScripts(t, scripts[:], false), playScripts(t, scripts[:], true)
		if d := cmp.Diff(stream, program); d != "" {
			t.Fatalf("seed %d, %+v (-stream +program):\n%s", seed, scripts, d)
		}
	}
}

const (
	ramBase  = mmu.IPA(0x4000_0000)
	ramPages = 64
)

func randomScript(rnd *sim.Stream) (ops []script.Op) {
	for n := range 2 + rnd.N(90) {
		op := script.Op{
			Kind: script.Kind(rnd.N(14)), Base: ramBase + mmu.IPA(8*rnd.N(1024)), Stride: 8 * int64(rnd.N(3000)),
			Count: rnd.N(5), Val: rnd.Uint64(), Pages: 1 + rnd.N(ramPages-4),
		}
		switch op.Kind {
		case script.Spin:
			op.Kind = script.MMIOExit
		case script.WriteList:
			for range rnd.N(4) {
				op.List = append(op.List, rnd.N(ramPages-4))
			}
		case script.ReadSeq:
			op.Base, op.Stride = ramBase+20*4096, -op.Stride
		case script.Loop:
			if op.Target = max(0, int(n)-int(rnd.N(6))-1); n == 0 || loops(ops) == 6 {
				op.Kind = script.WritePair
			}
			op.Count %= 3
		}
		ops = append(ops, op)
	}
	return ops
}

func loops(ops []script.Op) (n int) {
	for _, op := range ops {
		if op.Kind == script.Loop {
			n++
		}
	}
	return n
}

// playScripts runs the vCPUs in turn until each has ended twice and returns what
// was seen.
func playScripts(t *testing.T, scripts [][]script.Op, execute bool) (seen []string) {
	t.Helper()
	kernel, err := kvmcore.ParseKernel("7.2")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(kernel, execute)
	(&createVM{}).replay(w)
	for slot, r := range map[uint32]setMemoryRegion{
		1:           {GPA: word(ramBase), Size: ramPages * 4096},
		script.Slot: {GPA: word(script.Base), Size: 1 << 20},
	} {
		r.Slot, r.HVA = slot, "new:4k:populated"
		r.replay(w)
	}
	for i, ops := range scripts {
		(&createVCPU{ID: uint64(i)}).replay(w)
		patches, err := w.area.Append(w.scripts[i], ops)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range patches {
			for j, v := range p.Words {
				w.store(p.IPA+mmu.IPA(j*8), v)
			}
		}
	}
	if w.diff != "" || w.reason != "" {
		t.Fatal(w.diff, w.reason)
	}
	for ended := 0; ended < 2; {
		ended++
		for _, v := range w.vcpus {
			v.Enter()
			if s := w.carryOn(v, w.limit); s != kvmcore.RunExit {
				t.Fatalf("KVM_RUN does not return (state %d) after %v", s, seen)
			}
			if m := v.Run.MMIO; m.Addr != script.ExitAddr || uint32(m.Data) != script.ExhaustedID {
				ended = 0
			}
			if len(seen) > 20000 {
				t.Fatal("no end")
			}
			m := v.Run.MMIO
			seen = append(seen, fmt.Sprintf("vCPU %d: %d %#x/%d %v %#x, memory %x", v.Index, v.Run.ExitReason, m.Addr, m.Len, m.Write,
				m.Data<<(64-8*m.Len)>>(64-8*m.Len), w.sumOf(t)))
		}
	}
	return seen
}

// sumOf is a checksum of the first slot.
func (w *world) sumOf(t *testing.T) (sum uint64) {
	t.Helper()
	var b [4096]byte
	for page := range mmu.IPA(ramPages) {
		hva, ok := w.hva(ramBase + page*4096)
		if !ok || w.host.Memory.Read(hva, b[:]) != kvmcore.OK {
			t.Fatal("no memory")
		}
		sum = sum*31 + xxhash.Sum64(b[:])
	}
	return sum
}

// seeds is how many random scripts a test tries.
func seeds() uint64 {
	if os.Getenv("RINGMAP_LONG") != "" {
		return 200
	}
	return 6
}
