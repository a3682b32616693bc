package verify_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/mastercard/mangos/attest/bundle"
	"github.com/mastercard/mangos/attest/dsse"
	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/layout"
	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/attest/verify"
	"github.com/mastercard/mangos/attest/verify/verifytest"
)

// original is the release that is tampered with: a small one, or the real one in
// the folder that MANGOS_RELEASE names, with its keys in MANGOS_KEYS.
type original struct {
	dir    string
	policy []byte
	at     time.Time
	keys   string
	world  *verifytest.World // of a small one
}

func newOriginal(t *testing.T) *original {
	t.Helper()
	dir, keyFolder := os.Getenv("MANGOS_RELEASE"), os.Getenv("MANGOS_KEYS")
	if dir == "" {
		return smallOriginal(t)
	}
	text, err := policy.Write(keyFolder, "../../mangos.toml")
	if err != nil {
		t.Fatal(err)
	}
	return &original{dir: whole(t, dir), policy: text, at: time.Now(), keys: keyFolder}
}

// smallOriginal is always the small one.
func smallOriginal(t *testing.T) *original {
	t.Helper()
	w, dir := small(t)
	return &original{dir: dir, policy: w.Policy, at: at, keys: w.Keys, world: w}
}

// short tells that not all of what is tried is tried: each attempt on a real release
// verifies gigabytes. All of it is tried on the small one each time, and on a real one
// where MANGOS_EVIDENCE is "all".
func (o *original) short() bool { return o.world == nil && os.Getenv("MANGOS_EVIDENCE") != "all" }

// firsts returns a function that tells, of a short trial, whether a check was not met
// before, and of others always true.
func (o *original) firsts() func(check string) bool {
	met := map[string]bool{}
	return func(check string) bool {
		first := !met[check]
		met[check] = true
		return first || !o.short()
	}
}

// whole copies a real release to where its files can be linked to, once.
func whole(t *testing.T, dir string) string {
	t.Helper()
	made.Lock()
	defer made.Unlock()
	if made.whole == "" {
		to := filepath.Join(made.folder, "whole")
		if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		made.whole = to
	}
	return made.whole
}

// copied is a copy of the release for one attempt. Its files are links to those of
// the original until they are written.
type copied struct {
	*original
	t   *testing.T
	dir string
}

