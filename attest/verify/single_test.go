package verify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/attest/bundle"
	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/record"
	"github.com/mastercard/mangos/attest/verify"
	"github.com/mastercard/mangos/attest/verify/verifytest"
	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/image/extension"
)

// lone is an extension that was built by itself, for one attempt.
type lone struct {
	*copied
	file string
	lock *lock.Lock
}

// site is what most attempts are made on.
var site = extension.Options{Class: extension.Confext, Name: "site", Purpose: "site", Counter: 3}

// newLone makes an extension of the small release's organisation; an empty signer is
// the organisation itself.
func newLone(t *testing.T, o extension.Options, signer string) *lone {
	t.Helper()
	own := *smallOriginal(t)
	l := &lone{copied: &copied{original: &own, t: t, dir: t.TempDir()}, file: o.Name + "." + string(o.Class) + ".raw"}
	if signer == "" {
		signer = own.keys
	}
	own.world.Single(t, l.dir, signer, o)
	var err error
	if l.lock, err = lock.Parse(own.world.Files[verifytest.Name+"_"+verifytest.Version+".lock.json"]); err != nil {
		t.Fatal(err)
	}
	return l
}

// verify verifies the extension.
func (l *lone) verify() (*verify.Report, error) {
	l.t.Helper()
	p, err := policy.Parse(l.policy)
	if err != nil {
		l.t.Fatal(err)
	}
	return verify.Extension(l.t.Context(), l.path(l.file), p, l.lock)
}

// flip changes one byte of a partition of the image.
func (l *lone) flip(kind gpt.GUID, at int64) {
	l.t.Helper()
	b := l.read(l.file)
	table, err := gpt.Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, p := range table.Partitions {
		if p.Type == kind {
			b[p.Start+at] ^= 1
		}
	}
	l.write(l.file, b)
}

// swap changes a digest in the statement of the extension's step.
func (l *lone) swap(name string) {
	l.t.Helper()
	payload := l.payload("extension")
	key := []byte(`{"name":"` + name + `"`)
	at := bytes.Index(payload, key)
	if at < 0 {
		l.t.Fatalf("the statement has no %s", name)
	}
	digest := []byte(`"sha256":"`)
	at += bytes.Index(payload[at:], digest) + len(digest)
	l.state("extension", bytes.Replace(payload, payload[at:at+64], []byte(zeros), 1), l.key())
}

// add adds an input to the statement of a step.
func (l *lone) add(step, name string) {
	l.addItem(step, record.Item{Name: name, SHA256: zeros})
}

func (l *lone) addItem(step string, item record.Item) {
	l.t.Helper()
	input, err := json.Marshal(item.Descriptor())
	if err != nil {
		l.t.Fatal(err)
	}
	if p := l.payload(step); bytes.Contains(p, []byte(`"resolvedDependencies":[`)) {
		l.restate(step, `"resolvedDependencies":[`, `"resolvedDependencies":[`+string(input)+`,`)
		return
	}
	l.restate(step, `"externalParameters":`, `"resolvedDependencies":[`+string(input)+`],"externalParameters":`)
}

func TestLoneExtension(t *testing.T) {
	for _, o := range []extension.Options{
		site,
		{Class: extension.Sysext, Name: "tools", Purpose: "debug", Counter: 1},
		{Class: extension.Confext, Name: "org", Purpose: "org", Counter: 9, Reload: true},
	} {
		l := newLone(t, o, "")
		r, err := l.verify()
		if err != nil {
			t.Fatal(err)
		}
		r.Text(t.Output())
		if err := r.Err(); err != nil || len(r.Checks) != 10 || len(r.Attestations) != 2 {
			t.Errorf("%s: %v, %d checks, %q", l.file, err, len(r.Checks), r.Attestations)
		}
	}
}

// TestLoneBesideOthers: extensions in one folder have nothing to do with each other, and
// without a lock the report says what was not looked at.
func TestLoneBesideOthers(t *testing.T) {
	l := newLone(t, site, "")
	l.world.Single(t, l.dir, l.keys, extension.Options{Class: extension.Sysext, Name: "site", Purpose: "site", Counter: 1})
	l.write("site-b.confext.raw", []byte("x"))
	l.lock = nil
	r, err := l.verify()
	if err != nil || r.Err() != nil || len(r.Attestations) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if list := strings.Join(r.NotChecked, "\n"); !strings.Contains(list, "--lock") || !strings.Contains(list, "the folder") {
		t.Errorf("%q", list)
	}
}

