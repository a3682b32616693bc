// Package policy reads and writes what `attest verify` trusts: one file, with
// the keys in it, so that its digest names all that a verdict rests on.
//
// The file is TOML. Keys and certificates are PEM, OpenPGP keys are armored:
//
//	format = "mangos-trust-1"
//
//	[statements]                # who may say how something was made
//	threshold = 1               # distinct keys that must agree on each step
//	keys = ['''PEM''', ...]     # Ed25519
//	organisations = ["NAME", ...] # whose the keys are, one for each; may be left out
//	builders = ["URI", ...]     # in whose name
//	caches = ["packages-*"]     # steps that may have had content of earlier runs
//
//	[layout]                    # who may say what the steps are
//	threshold = 1
//	owners = ['''PEM''', ...]   # Ed25519
//
//	[image]
//	try-out = false             # accept what is signed with try-out keys
//	secure-boot = ['''PEM''']   # certificates for EFI programs
//	verity = ['''PEM''']        # certificates for root hashes and extensions
//	pcr = ['''PEM''']           # public keys for PCR policies
//
//	[checksums]
//	keys = ['''OpenPGP''']      # for SHA256SUMS
//
//	[[suites]]                  # of the distribution, as in mangos.toml
//	name = "trixie"
//	signers = ["FINGERPRINT", ...]
//	keys = ['''OpenPGP''']
package policy

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/statement"
)

// Format is the value of the file's first key.
const Format = "mangos-trust-1"

// maxSize is the size in bytes of the largest policy that is read.
const maxSize = 4 << 20

// maxName is the size in bytes of the longest name of an organisation.
const maxName = 128

// ErrInvalid: not a policy as the package documentation describes it, or one
// that trusts nobody.
var ErrInvalid = errors.New("invalid policy")

// Policy is what is trusted.
type Policy struct {
	// SHA256 is the digest of the file, lower-case hexadecimal.
	SHA256     string
	Statements Statements
	Layout     Layout
	Image      Image
	Checksums  [][]byte // armored OpenPGP keys
	Suites     []Suite
}

// Statements tells whose statements count.
type Statements struct {
	Threshold int
	Keys      []crypto.PublicKey
	// Organisations are whose the keys are, in their order; empty if that is not said.
	Organisations []string
	Builders      []string
	Caches        []string // patterns of path.Match
}

// Layout tells whose layout counts.
type Layout struct {
	Threshold int
	Owners    []crypto.PublicKey
}

// Image tells which keys may have signed the image.
type Image struct {
	TryOut             bool
	SecureBoot, Verity []*x509.Certificate
	PCR                []*rsa.PublicKey

	files map[string]bool // NAME SHA-256, see HasFile
}

// HasFile reports whether a file with this SHA-256, in hexadecimal, holds a
// certificate or key of the policy for the role that the file's name tells
// ([keys.PublicName]): with the bytes that the policy has, or in DER or plain PEM.
func (i *Image) HasFile(name, digest string) bool { return i.files[name+" "+digest] }

// addFile adds what files with a certificate or key may hold, which stands in the
// policy as text.
func (i *Image) addFile(role keys.Role, text string) {
	if i.files == nil {
		i.files = map[string]bool{}
	}
	trimmed := strings.TrimSpace(text)
	contents := [][]byte{[]byte(text), []byte(trimmed), []byte(trimmed + "\n")}
	if block, _ := pem.Decode([]byte(text)); block != nil {
		contents = append(contents, block.Bytes, pem.EncodeToMemory(block))
	}
	for _, content := range contents {
		sum := sha256.Sum256(content)
		i.files[keys.PublicName(role)+" "+hex.EncodeToString(sum[:])] = true
	}
}

// Suite tells who signs a Release of the distribution.
type Suite struct {
	Name    string   `toml:"name"`
	Signers []string `toml:"signers"`
	Keys    []string `toml:"keys"`
}

// MayCache reports whether the step may have had content of earlier runs.
func (s *Statements) MayCache(step string) bool {
	for _, pattern := range s.Caches {
		if ok, err := path.Match(pattern, step); ok && err == nil {
			return true
		}
	}
	return false
}

// Whose returns the organisation whose key has the id ([keys.KeyID]): empty if the
// policy names none. It reports false if no key of the policy has the id.
func (s *Statements) Whose(id string) (string, bool) {
	for i, k := range s.Keys {
		if own, err := keys.KeyID(k); err != nil || own != id {
			continue
		}
		if len(s.Organisations) == 0 {
			return "", true
		}
		return s.Organisations[i], true
	}
	return "", false
}

// document is the file.
type document struct {
	Format     string `toml:"format"`
	Statements struct {
		Threshold     int      `toml:"threshold"`
		Keys          []string `toml:"keys"`
		Organisations []string `toml:"organisations"`
		Builders      []string `toml:"builders"`
		Caches        []string `toml:"caches"`
	} `toml:"statements"`
	Layout struct {
		Threshold int      `toml:"threshold"`
		Owners    []string `toml:"owners"`
	} `toml:"layout"`
	Image struct {
		TryOut     bool     `toml:"try-out"`
		SecureBoot []string `toml:"secure-boot"`
		Verity     []string `toml:"verity"`
		PCR        []string `toml:"pcr"`
	} `toml:"image"`
	Checksums struct {
		Keys []string `toml:"keys"`
	} `toml:"checksums"`
	Suites []Suite `toml:"suites"`
}

// Load reads the policy in the file at path.
func Load(path string) (*Policy, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load policy: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("load policy %s: %w", path, err)
	}
	p, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// Parse reads a policy. Errors wrap [ErrInvalid].
