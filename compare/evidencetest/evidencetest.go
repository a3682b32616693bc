// Package evidencetest makes organisations and their evidence for tests.
package evidencetest

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/lineage"
	"github.com/mastercard/mangos/compare/machine"
	"github.com/mastercard/mangos/compare/organisation"
	"github.com/mastercard/mangos/compare/policy"
)

// Release is the release that builds are of if they say nothing else.
const Release = "mangos_1"

// Now is the time at which evidence is judged; builds ended an hour before.
var Now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// Organisation is a voter with a key that is derived from its identifier.
type Organisation struct {
	ID  string
	Key ed25519.PrivateKey
}

// New makes an organisation.
func New(id string) Organisation { return Organisation{id, Key(id)} }

// Key derives a key from a text.
func Key(text string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(text))
	return ed25519.NewKeyFromSeed(seed[:])
}

// KeyID is the SHA-256 by which the registry names the organisation's key.
func (o Organisation) KeyID(t testing.TB) string {
	id, err := keys.KeyID(o.Key.Public())
	must(t, err)
	return id
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Digest is a digest for a text that stands for something.
func Digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Build is what an organisation says it built, from what everybody built from.
// The function changes it first.
func (o Organisation) Build(change func(*evidence.Build)) *evidence.Build {
	b := &evidence.Build{
		Release: Release, Organisation: o.ID, Builder: "https://example.org/builder/" + o.ID, Finished: Now.Add(-time.Hour),
		Parameters: map[string]string{"version": "1"},
		Inputs:     []evidence.Item{{Name: "debian.lock.json", SHA256: Digest("lock")}, {Name: "source.tree", SHA256: Digest("source")}},
		Components: lineage.Lineage{
			{Name: "kernel", Materials: []string{"debian.lock.json", "source.tree"}, Products: []string{"bzImage"}},
			{Name: "root", Materials: []string{"debian.lock.json"}, Products: []string{"root.erofs", "package/bash"}},
			{Name: "verity", Materials: []string{"root.erofs"}, Products: []string{"roothash"}},
		},
		Machine: machine.Facts{CPU: "a processor of " + o.ID, Cores: 2, Kernel: "Linux 6.1"},
	}
	for _, name := range []string{"bzImage", "root.erofs", "roothash", "package/bash"} {
		b.Artifacts = append(b.Artifacts, evidence.Item{Name: name, SHA256: Digest(name)})
	}
	if change != nil {
		change(b)
	}
	return b
}

// Change replaces the digest of an artifact.
func Change(b *evidence.Build, artifact string) {
	for n := range b.Artifacts {
		if b.Artifacts[n].Name == artifact {
			b.Artifacts[n].SHA256 = Digest("another " + artifact)
		}
	}
}

// Folder is an organisation's folder below dir for the release.
func (o Organisation) Folder(dir string) string { return filepath.Join(dir, Release, o.ID) }

// Publish writes the statement of a build, with a commitment, into a folder.
func (o Organisation) Publish(t testing.TB, folder string, b *evidence.Build) {
	t.Helper()
	s, err := b.Statement()
	must(t, err)
	text := o.Sign(t, folder, evidence.BuildFile, s)
	c := evidence.Commitment{Release: b.Release, Organisation: b.Organisation, Build: evidence.Digest(text)}
	s, err = c.Statement()
	must(t, err)
	o.Sign(t, folder, evidence.CommitmentFile, s)
	o.WriteKey(t, folder, o.Key.Public())
}

// Sign writes a signed statement to a file of a folder.
func (o Organisation) Sign(t testing.TB, folder, name string, s *statement.Statement) []byte {
	t.Helper()
	text, err := evidence.Sign(s, o.Key)
	must(t, err)
	must(t, os.MkdirAll(folder, 0o755))
	must(t, os.WriteFile(filepath.Join(folder, name), text, 0o644))
	return text
}

// WriteKey writes a public key to a folder.
func (o Organisation) WriteKey(t testing.TB, folder string, key crypto.PublicKey) {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	must(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	must(t, os.WriteFile(filepath.Join(folder, evidence.KeyFile), text, 0o644))
}

// Reveal writes the statement that names the commitments of the others that are
// there in dir.
func (o Organisation) Reveal(t testing.TB, dir string, others ...Organisation) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(o.Folder(dir), evidence.BuildFile))
	must(t, err)
	v := evidence.Reveal{Release: Release, Organisation: o.ID, Build: evidence.Digest(text), Seen: map[string]string{}}
	for _, x := range others {
		text, err := os.ReadFile(filepath.Join(x.Folder(dir), evidence.CommitmentFile))
		must(t, err)
		v.Seen[x.ID] = evidence.Digest(text)
	}
	s, err := v.Statement()
	must(t, err)
	o.Sign(t, o.Folder(dir), evidence.RevealFile, s)
}

// Exchange publishes the builds of all, and lets each reveal when all have
// committed.
func Exchange(t testing.TB, dir string, builds ...*evidence.Build) {
	t.Helper()
	var all []Organisation
	for _, b := range builds {
		o := New(b.Organisation)
		o.Publish(t, o.Folder(dir), b)
		all = append(all, o)
	}
	for n, o := range all {
		others := append(append([]Organisation{}, all[:n]...), all[n+1:]...)
		o.Reveal(t, dir, others...)
	}
}

// Registry registers organisations.
func Registry(t testing.TB, list ...Organisation) *organisation.Registry {
	t.Helper()
	file := struct {
		Format        string                      `json:"format"`
		Organisations []organisation.Organisation `json:"organisations"`
	}{Format: organisation.Format}
	for _, o := range list {
		file.Organisations = append(file.Organisations, organisation.Organisation{
			ID: o.ID, Name: "Bank " + o.ID, Keys: []organisation.Key{{SHA256: o.KeyID(t)}},
		})
	}
	text, err := json.Marshal(file)
	must(t, err)
	r, err := organisation.Parse(text)
	must(t, err)
	return r
}

// Policy asks for a number of organisations; more are members of its JSON.
func Policy(t testing.TB, threshold int, more string) *policy.Policy {
	t.Helper()
	if more != "" {
		more = ", " + more
	}
	p, err := policy.Parse(fmt.Appendf(nil, `{"format": "mangos-policy-1", "thresholds": {"default": %d}%s}`, threshold, more))
	must(t, err)
	return p
}
