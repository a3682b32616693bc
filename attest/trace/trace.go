// Package trace answers where a file of a release is from: which package it is
// of, from which source that was built, how well that source is known, by which
// signed Release of the distribution it was locked, and who built the image.
//
// All of it stands in the release: in the bill of materials, in the statements
// of the steps, in SHA256SUMS. Tracing reads them and believes them; whether
// they can be believed is what verifying finds out.
//
// Who built it are the steps on the way of the thing into the image, as package pipeline
// knows it: from the step that fetched its package, or made it, to the disk image, over no
// other branch. What a step used must be what the step before it made.
//
// With a policy each of these steps must have its statement and its link, as verifying
// wants them, a trusted statement must have the bill of materials itself as a product, and
// the distribution's Release must be signed by the archive's keys. A key alone is one that
// must have signed the statements. With neither no signature is checked, and the result
// says so. That the Release's indexes list a package is for verifying: they are large.
//
// What is in no part of the image may be a product of a step: its statement names it. A
// file on the EFI system partition is one, but for the boot loader's configuration, which
// the step that makes the disk image writes. What is in the organisation's extension is not
// listed anywhere.
//
// Of a file of the release, which is at hand, the digest is computed, and must be that in
// SHA256SUMS; with a key or a policy a trusted statement must have it as a product. A file
// of the image is not looked at: its digest is what the bill of materials says.
package trace

import (
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/attest/pipeline"
	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/sbom"
	"github.com/mastercard/mangos/attest/verify"
	"github.com/mastercard/mangos/modules/debian/lock"
	manifest "github.com/mastercard/mangos/runtime/release"
)

var (
	// ErrUnknown says that nothing in a release is what was asked for.
	ErrUnknown = errors.New("not in the bill of materials, and no statement has it as a product")
	// ErrDiffers says that a file of the release is not the one that the release lists.
	ErrDiffers = errors.New("not the file that the release lists")
	// ErrRelease says that a folder is no release that can be traced.
	ErrRelease = errors.New("not a release that can be traced")
)

// Suffix is how the name of a release's bill of materials ends.
const Suffix = ".spdx.json"

// Options say what a release is held against.
type Options struct {
	// Lock is the path of the lock; empty: the one in the release, if any.
	Lock string
	// Keys are the attest keys of the organisation. A statement that none of them
	// signed is an error; without any, that is not asked.
	Keys []crypto.PublicKey
	// Policy says whose the keys are, and who signs for the distribution; nil: that is not
	// checked. What is not as the policy wants it is no error: the result says so.
	Policy *policy.Policy
	// At is when the layout must be in force, if a policy is given.
	At time.Time
}

// Release is an opened release.
type Release struct {
	dir      string
	document Document
	index    *sbom.Index
	lock     *lock.Lock
	lockName string
	keys     []crypto.PublicKey
	policy   *policy.Policy
	sums     map[string]string       // digest by name, of SHA256SUMS
	files    map[string][]*spdx.File // by path, what was looked for already

	pipeline   *pipeline.Pipeline
	statements map[string][]string // files, by step
	evidence   *verify.Evidence    // nil: no policy
	steps      map[string]*step    // what was read already
}

// Document is a file of the release that a result rests on, or tells of.
type Document struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	// Listed tells that SHA256SUMS has it with this digest.
	Listed bool `json:"listed"`
	// Checked tells that keys or a policy were given. Statement is then the file of
	// a statement that has the document as a product and is signed by such a key:
	// empty if there is none, and then nobody vouches for it.
	Checked   bool   `json:"checked"`
	Statement string `json:"statement,omitempty"`
}

// unvouched reports whether a trusted statement was looked for, and not found.
func (d *Document) unvouched() bool { return d != nil && d.Checked && d.Statement == "" }

// Open opens the release in the folder dir.
func Open(dir string, o Options) (*Release, error) {
	names, err := filepath.Glob(filepath.Join(escape(dir), "*"+Suffix))
	if err != nil {
		return nil, fmt.Errorf("open release: %w", err)
	}
	if len(names) != 1 {
		return nil, fmt.Errorf("open release %s: it has %d files *%s, want one: %w", dir, len(names), Suffix, ErrRelease)
	}
	text, err := sbom.Read(names[0])
	if err != nil {
		return nil, err
	}
	r := &Release{
		dir: dir, keys: o.Keys, policy: o.Policy, sums: readSums(filepath.Join(dir, "SHA256SUMS")), files: map[string][]*spdx.File{},
		pipeline: pipeline.Standard(), steps: map[string]*step{},
	}
	if r.statements, err = listStatements(dir); err != nil {
		return nil, err
	}
	if o.Policy != nil {
		if r.evidence, err = verify.OpenEvidence(dir, o.Policy, o.At); err != nil {
			return nil, err
		}
	}
	if r.index, err = sbom.Open(text); err != nil {
		return nil, fmt.Errorf("%s: %w", names[0], err)
	}
	r.document = Document{Name: filepath.Base(names[0]), SHA256: digestOf(text)}
	r.document.Listed = r.sums[r.document.Name] == r.document.SHA256
	r.document.Checked = len(r.keys) > 0 || r.policy != nil
	return r, r.openLock(o.Lock)
}

// escape keeps a folder's name from being taken for a pattern.
func escape(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

// openLock reads the lock that is given, or that is in the release.
func (r *Release) openLock(path string) error {
	if path == "" {
		names, _ := filepath.Glob(filepath.Join(escape(r.dir), "*.lock.json"))
		if len(names) != 1 {
			return nil
		}
		path = names[0]
	}
	l, err := lock.Load(path)
	if err != nil {
		return err
	}
	r.lock, r.lockName = l, filepath.Base(path)
	return nil
}

// readSums reads SHA256SUMS; what is not there or not in its form lists nothing.
func readSums(name string) map[string]string {
	text, err := readFile(name, manifest.MaxSums)
	if err != nil {
		return nil
	}
	listed, err := manifest.ParseSums(text)
	if err != nil {
		return nil
	}
	sums := make(map[string]string, len(listed))
	for name, sum := range listed {
		sums[name] = hex.EncodeToString(sum[:])
	}
	return sums
}

// isDigest reports whether s is a SHA-256 in lower-case hexadecimal.
func isDigest(s string) bool {
	if len(s) != sha256.Size*2 {
		return false
	}
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && (s[i] < 'a' || s[i] > 'f') {
			return false
		}
	}
	return true
}
