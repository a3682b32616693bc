package main

import (
	"context"
	"strconv"

	"dagger/image/internal/dagger"
)

// The functions in this file return what keys elsewhere shall sign, and have not
// signed yet: a file for each signature, and digests.txt, which lists them.

// Digests returns what the keys of an image shall sign: root hash, boot loader,
// PCR policies, and when these are signed, the unified kernel image; before all of them
// the organisation's configuration.
func (s *Signer) Digests(
	ctx context.Context,
	// What Unsigned returns.
	unsigned *dagger.Directory,
	// The kernel with the certificate of the verity key.
	bzImage *dagger.File,
	// The organisation's configuration (see Files).
	// +optional
	org *dagger.Directory,
	// +optional
	orgCounter int,
	// The text of plan.json (see Plan).
	plan string,
) (*dagger.Directory, error) {
	p, err := readPlan(plan)
	if err != nil {
		return nil, err
	}
	if org != nil {
		left := s.extensionDigests(org, orgFlags(orgCounter)...)
		if names, err := left.Entries(ctx); err != nil || len(names) > 1 {
			return left, err
		}
	}
	return s.export(s.elsewhere().
		WithMountedFile("/in/roothash", unsigned.File(rootHash)).
		WithMountedFile("/in/uki.efi", unsigned.File(normal)).
		WithMountedFile("/in/bzImage", bzImage).
		WithMountedFile(planPath, p.file()),
		"--root-hash", "/in/roothash", "--program", bootLoader, "--normal-form", "/in/uki.efi", "--kernel", "/in/bzImage",
		"--plan", planPath), nil
}

// EvidenceDigests returns what the attest key shall sign.
func (s *Signer) EvidenceDigests(
	ctx context.Context,
	// The records of all steps, STEP.json.
	records *dagger.Directory,
	// The attest program, static (attest/cmd/attest).
	attest *dagger.File,
	// What Unsigned returns.
	unsigned *dagger.Directory,
	// The text of plan.json (see Plan).
	plan string,
) (*dagger.Directory, error) {
	p, err := readPlan(plan)
	if err != nil {
		return nil, err
	}
	n, err := s.names(ctx, unsigned, p)
	if err != nil {
		return nil, err
	}
	return s.evidenceDigests(records, attest, n.Entry), nil
}

func (s *Signer) evidenceDigests(records *dagger.Directory, attest *dagger.File, name string, flags ...string) *dagger.Directory {
	command := append([]string{sandbox, "--", programs + "attest", "export-digests", "--records", "/in/records", "--name", name,
		"--public", publicKeys + "/attest.pub", "--signatures", "/in/signatures", "--epoch", s.Image.Epoch, "--out", "/out"}, flags...)
	return s.elsewhere().
		WithMountedFile(programs+"attest", attest).
		WithMountedDirectory("/in/records", records).
		WithExec(command, dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		Directory("/out")
}

// SumsDigests returns what the release key shall sign.
func (s *Signer) SumsDigests(files *dagger.Directory) *dagger.Directory {
	return s.export(s.elsewhere().WithMountedFile("/in/SHA256SUMS", s.sums(files)), "--sums", "/in/SHA256SUMS")
}

// ExtensionDigests returns what the verity key shall sign for an extension.
func (s *Signer) ExtensionDigests(
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
) *dagger.Directory {
	return s.extensionDigests(tree, "--class", class, "--name", name, "--purpose", purpose,
		"--counter", strconv.Itoa(counter), "--reload="+strconv.FormatBool(reload))
}

// StatementDigests returns what the attest key shall sign for an extension.
func (s *Signer) StatementDigests(
	// What Extension returns: the records of its steps, STEP.json.
	records *dagger.Directory,
	// The attest program, static (attest/cmd/attest).
	attest *dagger.File,
	// confext or sysext.
	class string,
	name string,
) *dagger.Directory {
	return s.evidenceDigests(records, attest, extensionName(class, name), "--extension")
}

func (s *Signer) extensionDigests(tree *dagger.Directory, flags ...string) *dagger.Directory {
	command := append([]string{"extension", "--tree", "/in/" + orgTree, "--certificate", publicKeys + "/verity.crt",
		"--signatures", "/in/signatures", "--export-digests", "/out"}, flags...)
	return s.elsewhere().
		WithMountedDirectory("/in/"+orgTree, tree).
		With(unrecorded(command...)).
		Directory("/out")
}

// elsewhere is a container with the public halves and the signatures so far.
func (s *Signer) elsewhere() *dagger.Container {
	return s.Image.container().
		WithMountedDirectory(publicKeys, s.Public).
		WithMountedDirectory("/in/signatures", s.Signatures)
}

func (s *Signer) export(ctr *dagger.Container, inputs ...string) *dagger.Directory {
	return ctr.With(unrecorded(append([]string{"export-digests", "--public", publicKeys, "--signatures", "/in/signatures", "--out", "/out"}, inputs...)...)).
		Directory("/out")
}
