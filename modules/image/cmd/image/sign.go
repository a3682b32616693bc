package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/modules/image/output"
	"github.com/mastercard/mangos/modules/image/sign"
	"github.com/mastercard/mangos/modules/image/unified"
)

// The steps in this file need a key each: a PEM file or a PKCS#11 URI.

const keyHelp = " (PEM file or pkcs11: URI)"

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
		signature, err := sign.Verity(ctx, root, sign.Key(key), certificate)
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
		return sign.Program(ctx, in, out, sign.Key(key), certificate)
	})
	c.Flags().StringVar(&in, "in", "", "the program")
	c.Flags().StringVar(&key, "key", "", "Secure Boot key"+keyHelp)
	c.Flags().StringVar(&cert, "certificate", "", "its certificate, PEM")
	c.Flags().StringVar(&out, "out", "", "the signed program")
	return require(c, "in", "key", "certificate", "out")
}

func signImageStep() *cobra.Command {
	var (
		parts                    unified.Parts
		pcrKey, pcrPublic        string
		secureBootKey, cert      string
		out, pcrs, name, version string
		tryOut                   bool
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
		tryOut = tryOut || certificate.IsTryOut()
		if tryOut {
			fmt.Fprintln(os.Stderr, tryOutWarning)
		}
		return output.Made(out, func(temporary string) error {
			work := filepath.Dir(temporary)
			public, err := sign.ReadPublic(pcrPublic)
			if err != nil {
				return err
			}
			parts.PCRPublic = pcrPublic
			if tryOut {
				if parts.Release, err = markRelease(parts.Release, work); err != nil {
					return err
				}
			}
			phases, err := parts.Predict(ctx, at, work)
			if err != nil {
				return err
			}
			signatures, err := sign.Policies(ctx, phases, sign.Key(pcrKey), public)
			if err != nil {
				return err
			}
			parts.PCRSignatures = filepath.Join(work, "pcrsig")
			if err := writeSignatures(parts.PCRSignatures, signatures); err != nil {
				return err
			}
			bare := filepath.Join(work, "bare.efi")
			if err := parts.Build(ctx, at, bare); err != nil {
				return err
			}
			if err := writePCRs(pcrs, name, version, phases); err != nil {
				return err
			}
			return sign.Program(ctx, bare, temporary, sign.Key(secureBootKey), certificate)
		})
	})
	f := c.Flags()
	partFlags(c, &parts)
	f.StringVar(&pcrKey, "pcr-key", "", "PCR key"+keyHelp)
	f.StringVar(&pcrPublic, "pcr-public", "", "its public half, PEM")
	f.StringVar(&secureBootKey, "key", "", "Secure Boot key"+keyHelp)
	f.StringVar(&cert, "certificate", "", "its certificate, PEM")
	f.BoolVar(&tryOut, "try-out", false, "mark the image as unfit for use")
	f.StringVar(&name, "name", "mangos", "name of the image")
	f.StringVar(&version, "version", "", "its version")
	f.StringVar(&out, "out", "", "the signed image")
	f.StringVar(&pcrs, "pcrs", "", "the expected PCR values to write, JSON")
	epoch = epochFlag(c)
	return require(c, "pcr-key", "pcr-public", "key", "certificate", "name", "version", "out", "pcrs", "kernel", "unsigned", "os-release", "release", "stub")
}

const tryOutWarning = `image: ****************************************************************
image: ** SIGNED WITH TRY-OUT KEYS, which anybody with access to this   **
image: ** build machine can use. Unfit for use: for trying things out   **
image: ** only.                                                         **
image: ****************************************************************`

// partFlags adds the flags that say where the parts of an image lie.
func partFlags(c *cobra.Command, p *unified.Parts) {
	var set string
	f := c.Flags()
	f.StringVar(&p.Kernel, "kernel", "", "kernel with the organisation's certificate (bzImage)")
	f.StringVar(&p.Uname, "release", "", "file with the kernel's release")
	f.StringVar(&p.Release, "os-release", "", "os-release of the root file system")
	f.StringVar(&p.Microcode, "microcode", "", "early archive of microcode (optional)")
	f.StringVar(&p.Stub, "stub", "/usr/lib/systemd/boot/efi/linuxx64.efi.stub", "systemd-stub")
	f.StringVar(&set, "unsigned", "", "folder that the step unsigned wrote")
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		p.Initrd, p.CommandLine = filepath.Join(set, "initrd"), filepath.Join(set, "cmdline")
		return run(c, args)
	}
}

// markRelease writes os-release with the mark of a try-out build.
func markRelease(path, dir string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if text, err = unified.MarkTryOut(text); err != nil {
		return "", err
	}
	marked := filepath.Join(dir, "os-release")
	return marked, os.WriteFile(marked, text, 0o644)
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
