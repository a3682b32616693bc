package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"dagger/image/internal/dagger"
)

// Signer makes what belongs to one organisation. The private keys are mounted
// into the steps that sign, and never in a layer or a result; each of these
// steps has a digest of the public half among its arguments, so that nothing
// made for one key serves another.
type Signer struct {
	// +private
	Image *Image
	// Public holds secure-boot.crt, verity.crt, pcr.pub and release.pub.
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
	P11 *dagger.Socket
}

// Signer returns a signer with an organisation's keys. A private key is a PEM
// file or the PKCS#11 URI of one (the release key: an armored OpenPGP file).
func (m *Image) Signer(
	secureBootKey *dagger.Secret,
	secureBootCertificate *dagger.File,
	verityKey *dagger.Secret,
	verityCertificate *dagger.File,
	pcrKey *dagger.Secret,
	pcrPublic *dagger.File,
	releaseKey *dagger.Secret,
	releasePublic *dagger.File,
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
			WithFile("release.pub", releasePublic),
		SecureBoot: secureBootKey, Verity: verityKey, PCR: pcrKey, Release: releaseKey, P11: p11,
	}
}

const (
	tryOutVolume = "mangos-try-out-keys"
	keys         = "/keys"
	publicKeys   = "/in/public"
)

// TryOut returns a signer with keys that are made once per engine and stay in a
// volume there. What they sign is marked as unfit for use.
// +cache="never"
func (m *Image) TryOut(
	ctx context.Context,
	// The attest program, static (attest/cmd/attest).
	attest *dagger.File,
) (*Signer, error) {
	made := m.step().
		WithFile("/usr/bin/attest", attest).
		WithMountedCache(keys, dag.CacheVolume(tryOutVolume), dagger.ContainerWithMountedCacheOpts{Sharing: dagger.CacheSharingModeLocked}).
		// The volume may have been emptied since the last time.
		WithEnvVariable("MANGOS_RUN", time.Now().String()).
		WithExec([]string{sandbox, "--", "sh", "-euc", `
			if [ ! -e /keys/set ]; then
				rm -rf /keys/new
				attest keys generate --try-out --dir /keys/new >&2
				mv /keys/new /keys/set
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
	return &Signer{Image: m, Public: public}, nil
}

// TryOutVolume returns the volume with the try-out keys, in its folder set: for
// tests, which sign extensions and updates as the organisation would.
func (m *Image) TryOutVolume() *dagger.CacheVolume { return dag.CacheVolume(tryOutVolume) }

// Certificate returns a certificate or public key: secure-boot.crt, verity.crt,
// pcr.pub or release.pub.
func (s *Signer) Certificate(name string) *dagger.File { return s.Public.File(name) }

// step is a step that signs with one key, whose file it has as keyFile.
func (s *Signer) step(ctx context.Context, key *dagger.Secret, role, public string) (*dagger.Container, error) {
	digest, err := s.Public.File(public).Digest(ctx)
	if err != nil {
		return nil, err
	}
	c := s.Image.step().
		With(files(publicKeys, s.Public, "secure-boot.crt", "verity.crt", "pcr.pub", "release.pub")).
		WithEnvVariable("MANGOS_KEY_"+role, digest)
	if key == nil {
		return c.WithMountedCache(keys, dag.CacheVolume(tryOutVolume)), nil
	}
	c = c.WithMountedSecret(keyFile(role), key)
	if s.P11 != nil {
		c = c.WithUnixSocket(p11Socket, s.P11)
	}
	return c, nil
}

const p11Socket = "/run/p11-kit/pkcs11"

// keyFile is where a step finds a private key.
func keyFile(role string) string { return keys + "/set/" + role + ".key" }

// sign runs a step of the image program, which may talk to the p11-kit server.
func (s *Signer) sign(args ...string) func(*dagger.Container) *dagger.Container {
	return func(c *dagger.Container) *dagger.Container {
		command := []string{sandbox}
		if s.P11 != nil {
			command = append(command, "--env", "P11_KIT_SERVER_ADDRESS=unix:path="+p11Socket,
				"--env", "PKCS11_PROVIDER_MODULE=/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so")
		}
		return c.WithExec(append(append(command, "--", program), args...),
			dagger.ContainerWithExecOpts{InsecureRootCapabilities: true})
	}
}

// SignVerity returns the content of the signature partition for a root hash.
func (s *Signer) SignVerity(ctx context.Context, rootHash *dagger.File) (*dagger.File, error) {
	step, err := s.step(ctx, s.Verity, "verity", "verity.crt")
	if err != nil {
		return nil, err
	}
	return step.
		WithMountedFile("/in/roothash", rootHash).
		With(s.sign("sign-verity", "--root-hash", "/in/roothash", "--key", keyFile("verity"),
			"--certificate", publicKeys+"/verity.crt", "--out", "/out/signature")).
		Directory("/out").
		File("signature"), nil
}

// SignProgram returns an EFI program signed for Secure Boot; without one given,
// the boot loader from the tools.
func (s *Signer) SignProgram(
	ctx context.Context,
	// +optional
	efi *dagger.File,
) (*dagger.File, error) {
	step, err := s.step(ctx, s.SecureBoot, "secure-boot", "secure-boot.crt")
	if err != nil {
		return nil, err
	}
	in := "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"
	if efi != nil {
		in = "/in/program.efi"
		step = step.WithMountedFile(in, efi)
	}
	return step.
		With(s.sign("sign-program", "--in", in, "--key", keyFile("secure-boot"),
			"--certificate", publicKeys+"/secure-boot.crt", "--out", "/out/signed.efi")).
		Directory("/out").
		File("signed.efi"), nil
}

// SignImage returns the signed unified kernel image (uki.efi) and the values of
// PCR 11 that it leaves (pcrs.json).
func (s *Signer) SignImage(
	ctx context.Context,
	// What Unsigned returns.
	unsigned *dagger.Directory,
	// The kernel with the certificate of the verity key.
	bzImage *dagger.File,
	// What Plan returns.
	plan string,
) (*dagger.Directory, error) {
	p, err := readPlan(plan)
	if err != nil {
		return nil, err
	}
	step, err := s.step(ctx, s.SecureBoot, "secure-boot", "secure-boot.crt")
	if err != nil {
		return nil, err
	}
	digest, err := s.Public.File("pcr.pub").Digest(ctx)
	if err != nil {
		return nil, err
	}
	if s.PCR != nil {
		step = step.WithMountedSecret(keyFile("pcr"), s.PCR)
	}
	return step.
		WithEnvVariable("MANGOS_KEY_pcr", digest).
		WithMountedFile("/in/uki.efi", unsigned.File(normal)).
		WithMountedFile("/in/bzImage", bzImage).
		With(s.sign("sign-image", "--normal-form", "/in/uki.efi", "--kernel", "/in/bzImage",
			"--pcr-key", keyFile("pcr"), "--pcr-public", publicKeys+"/pcr.pub",
			"--key", keyFile("secure-boot"), "--certificate", publicKeys+"/secure-boot.crt",
			"--name", p.Name, "--version", p.Version, "--out", "/out/uki.efi", "--pcrs", "/out/pcrs.json")).
		Directory("/out"), nil
}

// Extension returns a signed extension image.
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
) (*dagger.File, error) {
	step, err := s.step(ctx, s.Verity, "verity", "verity.crt")
	if err != nil {
		return nil, err
	}
	out := fmt.Sprintf("%s.%s.raw", name, class)
	return step.
		WithMountedDirectory("/in/tree", tree).
		With(s.sign("extension", "--tree", "/in/tree", "--class", class, "--name", name, "--purpose", purpose,
			"--counter", strconv.Itoa(counter), "--reload="+strconv.FormatBool(reload),
			"--key", keyFile("verity"), "--certificate", publicKeys+"/verity.crt", "--out", "/out/"+out)).
		Directory("/out").File(out), nil
}

// names are the names of a release's files.
type names struct {
	TryOut                                                  bool
	Disk, Image, PCRs, Unsigned, Org, Signature, Tree, Root string
}

func (s *Signer) names(ctx context.Context, unsigned *dagger.Directory, p plan) (names, error) {
	var n names
	text, err := s.Image.step().
		WithMountedFile("/in/roothash", unsigned.File(rootHash)).
		WithMountedFile("/in/secure-boot.crt", s.Public.File("secure-boot.crt")).
		With(run("names", "--name", p.Name, "--version", p.Version,
			"--root-hash", "/in/roothash", "--certificate", "/in/secure-boot.crt")).
		Stdout(ctx)
	if err != nil {
		return n, err
	}
	return n, json.Unmarshal([]byte(text), &n)
}

// Disk returns the bootable disk image (disk.raw) and what was signed for it:
// uki.efi, pcrs.json and signature.
func (s *Signer) Disk(
	ctx context.Context,
	// What Unsigned returns.
	unsigned *dagger.Directory,
	// The kernel with the certificate of the verity key.
	bzImage *dagger.File,
	// The organisation's configuration extension.
	// +optional
	org *dagger.File,
	// What Plan returns.
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
	signature, err := s.SignVerity(ctx, unsigned.File(rootHash))
	if err != nil {
		return nil, err
	}
	boot, err := s.SignProgram(ctx, nil)
	if err != nil {
		return nil, err
	}
	image, err := s.SignImage(ctx, unsigned, bzImage, plan)
	if err != nil {
		return nil, err
	}
	args := []string{"disk", "--name", p.Name, "--version", p.Version,
		"--root", "/in/" + rootImage, "--tree", "/in/" + hashTree, "--signature", "/in/signature",
		"--boot-loader", "/in/boot.efi", "--uki", "/in/uki.efi", "--tries", strconv.Itoa(p.Tries),
		"--esp-size", strconv.FormatInt(p.ESPSize, 10), "--root-size", strconv.FormatInt(p.RootSize, 10),
		"--verity-size", strconv.FormatInt(p.VeritySize, 10),
		"--try-out=" + strconv.FormatBool(n.TryOut), "--out", "/out/disk.raw"}
	step := s.Image.step().
		WithMountedFile("/in/"+rootImage, unsigned.File(rootImage)).
		WithMountedFile("/in/"+hashTree, unsigned.File(hashTree)).
		WithMountedFile("/in/signature", signature).
		WithMountedFile("/in/boot.efi", boot).
		WithMountedFile("/in/uki.efi", image.File("uki.efi"))
	if org != nil {
		step = step.WithMountedFile("/in/org.confext.raw", org)
		args = append(args, "--extension", "org.confext.raw=/in/org.confext.raw")
	}
	return step.With(run(args...)).Directory("/out").
		WithDirectory("/", image).
		WithFile("signature", signature), nil
}

// Files returns the files of a release, without attestations and checksums.
func (s *Signer) Files(
	ctx context.Context,
	// What Unsigned returns.
	unsigned *dagger.Directory,
	// What Split returns.
	split *dagger.Directory,
	// What Disk returns.
	disk *dagger.Directory,
	// The organisation's configuration extension.
	// +optional
	org *dagger.File,
	// What Plan returns.
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
	compressed := s.Image.step().
		WithMountedFile("/in/disk.raw", disk.File("disk.raw")).
		With(run("compress", "--in", "/in/disk.raw", "--out", "/out/disk.zst")).
		Directory("/out").
		File("disk.zst")
	files := split.
		WithFile(n.Disk, compressed).
		WithFile(n.Image, disk.File("uki.efi")).
		WithFile(n.PCRs, disk.File("pcrs.json")).
		WithFile(n.Signature, disk.File("signature")).
		WithFile(n.Unsigned, unsigned.File(manifest))
	if org != nil {
		files = files.WithFile(n.Org, org)
	}
	return files, nil
}

// Seal adds SHA256SUMS and its signature to the files of a release. Nothing may
// be added afterwards.
func (s *Signer) Seal(ctx context.Context, files *dagger.Directory) (*dagger.Directory, error) {
	sums := s.Image.step().
		WithMountedDirectory("/in/release", files).
		With(run("sums", "--release", "/in/release", "--out", "/out/SHA256SUMS")).
		Directory("/out").
		File("SHA256SUMS")
	step, err := s.step(ctx, s.Release, "release", "release.pub")
	if err != nil {
		return nil, err
	}
	signature := step.
		WithMountedFile("/in/SHA256SUMS", sums).
		With(s.sign("sign-sums", "--sums", "/in/SHA256SUMS", "--key", keyFile("release"),
			"--public", publicKeys+"/release.pub", "--out", "/out/SHA256SUMS.gpg")).
		Directory("/out").
		File("SHA256SUMS.gpg")
	return files.WithFile("SHA256SUMS", sums).WithFile("SHA256SUMS.gpg", signature), nil
}
