// Package verifytest makes small releases for tests. Nothing in them runs, but
// they are made by the code and the tools that make real ones, and are laid out
// as these are: a disk image with partitions and a hash tree, a signed kernel
// image, the files for updates, records of all steps, evidence and checksums.
package verifytest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mastercard/mangos/attest/evidence"
	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/pipeline"
	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/record"
	"github.com/mastercard/mangos/attest/sbom"
	"github.com/mastercard/mangos/modules/debian/debtest"
	"github.com/mastercard/mangos/modules/image/release"
	"github.com/mastercard/mangos/modules/image/sign"
)

// What all worlds have in common.
const (
	Name    = "mangos"
	Version = "1.2"
	Epoch   = 1_767_323_045 // the date of the distribution
)

// World is an organisation with its release.
type World struct {
	// Keys is the folder of its keys, Work one for what the release is made of.
	Keys, Work string
	Names      release.Names
	Records    []*record.Record
	// Modules is the folder of Go modules' archives.
	Modules string
	// Files are the release's, before evidence and checksums.
	Files map[string][]byte
	// Policy is what the release is verified against.
	Policy []byte

	archive *debtest.Key // signs the distribution's Releases
	// extension is the folder of the keys that sign the extension; empty: there is
	// none.
	extension string
	sum       string            // of the Go module, as in go.sum
	bank      string            // of PCRs, that the kernel image signs policies for besides SHA-256's
	installs  func(*sbom.Input) // changes what the root's bill of materials is made of
	swapped   string            // part of what boots that is not the one that the bill of materials lists

	items map[string]record.Item
	bytes map[string][]byte
}

// Option makes a world another one than most.
type Option func(*World)

// Extended gives the release a configuration extension, signed by the verity key in
// the folder keys; empty: by the organisation's.
func Extended(keys string) Option {
	return func(w *World) {
		if w.extension = keys; keys == "" {
			w.extension = w.Keys
		}
	}
}

// Bank gives the kernel image signed PCR policies for this bank as well.
func Bank(name string) Option { return func(w *World) { w.bank = name } }

// Swapped has a release boot with another part than the bill of materials lists: its
// "loader", "stub" or "microcode", or with a "rest of microcode" behind what is listed.
// All else that is said of it agrees with it.
func Swapped(part string) Option { return func(w *World) { w.swapped = part } }

// Installs has the root hold a bill of materials that is made of something else.
func Installs(change func(*sbom.Input)) Option { return func(w *World) { w.installs = change } }

// New makes the release of an organisation, whose name is in the certificates,
// with all that it is made of in the new folder dir. The root file system holds
// the text content.
func New(t testing.TB, dir, organisation, content string, options ...Option) *World {
	t.Helper()
	w := &World{
		Keys: filepath.Join(dir, "keys"), Work: filepath.Join(dir, "work"), Modules: filepath.Join(dir, "work", "modules"), Files: map[string][]byte{},
		items: map[string]record.Item{}, bytes: map[string][]byte{},
	}
	for _, o := range options {
		o(w)
	}
	_, err := keys.Generate(w.Keys, keys.Options{Organisation: organisation, Bits: map[keys.Role]int{keys.Verity: 2048}})
	must(t, err)
	w.writePolicy(t)
	w.steps(t, content)
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Key is the path of a key file.
func (w *World) Key(name string) string { return filepath.Join(w.Keys, name) }

// path is that of a file to work with.
func (w *World) path(name string) string { return filepath.Join(w.Work, name) }

func (w *World) write(t testing.TB, name string, content []byte) string {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(w.path(name)), 0o755))
	must(t, os.WriteFile(w.path(name), content, 0o644))
	return w.path(name)
}

func (w *World) read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return b
}

// Evidence makes the signed documents of the records.
func (w *World) Evidence(t testing.TB) evidence.Files {
	t.Helper()
	key, err := keys.LoadPrivate(keys.Attest, w.Key("attest.key"))
	must(t, err)
	files, err := evidence.Make(w.Records, evidence.Options{
		Name: w.Names.Entry, Builder: provenance.Builder{ID: provenance.LocalBuilder}, Pipeline: pipeline.Standard(),
		Expires: time.Unix(Epoch, 0).AddDate(10, 0, 0), Key: key,
	})
	must(t, err)
	return files
}

// Release writes the whole release into a new folder, and returns its path.
func (w *World) Release(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(w.Work, "release-")
	must(t, err)
	for name, content := range w.Files {
		must(t, os.WriteFile(filepath.Join(dir, name), content, 0o644))
	}
	must(t, w.Evidence(t).Write(dir))
	w.Seal(t, dir)
	return dir
}

// Seal writes the checksums of the files in dir, and their signature.
func (w *World) Seal(t testing.TB, dir string) {
	t.Helper()
	sums, err := release.Sums(dir)
	must(t, err)
	signature, err := sign.Release(sums, w.Key("release.key"), w.Key("release.pub"), nil, time.Unix(Epoch, 0))
	must(t, err)
	must(t, errors.Join(
		os.WriteFile(filepath.Join(dir, "SHA256SUMS"), sums, 0o644),
		os.WriteFile(filepath.Join(dir, "SHA256SUMS.gpg"), signature, 0o644)))
}

// writePolicy makes the policy that trusts this organisation.
func (w *World) writePolicy(t testing.TB) {
	t.Helper()
	w.archive = debtest.NewKey(t, 0)
	w.bytes["definition"] = fmt.Appendf(nil, definition, w.archive.Fingerprint())
	w.write(t, "definition/mangos.toml", w.bytes["definition"])
	w.write(t, "definition/archive.asc", w.archive.Public(t))
	text, err := policy.Write(w.Keys, w.path("definition/mangos.toml"))
	must(t, err)
	w.Policy = bytes.Clone(text)
}
