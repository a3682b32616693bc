package verify

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/attest/internal/oracle"
	"github.com/mastercard/mangos/format/vfat"
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

// TestBootPartitionBudget: the files of the EFI system partition are bounded
// together: what a file system says of their sizes is anybody's word.
func TestBootPartitionBudget(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ten"), []byte("0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	oracle.Run(t, dir, "mkfs.vfat", "-C", "esp", "512")
	oracle.Run(t, dir, "mcopy", "-i", "esp", "ten", "::/ONE")
	oracle.Run(t, dir, "mcopy", "-i", "esp", "ten", "::/TWO")
	f, err := os.Open(filepath.Join(dir, "esp"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	v, err := vfat.Open(f, 512<<10)
	if err != nil {
		t.Fatal(err)
	}
	for budget, want := range map[int64]bool{20: true, 19: false} {
		files := map[string][]byte{}
		if err := readFAT(v.Root(), "", files, &budget, 0); (err == nil) != want {
			t.Errorf("%d bytes are allowed: %v", budget, err)
		}
	}
}
