package main

import (
	"context"
	"errors"

	"dagger/mangos/internal/dagger"
)

// BuildExtension returns a signed extension image made from a folder: a confext
// (configuration, below etc/) or a sysext (software, below usr/).
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
	// Private key for root hashes and extensions; without it the try-out key.
	// +optional
	verityKey *dagger.Secret,
	// Its certificate, PEM.
	// +optional
	verityCertificate *dagger.File,
	// The passphrase of the key, if it has one.
	// +optional
	passphrase *dagger.Secret,
	// The socket of a p11-kit server, for a key that is a PKCS#11 URI.
	// +optional
	p11 *dagger.Socket,
	// What a key elsewhere has signed (see export-extension-digests).
	// +optional
	signatures *dagger.Directory,
) (*dagger.File, error) {
	image, _, err := m.image(ctx, "", "")
	if err != nil {
		return nil, err
	}
	var signer *dagger.ImageSigner
	switch {
	case verityKey != nil && verityCertificate != nil && signatures == nil:
		signer = image.VeritySigner(verityKey, verityCertificate, dagger.ImageVeritySignerOpts{Passphrase: passphrase, P11: p11})
	case verityKey == nil && verityCertificate != nil && signatures != nil:
		signer = image.Elsewhere(dag.Directory().WithFile("verity.crt", verityCertificate), dagger.ImageElsewhereOpts{Signatures: signatures})
	case verityKey == nil && verityCertificate == nil && signatures == nil:
		signer = image.TryOut(m.program("attest"))
	default:
		return nil, errors.New("build extension: give the certificate of the verity key with the key, or with the signatures that it made elsewhere, or none of them")
	}
	return signer.Extension(tree, class, name, purpose, counter, dagger.ImageSignerExtensionOpts{Reload: reload}), nil
}

// ExportExtensionDigests returns what a verity key elsewhere shall sign for an
// extension: a file, and digests.txt, which says how.
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
) (*dagger.Directory, error) {
	image, _, err := m.image(ctx, "", "")
	if err != nil {
		return nil, err
	}
	return image.Elsewhere(dag.Directory().WithFile("verity.crt", verityCertificate)).
		ExtensionDigests(tree, class, name, purpose, counter, dagger.ImageSignerExtensionDigestsOpts{Reload: reload}), nil
}
