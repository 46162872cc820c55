// Package conform replays recordings of real arm64 kernels on the model and
// compares every result.
//
//	recording (JSONL) ─► decode ─► operations ─► Host, VM, vCPUs, devices
//	                                    │                   │
//	                              recorded result ◄─compare─┘
//
// Each scenario runs on a host of its own, so a file is replayed by as many
// workers as the machine has processors and the results come back in file order.
// A recorded result is only ever compared, never used to decide what to do. The
// format is described in the README beside the recordings.
package conform

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"ringmap/kvmcore"
)

// Status is how the replay of a scenario ended.
type Status string

const (
	StatusOK          Status = "ok"          // every result is as recorded
	StatusDifferent   Status = "different"   // Detail names the first difference
	StatusUnsupported Status = "unsupported" // Detail names what the model cannot do
)

// Result is the outcome of one scenario.
type Result struct {
	ID       string `json:"id"`
	Scenario string `json:"scenario"`
	Status   Status `json:"status"`
	Detail   string `json:"detail,omitempty"`
}

// Summary is the outcome of a recording.
type Summary struct {
	File        string   `json:"file"`
	Kernel      string   `json:"kernel"` // that the model behaved as
	OK          int      `json:"ok"`
	Different   int      `json:"different"`
	Unsupported int      `json:"unsupported"`
	Results     []Result `json:"results"` // in file order
}

// maxLine bounds one scenario, in bytes: the longest recorded ones have 50 KiB.
const maxLine = 64 << 20

// Replay replays a recording as the named kernel, "7.2" or "6.12". r may be
// compressed with zstd; name is what errors call it. An error means that the
// recording cannot be read: it names the line and what was expected there.
func Replay(kernel string, r io.Reader, name string) (Summary, error) {
	return replay(kernel, r, name, false)
}

// Execute is Replay with guests that execute the scripts as machine code.
func Execute(kernel string, r io.Reader, name string) (Summary, error) {
	return replay(kernel, r, name, true)
}

func replay(kernel string, r io.Reader, name string, execute bool) (Summary, error) {
	sum := Summary{File: name, Kernel: kernel}
	k, err := kvmcore.ParseKernel(kernel)
	if err != nil {
		return sum, err
	}
	if strings.HasSuffix(kernel, "+fixed") {
		return sum, fmt.Errorf("kernel %q: recordings are of real kernels, replay them as 7.2 or 6.12", kernel)
	}
	r, err = decompress(r)
	if err != nil {
		return sum, fmt.Errorf("%s: %w", name, err)
	}
	if err := sum.replayLines(k, r, execute); err != nil {
		return sum, fmt.Errorf("%s:%w", name, err)
	}
	for _, r := range sum.Results {
		switch r.Status {
		case StatusOK:
			sum.OK++
		case StatusDifferent:
			sum.Different++
		default:
			sum.Unsupported++
		}
	}
	return sum, nil
}

// replayLines decodes line by line, replays on all processors and keeps order.
func (sum *Summary) replayLines(k kvmcore.Kernel, r io.Reader, execute bool) error {
	type job struct {
		s  *scenario
		to int
	}
	jobs := make(chan job)
	var (
		lock    sync.Mutex
		workers sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for j := range jobs {
				res := newWorld(k, execute).replay(j.s)
				lock.Lock()
				sum.Results[j.to] = res
				lock.Unlock()
			}
		})
	}
	defer workers.Wait()
	defer close(jobs)

	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 1<<16), maxLine)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		s, err := decodeScenario(lines.Bytes())
		if err != nil {
			return fmt.Errorf("%d: %w", n, err)
		}
		lock.Lock()
		sum.Results = append(sum.Results, Result{})
		to := len(sum.Results) - 1
		lock.Unlock()
		jobs <- job{s, to}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("a line is longer than %d bytes", maxLine)
		}
		return fmt.Errorf(" %w", err)
	}
	return nil
}

// zstdMagic begins a zstd frame. RFC 8878 3.1.1.
var zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

func decompress(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	if head, _ := b.Peek(len(zstdMagic)); !bytes.Equal(head, zstdMagic) {
		return b, nil
	}
	z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return z, nil
}

// replay runs one scenario in a fresh world.
func (w *world) replay(s *scenario) Result {
	res := Result{ID: s.ID, Scenario: s.Scenario, Status: StatusOK}
	for i, op := range s.ops {
		op.replay(w)
		switch {
		case w.diff != "":
			res.Status, res.Detail = StatusDifferent, fmt.Sprintf("event %d (%s): %s", i, op.name(), w.diff)
		case w.reason != "":
			res.Status, res.Detail = StatusUnsupported, fmt.Sprintf("event %d (%s): %s", i, op.name(), w.reason)
		case w.ended && i+1 < len(s.ops):
			res.Status = StatusDifferent
			res.Detail = fmt.Sprintf("event %d (%s): the modelled kernel crashed, the recorded one went on", i, op.name())
		default:
			continue
		}
		return res
	}
	if w.ended { // a crash's own warnings are not recorded
		return res
	}
	if recorded, modelled := names(s.Warn), names(w.host.Warns); !slices.Equal(recorded, modelled) {
		res.Status = StatusDifferent
		res.Detail = fmt.Sprintf("warn: recorded %v, modelled %v", recorded, modelled)
	}
	return res
}

// names sorts function names and drops repetitions.
func names(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}
