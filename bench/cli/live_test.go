package cli_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// TestMetricsOfLiveRun scrapes the program while it runs; a port in use is a
// clear error.
func TestMetricsOfLiveRun(t *testing.T) {
	args := []string{"run", "--pattern", "zipf", "--no-baseline", "--set", "workload.accesses=0", "--set", "run.until=10000s", "--metrics", "0"}
	cmd := exec.Command(program, args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	line, err := bufio.NewReader(stderr).ReadString('\n')
	addr, found := strings.CutPrefix(strings.TrimSpace(line), "metrics at ")
	if !found {
		t.Fatalf("%q, %v", line, err)
	}
	cycle := func() (n float64) {
		res, err := http.Get(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if len(text) == 0 { // nothing published yet
			return 0
		}
		if err != nil || !strings.Contains(string(text), `ringmap_vcpu_ring_pushes_total{run="zipf",vcpu="3"}`) {
			t.Fatalf("%v in %.500s", err, text)
		}
		_, rest, _ := strings.Cut(string(text), `ringmap_run_cycle{run="zipf"} `)
		if _, err := fmt.Sscan(rest, &n); err != nil {
			t.Fatalf("%v in %.100q", err, rest)
		}
		return n
	}
	first := cycle()
	for range 600 {
		if cycle() > first {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if last := cycle(); last <= first {
		t.Errorf("the run stays at cycle %v", last)
	}
	port := addr[strings.LastIndexByte(strings.TrimSuffix(addr, "/metrics"), ':')+1 : len(addr)-len("/metrics")]
	for _, command := range [][]string{{"run", "--pattern", "zipf"}, {"bench"}} {
		o := ringmap(t, append(command, "--metrics", port)...)
		if want := "port " + port + " of 127.0.0.1 is in use"; o.status != 2 || !strings.Contains(o.stderr, want) || o.stdout != "" {
			t.Errorf("%v: status %d, %q, want %q", command, o.status, o.stderr, want)
		}
	}
}

// TestMetricsOfLiveSweep: every point that runs shows its statistics under its
// name, and the sweep how far it is.
func TestMetricsOfLiveSweep(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "s.yaml")
	if err := os.WriteFile(file, []byte("vm: {vcpus: 1, memory: 16MiB}\ntracking: {mode: \"off\"}\nseed: 1..3\nworkload: {accesses: 0}\nrun: {until: 10000s}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "sweep", file, "--store", filepath.Join(dir, "s.db"), "--metrics", "0", "--jobs", "2")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	line, err := bufio.NewReader(stderr).ReadString('\n')
	addr, found := strings.CutPrefix(strings.TrimSpace(line), "metrics at ")
	if !found {
		t.Fatalf("%q, %v", line, err)
	}
	wants := []string{"ringmap_sweep_points 3\n", "ringmap_sweep_points_done 0\n", `ringmap_run_cycle{run="seed=1"} `, `ringmap_run_share{run="seed=`}
	has := func(text string) bool {
		return !slices.ContainsFunc(wants, func(want string) bool { return !strings.Contains(text, want) })
	}
	var text string
	for range 600 {
		res, err := http.Get(addr)
		if err != nil {
			t.Fatal(err)
		}
		p := expfmt.NewTextParser(model.LegacyValidation)
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.TextToMetricFamilies(strings.NewReader(string(body))); err != nil {
			t.Fatal(err)
		}
		if text = string(body); has(text) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !has(text) {
		t.Errorf("want %q in %.3000s", wants, text)
	}
}
