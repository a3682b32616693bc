package extension

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mastercard/mangos/runtime/tpm"
)

// The table of counters lies in one NV index of the TPM:
//
//	offset  size  content
//	0       8     "mangosx1"
//	8       384   16 entries of 24 bytes: the first 16 bytes of the SHA-256 of
//	              "CLASS NAME", and the highest counter seen, big endian. An entry
//	              with counter 0 is free.
//	392     8     the first 8 bytes of the SHA-256 of what stands before
const (
	tableMagic   = "mangosx1"
	tableEntries = 16
	entrySize    = 24
	tableSize    = len(tableMagic) + tableEntries*entrySize + 8
)

// CounterBlock is the NV index with the table, in the range that the TCG's
// registry leaves to the owner.
var CounterBlock = tpm.Block{Handle: 0x01a06d78, Size: uint16(tableSize)}

var (
	// ErrCounters: what is in the TPM is not a table of counters. Whoever put
	// it there had the machine; the way out is to clear the TPM.
	ErrCounters = errors.New("the table of extension counters in the TPM is damaged; clear the TPM in the firmware's settings")
	// ErrFull: the table has no room for another name.
	ErrFull = fmt.Errorf("the table of extension counters in the TPM holds %d names and is full", tableEntries)
)

// Counters is the highest counter seen for each extension.
type Counters struct {
	entries [tableEntries]counter
}

type counter struct {
	key  [16]byte
	seen uint64
}

func key(id ID) [16]byte {
	sum := sha256.Sum256([]byte(id.String()))
	return [16]byte(sum[:16])
}

// Seen returns the highest counter seen for the extension, 0 for none.
func (c *Counters) Seen(id ID) uint64 {
	for _, e := range c.entries {
		if e.seen != 0 && e.key == key(id) {
			return e.seen
		}
	}
	return 0
}

// raise notes a counter; it never lowers one. It says whether the table changed.
func (c *Counters) raise(id ID, to uint64) (bool, error) {
	free := -1
	for i := range c.entries {
		e := &c.entries[i]
		if e.seen == 0 {
			if free < 0 {
				free = i
			}
			continue
		}
		if e.key == key(id) {
			changed := to > e.seen
			e.seen = max(e.seen, to)
			return changed, nil
		}
	}
	if free < 0 {
		return false, ErrFull
	}
	c.entries[free] = counter{key(id), to}
	return true, nil
}

func (c *Counters) encode() []byte {
	var b bytes.Buffer
	b.WriteString(tableMagic)
	for _, e := range c.entries {
		b.Write(e.key[:])
		b.Write(binary.BigEndian.AppendUint64(nil, e.seen))
	}
	sum := sha256.Sum256(b.Bytes())
	b.Write(sum[:8])
	return b.Bytes()
}

// parseCounters reads the table. None at all (nil) is an empty one. Errors wrap
// ErrCounters.
func parseCounters(raw []byte) (*Counters, error) {
	c := &Counters{}
	if raw == nil {
		return c, nil
	}
	if len(raw) != tableSize || string(raw[:len(tableMagic)]) != tableMagic {
		return nil, ErrCounters
	}
	body, end := raw[:tableSize-8], raw[tableSize-8:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:8], end) {
		return nil, ErrCounters
	}
	for i := range c.entries {
		e := body[len(tableMagic)+i*entrySize:]
		c.entries[i] = counter{[16]byte(e[:16]), binary.BigEndian.Uint64(e[16:24])}
	}
	return c, nil
}

// A Store keeps the table between boots.
type Store interface {
	Read() ([]byte, error)
	Write([]byte) error
}

// TPMStore keeps the table in the TPM.
type TPMStore struct{ TPM *tpm.TPM }

// Read returns the table's bytes, nil if there is none yet.
func (s TPMStore) Read() ([]byte, error) { return CounterBlock.Read(s.TPM) }

// Write replaces the table.
func (s TPMStore) Write(raw []byte) error { return CounterBlock.Write(s.TPM, raw) }
