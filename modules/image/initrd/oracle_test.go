//go:build oracle

package initrd

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/mastercard/mangos/format/cpio"
)

// TestReadBuilt: what zstd has compressed is read, and nothing of it is missing.
func TestReadBuilt(t *testing.T) {
	o := Options{Tree: lay(t, base)}
	out := filepath.Join(t.TempDir(), "initrd")
	if err := Build(t.Context(), o, out); err != nil {
		t.Fatal(err)
	}
	built, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Append(&b, bytes.NewReader(built), line); err != nil {
		t.Fatal(err)
	}
	tree, err := Finalise(o)
	if err != nil {
		t.Fatal(err)
	}
	names := tree.Paths()
	err = Read(b.Bytes(), line, func(h *cpio.Header, _ io.Reader) error {
		if len(names) == 0 || h.Name != names[0] {
			t.Errorf("/%s, want the first of %q", h.Name, names)
			return nil
		}
		names = names[1:]
		return nil
	})
	if err != nil || len(names) > 0 {
		t.Errorf("%q are missing, %v", names, err)
	}
}
