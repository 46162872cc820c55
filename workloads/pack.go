package workloads

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// PackPWT turns the raw records that the recorder writes into a page-write
// timeline: it checks them, puts the header before them, and compresses if
// outPath ends in .zst or .gz. h.Records is counted, not taken. On an error no
// output file is left behind.
func PackPWT(rawPath, outPath string, h PWTHeader) (PWTHeader, error) {
	if problem := h.check(); problem != "" {
		return h, errors.New("workloads: " + problem)
	}
	if len(h.Name) > pwtNameSize {
		return h, errors.New("workloads: the name of a trace has at most 24 bytes")
	}
	var err error
	if h.Records, err = checkRaw(rawPath, h); err != nil {
		return h, err
	}
	out, err := os.Create(outPath)
	if err != nil {
		return h, err
	}
	err = writePWT(out, rawPath, outPath, h)
	if e := out.Close(); err == nil {
		err = e
	}
	if err != nil {
		os.Remove(outPath)
	}
	return h, err
}

// checkRaw reads the raw records and counts them.
func checkRaw(path string, h PWTHeader) (uint64, error) {
	s, err := openSource(path)
	if err != nil {
		return 0, err
	}
	defer s.close()
	k := newPWTCheck(h)
	for {
		b, err := s.peek(pwtRecordSize)
		if err == io.EOF {
			k.header.Records = k.count
			return k.count, k.end(s, len(b))
		}
		if err != nil {
			return k.count, err
		}
		if problem := k.next(decodePWTRecord(b)); problem != "" {
			return k.count, &TraceError{Path: path, Place: k.place(s), Problem: problem,
				Fix: "the recorder writes records without a header; give the numbers of vCPUs, memory and window it ran with"}
		}
		s.pos += pwtRecordSize
	}
}

// writePWT writes header and records.
func writePWT(out io.Writer, rawPath, outPath string, h PWTHeader) error {
	s, err := openSource(rawPath)
	if err != nil {
		return err
	}
	defer s.close()
	buffered := bufio.NewWriter(out)
	var w io.Writer = buffered
	var pressed io.Closer
	switch {
	case strings.HasSuffix(outPath, ".zst"):
		z, err := zstd.NewWriter(buffered, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBestCompression))
		if err != nil {
			return err
		}
		w, pressed = z, z
	case strings.HasSuffix(outPath, ".gz"):
		z := gzip.NewWriter(buffered)
		w, pressed = z, z
	}
	if _, err := w.Write(h.encode()); err != nil {
		return err
	}
	for left := h.Records * pwtRecordSize; left > 0; {
		b, err := s.peek(int(min(left, readAhead)))
		if err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		s.pos += len(b)
		left -= uint64(len(b))
	}
	if pressed != nil {
		if err := pressed.Close(); err != nil {
			return err
		}
	}
	return buffered.Flush()
}

// encode returns the header's 64 bytes.
func (h PWTHeader) encode() []byte {
	b := append(make([]byte, 0, pwtHeaderSize), pwtMagic...)
	b = binary.LittleEndian.AppendUint32(b, h.VCPUs)
	b = binary.LittleEndian.AppendUint32(b, tracePage)
	b = binary.LittleEndian.AppendUint32(b, h.Window)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, h.Memory)
	b = binary.LittleEndian.AppendUint64(b, h.Records)
	b = append(b, h.Name...)
	return b[:pwtHeaderSize]
}
