// Package live shows running simulations to Prometheus.
//
//	simulation's goroutine ── Publish (at its slices) ──► last snapshot of each run
//	                                                            │
//	http://127.0.0.1:PORT/metrics ◄── collector ◄───────────────┘
//
// Every registered statistic is there with its description. A scrape reads what was
// published last and never waits for a simulation, nor does one wait for a scrape
// longer than it takes to swap a pointer: results cannot depend on who looks.
// Format: prometheus.io/docs/instrumenting/exposition_formats.
package live

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ringmap/sim"
)

// Server answers scrapes.
type Server struct {
	Addr string // where it listens, with the port that it got

	http *http.Server
	mu   sync.Mutex
	runs map[string][]prometheus.Metric // the last snapshot of each run, by name
}

// Listen starts a server at addr: host:port, :port or a port, on loopback unless
// a host is named; port 0 takes any that is free.
func Listen(addr string) (*Server, error) {
	if !strings.Contains(addr, ":") {
		addr = ":" + addr
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%s is no address; write a port, such as 9090, or host:port", addr)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port %s of %s is in use; take another one, or 0 for any that is free", port, host)
	}
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("cannot listen at %s: %w; write a port, such as 9090, or host:port", addr, err)
	}
	s := &Server{Addr: l.Addr().String(), runs: map[string][]prometheus.Metric{}}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collector{s})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ringmap: see /metrics") })
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go s.http.Serve(l) // until Close
	return s, nil
}

// Close ends the server.
func (s *Server) Close() { s.http.Close() }

// Publish makes the statistics of a run what scrapes see of it, and how far it is:
// the simulated cycle and the share of the work done, 0 to 1.
func (s *Server) Publish(run string, cycle uint64, share float64, stats []sim.Stat) {
	m := []prometheus.Metric{
		metric("ringmap_run_cycle", "simulated cycle that the run has reached (cycles)", prometheus.CounterValue, float64(cycle), run, ""),
		metric("ringmap_run_share", "share of the run that is done, 0 to 1", prometheus.GaugeValue, min(max(share, 0), 1), run, ""),
	}
	for i := range stats {
		m = append(m, metrics(run, &stats[i])...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs[run] = m
}

// Show publishes a number about all runs together, such as how many there are.
func (s *Server) Show(name, help string, v float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs["\x00"+name] = []prometheus.Metric{
		prometheus.MustNewConstMetric(prometheus.NewDesc("ringmap_"+name, help, nil, nil), prometheus.GaugeValue, v),
	}
}

// Forget drops a run that is over.
func (s *Server) Forget(run string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.runs, run)
}

// metrics turns a statistic into what Prometheus knows: a counter or a gauge; a
// level becomes three gauges, a histogram a summary.
func metrics(run string, st *sim.Stat) []prometheus.Metric {
	name, vcpu := metricName(st.Name)
	help := st.Desc
	if st.Unit != "" {
		help += " (" + st.Unit + ")"
	}
	switch st.Kind {
	case sim.KindCounter:
		return []prometheus.Metric{metric(name+"_total", help, prometheus.CounterValue, st.Value, run, vcpu)}
	case sim.KindLevel:
		return []prometheus.Metric{
			metric(name, help, prometheus.GaugeValue, float64(st.Exact), run, vcpu),
			metric(name+"_mean", "mean over time: "+help, prometheus.GaugeValue, st.Value, run, vcpu),
			metric(name+"_max", "highest so far: "+help, prometheus.GaugeValue, float64(st.Level.Max), run, vcpu),
		}
	case sim.KindHistogram:
		h := st.Histogram
		quantiles := map[float64]float64{}
		for _, q := range []uint64{50, 90, 99} {
			quantiles[float64(q)/100] = float64(h.Quantile(q, 100))
		}
		desc, values := describe(name, help, run, vcpu)
		return []prometheus.Metric{prometheus.MustNewConstSummary(desc, h.Count, st.Value*float64(h.Count), quantiles, values...)}
	}
	return []prometheus.Metric{metric(name, help, prometheus.GaugeValue, st.Value, run, vcpu)}
}

// metricName is a statistic's name as Prometheus writes it: "vcpu.3.ring.pushes"
// is ringmap_vcpu_ring_pushes{vcpu="3"}.
func metricName(stat string) (name, vcpu string) {
	if rest, ok := strings.CutPrefix(stat, "vcpu."); ok {
		if n, after, ok := strings.Cut(rest, "."); ok && n != "" && strings.Trim(n, "0123456789") == "" {
			stat, vcpu = "vcpu."+after, n
		}
	}
	return "ringmap_" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, stat), vcpu
}

func metric(name, help string, kind prometheus.ValueType, v float64, run, vcpu string) prometheus.Metric {
	desc, values := describe(name, help, run, vcpu)
	return prometheus.MustNewConstMetric(desc, kind, v, values...)
}

func describe(name, help, run, vcpu string) (*prometheus.Desc, []string) {
	labels, values := []string{"run"}, []string{strings.ToValidUTF8(run, "?")}
	if vcpu != "" {
		labels, values = append(labels, "vcpu"), append(values, vcpu)
	}
	return prometheus.NewDesc(name, help, labels, nil), values
}

// collector hands out the last snapshots. It describes nothing in advance: which
// statistics there are depends on the runs.
type collector struct{ *Server }

// Describe sends nothing, which makes the collector an unchecked one.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends every metric of every run.
func (c collector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	var all [][]prometheus.Metric
	for _, run := range slices.Sorted(maps.Keys(c.runs)) {
		all = append(all, c.runs[run])
	}
	c.mu.Unlock()
	for _, run := range all {
		for _, m := range run {
			out <- m
		}
	}
}
