package workloads

import (
	"encoding/binary"
	"fmt"
	"io"

	"ringmap/kvmcore"
)

// ChampSim's record of an instruction, little endian, no header:
//
//	 0  u64 ip
//	 8  u8 is_branch, u8 taken, u8 destination registers[2], u8 source registers[4]
//	16  u64 destination memory[2]      stores, 0 = none
//	32  u64 source memory[4]           loads, 0 = none
//
// There are no sizes and no values: accesses are 8 bytes, aligned down so that
// none claims a page that the trace does not name. CloudSuite's variant has
// four destinations and is 96 bytes long (inc/trace_instruction.h of ChampSim).
var champSimFormat = traceFormat{name: "champsim", streams: champSimStreams, info: champSimInfo}

const (
	champSimRecord   = 64
	cloudSuiteRecord = 96
)

// looksLikeChampSim tells whether records of that size make sense: there is an
// ip, branch flags are 0 or 1, a taken instruction is a branch, and the gap of
// CloudSuite's record is clear. At least one whole record must be there.
func looksLikeChampSim(head []byte, size int) bool {
	if len(head) < size {
		return false
	}
	for ; len(head) >= size; head = head[size:] {
		if binary.LittleEndian.Uint64(head) == 0 || head[8] > 1 || head[9] > head[8] {
			return false
		}
		if size == cloudSuiteRecord && string(head[18:24]) != "\x00\x00\x00\x00\x00\x00" {
			return false
		}
	}
	return true
}

// champSimScanner reads records.
type champSimScanner struct {
	s     *source
	count uint64 // records consumed
}

// next returns the next record, io.EOF at the end. It is valid until the call
// after.
func (c *champSimScanner) next() ([]byte, error) {
	b, err := c.s.peek(champSimRecord)
	if err == io.EOF && len(b) > 0 {
		return nil, c.short(len(b))
	}
	if err != nil {
		return nil, err
	}
	if b[8] > 1 || b[9] > b[8] {
		return nil, &TraceError{Path: c.s.path, Place: fmt.Sprintf("record %d (byte %d)", c.count, c.s.at()),
			Problem: fmt.Sprintf("branch flags are %d and %d, expected 0 or 1 each, and no taken instruction that is no branch", b[8], b[9]),
			Fix:     "the records are not of ChampSim's 64-byte form; CloudSuite's 96-byte form is not supported"}
	}
	c.s.pos += champSimRecord
	c.count++
	return b, nil
}

// short is the error for a file whose length is no multiple of the record.
func (c *champSimScanner) short(rest int) error {
	length := c.s.at() + int64(rest)
	problem := fmt.Sprintf("has %d bytes, expected 64", rest)
	fix := "the file was cut: fetch it again"
	if length%cloudSuiteRecord == 0 {
		fix = fmt.Sprintf("the length, %d bytes, fits CloudSuite's records of 96 bytes, which are not supported", length)
	}
	return &TraceError{Path: c.s.path, Place: fmt.Sprintf("record %d (byte %d)", c.count, c.s.at()), Problem: problem, Fix: fix}
}

// champSimReader turns records into accesses: fetch, loads, stores.
type champSimReader struct {
	champSimScanner
	process
}

func champSimStreams(t *Trace, spec TraceSpec) ([]kvmcore.Stream, error) {
	return t.copies(spec, func(p process) (reader, error) {
		s, err := openSource(t.Path)
		if err != nil {
			return nil, err
		}
		return &champSimReader{champSimScanner{s: s}, p}, nil
	})
}

func (r *champSimReader) read(dst []kvmcore.GuestAccess) (int, error) {
	r.begin(dst)
	for r.room() {
		b, err := r.next()
		if err != nil {
			return r.n, err
		}
		r.instruction(binary.LittleEndian.Uint64(b), 1)
		for i := 32; i < 64; i += 8 {
			if va := binary.LittleEndian.Uint64(b[i:]); va != 0 {
				r.load(va&^7, 8)
			}
		}
		for i := 16; i < 32; i += 8 {
			if va := binary.LittleEndian.Uint64(b[i:]); va != 0 {
				r.store(va&^7, 8)
			}
		}
	}
	if r.full {
		return r.n, outOfMemory(r.s.path, "record", r.count-1, r.pages.limit)
	}
	return r.n, nil
}

func (r *champSimReader) close() { r.s.close() }

func champSimInfo(t *Trace) (TraceInfo, error) {
	s, err := openSource(t.Path)
	if err != nil {
		return TraceInfo{}, err
	}
	defer s.close()
	c := champSimScanner{s: s}
	p := pageTable{limit: maxPages}
	info := TraceInfo{VCPUs: 1}
	for {
		b, err := c.next()
		if err == io.EOF {
			info.Pages, info.Instructions, info.Records = p.count, c.count, c.count
			return info, nil
		}
		if err != nil {
			return info, err
		}
		for i := 0; i < champSimRecord; i += 8 {
			va := binary.LittleEndian.Uint64(b[i:])
			if i == 8 || va == 0 {
				continue // flags and registers, or no access
			}
			if _, ok := p.of(va >> tracePage); !ok {
				return info, outOfMemory(s.path, "record", c.count-1, p.limit)
			}
			switch {
			case i >= 32:
				info.Loads++
			case i >= 16:
				info.Stores++
			}
		}
	}
}
