package workloads

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"ringmap/kvmcore"
	"ringmap/mmu"
)

// replayable checks what must hold for any file at all: an error that names the
// file, or accesses inside the machine's memory that end.
func replayable(t *testing.T, data []byte) {
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	tr, err := OpenTrace(path)
	if err == nil {
		defer tr.Close()
		var te *TraceError
		if _, err := tr.Info(); err != nil && !errors.As(err, &te) {
			t.Fatalf("Info: error %v is no *TraceError", err)
		}
		vcpus, memory := tr.Recorded()
		spec := TraceSpec{Base: 1 << 30, Size: max(memory, 16<<12), VCPUs: vcpus, CPI: 1234}
		var all []kvmcore.Stream
		if all, err = tr.Streams(spec); err == nil {
			for _, s := range all {
				checkAccesses(t, s, spec)
			}
			err = tr.Err()
		}
	}
	var te *TraceError
	if err != nil && (!errors.As(err, &te) || te.Path != path || te.Problem == "") {
		t.Fatalf("error %v does not name the file and the problem", err)
	}
}

func checkAccesses(t *testing.T, s kvmcore.Stream, spec TraceSpec) {
	var dst [64]kvmcore.GuestAccess
	for range 1000 { // counts of 2^50 instructions are allowed, and long
		n := s.Fill(dst[:])
		for _, a := range dst[:n] {
			switch a.Op {
			case kvmcore.GuestEnd:
				return
			case kvmcore.GuestIdle:
				continue
			}
			if a.IPA < spec.Base || a.IPA+mmu.IPA(a.Size) > spec.Base+mmu.IPA(spec.Size) {
				t.Fatalf("access to %#x is outside memory", a.IPA)
			}
			if a.Size == 0 || a.Size > 8 || a.Size&(a.Size-1) != 0 || a.IPA>>12 != (a.IPA+mmu.IPA(a.Size)-1)>>12 {
				t.Fatalf("access to %#x of size %d", a.IPA, a.Size)
			}
		}
		if n == 0 {
			t.Fatal("a trace gives nothing and does not end")
		}
	}
}

func FuzzPWT(f *testing.F) {
	f.Add(samplePWT())
	f.Add(pwt(PWTHeader{VCPUs: 1, Window: 1, Memory: 1 << 44}, pwtRecord{1 << 60, 1 << 31, 0, 0}))
	f.Fuzz(replayable)
}

func FuzzLackey(f *testing.F) {
	f.Add([]byte(sampleLackey))
	f.Add([]byte(" S ffffffffffffffff,1\n M 0,16384"))
	f.Fuzz(replayable)
}

func FuzzChampSim(f *testing.F) {
	f.Add(sampleChampSim())
	f.Add(cloudSuite(1, 2, 3))
	f.Fuzz(replayable)
}

func FuzzCompressed(f *testing.F) {
	for _, codec := range []string{"gzip", "zstd", "xz"} {
		f.Add(compress(f, codec, samplePWT()))
		f.Add(compress(f, codec, []byte(sampleLackey)))
	}
	f.Add(hugeWindow())
	f.Fuzz(replayable)
}

// One line, against a slow parser.
func FuzzLackeyLine(f *testing.F) {
	form := regexp.MustCompile(`^(I | L| S| M) ([0-9a-fA-F]{1,16}),([0-9]+)$`)
	for _, line := range []string{"I  0401ab70,3", " S 1fff000658,8", " M 0,16384", " L ffffffffffffffff,1", " S 0,00000000000000000008", " X 0,1", "I 0,1"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		kind, addr, size, ok := parseLackey([]byte(line))
		m := form.FindStringSubmatch(line)
		want := m != nil
		var a, n uint64
		if want {
			a, _ = strconv.ParseUint(m[2], 16, 64)
			var err error
			n, err = strconv.ParseUint(m[3], 10, 64)
			want = err == nil && n >= 1 && n <= maxLackeySize && a+n-1 >= a
		}
		if ok != want {
			t.Fatalf("%q: accepted %v, want %v", line, ok, want)
		}
		if ok && (addr != a || size != n || kind != m[1][0]&^0x20|m[1][1]&^0x20) {
			t.Fatalf("%q: %c %x %d", line, kind, addr, size)
		}
	})
}
