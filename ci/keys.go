package main

import (
	"context"
	"time"

	"dagger/mangos/internal/dagger"
)

// ExportDigests returns what keys elsewhere shall sign for a release and have not
// signed yet: a file NAME.tbs for each signature, and digests.txt, which lists
// them and says how. The signatures, NAME.sig, are given with the next call,
// which returns what depends on them, until nothing is left: root hash, boot
// loader and PCR policies; the kernel image; evidence; checksums. Then build-image
// makes the release with them.
func (m *Mangos) ExportDigests(
	ctx context.Context,
	// Another version than the definition's.
	// +optional
	version string,
	// A folder with the public halves of the keys: secure-boot.crt, verity.crt,
	// pcr.pub, release.pub and attest.pub.
	public *dagger.Directory,
	// What was signed so far.
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
	image, plan, err := m.image(ctx, version, "")
	if err != nil {
		return nil, err
	}
	signer := image.Elsewhere(m.kept(public), dagger.ImageElsewhereOpts{Signatures: m.signed(signatures)})
	p, err := m.parts(ctx, signer, version)
	if err != nil {
		return nil, err
	}
	given := m.configuration(org, orgCounter)
	digests := signer.Digests(p.unsigned.Files(), p.bzImage(), plan.text, dagger.ImageSignerDigestsOpts{Org: given.tree, OrgCounter: given.counter})
	if left, err := pending(ctx, digests); left || err != nil {
		return digests, err
	}
	files, records, err := m.unsealed(ctx, p, signer, plan, given)
	if err != nil {
		return nil, err
	}
	digests = signer.EvidenceDigests(records, m.program("attest"), p.unsigned.Files(), plan.text)
	if left, err := pending(ctx, digests); left || err != nil {
		return digests, err
	}
	return signer.SumsDigests(signer.Evidence(files, records, m.program("attest"), p.unsigned.Files(), plan.text)), nil
}

// signed keeps what keys elsewhere have signed so far; nil for nothing yet.
func (m *Mangos) signed(signatures *dagger.Directory) *dagger.Directory {
	if signatures == nil {
		return nil
	}
	return m.kept(signatures)
}

// pending tells whether there is more to sign than the list of it.
func pending(ctx context.Context, digests *dagger.Directory) (bool, error) {
	names, err := digests.Entries(ctx)
	return len(names) > 1, err
}

// GenerateKeys returns new keys for all roles, the private ones under a
// passphrase: what a function returns stays in the engine's cache. On a machine
// of your own, attest keys generate makes them without the detour.
// +cache="never"
func (m *Mangos) GenerateKeys(
	// The passphrase to put the private keys under.
	passphrase *dagger.Secret,
	// The name that the certificates bear.
	// +optional
	organisation string,
) *dagger.Directory {
	return dag.Container().
		WithFile("/bin/attest", m.program("attest")).
		WithMountedSecret("/passphrase", passphrase).
		WithEnvVariable("MANGOS_RUN", time.Now().String()).
		WithExec([]string{"/bin/attest", "keys", "generate", "--dir", "/keys", "--organisation", organisation,
			"--encrypt", "--passphrase-file", "/passphrase"}).
		Directory("/keys")
}
