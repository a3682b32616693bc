package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/format/uki"
	"github.com/mastercard/mangos/modules/image/output"
	"github.com/mastercard/mangos/modules/image/sign"
	"github.com/mastercard/mangos/modules/image/unified"
)

// The steps in this file need a key each: a PEM file or a PKCS#11 URI.

const keyHelp = " (PEM file, pkcs11: URI, or file with one)"

func signVerityStep() *cobra.Command {
	var hash, key, cert, out string
	c := step("sign-verity", "sign a root hash and make the signature partition", func(ctx context.Context) error {
		root, err := readRootHash(hash)
		if err != nil {
			return err
		}
		certificate, err := sign.ReadCertificate(cert)
		if err != nil {
			return err
		}
		opened, err := sign.OpenKey(key)
		if err != nil {
			return err
		}
		signature, err := sign.Verity(ctx, root, opened, certificate)
		if err != nil {
			return err
		}
		content, err := signature.Encode()
		if err != nil {
			return err
		}
		return output.Bytes(out, content)
	})
	c.Flags().StringVar(&hash, "root-hash", "", "file with the root hash")
	c.Flags().StringVar(&key, "key", "", "verity key"+keyHelp)
	c.Flags().StringVar(&cert, "certificate", "", "its certificate, PEM")
	c.Flags().StringVar(&out, "out", "", "content of the signature partition")
	return require(c, "root-hash", "key", "certificate", "out")
}

func signProgramStep() *cobra.Command {
	var in, key, cert, out string
	c := step("sign-program", "sign an EFI program for Secure Boot", func(ctx context.Context) error {
		certificate, err := sign.ReadCertificate(cert)
		if err != nil {
			return err
		}
		opened, err := sign.OpenKey(key)
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
		o                        organisationFlags
		stub, pcrKey             string
		secureBootKey, cert      string
		out, pcrs, name, version string
		epoch                    func() (int64, error)
	)
	c := step("sign-image", "make the signed unified kernel image and its expected PCR values", func(ctx context.Context) error {
		at, err := epoch()
		if err != nil {
			return err
		}
		certificate, err := sign.ReadCertificate(cert)
		if err != nil {
			return err
		}
		secureBoot, err := sign.OpenKey(secureBootKey)
		if err != nil {
			return err
		}
		key, err := sign.OpenKey(pcrKey)
		if err != nil {
			return err
		}
		o.tryOut = o.tryOut || certificate.IsTryOut()
		if o.tryOut {
			fmt.Fprintln(os.Stderr, tryOutWarning)
		}
		normal, organisation, err := o.read()
		if err != nil {
			return err
		}
		phases, err := organisation.Predict(normal)
		if err != nil {
			return err
		}
		signatures, err := sign.Policies(ctx, phases, key, organisation.PCRPublic)
		if err != nil {
			return err
		}
		return output.Made(out, func(temporary string) error {
			bare := filepath.Join(filepath.Dir(temporary), "bare.efi")
			if err := organisation.Build(ctx, normal, stub, signatures, at, bare); err != nil {
				return err
			}
			if err := writePCRs(pcrs, name, version, phases); err != nil {
				return err
			}
			return sign.Program(ctx, bare, temporary, secureBoot, certificate)
		})
	})
	f := c.Flags()
	o.flags(c)
	f.StringVar(&stub, "stub", defaultStub, "systemd-stub")
	f.StringVar(&pcrKey, "pcr-key", "", "PCR key"+keyHelp)
	f.StringVar(&secureBootKey, "key", "", "Secure Boot key"+keyHelp)
	f.StringVar(&cert, "certificate", "", "its certificate, PEM")
	f.StringVar(&name, "name", "mangos", "name of the image")
	f.StringVar(&version, "version", "", "its version")
	f.StringVar(&out, "out", "", "the signed image")
	f.StringVar(&pcrs, "pcrs", "", "the expected PCR values to write, JSON")
	epoch = epochFlag(c)
	return require(c, "normal-form", "kernel", "pcr-public", "stub", "pcr-key", "key", "certificate", "name", "version", "out", "pcrs")
}

const tryOutWarning = `image: ****************************************************************
image: ** SIGNED WITH TRY-OUT KEYS, which anybody with access to this   **
image: ** build machine can use. Unfit for use: for trying things out   **
image: ** only.                                                         **
image: ****************************************************************`

// organisationFlags say what an organisation's image is made of.
type organisationFlags struct {
	normal, kernel, public string
	tryOut                 bool
}

func (o *organisationFlags) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.normal, "normal-form", "", "unified kernel image of the unsigned set")
	f.StringVar(&o.kernel, "kernel", "", "kernel with the organisation's certificate (bzImage)")
	f.StringVar(&o.public, "pcr-public", "", "public half of the PCR key, PEM")
	f.BoolVar(&o.tryOut, "try-out", false, "the image is signed with try-out keys: mark it as unfit for use")
}

func (o *organisationFlags) read() (*uki.Image, unified.Organisation, error) {
	none := unified.Organisation{}
	normal, err := unified.Read(o.normal)
	if err != nil {
		return nil, none, err
	}
	kernel, err := os.ReadFile(o.kernel)
	if err != nil {
		return nil, none, err
	}
	public, err := sign.ReadPublic(o.public)
	if err != nil {
		return nil, none, err
	}
	return normal, unified.Organisation{Kernel: kernel, PCRPublic: public, TryOut: o.tryOut}, nil
}

func signSumsStep() *cobra.Command {
	var sums, key, out string
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
		signature, err := sign.Release(text, key, time.Unix(at, 0))
		if err != nil {
			return err
		}
		return output.Bytes(out, signature)
	})
	c.Flags().StringVar(&sums, "sums", "", "SHA256SUMS")
	c.Flags().StringVar(&key, "key", "", "release key (armored OpenPGP file)")
	c.Flags().StringVar(&out, "out", "", "detached signature (SHA256SUMS.gpg)")
	epoch = epochFlag(c)
	return require(c, "sums", "key", "out")
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return output.Bytes(path, append(text, '\n'))
}
