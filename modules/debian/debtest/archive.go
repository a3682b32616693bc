package debtest

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Key is an OpenPGP key of a test's archive.
type Key struct{ entity *openpgp.Entity }

// NewKey makes a key that is valid from Date on, for lifetime, 0 for ever.
func NewKey(t testing.TB, lifetime time.Duration) *Key {
	t.Helper()
	e, err := openpgp.NewEntity("Archive", "", "archive@example.org", &packet.Config{
		Algorithm: packet.PubKeyAlgoEdDSA, Time: func() time.Time { return Date },
		KeyLifetimeSecs: uint32(lifetime / time.Second),
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Key{e}
}

// Fingerprint returns the primary fingerprint.
func (k *Key) Fingerprint() string {
	return strings.ToUpper(hex.EncodeToString(k.entity.PrimaryKey.Fingerprint))
}

// Public returns the armored public key.
func (k *Key) Public(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.entity.Serialize(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Inline clear-signs text with all keys, at the moment at.
func Inline(t testing.TB, text []byte, at time.Time, keys ...*Key) []byte {
	t.Helper()
	var private []*packet.PrivateKey
	for _, k := range keys {
		private = append(private, k.entity.PrivateKey)
	}
	var b bytes.Buffer
	w, err := clearsign.EncodeMulti(&b, private, &packet.Config{Time: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Detached signs text at the moment at.
func (k *Key) Detached(t testing.TB, text []byte, at time.Time) []byte {
	t.Helper()
	return Armored(t, k.Signature(t, text, at, crypto.SHA256))
}

// Signature is one over text, made with a hash of the test's choice.
func (k *Key) Signature(t testing.TB, text []byte, at time.Time, hash crypto.Hash) []byte {
	t.Helper()
	private := k.entity.PrivateKey
	sig := &packet.Signature{
		Version: private.Version, SigType: packet.SigTypeBinary, PubKeyAlgo: private.PubKeyAlgo,
		Hash: hash, CreationTime: at, IssuerKeyId: &private.KeyId,
	}
	h := hash.New()
	h.Write(text)
	plain := false // the notation is not made for weak hashes
	if err := sig.Sign(h, private, &packet.Config{NonDeterministicSignaturesViaNotation: &plain}); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := sig.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Armored is a detached signature that consists of the given ones.
func Armored(t testing.TB, signatures ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.SignatureType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(bytes.Join(signatures, nil)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Archive is an apt archive in memory: its files by their path.
type Archive map[string][]byte

// Suite is a suite to publish.
type Suite struct {
	Name string
	// Head are the lines of the Release above the sums.
	Head string
	// Packages and Sources are the indexes' texts, by component.
	Packages, Sources map[string]string
	// Compression of the indexes: ".gz", ".xz" or ".zst".
	Compression, Architecture string
	ByHash                    bool
}

// Publish adds the suite with its indexes, signed at the moment at.
func (a Archive) Publish(t testing.TB, s Suite, at time.Time, keys ...*Key) {
	t.Helper()
	var sums bytes.Buffer
	base := "dists/" + s.Name + "/"
	add := func(path string, text string) {
		for _, ending := range []string{"", s.Compression} {
			data := Compress(t, ending, []byte(text))
			fmt.Fprintf(&sums, " %x %d %s\n", sha256.Sum256(data), len(data), path+ending)
			if ending == "" && s.Compression != "" {
				continue // listed, but not there: as it is in real archives
			}
			a[base+path+ending] = data
			if s.ByHash {
				a[base+path[:strings.LastIndexByte(path, '/')]+fmt.Sprintf("/by-hash/SHA256/%x", sha256.Sum256(data))] = data
			}
		}
	}
	for component, text := range s.Packages {
		add(component+"/binary-"+s.Architecture+"/Packages", text)
	}
	for component, text := range s.Sources {
		add(component+"/source/Sources", text)
	}
	text := s.Head
	if s.ByHash {
		text += "Acquire-By-Hash: yes\n"
	}
	a[base+"InRelease"] = Inline(t, []byte(text+"SHA256:\n"+sums.String()), at, keys...)
}

// AddPackage puts a package into the pool and returns its paragraph for an index.
func (a Archive) AddPackage(t testing.TB, p Package, component string) string {
	t.Helper()
	source := p.Name
	for line := range strings.Lines(p.Fields) {
		if rest, ok := strings.CutPrefix(line, "Source: "); ok {
			source = strings.Fields(rest)[0]
		}
	}
	path := fmt.Sprintf("pool/%s/%s/%s/%s_%s_%s.deb", component, source[:1], source, p.Name, p.Version, p.Architecture)
	data := p.Build(t)
	a[path] = data
	return p.Control() + fmt.Sprintf("Filename: %s\nSize: %d\nSHA256: %x\n\n", path, len(data), sha256.Sum256(data))
}

// AddSource puts a source package of one file and its .dsc into the pool and
// returns its paragraph for an index.
func (a Archive) AddSource(name, version, component string) string {
	dir := fmt.Sprintf("pool/%s/%s/%s", component, name[:1], name)
	upstream := []byte("the source of " + name + " " + version)
	tarball := fmt.Sprintf("%s_%s.tar.xz", name, version)
	dsc := fmt.Appendf(nil, "Format: 3.0 (native)\nSource: %s\nVersion: %s\nChecksums-Sha256:\n %x %d %s\n",
		name, version, sha256.Sum256(upstream), len(upstream), tarball)
	file := fmt.Sprintf("%s_%s.dsc", name, version)
	a[dir+"/"+tarball], a[dir+"/"+file] = upstream, dsc
	return fmt.Sprintf("Package: %s\nVersion: %s\nDirectory: %s\nVcs-Git: https://example.com/%s.git\nChecksums-Sha256:\n %x %d %s\n %x %d %s\n\n",
		name, version, dir, name, sha256.Sum256(dsc), len(dsc), file, sha256.Sum256(upstream), len(upstream), tarball)
}
