package erofs

import (
	"encoding/binary"
	"errors"
)

// wide is how many bytes are copied at once where there are few, and room for more: most
// of a block is such pieces. What was copied too much, the next piece overwrites.
const wide = 16

var errLZ4 = errors.New("malformed lz4 block")

// decodeLZ4 decodes an LZ4 block (the format of lz4_Block_format.md) into
// exactly len(out) bytes. With partial, decoding stops when out is full;
// otherwise input and output must end together.
func decodeLZ4(out, in []byte, partial bool) error {
	o, i := 0, 0
	for i < len(in) {
		token := in[i]
		i++
		literals, next, ok := lz4Length(in, i, int(token>>4))
		if !ok || literals > len(in)-next {
			return errLZ4
		}
		i = next
		if literals > len(out)-o {
			if !partial {
				return errLZ4
			}
			literals = len(out) - o
		}
		if literals <= wide && len(in)-i >= wide && len(out)-o >= wide {
			*(*[wide]byte)(out[o:]) = *(*[wide]byte)(in[i:])
		} else {
			copy(out[o:], in[i:i+literals])
		}
		o += literals
		i += literals
		if o == len(out) && (partial || i == len(in)) {
			return nil
		}
		if i+2 > len(in) {
			return errLZ4
		}
		distance := int(binary.LittleEndian.Uint16(in[i:]))
		length, next, ok := lz4Length(in, i+2, int(token&15))
		if !ok || distance == 0 || distance > o {
			return errLZ4
		}
		i = next
		length += 4
		if length > len(out)-o {
			if !partial {
				return errLZ4
			}
			length = len(out) - o
		}
		if length <= 2*wide && distance >= wide && len(out)-o >= 2*wide {
			from := out[o-distance:]
			*(*[wide]byte)(out[o:]) = *(*[wide]byte)(from)
			*(*[wide]byte)(out[o+wide:]) = *(*[wide]byte)(from[wide:])
		} else {
			copyMatch(out, o, distance, length)
		}
		o += length
		if o == len(out) && partial {
			return nil
		}
	}
	if o != len(out) {
		return errLZ4
	}
	return nil
}

// copyMatch copies length bytes from distance back; the two may overlap, then
// the pattern repeats.
func copyMatch(out []byte, o, distance, length int) {
	from := o - distance
	for length > distance {
		n := copy(out[o:o+length], out[from:o])
		o, length, distance = o+n, length-n, distance+n
	}
	copy(out[o:o+length], out[from:from+length])
}

// lz4Length reads the bytes that extend a length of 15.
func lz4Length(in []byte, i, length int) (total, next int, ok bool) {
	if length < 15 {
		return length, i, true
	}
	for i < len(in) {
		b := in[i]
		i++
		length += int(b)
		if length > maxDecodedSize+maxClusterSize {
			return 0, 0, false
		}
		if b != 255 {
			return length, i, true
		}
	}
	return 0, 0, false
}
