package workloads

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// TraceError is a trace that cannot be read: where, what is wrong there, and
// what to do about it.
type TraceError struct {
	Path    string
	Place   string // "line 12", "record 3 (byte 112)", or empty for the whole file
	Problem string // what was found and what was expected
	Fix     string
}

func (e *TraceError) Error() string {
	s := e.Path + ": "
	if e.Place != "" {
		s += e.Place + ": "
	}
	s += e.Problem
	if e.Fix != "" {
		s += "; " + e.Fix
	}
	return s
}

// codecs are the compressions that a source undoes, known by their first bytes.
var codecs = []codec{
	{"gzip", "\x1f\x8b", "gzip -t"},
	{"zstd", "\x28\xb5\x2f\xfd", "zstd -t"},
	{"xz", "\xfd7zXZ\x00", "xz -t"},
}

type codec struct{ name, magic, test string }

// foreign are containers that it does not undo.
var foreign = []struct{ name, magic string }{
	{"bzip2", "BZh"},
	{"zip", "PK\x03\x04"},
	{"7-Zip", "7z\xbc\xaf\x27\x1c"},
	{"lz4", "\x04\x22\x4d\x18"},
}

// Memory bounds of a source: what a decompressor may ask for, whatever the file
// says, and how far it reads ahead.
const (
	maxDictionary = 128 << 20 // zstd --long=27 and xz -9 fit
	readAhead     = 256 << 10
)

// source is the decompressed contents of a trace file, read once from front to
// back with read-ahead, in memory that does not depend on the file's size.
type source struct {
	path  string
	codec int // index into codecs, -1 = stored plain
	file  *os.File
	size  int64 // of the file
	in    io.Reader
	zstd  *zstd.Decoder

	buf    []byte
	pos    int   // next byte in buf
	offset int64 // of buf[0] in the decompressed contents
	err    error // why nothing comes after buf: io.EOF or a *TraceError
}

// openSource opens a trace file and finds its compression by content.
func openSource(path string) (*source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &source{path: path, codec: -1, file: f, in: f, buf: make([]byte, 0, readAhead)}
	if err := s.start(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// start looks at the first bytes and puts the decompressor in place.
func (s *source) start() error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return s.whole("is not a regular file", "a trace is read more than once: write it to a file first")
	}
	s.size = info.Size()
	if s.size == 0 {
		return s.whole("is empty", "expected a .pwt, lackey or ChampSim trace, plain or compressed with gzip, zstd or xz")
	}
	var head [8]byte
	n, err := io.ReadFull(s.file, head[:])
	if err != nil && err != io.ErrUnexpectedEOF {
		return err
	}
	if _, err = s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	s.codec = codecOf(head[:n])
	if err := s.refuseForeign(head[:n]); err != nil {
		return err
	}
	switch s.codecName() {
	case "gzip":
		s.in, err = gzip.NewReader(s.file)
	case "zstd":
		s.zstd, err = zstd.NewReader(s.file, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxDictionary))
		s.in = s.zstd
	case "xz":
		s.in, err = xz.NewReader(s.file, maxDictionary)
	}
	if err != nil {
		return s.damaged(err)
	}
	// A compressed file inside a compressed file is somebody's mistake.
	first, err := s.peek(8)
	if err != nil && err != io.EOF {
		return err
	}
	if i := codecOf(first); s.codec >= 0 && i >= 0 {
		return s.whole(fmt.Sprintf("holds %s data compressed again with %s", codecs[i].name, s.codecName()), "undo one of the two")
	}
	return s.refuseForeign(first)
}

func codecOf(head []byte) int {
	for i, c := range codecs {
		if bytes.HasPrefix(head, []byte(c.magic)) {
			return i
		}
	}
	// A zstd file may begin with a skippable frame. RFC 8878 3.1.2.
	if len(head) >= 4 && head[0]&0xf0 == 0x50 && string(head[1:4]) == "\x2a\x4d\x18" {
		return slices.IndexFunc(codecs, func(c codec) bool { return c.name == "zstd" })
	}
	return -1
}

func (s *source) refuseForeign(head []byte) error {
	for _, f := range foreign {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return s.whole("is a "+f.name+" file", "unpack it, or compress it with gzip, zstd or xz")
		}
	}
	return nil
}

// codecName is the compression's name, empty for a plain file.
func (s *source) codecName() string {
	if s.codec < 0 {
		return ""
	}
	return codecs[s.codec].name
}

// whole is an error about the file as such.
func (s *source) whole(problem, fix string) error {
	return &TraceError{Path: s.path, Problem: problem, Fix: fix}
}

// damaged is a decompressor's error.
func (s *source) damaged(err error) error {
	at := s.offset + int64(len(s.buf))
	var pathErr *os.PathError
	if errors.As(err, &pathErr) || s.codec < 0 {
		return &TraceError{Path: s.path, Place: fmt.Sprintf("byte %d", at), Problem: fmt.Sprintf("cannot be read: %v", err)}
	}
	problem := fmt.Sprintf("the %s stream is damaged: %v", s.codecName(), err)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, xz.ErrBuf) {
		problem = fmt.Sprintf("the %s stream ends early", s.codecName())
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, xz.ErrMemlimit) {
		return &TraceError{Path: s.path, Place: fmt.Sprintf("byte %d of the decompressed data", at),
			Problem: fmt.Sprintf("was compressed with a window above %d MiB", maxDictionary>>20), Fix: "compress it again without --long or --ultra"}
	}
	return &TraceError{Path: s.path, Place: fmt.Sprintf("byte %d of the decompressed data", at),
		Problem: problem, Fix: fmt.Sprintf("fetch the file again; %q tells whether it is whole", codecs[s.codec].test)}
}

// more reads ahead: it moves what is left to the front of buf and fills the
// rest. After it fails, err says why.
func (s *source) more() {
	s.offset += int64(s.pos)
	s.buf = s.buf[:copy(s.buf, s.buf[s.pos:])]
	s.pos = 0
	for s.err == nil && len(s.buf) < cap(s.buf) {
		n, err := s.in.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf = s.buf[:len(s.buf)+n]
		if err == io.EOF {
			s.err = io.EOF
		} else if err != nil {
			s.err = s.damaged(err)
		}
	}
}

// peek returns the next n bytes without consuming them, fewer with the reason
// if there are fewer; n <= readAhead.
func (s *source) peek(n int) ([]byte, error) {
	if len(s.buf)-s.pos < n && s.err == nil {
		s.more()
	}
	if have := len(s.buf) - s.pos; have < n {
		return s.buf[s.pos:], s.err
	}
	return s.buf[s.pos : s.pos+n], nil
}

// at is the decompressed offset of the next byte.
func (s *source) at() int64 { return s.offset + int64(s.pos) }

func (s *source) close() {
	if s.zstd != nil {
		s.zstd.Close()
	}
	s.file.Close()
}
