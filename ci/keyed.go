package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"dagger/mangos/internal/dagger"
)

// exitNotVerified is the attest program's exit code for a release that did not pass.
const exitNotVerified = 1

// keyedBuild builds an image as an organisation does: keys of its own under a passphrase,
// each given to build-image, and a policy of their public halves. It fails unless the
// release verifies by that policy, does not by the try-out keys', and bears no try-out
// mark.
func (m *Mangos) keyedBuild(ctx context.Context) (string, error) {
	run := rand.Text()
	under := dag.SetSecret("keyed-passphrase-"+run, rand.Text())
	keys, err := m.GenerateKeys(under, "Example Bank").Sync(ctx)
	if err != nil {
		return "", err
	}
	private := func(role string) *dagger.Secret {
		// What Contents returns is sealed with the passphrase.
		sealed, contentsErr := keys.File(role + ".key").Contents(ctx)
		err = errors.Join(err, contentsErr)
		return dag.SetSecret("keyed-"+role+"-"+run, sealed)
	}
	secureBoot, verity, pcr := private("secure-boot"), private("verity"), private("pcr")
	openPGP, attest := private("release"), private("attest")
	if err != nil {
		return "", err
	}
	release, err := m.BuildImage(ctx, "",
		secureBoot, keys.File("secure-boot.crt"), verity, keys.File("verity.crt"), pcr, keys.File("pcr.pub"),
		openPGP, keys.File("release.pub"), attest, keys.File("attest.pub"), under, nil, nil, nil, nil, 1)
	if err != nil {
		return "", err
	}
	return m.judgeKeyed(ctx, release, keys)
}

func (m *Mangos) judgeKeyed(ctx context.Context, release, keys *dagger.Directory) (string, error) {
	names, err := release.Entries(ctx)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if strings.Contains(name, "tryout") {
			return "", fmt.Errorf("build image with an organisation's keys: %s is marked as tried out", name)
		}
	}
	own, err := m.Policy(ctx, keys)
	if err != nil {
		return "", err
	}
	report, err := m.Verify(ctx, release, own, "", false, false)
	if err != nil {
		return "", err
	}
	foreign, err := m.Policy(ctx, nil)
	if err != nil {
		return "", err
	}
	_, err = m.Verify(ctx, release, foreign, "", false, false)
	var refused *dagger.ExecError
	switch {
	case err == nil:
		return "", errors.New("verify an organisation's release by the try-out keys: it passed, want a refusal")
	case !errors.As(err, &refused) || refused.ExitCode != exitNotVerified:
		return "", err
	}
	return report + "\n3 passed, 0 failed\n", nil
}
