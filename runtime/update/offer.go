package update

import (
	"context"
	"fmt"
	"time"

	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/runtime/fetch"
	"github.com/mastercard/mangos/runtime/release"
	"github.com/mastercard/mangos/runtime/version"
)

// A Verdict says what a release is to a machine.
type Verdict string

// The verdicts.
const (
	// New: it can be applied.
	New Verdict = "new"
	// Current: it runs.
	Current Verdict = "current"
	// Waiting: it is in the other slot, and the next start takes it.
	Waiting Verdict = "waiting"
	// Failed: it was started here and did not prove good, or was set aside. It is not
	// applied again; a newer one is.
	Failed Verdict = "failed"
)

// An Offer is the newest release that the source gives.
type Offer struct {
	Version string  `json:"version"`
	Verdict Verdict `json:"verdict"`
	// Size is how many bytes an update fetches; -1 where the source does not say, 0
	// where there is nothing to fetch.
	Size int64 `json:"size"`

	root verity.RootHash
}

// A Source is where releases come from, and who must have signed them.
type Source struct {
	Files    fetch.Source
	Key      []byte
	Patience fetch.Patience
}

// Look looks for the newest release and judges it. Errors wrap those of
// release.Read, release.ErrExpired or ErrOlder.
func (src Source) Look(ctx context.Context, s *State, now time.Time) (*Offer, error) {
	sums, err := release.Read(ctx, src.Files, src.Key, src.Patience)
	if err != nil {
		return nil, fmt.Errorf("look for a release: %w", err)
	}
	if err := release.CheckExpiry(sums, now); err != nil {
		return nil, fmt.Errorf("look for a release: %s gives an old one: %w; nothing is taken from there until a new one is published (is this machine's clock right?)", src.Files, err)
	}
	r, err := release.Choose(sums, release.Wanted{})
	if err != nil {
		return nil, fmt.Errorf("look for a release: %w", err)
	}
	o := &Offer{Version: r.Version, root: r.Root}
	if o.Verdict, err = judge(s, r); err != nil {
		return nil, fmt.Errorf("look for a release: %w", err)
	}
	if o.Verdict != New {
		return o, nil
	}
	files, err := r.UpdateFiles(sums)
	if err != nil {
		return nil, fmt.Errorf("look for a release: %w", err)
	}
	if o.Size, err = src.size(ctx, files); err != nil {
		return nil, fmt.Errorf("look for a release: %w", err)
	}
	return o, nil
}

func (src Source) size(ctx context.Context, files []string) (int64, error) {
	var sum int64
	for _, name := range files {
		n, err := fetch.Size(ctx, src.Files, name, src.Patience)
		if err != nil {
			return 0, err
		}
		if n < 0 {
			return -1, nil
		}
		sum += n
	}
	return sum, nil
}

// judge says what the release is to the machine.
func judge(s *State, r *release.Release) (Verdict, error) {
	if r.Name != s.Image {
		return "", fmt.Errorf("%w: it is of %s, and this is %s", release.ErrManifest, r.Name, s.Image)
	}
	if version.Compare(r.Version, s.Running) < 0 {
		return "", fmt.Errorf("version %s: %w, %s; to go back to the version in the other slot there is rollback", r.Version, ErrOlder, s.Running)
	}
	for _, slot := range s.Slots {
		if slot.Version == r.Version && slot.Root != r.Root {
			return "", fmt.Errorf("%w: version %s has the root hash %s in it, and %s on this machine; two releases must not have one version",
				release.ErrManifest, r.Version, r.Root, slot.Root)
		}
		if e := slot.Entry; e != nil && !slot.Running && !e.Bad() && version.Compare(r.Version, slot.Version) < 0 && version.Compare(slot.Version, s.Running) > 0 {
			return "", fmt.Errorf("version %s: %w: %s waits in the other slot", r.Version, ErrOlder, slot.Version)
		}
	}
	e := s.entry(r.Version)
	switch {
	case r.Version == s.Running:
		return Current, nil
	case e != nil && e.Bad():
		return Failed, nil
	case e != nil && s.slot(r.Version) != nil:
		return Waiting, nil
	}
	return New, nil
}
