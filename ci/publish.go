package main

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"

	"dagger/mangos/internal/dagger"
)

// PublishRelease puts a release onto a release page, or a web server that takes files by
// PUT: its files first, then SHA256SUMS, and SHA256SUMS.gpg last. What broke off goes on
// when it is called again. What is there with another content stays, and is an error. Into
// a local folder the program publish puts one (see programs).
// +cache="never"
func (m *Mangos) PublishRelease(
	ctx context.Context,
	// The folder of the release.
	release *dagger.Directory,
	// github:OWNER/REPO, or the address of a folder, https://HOST/PATH.
	to string,
	// The token for it.
	// +optional
	token *dagger.Secret,
	// Who is trusted (see policy): the release must verify.
	// +optional
	policy *dagger.File,
	// The release's tag on the page; by default v and its version.
	// +optional
	tag string,
	// The page's API, for GitHub Enterprise, such as https://HOST/api/v3.
	// +optional
	api string,
	// Mark it as a pre-release on the page.
	// +optional
	prerelease bool,
	// Publish what keys for trying out signed.
	// +optional
	tryOut bool,
	// Say what would be done, and change nothing.
	// +optional
	dryRun bool,
	// Return JSON.
	// +optional
	asJSON bool,
	// The certificates by which the server is known, PEM; by default the distribution's.
	// +optional
	certificates *dagger.File,
) (string, error) {
	if !strings.Contains(to, ":") {
		return "", errors.New("publish release: into a local folder only the program publish puts one: a function has no folder but its container's")
	}
	const trusted = "/etc/ssl/certs/ca-certificates.crt"
	if certificates == nil {
		tree, err := m.tools(ctx, "sdk")
		if err != nil {
			return "", err
		}
		certificates = tree.File(trusted)
	}
	ctr := dag.Container().
		WithMountedFile("/bin/publish", m.program("publish")).
		WithNewFile("/tmp/.keep", "").
		WithMountedDirectory("/release", release).
		WithMountedFile(trusted, certificates).
		// What was there when the same was asked last need not be there now.
		WithEnvVariable("MANGOS_RUN", rand.Text())
	command := []string{"/bin/publish", "--release", "/release", "--to", to}
	if token != nil {
		ctr, command = ctr.WithMountedSecret("/token", token), append(command, "--token-file", "/token")
	}
	if policy != nil {
		ctr, command = ctr.WithMountedFile("/policy.toml", policy), append(command, "--policy", "/policy.toml")
	}
	for flag, value := range map[string]string{"--tag": tag, "--api": api} {
		if value != "" {
			command = append(command, flag, value)
		}
	}
	for flag, wanted := range map[string]bool{"--prerelease": prerelease, "--try-out": tryOut, "--dry-run": dryRun, "--json": asJSON} {
		if wanted {
			command = append(command, flag)
		}
	}
	return ctr.WithExec(command).Stdout(ctx)
}
