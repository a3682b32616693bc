package main

import (
	"context"
	"errors"

	"dagger/mangos/internal/dagger"
)

// BuildImage builds everything from the lock and returns a release: the signed
// disk image, the files that updates fetch, the expected PCR values, what is the
// same for everybody, signed statements of how each was made, and checksums with
// their signature.
//
// Without keys it signs with try-out keys, which it makes once per engine, and
// marks the release as unfit for use. Keys are given all or none; a private key
// is a PEM file or a PKCS#11 URI.
func (m *Mangos) BuildImage(
	ctx context.Context,
	// Another version than the definition's.
	// +optional
	version string,
	// Private key for Secure Boot.
	// +optional
	secureBootKey *dagger.Secret,
	// Its certificate, PEM.
	// +optional
	secureBootCertificate *dagger.File,
	// Private key for root hashes and extensions.
	// +optional
	verityKey *dagger.Secret,
	// Its certificate, PEM. The kernel accepts what it signed, and nothing else.
	// +optional
	verityCertificate *dagger.File,
	// Private key for PCR policies.
	// +optional
	pcrKey *dagger.Secret,
	// Its public half, PEM.
	// +optional
	pcrPublic *dagger.File,
	// Private key for checksums, OpenPGP.
	// +optional
	releaseKey *dagger.Secret,
	// Its public half.
	// +optional
	releasePublic *dagger.File,
	// Private key for attestations, Ed25519.
	// +optional
	attestKey *dagger.Secret,
	// Its public half, PEM.
	// +optional
	attestPublic *dagger.File,
	// The socket of a p11-kit server, for keys that are PKCS#11 URIs.
	// +optional
	p11 *dagger.Socket,
	// The organisation's configuration extension (see build-extension).
	// +optional
	org *dagger.File,
) (*dagger.Directory, error) {
	image, plan, err := m.image(ctx, version, "")
	if err != nil {
		return nil, err
	}
	given := 0
	for _, have := range []bool{
		secureBootKey != nil, secureBootCertificate != nil, verityKey != nil, verityCertificate != nil,
		pcrKey != nil, pcrPublic != nil, releaseKey != nil, releasePublic != nil, attestKey != nil, attestPublic != nil,
	} {
		if have {
			given++
		}
	}
	var signer *dagger.ImageSigner
	switch given {
	case 0:
		signer = image.TryOut(m.program("attest"))
	case 10:
		signer = image.Signer(secureBootKey, secureBootCertificate, verityKey, verityCertificate,
			pcrKey, pcrPublic, releaseKey, releasePublic, attestKey, attestPublic, dagger.ImageSignerOpts{P11: p11})
	default:
		return nil, errors.New("build image: keys are given all or none: secure-boot, verity, pcr, release and attest, each with its public half")
	}
	return m.release(ctx, image, signer, plan, version, org)
}

func (m *Mangos) release(
	ctx context.Context, image *dagger.Image, signer *dagger.ImageSigner, plan, version string, org *dagger.File,
) (*dagger.Directory, error) {
	kernel, err := m.compiled(ctx, "", "")
	if err != nil {
		return nil, err
	}
	unsigned, err := m.common(ctx, kernel.Files(), version, "")
	if err != nil {
		return nil, err
	}
	certified := m.linux().Certified(kernel.Files(), signer.Certificate("verity.crt"))
	split := image.Split(unsigned.Files(), plan)
	files := signer.Files(unsigned.Files(), split.Files(), certified.Files().File("bzImage"), plan, dagger.ImageSignerFilesOpts{Org: org})
	records, err := m.records(ctx, plan, kernel.Records(), unsigned.Records(), certified.Records(), split.Records(), files.Records())
	if err != nil {
		return nil, err
	}
	locked, err := m.lockFiles(plan)
	if err != nil {
		return nil, err
	}
	return signer.Seal(signer.Evidence(files.Files().WithDirectory("/", locked), records, m.program("attest"), unsigned.Files(), plan)), nil
}

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
) (*dagger.File, error) {
	image, _, err := m.image(ctx, "", "")
	if err != nil {
		return nil, err
	}
	if (verityKey == nil) != (verityCertificate == nil) {
		return nil, errors.New("build extension: the verity key and its certificate are given both or none")
	}
	signer := image.TryOut(m.program("attest"))
	if verityKey != nil {
		none := dag.Directory().WithNewFile("none", "").File("none")
		signer = image.Signer(verityKey, none, verityKey, verityCertificate, verityKey, none, verityKey, none, verityKey, none)
	}
	return signer.Extension(tree, class, name, purpose, counter, dagger.ImageSignerExtensionOpts{Reload: reload}), nil
}
