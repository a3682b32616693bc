package firmware

import (
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// ErrNoIdentity: the SMBIOS product UUID does not tell this machine from
// others. The error text says why.
var ErrNoIdentity = errors.New("no usable product UUID")

// placeholderText is data, kept in a file of its own: one UUID a line.
//
//go:embed placeholders.txt
var placeholderText string

var placeholders = sync.OnceValue(func() map[[16]byte]bool {
	all := make(map[[16]byte]bool)
	for line := range strings.Lines(placeholderText) {
		text, _, _ := strings.Cut(line, "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		id, err := parseUUID(text)
		if err != nil {
			panic("placeholders.txt: " + err.Error())
		}
		all[id] = true
		all[swapped(id)] = true
	}
	return all
})

// swapped returns the UUID with its first three fields in the other byte order
// (SMBIOS 2.6 changed it).
func swapped(id [16]byte) [16]byte {
	slices.Reverse(id[0:4])
	slices.Reverse(id[4:6])
	slices.Reverse(id[6:8])
	return id
}

// ProductUUID reads the SMBIOS product UUID (System Information, type 1) that
// systemd makes the machine id from, and refuses what does not identify the
// machine: no UUID, one that repeats a single byte (all zeros, all ones), one
// of those that vendors leave in many machines.
func ProductUUID(root string) (string, error) {
	f, err := os.Open(filepath.Join(root, "sys/class/dmi/id/product_uuid"))
	if err != nil {
		return "", fmt.Errorf("%w: the firmware gives none (%w)", ErrNoIdentity, err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 64))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoIdentity, err)
	}
	return checkUUID(string(raw))
}

// checkUUID returns the UUID in lower case, or says why it is of no use.
func checkUUID(raw string) (string, error) {
	text := strings.ToLower(strings.TrimSuffix(raw, "\n"))
	if strings.TrimSpace(text) == "" {
		return "", fmt.Errorf("%w: it is empty", ErrNoIdentity)
	}
	id, err := parseUUID(text)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoIdentity, err)
	}
	same := true
	for _, b := range id {
		same = same && b == id[0]
	}
	if same {
		return "", fmt.Errorf("%w: %s repeats one byte", ErrNoIdentity, text)
	}
	if placeholders()[id] {
		return "", fmt.Errorf("%w: %s is a placeholder that many machines share", ErrNoIdentity, text)
	}
	return text, nil
}

// parseUUID reads the form with four dashes, 36 characters, nothing else.
func parseUUID(text string) (id [16]byte, err error) {
	ok := len(text) == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-'
	if ok {
		var n int
		n, err = hex.Decode(id[:], []byte(strings.ReplaceAll(text, "-", "")))
		ok = err == nil && n == len(id)
	}
	if !ok {
		return id, fmt.Errorf("%q is not a UUID", text[:min(len(text), 64)])
	}
	return id, nil
}
