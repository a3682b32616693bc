package watch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestFileThatExists(t *testing.T) {
	path := filepath.Join(t.TempDir(), "there")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := File(t.Context(), path); err != nil {
		t.Fatal(err)
	}
}

func TestFileThatAppears(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	found := make(chan error, 1)
	go func() { found <- File(ctx, filepath.Join(dir, "late")) }()
	for _, name := range []string{"early", "late"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-found; err != nil {
		t.Fatal(err)
	}
}

func TestFileThatNeverAppears(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := File(ctx, filepath.Join(t.TempDir(), "never")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
}

func TestUeventsLooksBeforeItWaits(t *testing.T) {
	looks := 0
	err := Uevents(t.Context(), func() (bool, error) { looks++; return true, nil })
	if err != nil || looks != 1 {
		t.Fatalf("%d looks, %v", looks, err)
	}
}

func TestUeventsEndsWithItsTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := Uevents(ctx, func() (bool, error) { return false, nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	broken := errors.New("broken")
	if err := Uevents(t.Context(), func() (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
}
