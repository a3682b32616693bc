package main

import (
	"context"
	"strconv"

	"dagger/image/internal/dagger"
)

// ExtensionSigner returns a signer that has a verity key and an attest key, and no
// other: it makes extensions.
func (m *Image) ExtensionSigner(
	// A PEM file, or a PKCS#11 URI.
	verityKey *dagger.Secret,
	verityCertificate *dagger.File,
	attestKey *dagger.Secret,
	attestPublic *dagger.File,
	// The passphrase of the keys that have one.
	// +optional
	passphrase *dagger.Secret,
	// The socket of a p11-kit server, for a key that is a PKCS#11 URI.
	// +optional
	p11 *dagger.Socket,
) *Signer {
	return &Signer{
		Image:  m,
		Public: dag.Directory().WithFile("verity.crt", verityCertificate).WithFile("attest.pub", attestPublic),
		Verity: verityKey, Attest: attestKey, Passphrase: passphrase, P11: p11,
	}
}

// Extension returns a signed extension image, NAME.CLASS.raw.
func (s *Signer) Extension(
	ctx context.Context,
	// The files, below etc/ (confext) or usr/ (sysext).
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
) (*Made, error) {
	made, err := s.extension(ctx, tree, extensionName(class, name)+".raw", "--class", class, "--name", name, "--purpose", purpose,
		"--counter", strconv.Itoa(counter), "--reload="+strconv.FormatBool(reload))
	if err != nil {
		return nil, err
	}
	return &Made{Files: made.Files, Records: made.Records.WithDirectory("/", s.Image.given("configuration", orgTree, tree))}, nil
}

// extensionName is what the names of an extension's files begin with.
func extensionName(class, name string) string { return name + "." + class }

// Statements adds to an extension what the records of its steps say, signed.
func (s *Signer) Statements(
	ctx context.Context,
	// What Extension returns: the image.
	files *dagger.Directory,
	// What Extension returns: the records of its steps, STEP.json.
	records *dagger.Directory,
	// The attest program, static (attest/cmd/attest).
	attest *dagger.File,
	// confext or sysext.
	class string,
	name string,
) (*dagger.Directory, error) {
	return s.evidence(ctx, files, records, attest, extensionName(class, name), "--extension")
}

// orgTree is the name of the organisation's configuration in records.
const orgTree = "org.tree"

// extension makes a signed extension image, out, from a folder.
func (s *Signer) extension(ctx context.Context, tree *dagger.Directory, out string, flags ...string) (*Made, error) {
	step, err := s.step(ctx, "extension", s.Verity, "verity", "verity.crt")
	if err != nil {
		return nil, err
	}
	command := append([]string{"extension", "--tree", "/in/" + orgTree, "--key", keyFile("verity"),
		"--certificate", publicKeys + "/verity.crt", "--out", "/out/" + out}, flags...)
	return step.folder(orgTree, tree).run(command...), nil
}

// orgFlags are the flags that make an extension of the organisation's configuration.
func orgFlags(counter int) []string {
	return []string{"--class", "confext", "--name", "org", "--purpose", "org", "--counter", strconv.Itoa(counter), "--reload"}
}
