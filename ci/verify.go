package main

import (
	"context"
	"crypto/rand"

	"dagger/mangos/internal/dagger"
)

// Policy returns the policy that trusts an organisation's keys and the archive
// keys of the definition: what verify judges a release by. Without keys it is
// that of the try-out keys.
// +cache="never"
func (m *Mangos) Policy(
	ctx context.Context,
	// The folder of the public keys, as attest keys generate names them; a private
	// key in it is not read.
	// +optional
	// +ignore=["**", "!*.pub", "!*.crt"]
	keys *dagger.Directory,
) (*dagger.File, error) {
	if keys == nil {
		image, _, err := m.image(ctx, "", "")
		if err != nil {
			return nil, err
		}
		keys = image.TryOut(m.program("attest")).Public()
	}
	return m.attest().
		WithMountedDirectory("/keys", keys).
		WithMountedDirectory("/definition", m.Definition).
		WithExec([]string{"attest", "policy", "--keys", "/keys", "--definition", "/definition/mangos.toml", "--out", "/policy.toml"}).
		File("/policy.toml"), nil
}

// Verify verifies a release and returns a line for each check, and the verdict. It
// fails when one of them did.
// +cache="never"
func (m *Mangos) Verify(
	ctx context.Context,
	// The folder of the release.
	release *dagger.Directory,
	// Who is trusted (see policy).
	policy *dagger.File,
	// When the layout must be in force, such as 2030-12-31T00:00:00Z; now by default.
	// +optional
	at string,
	// Return JSON.
	// +optional
	asJSON bool,
	// Look at the content of Go modules, too: fetch the archives that this checkout
	// names, which must be the release's, to the byte.
	// +optional
	goModules bool,
) (string, error) {
	command := []string{"attest", "verify", "--release", "/release", "--policy", "/policy.toml", "--at", at}
	ctr := m.verifyContainer(release, policy)
	if asJSON {
		command = append(command, "--json")
	}
	if goModules {
		const archives = "/go/pkg/mod/cache/download"
		ctr = ctr.WithMountedDirectory("/modules", m.golang().Container(m.kept(m.Source)).Directory(archives))
		command = append(command, "--modules", "/modules")
	}
	return ctr.WithExec(command).Stdout(ctx)
}

// VerifySummary verifies a release and returns the Verification Summary
// Attestation that it passed, signed. It fails when the release did not pass:
// attest verify --summary writes one that says so, too.
// +cache="never"
func (m *Mangos) VerifySummary(
	// The folder of the release.
	release *dagger.Directory,
	// Who is trusted (see policy).
	policy *dagger.File,
	// The verifier's own private key for attestations, PEM.
	attestKey *dagger.Secret,
	// The address of who verifies.
	verifier string,
	// When the layout must be in force, such as 2030-12-31T00:00:00Z; now by default.
	// +optional
	at string,
	// The passphrase of the key, if it has one.
	// +optional
	passphrase *dagger.Secret,
) *dagger.File {
	command := []string{"attest", "verify", "--release", "/release", "--policy", "/policy.toml", "--at", at,
		"--summary", "/summary.json", "--summary-key", "/key", "--verifier", verifier}
	ctr := m.verifyContainer(release, policy).WithMountedSecret("/key", attestKey)
	if passphrase != nil {
		ctr = ctr.WithMountedSecret("/passphrase", passphrase)
		command = append(command, "--passphrase-file", "/passphrase")
	}
	return ctr.WithExec(command).File("/summary.json")
}

// verifyContainer returns a container with the attest program, a release and a policy.
func (m *Mangos) verifyContainer(release *dagger.Directory, policy *dagger.File) *dagger.Container {
	return m.attest().
		WithMountedDirectory("/release", release).
		WithMountedFile("/policy.toml", policy).
		// What was in force when the same was asked last need not be now.
		WithEnvVariable("MANGOS_RUN", rand.Text())
}

// attest returns a container with the attest program and nothing else.
func (m *Mangos) attest() *dagger.Container {
	return dag.Container().
		WithFile("/usr/bin/attest", m.program("attest")).
		WithNewFile("/tmp/.keep", "").
		WithEnvVariable("PATH", "/usr/bin")
}
