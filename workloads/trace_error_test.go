package workloads

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"ringmap/kvmcore"
)

// readAll opens a trace, replays it to the end and sums it up; it returns the
// first error.
func readAll(path string, spec TraceSpec) error {
	tr, err := OpenTrace(path)
	if err != nil {
		return err
	}
	defer tr.Close()
	all, err := tr.Streams(spec)
	if err != nil {
		return err
	}
	var dst [64]kvmcore.GuestAccess
	for _, s := range all {
		for {
			n := s.Fill(dst[:])
			if n == 0 || dst[n-1].Op == kvmcore.GuestEnd {
				break
			}
		}
	}
	if tr.Err() != nil {
		return tr.Err()
	}
	_, err = tr.Info()
	return err
}

// patched returns data with bytes replaced at an offset.
func patched(data []byte, at int, b ...byte) []byte {
	data = bytes.Clone(data)
	copy(data[at:], b)
	return data
}

func TestMalformedTraces(t *testing.T) {
	le32 := func(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }
	le64 := func(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
	good := samplePWT()
	big := []byte(strings.Repeat("I  00400ffe,4\n S 1fff000658,8\n", 20000))
	noise := make([]byte, 200_000)
	for i, s := 0, uint64(1); i < len(noise); i++ {
		s = s*6364136223846793005 + 1442695040888963407
		noise[i] = byte(s >> 56)
	}
	// Incompressible hex addresses, so that a cut lies inside the data.
	var lines bytes.Buffer
	for i := 0; i+4 < len(noise); i += 4 {
		lines.WriteString(" S 1fff0")
		for _, b := range noise[i : i+4] {
			lines.WriteByte("0123456789abcdef"[b>>4])
		}
		lines.WriteString(",8\n")
	}
	gz, zs := compress(t, "gzip", lines.Bytes()), compress(t, "zstd", lines.Bytes())
	xzs := xzStored(lines.Bytes())
	many := TraceSpec{Size: 64 << 12, VCPUs: 2}
	one := TraceSpec{Size: 64 << 12, VCPUs: 1}

	for _, c := range []struct {
		name string
		data []byte
		spec TraceSpec
		want []string // parts of the message
	}{
		{"nothing", nil, one, []string{"is empty", "expected a .pwt, lackey or ChampSim trace"}},
		{"empty inside", compress(t, "gzip", nil), one, []string{"is empty once decompressed"}},
		{"text", []byte("hello, world\n"), one, []string{"is no trace this program knows", `"hello, world`, "PGWRITE1"}},
		{"zeros", make([]byte, 10000), one, []string{"is no trace this program knows"}},
		{"noise", noise, one, []string{"is no trace this program knows"}},
		{"bzip2", []byte("BZh91AY&SY"), one, []string{"is a bzip2 file", "compress it with gzip, zstd or xz"}},
		{"zip", []byte("PK\x03\x04aaaa"), one, []string{"is a zip file"}},
		{"twice", compress(t, "zstd", compress(t, "gzip", good)), one, []string{"holds gzip data compressed again with zstd"}},
		{"wrapped bzip2", compress(t, "zstd", []byte("BZh91AY&SY")), one, []string{"is a bzip2 file"}},

		{"gzip cut", gz[:len(gz)/2], one, []string{"of the decompressed data: the gzip stream ends early", "gzip -t"}},
		{"gzip without its sum", gz[:len(gz)-4], one, []string{"the gzip stream ends early"}},
		{"gzip wrong sum", patched(gz, len(gz)-8, 1, 2, 3, 4), one, []string{"the gzip stream is damaged", "checksum"}},
		{"gzip header only", gz[:5], one, []string{"byte 0 of the decompressed data: the gzip stream ends early"}},
		{"zstd cut", zs[:len(zs)/2], one, []string{"the zstd stream ends early", "zstd -t"}},
		{"zstd corrupt", patched(zs, len(zs)/2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), one, []string{"the zstd stream is damaged"}},
		{"zstd header only", zs[:4], one, []string{"the zstd stream ends early"}},
		{"xz cut", xzs[:len(xzs)/2], one, []string{"the xz stream ends early", "xz -t"}},
		{"xz corrupt", patched(xzs, len(xzs)/2, 'Z', 'Z', 'Z', 'Z', 'Z', 'Z', 'Z', 'Z', 'Z', 'Z', 'Z', 'Z', 'Z', 'Z'), one, []string{"expected \"I  addr,size\""}},
		{"xz wrong sum", patched(xzs, 8, 1), one, []string{"the xz stream is damaged"}},
		{"zstd window of 1 GiB", hugeWindow(), one, []string{"was compressed with a window above 128 MiB", "without --long"}},

		{"pwt header cut", good[:50], many, []string{"ends after 50 bytes, inside the header of 64 bytes"}},
		{"pwt version", patched(good, 7, '2'), many, []string{`header: byte 0: format "PGWRITE2", expected "PGWRITE1"`}},
		{"pwt page shift", patched(good, 12, 16), many, []string{"header: byte 12: page shift 16, expected 12"}},
		{"pwt reserved", patched(good, 20, 9), many, []string{"header: byte 20: 0x9 where 0 is expected"}},
		{"pwt no vCPUs", patched(good, 8, 0), many, []string{"header: 0 vCPUs, expected 1 to 4096"}},
		{"pwt too many vCPUs", patched(good, 8, le32(5000)...), many, []string{"5000 vCPUs, expected 1 to 4096"}},
		{"pwt no window", patched(good, 16, le32(0)...), many, []string{"a window of 0 instructions"}},
		{"pwt no memory", patched(good, 24, le64(0)...), many, []string{"0 bytes of guest memory"}},
		{"pwt odd memory", patched(good, 24, le64(5000)...), many, []string{"5000 bytes of guest memory, expected a multiple of 4096"}},
		{"pwt endless memory", patched(good, 24, le64(1<<60)...), many, []string{"bytes of guest memory, expected a multiple of 4096 up to 2^44"}},
		{"pwt promises more", patched(good, 32, 6), many, []string{"record 5 (byte 144): ends here, but the header promises 6 records"}},
		{"pwt promises less", patched(good, 32, 4), many, []string{"record 4 (byte 128): follows the 4 records that the header promises"}},
		{"pwt promises the moon", patched(good, 32, le64(1<<60)...), many, []string{"byte 32: promises 1152921504606846976 records"}},
		{"pwt record cut", good[:len(good)-3], many, []string{"record 4 (byte 128): has 13 bytes, expected 16"}},
		{"pwt vCPU", patched(good, 64+12, 2), many, []string{"record 0 (byte 64): vCPU 2, but the header says 2 vCPUs"}},
		{"pwt page", patched(good, 80+8, 64), many, []string{"record 1 (byte 80): page 64 lies beyond the 64 pages of guest memory"}},
		{"pwt flags", patched(good, 80+14, 1), many, []string{"record 1 (byte 80): last two bytes are 0x1"}},
		{"pwt backwards", patched(good, 96, le64(9)...), many, []string{"record 2 (byte 96): vCPU 0 goes back from 10 to 9 instructions"}},
		{"pwt endless instructions", patched(good, 112, le64(1<<63)...), TraceSpec{Size: 64 << 12, VCPUs: 2, CPI: MaxCPI}, []string{"record 3", "take more than 2^63"}},
		{"pwt repeated page", pwt(PWTHeader{VCPUs: 1, Window: 100, Memory: 2 << 12}, pwtRecord{1, 0, 0, 0}, pwtRecord{1, 1, 0, 0}, pwtRecord{2, 0, 0, 0}), one,
			[]string{"record 2 (byte 96): vCPU 0 has more records in one window than the guest has pages (2)"}},
		{"pwt wrong machine", good, one, []string{"was recorded with 2 vCPUs, the machine has 1", "give the machine 2 vCPUs"}},
		{"pwt small machine", good, TraceSpec{Size: 63 << 12, VCPUs: 2}, []string{"was recorded with 256 KiB of guest memory, the machine has 252 KiB", "give the machine at least 256 KiB"}},

		{"lackey junk", []byte("I  00400ffe,4\nhello\n"), one, []string{`line 2 (byte 14): found "hello", expected "I  addr,size"`, "--log-file"}},
		{"lackey blank", []byte("I  00400ffe,4\n\nI  00400ffe,4\n"), one, []string{`line 2 (byte 14): found ""`}},
		{"lackey returns", []byte("I  00400ffe,4\r\n"), one, []string{`line 1 (byte 0): found "I  00400ffe,4\r"`}},
		{"lackey no size", []byte(" S 1fff000658\n"), one, []string{`line 1 (byte 0)`}},
		{"lackey size 0", []byte(" S 1fff000658,0\n"), one, []string{`line 1 (byte 0)`}},
		{"lackey large size", []byte(" S 1fff000658,16385\n"), one, []string{`line 1 (byte 0)`}},
		{"lackey decimal", []byte(" S 1fff000658,0x8\n"), one, []string{`line 1 (byte 0)`}},
		{"lackey address", []byte(" S 11fff000658fffff00,8\n"), one, []string{`line 1 (byte 0)`}},
		{"lackey wraps", []byte(" S ffffffffffffffff,2\n"), one, []string{`line 1 (byte 0)`}},
		{"lackey long line", []byte("I  00400ffe,4\n " + strings.Repeat("S", 1<<20)), one, []string{`line 2 (byte 14): found " SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS"`}},
		{"lackey far inside", append(bytes.Clone(big), "oops\n"...), one, []string{"line 40001 (byte 600000): found \"oops\""}},
		{"lackey memory", []byte(" S 0,8\n S 1000,8\n L 2000,8\n"), TraceSpec{Size: 2 << 12, VCPUs: 1}, []string{"line 3: touches more than 2 pages", "more memory"}},
		{"lackey no memory", []byte(" S 0,8\n"), TraceSpec{Size: 2 << 12, VCPUs: 3}, []string{"give 3 vCPUs less than a page each"}},

		{"champsim cut", sampleChampSim()[:100], one, []string{"record 1 (byte 64): has 36 bytes, expected 64", "fetch it again"}},
		{"champsim flags", patched(bytes.Repeat(sampleChampSim(), 200), 300*64+8, 7), one, []string{"record 300 (byte 19200): branch flags are 7 and 0", "CloudSuite"}},
		{"champsim memory", sampleChampSim(), TraceSpec{Size: 2 << 12, VCPUs: 1}, []string{"record 0: touches more than 2 pages"}},
		{"cloudsuite", bytes.Repeat(cloudSuite(0x400000, 0x7fff0000, 0x7fff8000), 100), one, []string{"CloudSuite", "records of 96 bytes"}},
		{"cloudsuite even length", bytes.Repeat(cloudSuite(0x400000, 0, 0x7fff8000), 2), one, []string{"CloudSuite", "records of 96 bytes"}},
		{"cloudsuite that looks right", bytes.Repeat(sampleChampSim(), 99)[:96*131], one, []string{"fits CloudSuite's records of 96 bytes"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := file(t, c.data)
			err := readAll(path, c.spec)
			var te *TraceError
			if !errors.As(err, &te) {
				t.Fatalf("error %v, want a *TraceError", err)
			}
			if !strings.HasPrefix(err.Error(), path+": ") {
				t.Errorf("%q does not begin with the file's name", err)
			}
			if te.Fix == "" {
				t.Errorf("%q does not say how to fix it", err)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q\nlacks %q", err, part)
				}
			}
		})
	}
}

