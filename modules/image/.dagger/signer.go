package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"dagger/image/internal/dagger"
)

// Signer makes what belongs to one organisation. The private keys are mounted
// into the steps that sign, and never in a layer or a result; each of these
// steps has a digest of the public half among its arguments, so that nothing
// made for one key serves another. Of keys that are elsewhere their signatures
// are mounted instead.
type Signer struct {
	// +private
	Image *Image
	// Volume is the volume with the try-out keys.
	// +private
	Volume string
	// Public holds secure-boot.crt, verity.crt, pcr.pub, release.pub and
	// attest.pub.
	Public *dagger.Directory
	// The private keys; nil where they are the try-out keys in the volume.
	// +private
	SecureBoot *dagger.Secret
	// +private
	Verity *dagger.Secret
	// +private
	PCR *dagger.Secret
	// +private
	Release *dagger.Secret
	// +private
	Attest *dagger.Secret
	// The passphrase of those that have one.
	// +private
	Passphrase *dagger.Secret
	// +private
	P11 *dagger.Socket
	// What keys elsewhere have signed; nil if the keys are here.
	// +private
	Signatures *dagger.Directory
}

// Signer returns a signer with an organisation's keys. A private key is a PEM
// file, and for Secure Boot, verity and PCR policies it may be the PKCS#11 URI of
// one; the release key is an armored OpenPGP file.
func (m *Image) Signer(
	secureBootKey *dagger.Secret,
	secureBootCertificate *dagger.File,
	verityKey *dagger.Secret,
	verityCertificate *dagger.File,
	pcrKey *dagger.Secret,
	pcrPublic *dagger.File,
	releaseKey *dagger.Secret,
	releasePublic *dagger.File,
	attestKey *dagger.Secret,
	attestPublic *dagger.File,
	// The passphrase of the keys that have one.
	// +optional
	passphrase *dagger.Secret,
	// The socket of a p11-kit server, for keys that are PKCS#11 URIs.
	// +optional
	p11 *dagger.Socket,
) *Signer {
	return &Signer{
		Image: m,
		Public: dag.Directory().
			WithFile("secure-boot.crt", secureBootCertificate).
			WithFile("verity.crt", verityCertificate).
			WithFile("pcr.pub", pcrPublic).
			WithFile("release.pub", releasePublic).
			WithFile("attest.pub", attestPublic),
		SecureBoot: secureBootKey, Verity: verityKey, PCR: pcrKey, Release: releaseKey, Attest: attestKey,
		Passphrase: passphrase, P11: p11,
	}
}

// Elsewhere returns a signer with signatures that keys elsewhere made.
func (m *Image) Elsewhere(
	// The public halves: secure-boot.crt, verity.crt, pcr.pub, release.pub and
	// attest.pub.
	public *dagger.Directory,
	// What was signed so far (see Digests).
	// +optional
	signatures *dagger.Directory,
) *Signer {
	if signatures == nil {
		signatures = dag.Directory()
	}
	return &Signer{Image: m, Public: public, Signatures: signatures}
}

const (
	tryOutVolume = "mangos-try-out-keys"
	keys         = "/keys"
	publicKeys   = "/in/keys"
	passphrase   = keys + "/passphrase"
)

