package proxy

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/strictjson"
	"github.com/mastercard/mangos/runtime/release"
	"github.com/mastercard/mangos/runtime/version"
)

var (
	// ErrUpstream: what the repository gives is of no use.
	ErrUpstream = errors.New("the repository gives no usable release")
	// ErrRefused: a release must not be passed on.
	ErrRefused = errors.New("the release must not be used")
)

// A snapshot is what a repository gave last, all of one moment: manifest and
// signature belong together.
type snapshot struct {
	// Tag is the release's, empty in a flat folder.
	Tag       string           `json:"tag"`
	Sums      []byte           `json:"sums"`
	Signature []byte           `json:"signature"`
	Assets    map[string]asset `json:"assets"`
	// ETag is the repository's word for this state.
	ETag    string    `json:"etag"`
	Fetched time.Time `json:"fetched"`

	listed map[string][sha256.Size]byte
}

// An asset is a file that can be fetched.
type asset struct {
	URL string `json:"url"`
	// Size in bytes; -1 if the repository does not say.
	Size int64 `json:"size"`
	// Version changes with the content.
	Version string `json:"version"`
}

// rules are what a release must keep to.
type rules struct {
	key     []byte // nil: whoever asks checks the signature
	minimum string
}

// check reads the manifest, and refuses what must not be passed on. Errors wrap
// ErrUpstream or ErrRefused.
func (s *snapshot) check(r rules, now time.Time) (err error) {
	if r.key != nil {
		if err := keys.VerifySums(r.key, s.Signature, bytes.NewReader(s.Sums)); err != nil {
			return fmt.Errorf("%w: it is not signed by the release key (%w)", ErrRefused, err)
		}
	}
	if s.listed, err = release.ParseSums(s.Sums); err != nil {
		return fmt.Errorf("%w: %w", ErrUpstream, err)
	}
	if err := s.checkVersion(r.minimum); err != nil {
		return err
	}
	return s.checkExpiry(now)
}

// checkVersion goes by the tag, and by the disk image that the manifest lists. A
// release that tells its version by neither is not known to be new enough.
func (s *snapshot) checkVersion(minimum string) error {
	if minimum == "" {
		return nil
	}
	found, err := release.Choose(s.listed, release.Wanted{})
	var versions []string
	if err == nil {
		versions = append(versions, found.Version)
	}
	if s.Tag != "" {
		versions = append(versions, tagVersion(s.Tag))
	}
	if len(versions) == 0 {
		return fmt.Errorf("%w: nothing tells its version, and the least is %s", ErrRefused, minimum)
	}
	for _, v := range versions {
		if version.Compare(v, minimum) < 0 {
			return fmt.Errorf("%w: version %s is older than the least, %s", ErrRefused, v, minimum)
		}
	}
	return nil
}

// tagVersion is the version that a tag is for: v1.2 is 1.2.
func tagVersion(tag string) string { return strings.TrimPrefix(tag, "v") }

// checkExpiry refuses a manifest whose day is over.
func (s *snapshot) checkExpiry(now time.Time) error {
	if err := release.CheckExpiry(s.listed, now); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

// maxSnapshot bounds what is kept of a repository on the disk.
const maxSnapshot = 32 << 20

// save keeps the snapshot in a file, whole or not at all.
func (s *snapshot) save(path string) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if len(text) > maxSnapshot {
		return fmt.Errorf("keep %s: %d bytes are too many", filepath.Base(path), len(text))
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, text, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// load reads what save kept. One that cannot be read is none.
func load(path string) *snapshot {
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxSnapshot {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var s snapshot
	if err := strictjson.UnmarshalKnown(text, &s); err != nil {
		return nil
	}
	return &s
}
