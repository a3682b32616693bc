package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/verify"
	"github.com/mastercard/mangos/runtime/fetch"
	"github.com/mastercard/mangos/runtime/release"
)

// maxFiles is the most files that the folder of a release has.
const maxFiles = 10_000

// A Release is the folder of one that was looked through.
type Release struct {
	Name, Version string
	// Files in the order in which they are published: the manifest and its signature
	// are last.
	Files []File
}

func (r *Release) String() string { return r.Name + " " + r.Version }

// manifest is the file with the sums, signature the one over it.
func (r *Release) manifest() File  { return r.Files[len(r.Files)-2] }
func (r *Release) signature() File { return r.Files[len(r.Files)-1] }

// A File is one of a release.
type File struct {
	Name string
	Size int64
	Sum  [sha256.Size]byte

	open func() (io.ReadCloser, error)
}

// Open opens the file to be sent. Its last byte is given only if it is still the file
// that was looked at.
func (f File) Open() (io.ReadCloser, error) {
	r, err := f.open()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	return &checked{Closer: r, from: r, file: f, hash: sha256.New(), left: f.Size}, nil
}

// checked reads a file of known size and sum.
type checked struct {
	io.Closer
	from io.Reader
	file File
	hash hash.Hash
	left int64
}

func (c *checked) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n, err := c.from.Read(p[:min(int64(len(p)), c.left)])
	_, _ = c.hash.Write(p[:n])
	c.left -= int64(n)
	switch {
	case c.left == 0 && [sha256.Size]byte(c.hash.Sum(nil)) == c.file.Sum:
		return n, nil
	case c.left == 0 || errors.Is(err, io.EOF):
		return 0, fmt.Errorf("%w: %s is not the file any more that it was", ErrRelease, c.file.Name)
	}
	return n, err
}

// Terms are what a release must keep to.
type Terms struct {
	// Policy, if there is one, must verify it at the time At.
	Policy *policy.Policy
	At     time.Time
	// TryOut lets one pass that keys for trying out have signed.
	TryOut bool
}

// Open looks through the folder of a release: SHA256SUMS lists exactly its files, with
// their content, there is a signature, the manifest is of a release and in force, and
// the terms are kept. Errors wrap ErrRelease.
func Open(ctx context.Context, dir string, t Terms) (*Release, error) {
	r, err := read(ctx, dir, t)
	if err != nil {
		return nil, fmt.Errorf("release %s: %w", dir, err)
	}
	return r, nil
}

func read(ctx context.Context, dir string, t Terms) (*Release, error) {
	names, err := list(dir)
	if err != nil {
		return nil, err
	}
	manifest, text, err := small(dir, release.SumsFile, release.MaxSums)
	if err != nil {
		return nil, err
	}
	signature, _, err := small(dir, release.SignatureFile, release.MaxSignature)
	if err != nil {
		return nil, err
	}
	listed, err := release.ParseSums(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrRelease, release.SumsFile, err)
	}
	r, err := described(listed, t)
	if err != nil {
		return nil, err
	}
	if err := agree(names, listed); err != nil {
		return nil, err
	}
	for _, name := range names {
		if release.IsExpiry(name) || name == manifest.Name || name == signature.Name {
			continue
		}
		f, err := large(ctx, dir, name, listed[name])
		if err != nil {
			return nil, err
		}
		r.Files = append(r.Files, f)
	}
	r.Files = append(r.Files, manifest, signature)
	if t.Policy != nil {
		return r, r.verify(ctx, dir, t)
	}
	return r, nil
}

// list returns the names in the folder, sorted.
func list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	if len(entries) > maxFiles {
		return nil, fmt.Errorf("%w: it holds more than %d files", ErrRelease, maxFiles)
	}
	var names []string
	for _, e := range entries {
		if !e.Type().IsRegular() || !fetch.ValidName(e.Name()) {
			return nil, fmt.Errorf("%w: %q is no regular file, or has no name that a release's files have", ErrRelease, e.Name())
		}
		names = append(names, e.Name())
	}
	return names, nil
}

// described reads which release it is from the manifest.
func described(listed map[string][sha256.Size]byte, t Terms) (*Release, error) {
	found, err := release.Choose(listed, release.Wanted{})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	if found.TryOut && !t.TryOut {
		return nil, fmt.Errorf("%w: keys for trying out signed it, so that no device should take it; build it with the organisation's keys, or say --try-out", ErrRelease)
	}
	if err := release.CheckExpiry(listed, t.At); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	return &Release{Name: found.Name, Version: found.Version}, nil
}

// agree holds the names in the folder against those in the manifest.
func agree(names []string, listed map[string][sha256.Size]byte) error {
	for _, name := range names {
		if _, ok := listed[name]; ok == own(name) {
			return fmt.Errorf("%w: %s: want all files in %s but itself and its signature", ErrRelease, name, release.SumsFile)
		}
	}
	for name, sum := range listed {
		switch _, there := slices.BinarySearch(names, name); {
		case release.IsExpiry(name) && sum != sha256.Sum256(nil):
			return fmt.Errorf("%w: %s must have the sum of an empty file", ErrRelease, name)
		case !there && !release.IsExpiry(name):
			return fmt.Errorf("%w: %s lists %s, which is not there", ErrRelease, release.SumsFile, name)
		}
	}
	return nil
}

// own tells whether a file is the manifest or its signature.
func own(name string) bool { return name == release.SumsFile || name == release.SignatureFile }

// small reads a file that is kept in memory.
func small(dir, name string, limit int64) (File, []byte, error) {
	f, _, err := openRegular(dir, name)
	if err != nil {
		return File{}, nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return File{}, nil, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	if len(text) == 0 || int64(len(text)) > limit {
		return File{}, nil, fmt.Errorf("%w: %s has %d bytes, want 1 to %d", ErrRelease, name, len(text), limit)
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	return File{Name: name, Size: int64(len(text)), Sum: sha256.Sum256(text), open: open}, text, nil
}

// large holds a file against its sum.
func large(ctx context.Context, dir, name string, want [sha256.Size]byte) (File, error) {
	f, size, err := openRegular(dir, name)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, &cancellable{ctx, f}); err != nil {
		return File{}, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	if got := [sha256.Size]byte(h.Sum(nil)); got != want {
		return File{}, fmt.Errorf("%w: %s has SHA-256 %x, and %x in %s", ErrRelease, name, got, want, release.SumsFile)
	}
	open := func() (io.ReadCloser, error) {
		f, _, err := openRegular(dir, name)
		return f, err
	}
	return File{Name: name, Size: size, Sum: want, open: open}, nil
}

func openRegular(dir, name string) (*os.File, int64, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", name)
	}
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	return f, info.Size(), nil
}

// cancellable reads until its context ends.
type cancellable struct {
	ctx  context.Context
	from io.Reader
}

func (c *cancellable) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.from.Read(p)
}

// verify asks for the whole verdict, and that it is on these files.
func (r *Release) verify(ctx context.Context, dir string, t Terms) error {
	report, err := verify.Release(ctx, dir, t.Policy, t.At)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRelease, err)
	}
	var failed []string
	for _, c := range report.Checks {
		if !c.Passed {
			failed = append(failed, c.Name+": "+c.Detail)
		}
	}
	if !report.Verified {
		return fmt.Errorf("%w: the policy does not verify it: %s", ErrRelease, strings.Join(failed, "; "))
	}
	for _, f := range r.Files {
		if got := report.Files[f.Name]; got != hex.EncodeToString(f.Sum[:]) {
			return fmt.Errorf("%w: %s changed while it was verified", ErrRelease, f.Name)
		}
	}
	return nil
}
