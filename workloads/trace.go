package workloads

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cespare/xxhash/v2"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// Trace is a recorded run of a real program, to be replayed by vCPUs. The file
// is never loaded: a stream reads it as the guest goes on. A Trace belongs to
// one simulation; simulations that run side by side open their own.
type Trace struct {
	Path        string
	Format      string // "pwt", "lackey" or "champsim"
	Compression string // "gzip", "zstd", "xz" or empty
	Hash        uint64 // xxHash64 of the file: what a snapshot knows it by

	format *traceFormat
	header PWTHeader // of a pwt
	err    error
	owned  []io.Closer
}

// TraceSpec is the machine that a trace is replayed on.
type TraceSpec struct {
	Base  mmu.IPA // start of guest RAM; a multiple of 64 KiB
	Size  uint64  // bytes of guest RAM
	VCPUs int     // a pwt needs as many as were recorded; of the others each vCPU runs its own copy in its own part of RAM
	CPI   CPI     // cycles per instruction; 0 means 1
}

// TraceInfo is what a whole pass over a trace finds.
type TraceInfo struct {
	Format, Compression, Name string
	Records                   uint64   // page writes, lines of text, or instructions, as the format counts
	VCPUs                     int      // recorded
	Pages                     uint64   // distinct pages touched, of 4 KiB
	Memory                    uint64   // bytes of guest memory recorded, 0 if the format has none
	Window                    uint64   // instructions, 0 if the format has no window
	Instructions              uint64   // of all vCPUs
	PerVCPU                   []uint64 // instructions of each vCPU, for a pwt
	Loads, Stores             uint64   // accesses in the file
}

// traceFormat is one file format.
type traceFormat struct {
	name string
	// streams opens the trace for replay.
	streams func(t *Trace, spec TraceSpec) ([]kvmcore.Stream, error)
	// info reads all of it.
	info func(t *Trace) (TraceInfo, error)
}

// tracePage is log2 of the page that traces are recorded in.
const tracePage = 12

// maxPages bounds the pages that a process may touch, and with it the memory
// that its page table takes: 256 GiB touched.
const maxPages = 1 << 26

// OpenTrace opens a trace, whose compression and format it finds by content.
// Errors about the contents are *TraceError.
func OpenTrace(path string) (*Trace, error) {
	s, err := openSource(path)
	if err != nil {
		return nil, err
	}
	defer s.close()
	t := &Trace{Path: path, Compression: s.codecName()}
	if t.format, err = detectFormat(s); err != nil {
		return nil, err
	}
	t.Format = t.format.name
	if t.format == &pwtFormat {
		if t.header, err = readPWTHeader(s); err != nil {
			return nil, err
		}
	}
	t.Hash, err = hashFile(path)
	return t, err
}

// detectFormat looks at the first few records.
func detectFormat(s *source) (*traceFormat, error) {
	head, err := s.peek(detectBytes)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case len(head) == 0:
		return nil, s.whole("is empty once decompressed", "expected a .pwt, lackey or ChampSim trace")
	case bytes.HasPrefix(head, []byte(pwtMagic[:len(pwtMagic)-1])):
		return &pwtFormat, nil
	case looksLikeLackey(head):
		return &lackeyFormat, nil
	case looksLikeChampSim(head, champSimRecord):
		return &champSimFormat, nil
	case looksLikeChampSim(head, cloudSuiteRecord):
		return nil, s.whole("is a ChampSim trace of CloudSuite, with records of 96 bytes; expected the usual records of 64 bytes",
			"use a trace recorded for ChampSim's input_instr, without the --cloudsuite switch")
	}
	return nil, s.whole(fmt.Sprintf("is no trace this program knows: it begins with %.16q", head),
		"expected a page-write timeline (PGWRITE1), text of valgrind --tool=lackey --trace-mem=yes, or ChampSim records of 64 bytes")
}

// detectBytes is how much of a trace detection looks at.
const detectBytes = 64 * cloudSuiteRecord

func hashFile(path string) (uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	h := xxhash.New()
	_, err = io.Copy(h, f)
	return h.Sum64(), err
}

// Streams opens the trace for replay, one stream per vCPU of the spec. A pwt is
// checked whole first; text and ChampSim records are read as they are needed,
// so that what is wrong far inside ends the stream and shows in Err.
func (t *Trace) Streams(spec TraceSpec) ([]kvmcore.Stream, error) {
	if spec.CPI == 0 {
		spec.CPI = 1000
	}
	switch {
	case spec.VCPUs < 1:
		return nil, fmt.Errorf("workloads: %d vCPUs; a trace needs at least 1", spec.VCPUs)
	case spec.CPI > MaxCPI:
		return nil, fmt.Errorf("workloads: %v cycles per instruction; at most %v", spec.CPI, MaxCPI)
	case uint64(spec.Base)%(64<<10) != 0:
		return nil, fmt.Errorf("workloads: guest RAM at %#x does not begin on 64 KiB", spec.Base)
	case spec.Size > 1<<52 || uint64(spec.Base) > 1<<52-spec.Size:
		return nil, fmt.Errorf("workloads: guest RAM [%#x, +%#x) is beyond 52 bits, the largest guest physical address", spec.Base, spec.Size)
	}
	return t.format.streams(t, spec)
}

