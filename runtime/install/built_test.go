package install

import (
	"context"
	"testing"

	"github.com/mastercard/mangos/runtime/fetch"
	"github.com/mastercard/mangos/runtime/install/installtest"
	"github.com/mastercard/mangos/runtime/release"
)

// built is a release to install.
type built struct{ *installtest.Release }

func build(t testing.TB, version string, change func(*installtest.Release)) *built {
	t.Helper()
	return &built{installtest.Build(t, version, change)}
}

func find(t testing.TB, s fetch.Source) (*release.Release, error) {
	t.Helper()
	return release.Find(context.WithoutCancel(t.Context()), s, installtest.ReleaseKey().Public, release.Wanted{}, installtest.Patience)
}
