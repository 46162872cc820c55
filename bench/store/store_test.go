package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fake is a record such as a run makes.
func fake(seed int, stats string) []byte {
	return fmt.Appendf(nil, `{"version":"1","name":"fake","scenario_hash":"h%d","seed":%d,"finished":"work done","audit":{"lost_pages":%d},
		"scenario":{"tracking.mode":"ring","tracking.ring":%d,"id":"x"},"derived":{"vcpus":2},"stats":{%s}}`, seed, seed, seed%3, 256*seed, stats)
}

func fakeKey(n int) string { return fmt.Sprintf("%032x", n) }

func newStore(t *testing.T) *Store {
	t.Helper()
	st, err := Open(filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

func ask(t *testing.T, st *Store, sql string) (rows []string) {
	t.Helper()
	err := st.Query(sql, func([]string) error { return nil }, func(row []any) error {
		rows = append(rows, strings.TrimSuffix(fmt.Sprintln(row...), "\n"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestPutAndAsk: what goes in comes out, by name and as it was.
func TestPutAndAsk(t *testing.T) {
	st := newStore(t)
	records := [][]byte{
		fake(1, `"a.b":1,"ring.size":2.5,"vcpu.0.x":10,"vcpu.1.x":11`),
		fake(2, `"a.b":3,"new.one":18446744073709551615,"vcpu.0.x":12,"core.0.l1.misses":4,"no":null`),
	}
	for i, r := range records {
		if err := st.Put(fakeKey(i), r); err != nil {
			t.Fatal(err)
		}
		if err := st.Put(fakeKey(i), r); err != nil { // again: nothing happens
			t.Fatal(err)
		}
	}
	for sql, want := range map[string][]string{
		`SELECT seed, "a.b", "ring.size", "new.one", "no" FROM results ORDER BY id`: {"1 1 2.5 <nil> <nil>", "2 3 <nil> 1.8446744073709552e+19 <nil>"},
		`SELECT "tracking.mode", "tracking.ring", vcpus FROM results ORDER BY seed`: {"ring 256 2", "ring 512 2"},
		`SELECT seed, vcpu, x FROM per_vcpu JOIN runs USING (id) ORDER BY 1, 2`:     {"1 0 10", "1 1 11", "2 0 12"},
		`SELECT core, "l1.misses" FROM per_core`:                                    {"0 4"},
		`SELECT "id_" FROM config WHERE id = 1`:                                     {"x"},
		`SELECT count(*), sum(lost_pages) FROM runs`:                                {"2 3"},
	} {
		if diff := cmp.Diff(want, ask(t, st, sql)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", sql, diff)
		}
	}
	for i, r := range records {
		got, ok, err := st.Record(fakeKey(i))
		if err != nil || !ok || string(got) != string(r) {
			t.Errorf("record %d came back as %s, %v", i, got, err)
		}
	}
	if _, ok, err := st.Record("none"); ok || err != nil {
		t.Error(ok, err)
	}
	if err := st.Put(fakeKey(0), fake(1, `"a.b":2`)); err == nil || !strings.Contains(err.Error(), "with another record") {
		t.Errorf("another record under the same key: %v", err)
	}
	for _, bad := range []string{"", "{", "[]", `{"version":"1"}`, `{"version":"1","scenario_hash":"x","seed":1,"stats":{"a":[1]}}`, `{"version":"1","scenario_hash":"x","seed":-1,"stats":{"a":1}}`} {
		if err := st.Put("bad", []byte(bad)); err == nil {
			t.Errorf("taken for a record: %s", bad)
		}
	}
	if n := ask(t, st, "SELECT count(*) FROM runs"); n[0] != "2" {
		t.Error("a bad record left something behind")
	}
}

// TestSparseRecords: records without keys or statistics of one kind, before and
// after others.
func TestSparseRecords(t *testing.T) {
	st := newStore(t)
	for i, r := range []string{`"scenario":{},"derived":{},"stats":{"vcpu.0.x":1}`, `"scenario":{},"derived":{},"stats":{"a":1}`,
		`"scenario":{"k":"v"},"derived":{},"stats":{"a":2,"b":3}`, `"scenario":{},"derived":{},"stats":{"core.1.y":5}`} {
		if err := st.Put(fakeKey(i), fmt.Appendf(nil, `{"version":"1","name":"n","scenario_hash":"%d","seed":1,%s}`, i, r)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := st.Verify(); n != 4 || err != nil {
		t.Error(n, err)
	}
	want := []string{"1 <nil> <nil> <nil>", "2 <nil> 1 <nil>", "3 v 2 3", "4 <nil> <nil> <nil>"}
	if diff := cmp.Diff(want, ask(t, st, "SELECT id, k, a, b FROM results ORDER BY id")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestTwoProcesses: two connections write at a time, columns included; every
// run is there once.
func TestTwoProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	var wg sync.WaitGroup
	for p := range 2 {
		wg.Go(func() {
			st, err := Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			defer st.Close()
			for i := range 40 {
				stats := fmt.Sprintf(`"a":1,"s%d":2`, i/3)
				if err := st.Put(fakeKey((i*(p*6+1))%40), fake((i*(p*6+1))%40, stats)); err != nil && !strings.Contains(err.Error(), "another record") {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	st, err := OpenRead(path)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if got := ask(t, st, "SELECT count(*), count(DISTINCT key) FROM results"); got[0] != "40 40" {
		t.Errorf("%s runs", got)
	}
}

func TestBadStores(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.db")
	st, err := Open(good)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if err := st.Put(fakeKey(i), fake(i, `"a":1`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newer := append([]byte(nil), data...)
	newer[63] = 9 // user_version: https://www.sqlite.org/fileformat.html 1.3
	other := append([]byte(nil), data...)
	other[68] ^= 1
	torn := append([]byte(nil), data...)
	copy(torn[8192:], make([]byte, 4096))
	for name, want := range map[string]string{
		write("newer.db", newer): "has format 9, made by a newer ringmap",
		write("other.db", other): "this is no store of ringmap",
		write("text.db", []byte("this is a text file, and longer than the header of SQLite would be, which has 100 bytes, so that it counts")): "this is no store of ringmap",
		write("torn.db", torn):                          "the store is damaged",
		write("short.db", data[:len(data)/4096/2*4096]): "the store is damaged",
		filepath.Join(dir, "none", "s.db"):              "no such file",
		dir:                                             "",
		"/proc/s.db":                                    "",
	} {
		for how, open := range map[string]func(string) (*Store, error){"write": Open, "read": OpenRead} {
			st, err := open(name)
			if err == nil {
				st.Close()
				t.Errorf("%s: opened to %s", name, how)
			} else if !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), name) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s to %s: %v", name, how, err)
			}
		}
	}
}

// TestChangedRecord: a flipped bit anywhere in a record is found.
func TestChangedRecord(t *testing.T) {
	st := newStore(t)
	if err := st.Put(fakeKey(1), fake(1, `"a":1`)); err != nil {
		t.Fatal(err)
	}
	var packed []byte
	if err := st.db.QueryRow("SELECT zstd FROM records").Scan(&packed); err != nil {
		t.Fatal(err)
	}
	for i := range packed {
		packed[i] ^= 1
		if _, err := st.db.Exec("UPDATE records SET zstd=?", packed); err != nil {
			t.Fatal(err)
		}
		if text, _, err := st.Record(fakeKey(1)); err == nil && string(text) != string(fake(1, `"a":1`)) {
			t.Fatalf("byte %d changed, and nobody noticed", i)
		}
		packed[i] ^= 1
	}
}

// TestFullDisk: no space for more; what is there stays, and says so.
func TestFullDisk(t *testing.T) {
	st := newStore(t)
	if err := st.Put(fakeKey(0), fake(0, `"a":1`)); err != nil {
		t.Fatal(err)
	}
	if _, err := st.db.Exec("PRAGMA max_page_count=30"); err != nil {
		t.Fatal(err)
	}
	stored := 1
	for i := 1; ; i++ {
		err := st.Put(fakeKey(i), fake(i, `"a":1`))
		if err == nil {
			if stored++; i > 10000 {
				t.Fatal("never full")
			}
			continue
		}
		if !strings.Contains(err.Error(), "no space left for the store") {
			t.Fatal(err)
		}
		break
	}
	if n := ask(t, st, "SELECT count(*) FROM results"); n[0] != fmt.Sprint(stored) {
		t.Errorf("%s runs, %d were stored", n, stored)
	}
}

// TestVerify: any value that is not as recorded is found.
func TestVerify(t *testing.T) {
	st := newStore(t)
	for i := range 3 {
		if err := st.Put(fakeKey(i), fake(i, fmt.Sprintf(`"a.b":%d,"c":2.5,"d":null,"vcpu.0.x":10,"vcpu.1.x":11`, i))); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := st.Verify(); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	for change, back := range map[string]string{
		`UPDATE stats SET "a.b"=7 WHERE id=2`:              `UPDATE stats SET "a.b"=1 WHERE id=2`,
		`UPDATE stats SET d=0 WHERE id=2`:                  `UPDATE stats SET d=NULL WHERE id=2`,
		`UPDATE config SET "tracking.mode"='x' WHERE id=1`: `UPDATE config SET "tracking.mode"='ring' WHERE id=1`,
		`UPDATE per_vcpu SET x=0 WHERE id=3 AND vcpu=1`:    `UPDATE per_vcpu SET x=11 WHERE id=3 AND vcpu=1`,
		`UPDATE runs SET lost_pages=7 WHERE id=1`:          `UPDATE runs SET lost_pages=0 WHERE id=1`,
		`DELETE FROM per_vcpu WHERE id=3 AND vcpu=1`:       `INSERT INTO per_vcpu (id, vcpu, x) VALUES (3, 1, 11)`,
	} {
		if _, err := st.db.Exec(change); err != nil {
			t.Fatal(err)
		}
		if _, err := st.Verify(); err == nil || !strings.Contains(err.Error(), "the store is damaged: run") {
			t.Errorf("%s: %v", change, err)
		}
		if _, err := st.db.Exec(back); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := st.Verify(); err != nil {
		t.Error(err)
	}
}
