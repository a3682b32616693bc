package verify

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestCutOff: a disk image that ends early is not one that is shorter.
func TestCutOff(t *testing.T) {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	packed := z.EncodeAll(bytes.Repeat([]byte("0123456789abcdef"), 1<<16), nil)
	for _, n := range []int{len(packed) - 1, len(packed) / 2, 10} {
		s, err := decompress(t.Context(), bytes.NewReader(packed[:n]))
		if err == nil {
			t.Errorf("%d of %d bytes unpack to %d", n, len(packed), s.size)
			s.Close()
		}
	}
	s, err := decompress(t.Context(), bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.size != 1<<20 {
		t.Errorf("all of it unpacks to %d bytes", s.size)
	}
}

// TestMemory: many files that are small enough, each alone, are refused before one
// of them is read.
func TestMemory(t *testing.T) {
	dir := t.TempDir()
	for i := range maxMemory/maxSmall + 1 {
		name := filepath.Join(dir, fmt.Sprintf("%d.json", i))
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, maxSmall); err != nil {
			t.Fatal(err)
		}
	}
	r, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if err := r.load(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "together") {
		t.Errorf("%v", err)
	}
	if r.files["0.json"].data != nil {
		t.Error("a file was read")
	}
}
