package install

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/mastercard/mangos/runtime/fetch"
	"github.com/mastercard/mangos/runtime/install/installtest"
	"github.com/mastercard/mangos/runtime/release"
)

// patience for tests: little.
var patience = fetch.Patience{Window: 200 * time.Millisecond, Least: 1 << 10, Total: time.Second, Pause: time.Millisecond}

// built is a release, and what its image was before it was changed.
type built struct {
	*installtest.Release
	good []byte
}

func build(t testing.TB, version string, change func(*installtest.Release)) *built {
	t.Helper()
	b := &built{}
	b.Release = installtest.Build(t, version, func(r *installtest.Release) {
		b.good = bytes.Clone(r.Image)
		if change != nil {
			change(r)
		}
	})
	return b
}

func (b *built) folder(t testing.TB) fetch.Source {
	t.Helper()
	s, err := fetch.NewSource(b.Folder(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func find(t testing.TB, s fetch.Source) (*release.Release, error) {
	t.Helper()
	return release.Find(context.WithoutCancel(t.Context()), s, installtest.ReleaseKey().Public, release.Wanted{}, patience)
}
