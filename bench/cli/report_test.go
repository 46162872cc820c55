package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ringmap/bench/store"
)

// TestReport: a sweep in one piece and in shards give the same page, a run gives one, and
// what cannot be reported is one clear line.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	file := sweepFile(t, "name: two\ntracking: {mode: [ring+bitmap, ring]}\nseed: 1..2\nvm: {vcpus: 2, memory: 32MiB}\nworkload: {pattern: zipf, accesses: 2000}\n")
	path := func(name string) string { return filepath.Join(dir, name) }
	good(t, "sweep", file, "--store", path("whole.db"))
	for _, i := range []string{"1", "2"} {
		good(t, "sweep", file, "--shard", i+"/2", "--store", path(i+".db"))
	}
	good(t, "store", "merge", path("all.db"), path("2.db"), path("1.db"))
	page := func(args ...string) string {
		t.Helper()
		good(t, append([]string{"report", "--out", path("page.html")}, args...)...)
		text, err := os.ReadFile(path("page.html"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	whole := page(path("whole.db"))
	if !strings.Contains(whole, "guest.slowdown goes from") || page(path("all.db")) != whole {
		t.Error("the page of the joined stores differs")
	}
	if rings := page(path("whole.db"), "--stat", "ring.p*"); !strings.Contains(rings, "ring.pushes") || strings.Contains(rings, "guest.slowdown goes") {
		t.Error("--stat chooses nothing")
	}
	good(t, "run", "--pattern", "zipf", "--vcpus", "2", "--memory", "32MiB", "--mode", "ring+bitmap", "--ring", "256", "--series", "100us", "--out", path("run"))
	if run := page(path("run")); !strings.Contains(run, "Recorded pages over guest memory and time") {
		t.Error("the page of a run has no heat map")
	}
	if page(path("run")+"/result.json") != page(path("run")) {
		t.Error("the record gives another page than its folder")
	}
	for name, text := range map[string]string{"empty": "", "text": "hello\n", "broken.db": "SQLite format 3\x00 and then nothing"} {
		if err := os.WriteFile(path(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	st, err := store.Open(path("none.db"))
	if err != nil {
		t.Fatal(err)
	}
	st.Close()
	newer, err := os.ReadFile(path("whole.db"))
	if err != nil {
		t.Fatal(err)
	}
	newer[63] = 9 // user_version: https://www.sqlite.org/fileformat.html 1.3
	if err := os.WriteFile(path("newer.db"), newer, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"no such file", []string{"report", path("absent.db")}},
		{"the file is empty", []string{"report", path("empty")}},
		{"this is no record of a run", []string{"report", path("text")}},
		{"is no store of ringmap", []string{"report", path("broken.db")}},
		{"there is no sweep in this store", []string{"report", path("none.db")}},
		{"made by a newer ringmap", []string{"report", path("newer.db")}},
		{`there is no sweep "tow" in this store; did you mean "two"?`, []string{"report", path("whole.db"), "--sweep", "tow"}},
		{`unknown statistic "ring.pushs"`, []string{"report", path("whole.db"), "--stat", "ring.pushs"}},
		{"chooses in a store", []string{"report", path("run"), "--stat", "ring.pushes"}},
		{"absent/page.html", []string{"report", path("whole.db"), "--out", path("absent/page.html")}},
	} {
		if c.args[len(c.args)-2] != "--out" {
			c.args = append(c.args, "--out", path("bad.html"))
		}
		o := ringmap(t, c.args...)
		if o.status != 2 || !strings.Contains(o.stderr, c.want) || strings.Count(o.stderr, "\n") != 1 {
			t.Errorf("%v: status %d, %s", c.args, o.status, o.stderr)
		}
	}
	if _, err := os.Stat(path("bad.html")); err == nil {
		t.Error("a report that failed left a page")
	}
}
