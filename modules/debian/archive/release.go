// Package archive reads an apt archive: its signed Release files and the indexes
// that they name. Nothing that it returns is unverified: a Release has a
// signature by a listed key, an index has the size and SHA-256 of its Release.
package archive

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/mastercard/mangos/modules/debian/control"
)

// MaxRelease is the largest Release file that is read, in bytes.
const MaxRelease = 8 << 20

var (
	// ErrSignature says that no listed key signed a Release.
	ErrSignature = errors.New("no valid signature by a listed key")
	// ErrExpired says that a Release is out of its time.
	ErrExpired = errors.New("release out of its time")
	// ErrRelease says that a Release's content makes no sense.
	ErrRelease = errors.New("invalid release")
	// ErrSuite says that a Release is that of another suite.
	ErrSuite = errors.New("the Release of another suite")
)

// File names an index by its path below the suite.
type File struct {
	Path   string
	Size   int64
	SHA256 string
}

// Release is a verified Release file.
type Release struct {
	Origin, Label, Suite, Codename, Version string
	Date                                    time.Time
	ValidUntil                              time.Time // zero: no limit
	ByHash                                  bool
	NotAutomatic, ButAutomaticUpgrades      bool
	Architectures, Components               []string
	// SHA256 is the digest of the signed text.
	SHA256 string
	// Signers are the fingerprints of the listed primary keys that signed it.
	Signers []string

	files map[string]File
}

// File returns the index at path, as the Release lists it.
func (r *Release) File(path string) (File, bool) {
	f, ok := r.files[path]
	return f, ok
}

// Of checks that the Release is that of a suite, by its name or its codename: one
// key signs many suites, and a mirror may give any of them in the place of another.
func (r *Release) Of(suite string) error {
	if suite != r.Suite && suite != r.Codename {
		return fmt.Errorf("%w: it says that it is %.80q, codename %.80q", ErrSuite, r.Suite, r.Codename)
	}
	return nil
}

// Keyring is a set of public keys that may sign.
type Keyring struct{ entities openpgp.EntityList }

// ReadKeyring reads armored public keys and keeps those whose primary
// fingerprint is listed. Every listed one must be there.
func ReadKeyring(files [][]byte, signers []string) (*Keyring, error) {
	found := map[string]*openpgp.Entity{}
	for _, text := range files {
		list, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("read keyring: %w", err)
		}
		for _, e := range list {
			fp := strings.ToUpper(hex.EncodeToString(e.PrimaryKey.Fingerprint))
			if slices.Contains(signers, fp) {
				found[fp] = e
			}
		}
	}
	k := &Keyring{}
	for _, fp := range signers {
		e, ok := found[fp]
		if !ok {
			return nil, fmt.Errorf("read keyring: no key with the fingerprint %s in the files", fp)
		}
		k.entities = append(k.entities, e)
	}
	return k, nil
}

// LoadKeyring is [ReadKeyring] for files, whose names are relative to base.
func LoadKeyring(base string, names, signers []string) (*Keyring, error) {
	var files [][]byte
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(base, name))
		if err != nil {
			return nil, fmt.Errorf("read keyring: %w", err)
		}
		files = append(files, text)
	}
	return ReadKeyring(files, signers)
}

// The files of a signed Release.
const (
	inRelease        = "InRelease"
	release          = "Release"
	releaseSignature = "Release.gpg"
)

// Verify checks a signed Release at the moment now.
func (k *Keyring) Verify(signed Signed, now time.Time) (*Release, error) {
	if text, ok := signed[inRelease]; ok && len(signed) == 1 {
		return k.VerifyInline(text, now)
	}
	text, ok := signed[release]
	signature, has := signed[releaseSignature]
	if !ok || !has || len(signed) != 2 {
		return nil, fmt.Errorf("%w: neither an InRelease nor a Release with Release.gpg", ErrSignature)
	}
	return k.VerifyDetached(text, signature, now)
}

// VerifyInline checks a clear-signed Release (InRelease) at the moment now.
func (k *Keyring) VerifyInline(data []byte, now time.Time) (*Release, error) {
	const head = "-----BEGIN PGP SIGNED MESSAGE-----"
	if !bytes.HasPrefix(data, []byte(head)) {
		return nil, fmt.Errorf("%w: not a clear-signed message", ErrSignature)
	}
	block, rest := clearsign.Decode(data)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("%w: not one clear-signed message and nothing else", ErrSignature)
	}
	signers, err := k.verify(block.Bytes, block.ArmoredSignature.Body, now)
	if err != nil {
		return nil, err
	}
	return parseRelease(block.Plaintext, signers, now)
}

// VerifyDetached checks a Release against its Release.gpg at the moment now.
func (k *Keyring) VerifyDetached(text, signature []byte, now time.Time) (*Release, error) {
	block, err := armor.Decode(bytes.NewReader(signature))
	if err != nil {
		return nil, fmt.Errorf("%w: signature: %w", ErrSignature, err)
	}
	signers, err := k.verify(text, block.Body, now)
	if err != nil {
		return nil, err
	}
	return parseRelease(text, signers, now)
}

// maxSignatures bounds the signatures of one file: an archive signs with a few
// keys.
const maxSignatures = 16

