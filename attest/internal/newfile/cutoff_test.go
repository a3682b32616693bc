//go:build unix

package newfile

import (
	"errors"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

// TestCutOff: what cannot be written to its end is under no name.
func TestCutOff(t *testing.T) {
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	small := was
	small.Cur = 4
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	err := Write(filepath.Join(dir, "a"), 0o644, []byte("longer than that"))
	again := create("", filepath.Join(dir, "a"), 0o644, []byte("longer than that"))
	if e := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); e != nil {
		t.Fatal(e)
	}
	if !errors.Is(err, syscall.EFBIG) || !errors.Is(again, syscall.EFBIG) {
		t.Errorf("a file that is too long: %v, %v", err, again)
	}
	content(t, dir, map[string]string{})
}
