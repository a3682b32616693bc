package oracle

import (
	"os"
	"path/filepath"
	"testing"
)

// trustedRoot names no log and no authority: what remains is the key.
const trustedRoot = `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`

// Attestation returns the arguments of cosign, run in dir, that verify the bundle
// about a file by a public key alone, without a network. Of the predicate's type
// cosign 2.5.0, Debian 13's, takes no notice in this format: see [Envelope].
func Attestation(t testing.TB, dir, key, kind, bundle, file string) []string {
	t.Helper()
	t.Setenv("HOME", dir)
	if err := os.WriteFile(filepath.Join(dir, "trusted"), []byte(trustedRoot), 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{
		"verify-blob-attestation", "--key", key, "--insecure-ignore-tlog", "--new-bundle-format", "--trusted-root", "trusted",
		"--type", kind, "--bundle", bundle, file,
	}
}

// Envelope returns the arguments of cosign, run in dir, that verify a bare envelope
// about a file by a public key alone. In this older form cosign 2.5.0 looks at the
// predicate's type as well. It looks for a trusted root on the network first, and
// goes on without one.
func Envelope(t testing.TB, dir, key, kind, envelope, file string) []string {
	t.Helper()
	t.Setenv("HOME", dir)
	return []string{
		"verify-blob-attestation", "--key", key, "--insecure-ignore-tlog", "--new-bundle-format=false",
		"--type", kind, "--signature", envelope, file,
	}
}
