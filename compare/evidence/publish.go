package evidence

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/compare/machine"
	"github.com/mastercard/mangos/compare/manifest"
	"github.com/mastercard/mangos/compare/release"
	"github.com/mastercard/mangos/modules/image/unsigned"
)

// ErrExists: evidence is there already, and never overwritten.
var ErrExists = errors.New("evidence is there already")

// Options say what is published besides what the release itself tells.
type Options struct {
	Organisation string
	Builder      string
	Finished     time.Time
	Parameters   map[string]string
	Inputs       []Item
	// Programs are those that made the release, as its attestations name them.
	Programs []Item
	Machine  machine.Facts
	Key      crypto.Signer
	// Warn is told of what was taken from unsigned.json without having the bytes.
	Warn func(text string)
}

// Publish describes and signs the unsigned set of a release and writes the
// organisation's folder below out, which it returns. Every artifact whose bytes
// are there is hashed, and held against what the release lists; another digest
// is [release.ErrMismatch].
func Publish(ctx context.Context, set *release.Set, o Options, out string) (string, error) {
	b := &Build{
		Release: set.Name(), Organisation: o.Organisation, Builder: o.Builder, Finished: o.Finished,
		Parameters: o.Parameters, Inputs: o.Inputs, Artifacts: slices.Clone(o.Programs), Machine: o.Machine,
	}
	files := map[string][]byte{}
	for _, p := range set.Parts {
		b.Artifacts = append(b.Artifacts, Item{p.Name, p.SHA256})
		if p.Content == nil {
			o.Warn(fmt.Sprintf("%s is not in the release: its digest is that of unsigned.json", p.Name))
			continue
		}
		text, root, err := describe(ctx, component.New(component.Artifact, p.Name, p.Content))
		if err != nil {
			return "", fmt.Errorf("publish: %w", err)
		}
		if got := hex.EncodeToString(root.Known.SHA256[:]); got != p.SHA256 || root.Known.Size != p.Size {
			return "", fmt.Errorf("publish: %s: %w: its SHA-256 is %s, listed is %s", p.Name, release.ErrMismatch, got, p.SHA256)
		}
		files[ManifestName(p.Name)] = text
		b.Manifests = append(b.Manifests, Item{ManifestName(p.Name), Digest(text)})
		if p.Name == unsigned.Root {
			packages, err := Packages(root)
			if err != nil {
				return "", fmt.Errorf("publish: packages: %w", err)
			}
			b.Artifacts = append(b.Artifacts, packages...)
		}
	}
	b.Components = Components(names(b.Inputs), names(b.Artifacts))
	if err := b.sign(o.Key, files); err != nil {
		return "", fmt.Errorf("publish: %w", err)
	}
	d := destination{out, b.Release, b.Organisation}
	return d.path(), d.write(files)
}

// describe writes the manifest of an artifact and reads it again.
func describe(ctx context.Context, n *component.Node) ([]byte, *component.Node, error) {
	var text bytes.Buffer
	if err := manifest.Write(ctx, &text, n); err != nil {
		return nil, nil, err
	}
	root, err := manifest.Read(bytes.NewReader(text.Bytes()))
	return text.Bytes(), root, err
}

// sign adds the signed statements and the public key to the files.
func (b *Build) sign(key crypto.Signer, files map[string][]byte) error {
	s, err := b.Statement()
	if err != nil {
		return err
	}
	if files[BuildFile], err = Sign(s, key); err != nil {
		return err
	}
	if len(files[BuildFile]) > MaxBuild {
		return fmt.Errorf("%s has %d bytes; at most %d are read again", BuildFile, len(files[BuildFile]), MaxBuild)
	}
	c := &Commitment{b.Release, b.Organisation, Digest(files[BuildFile])}
	if s, err = c.Statement(); err != nil {
		return err
	}
	if files[CommitmentFile], err = Sign(s, key); err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	files[KeyFile] = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return err
}
