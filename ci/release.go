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
// is a PEM file, and for Secure Boot, verity and PCR policies it may be a PKCS#11
// URI. For keys that are elsewhere see export-digests.
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
	// The passphrase of the keys that have one.
	// +optional
	passphrase *dagger.Secret,
	// The socket of a p11-kit server, for keys that are PKCS#11 URIs.
	// +optional
	p11 *dagger.Socket,
	// For keys that are elsewhere, a folder with their public halves:
	// secure-boot.crt, verity.crt, pcr.pub, release.pub and attest.pub.
	// +optional
	public *dagger.Directory,
	// What they have signed (see export-digests).
	// +optional
	signatures *dagger.Directory,
	// The organisation's configuration, a folder with etc/: it becomes an extension,
	// signed with the verity key.
	// +optional
	org *dagger.Directory,
	// The counter of that extension: a device refuses a lower one than it has seen.
	// +default=1
	orgCounter int,
) (*dagger.Directory, error) {
	if org == nil && orgCounter != 1 {
		return nil, errors.New("build image: --org-counter is given without --org, whose counter it is")
	}
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
	switch {
	case (public != nil) != (signatures != nil) || public != nil && given > 0:
		return nil, errors.New("build image: for keys that are elsewhere give their public halves and their signatures, and no key")
	case public != nil && (passphrase != nil || p11 != nil):
		return nil, errors.New("build image: keys that are elsewhere need no --passphrase and no --p11")
	case public != nil:
		signer = image.Elsewhere(m.kept(public), dagger.ImageElsewhereOpts{Signatures: m.signed(signatures)})
	case given != 10 && (passphrase != nil || p11 != nil):
		return nil, errors.New("build image: --passphrase and --p11 are for an organisation's keys: give all of them, or neither")
	case given == 0:
		signer = image.TryOut(m.program("attest"))
	case given == 10:
		// A step that had the same certificate from another folder is not made again, and
		// would want that folder to be there still.
		halves := m.kept(dag.Directory().
			WithFile("secure-boot.crt", secureBootCertificate).
			WithFile("verity.crt", verityCertificate).
			WithFile("pcr.pub", pcrPublic).
			WithFile("release.pub", releasePublic).
			WithFile("attest.pub", attestPublic))
		signer = image.Signer(secureBootKey, halves.File("secure-boot.crt"), verityKey, halves.File("verity.crt"),
			pcrKey, halves.File("pcr.pub"), releaseKey, halves.File("release.pub"), attestKey, halves.File("attest.pub"),
			dagger.ImageSignerOpts{Passphrase: passphrase, P11: p11})
	default:
		return nil, errors.New("build image: keys are given all or none: secure-boot, verity, pcr, release and attest, each with its public half")
	}
	release, err := m.release(ctx, signer, plan, version, m.configuration(org, orgCounter))
	if err != nil {
		return nil, err
	}
	// What is known by its content is there at once when nothing has changed: all that the
	// release was made of need not be gone through again.
	return m.kept(release), nil
}

// configuration is the organisation's, and nil for none, with its counter.
type configuration struct {
	tree    *dagger.Directory
	counter int
}

// configuration keeps the folder that a caller gives: what is made of it must be known by
// its content, and not by the caller's machine.
func (m *Mangos) configuration(tree *dagger.Directory, counter int) configuration {
	if tree == nil {
		return configuration{}
	}
	return configuration{m.kept(tree), counter}
}

func (m *Mangos) release(
	ctx context.Context, signer *dagger.ImageSigner, plan plan, version string, org configuration,
) (*dagger.Directory, error) {
	p, err := m.parts(ctx, signer, version)
	if err != nil {
		return nil, err
	}
	files, records, err := m.unsealed(ctx, p, signer, plan, org)
	if err != nil {
		return nil, err
	}
	return signer.Seal(signer.Evidence(files, records, m.program("attest"), p.unsigned.Files(), plan.text)), nil
}

// parts are what the signed files of a release are made of.
type parts struct {
	kernel, certified *dagger.KernelMade
	unsigned          *dagger.ImageCommon
}

func (p parts) bzImage() *dagger.File { return p.certified.Files().File("bzImage") }

func (m *Mangos) parts(ctx context.Context, signer *dagger.ImageSigner, version string) (p parts, err error) {
	if p.kernel, err = m.compiled(ctx, "", ""); err != nil {
		return p, err
	}
	if p.unsigned, err = m.common(ctx, p.kernel.Files(), version, ""); err != nil {
		return p, err
	}
	p.certified = m.linux().Certified(p.kernel.Files(), signer.Certificate("verity.crt"))
	return p, nil
}

// unsealed returns the files of a release without evidence and checksums, and the
// records of all steps.
func (m *Mangos) unsealed(
	ctx context.Context, p parts, signer *dagger.ImageSigner, plan plan, org configuration,
) (files, records *dagger.Directory, err error) {
	made := signer.Files(p.unsigned.Files(), p.bzImage(), plan.text, dagger.ImageSignerFilesOpts{Org: org.tree, OrgCounter: org.counter})
	locked, origin := m.lockFiles(plan)
	records, err = m.records(ctx, plan, origin, p.kernel.Records(), p.unsigned.Records(), p.certified.Records(), made.Records())
	if err != nil {
		return nil, nil, err
	}
	return made.Files().WithDirectory("/", p.unsigned.Updates()).WithDirectory("/", locked), records, nil
}
