package workloads

import (
	"bytes"
	"fmt"
	"io"

	"ringmap/kvmcore"
)

// Text of valgrind --tool=lackey --trace-mem=yes: a line per access of one
// process, in program order, addresses in hex and sizes in decimal.
//
//	I  0401ab70,3        instruction fetch
//	 L 1fff000650,8      load
//	 S 1fff000658,8      store
//	 M 0421c748,4        modify: load, then store
//
// Lines that begin with == or -- are valgrind's own and are skipped.
var lackeyFormat = traceFormat{name: "lackey", streams: lackeyStreams, info: lackeyInfo}

// Bounds of a line. The longest access is an XSAVE area.
const (
	maxLackeyLine = 4096
	maxLackeySize = 16384
)

// looksLikeLackey tells whether a file begins as lackey's output does.
func looksLikeLackey(head []byte) bool {
	for _, prefix := range []string{"==", "--", "I  ", " L ", " S ", " M "} {
		if bytes.HasPrefix(head, []byte(prefix)) {
			return true
		}
	}
	return false
}

// lackeyScanner reads lines.
type lackeyScanner struct {
	s    *source
	line uint64 // lines consumed
}

// next returns the next access; kind is I, L, S or M. io.EOF at the end.
func (l *lackeyScanner) next() (kind byte, addr, size uint64, err error) {
	for {
		line, err := l.peekLine()
		if err != nil {
			return 0, 0, 0, err
		}
		kind, addr, size, ok := parseLackey(line)
		if !ok && !isValgrinds(line) {
			return 0, 0, 0, l.wrong(line)
		}
		l.s.pos = min(l.s.pos+len(line)+1, len(l.s.buf))
		l.line++
		if ok {
			return kind, addr, size, nil
		}
	}
}

// peekLine returns the next line without its newline. The last one may lack it.
func (l *lackeyScanner) peekLine() ([]byte, error) {
	s := l.s
	if i := bytes.IndexByte(s.buf[s.pos:], '\n'); i >= 0 {
		return s.buf[s.pos : s.pos+i], nil
	}
	b, err := s.peek(maxLackeyLine)
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i], nil
	}
	if err == nil {
		return nil, l.wrong(b)
	}
	if err != io.EOF || len(b) == 0 {
		return nil, err
	}
	return b, nil
}

// wrong is the error for a line that is none of lackey's.
func (l *lackeyScanner) wrong(line []byte) error {
	return &TraceError{
		Path:    l.s.path,
		Place:   fmt.Sprintf("line %d (byte %d)", l.line+1, l.s.at()),
		Problem: fmt.Sprintf("found %.40q, expected \"I  addr,size\", \" L addr,size\", \" S addr,size\" or \" M addr,size\"", line),
		Fix:     "if the program's own output is mixed in, record again with --log-file=FILE",
	}
}

func isValgrinds(line []byte) bool {
	return len(line) >= 2 && (line[0] == '=' || line[0] == '-') && line[1] == line[0]
}

// hexValue is the value of a hex digit, 16 for every other byte.
var hexValue = func() (t [256]uint8) {
	for i := range t {
		t[i] = 16
	}
	for i, c := range "0123456789abcdef" {
		t[c] = uint8(i)
	}
	for i, c := range "ABCDEF" {
		t[c] = uint8(10 + i)
	}
	return
}()

// parseLackey takes a line apart.
func parseLackey(line []byte) (kind byte, addr, size uint64, ok bool) {
	if len(line) < 6 || line[2] != ' ' {
		return
	}
	switch {
	case line[0] == 'I' && line[1] == ' ':
		kind = 'I'
	case line[0] == ' ' && (line[1] == 'L' || line[1] == 'S' || line[1] == 'M'):
		kind = line[1]
	default:
		return
	}
	i := 3
	for ; i < len(line) && hexValue[line[i]] < 16; i++ {
		addr = addr<<4 | uint64(hexValue[line[i]])
	}
	if i == 3 || i > 3+16 || i == len(line) || line[i] != ',' {
		return
	}
	from := i + 1
	for i = from; i < len(line) && line[i]-'0' < 10 && size <= maxLackeySize; i++ {
		size = size*10 + uint64(line[i]-'0')
	}
	ok = i == len(line) && i > from && size >= 1 && size <= maxLackeySize && addr+size-1 >= addr
	return
}

// lackeyReader turns lines into accesses.
type lackeyReader struct {
	lackeyScanner
	process
}

func lackeyStreams(t *Trace, spec TraceSpec) ([]kvmcore.Stream, error) {
	return t.copies(spec, func(p process) (reader, error) {
		s, err := openSource(t.Path)
		if err != nil {
			return nil, err
		}
		return &lackeyReader{lackeyScanner{s: s}, p}, nil
	})
}

func (r *lackeyReader) read(dst []kvmcore.GuestAccess) (int, error) {
	r.begin(dst)
	for r.room() {
		kind, addr, size, err := r.next()
		if err != nil {
			return r.n, err
		}
		switch kind {
		case 'I':
			r.instruction(addr, size)
		case 'L':
			r.load(addr, size)
		case 'S':
			r.store(addr, size)
		case 'M':
			r.load(addr, size)
			r.store(addr, size)
		}
	}
	if r.full {
		return r.n, outOfMemory(r.s.path, "line", r.line, r.pages.limit)
	}
	return r.n, nil
}

func (r *lackeyReader) close() { r.s.close() }

func lackeyInfo(t *Trace) (TraceInfo, error) {
	s, err := openSource(t.Path)
	if err != nil {
		return TraceInfo{}, err
	}
	defer s.close()
	l := lackeyScanner{s: s}
	p := pageTable{limit: maxPages}
	info := TraceInfo{VCPUs: 1}
	for {
		kind, addr, size, err := l.next()
		if err == io.EOF {
			info.Pages = p.count
			return info, nil
		}
		if err != nil {
			return info, err
		}
		info.Records++
		switch kind {
		case 'I':
			info.Instructions++
		case 'L':
			info.Loads++
		case 'S':
			info.Stores++
		case 'M':
			info.Loads++
			info.Stores++
		}
		for page := addr >> tracePage; page <= (addr+size-1)>>tracePage; page++ {
			if _, ok := p.of(page); !ok {
				return info, outOfMemory(s.path, "line", l.line, p.limit)
			}
		}
	}
}