func (o *original) copy(t *testing.T) *copied {
	t.Helper()
	c := &copied{original: o, t: t, dir: t.TempDir()}
	for _, name := range c.list(o.dir) {
		if err := os.Link(filepath.Join(o.dir, name), c.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// trial is a copy whose policy and keys may be changed, too.
func (o *original) trial(t *testing.T) *copied {
	t.Helper()
	own := *o
	return own.copy(t)
}

// fails seals what was changed, and wants the check to fail and to say why.
func (c *copied) fails(check, detail string) {
	c.t.Helper()
	c.seal()
	got := failed(c.t, c.run())
	if said, ok := got[check]; !ok || !says(said, detail) {
		c.t.Errorf("the check %s should say %q; failed: %q", check, detail, got)
	}
}

func (c *copied) list(dir string) []string {
	c.t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		c.t.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

func (c *copied) path(name string) string { return filepath.Join(c.dir, name) }

func (c *copied) readFile(path string) []byte {
	c.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

func (c *copied) read(name string) []byte { return c.readFile(c.path(name)) }

// write puts a new file in the place of another.
func (c *copied) write(name string, b []byte) {
	c.t.Helper()
	os.Remove(c.path(name))
	if err := os.WriteFile(c.path(name), b, 0o644); err != nil {
		c.t.Fatal(err)
	}
}

func (c *copied) edit(name, from, to string) {
	c.t.Helper()
	b := c.read(name)
	if !bytes.Contains(b, []byte(from)) {
		c.t.Fatalf("%s has no %q", name, from)
	}
	c.write(name, bytes.Replace(b, []byte(from), []byte(to), 1))
}

// find returns the name of the only file that ends in suffix.
func (c *copied) find(suffix string) string {
	c.t.Helper()
	var found []string
	for _, name := range c.list(c.dir) {
		if strings.HasSuffix(name, suffix) {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		c.t.Fatalf("%q end in %s", found, suffix)
	}
	return found[0]
}

func (c *copied) statement(step string) string { return c.find("." + step + bundle.Suffix) }

func (c *copied) link(step string) string {
	c.t.Helper()
	for _, name := range c.list(c.dir) {
		if s, _, ok := layout.LinkStep(name); ok && s == step {
			return name
		}
	}
	c.t.Fatalf("there is no link of %s", step)
	return ""
}

// key is the organisation's attest key.
func (c *copied) key() crypto.Signer {
	c.t.Helper()
	k, err := keys.LoadPrivate(keys.Attest, filepath.Join(c.keys, "attest.key"))
	if err != nil {
		c.t.Fatal(err)
	}
	return k
}

// stranger is the key of somebody else.
var stranger = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

// seal makes checksums and their signature anew, as whoever has the release key
// could.
func (c *copied) seal() {
	w := verifytest.World{Keys: c.keys}
	os.Remove(c.path("SHA256SUMS")) // a link to the original's
	os.Remove(c.path("SHA256SUMS.gpg"))
	w.Seal(c.t, c.dir)
}

// payload is a statement's text.
func (c *copied) payload(step string) []byte {
	c.t.Helper()
	e, err := bundle.Read(c.path(c.statement(step)))
	if err != nil {
		c.t.Fatal(err)
	}
	return e.Payload
}

// state signs a statement's text and puts it in the step's place.
func (c *copied) state(step string, payload []byte, key crypto.Signer) {
	c.t.Helper()
	c.stateAs(c.statement(step), payload, key)
}

// stateAs signs a statement's text and writes it to the file name.
func (c *copied) stateAs(name string, payload []byte, key crypto.Signer) {
	c.t.Helper()
	e, err := dsse.Sign(statement.PayloadType, payload, key)
	if err != nil {
		c.t.Fatal(err)
	}
	data, err := bundle.Encode(e, key.Public())
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(name, data)
}

// restate changes a text in a signed statement.
func (c *copied) restate(step, from, to string) {
	c.t.Helper()
	p := c.payload(step)
	if !bytes.Contains(p, []byte(from)) {
		c.t.Fatalf("the statement of %s has no %q", step, from)
	}
	c.state(step, bytes.Replace(p, []byte(from), []byte(to), 1), c.key())
}

// relay changes the layout and signs it.
func (c *copied) relay(owner crypto.Signer, change func(*in_toto.Layout)) {
	c.t.Helper()
	var m struct{ Signed in_toto.Layout }
	if err := json.Unmarshal(c.read(layout.FileName), &m); err != nil {
		c.t.Fatal(err)
	}
	change(&m.Signed)
	data, err := layout.Sign(m.Signed, owner)
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(layout.FileName, data)
}

// relink changes a link and signs it.
func (c *copied) relink(step string, change func(*in_toto.Link)) {
	c.t.Helper()
	c.relinkAs(step, c.key(), change)
}

// relinkAs changes a link and has key sign it: another one's is a link beside it.
func (c *copied) relinkAs(step string, key crypto.Signer, change func(*in_toto.Link)) {
	c.t.Helper()
	var m struct{ Signed in_toto.Link }
	if err := json.Unmarshal(c.read(c.link(step)), &m); err != nil {
		c.t.Fatal(err)
	}
	change(&m.Signed)
	name, data, err := layout.SignLink(m.Signed, key)
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(name, data)
}

// run verifies the copy.
func (c *copied) run() *verify.Report {
	c.t.Helper()
	p, err := policy.Parse(c.policy)
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := verify.Release(c.t.Context(), c.dir, p, c.at)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// failed returns what the failed checks say, and reports a release that passes.
func failed(t *testing.T, r *verify.Report) map[string]string {
	t.Helper()
	list := map[string]string{}
	for _, c := range r.Checks {
		if !c.Passed {
			list[c.Name] = c.Detail
		}
	}
	if r.Verified || len(list) == 0 || r.Err() == nil {
		t.Error("VERIFIED")
	}
	return list
}
