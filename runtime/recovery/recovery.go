// Package recovery makes the keys that open a machine's volumes when its TPM
// does not, and shows them to people.
package recovery

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"rsc.io/qr"
)

// Key is a recovery key in systemd's form: 256 random bits as 64 modhex digits
// (as YubiKeys use them: they lie in the same place on most keyboards), in
// groups of eight with dashes between. The text, dashes included, is the key
// slot's passphrase.
type Key string

const (
	alphabet = "cbdefghijklnrtuv"
	size     = 32 // bytes
	group    = 4  // bytes
)

// ErrKey: a text cannot be a recovery key.
var ErrKey = errors.New("not a recovery key: want eight groups of eight letters out of " + alphabet)

// New makes a key.
func New() Key {
	raw := make([]byte, size)
	rand.Read(raw) // never fails, crypto/rand says
	return encode(raw)
}

func encode(raw []byte) Key {
	var b strings.Builder
	for i, c := range raw {
		if i > 0 && i%group == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(alphabet[c>>4])
		b.WriteByte(alphabet[c&15])
	}
	return Key(b.String())
}

// Parse reads what a person typed: letters in either case, dashes and blanks
// anywhere. The error, ErrKey, does not repeat the text.
func Parse(text string) (Key, error) {
	var digits []byte
	for _, r := range strings.ToLower(text) {
		switch n := strings.IndexRune(alphabet, r); {
		case n >= 0:
			digits = append(digits, byte(n))
		case !strings.ContainsRune("- \t\r\n", r):
			return "", ErrKey
		}
	}
	if len(digits) != 2*size {
		return "", ErrKey
	}
	raw := make([]byte, size)
	for i := range raw {
		raw[i] = digits[2*i]<<4 | digits[2*i+1]
	}
	return encode(raw), nil
}

// QR returns the key as a QR code of 21 lines of 41 characters, for terminals
// that show light text on dark ground: each character is two modules, one above
// the other.
func (k Key) QR() ([]string, error) {
	code, err := qr.Encode(string(k), qr.L)
	if err != nil {
		return nil, fmt.Errorf("make QR code: %w", err)
	}
	const quiet = 4 // modules around the code: ISO/IEC 18004, section 5.3.8
	dark := func(x, y int) bool { return code.Black(x-quiet, y-quiet) }
	var lines []string
	for y := 0; y < code.Size+2*quiet; y += 2 {
		var line strings.Builder
		for x := range code.Size + 2*quiet {
			line.WriteRune([]rune("█▀▄ ")[index(dark(x, y+1))+2*index(dark(x, y))])
		}
		lines = append(lines, line.String())
	}
	return lines, nil
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}
