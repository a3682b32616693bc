package gpt

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// GUID is an identifier in the byte order of its text form. On disk the first
// three groups are little endian; encoding takes care of that.
type GUID [16]byte

// Type GUIDs of the Discoverable Partitions Specification, for x86-64 where
// the type has an architecture.
var (
	TypeESP           = MustGUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
	TypeRoot          = MustGUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
	TypeRootVerity    = MustGUID("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5")
	TypeRootVeritySig = MustGUID("41092b05-9fc8-4523-994f-2def0408b176")
	TypeUsr           = MustGUID("8484680c-9521-48c6-9c11-b0720656f69e")
	TypeUsrVerity     = MustGUID("77ff5f63-e7b6-4633-acf4-1565b864c0e6")
	TypeUsrVeritySig  = MustGUID("e7bb33fb-06cf-4e81-8273-e543b413e2e2")
	TypeSwap          = MustGUID("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f")
	TypeTmp           = MustGUID("7ec6f557-3bc5-4aca-b293-16ef5df639d1")
	TypeVar           = MustGUID("4d21b016-b534-45c2-a9fb-5c16e091fd2d")
)

// String returns the lower-case text form.
func (g GUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", g[:4], g[4:6], g[6:8], g[8:10], g[10:])
}

// ParseGUID reads the text form, in either case.
func ParseGUID(s string) (g GUID, err error) {
	digits := strings.ReplaceAll(s, "-", "")
	if len(s) != 36 || len(digits) != 32 {
		return g, fmt.Errorf("%q is not a GUID: %w", s, ErrFormat)
	}
	if _, err := hex.Decode(g[:], []byte(digits)); err != nil {
		return g, fmt.Errorf("%q is not a GUID: %w", s, ErrFormat)
	}
	if !strings.EqualFold(g.String(), s) {
		return GUID{}, fmt.Errorf("%q is not a GUID: %w", s, ErrFormat)
	}
	return g, nil
}

// MustGUID is ParseGUID for constants: it panics where the text is wrong.
func MustGUID(s string) GUID {
	g, err := ParseGUID(s)
	if err != nil {
		panic(err)
	}
	return g
}

// DeriveGUID makes an identifier that is a function of its parts alone: their
// SHA-256, each part preceded by its length, marked as version 8, RFC 9562.
func DeriveGUID(parts ...string) (g GUID) {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	copy(g[:], h.Sum(nil))
	g[6] = g[6]&0x0f | 0x80
	g[8] = g[8]&0x3f | 0x80
	return g
}

// disk swaps between text order and on-disk order; it is its own inverse.
func (g GUID) disk() GUID {
	g[0], g[1], g[2], g[3] = g[3], g[2], g[1], g[0]
	g[4], g[5] = g[5], g[4]
	g[6], g[7] = g[7], g[6]
	return g
}
