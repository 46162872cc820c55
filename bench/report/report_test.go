package report

import (
	"bytes"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ringmap/bench/store"
)

const hostile = `</script><script>alert(1)</script>"'&<b>`

// valid checks what browsers mend in silence: tags that are closed in the order in which
// they were opened, attributes that are quoted and not doubled, ids that are unique, no
// markup where text belongs.
func valid(t *testing.T, page string) {
	t.Helper()
	if !strings.HasPrefix(page, "<!DOCTYPE html>\n<html lang=") {
		t.Fatal("this does not begin as HTML")
	}
	for _, e := range markup(page) {
		t.Error(e)
	}
}

var (
	tag       = regexp.MustCompile(`^<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-zA-Z:-]+(?:="[^"<]*")?)*)\s*(/?)>`)
	attribute = regexp.MustCompile(`([a-zA-Z:-]+)(?:="([^"<]*)")?`)
	entity    = regexp.MustCompile(`^&(?:[a-zA-Z]+|#[0-9]+|#x[0-9a-fA-F]+);`)
	void      = []string{"meta", "input", "br"}
)

func markup(page string) (errs []string) {
	bad := func(at int, format string, args ...any) {
		errs = append(errs, fmt.Sprintf("byte %d: ", at)+fmt.Sprintf(format, args...))
	}
	var stack []string
	ids := map[string]bool{}
	for i := len("<!DOCTYPE html>"); i < len(page); i++ {
		switch page[i] {
		case '&':
			if !entity.MatchString(page[i:min(i+12, len(page))]) {
				bad(i, "an & that begins no entity")
			}
		case '>':
			bad(i, "a > that ends no tag")
		case '<':
			m := tag.FindStringSubmatch(page[i:])
			if m == nil {
				if end := strings.Index(page[i:], "-->"); strings.HasPrefix(page[i:], "<!--") && end > 0 {
					i += end + 2
					continue
				}
				bad(i, "no tag: %.40q", page[i:])
				return errs
			}
			seen := map[string]bool{}
			for _, a := range attribute.FindAllStringSubmatch(m[3], -1) {
				if seen[a[1]] {
					bad(i, "attribute %s twice", a[1])
				}
				if seen[a[1]] = true; a[1] == "id" {
					if ids[a[2]] {
						bad(i, "id %s twice", a[2])
					}
					ids[a[2]] = true
				}
			}
			i += len(m[0]) - 1
			switch {
			case m[1] == "/":
				if len(stack) == 0 || stack[len(stack)-1] != m[2] {
					bad(i, "</%s> closes %v", m[2], stack)
					return errs
				}
				stack = stack[:len(stack)-1]
			case m[4] == "/" || slices.Contains(void, m[2]):
			case m[2] == "script" || m[2] == "style": // raw until its end
				end := strings.Index(page[i:], "</"+m[2])
				if end < 0 {
					bad(i, "%s does not end", m[2])
					return errs
				}
				i += end + len("</"+m[2]+">") - 1
			default:
				stack = append(stack, m[2])
			}
		}
	}
	if len(stack) > 0 {
		bad(len(page), "still open: %v", stack)
	}
	return errs
}

// TestMarkup: the check finds what is wrong.
func TestMarkup(t *testing.T) {
	for _, text := range []string{"<p><b></p></b>", "<p", "<p>a > b</p>", "<p>a & b</p>", `<p id="a"></p><p id="a"></p>`, `<p id="a" id="b"></p>`, "<div>", "<script>"} {
		if len(markup("<!DOCTYPE html>"+text)) == 0 {
			t.Errorf("%s counts as valid", text)
		}
	}
	if errs := markup("<!DOCTYPE html><p id=\"a\">a &amp; b<br>c</p><script>a<b</script>"); len(errs) != 0 {
		t.Error(errs)
	}
}

