package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/passphrase"
	"github.com/mastercard/mangos/format/uki"
	"github.com/mastercard/mangos/modules/image/output"
	"github.com/mastercard/mangos/modules/image/plan"
	"github.com/mastercard/mangos/modules/image/sign"
	"github.com/mastercard/mangos/modules/image/unified"
)

// The steps in this file need a key each. It may be in a file, behind a PKCS#11
// URI, or elsewhere: a folder then holds its signatures. The passphrase of a key
// that has one is in the file that MANGOS_PASSPHRASE_FILE names, or is asked for.

// ask gets the passphrase of a key that has one.
var ask = passphrase.Existing(os.Getenv(passphrase.Variable), "name a file with it in "+passphrase.Variable)

func openKey(text string) (sign.Key, error) { return sign.OpenKey(text, ask) }

// openPair opens a key with its certificate.
func openPair(key, cert string) (sign.Key, *sign.Certificate, error) {
	certificate, err := sign.ReadCertificate(cert)
	if err != nil {
		return sign.Key{}, nil, err
	}
	opened, err := openKey(key)
	return opened, certificate, err
}

const keyHelp = " (PEM file, pkcs11: URI, file with one, or folder of signatures made elsewhere)"

func signVerityStep() *cobra.Command {
	var hash, key, cert, out string
	c := step("sign-verity", "sign a root hash and make the signature partition", func(ctx context.Context) error {
		opened, certificate, err := openPair(key, cert)
		if err != nil {
			return err
		}
		warn(certificate.IsTryOut())
		return signVerity(ctx, hash, opened, certificate, out)
	})
	c.Flags().StringVar(&hash, "root-hash", "", "file with the root hash")
	c.Flags().StringVar(&key, "key", "", "verity key"+keyHelp)
	c.Flags().StringVar(&cert, "certificate", "", "its certificate, PEM")
	c.Flags().StringVar(&out, "out", "", "content of the signature partition")
	return require(c, "root-hash", "key", "certificate", "out")
}

func signVerity(ctx context.Context, hash string, key sign.Key, cert *sign.Certificate, out string) error {
	root, err := readRootHash(hash)
	if err != nil {
		return err
	}
	signature, err := sign.Verity(ctx, root, key, cert)
	if err != nil {
		return err
	}
	content, err := signature.Encode()
	if err != nil {
		return err
	}
	return output.Bytes(out, content)
}

func signProgramStep() *cobra.Command {
	var in, key, cert, out string
	c := step("sign-program", "sign an EFI program for Secure Boot", func(ctx context.Context) error {
		opened, certificate, err := openPair(key, cert)
		if err != nil {
			return err
		}
		return sign.Program(ctx, in, out, opened, certificate)
	})
	c.Flags().StringVar(&in, "in", "", "the program")
	c.Flags().StringVar(&key, "key", "", "Secure Boot key"+keyHelp)
	c.Flags().StringVar(&cert, "certificate", "", "its certificate, PEM")
	c.Flags().StringVar(&out, "out", "", "the signed program")
	return require(c, "in", "key", "certificate", "out")
}

func signImageStep() *cobra.Command {
	var (
		i                   imageFlags
		pcrKey, key, public string
		cert, out, pcrs     string
		epoch               func() (int64, error)
	)
	c := step("sign-image", "make the signed unified kernel image and its expected PCR values", func(ctx context.Context) error {
		p, err := i.plan()
		if err != nil {
			return err
		}
		at, err := epoch()
		if err != nil {
			return err
		}
		secureBoot, certificate, err := openPair(key, cert)
		if err != nil {
			return err
		}
		policies, err := openKey(pcrKey)
		if err != nil {
			return err
		}
		return i.sign(ctx, p, imageKeys{policies, secureBoot, certificate, public}, at, out, pcrs)
	})
	f := c.Flags()
	i.flags(c)
	f.StringVar(&pcrKey, "pcr-key", "", "PCR key"+keyHelp)
	f.StringVar(&public, "pcr-public", "", "public half of the PCR key, PEM")
	f.StringVar(&key, "key", "", "Secure Boot key"+keyHelp)
	f.StringVar(&cert, "certificate", "", "its certificate, PEM")
	f.StringVar(&out, "out", "", "the signed image")
	f.StringVar(&pcrs, "pcrs", "", "the expected PCR values to write, JSON")
	epoch = epochFlag(c)
	return require(c, "normal-form", "kernel", "pcr-public", "stub", "pcr-key", "key", "certificate", "plan", "out", "pcrs")
}

