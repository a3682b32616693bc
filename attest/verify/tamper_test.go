package verify_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
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
		w, dir := small(t)
		return &original{dir: dir, policy: w.Policy, at: at, keys: w.Keys, world: w}
	}
	text, err := policy.Write(keyFolder, "../../mangos.toml")
	if err != nil {
		t.Fatal(err)
	}
	return &original{dir: dir, policy: text, at: time.Now(), keys: keyFolder}
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
		if os.Link(filepath.Join(o.dir, name), c.path(name)) != nil {
			c.write(name, c.readFile(filepath.Join(o.dir, name)))
		}
	}
	return c
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
	e, err := dsse.Sign(statement.PayloadType, payload, key)
	if err != nil {
		c.t.Fatal(err)
	}
	data, err := bundle.Encode(e, key.Public())
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(c.statement(step), data)
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
	var m struct{ Signed in_toto.Link }
	if err := json.Unmarshal(c.read(c.link(step)), &m); err != nil {
		c.t.Fatal(err)
	}
	change(&m.Signed)
	name, data, err := layout.SignLink(m.Signed, c.key())
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

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

// TestTampering: each changed alone, by somebody who can make and sign the
// checksums anew. The named check must fail, and say what it found.
func TestTampering(t *testing.T) {
	o := newOriginal(t)
	rows := []struct {
		name   string
		change func(c *copied)
		check  string
		detail string
	}{
		{"a statement removed", func(c *copied) { os.Remove(c.path(c.statement("erofs"))) }, "links", "step erofs"},
		{"statement and link removed", func(c *copied) {
			os.Remove(c.path(c.statement("erofs")))
			os.Remove(c.path(c.link("erofs")))
		}, "layout", "step erofs"},
		{"a statement moved to another step", func(c *copied) { c.write(c.statement("verity"), c.read(c.statement("erofs"))) }, "statements", "it is about the step erofs"},
		{"a statement under another release's name", func(c *copied) {
			name := c.statement("erofs")
			os.Rename(c.path(name), c.path("other_9"+name[strings.Index(name, ".erofs"):]))
		}, "statements", "does not bear the name"},
		{"a statement twice", func(c *copied) {
			name := c.statement("erofs")
			c.write(strings.TrimSuffix(name, bundle.Suffix)+".01234567"+bundle.Suffix, c.read(name))
			c.policy = bytes.Replace(c.policy, []byte("threshold = 1"), []byte("threshold = 2"), 1)
			c.policy = bytes.Replace(c.policy, []byte("keys = ['''"), []byte("keys = ['''"+strangerPEM(c.t)+"''', '''"), 1)
		}, "statements", "1 trusted keys signed its statement, 2 are needed"},
		{"a statement by a stranger", func(c *copied) { c.state("erofs", c.payload("erofs"), stranger) }, "statements", "erofs.sigstore.json"},
		{"a second signature", func(c *copied) { c.edit(c.statement("erofs"), `"signatures":[`, `"signatures":[{"sig":"AAAA"},`) }, "statements", "2 signatures"},
		{"another payload type", func(c *copied) {
			c.edit(c.statement("erofs"), "application/vnd.in-toto+json", "application/vnd.in-toto+jsox")
		}, "statements", "erofs"},
		{"a field added to a bundle", func(c *copied) { c.edit(c.statement("erofs"), `{"mediaType"`, `{"extra":1,"mediaType"`) }, "statements", "unknown key"},
		{"a doubled key in a bundle", func(c *copied) { c.edit(c.statement("erofs"), `{"mediaType"`, `{"mediaType":"x","mediaType"`) }, "statements", "duplicate key"},
		{"a key in another case in a bundle", func(c *copied) { c.edit(c.statement("erofs"), `"mediaType"`, `"MediaType"`) }, "statements", "wrong case"},
		{"a doubled key in a statement", func(c *copied) { c.restate("erofs", `{"_type"`, `{"subject":[],"_type"`) }, "statements", "duplicate key"},
		{"a key in another case in a statement", func(c *copied) { c.restate("erofs", `"subject"`, `"Subject"`) }, "statements", "wrong case"},
		{"a statement with another subject", func(c *copied) { c.restate("erofs", `{"name":"root.erofs"`, `{"name":"root.other"`) }, "links", "step erofs"},
		{"an unknown parameter", func(c *copied) { c.restate("erofs", `"externalParameters":{`, `"externalParameters":{"x":1,`) }, "statements", "externalParameters"},
		{"an unknown builder", func(c *copied) { c.restate("erofs", "#local-builder", "#another") }, "statements", "builder"},
		{"a cache that is not allowed", func(c *copied) { c.policy = bytes.Replace(c.policy, []byte(`"packages-*"`), []byte(`"x"`), 1) }, "statements", "had a cache"},
		{"an input that nobody made", func(c *copied) {
			c.restate("erofs", `"resolvedDependencies":[`, `"resolvedDependencies":[{"name":"a","digest":{"sha256":"`+zeros+`"}},`)
			c.relink("erofs", func(l *in_toto.Link) { l.Materials["a"] = in_toto.HashObj{"sha256": zeros} })
		}, "inputs", "which no step made"},
		{"a link of another release", func(c *copied) {
			c.relink("erofs", func(l *in_toto.Link) { l.Products["root.erofs"] = in_toto.HashObj{"sha256": zeros} })
		}, "layout", "erofs"},
		{"a link of another step", func(c *copied) { c.write(c.link("verity"), c.read(c.link("erofs"))) }, "layout", "step verity"},
		{"a link removed", func(c *copied) { os.Remove(c.path(c.link("erofs"))) }, "layout", "step erofs"},
		{"a doubled key in a link", func(c *copied) { c.edit(c.link("erofs"), `"signed": {`, `"signed": {}, "signed": {`) }, "layout", "duplicate key"},
		{"a key in another case in a link", func(c *copied) { c.edit(c.link("erofs"), `"signed": {`, `"Signed": {`) }, "layout", "wrong case"},
		{"one key under two ids", func(c *copied) { c.relay(c.key(), twoIDs) }, "layout", "bears the id 0000"},
		{"threshold 0", func(c *copied) { c.relay(c.key(), func(l *in_toto.Layout) { l.Steps[3].Threshold = 0 }) }, "layout", "threshold is 0"},
		{"an expired layout", func(c *copied) { c.relay(c.key(), func(l *in_toto.Layout) { l.Expires = "2001-01-01T00:00:00Z" }) }, "layout", "expired"},
		{"a layout by another owner", func(c *copied) { c.relay(stranger, func(*in_toto.Layout) {}) }, "layout", "not signed by the wanted keys"},
		{"a layout that allows everything", func(c *copied) {
			c.relay(c.key(), func(l *in_toto.Layout) { l.Steps[3].ExpectedMaterials = [][]string{{"ALLOW", "*"}} })
		}, "layout", "DISALLOW *"},
		{"a layout without a step", func(c *copied) {
			c.relay(c.key(), func(l *in_toto.Layout) { l.Steps = l.Steps[:len(l.Steps)-1] })
		}, "links", "which the layout does not have"},
		{"no layout", func(c *copied) { os.Remove(c.path(layout.FileName)) }, "layout", layout.FileName},
		{"a file that nobody lists", func(c *copied) { c.write("more.txt", []byte("x")) }, "accounted", "more.txt"},
		{"a statement of nothing", func(c *copied) { c.write("more.sigstore.json", []byte("{}")) }, "statements", "more.sigstore.json"},
		{"a link of nothing", func(c *copied) { c.write("more.01234567.link", []byte("{}")) }, "accounted", "more.01234567.link"},
		{"a bill of materials that lists another file", swappedBill, "sbom", ".spdx.json"},
		{"a lock entry whose hash differs", lockEntry, "lock", "the lock says"},
		{"a lock entry that the distribution does not have", lockEntry, "distribution", "in the indexes of its suite"},
		{"no indexes", func(c *copied) { os.Remove(c.path(c.find(".origin.tar.zst"))) }, "distribution", ".origin.tar.zst"},
		{"the lock of another release", func(c *copied) { c.edit(c.find(".lock.json"), `"sourceDateEpoch": 1`, `"sourceDateEpoch": 2`) }, "accounted", ".lock.json"},
		{"a module that go.sum does not name", func(c *copied) { c.write(c.find(".go.sum"), []byte("x v1 h1:x=\n")) }, "lock", "is not in go.sum"},
		{"a link for a file", func(c *copied) {
			name := c.find(".efi")
			os.Rename(c.path(name), c.path("elsewhere"))
			os.Symlink("elsewhere", c.path(name))
		}, "", ""},
		{"the policy of another organisation", func(c *copied) {
			c.policy = verifytest.New(c.t, c.t.TempDir(), "Other", "hello").Policy
		}, "statements", "not signed by the wanted keys"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := o.copy(t)
			own := *o
			c.original = &own
			row.change(c)
			if row.check == "" { // the folder itself is refused
				p, err := policy.Parse(c.policy)
				if err != nil {
					t.Fatal(err)
				}
				if r, err := verify.Release(t.Context(), c.dir, p, c.at); err == nil {
					t.Errorf("accepted: %+v", r)
				}
				return
			}
			c.seal()
			got := failed(t, c.run())
			if detail, ok := got[row.check]; !ok || !strings.Contains(detail, row.detail) {
				t.Errorf("the check %s should say %q; failed: %q", row.check, row.detail, got)
			}
		})
	}
}

