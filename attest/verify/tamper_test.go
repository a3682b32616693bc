package verify_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/mastercard/mangos/attest/bundle"
	"github.com/mastercard/mangos/attest/dsse"
	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/layout"
	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/record"
	"github.com/mastercard/mangos/attest/verify"
	"github.com/mastercard/mangos/attest/verify/verifytest"
)

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

// TestTampering: each changed alone, by somebody who can make and sign the
// checksums anew. The named check must fail, and name what it found: detail is
// parts of its sentence, with an ellipsis between.
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
		{"a statement moved to another step", func(c *copied) { c.write(c.statement("verity"), c.read(c.statement("erofs"))) }, "statements", "verity.sigstore.json…it is about the step erofs"},
		{"a statement under another release's name", func(c *copied) {
			name := c.statement("erofs")
			os.Rename(c.path(name), c.path("other_9"+name[strings.Index(name, ".erofs"):]))
		}, "statements", "other_9.erofs.sigstore.json does not bear the name"},
		{"a statement twice", func(c *copied) {
			name := c.statement("erofs")
			c.write(strings.TrimSuffix(name, bundle.Suffix)+".01234567"+bundle.Suffix, c.read(name))
			c.trustStranger("2")
		}, "statements", "step …: 1 trusted keys signed its statement, 2 are needed"},
		{"a statement by a stranger", func(c *copied) { c.state("erofs", c.payload("erofs"), stranger) }, "statements", "erofs.sigstore.json…not signed by the wanted keys"},
		{"a second signature", func(c *copied) { c.edit(c.statement("erofs"), `"signatures":[`, `"signatures":[{"sig":"AAAA"},`) }, "statements", "erofs.sigstore.json…2 signatures"},
		{"another payload type", func(c *copied) {
			c.edit(c.statement("erofs"), "application/vnd.in-toto+json", "application/vnd.in-toto+jsox")
		}, "statements", "erofs.sigstore.json…payload type"},
		{"another payload type, signed", func(c *copied) {
			e, err := dsse.Sign("application/vnd.in-toto+jsox", c.payload("erofs"), c.key())
			if err != nil {
				c.t.Fatal(err)
			}
			data, err := bundle.Encode(e, c.key().Public())
			if err != nil {
				c.t.Fatal(err)
			}
			c.write(c.statement("erofs"), data)
		}, "statements", "erofs.sigstore.json…payload type"},
		{"another predicate type", func(c *copied) {
			c.restate("erofs", provenance.PredicateType, verify.SummaryType)
		}, "statements", "erofs.sigstore.json…predicateType is"},
		{"a field added to a bundle", func(c *copied) { c.edit(c.statement("erofs"), `{"mediaType"`, `{"extra":1,"mediaType"`) }, "statements", "erofs.sigstore.json…unknown key"},
		{"a doubled key in a bundle", func(c *copied) { c.edit(c.statement("erofs"), `{"mediaType"`, `{"mediaType":"x","mediaType"`) }, "statements", "erofs.sigstore.json…duplicate key"},
		{"a key in another case in a bundle", func(c *copied) { c.edit(c.statement("erofs"), `"mediaType"`, `"MediaType"`) }, "statements", "erofs.sigstore.json…wrong case"},
		{"a doubled key in a statement", func(c *copied) { c.restate("erofs", `{"_type"`, `{"subject":[],"_type"`) }, "statements", "erofs.sigstore.json…duplicate key"},
		{"a key in another case in a statement", func(c *copied) { c.restate("erofs", `"subject"`, `"Subject"`) }, "statements", "erofs.sigstore.json…wrong case"},
		{"a statement with another subject", func(c *copied) { c.restate("erofs", `{"name":"root.erofs"`, `{"name":"root.other"`) }, "links", "step erofs…root.e"},
		{"an unknown parameter", func(c *copied) { c.restate("erofs", `"externalParameters":{`, `"externalParameters":{"x":1,`) }, "statements", "erofs.sigstore.json…externalParameters"},
		{"an unknown builder", func(c *copied) { c.restate("erofs", "#local-builder", "#another") }, "statements", "erofs.sigstore.json…builder"},
		{"a cache that is not allowed", func(c *copied) { c.policy = bytes.Replace(c.policy, []byte(`"packages-*"`), []byte(`"x"`), 1) }, "statements", ".sigstore.json…step packages-…had a cache"},
		{"an input that nobody made", func(c *copied) {
			c.restate("erofs", `"resolvedDependencies":[`, `"resolvedDependencies":[{"name":"a","digest":{"sha256":"`+zeros+`"}},`)
			c.relink("erofs", func(l *in_toto.Link) { l.Materials["a"] = in_toto.HashObj{"sha256": zeros} })
		}, "inputs", "step erofs used a …which no step made"},
		{"a kernel image of another plan", anotherPlan, "inputs", "step uki used plan.json with SHA-256 0000…which no step made"},
		{"a kernel image of another plan than its step's", anotherPlan, "layout", "artifact rule broken…for Step 'uki', materials [plan.json]"},
		{"another verity certificate as an input", func(c *copied) { c.swapKey("verity.crt") }, "inputs", "used keys/verity.crt with SHA-256 …which the policy does not have"},
		{"another Secure Boot certificate as an input", func(c *copied) { c.swapKey("secure-boot.crt") }, "inputs", "used keys/secure-boot.crt with SHA-256 …which the policy does not have"},
		{"another PCR key as an input", func(c *copied) { c.swapKey("pcr.pub") }, "inputs", "used keys/pcr.pub with SHA-256 …which the policy does not have"},
		{"a certificate in the place of another as an input", func(c *copied) {
			c.swapInput("keys/secure-boot.crt", digest(c.readFile(filepath.Join(c.keys, "verity.crt"))))
		}, "inputs", "used keys/secure-boot.crt with SHA-256 …which the policy does not have"},
		{"a statement of another release", func(c *copied) {
			s, err := otherRecord(c, "erofs").Statement(provenance.Builder{ID: provenance.LocalBuilder})
			if err != nil {
				c.t.Fatal(err)
			}
			payload, err := s.Encode()
			if err != nil {
				c.t.Fatal(err)
			}
			c.state("erofs", payload, c.key())
		}, "links", "step erofs"},
		{"a link of another release", func(c *copied) {
			name, data, err := layout.SignLink(layout.NewLink(otherRecord(c, "erofs")), c.key())
			if err != nil {
				c.t.Fatal(err)
			}
			c.write(name, data)
		}, "layout", "artifact rule broken…for Step '"},
		{"a link with another product", func(c *copied) {
			c.relink("erofs", func(l *in_toto.Link) { l.Products["root.erofs"] = in_toto.HashObj{"sha256": zeros} })
		}, "layout", "erofs"},
		{"a link with another command", func(c *copied) {
			c.relink("erofs", func(l *in_toto.Link) { l.Command = append([]string{"env"}, l.Command...) })
		}, "links", "step erofs: the link's command is [\"env\" …the statement's ["},
		{"a link without a command", func(c *copied) {
			c.relink("erofs", func(l *in_toto.Link) { l.Command = []string{} })
		}, "links", "step erofs: the link's command is [], the statement's ["},
		{"a link with byproducts", func(c *copied) {
			c.relink("erofs", func(l *in_toto.Link) { l.ByProducts = map[string]any{"stdout": "x"} })
		}, "layout", "step erofs…byproducts"},
		{"a link of another step", func(c *copied) { c.write(c.link("verity"), c.read(c.link("erofs"))) }, "layout", "step verity"},
		{"a link removed", func(c *copied) { os.Remove(c.path(c.link("erofs"))) }, "layout", "step erofs"},
		{"a doubled key in a link", func(c *copied) { c.edit(c.link("erofs"), `"signed": {`, `"signed": {}, "signed": {`) }, "layout", "step erofs…duplicate key"},
		{"a key in another case in a link", func(c *copied) { c.edit(c.link("erofs"), `"signed": {`, `"Signed": {`) }, "layout", "step erofs…wrong case"},
		{"a doubled key in the layout", func(c *copied) { c.edit(layout.FileName, `"signed": {`, `"signed": {}, "signed": {`) }, "layout", "root.layout…duplicate key"},
		{"a key in another case in the layout", func(c *copied) { c.edit(layout.FileName, `"expires"`, `"Expires"`) }, "layout", "root.layout…wrong case"},
		{"one key under two ids", func(c *copied) { c.relay(c.key(), twoIDs) }, "layout", "bears the id 0000"},
		{"threshold 0", func(c *copied) { c.relay(c.key(), func(l *in_toto.Layout) { l.Steps[3].Threshold = 0 }) }, "layout", "threshold is 0"},
		{"an expired layout", func(c *copied) { c.relay(c.key(), func(l *in_toto.Layout) { l.Expires = "2001-01-01T00:00:00Z" }) }, "layout", "expired"},
		{"a layout by another owner", func(c *copied) { c.relay(stranger, func(*in_toto.Layout) {}) }, "layout", "not signed by the wanted keys"},
		{"a layout that lets a stranger make links", func(c *copied) {
			k, err := layout.Key(stranger.Public())
			if err != nil {
				c.t.Fatal(err)
			}
			c.relay(c.key(), func(l *in_toto.Layout) {
				l.Keys[k.KeyID] = k
				for i := range l.Steps {
					l.Steps[i].PubKeys = append(l.Steps[i].PubKeys, k.KeyID)
				}
			})
			c.relinkAs("erofs", stranger, func(*in_toto.Link) {})
		}, "layout", "somebody make links who is not trusted: key "},
		{"a layout that allows everything", func(c *copied) {
			c.relay(c.key(), func(l *in_toto.Layout) { l.Steps[3].ExpectedMaterials = [][]string{{"ALLOW", "*"}} })
		}, "layout", "DISALLOW *"},
		{"a layout that allows everything, and then nothing", func(c *copied) {
			c.relay(c.key(), func(l *in_toto.Layout) { l.Steps[3].ExpectedMaterials = [][]string{{"ALLOW", "*"}, {"DISALLOW", "*"}} })
		}, "layout", "not of this pipeline: step …materials: \"ALLOW *\" stands in the place of"},
		{"a layout without a step", func(c *copied) {
			c.relay(c.key(), func(l *in_toto.Layout) { l.Steps = l.Steps[:len(l.Steps)-1] })
		}, "layout", "not of this pipeline…is missing"},
		{"a statement of a step that the layout does not have", func(c *copied) {
			c.become(verifytest.New(c.t, c.t.TempDir(), "Example", "hello"))
			name := strings.Replace(c.statement("erofs"), ".erofs.", ".configuration.", 1)
			c.write(name, nil)
			c.state("configuration", bytes.Replace(c.payload("disk"), []byte(`"step":"disk"`), []byte(`"step":"configuration"`), 1), c.key())
		}, "links", "step configuration, which the layout does not have"},
		{"no layout", func(c *copied) { os.Remove(c.path(layout.FileName)) }, "layout", layout.FileName},
		{"a file that nobody lists", func(c *copied) { c.write("more.txt", []byte("x")) }, "accounted", "more.txt"},
		{"a statement of nothing", func(c *copied) { c.write("more.sigstore.json", []byte("{}")) }, "statements", "more.sigstore.json"},
		{"a file that no check understands", func(c *copied) {
			c.write("more.efi", []byte("x"))
			c.restate("sign", `"subject":[`, `"subject":[{"name":"more.efi","digest":{"sha256":"`+digest([]byte("x"))+`"}},`)
			c.relink("sign", func(l *in_toto.Link) { l.Products["more.efi"] = in_toto.HashObj{"sha256": digest([]byte("x"))} })
		}, "accounted", "more.efi is a file that no check understands"},
		{"a second extension", func(c *copied) {
			c.become(verifytest.New(c.t, c.t.TempDir(), "Example", "hello", verifytest.Extended("")))
			c.write("other.confext.raw", []byte("x"))
			c.restate("extension", `"subject":[`, `"subject":[{"name":"other.confext.raw","digest":{"sha256":"`+digest([]byte("x"))+`"}},`)
			c.relink("extension", func(l *in_toto.Link) {
				l.Products["other.confext.raw"] = in_toto.HashObj{"sha256": digest([]byte("x"))}
			})
		}, "accounted", "other.confext.raw is a file that no check understands"},
		{"an extension that somebody else signed", func(c *copied) {
			stranger := verifytest.New(c.t, c.t.TempDir(), "Other", "hello")
			c.become(verifytest.New(c.t, c.t.TempDir(), "Example", "hello", verifytest.Extended(stranger.Keys)))
		}, "extension", "org_1.2.confext.raw: …certificate"},
		{"an extension in the release that is not on the disk", func(c *copied) {
			w := verifytest.New(c.t, c.t.TempDir(), "Example", "hello")
			c.become(w)
			c.write(w.Names.Org, []byte("x"))
		}, "boot-partition", "org_1.2.confext.raw…not in both"},
		{"a link of nothing", func(c *copied) { c.write("more.01234567.link", []byte("{}")) }, "accounted", "more.01234567.link"},
		{"a bill of materials that lists another file", func(c *copied) {
			name := c.find(".spdx.json")
			text := c.read(name)
			const key = `"algorithm":"SHA256","checksumValue":"`
			files := bytes.Index(text, []byte(`"files":[`))
			changed := bytes.Clone(text)
			copy(changed[files+bytes.Index(text[files:], []byte(key))+len(key):], zeros)
			c.remake("sbom", name, changed)
		}, "sbom", ".spdx.json…its namespace is"},
		{"the bill of materials of another release", func(c *copied) {
			c.remake("sbom", c.find(".spdx.json"), otherWorld(c).Files["mangos_1.2.spdx.json"])
		}, "sbom", ".spdx.json: check image: "},
		{"a bill of materials swapped for that of another release", func(c *copied) {
			c.remake("sbom", c.find(".spdx.json"), otherWorld(c).Files["mangos_1.2.spdx.json"])
		}, "unsigned-set", "sbom.spdx.json…the list of the unsigned set says"},
		{"a doubled key in the bill of materials", func(c *copied) {
			c.edit(c.find(".spdx.json"), `"spdxVersion":`, `"spdxVersion":"x","spdxVersion":`)
		}, "sbom", ".spdx.json…duplicate key"},
		{"a doubled key in the lock", func(c *copied) {
			c.edit(c.find(".lock.json"), `"distribution":`, `"distribution":"x","distribution":`)
		}, "lock", ".lock.json"},
		{"a key in another case in the lock", func(c *copied) { c.edit(c.find(".lock.json"), `"distribution":`, `"Distribution":`) }, "lock", ".lock.json"},
		{"a doubled key in the list of the unsigned set", func(c *copied) {
			c.edit(c.find(".unsigned.json"), `"rootHash":`, `"rootHash":"x","rootHash":`)
		}, "unsigned-set", ".unsigned.json…duplicate key"},
		{"a key in another case in the list of the unsigned set", func(c *copied) { c.edit(c.find(".unsigned.json"), `"rootHash":`, `"RootHash":`) }, "unsigned-set", ".unsigned.json…wrong case"},
		{"a doubled key in the PCR values", func(c *copied) { c.edit(c.find(".pcrs.json"), `"pcr":`, `"pcr":4,"pcr":`) }, "pcr-values", ".pcrs.json…duplicate key"},
		{"a key in another case in the PCR values", func(c *copied) { c.edit(c.find(".pcrs.json"), `"pcr":`, `"PCR":`) }, "pcr-values", ".pcrs.json…wrong case"},
		{"a lock entry whose hash differs", lockEntry, "lock", "the lock says"},
		{"a lock entry that the distribution does not have", lockEntry, "distribution", "in the indexes of its suite"},
		{"no indexes", func(c *copied) { os.Remove(c.path(c.find(".origin.tar.zst"))) }, "distribution", ".origin.tar.zst"},
		{"bytes behind the indexes", func(c *copied) {
			name := c.find(".origin.tar.zst")
			c.remake("origin", name, append(bytes.Clone(c.read(name)), "\x50\x2a\x4d\x18\x01\x00\x00\x00x"...))
		}, "distribution", ".origin.tar.zst: …9 bytes follow its frame"},
		{"the lock of another release", func(c *copied) { c.edit(c.find(".lock.json"), `"sourceDateEpoch": 1`, `"sourceDateEpoch": 2`) }, "accounted", ".lock.json"},
		{"no identities of the sources", func(c *copied) { os.Remove(c.path(c.find(".sources.json"))) }, "sbom-rebuilt", ".sources.json"},
		{"other identities of the sources than the repository's", func(c *copied) {
			c.edit(c.find(".sources.json"), `"vcsGit":"https://`, `"vcsGit":"http://`)
		}, "accounted", ".sources.json has SHA-256"},
		{"other identities of the sources than the bill of materials says", func(c *copied) {
			c.edit(c.find(".sources.json"), `"vcsGit":"https://`, `"vcsGit":"http://`)
		}, "sbom-rebuilt", "element \"source-"},
		{"an identity of a source that is graded higher than what it names", func(c *copied) {
			c.edit(c.find(".sources.json"), `"level":"tree"`, `"level":"commit"`)
		}, "sbom-rebuilt", `.sources.json…its level is "commit"`},
		{"a doubled key in the identities of the sources", func(c *copied) {
			c.edit(c.find(".sources.json"), `"format":`, `"format":"x","format":`)
		}, "sbom-rebuilt", ".sources.json…duplicate key"},
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
	first := o.firsts()
	for _, row := range rows {
		if !first(row.check) {
			continue
		}
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := o.trial(t)
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
			c.fails(row.check, row.detail)
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

// anotherPlan has the kernel image made by another plan than the definition gives.
func anotherPlan(c *copied) {
	var was string
	c.relink("uki", func(l *in_toto.Link) {
		was = l.Materials["plan.json"]["sha256"]
		l.Materials["plan.json"] = in_toto.HashObj{"sha256": zeros}
	})
	c.restate("uki", was, zeros)
}

// swapKey has all steps that had a public key of the organisation have had one that
// another organisation made.
func (c *copied) swapKey(name string) {
	c.t.Helper()
	c.swapInput("keys/"+name, digest(c.readFile(filepath.Join(otherWorld(c).Keys, name))))
}

// swapInput has all steps that had an input have had it with another digest.
func (c *copied) swapInput(name, digest string) {
	c.t.Helper()
	swapped := 0
	for _, file := range c.list(c.dir) {
		step, _, ok := layout.LinkStep(file)
		if !ok || !bytes.Contains(c.read(file), []byte(name)) {
			continue
		}
		var was string
		c.relink(step, func(l *in_toto.Link) {
			was = l.Materials[name]["sha256"]
			l.Materials[name] = in_toto.HashObj{"sha256": digest}
		})
		c.restate(step, was, digest)
		swapped++
	}
	if swapped == 0 {
		c.t.Fatalf("no step had %s", name)
	}
}

// remake puts another file in the place of a step's product, and of what is said
// of it there.
func (c *copied) remake(step, name string, content []byte) {
	c.t.Helper()
	was := digest(c.read(name))
	c.write(name, content)
	c.restate(step, was, digest(content))
	c.relink(step, func(l *in_toto.Link) { l.Products[name] = in_toto.HashObj{"sha256": digest(content)} })
}

// become makes the copy one of a small release, whatever it was of.
func (c *copied) become(w *verifytest.World) {
	c.t.Helper()
	c.original, c.dir = &original{policy: w.Policy, at: at, keys: w.Keys, world: w}, w.Release(c.t)
}

// otherWorld is another release of the same organisation.
func otherWorld(c *copied) *verifytest.World {
	c.t.Helper()
	return verifytest.New(c.t, c.t.TempDir(), "Example", "another root")
}

// otherRecord is what the build of another release recorded of a step.
func otherRecord(c *copied, step string) *record.Record {
	c.t.Helper()
	for _, r := range otherWorld(c).Records {
		if r.Step == step {
			return r
		}
	}
	c.t.Fatalf("there is no step %s", step)
	return nil
}

// says reports whether the parts of pattern, between ellipses, stand in text one
// after the other.
func says(text, pattern string) bool {
	for part := range strings.SplitSeq(pattern, "…") {
		_, after, ok := strings.Cut(text, part)
		if !ok {
			return false
		}
		text = after
	}
	return true
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
