package main

import (
	"context"
	"crypto/rand"
	"fmt"

	"dagger/mangos/internal/dagger"
)

// PublishEvidence describes and signs the unsigned set of a release, as evidence
// for other organisations: the folder RELEASE/ORGANISATION with signed statements
// and manifests. Show others its commitment first (compare commit), and the rest
// when they have committed too (compare reveal).
// +cache="never"
func (m *Mangos) PublishEvidence(
	// The release that build-image made from this source and lock.
	release *dagger.Directory,
	// The organisation's identifier in organisations.json.
	organisation string,
	// Its private key for attestations, PEM.
	attestKey *dagger.Secret,
	// The checkout that it was built from, as git keeps it: what the steps had, and what
	// wires them. Builds are not comparable where a part differs that can change one
	// (compare/source).
	// +defaultPath="/"
	// +ignore=["**", "!go.mod", "!go.sum", "!dagger.json", "!mangos.toml", "!debian.lock.json", "!debian.sources.json", "!attest/**", "!ci/**", "!compare/**", "!format/**", "!modules/**", "!runtime/**", "**/dagger.gen.go", "ci/internal", "modules/*/.dagger/internal"]
	checkout *dagger.Directory,
	// What compare machine printed on the machine that built: the engine's
	// containers do not know it.
	// +optional
	machine *dagger.File,
	// The address that says who ran the build.
	// +optional
	builder string,
) *dagger.Directory {
	args := []string{"/bin/compare", "publish", "--release", "/release", "--key", "/key", "--organisation", organisation,
		"--checkout", "/source", "--out", "/out"}
	// What the steps had stands in the place of what they may have had.
	for _, given := range []string{"attest", "compare", "format", "runtime", "modules/debian/keys", "modules/kernel/config", "modules/image/tree"} {
		checkout = checkout.WithoutDirectory(given)
	}
	ctr := dag.Container().
		WithMountedFile("/bin/compare", m.program("compare")).
		WithMountedDirectory("/release", release).
		WithMountedDirectory("/source", m.kept(checkout.WithDirectory("/", m.repository()))).
		WithMountedSecret("/key", attestKey).
		WithDirectory("/out", dag.Directory()).
		WithEnvVariable("MANGOS_RUN", rand.Text())
	if machine != nil {
		ctr = ctr.WithMountedFile("/machine.json", machine)
		args = append(args, "--machine", "/machine.json")
	}
	if builder != "" {
		args = append(args, "--builder", builder)
	}
	return ctr.WithExec(args).Directory("/out")
}

// Compare decides, from the evidence of several organisations, whether a release
// was reproduced. It fails unless enough of them agree and none disagrees.
// +cache="never"
func (m *Mangos) Compare(
	ctx context.Context,
	// A folder with RELEASE/ORGANISATION, a git repository's too.
	evidence *dagger.Directory,
	// How many organisations must agree (compare/policy).
	policy *dagger.File,
	// Who may vote, and by which keys (compare/organisation).
	organisations *dagger.File,
	// The release, where there is evidence of several.
	// +optional
	release string,
	// Return JSON (compare/verdict/verdict-1.schema.json).
	// +optional
	asJSON bool,
) (string, error) {
	args := []string{"verdict", "/evidence", "--policy", "/reader/policy.json", "--organisations", "/reader/organisations.json", "--release", release}
	if asJSON {
		args = append(args, "--json")
	}
	reader := dag.Directory().WithFile("policy.json", policy).WithFile("organisations.json", organisations)
	ctr := m.compare(args, map[string]*dagger.Directory{"/evidence": evidence, "/reader": reader})
	text, err := ctr.CombinedOutput(ctx)
	if err != nil {
		return "", err
	}
	code, err := ctr.ExitCode(ctx)
	if err == nil && code != 0 {
		return "", fmt.Errorf("exit code %d:\n%s", code, text)
	}
	return text, err
}