// Window is the resolution of a page-write timeline in instructions: a page
// appears once per window of its vCPU. A harvest period or an epoch shorter
// than Window instructions misses rewrites that the program really did. 0 for
// formats that hold every access.
func (t *Trace) Window() uint64 { return uint64(t.header.Window) }

// Recorded is the number of vCPUs of a page-write timeline and its guest memory
// in bytes; 1 and 0 for the traces of one process.
func (t *Trace) Recorded() (vcpus int, memory uint64) {
	return max(1, int(t.header.VCPUs)), t.header.Memory
}

// Accesses is how many stores a page-write timeline holds, for all vCPUs; 0 for
// formats that do not say before they are read.
func (t *Trace) Accesses() uint64 { return t.header.Records }

// Info reads the whole trace and sums it up.
func (t *Trace) Info() (TraceInfo, error) {
	info, err := t.format.info(t)
	info.Format, info.Compression = t.Format, t.Compression
	return info, err
}

// Err is the first error that a stream met while it read; such a stream ended
// early and a run that used it is not valid.
func (t *Trace) Err() error { return t.err }

// Close releases files. The streams must not be used afterwards.
func (t *Trace) Close() error {
	var errs []error
	for _, c := range t.owned {
		errs = append(errs, c.Close())
	}
	t.owned = nil
	return errors.Join(errs...)
}

// reader gives a trace's accesses for one vCPU, the same from every start.
type reader interface {
	// read fills dst and returns how many it wrote; err is why no more came:
	// io.EOF at the end of the trace.
	read(dst []kvmcore.GuestAccess) (int, error)
	close()
}

// newReplay makes a stream of what open gives; the trace closes it.
func (t *Trace) newReplay(open func() (reader, error)) *replay {
	p := &replay{trace: t, open: open}
	t.owned = append(t.owned, p)
	return p
}

// replay is a vCPU's stream over a trace. Its state is the position alone: a
// restore reads the trace again up to it.
type replay struct {
	trace *Trace
	open  func() (reader, error)

	r       reader // nil before the first access and after the last
	ended   bool
	emitted uint64 // accesses given, the end not counted
}

// Fill writes the next accesses.
func (p *replay) Fill(dst []kvmcore.GuestAccess) int {
	n := p.read(dst)
	if n < len(dst) && p.ended {
		dst[n] = kvmcore.GuestAccess{Op: kvmcore.GuestEnd}
		n++
	}
	return n
}

// read fills dst with accesses; at the end of the trace, or at an error, which
// it reports to the trace, fewer come.
func (p *replay) read(dst []kvmcore.GuestAccess) int {
	if p.ended {
		return 0
	}
	var err error
	if p.r == nil {
		if p.r, err = p.open(); err != nil {
			p.fail(err)
			return 0
		}
	}
	n, err := p.r.read(dst)
	p.emitted += uint64(n)
	if err != nil {
		p.fail(err)
	}
	return n
}

// fail ends the stream.
func (p *replay) fail(err error) {
	p.ended = true
	if err != io.EOF && p.trace.err == nil {
		p.trace.err = err
	}
}

// Close releases the reader.
func (p *replay) Close() error {
	if p.r != nil {
		p.r.close()
		p.r = nil
	}
	return nil
}

// Sync saves, restores or hashes the stream's state: the contents' hash and the
// position.
func (p *replay) Sync(c *sim.Codec) {
	c.Tag("workloads/trace")
	hash := p.trace.Hash
	c.U64(&hash)
	at := p.emitted
	c.U64(&at)
	if !c.Loading() || c.Err() != nil {
		return
	}
	if hash != p.trace.Hash {
		c.Fail(fmt.Errorf("%s is not the trace of this snapshot: contents hash to %016x, expected %016x; use the file of the saved run", p.trace.Path, p.trace.Hash, hash))
		return
	}
	p.Close()
	p.ended, p.emitted = false, 0
	var skipped [256]kvmcore.GuestAccess
	for p.emitted < at && !p.ended {
		p.read(skipped[:min(uint64(len(skipped)), at-p.emitted)])
	}
	if p.emitted != at {
		c.Fail(fmt.Errorf("%s gives only %d accesses, the snapshot stands after %d: %v", p.trace.Path, p.emitted, at, p.trace.err))
	}
}

// work counts instructions between accesses and turns them into cycles without
// losing a fraction.
type work struct {
	cpi   CPI
	instr uint64 // since the last access
	milli uint64 // thousandths of a cycle owed
}

// charge moves the work into an access.
func (w *work) charge(a *kvmcore.GuestAccess) {
	m := w.milli + w.instr*uint64(w.cpi)
	a.Instr = uint32(w.instr)
	a.Cycles = uint32(m / 1000)
	w.milli = m % 1000
	w.instr = 0
}

// maxWork is how many instructions one access may carry: with the largest CPI
// its cycles stay below 2^31. Longer work is handed out as idle accesses of no
// idle time.
const maxWork = 1 << 21
