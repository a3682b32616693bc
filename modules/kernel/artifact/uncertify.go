package artifact

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/mastercard/mangos/format/byterange"
	"github.com/mastercard/mangos/format/bzimage"
)

// Uncertify returns the bzImage that everybody has the same, given one with an
// organisation's certificate and the ranges of bzImages: what Certify put into
// them is taken out again. A file whose ranges do not hold what Certify writes
// is an error that wraps ErrRanges.
func Uncertify(file []byte, ranges byterange.File) ([]byte, error) {
	if err := ranges.Check(); err != nil {
		return nil, fmt.Errorf("uncertify: %w", err)
	}
	r := ranges.Ranges
	if ranges.Size > int64(len(file)) || len(r) != 4 || r[1].Length != 4 || r[2].Length != 8 || r[3].Length != 4 {
		return nil, fmt.Errorf("uncertify: %w: they describe another kernel", ErrRanges)
	}
	out := bytes.Clone(file[:ranges.Size]) // a section is padded
	area := out[r[0].Offset:][:r[0].Length]
	used, list := out[r[1].Offset:][:4], out[r[2].Offset:][:8]
	n, size := binary.LittleEndian.Uint32(used), binary.LittleEndian.Uint64(list)
	if int64(n) > r[0].Length || size < uint64(n) || len(bytes.Trim(area[n:], "\x00")) > 0 {
		return nil, fmt.Errorf("uncertify: %w: no certificate of %d bytes", ErrRanges, n)
	}
	clear(area)
	clear(used)
	binary.LittleEndian.PutUint64(list, size-uint64(n))
	image, err := bzimage.Parse(out)
	if err != nil {
		return nil, fmt.Errorf("uncertify: %w", err)
	}
	if int64(image.ChecksumOffset()) != r[3].Offset {
		return nil, fmt.Errorf("uncertify: %w: the checksum stands elsewhere", ErrRanges)
	}
	image.SetChecksum()
	return out, nil
}