// TryOut returns a signer with keys that are made once per engine and stay in a
// volume there. What they sign is marked as unfit for use.
// +cache="never"
func (m *Image) TryOut(
	ctx context.Context,
	// The attest program, static (attest/cmd/attest).
	attest *dagger.File,
	// A name for another set of keys.
	// +optional
	set string,
) (*Signer, error) {
	volume := tryOutVolume + set
	made := m.container().
		WithMountedFile("/usr/bin/attest", attest).
		// Not locked: who waits for a volume's lock waits for ever when a call that
		// used the volume was interrupted. Of two that make keys at once one wins.
		WithMountedCache(keys, dag.CacheVolume(volume)).
		// The volume may have been emptied since the last time.
		WithEnvVariable("MANGOS_RUN", time.Now().String()).
		WithExec([]string{sandbox, "--", "sh", "-euc", `
			if [ ! -e /keys/set ]; then
				new=$(mktemp -d /keys/new.XXXXXX)
				attest keys generate --try-out --dir "$new/set" >&2
				mv -T "$new/set" /keys/set || [ -e /keys/set ]
				rm -rf "$new"
			fi
			cp /keys/set/*.crt /keys/set/*.pub /out/`},
			dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		Directory("/out")
	// A new folder is known by its content, the output of a step that is run
	// each time is not.
	public := dag.Directory()
	names, err := made.Entries(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := made.File(name).Contents(ctx)
		if err != nil {
			return nil, err
		}
		public = public.WithNewFile(name, text)
	}
	return &Signer{Image: m, Volume: volume, Public: public}, nil
}

// TryOutVolume returns the volume with the try-out keys, in its folder set: for
// tests, which sign extensions and updates as the organisation would.
func (m *Image) TryOutVolume() *dagger.CacheVolume { return dag.CacheVolume(tryOutVolume) }

// Certificate returns a certificate or public key: secure-boot.crt, verity.crt,
// pcr.pub or release.pub.
func (s *Signer) Certificate(name string) *dagger.File { return s.Public.File(name) }

// step is a step that signs with one key, whose file it has as keyFile.
func (s *Signer) step(ctx context.Context, name string, key *dagger.Secret, role, public string) (*step, error) {
	if key == nil && s.Volume == "" && s.Signatures == nil {
		return nil, fmt.Errorf("%s: the signer has no %s key", name, role)
	}
	digest, err := s.Public.File(public).Digest(ctx)
	if err != nil {
		return nil, err
	}
	step := s.Image.step(name).file("keys/"+public, s.Public.File(public))
	step.ctr = step.ctr.WithEnvVariable("MANGOS_KEY_"+role, digest)
	step.record = append(step.record, "--secret", keys)
	if err := s.key(ctx, step, role, key); err != nil {
		return nil, err
	}
	if s.Passphrase != nil {
		step.ctr = step.ctr.WithMountedSecret(passphrase, s.Passphrase)
		step.sandbox = append(step.sandbox, "--env", "MANGOS_PASSPHRASE_FILE="+passphrase)
	}
	if s.P11 != nil {
		step.ctr = step.ctr.WithUnixSocket(p11Socket, s.P11)
		step.record = append(step.record, "--secret", p11Socket)
		step.sandbox = append(step.sandbox, "--env", "P11_KIT_SERVER_ADDRESS=unix:path="+p11Socket,
			"--env", "PKCS11_PROVIDER_MODULE=/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so")
	}
	return step, nil
}

// key puts the private key of a role where a step finds it, or what stands for it.
func (s *Signer) key(ctx context.Context, step *step, role string, key *dagger.Secret) error {
	switch {
	case s.Signatures != nil:
		return s.signatures(ctx, step, role)
	case key == nil:
		step.ctr = step.ctr.WithMountedCache(keys, dag.CacheVolume(s.Volume))
	default:
		step.ctr = step.ctr.WithMountedSecret(keyFile(role), key)
	}
	return nil
}

// signatures puts what the key of a role has signed elsewhere where a step finds it, and
// no other key's: a step is not done again when those arrive, because then its record
// would be another, and what was signed of that.
func (s *Signer) signatures(ctx context.Context, step *step, role string) error {
	names, err := s.Signatures.Entries(ctx)
	if err != nil {
		return err
	}
	step.ctr = step.ctr.WithDirectory(keyFile(role), dag.Directory())
	for _, name := range names {
		if strings.HasPrefix(name, role+"-") {
			step.ctr = step.ctr.WithMountedFile(keyFile(role)+"/"+name, s.Signatures.File(name))
		}
	}
	return nil
}

const p11Socket = "/run/p11-kit/pkcs11"

// keyFile is where a step finds a private key.
func keyFile(role string) string { return keys + "/set/" + role + ".key" }

// signVerity makes the content of the signature partition for a root hash.
func (s *Signer) signVerity(ctx context.Context, unsigned *dagger.Directory, out string) (*Made, error) {
	step, err := s.step(ctx, "sign-verity", s.Verity, "verity", "verity.crt")
	if err != nil {
		return nil, err
	}
	return step.
		files("", unsigned, rootHash).
		run("sign-verity", "--root-hash", "/in/"+rootHash, "--key", keyFile("verity"),
			"--certificate", publicKeys+"/verity.crt", "--out", "/out/"+out), nil
}

const bootLoader = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"

// signBoot makes the signed boot loader, boot.efi.
func (s *Signer) signBoot(ctx context.Context) (*Made, error) {
	step, err := s.step(ctx, "sign-boot", s.SecureBoot, "secure-boot", "secure-boot.crt")
	if err != nil {
		return nil, err
	}
	return step.run("sign-program", "--in", bootLoader, "--key", keyFile("secure-boot"),
		"--certificate", publicKeys+"/secure-boot.crt", "--out", "/out/boot.efi"), nil
}

// signImage makes the signed unified kernel image and the values of PCR 11 that
// it leaves.
func (s *Signer) signImage(ctx context.Context, unsigned *dagger.Directory, bzImage *dagger.File, p plan, n names) (*Made, error) {
	step, err := s.step(ctx, "sign", s.SecureBoot, "secure-boot", "secure-boot.crt")
	if err != nil {
		return nil, err
	}
	digest, err := s.Public.File("pcr.pub").Digest(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.key(ctx, step, "pcr", s.PCR); err != nil {
		return nil, err
	}
	step.ctr = step.ctr.WithEnvVariable("MANGOS_KEY_pcr", digest)
	return step.plan(p).
		file("keys/pcr.pub", s.Public.File("pcr.pub")).
		files("", unsigned, normal).
		file("certified/bzImage", bzImage).
		run("sign-image", "--normal-form", "/in/"+normal, "--kernel", "/in/certified/bzImage",
			"--pcr-key", keyFile("pcr"), "--pcr-public", publicKeys+"/pcr.pub",
			"--key", keyFile("secure-boot"), "--certificate", publicKeys+"/secure-boot.crt",
			"--plan", planPath, "--out", "/out/"+n.Image, "--pcrs", "/out/"+n.PCRs), nil
}

// names are the names of a release's files.
type names struct {
	TryOut                                                  bool
	Entry                                                   string
	Disk, Image, PCRs, Unsigned, Org, Signature, Tree, Root string
}

func (s *Signer) names(ctx context.Context, unsigned *dagger.Directory, p plan) (names, error) {
	var n names
	text, err := s.Image.container().
		WithMountedFile("/in/roothash", unsigned.File(rootHash)).
		WithMountedFile("/in/secure-boot.crt", s.Public.File("secure-boot.crt")).
		WithMountedFile("/in/verity.crt", s.Public.File("verity.crt")).
		WithMountedFile(planPath, p.file()).
		With(unrecorded("names", "--plan", planPath, "--root-hash", "/in/roothash",
			"--secure-boot", "/in/secure-boot.crt", "--verity", "/in/verity.crt")).
		Stdout(ctx)
	if err != nil {
		return n, err
	}
	return n, json.Unmarshal([]byte(text), &n)
}

// Files returns the files of a release, without evidence, checksums and what Split
// returns: the disk image, the unified kernel image, the signature for updates, the PCR
// values, the list of the unsigned set.
func (s *Signer) Files(
	ctx context.Context,
	// What Unsigned returns.
	unsigned *dagger.Directory,
	// The kernel with the certificate of the verity key.
	bzImage *dagger.File,
	// The organisation's configuration, a folder with etc/.
	// +optional
	org *dagger.Directory,
	// The counter of the extension that is made of it: a device refuses a lower one
	// than it has seen.
	// +optional
	orgCounter int,
	// The text of plan.json (see Plan).
	plan string,
) (*Made, error) {
	p, err := readPlan(plan)
	if err != nil {
		return nil, err
	}
	n, err := s.names(ctx, unsigned, p)
	if err != nil {
		return nil, err
	}
	signature, err := s.signVerity(ctx, unsigned, n.Signature)
	if err != nil {
		return nil, err
	}
	boot, err := s.signBoot(ctx)
	if err != nil {
		return nil, err
	}
	image, err := s.signImage(ctx, unsigned, bzImage, p, n)
	if err != nil {
		return nil, err
	}
	args := []string{"disk", "--plan", planPath,
		"--root", "/in/" + rootImage, "--tree", "/in/" + hashTree, "--signature", "/in/" + n.Signature,
		"--boot-loader", "/in/boot.efi", "--uki", "/in/" + n.Image,
		"--try-out=" + strconv.FormatBool(n.TryOut), "--compressed", "/out/" + n.Disk}
	step := s.Image.step("disk").plan(p).
		files("", unsigned, rootImage, hashTree).
		files("", signature.Files, n.Signature).
		files("", boot.Files, "boot.efi").
		files("", image.Files, n.Image)
	records := together(signature, boot, image)
	files := dag.Directory()
	if org != nil {
		extension, err := s.extension(ctx, org, n.Org, orgFlags(orgCounter)...)
		if err != nil {
			return nil, err
		}
		step.file(n.Org, extension.Files.File(n.Org))
		args = append(args, "--extension", "org.confext.raw=/in/"+n.Org)
		records = records.WithDirectory("/", extension.Records).WithDirectory("/", s.Image.given("configuration", orgTree, org))
		files = files.WithDirectory("/", extension.Files)
	}
	disk := step.run(args...)
	return &Made{
		Files: files.
			WithDirectory("/", disk.Files).
			WithDirectory("/", image.Files).
			WithDirectory("/", signature.Files).
			WithFile(p.manifest(), unsigned.File(p.manifest())).
			WithFile(p.bill(), unsigned.File(p.bill())),
		Records: records.WithDirectory("/", disk.Records),
	}, nil
}

// Evidence adds to the files of a release what the records of its steps say:
// statements, links and layout, signed.
func (s *Signer) Evidence(
	ctx context.Context,
	// The files of a release.
	files *dagger.Directory,
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
	return s.evidence(ctx, files, records, attest, n.Entry)
}

// evidence adds to files what records say, signed. The names of the statements' files
// begin with name.
func (s *Signer) evidence(ctx context.Context, files, records *dagger.Directory, attest *dagger.File, name string, flags ...string) (*dagger.Directory, error) {
	step, err := s.step(ctx, "evidence", s.Attest, "attest", "attest.pub")
	if err != nil {
		return nil, err
	}
	command := append([]string{programs + "attest", "evidence", "--records", "/in/records", "--name", name, "--key", keyFile("attest"),
		"--public", publicKeys + "/attest.pub", "--epoch", s.Image.Epoch, "--out", "/out"}, flags...)
	return files.WithDirectory("/", step.
		file("program/attest", attest).
		folder("records", records).
		sign(command...)), nil
}

func (s *Signer) sums(files *dagger.Directory) *dagger.File {
	return s.Image.container().
		WithMountedDirectory("/in/release", files).
		With(unrecorded("sums", "--release", "/in/release", "--out", "/out/SHA256SUMS")).
		Directory("/out").
		File("SHA256SUMS")
}

// Seal adds SHA256SUMS and its signature to the files of a release. Nothing may
// be added afterwards.
func (s *Signer) Seal(ctx context.Context, files *dagger.Directory) (*dagger.Directory, error) {
	sums := s.sums(files)
	step, err := s.step(ctx, "seal", s.Release, "release", "release.pub")
	if err != nil {
		return nil, err
	}
	signature := step.
		file("SHA256SUMS", sums).
		sign(program, "sign-sums", "--sums", "/in/SHA256SUMS", "--key", keyFile("release"),
			"--public", publicKeys+"/release.pub", "--out", "/out/SHA256SUMS.gpg").
		File("SHA256SUMS.gpg")
	return files.WithFile("SHA256SUMS", sums).WithFile("SHA256SUMS.gpg", signature), nil
}