// TestLoneTampering: each changed alone. The named check must fail, and name what it
// found.
func TestLoneTampering(t *testing.T) {
	foreign := filepath.Join(t.TempDir(), "keys")
	if _, err := keys.Generate(foreign, keys.Options{Organisation: "Stranger", Bits: map[keys.Role]int{keys.Verity: 2048}}); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		signer string
		change func(l *lone)
		check  string
		detail string
	}{
		{"a flipped byte, and the statement of another", "", func(l *lone) { l.flip(gpt.TypeRoot, 1030) }, "subject", "site.confext.raw has SHA-256 …the step extension made one with"},
		{"a flipped byte in the files", "", func(l *lone) { l.flip(gpt.TypeRoot, 1030) }, "root-hash", "block"},
		{"a flipped byte in the files, and nothing of them is read", "", func(l *lone) { l.flip(gpt.TypeRoot, 1030) }, "metadata", "block"},
		{"a flipped byte in the signature partition", "", func(l *lone) { l.flip(gpt.TypeRootVeritySig, 20) }, "root-hash-signature", ""},
		{"cut short", "", func(l *lone) { l.write(l.file, l.read(l.file)[:4096]) }, "root-hash-signature", ""},
		{"empty", "", func(l *lone) { l.write(l.file, nil) }, "root-hash-signature", ""},
		{"signed by another verity key", foreign, func(*lone) {}, "root-hash-signature", "certificate"},
		{"a statement by another key", "", func(l *lone) { l.state("extension", l.payload("extension"), stranger) }, "statements", "site.confext.extension.sigstore.json…not signed by the wanted keys"},
		{"a second signature", "", func(l *lone) { l.edit(l.statement("extension"), `"signatures":[`, `"signatures":[{"sig":"AAAA"},`) }, "statements", "2 signatures"},
		{"a changed statement", "", func(l *lone) { l.edit(l.statement("extension"), `"payload":"`, `"payload":"AAAA`) }, "statements", "extension.sigstore.json"},
		{"one key twice for two votes", "", func(l *lone) {
			for _, step := range []string{"extension", "configuration"} {
				l.write("site.confext."+step+".01234567"+bundle.Suffix, l.read(l.statement(step)))
			}
			l.trustStranger("2")
		}, "statements", "1 trusted keys signed its statement, 2 are needed"},
		{"no statement", "", func(l *lone) {
			os.Remove(l.path(l.statement("extension")))
			os.Remove(l.path(l.statement("configuration")))
		}, "statements", "there is no statement"},
		{"no statement of the extension", "", func(l *lone) { os.Remove(l.path(l.statement("extension"))) }, "statements", "no statement of the step extension"},
		{"no statement of the extension, and so no subject", "", func(l *lone) { os.Remove(l.path(l.statement("extension"))) }, "subject", "no statement of the step extension"},
		{"no statement of the extension, and so no input", "", func(l *lone) { os.Remove(l.path(l.statement("extension"))) }, "inputs", "no statement of the step extension"},
		{"no statement of the extension, and so no package", "", func(l *lone) { os.Remove(l.path(l.statement("extension"))) }, "lock", "no statement of the step extension"},
		{"no statement of the configuration", "", func(l *lone) { os.Remove(l.path(l.statement("configuration"))) }, "statements", "no statement of the step configuration"},
		{"no statement of the configuration, and so no input", "", func(l *lone) { os.Remove(l.path(l.statement("configuration"))) }, "inputs", "no statement of the step configuration"},
		{"a statement of another step", "", func(l *lone) {
			l.stateAs("site.confext.disk"+bundle.Suffix, bytes.Replace(l.payload("extension"), []byte(`"step":"extension"`), []byte(`"step":"disk"`), 1), l.key())
		}, "statements", "the step disk, which makes no extension"},
		{"a statement moved to another step", "", func(l *lone) { l.write(l.statement("configuration"), l.read(l.statement("extension"))) }, "statements", "it is about the step extension"},
		{"another statement", "", func(l *lone) {
			l.restate("extension", `"name":"site.confext.raw"`, `"name":"x.confext.raw"`)
		}, "subject", "did not make site.confext.raw"},
		{"a statement of two products", "", func(l *lone) {
			l.restate("extension", `"subject":[`, `"subject":[{"name":"a","digest":{"sha256":"`+zeros+`"}},`)
		}, "subject", "made 2 files"},
		{"the statements of another extension", "", func(l *lone) {
			other := newLone(l.t, extension.Options{Class: extension.Confext, Name: "other", Purpose: "site", Counter: 3}, "")
			l.write(l.statement("extension"), other.read(other.statement("extension")))
		}, "subject", "did not make site.confext.raw"},
		{"the statements of an older one", "", func(l *lone) {
			older := site
			older.Counter = 2
			other := newLone(l.t, older, "")
			l.write(l.statement("extension"), other.read(other.statement("extension")))
		}, "subject", "made one with"},
		{"under another name", "", rename, "subject", "did not make other.confext.raw"},
		{"under another name, to a device", "", rename, "metadata", "extension-release.other: it is not there"},
		{"another folder", "", func(l *lone) { l.swap("org.tree") }, "inputs", "a folder with the digest 0000…the one that was given has"},
		{"another certificate", "", func(l *lone) { l.swap("keys/verity.crt") }, "inputs", "keys/verity.crt with SHA-256 0000…which the policy does not have"},
		{"an input that makes no extension", "", func(l *lone) { l.add("extension", "root.erofs") }, "inputs", "root.erofs has no part in an extension"},
		{"another selection", "", func(l *lone) { l.restate("extension", "selection/imagetools.json", "selection/others.json") }, "inputs", "selection/others.json has no part"},
		{"no certificate", "", func(l *lone) {
			l.restate("extension", `{"name":"keys/verity.crt",`, `{"annotations":{"use":"tool"},"name":"program/verity.crt",`)
		}, "inputs", "step extension: it does not have keys/verity.crt"},
		{"no recorder", "", func(l *lone) { l.restate("extension", "program/record", "program/other") }, "inputs", "step extension: it does not have program/record"},
		{"a folder that is made of something", "", func(l *lone) { l.add("configuration", "a") }, "inputs", "the step configuration had 1 inputs"},
		{"another package than the lock's", "", func(l *lone) { l.swap("locked/test/pool/base-imagetools.deb") }, "lock", "base-imagetools.deb has SHA-256 0000…the lock says"},
		{"a package too much", "", func(l *lone) {
			l.addItem("extension", record.Item{Name: "locked/test/pool/x.deb", SHA256: zeros, URI: "pkg:deb/test/x@1"})
		}, "lock", "pool/x.deb is not in the lock"},
		{"a package more, of another set", "", func(l *lone) {
			for _, item := range record.Items(l.lock) {
				if item.Name == "locked/test/pool/base-root.deb" {
					l.addItem("extension", item)
				}
			}
		}, "lock", "it was made with 2 packages, the set imagetools has 1"},
		{"a package of another set", "", func(l *lone) { l.restate("extension", "pool/base-imagetools.deb", "pool/base-root.deb") }, "lock", "it was made without locked/test/pool/base-imagetools.deb"},
		{"an unknown builder", "", func(l *lone) { l.restate("extension", "#local-builder", "#another") }, "statements", "builder"},
		{"the policy of another organisation", "", func(l *lone) {
			text, err := policy.Write(foreign, filepath.Join(l.world.Work, "definition", "mangos.toml"))
			if err != nil {
				l.t.Fatal(err)
			}
			l.policy = text
		}, "statements", "not signed by the wanted keys"},
	} {
		t.Run(row.name, func(t *testing.T) {
			l := newLone(t, site, row.signer)
			row.change(l)
			r, err := l.verify()
			if err != nil {
				t.Fatal(err)
			}
			got := failed(t, r)
			if detail, ok := got[row.check]; !ok || !says(detail, row.detail) {
				t.Errorf("the check %s should say %q; failed: %q", row.check, row.detail, got)
			}
		})
	}
}

