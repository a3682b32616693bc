// Package eventlog reads the logs of what was measured into a TPM's registers: the
// firmware's (TCG PC Client Platform Firmware Profile, section 10) and systemd's (a JSON
// text sequence, RFC 7464).
//
// A log proves nothing by itself: it is foreign input, and what it says counts only where
// replaying it gives the register's value.
package eventlog

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

const (
	// maxEvents and maxData bound a log: events, and bytes of one event's data.
	maxEvents = 10000
	maxData   = 1 << 20

	algSHA256  = 0x000b
	evNoAction = 3
)

// ErrMalformed says that bytes are not a log of the form that is read.
var ErrMalformed = errors.New("malformed event log")

// Event is one measurement.
type Event struct {
	PCR    int
	Digest [32]byte // of the SHA-256 bank
	// What was measured: the firmware's own description, or systemd's text. It is not
	// covered by the digest unless a caller checks that.
	What []byte
}

// cursor takes little-endian numbers and bytes off a log.
type cursor struct {
	left []byte
	err  error
}

func (c *cursor) take(n uint64) []byte {
	if c.err != nil || n > uint64(len(c.left)) {
		c.err = fmt.Errorf("%w: it ends within an event", ErrMalformed)
		return make([]byte, min(n, 64)) // the caller looks at err before it counts
	}
	b := c.left[:n]
	c.left = c.left[n:]
	return b
}

func (c *cursor) u16() uint16 { return binary.LittleEndian.Uint16(c.take(2)) }
func (c *cursor) u32() uint32 { return binary.LittleEndian.Uint32(c.take(4)) }

// Firmware reads the log that Linux shows as binary_bios_measurements. Events that only
// inform, and extend nothing, are left out.
func Firmware(log []byte) ([]Event, error) {
	c := &cursor{left: log}
	sizes, err := header(c)
	if err != nil {
		return nil, err
	}
	var events []Event
	for len(c.left) > 0 {
		e, kind, err := event(c, sizes)
		if err != nil {
			return nil, err
		}
		if kind != evNoAction {
			events = append(events, e)
		}
		if len(events) > maxEvents {
			return nil, fmt.Errorf("%w: more than %d events", ErrMalformed, maxEvents)
		}
	}
	return events, nil
}

// header reads the first event, which is of the old form (TCG_PCClientPCREvent) and holds
// TCG_EfiSpecIDEvent: the size of the digests of each algorithm in the log.
func header(c *cursor) (map[uint16]uint64, error) {
	c.take(4 + 4 + 20)
	data := c.take(uint64(c.u32()))
	if c.err != nil {
		return nil, c.err
	}
	spec := &cursor{left: data}
	if string(spec.take(16)) != "Spec ID Event03\x00" {
		return nil, fmt.Errorf("%w: not of the form for several algorithms", ErrMalformed)
	}
	spec.take(4 + 1 + 1 + 1 + 1)
	n := spec.u32()
	if spec.err != nil || n > 16 {
		return nil, fmt.Errorf("%w: %d algorithms", ErrMalformed, n)
	}
	sizes := map[uint16]uint64{}
	for range n {
		alg := spec.u16()
		sizes[alg] = uint64(spec.u16())
	}
	if spec.err != nil {
		return nil, spec.err
	}
	if sizes[algSHA256] != 32 {
		return nil, fmt.Errorf("%w: no SHA-256 digests", ErrMalformed)
	}
	return sizes, nil
}

// event reads a TCG_PCR_EVENT2.
func event(c *cursor, sizes map[uint16]uint64) (Event, uint32, error) {
	pcr, kind, n := c.u32(), c.u32(), c.u32()
	if c.err == nil && (pcr > 23 || n > 16) {
		return Event{}, 0, fmt.Errorf("%w: register %d with %d digests", ErrMalformed, pcr, n)
	}
	e := Event{PCR: int(pcr)}
	found := false
	for range min(n, 16) {
		alg := c.u16()
		size, known := sizes[alg]
		if c.err == nil && !known {
			return Event{}, 0, fmt.Errorf("%w: digest of algorithm %#x", ErrMalformed, alg)
		}
		digest := c.take(size)
		if c.err == nil && alg == algSHA256 {
			found = true
			copy(e.Digest[:], digest)
		}
	}
	size := c.u32()
	if size > maxData {
		return Event{}, 0, fmt.Errorf("%w: event of %d bytes", ErrMalformed, size)
	}
	e.What = c.take(uint64(size))
	if c.err != nil {
		return Event{}, 0, c.err
	}
	if !found {
		return Event{}, 0, fmt.Errorf("%w: event without a SHA-256 digest", ErrMalformed)
	}
	return e, kind, nil
}

// record is what systemd writes for a measurement (systemd 257, tpm2_pcr_extend_bytes).
type record struct {
	PCR     int `json:"pcr"`
	Digests []struct {
		Algorithm string `json:"hashAlg"`
		Digest    string `json:"digest"`
	} `json:"digests"`
	Content struct {
		String    string `json:"string"`
		EventType string `json:"eventType"`
	} `json:"content"`
}

// System reads systemd's log, /run/log/systemd/tpm2-measure.log.
func System(log []byte) ([]Event, error) {
	var events []Event
	for text := range bytes.SplitSeq(log, []byte{0x1e}) {
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		var r record
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		e := Event{PCR: r.PCR, What: []byte(r.Content.String)}
		found := false
		for _, d := range r.Digests {
			if d.Algorithm != "sha256" {
				continue
			}
			if b, err := hex.DecodeString(d.Digest); err == nil && len(b) == len(e.Digest) {
				found = true
				copy(e.Digest[:], b)
			}
		}
		if !found || r.PCR < 0 || r.PCR > 23 {
			return nil, fmt.Errorf("%w: record %d", ErrMalformed, len(events))
		}
		if events = append(events, e); len(events) > maxEvents {
			return nil, fmt.Errorf("%w: more than %d events", ErrMalformed, maxEvents)
		}
	}
	return events, nil
}
