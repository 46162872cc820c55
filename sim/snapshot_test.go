package sim

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func snapshot(t testing.TB, program string, state []byte) []byte {
	var b bytes.Buffer
	if err := WriteSnapshot(&b, program, state); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSnapshotRoundTrip(t *testing.T) {
	for _, state := range []string{"", "x", strings.Repeat("state", 10_000)} {
		file := snapshot(t, "v1.2.3", []byte(state))
		program, got, err := ReadSnapshot(file)
		if err != nil || program != "v1.2.3" || string(got) != state {
			t.Errorf("read %q, %d bytes, %v; wrote %d bytes", program, len(got), err, len(state))
		}
	}
}

// TestSnapshotDamage flips every bit and cuts at every byte of a file.
func TestSnapshotDamage(t *testing.T) {
	file := snapshot(t, "v1", []byte("some state"))
	for i := range file {
		if _, _, err := ReadSnapshot(file[:i]); !errors.Is(err, ErrSnapshotDamaged) && !errors.Is(err, ErrNotSnapshot) {
			t.Errorf("cut at byte %d: %v", i, err)
		}
		for bit := range 8 {
			bad := bytes.Clone(file)
			bad[i] ^= 1 << bit
			if _, _, err := ReadSnapshot(bad); err == nil {
				t.Errorf("bit %d of byte %d flipped: no error", bit, i)
			}
		}
	}
	if _, _, err := ReadSnapshot(append(bytes.Clone(file), 0)); !errors.Is(err, ErrSnapshotDamaged) {
		t.Errorf("a byte too many: %v", err)
	}
}

func TestSnapshotErrors(t *testing.T) {
	good := snapshot(t, "v1", []byte("state"))
	with := func(i int, b byte) []byte {
		bad := bytes.Clone(good)
		bad[i] = b
		return bad
	}
	for name, c := range map[string]struct {
		file []byte
		is   error
		want string
	}{
		"empty":    {nil, ErrNotSnapshot, "sim: not a ringmap snapshot: it does not begin with the magic bytes"},
		"text":     {[]byte("vcpus: 4\nmemory: 1GiB\n"), ErrNotSnapshot, "sim: not a ringmap snapshot: it does not begin with the magic bytes"},
		"newer":    {with(8, SnapshotFormat+1), ErrSnapshotNewer, "sim: snapshot of a newer format: version 2, this program reads up to 1"},
		"zero":     {with(8, 0), ErrSnapshotDamaged, "sim: damaged snapshot: format version 0 never existed"},
		"header":   {good[:10], ErrSnapshotDamaged, "sim: damaged snapshot: it ends within its header, after 10 bytes"},
		"program":  {with(13, 1), ErrSnapshotDamaged, "sim: damaged snapshot: a program version of 258 bytes does not fit"},
		"cut":      {good[:len(good)-3], ErrSnapshotDamaged, "sim: damaged snapshot: it should hold 5 bytes of state and a checksum, it holds 10 bytes"},
		"checksum": {with(len(good)-9, 'E'), ErrSnapshotDamaged, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := ReadSnapshot(c.file)
			if !errors.Is(err, c.is) || c.want != "" && err.Error() != c.want {
				t.Errorf("got  %v\nwant %v", err, c.want)
			}
		})
	}
}

type brokenWriter int

func (w *brokenWriter) Write(p []byte) (int, error) {
	if *w--; *w < 0 {
		return 0, errors.New("no space")
	}
	return len(p), nil
}

func TestSnapshotWriteErrors(t *testing.T) {
	for n := range 3 {
		w := brokenWriter(n)
		if err := WriteSnapshot(&w, "v1", []byte("state")); err == nil || !strings.Contains(err.Error(), "no space") {
			t.Errorf("%d writes before the error: %v", n, err)
		}
	}
	if err := WriteSnapshot(&bytes.Buffer{}, strings.Repeat("v", 257), nil); err == nil {
		t.Error("a program version of 257 bytes was written")
	}
}

// FuzzReadSnapshot: what is accepted is what would be written.
func FuzzReadSnapshot(f *testing.F) {
	f.Add(snapshot(f, "v1", []byte("state")))
	f.Add([]byte(snapshotMagic))
	f.Fuzz(func(t *testing.T, file []byte) {
		program, state, err := ReadSnapshot(file)
		if err != nil {
			return
		}
		if diff := cmp.Diff(file, snapshot(t, program, state)); diff != "" {
			t.Fatalf("accepted, but written otherwise:\n%s", diff)
		}
	})
}