func Parse(data []byte) (*Policy, error) {
	if len(data) > maxSize {
		return nil, fmt.Errorf("parse policy: %w: more than %d bytes", ErrInvalid, maxSize)
	}
	var d document
	meta, err := toml.NewDecoder(bytes.NewReader(data)).Decode(&d)
	if err != nil {
		return nil, fmt.Errorf("parse policy: %w: %w", ErrInvalid, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("parse policy: %w: unknown key %q", ErrInvalid, unknown[0].String())
	}
	sum := sha256.Sum256(data)
	p := &Policy{SHA256: hex.EncodeToString(sum[:])}
	if err := p.fill(&d); err != nil {
		return nil, fmt.Errorf("parse policy: %w: %w", ErrInvalid, err)
	}
	return p, nil
}

func (p *Policy) fill(d *document) (err error) {
	if d.Format != Format {
		return fmt.Errorf("format is %.60q, this program reads %q", d.Format, Format)
	}
	s := &p.Statements
	s.Threshold, s.Builders, s.Caches = d.Statements.Threshold, d.Statements.Builders, d.Statements.Caches
	if s.Keys, err = publicKeys(d.Statements.Keys, s.Threshold); err != nil {
		return fmt.Errorf("statements: %w", err)
	}
	s.Organisations = d.Statements.Organisations
	if err := s.checkOrganisations(); err != nil {
		return fmt.Errorf("statements: organisations: %w", err)
	}
	if len(s.Builders) == 0 {
		return errors.New("statements: no builder is named")
	}
	for _, b := range s.Builders {
		if err := statement.CheckURI(b); err != nil {
			return fmt.Errorf("statements: builders: %w", err)
		}
	}
	for _, pattern := range s.Caches {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("statements: caches: %q: %w", pattern, err)
		}
	}
	p.Layout.Threshold = d.Layout.Threshold
	if p.Layout.Owners, err = publicKeys(d.Layout.Owners, d.Layout.Threshold); err != nil {
		return fmt.Errorf("layout: %w", err)
	}
	if err := p.fillImage(d); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	return p.fillOpenPGP(d)
}

// checkOrganisations wants a name for each key or for none, and one that can be
// printed. A key that stands there twice is of one organisation.
func (s *Statements) checkOrganisations() error {
	if len(s.Organisations) == 0 {
		return nil
	}
	if len(s.Organisations) != len(s.Keys) {
		return fmt.Errorf("%d names for %d keys", len(s.Organisations), len(s.Keys))
	}
	of := map[string]string{}
	for i, k := range s.Keys {
		name, key := s.Organisations[i], string(k.(ed25519.PublicKey))
		if name == "" || len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("%.200q is no name of up to %d bytes that can be printed", name, maxName)
		}
		if known, ok := of[key]; ok && known != name {
			return fmt.Errorf("key %d is of %q and of %q", i+1, known, name)
		}
		of[key] = name
	}
	return nil
}

// publicKeys reads keys for statements, of which at least threshold must be
// distinct.
func publicKeys(texts []string, threshold int) ([]crypto.PublicKey, error) {
	var list []crypto.PublicKey
	distinct := map[string]bool{}
	for i, text := range texts {
		k, err := keys.ParsePublic([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		if err := keys.Check(keys.Attest, k); err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		distinct[string(k.(ed25519.PublicKey))] = true
		list = append(list, k)
	}
	if threshold < 1 || threshold > len(distinct) {
		return nil, fmt.Errorf("threshold %d of %d distinct keys", threshold, len(distinct))
	}
	return list, nil
}

func (p *Policy) fillImage(d *document) error {
	p.Image.TryOut = d.Image.TryOut
	for _, c := range []struct {
		role  keys.Role
		texts []string
		list  *[]*x509.Certificate
	}{{keys.SecureBoot, d.Image.SecureBoot, &p.Image.SecureBoot}, {keys.Verity, d.Image.Verity, &p.Image.Verity}} {
		for i, text := range c.texts {
			certificate, err := keys.ParseCertificate([]byte(text))
			if err != nil {
				return fmt.Errorf("%s certificate %d: %w", c.role, i+1, err)
			}
			if err := keys.CheckCertificate(c.role, certificate); err != nil {
				return fmt.Errorf("%s certificate %d: %w", c.role, i+1, err)
			}
			*c.list = append(*c.list, certificate)
			p.Image.addFile(c.role, text)
		}
		if len(*c.list) == 0 {
			return fmt.Errorf("no %s certificate", c.role)
		}
	}
	for i, text := range d.Image.PCR {
		k, err := keys.ParsePublic([]byte(text))
		if err != nil {
			return fmt.Errorf("PCR key %d: %w", i+1, err)
		}
		if err := keys.Check(keys.PCR, k); err != nil {
			return fmt.Errorf("PCR key %d: %w", i+1, err)
		}
		p.Image.PCR = append(p.Image.PCR, k.(*rsa.PublicKey))
		p.Image.addFile(keys.PCR, text)
	}
	if len(p.Image.PCR) == 0 {
		return errors.New("no PCR key")
	}
	return nil
}

func (p *Policy) fillOpenPGP(d *document) error {
	for _, text := range d.Checksums.Keys {
		p.Checksums = append(p.Checksums, []byte(text))
	}
	if len(p.Checksums) == 0 {
		return errors.New("checksums: no key")
	}
	names := map[string]bool{}
	for _, s := range d.Suites {
		if s.Name == "" || names[s.Name] || len(s.Signers) == 0 || len(s.Keys) == 0 {
			return fmt.Errorf("suites: %q: no name of its own, no signer or no key", s.Name)
		}
		names[s.Name] = true
	}
	if len(d.Suites) == 0 {
		return errors.New("suites: none is named")
	}
	p.Suites = d.Suites
	return nil
}
