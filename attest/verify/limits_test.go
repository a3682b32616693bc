package verify

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
