package live_test

import (
	"net/http"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"ringmap/bench"
	"ringmap/bench/live"
	"ringmap/bench/scenario"
	"ringmap/sim"
)

func scrape(t *testing.T, addr string) map[string]*dto.MetricFamily {
	t.Helper()
	res, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("status %s: %v", res.Status, err)
	}
	return families
}

// TestScrape scrapes two runs while they run: the text parses, every registered
// statistic of them is there with its description, time goes on between scrapes,
// and the record is that of a run that nobody looks at.
func TestScrape(t *testing.T) {
	server, err := live.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	run := func(publish func(bench.Progress, []sim.Stat)) string {
		s, err := scenario.Parse("test.yaml", []byte("vm: {vcpus: 2, memory: 16MiB}\nworkload: {accesses: 20000}\nits: {devices: 1}\n"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := bench.Run(s, bench.Options{Publish: publish})
		if err != nil {
			t.Fatal(err)
		}
		text, err := r.JSON()
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var cycles []float64
	watched := run(func(p bench.Progress, stats []sim.Stat) {
		server.Publish("a", p.Cycle, p.Share, stats)
		server.Publish("b", p.Cycle, p.Share, stats)
		got := scrape(t, server.Addr) // the simulation is in the middle of its run
		cycles = append(cycles, got["ringmap_run_cycle"].Metric[0].GetCounter().GetValue())
		for _, st := range stats {
			name := strings.ReplaceAll(st.Name, ".", "_")
			name = strings.Replace(strings.Replace(name, "vcpu_0_", "vcpu_", 1), "vcpu_1_", "vcpu_", 1)
			f := got["ringmap_"+name]
			if st.Kind == sim.KindCounter {
				f = got["ringmap_"+name+"_total"]
			}
			if f == nil || !strings.HasPrefix(f.GetHelp(), st.Desc) {
				t.Fatalf("statistic %s: %v", st.Name, f)
			}
			want := 2 // runs
			if strings.HasPrefix(st.Name, "vcpu.") {
				want = 4
			}
			if len(f.Metric) != want {
				t.Errorf("%s has %d values, want %d", st.Name, len(f.Metric), want)
			}
			if v := f.Metric[0].GetCounter().GetValue(); st.Kind == sim.KindCounter && !strings.HasPrefix(st.Name, "vcpu.") && v != st.Value {
				t.Errorf("%s is %v, scraped %v", st.Name, st.Value, v)
			}
		}
	})
	if n := len(cycles); n < 2 || cycles[0] != 0 || cycles[n-1] <= cycles[0] {
		t.Errorf("scraped cycles %v", cycles)
	}
	if watched != run(nil) {
		t.Error("the record differs when somebody looks")
	}
	server.Forget("a")
	server.Forget("b")
	if got := scrape(t, server.Addr); len(got) != 0 {
		t.Errorf("%d families of no run", len(got))
	}
}

// TestListen: a port alone is on loopback; what cannot be listened at is one clear
// error.
func TestListen(t *testing.T) {
	first, err := live.Listen("0")
	if err != nil || !strings.HasPrefix(first.Addr, "127.0.0.1:") {
		t.Fatalf("%+v, %v", first, err)
	}
	defer first.Close()
	_, port, _ := strings.Cut(first.Addr, ":")
	for addr, want := range map[string]string{
		port:              "port " + port + " of 127.0.0.1 is in use; take another one, or 0 for any that is free",
		"127.0.0.1:99999": "cannot listen at 127.0.0.1:99999: address 99999: invalid port",
		"a:b:c":           "a:b:c is no address; write a port, such as 9090, or host:port",
		"1.2.3.4:0":       "cannot listen at 1.2.3.4:0: ",
	} {
		if _, err := live.Listen(addr); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", addr, err, want)
		}
	}
}