// madeSweep stores points whose names want to break out of the page.
func madeSweep(t *testing.T, order func(i int) bool) (*store.Store, store.About) {
	t.Helper()
	st, err := store.Open(filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	about := store.About{Name: hostile, Stats: []string{"guest.slowdown", "ring.full_exits", "same"}, Axes: []store.Axis{
		{Key: "tracking.ring", Values: []string{"256", "1024", "4096"}, Numbers: []float64{256, 1024, 4096}},
		{Key: "policy" + hostile, Values: []string{"own" + hostile, "all"}},
		{Key: "seed", Values: []string{"1", "2", "3", "4", "5", "6"}, Numbers: []float64{1, 2, 3, 4, 5, 6}, Replicate: true},
	}}
	var points []store.Point
	for n := range 36 {
		ring, policy, seed := n/12, n/6%2, n%6
		p := store.Point{Ordinal: n, Key: fmt.Sprintf("%032x", n), Labels: []string{about.Axes[0].Values[ring], about.Axes[1].Values[policy], about.Axes[2].Values[seed]}}
		points = append(points, p)
		if !order(n) {
			continue
		}
		record := fmt.Sprintf(`{"version":"1","name":%q,"scenario_hash":"%d","seed":%d,"finished":"x","scenario":{"a":"x"},"derived":{},"stats":{"guest.slowdown":%v,"ring.full_exits":%d,"same":3}}`,
			"n", n, seed, 1.5-float64(ring)/10+float64(policy)/20+float64(n*n%7)/500, 100-30*ring)
		if err := st.Put(p.Key, []byte(record)); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.PutSweep(about, points); err != nil {
		t.Fatal(err)
	}
	return st, about
}

func sweepPage(t *testing.T, st *store.Store, about store.About) string {
	t.Helper()
	var b bytes.Buffer
	if err := Sweep(&b, st, about, about.Stats); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// alone: a page asks for nothing from outside, and what is hostile is text.
func alone(t *testing.T, page string) {
	t.Helper()
	for _, bad := range []string{"<script>alert", "<b>", "<link", "@import", "url(", " src="} {
		if strings.Contains(page, bad) {
			t.Errorf("%s is in the page", bad)
		}
	}
	if !strings.Contains(page, html.EscapeString("</script>")) {
		t.Error("the hostile name is not in the page")
	}
}

func TestSweepPage(t *testing.T) {
	st, about := madeSweep(t, func(int) bool { return true })
	page := sweepPage(t, st, about)
	valid(t, page)
	alone(t, page)
	for _, want := range []string{
		"36 points: tracking.ring (3)", "guest.slowdown along tracking.ring", "Bars are 95 % intervals", "There are no intervals: the figures of a simulation are exact.",
		"same is 3 at all 36 points.", "95 % of seeds", `<fieldset data-axis="2">`, `"chunks":["`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in the page", want)
		}
	}
}

// TestShardsMerged: which store a run was in makes no difference to the page.
func TestShardsMerged(t *testing.T) {
	whole, about := madeSweep(t, func(int) bool { return true })
	odd, _ := madeSweep(t, func(n int) bool { return n%2 == 1 })
	even, _ := madeSweep(t, func(n int) bool { return n%2 == 0 })
	if err := odd.Merge(even); err != nil {
		t.Fatal(err)
	}
	if sweepPage(t, odd, about) != sweepPage(t, whole, about) {
		t.Error("the page of the joined stores differs")
	}
	if sweepPage(t, even, about) == sweepPage(t, whole, about) {
		t.Error("a half is reported as the whole")
	}
}

func TestNothingFinished(t *testing.T) {
	st, about := madeSweep(t, func(int) bool { return false })
	if err := Sweep(&bytes.Buffer{}, st, about, about.Stats); err == nil || !strings.Contains(err.Error(), "is finished; run") {
		t.Error(err)
	}
}

// madeRecord is one with all that a series may have.
func madeRecord() string {
	h := strings.ReplaceAll(hostile, `"`, `\"`)
	var rows []string
	for i := range 20 {
		rows = append(rows, fmt.Sprintf(`{"kind":"ring_occupancy","key":"%d","values":"%d 4 0"}`, i, i))
	}
	return `{"version":"1","name":"` + h + `","scenario_hash":"h","seed":1,"finished":"work done","audit":{"lost_pages":1,"causes":[],"lost":[{"gfn":64,"cause":"` + h + `","writer":"vCPU 1"}],"collections":[]},
	"threads":[{"name":"vcpu.0","cycles":30,"causes":[{"cause":"guest","cycles":20},{"cause":"fault","cycles":10}]},{"name":"vmm","cycles":5,"causes":[{"cause":"wait_sleep","cycles":5}]}],
	"figures":{"note":"` + h + `"},"warnings":["` + h + `"],"findings":[],"kernel_warnings":[],
	"series":{"period_cycles":1000,"samples":3,"end_cycle":2500,"vcpus_per_row":1,"pages_per_bin":10,"columns":[` + strings.Join(rows, ",") + `,
	{"kind":"exits","key":"ring_full","values":"1 0 2"},{"kind":"cycles","key":"vcpus.guest","values":"5 5 5"},{"kind":"cycles","key":"vcpus.fault","values":"5 0 1"},
	{"kind":"recorded","key":"0x10","values":"1 2 3"},{"kind":"recorded","key":"0x24","values":"10 0 3"}],"inter_exit":[{"kind":"ring_full","buckets":"0 3 1"}]},
	"scenario":{"kernel":"7.2","tracking.mode":"ring"},"derived":{"vcpus":20,"clock_hz":1000000000,"ring_entries":64},"stats":{"time.cycles":2500,"guest.slowdown":1.25,"audit.changed_pages":7}}`
}

func TestRunPage(t *testing.T) {
	var b bytes.Buffer
	if err := Run(&b, "r.json", []byte(madeRecord())); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	valid(t, page)
	alone(t, page)
	for _, want := range []string{
		"The guest ran for 2.5 µs, 1.25 times as long", "66.7 % were the guest", "LOST: 1 of 7 changed pages", "Cycles of each thread", "Recorded pages over guest memory and time",
		"Ring occupancy of each vCPU", "vCPU 19", "Cycles of the VMM&#39;s main thread: nothing was sampled", "Exits to userspace", "Time between two exits of a vCPU", "guest frame number",
		"<th>0x10</th><th>0x1a</th><th>0x24</th>", // the bin of zeros has its row
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in the page", want)
		}
	}
}

// TestBadRecords: each is one clear error.
func TestBadRecords(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":    {"hello", "r.json: this is no record of a run"},
		"other JSON": {`{"a":1}`, "it lacks one of version, scenario, derived, stats"},
		"a list":     {"[]", "this is no record"},
		"deep stats": {`{"version":"1","scenario":{},"derived":{},"stats":{"a":{"b":1}}}`, "a holds no plain value"},
		"samples":    {strings.Replace(madeRecord(), `"samples":3`, `"samples":2`, 1), "3 values, expected 2"},
		"many":       {strings.Replace(madeRecord(), `"samples":3`, `"samples":1000000000`, 1), "1000000000 samples"},
		"negative":   {strings.Replace(madeRecord(), `"1 0 2"`, `"1 -1 2"`, 1), `"-1" is no count`},
		"no frame":   {strings.Replace(madeRecord(), `"0x24"`, `"zz"`, 1), "no guest frame number"},
	} {
		if err := Run(&bytes.Buffer{}, "r.json", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzRun: anybody's record is a page or an error.
func FuzzRun(f *testing.F) {
	f.Add([]byte(madeRecord()))
	f.Add([]byte(`{"version":"1","scenario":{},"derived":{},"stats":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var b bytes.Buffer
		if err := Run(&b, "r.json", text); err == nil {
			valid(t, b.String())
		}
	})
}

// TestBrowser: Chromium runs the page's script: a filter chooses, and a row opens its record.
func TestBrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	st, about := madeSweep(t, func(int) bool { return true })
	page := sweepPage(t, st, about)
	page = strings.Replace(page, "</body>", `<script>
addEventListener("error", e => { document.title = "error " + e.message; });
addEventListener("unhandledrejection", e => { document.title = "error " + e.reason; });
document.querySelector("fieldset[data-axis='0'] input").click();
document.querySelectorAll("#runs th")[0].click();
document.querySelector("#runs tbody tr").click();
</script></body>`, 1)
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(), "--virtual-time-budget=5000", "--dump-dom", "file://"+file)
	cmd.WaitDelay = time.Second
	kill := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer kill.Stop()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	dom := string(out)
	for _, want := range []string{">24 of 36 runs<", "24 chosen runs: mean ", `class="chosen"`, "<polyline", `<dialog id="record" open="">`, `"scenario_hash": "12"`, `data-run="12"`} {
		if !strings.Contains(dom, want) {
			t.Errorf("no %s after the script has run", want)
		}
	}
	if strings.Contains(dom, "<title>error") {
		t.Errorf("the script failed: %.200s", dom[strings.Index(dom, "<title>"):])
	}
}