// hugeWindow is a zstd file whose frame wants a window of 1 GiB.
func hugeWindow() []byte {
	// Frame header: no single segment, window descriptor exponent 20. RFC 8878 3.1.1.1.
	return []byte("\x28\xb5\x2f\xfd\x00\xa0\x01\x00\x00")
}

func TestOpenTraceOfNoFile(t *testing.T) {
	if _, err := OpenTrace(filepath.Join(t.TempDir(), "nothing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
	if _, err := OpenTrace(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("a directory gives %v", err)
	}
}

func TestTraceSpecErrors(t *testing.T) {
	tr := open(t, file(t, []byte(sampleLackey)))
	for want, spec := range map[string]TraceSpec{
		"0 vCPUs":                         {Size: 1 << 20},
		"2000 cycles per instruction":     {Size: 1 << 20, VCPUs: 1, CPI: 2_000_000},
		"does not begin on 64 KiB":        {Size: 1 << 20, VCPUs: 1, Base: 4096},
		"beyond 52 bits, the largest gue": {Size: 1 << 52, VCPUs: 1, Base: 1 << 16},
	} {
		if _, err := tr.Streams(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", spec, err, want)
		}
	}
}

// The file must stay what it was when it was opened.
func TestTraceThatChanges(t *testing.T) {
	path := file(t, samplePWT())
	tr := open(t, path)
	if err := os.WriteFile(path, patched(samplePWT(), 16, 77), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Streams(TraceSpec{Size: 64 << 12, VCPUs: 2}); err == nil || !strings.Contains(err.Error(), "changed since it was opened") {
		t.Errorf("error %v", err)
	}
}

// A stream that ended by an error stays at its end.
func TestStreamAfterError(t *testing.T) {
	tr := open(t, file(t, []byte("I  00400ff0,4\nhello\n")))
	s := streams(t, tr, TraceSpec{Size: 1 << 20, VCPUs: 1})[0]
	var dst [8]kvmcore.GuestAccess
	if n := s.Fill(dst[:]); n != 2 || dst[0].Op != kvmcore.GuestFetch || dst[1].Op != kvmcore.GuestEnd {
		t.Fatalf("%d accesses, %v", n, dst[:n])
	}
	if n := s.Fill(dst[:]); n != 1 || dst[0].Op != kvmcore.GuestEnd {
		t.Fatalf("then %d accesses, %v", n, dst[:n])
	}
}

// What expands without end is refused or read in bounded memory, and soon.
func TestBombs(t *testing.T) {
	bomb := func(head []byte, fill []byte, bytes int) []byte {
		var b strings.Builder
		w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		w.Write(head)
		for n := 0; n < bytes; n += len(fill) {
			w.Write(fill)
		}
		w.Close()
		return []byte(b.String())
	}
	page := make([]byte, 1<<20)
	path := file(t, bomb(nil, page, 1<<28))
	if _, err := OpenTrace(path); err == nil || !strings.Contains(err.Error(), "no trace") {
		t.Errorf("256 MiB of zeros: %v", err)
	}
	// A header that promises what a small file cannot hold, and one that
	// promises a little and goes on with repeated records.
	h := PWTHeader{VCPUs: 1, Window: 1, Memory: 1 << 44, Records: 1 << 24}
	if err := readAll(file(t, bomb(h.encode(), page, 1<<28)), TraceSpec{Size: 1 << 44, VCPUs: 1}); err == nil || !strings.Contains(err.Error(), "promises 16777216 records") {
		t.Errorf("a bomb of records: %v", err)
	}
	h = PWTHeader{VCPUs: 1, Window: 1, Memory: 1 << 20, Records: 1000}
	if err := readAll(file(t, bomb(h.encode(), page, 1<<28)), TraceSpec{Size: 1 << 20, VCPUs: 1}); err == nil || !strings.Contains(err.Error(), "record 256 ") {
		t.Errorf("repeated records: %v", err)
	}
}

func TestGzipMembers(t *testing.T) {
	// Files of several members, as `cat a.gz b.gz` makes them, are one trace.
	var b bytes.Buffer
	for _, part := range []string{"I  00400ffe,4\n S 1f", "ff000658,8\n"} {
		w := gzip.NewWriter(&b)
		w.Write([]byte(part))
		w.Close()
	}
	info, err := open(t, file(t, b.Bytes())).Info()
	if err != nil || info.Records != 2 {
		t.Errorf("%+v, %v", info, err)
	}
}