// imageFlags say what an organisation's image is made of, and what it is called.
type imageFlags struct {
	organisationFlags
	stub string
	plan func() (*plan.Plan, error)
}

func (i *imageFlags) flags(c *cobra.Command) {
	i.organisationFlags.flags(c)
	c.Flags().StringVar(&i.stub, "stub", defaultStub, "systemd-stub")
	i.plan = planFlag(c)
}

// imageKeys are the keys that sign an image, with their public halves.
type imageKeys struct {
	pcr, secureBoot sign.Key
	certificate     *sign.Certificate
	pcrPublic       string
}

// sign makes the signed image and its expected PCR values.
func (i *imageFlags) sign(ctx context.Context, p *plan.Plan, k imageKeys, epoch int64, out, pcrs string) error {
	i.tryOut = i.tryOut || k.certificate.IsTryOut()
	warn(i.tryOut)
	normal, organisation, err := i.read(k.pcrPublic)
	if err != nil {
		return err
	}
	phases, err := organisation.Predict(normal)
	if err != nil {
		return err
	}
	signatures, err := sign.Policies(ctx, phases, k.pcr, organisation.PCRPublic)
	if err != nil {
		return err
	}
	return output.Made(out, func(temporary string) error {
		bare := filepath.Join(filepath.Dir(temporary), p.Name+"_"+p.Version+".efi")
		if err := organisation.Build(ctx, normal, i.stub, signatures, epoch, bare); err != nil {
			return err
		}
		if err := sign.Program(ctx, bare, temporary, k.secureBoot, k.certificate); err != nil {
			return err
		}
		return writePCRs(pcrs, p, phases)
	})
}

// warn says so, loudly, where try-out keys sign.
func warn(tryOut bool) {
	if tryOut {
		fmt.Fprintln(os.Stderr, tryOutWarning)
	}
}

const tryOutWarning = `image: ****************************************************************
image: ** SIGNED WITH TRY-OUT KEYS, which anybody with access to this   **
image: ** build machine can use. Unfit for use: for trying things out   **
image: ** only.                                                         **
image: ****************************************************************`

// organisationFlags say what an organisation's image is made of.
type organisationFlags struct {
	normal, kernel string
	tryOut         bool
}

func (o *organisationFlags) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.normal, "normal-form", "", "unified kernel image of the unsigned set")
	f.StringVar(&o.kernel, "kernel", "", "kernel with the organisation's certificate (bzImage)")
	f.BoolVar(&o.tryOut, "try-out", false, "the image is signed with try-out keys: mark it as unfit for use")
}

func (o *organisationFlags) read(pcrPublic string) (*uki.Image, unified.Organisation, error) {
	none := unified.Organisation{}
	normal, err := unified.Read(o.normal)
	if err != nil {
		return nil, none, err
	}
	kernel, err := os.ReadFile(o.kernel)
	if err != nil {
		return nil, none, err
	}
	public, err := sign.ReadPublic(pcrPublic)
	if err != nil {
		return nil, none, err
	}
	return normal, unified.Organisation{Kernel: kernel, PCRPublic: public, TryOut: o.tryOut}, nil
}

func signSumsStep() *cobra.Command {
	var sums, key, public, out string
	var epoch func() (int64, error)
	c := step("sign-sums", "sign SHA256SUMS with the release key", func(context.Context) error {
		at, err := epoch()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(sums)
		if err != nil {
			return err
		}
		signature, err := sign.Release(text, key, public, ask, time.Unix(at, 0))
		if err != nil {
			return err
		}
		return output.Bytes(out, signature)
	})
	c.Flags().StringVar(&sums, "sums", "", "SHA256SUMS")
	c.Flags().StringVar(&key, "key", "", "release key (armored OpenPGP file, or folder of signatures made elsewhere)")
	c.Flags().StringVar(&public, "public", "", "its public half (armored OpenPGP file)")
	c.Flags().StringVar(&out, "out", "", "detached signature (SHA256SUMS.gpg)")
	epoch = epochFlag(c)
	return require(c, "sums", "key", "public", "out")
}
