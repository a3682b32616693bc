// Package release finds out what the signed manifest of a folder of releases says.
package release

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/runtime/fetch"
	"github.com/mastercard/mangos/runtime/version"
)

var (
	// ErrSignature: the manifest is not signed by the release key.
	ErrSignature = errors.New("the manifest is not signed by the organisation's release key")
	// ErrManifest: the manifest does not describe a release.
	ErrManifest = errors.New("not the manifest of a release")
	// ErrOld: a release is older than the least version.
	ErrOld = errors.New("older than the least version that is allowed")
	// ErrExpired: the manifest's last day is over.
	ErrExpired = errors.New("the manifest is out of date")
)

// Files with the sums of a release's files, and the signature over it; and the
// most bytes that they have.
const (
	SumsFile      = "SHA256SUMS"
	SignatureFile = "SHA256SUMS.gpg"

	MaxSums      = 4 << 20
	MaxSignature = 64 << 10
)

// A Release is what the signed manifest says of one.
type Release struct {
	Name    string
	Version string
	// TryOut: keys that anybody can make signed it.
	TryOut bool
	// Image is the file with the disk image, Sum its SHA-256.
	Image string
	Sum   [sha256.Size]byte
	// Root is the root hash. The names of the update's files hold it, in halves,
	// so it is signed.
	Root verity.RootHash
}

// Wanted says which release is wanted.
type Wanted struct {
	// Version is the only one that will do, empty for the newest.
	Version string
	// Least is the oldest that is allowed, empty for any.
	Least string
}

// Find reads the manifest and finds the release that is wanted. Errors wrap
// ErrOld or are those of Read.
func Find(ctx context.Context, source fetch.Source, key []byte, want Wanted, p fetch.Patience) (*Release, error) {
	all, err := Read(ctx, source, key, p)
	if err != nil {
		return nil, err
	}
	return Choose(all, want)
}

// Read fetches the manifest and its signature, checks it with the release key (an
// OpenPGP public key, armored), and returns the files that it lists. Errors wrap
// ErrSignature, ErrManifest or fetch.ErrSource.
func Read(ctx context.Context, source fetch.Source, key []byte, p fetch.Patience) (map[string][sha256.Size]byte, error) {
	sums, err := fetch.All(ctx, source, SumsFile, MaxSums, p)
	if err != nil {
		return nil, err
	}
	signature, err := fetch.All(ctx, source, SignatureFile, MaxSignature, p)
	if err != nil {
		return nil, err
	}
	if err := keys.VerifySums(key, signature, bytes.NewReader(sums)); err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrSignature, err)
	}
	return ParseSums(sums)
}

// ParseSums reads the lines of sha256sum, strictly: 64 lower-case digits, a
// blank, a blank or a star, a name; no name twice.
func ParseSums(sums []byte) (map[string][sha256.Size]byte, error) {
	all := map[string][sha256.Size]byte{}
	if len(sums) == 0 || sums[len(sums)-1] != '\n' {
		return nil, fmt.Errorf("%w: it is empty or cut off", ErrManifest)
	}
	for line := range bytes.Lines(sums) {
		text := strings.TrimSuffix(string(line), "\n")
		const digits = 2 * sha256.Size
		if len(text) < digits+3 || text[digits] != ' ' || text[digits+1] != ' ' && text[digits+1] != '*' {
			return nil, fmt.Errorf("%w: %.100q is no line of sha256sum", ErrManifest, text)
		}
		name := text[digits+2:]
		raw, err := hex.DecodeString(text[:digits])
		_, twice := all[name]
		if err != nil || strings.ToLower(text[:digits]) != text[:digits] || !fetch.ValidName(name) || twice {
			return nil, fmt.Errorf("%w: %.100q is no line of sha256sum, or its name stands there twice", ErrManifest, text)
		}
		all[name] = [sha256.Size]byte(raw)
	}
	return all, nil
}

var (
	imageFile = regexp.MustCompile(`^([a-z][a-z0-9-]*?)(-tryout)?_([a-z0-9][a-z0-9.~^+-]*)\.raw\.zst$`)
	rootFile  = regexp.MustCompile(`^([a-z][a-z0-9-]*)_([a-z0-9][a-z0-9.~^+-]*)\.root-x86-64(-verity)?\.([0-9a-f-]{36})\.raw(\.xz)?$`)
)

// Choose finds the release that is wanted among the files of a manifest, which
// may list several.
func Choose(sums map[string][sha256.Size]byte, want Wanted) (*Release, error) {
	var found *Release
	for name, sum := range sums {
		m := imageFile.FindStringSubmatch(name)
		if m == nil || want.Version != "" && m[3] != want.Version {
			continue
		}
		r := &Release{Name: m[1], TryOut: m[2] != "", Version: m[3], Image: name, Sum: sum}
		if found == nil {
			found = r
			continue
		}
		switch c := version.Compare(r.Version, found.Version); {
		case r.Name != found.Name || c == 0:
			return nil, fmt.Errorf("%w: %s and %s, which of them?", ErrManifest, found.Image, r.Image)
		case c > 0:
			found = r
		}
	}
	switch {
	case found == nil && want.Version != "":
		return nil, fmt.Errorf("%w: it has no disk image of version %q", ErrManifest, want.Version)
	case found == nil:
		return nil, fmt.Errorf("%w: it has no disk image", ErrManifest)
	case want.Least != "" && version.Compare(found.Version, want.Least) < 0:
		return nil, fmt.Errorf("version %s: %w, %s", found.Version, ErrOld, want.Least)
	}
	return found, found.findRoot(sums)
}

// findRoot reads the root hash from the names of the release's update files.
func (r *Release) findRoot(sums map[string][sha256.Size]byte) error {
	var halves [2][]gpt.GUID
	for name := range sums {
		m := rootFile.FindStringSubmatch(name)
		if m == nil || m[1] != r.Name || m[2] != r.Version {
			continue
		}
		id, err := gpt.ParseGUID(m[4])
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrManifest, name, err)
		}
		half := 0
		if m[3] != "" {
			half = 1
		}
		halves[half] = append(halves[half], id)
	}
	if len(halves[0]) != 1 || len(halves[1]) != 1 {
		return fmt.Errorf("%w: version %s has %d files with a root and %d with a hash tree, want one of each",
			ErrManifest, r.Version, len(halves[0]), len(halves[1]))
	}
	copy(r.Root[:16], halves[0][0][:])
	copy(r.Root[16:], halves[1][0][:])
	return nil
}
