package conform

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"ringmap/kvmcore"
)

// Every recording of both kernels replays without a difference.
func TestRecordings(t *testing.T) {
	for _, kernel := range []string{"7.2", "6.12"} {
		files, err := filepath.Glob(filepath.Join("testdata", kernel, "*.jsonl"))
		if err != nil || len(files) != 6 {
			t.Fatalf("%d recordings of %s: %v", len(files), kernel, err)
		}
		for _, file := range files {
			t.Run(kernel+"/"+filepath.Base(file), func(t *testing.T) {
				sum := replayFile(t, kernel, file)
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

func replayFile(t testing.TB, kernel, file string) Summary {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum, err := Replay(kernel, f, filepath.Base(file))
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// The two kernels are told apart: each one's recordings show differences when
// they are replayed as the other, and in the scenarios that are known to differ.
func TestKernelsDiffer(t *testing.T) {
	for _, c := range []struct{ file, kernel, scenario string }{
		{"7.2/a.jsonl", "6.12", "a_mmap"}, {"6.12/a.jsonl", "7.2", "a_mmap"},
		{"7.2/b.jsonl", "6.12", "b_huge"}, {"6.12/b.jsonl", "7.2", "b_huge"},
	} {
		sum := replayFile(t, c.kernel, filepath.Join("testdata", filepath.FromSlash(c.file)))
		if sum.Different == 0 {
			t.Errorf("%s replays as %s without a difference", c.file, c.kernel)
		}
		for _, r := range sum.Results {
			if r.Status == StatusDifferent && r.Scenario != c.scenario {
				t.Errorf("%s as %s: %s: %s", c.file, c.kernel, r.ID, r.Detail)
			}
		}
	}
}

// Results come in file order whatever the number of workers.
func TestOrder(t *testing.T) {
	file := filepath.Join("testdata", "7.2", "b.jsonl")
	many := replayFile(t, "7.2", file)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one := replayFile(t, "7.2", file)
	if d := cmp.Diff(one, many); d != "" {
		t.Errorf("(-one worker +many):\n%s", d)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if !strings.HasPrefix(line, fmt.Sprintf(`{"id":%q`, one.Results[i].ID)) {
			t.Errorf("result %d is %s", i, one.Results[i].ID)
		}
	}
}

func TestCompressed(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "7.2", "e.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	z.Write(data)
	z.Close()
	plain, err := Replay("7.2", bytes.NewReader(data), "e")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Replay("7.2", &packed, "e")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(plain, got); d != "" {
		t.Errorf("(-plain +zstd):\n%s", d)
	}
}

// head and tail make a line of the events between them.
const (
	head = `{"id":"t","scenario":"t","arch":"aarch64","kernel":"k","page_size":4096,"params":{},"events":[`
	tail = `],"warn":[],"dmesg":[]}`
)

// What is wrong in a recording is named, with its line.
func TestMalformed(t *testing.T) {
	good := head + `{"op":"create_vm","ret":0,"err":""}` + tail + "\n"
	for _, c := range []struct{ line, want string }{
		{`{`, "r:2: unexpected EOF"},
		{`[]`, "r:2: json: cannot unmarshal array"},
		{`{"id":"t"}`, `r:2: "scenario" is missing`},
		{strings.Replace(good, "4096", "65536", 1), "r:2: page_size 65536: only recordings of 4096 can be replayed"},
		{strings.Replace(good, `"arch"`, `"art"`, 1), `r:2: json: unknown field "art"`},
		{head + `{"op":"jump"}` + tail, `r:2: scenario t, event 0: unknown op "jump"`},
		{head + `{"ret":0}` + tail, `r:2: scenario t, event 0: unknown op ""`},
		{head + `5` + tail, `r:2: scenario t, event 0: want an object with a string "op"`},
		{head + `{"op":"create_vm","ret":0}` + tail, `event 0: create_vm: "err" is missing`},
		{head + `{"op":"create_vm","ret":0,"err":"","x":1}` + tail, `event 0: create_vm: json: unknown field "x"`},
		{head + `{"op":"create_vm","ret":"0","err":""}` + tail, `create_vm: json: cannot unmarshal string`},
		{head + `{"op":"pvtime_set","vcpu":0,"ipa":4096,"ret":0,"err":""}` + tail, `want a hex string such as "0x1000", have 4096`},
		{head + `{"op":"pvtime_set","vcpu":0,"ipa":"4096","ret":0,"err":""}` + tail, `want a hex string`},
		{head + `{"op":"harvest","vcpu":0,"max":-1,"mark":2,"fetch":0,"entries":[[1,2,3]],"n":0}` + tail, "want an array of 4 values, have [1,2,3]"},
		{head + `{"op":"its_cmd","name":"MAPC","gpa":"0x0","dw":["0x0"]}` + tail, "want an array of 4 values"},
		{head + `{"op":"guest_program","vcpu":0,"code":[{"k":"dance"}]}` + tail, `unknown guest operation "dance"`},
		{head + `{"op":"guest_program","vcpu":0,"code":[{"k":"write64","addr":"0x0"}]}` + tail, `write64: "val" is missing`},
		{head + `{"op":"guest_program","vcpu":0,"code":[{"k":"spin","val":1}]}` + tail, `spin: want the keys k`},
		{head + `{"op":"guest_program","vcpu":0,"code":[{"k":"read_lcg","base":"0x0","pages":0,"count":1,"seed":"0x1"}]}` + tail, "pages must not be 0"},
	} {
		_, err := Replay("7.2", strings.NewReader(good+c.line), "r")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n gives %v\n want %s", c.line, err, c.want)
		}
	}
	if _, err := Replay("7.2+fixed", strings.NewReader(good), "r"); err == nil {
		t.Error("recordings replay on a repaired kernel")
	}
	if _, err := Replay("5.4", strings.NewReader(good), "r"); err == nil {
		t.Error("recordings replay on an unknown kernel")
	}
	if sum, err := Replay("7.2", strings.NewReader(good+"\n\n"+good), "r"); err != nil || sum.OK != 2 {
		t.Errorf("empty lines: %+v %v", sum, err)
	}
}

// A changed result is found and named: event, operation, field, both values.
func TestDifferenceIsNamed(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "7.2", "b.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var line string
	for _, l := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(l, `{"id":"b_hostile.mode=ring+bitmap.ring=4096.variant=4"`) {
			line = l
		}
	}
	for _, c := range []struct{ old, new, want string }{
		{`"n":`, `"n":`, ""},
		{`{"op":"reset_dirty_rings","ret":256`, `{"op":"reset_dirty_rings","ret":255`, "event 12 (reset_dirty_rings): ret: recorded 255, modelled 256"},
		{`"ret":0,"err":"","exit":"DIRTY_RING_FULL"`, `"ret":-1,"err":"EINTR","exit":"DIRTY_RING_FULL"`, "event 14 (run): err: recorded EINTR, modelled "},
		{`"exit":"DIRTY_RING_FULL"`, `"exit":"MMIO"`, "event 14 (run): exit: recorded MMIO, modelled DIRTY_RING_FULL"},
		{`"clean":256`, `"clean":255`, "event 13 (ring_state): clean: recorded 255, modelled 256"},
		{`"flags":[[0,20],[1,1]`, `"flags":[[0,19],[1,2]`, "event 15 (ring_dump): flags[19]: recorded 1, modelled 0"},
		{`"entries":[[1,0,1,20]`, `"entries":[[1,0,1,10],[1,11,1,10]`, "event 15 (ring_dump): entries[10]: recorded [1,11], modelled [1,10]"},
		{`"data":"0x1"`, `"data":"0x2"`, "event 9 (run): mmio.data: recorded 0x2, modelled 0x1"},
		{`"warn":["kvm_dirty_ring_push"]`, `"warn":[]`, "warn: recorded [], modelled [kvm_dirty_ring_push]"},
	} {
		if !strings.Contains(line, c.old) && c.want != "" {
			t.Fatalf("the scenario has no %s", c.old)
		}
		sum, err := Replay("7.2", strings.NewReader(strings.Replace(line, c.old, c.new, 1)), "r")
		if err != nil {
			t.Fatal(err)
		}
		if got := sum.Results[0].Detail; got != c.want {
			t.Errorf("%s -> %s gives %q, want %q", c.old, c.new, got, c.want)
		}
	}
}

// What the model cannot do is said, and nothing of it compared.
func TestUnsupported(t *testing.T) {
	for _, c := range []struct{ events, want string }{
		{`{"op":"reset_dirty_rings","ret":0,"err":""}`, "event 0 (reset_dirty_rings): no VM exists"},
		{`{"op":"create_vm","ret":0,"err":""},{"op":"set_immediate_exit","vcpu":0,"value":1}`, "event 1 (set_immediate_exit): vcpu 0 does not exist"},
		{`{"op":"create_vm","ret":0,"err":""},{"op":"create_vcpu","id":0,"ret":0,"err":""},{"op":"mark","vcpu":0,"from":0,"n":1,"flags":2}`,
			"event 2 (mark): vcpu 0 has no ring"},
		{`{"op":"create_vm","ret":0,"err":""},{"op":"set_memory_region","slot":0,"flags":0,"gpa":"0x0","size":"0x1000","hva":"new:gold:populated","ret":0,"err":""}`,
			`event 1 (set_memory_region): memory "new:gold:populated" of 0x1000 bytes`},
		{`{"op":"host_read","gpa":"0x0","len":8,"nonzero":[]}`, "event 0 (host_read): the VMM has no memory of 8 bytes at 0x0"},
	} {
		sum, err := Replay("7.2", strings.NewReader(head+c.events+tail), "r")
		if err != nil {
			t.Fatal(err)
		}
		if r := sum.Results[0]; r.Status != StatusUnsupported || r.Detail != c.want {
			t.Errorf("%s gives %s %q, want %q", c.events, r.Status, r.Detail, c.want)
		}
	}
}

func FuzzReplay(f *testing.F) {
	for _, name := range []string{"7.2/a.jsonl", "7.2/b.jsonl", "7.2/c.jsonl", "7.2/d.jsonl", "7.2/e.jsonl"} {
		data, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)))
		if err != nil {
			f.Fatal(err)
		}
		for i, line := range bytes.Split(data, []byte("\n")) {
			if i%10 == 0 && len(line) < 5000 {
				f.Add(line, i%20 == 0)
			}
		}
	}
	kernel, err := kvmcore.ParseKernel("7.2")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line []byte, execute bool) {
		s, err := decodeScenario(line)
		if err != nil {
			return
		}
		if len(s.ops) != len(s.Events) {
			t.Fatalf("%d events, %d operations", len(s.Events), len(s.ops))
		}
		w := newWorld(kernel, execute)
		w.limit = 1 << 16
		if r := w.replay(s); r.Status != StatusOK && r.Detail == "" {
			t.Fatalf("%+v", r)
		}
	})
}

func BenchmarkReplay(b *testing.B) {
	data, err := os.ReadFile(filepath.Join("testdata", "7.2", "b.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Replay("7.2", bytes.NewReader(data), "b"); err != nil {
			b.Fatal(err)
		}
	}
}
