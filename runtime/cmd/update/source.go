package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/pflag"

	"github.com/mastercard/mangos/runtime/fetch"
	"github.com/mastercard/mangos/runtime/update"
)

const (
	// proxied is where the release proxy shows the organisation's releases. The
	// transfers in the image name the same place.
	proxied = "http://127.0.0.1:979/mangos"
	// keyPlace is the release key, which the organisation's extension brings.
	keyPlace = "/etc/mangos/release.pub"
)

// origin says where releases come from.
type origin struct{ source, key string }

func (o *origin) flags(f *pflag.FlagSet) {
	f.StringVar(&o.source, "source", proxied, "address of a folder with a release, or a local one")
	f.StringVar(&o.key, "key", keyPlace, "file with the release key")
}

func (o *origin) open() (update.Source, error) {
	key, err := os.ReadFile(o.key)
	if errors.Is(err, fs.ErrNotExist) {
		return update.Source{}, fmt.Errorf("%w; the organisation's extension brings the release key, without it no release is trusted", err)
	}
	if err != nil {
		return update.Source{}, err
	}
	files, err := fetch.NewSource(o.source, nil)
	return update.Source{Files: files, Key: key, Patience: fetch.DefaultPatience}, err
}

// tell says what was found.
func tell(s *update.State, o *update.Offer) string {
	switch o.Verdict {
	case update.New:
		return fmt.Sprintf("version %s is new, %s runs; to download: %s", o.Version, s.Running, size(o.Size))
	case update.Waiting:
		return fmt.Sprintf("version %s is in the other slot already, start the machine anew to try it", o.Version)
	case update.Failed:
		return fmt.Sprintf("version %s failed on this machine, a newer one is waited for; mangos-update status says more", o.Version)
	}
	return fmt.Sprintf("version %s runs, nothing newer is there", o.Version)
}

// size is a number of bytes, for people.
func size(n int64) string {
	switch {
	case n < 0:
		return "the source does not say how much"
	case n < 1<<20:
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
