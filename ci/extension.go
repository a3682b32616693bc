package main

import (
	"context"
	"errors"

	"dagger/mangos/internal/dagger"
)

// BuildExtension makes a signed extension image, NAME.CLASS.raw, from a folder: a
// confext (configuration, below etc/) or a sysext (software, below usr/). Beside it are
// signed statements of what it was made of and with; attest verify-extension verifies
// both.
//
// Without keys it signs with the try-out keys. Keys are given all or none, each with
// its public half.
func (m *Mangos) BuildExtension(
	ctx context.Context,
	tree *dagger.Directory,
	// confext or sysext.
	class string,
	name string,
	// What it is for: org, site or debug.
	purpose string,
	// A device refuses a lower one than it has seen.
	counter int,
	// Let systemd reload its units after merging.
	// +optional
	reload bool,
	// Private key for root hashes and extensions.
	// +optional
	verityKey *dagger.Secret,
	// Its certificate, PEM.
	// +optional
	verityCertificate *dagger.File,
	// Private key for attestations, Ed25519.
	// +optional
	attestKey *dagger.Secret,
	// Its public half, PEM.
	// +optional
	attestPublic *dagger.File,
	// The passphrase of the keys that have one.
	// +optional
	passphrase *dagger.Secret,
	// The socket of a p11-kit server, for a verity key that is a PKCS#11 URI.
	// +optional
	p11 *dagger.Socket,
	// For keys that are elsewhere, in the place of the keys: what they have signed
	// (see export-extension-digests).
	// +optional
	signatures *dagger.Directory,
) (*dagger.Directory, error) {
	image, _, err := m.image(ctx, "", "")
	if err != nil {
		return nil, err
	}
	given, public := 0, verityCertificate != nil && attestPublic != nil
	for _, have := range []bool{verityKey != nil, verityCertificate != nil, attestKey != nil, attestPublic != nil} {
		if have {
			given++
		}
	}
	var signer *dagger.ImageSigner
	switch {
	case given == 0 && signatures == nil:
		signer = image.TryOut(m.program("attest"))
	case given == 4 && signatures == nil:
		halves := m.extensionHalves(verityCertificate, attestPublic)
		signer = image.ExtensionSigner(verityKey, halves.File("verity.crt"), attestKey, halves.File("attest.pub"),
			dagger.ImageExtensionSignerOpts{Passphrase: passphrase, P11: p11})
	case given == 2 && public && signatures != nil:
		signer = m.extensionKeysElsewhere(image, verityCertificate, attestPublic, signatures)
	default:
		return nil, errors.New("build extension: keys are given all or none: verity and attest, each with its public half; for keys that are elsewhere give the public halves and their signatures")
	}
	made := signer.Extension(m.kept(tree), class, name, purpose, counter, dagger.ImageSignerExtensionOpts{Reload: reload})
	return signer.Statements(made.Files(), m.kept(made.Records()), m.program("attest"), class, name), nil
}

// ExportExtensionDigests returns what keys elsewhere shall sign for an extension and have
// not signed yet, as export-digests does: first the verity key its root hash, then, with
// the signature of that, the attest key the statements.
func (m *Mangos) ExportExtensionDigests(
	ctx context.Context,
	tree *dagger.Directory,
	// confext or sysext.
	class string,
	name string,
	// What it is for: org, site or debug.
	purpose string,
	// A device refuses a lower one than it has seen.
	counter int,
	// Let systemd reload its units after merging.
	// +optional
	reload bool,
	// The certificate of the verity key, PEM.
	verityCertificate *dagger.File,
	// The public half of the attest key, PEM.
	attestPublic *dagger.File,
	// What was signed so far.
	// +optional
	signatures *dagger.Directory,
) (*dagger.Directory, error) {
	image, _, err := m.image(ctx, "", "")
	if err != nil {
		return nil, err
	}
	tree = m.kept(tree)
	signer := m.extensionKeysElsewhere(image, verityCertificate, attestPublic, signatures)
	digests := signer.ExtensionDigests(tree, class, name, purpose, counter, dagger.ImageSignerExtensionDigestsOpts{Reload: reload})
	if left, err := pending(ctx, digests); left || err != nil {
		return digests, err
	}
	made := signer.Extension(tree, class, name, purpose, counter, dagger.ImageSignerExtensionOpts{Reload: reload})
	return signer.StatementDigests(m.kept(made.Records()), m.program("attest"), class, name), nil
}

// extensionHalves keeps the public halves of the keys that sign extensions.
func (m *Mangos) extensionHalves(verityCertificate, attestPublic *dagger.File) *dagger.Directory {
	return m.kept(dag.Directory().WithFile("verity.crt", verityCertificate).WithFile("attest.pub", attestPublic))
}

// extensionKeysElsewhere returns a signer with what the keys of extensions have signed
// elsewhere; nil: nothing yet.
func (m *Mangos) extensionKeysElsewhere(image *dagger.Image, verityCertificate, attestPublic *dagger.File, signatures *dagger.Directory) *dagger.ImageSigner {
	return image.Elsewhere(m.extensionHalves(verityCertificate, attestPublic), dagger.ImageElsewhereOpts{Signatures: m.signed(signatures)})
}
