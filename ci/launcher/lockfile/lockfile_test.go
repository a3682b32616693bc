package lockfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestSharedAs: at no time do two hold the lock under different names.
func TestSharedAs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var held [2]atomic.Int64
	var calls sync.WaitGroup
	for i := range 40 {
		calls.Go(func() {
			l, err := SharedAs(t.Context(), path, string(rune('a'+i%2)), func(string) {})
			if err != nil {
				t.Error(err)
				return
			}
			held[i%2].Add(1)
			if n := held[1-i%2].Load(); n > 0 {
				t.Errorf("%d others hold it", n)
			}
			held[i%2].Add(-1)
			l.Close()
		})
	}
	calls.Wait()
}

// TestSharedAsWaits: under one name there may be many, and another name waits for all of them.
func TestSharedAsWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	alone := func(other string) { t.Errorf("waits for %q", other) }
	a, err := SharedAs(t.Context(), path, "a", alone)
	if err != nil {
		t.Fatal(err)
	}
	again, err := SharedAs(t.Context(), path, "a", alone)
	if err != nil {
		t.Fatal(err)
	}
	waits, got := make(chan string, 1), make(chan *Lock)
	go func() {
		b, err := SharedAs(t.Context(), path, "b", func(other string) { waits <- other })
		if err != nil {
			t.Error(err)
		}
		got <- b
	}()
	select {
	case other := <-waits:
		if other != "a" {
			t.Errorf("waits for %q", other)
		}
	case <-got:
		t.Fatal("two hold it under different names")
	}
	a.Close()
	again.Close()
	(<-got).Close()
}

// TestEnds: who waits for a lock stops when it is told to, and is told whom it waits for.
func TestEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := Exclusive(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	_, err = Exclusive(ctx, path, func(holder string) {
		if !strings.HasPrefix(holder, "process ") {
			t.Errorf("waits for %q", holder)
		}
		stop()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	l.Close()
	if l, err = Exclusive(t.Context(), path, nil); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