// rename gives the extension and its statements another name.
func rename(l *lone) {
	for _, name := range l.list(l.dir) {
		if err := os.Rename(l.path(name), l.path(strings.Replace(name, "site.", "other.", 1))); err != nil {
			l.t.Fatal(err)
		}
	}
	l.file = "other.confext.raw"
}

// TestLoneTryOut: what a try-out key signed passes only where the policy accepts that.
func TestLoneTryOut(t *testing.T) {
	w := verifytest.New(t, t.TempDir(), "TRY-OUT Example", "hello")
	dir := t.TempDir()
	w.Single(t, dir, w.Keys, site)
	for text, want := range map[string]string{"try-out = false": "which the policy does not accept", "try-out = true": ""} {
		p, err := policy.Parse(bytes.Replace(bytes.Replace(w.Policy, []byte("try-out = true"), []byte("try-out = false"), 1), []byte("try-out = false"), []byte(text), 1))
		if err != nil {
			t.Fatal(err)
		}
		r, err := verify.Extension(t.Context(), filepath.Join(dir, "site.confext.raw"), p, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			if err := r.Err(); err != nil {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if got := failed(t, r); len(got) != 1 || !says(got["try-out"], want) {
			t.Errorf("%s: %q", text, got)
		}
	}
}

// TestLoneRefuses: what is no extension at all has no report.
func TestLoneRefuses(t *testing.T) {
	l := newLone(t, site, "")
	l.write("Site.raw", l.read(l.file))
	if err := os.Symlink(l.file, l.path("link.confext.raw")); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"missing.confext.raw": "no such file", "Site.raw": "its name", "link.confext.raw": "symbolic link"} {
		l.file = file
		if r, err := l.verify(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", file, r, err)
		}
	}
	l.file = "site.confext.raw"
	p, err := policy.Parse(l.policy)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify.Extension(t.Context(), l.dir, p, nil); err == nil || errors.Is(err, verify.ErrNotVerified) {
		t.Errorf("a folder: %v", err)
	}
}