func strangerPEM(t *testing.T) string {
	t.Helper()
	text, err := keys.EncodePublic(stranger.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// twoIDs gives the functionary's key a second id, and asks for two votes.
func twoIDs(l *in_toto.Layout) {
	for _, k := range l.Keys {
		k.KeyID = zeros
		l.Keys[zeros] = k
		break
	}
	for i := range l.Steps {
		l.Steps[i].PubKeys = append(l.Steps[i].PubKeys, zeros)
		l.Steps[i].Threshold = 2
	}
}

// lockEntry changes a package's digest in the lock, and all that is said of the
// lock: only what was fetched shows it.
func lockEntry(c *copied) {
	name := c.find(".lock.json")
	text := c.read(name)
	changed := bytes.Clone(text)
	packages := bytes.Index(text, []byte(`"packages": [`))
	const key = `"sha256":"`
	copy(changed[packages+bytes.Index(text[packages:], []byte(key))+len(key):], zeros)
	c.write(name, changed)
	for _, step := range []string{"source", "lock"} {
		c.restate(step, digest(text), digest(changed))
	}
}

// swappedBill changes a file's digest in the bill of materials, and all that is
// said of the bill.
func swappedBill(c *copied) {
	name := c.find(".spdx.json")
	text := c.read(name)
	const key = `"algorithm":"SHA256","checksumValue":"`
	files := bytes.Index(text, []byte(`"files":[`))
	changed := bytes.Clone(text)
	copy(changed[files+bytes.Index(text[files:], []byte(key))+len(key):], zeros)
	c.write(name, changed)
	c.restate("sbom", digest(text), digest(changed))
	c.relink("sbom", func(l *in_toto.Link) { l.Products[name] = in_toto.HashObj{"sha256": digest(changed)} })
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// TestEveryFile: one byte of each file, with and without new checksums.
func TestEveryFile(t *testing.T) {
	o := newOriginal(t)
	for _, name := range o.copy(t).list(o.dir) {
		for _, sealed := range []bool{false, true} {
			sums := strings.HasPrefix(name, "SHA256SUMS")
			if sealed && sums || !sealed && !sums && o.world == nil {
				continue // a real release takes long enough
			}
			t.Run(name, func(t *testing.T) {
				c := o.copy(t)
				b := bytes.Clone(c.read(name))
				b[len(b)/2] ^= 1
				c.write(name, b)
				if sealed {
					c.seal()
				}
				c.blames(c.run(), name, sealed)
			})
		}
	}
}

// TestCutFiles: half of each file, and nothing of it.
func TestCutFiles(t *testing.T) {
	o := newOriginal(t)
	if o.world == nil {
		t.Skip("with a small release only: a real one takes too long")
	}
	for _, name := range o.copy(t).list(o.dir) {
		for _, part := range []int{0, 1} {
			t.Run(name, func(t *testing.T) {
				c := o.copy(t)
				b := c.read(name)
				c.write(name, bytes.Clone(b[:len(b)*part/2]))
				if !strings.HasPrefix(name, "SHA256SUMS") {
					c.seal()
				}
				c.blames(c.run(), name, true)
			})
		}
	}
}

// blames looks for the name of a file among what failed checks say; the checks
// of the checksums do not count where these were made anew.
func (c *copied) blames(r *verify.Report, name string, sealed bool) {
	c.t.Helper()
	got := failed(c.t, r)
	if sealed {
		delete(got, "checksums")
	}
	subject := name
	if strings.HasPrefix(name, "SHA256SUMS") {
		subject = "SHA256SUMS"
	}
	for _, detail := range got {
		if strings.Contains(detail, subject) {
			return
		}
	}
	c.t.Errorf("no failed check names %s: %q", name, got)
}

// TestHugeStatement: 2 GB are refused before they are read.
func TestHugeStatement(t *testing.T) {
	c := newOriginal(t).copy(t)
	name := c.statement("erofs")
	c.write(name, nil)
	if err := os.Truncate(c.path(name), 2<<30); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	c.blames(c.run(), name, true)
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("that took %s", took)
	}
}

// TestAlphabets: base64 of either alphabet is the same statement.
func TestAlphabets(t *testing.T) {
	c := newOriginal(t).copy(t)
	for _, name := range c.list(c.dir) {
		if !strings.HasSuffix(name, bundle.Suffix) {
			continue
		}
		e, err := bundle.Read(c.path(name))
		if err != nil {
			t.Fatal(err)
		}
		text := string(c.read(name))
		for _, b := range [][]byte{e.Payload, e.Signatures[0]} {
			standard, other := base64.StdEncoding.EncodeToString(b), base64.URLEncoding.EncodeToString(b)
			text = strings.Replace(text, standard, other, 1)
		}
		c.write(name, []byte(text))
	}
	c.seal()
	if err := c.run().Err(); err != nil {
		t.Error(err)
	}
}

// TestNothing: a folder without a file is never verified.
func TestNothing(t *testing.T) {
	o := newOriginal(t)
	p, err := policy.Parse(o.policy)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "missing")} {
		if r, err := verify.Release(t.Context(), dir, p, o.at); err == nil {
			t.Errorf("%+v", r)
		}
	}
	c := o.copy(t)
	for _, name := range c.list(c.dir) {
		os.Remove(c.path(name))
	}
	c.seal()
	failed(t, c.run())
}