// verify returns the fingerprints of the listed keys that signed text. A broken
// signature by a listed key is an error even beside a good one.
func (k *Keyring) verify(text []byte, signatures io.Reader, now time.Time) ([]string, error) {
	config := &packet.Config{Time: func() time.Time { return now }}
	strong := []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}
	var signers []string
	packets := packet.NewReader(io.LimitReader(signatures, MaxRelease))
	for n := 0; ; n++ {
		p, err := packets.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSignature, err)
		}
		sig, ok := p.(*packet.Signature)
		if !ok || n == maxSignatures {
			return nil, fmt.Errorf("%w: the signature block holds other packets, or more than %d", ErrSignature, maxSignatures)
		}
		var one bytes.Buffer
		if err := sig.Serialize(&one); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSignature, err)
		}
		_, entity, err := openpgp.VerifyDetachedSignature(k.entities, bytes.NewReader(text), &one, config)
		if entity == nil && err != nil && sig.IssuerKeyId != nil && len(k.entities.KeysById(*sig.IssuerKeyId)) == 0 {
			continue // by a key that is not listed
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSignature, err)
		}
		if !slices.Contains(strong, sig.Hash) {
			return nil, fmt.Errorf("%w: made with the weak hash %s", ErrSignature, sig.Hash)
		}
		signers = append(signers, strings.ToUpper(hex.EncodeToString(entity.PrimaryKey.Fingerprint)))
	}
	if len(signers) == 0 {
		return nil, ErrSignature
	}
	sort.Strings(signers)
	return slices.Compact(signers), nil
}

func parseRelease(text []byte, signers []string, now time.Time) (*Release, error) {
	p, err := control.Single(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	sum := sha256.Sum256(text)
	r := &Release{
		Origin: p.Get("Origin"), Label: p.Get("Label"), Suite: p.Get("Suite"),
		Codename: p.Get("Codename"), Version: p.Get("Version"),
		ByHash:               p.Get("Acquire-By-Hash") == "yes",
		NotAutomatic:         p.Get("NotAutomatic") == "yes",
		ButAutomaticUpgrades: p.Get("ButAutomaticUpgrades") == "yes",
		Architectures:        strings.Fields(p.Get("Architectures")),
		Components:           strings.Fields(p.Get("Components")),
		SHA256:               hex.EncodeToString(sum[:]),
		Signers:              signers,
	}
	if r.Date, err = parseDate(p.Get("Date")); err != nil {
		return nil, fmt.Errorf("%w: Date: %w", ErrRelease, err)
	}
	// A day's grace for a clock that is behind.
	if r.Date.After(now.Add(24 * time.Hour)) {
		return nil, fmt.Errorf("%w: dated %s, after this machine's clock (%s)", ErrExpired, r.Date, now.UTC().Format(time.RFC3339))
	}
	if v := p.Get("Valid-Until"); v != "" {
		if r.ValidUntil, err = parseDate(v); err != nil {
			return nil, fmt.Errorf("%w: Valid-Until: %w", ErrRelease, err)
		}
		if now.After(r.ValidUntil) {
			return nil, fmt.Errorf("%w: valid until %s, and this machine's clock says %s", ErrExpired, r.ValidUntil, now.UTC().Format(time.RFC3339))
		}
	}
	if r.files, err = parseFiles(p.Get("SHA256")); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	return r, nil
}

func parseDate(s string) (time.Time, error) {
	for _, zone := range []string{"UTC", "GMT", "+0000"} {
		if rest, ok := strings.CutSuffix(s, " "+zone); ok {
			return time.ParseInLocation("Mon, _2 Jan 2006 15:04:05", rest, time.UTC)
		}
	}
	return time.Time{}, fmt.Errorf("%.60q is not a date in UTC", s)
}

var (
	sha256Pattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
	// pathPattern takes no "..", no leading slash, no blank and no %.
	pathPattern = regexp.MustCompile(`^[A-Za-z0-9_+~:=@,-][A-Za-z0-9_.+~:=@,-]*(/[A-Za-z0-9_+~:=@,-][A-Za-z0-9_.+~:=@,-]*)*$`)
)

// ValidPath reports whether p is a plain relative path below an archive.
func ValidPath(p string) bool { return len(p) <= 1024 && pathPattern.MatchString(p) }

// ValidSHA256 reports whether s is a SHA-256 in lower-case hexadecimal.
func ValidSHA256(s string) bool { return sha256Pattern.MatchString(s) }

// parseFiles reads lines of "sha256 size path".
func parseFiles(value string) (map[string]File, error) {
	files := map[string]File{}
	for line := range strings.SplitSeq(value, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		f, err := parseFile(words)
		if err != nil {
			return nil, err
		}
		if old, ok := files[f.Path]; ok && old != f {
			return nil, fmt.Errorf("%s is listed twice", f.Path)
		}
		files[f.Path] = f
	}
	return files, nil
}

func parseFile(words []string) (File, error) {
	if len(words) != 3 || !ValidSHA256(words[0]) || !ValidPath(words[2]) {
		return File{}, fmt.Errorf("not \"sha256 size path\": %.120q", strings.Join(words, " "))
	}
	size, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil || size < 0 {
		return File{}, fmt.Errorf("size of %s: %.40q", words[2], words[1])
	}
	return File{Path: words[2], Size: size, SHA256: words[0]}, nil
}
