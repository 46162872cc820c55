package sim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
)

// A snapshot file is, in this order and little-endian:
//
//	8 bytes  magic
//	u32      format version
//	u32      length of the program version, then its bytes
//	u64      length of the state, then its bytes
//	u64      xxHash64 of everything before
const snapshotMagic = "ringmap\x1a"

// SnapshotFormat is the format version written. It grows whenever a program
// that reads the old layout of the file would misread the new one.
const SnapshotFormat = 1

const (
	snapshotHead       = len(snapshotMagic) + 4 + 4
	maxProgramVersion  = 256 // bytes; a version string, not a document
	snapshotLengthSize = 8
	snapshotSumSize    = 8
)

// Errors of ReadSnapshot, to be told apart with errors.Is.
var (
	ErrNotSnapshot     = errors.New("not a ringmap snapshot")
	ErrSnapshotNewer   = errors.New("snapshot of a newer format")
	ErrSnapshotDamaged = errors.New("damaged snapshot")
)

// WriteSnapshot writes a snapshot file that holds state, as an encoder's Finish
// returned it, and the version of the program that made it. It returns the
// errors of w, or an error when the version is longer than 256 bytes.
func WriteSnapshot(w io.Writer, program string, state []byte) error {
	if len(program) > maxProgramVersion {
		return fmt.Errorf("sim: program version of %d bytes, at most %d are allowed", len(program), maxProgramVersion)
	}
	head := append(make([]byte, 0, snapshotHead+len(program)+snapshotLengthSize), snapshotMagic...)
	head = binary.LittleEndian.AppendUint32(head, SnapshotFormat)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(program)))
	head = append(head, program...)
	head = binary.LittleEndian.AppendUint64(head, uint64(len(state)))
	sum := xxhash.New()
	sum.Write(head)
	sum.Write(state)
	tail := binary.LittleEndian.AppendUint64(nil, sum.Sum64())
	for _, part := range [][]byte{head, state, tail} {
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("sim: writing a snapshot: %w", err)
		}
	}
	return nil
}

// ReadSnapshot checks the snapshot file b and returns the version of the
// program that wrote it and the state, which is part of b. The error wraps
// ErrNotSnapshot, ErrSnapshotNewer or ErrSnapshotDamaged.
func ReadSnapshot(b []byte) (program string, state []byte, err error) {
	if len(b) < len(snapshotMagic) || string(b[:len(snapshotMagic)]) != snapshotMagic {
		return "", nil, fmt.Errorf("sim: %w: it does not begin with the magic bytes", ErrNotSnapshot)
	}
	if len(b) < snapshotHead {
		return "", nil, damaged("it ends within its header, after %d bytes", len(b))
	}
	format := binary.LittleEndian.Uint32(b[len(snapshotMagic):])
	if format > SnapshotFormat {
		return "", nil, fmt.Errorf("sim: %w: version %d, this program reads up to %d", ErrSnapshotNewer, format, SnapshotFormat)
	}
	if format == 0 {
		return "", nil, damaged("format version 0 never existed")
	}
	rest := b[snapshotHead:]
	n := uint64(binary.LittleEndian.Uint32(b[snapshotHead-4:]))
	if n > maxProgramVersion || uint64(len(rest)) < n+snapshotLengthSize {
		return "", nil, damaged("a program version of %d bytes does not fit", n)
	}
	program, rest = string(rest[:n]), rest[n:]
	n, rest = binary.LittleEndian.Uint64(rest), rest[snapshotLengthSize:]
	if len(rest) < snapshotSumSize || uint64(len(rest)-snapshotSumSize) != n {
		return "", nil, damaged("it should hold %d bytes of state and a checksum, it holds %d bytes", n, len(rest))
	}
	body, tail := b[:len(b)-snapshotSumSize], b[len(b)-snapshotSumSize:]
	if want, got := binary.LittleEndian.Uint64(tail), xxhash.Sum64(body); want != got {
		return "", nil, damaged("checksum %016x, its contents give %016x", want, got)
	}
	return program, rest[:n:n], nil
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("sim: %w: %s", ErrSnapshotDamaged, fmt.Sprintf(format, args...))
}
