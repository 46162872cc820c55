package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bigRecord is a record of the size of a real one: 160 statistics of the run, 50
// of each of four vCPUs, 80 keys.
func bigRecord(n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"version":"1","name":"big","scenario_hash":"%032x","seed":%d,"finished":"work done","audit":{"lost_pages":%d},"scenario":{`, n, n%7, n%5)
	for k := range 70 {
		fmt.Fprintf(&b, `"section%d.key%d":"value %d",`, k/10, k, k*n%17)
	}
	fmt.Fprintf(&b, `"tracking.ring":%d},"derived":{"vcpus":4},"stats":{"guest.slowdown":%v`, 256<<(n%5), 1+float64(n%1000)/5000)
	for k := range 160 {
		fmt.Fprintf(&b, `,"group%d.stat%d":%d`, k/20, k, (n*k)%1_000_003*(k%3))
	}
	for v := range 4 {
		for k := range 50 {
			fmt.Fprintf(&b, `,"vcpu.%d.group%d.stat%d":%d`, v, k/10, k, (n+v)*k%100_003*(k%2))
		}
	}
	b.WriteString("}}")
	return b.Bytes()
}

// Peak is the most memory that this process ever had, in bytes: VmHWM of proc(5);
// 0 where there is no such file.
func Peak() uint64 {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kib, _ := strconv.ParseUint(f[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// double stores every run again under a new key, inside SQLite, which is much faster
// than through Put: the rows are those that Put makes.
func double(t *testing.T, st *Store, runs int) {
	t.Helper()
	for _, tab := range []string{"runs", "config", "stats", "records", "per_vcpu"} {
		rows := ask(t, st, fmt.Sprintf("SELECT name FROM pragma_table_info('%s')", tab))
		into, from := "", ""
		for i, name := range rows {
			if i > 0 {
				into, from = into+",", from+","
			}
			into += quote(name)
			switch name {
			case "id":
				from += fmt.Sprintf("id+%d", runs)
			case "key":
				from += fmt.Sprintf("printf('%%032x', id+%d)", runs-1)
			default:
				from += quote(name)
			}
		}
		if _, err := st.db.Exec(fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s", tab, into, from, tab)); err != nil {
			t.Fatal(err)
		}
	}
}

// Spent is the processor time of this process so far: on a busy machine a better
// measure of a query than the clock on the wall.
func Spent() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Big makes a store of that many records, doubled so often.
func Big(t *testing.T, path string, runs, doublings int) (*Store, int) {
	t.Helper()
	st, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	began := Spent()
	for n := 0; n < runs; n += 200 {
		var keys []string
		var texts [][]byte
		for i := n; i < n+200; i++ {
			keys, texts = append(keys, fakeKey(i)), append(texts, bigRecord(i))
		}
		if err := st.PutAll(keys, texts); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%v of processor time to store a record of %d bytes", ((Spent() - began) / time.Duration(runs)).Round(time.Microsecond), len(bigRecord(1)))
	for range doublings {
		double(t, st, runs)
		runs *= 2
	}
	return st, runs
}

// TestHundredThousandRecords: all of it takes less than 1 GiB of memory; how long a
// query by name takes is logged. Without RINGMAP_LONG, on a hundredth of that.
func TestHundredThousandRecords(t *testing.T) {
	runs, doublings := 200, 2
	if os.Getenv("RINGMAP_LONG") != "" {
		runs, doublings = 800, 7
	}
	path := filepath.Join(t.TempDir(), "big.db")
	st, runs := Big(t, path, runs, doublings)
	var points []Point
	for i := range runs {
		points = append(points, Point{Ordinal: i, Labels: []string{strconv.Itoa(i)}, Key: fakeKey(i)})
	}
	if err := st.PutSweep(About{Name: "big", Axes: []Axis{{Key: "n"}}}, points); err != nil {
		t.Fatal(err)
	}
	points = nil
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	began := Spent()
	if st, err = OpenRead(path); err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	t.Logf("%d records, %d MiB: opened and checked in %v", runs, info.Size()>>20, (Spent() - began).Round(time.Millisecond))
	for _, sql := range []string{
		`SELECT "tracking.ring", count(*), avg("guest.slowdown"), max("group7.stat159") FROM results GROUP BY 1`,
		`SELECT avg("guest.slowdown") FROM stats`,
		`SELECT count(*) FROM results WHERE "guest.slowdown" > 1.1 AND "section3.key33" = 'value 3'`,
	} {
		began, wall := Spent(), time.Now()
		rows := ask(t, st, sql)
		took := Spent() - began
		t.Logf("%v (%v on the wall): %s -> %d rows, %s", took.Round(time.Millisecond), time.Since(wall).Round(time.Millisecond), sql, len(rows), rows[0])
	}
	began = Spent()
	if rows, err := st.Values("big", []string{"guest.slowdown", "group1.stat20"}); err != nil || len(rows) != runs || rows[runs-1][0] < 1 {
		t.Fatal(len(rows), err)
	}
	t.Logf("%v to read two statistics of all points", (Spent() - began).Round(time.Millisecond))
	if m := Peak(); m > 1<<30 {
		t.Errorf("%d MiB of memory", m>>20)
	} else {
		t.Logf("at most %d MiB of memory", m>>20)
	}
}
