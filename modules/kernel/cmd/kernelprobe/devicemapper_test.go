package main

import (
	"encoding/binary"
	"slices"
	"testing"
)

// target is an entry of the kernel's list, as long as next says.
func target(next uint32, name string) []byte {
	entry := make([]byte, max(next, uint32(targetSize+len(name)+1)))
	binary.NativeEndian.PutUint32(entry, next)
	entry[4] = 1 // its version
	copy(entry[targetSize:], name)
	return entry
}

func TestTargetNames(t *testing.T) {
	list := slices.Concat(target(24, "verity"), target(32, "crypt"), target(0, "error"), []byte("rest"))
	if got, err := targetNames(list); err != nil || !slices.Equal(got, []string{"verity", "crypt", "error"}) {
		t.Errorf("%q, %v", got, err)
	}
	for name, list := range map[string][]byte{
		"empty":          nil,
		"no name":        make([]byte, targetSize),
		"no end":         target(0, "verity")[:targetSize+6],
		"the same again": {targetSize + 8: 0, 0: 1},
		"outside":        target(24, "verity")[:23],
		"nothing behind": target(24, "verity"),
		"far outside":    slices.Concat([]byte{255, 255, 255, 255}, target(0, "verity")[4:]),
	} {
		if got, err := targetNames(list); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// The list is as long as the kernel says: whatever it says, reading it ends.
func FuzzTargetNames(f *testing.F) {
	f.Add(slices.Concat(target(24, "verity"), target(0, "crypt")))
	f.Fuzz(func(t *testing.T, list []byte) {
		names, err := targetNames(list[:min(len(list), 8<<10)])
		if err == nil && len(names) == 0 {
			t.Fatal("no target, and no error")
		}
	})
}
