package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/format/pcr"
	"github.com/mastercard/mangos/format/uki"
	"github.com/mastercard/mangos/modules/image/output"
	"github.com/mastercard/mangos/modules/image/unified"
)

// expected is the content of mangos_<version>.pcrs.json.
type expected struct {
	Name    string          `json:"name"`
	Version string          `json:"version"`
	PCR     int             `json:"pcr"`
	Bank    string          `json:"bank"`
	Phases  []expectedPhase `json:"phases"`
}

type expectedPhase struct {
	Phase  string `json:"phase"`
	Value  string `json:"value"`
	Policy string `json:"policy"`
}

func writePCRs(path, name, version string, phases []pcr.Phase) error {
	e := expected{Name: name, Version: version, PCR: pcr.Kernel, Bank: "sha256"}
	for _, p := range phases {
		e.Phases = append(e.Phases, expectedPhase{Phase: p.Path, Value: p.Value.String(), Policy: p.Policy.String()})
	}
	return writeJSON(path, e)
}

func writeSignatures(path string, signatures []pcr.Signature) error {
	text, err := pcr.EncodeSignatures(signatures)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

func predictStep() *cobra.Command {
	var (
		parts              unified.Parts
		out, name, version string
		tryOut             bool
		epoch              func() (int64, error)
	)
	c := step("predict", "compute an organisation's PCR values from the unsigned set, its certificate and its PCR key's public half", func(ctx context.Context) error {
		at, err := epoch()
		if err != nil {
			return err
		}
		return output.Made(out, func(temporary string) error {
			work := filepath.Dir(temporary)
			if tryOut {
				if parts.Release, err = markRelease(parts.Release, work); err != nil {
					return err
				}
			}
			phases, err := parts.Predict(ctx, at, work)
			if err != nil {
				return err
			}
			return writePCRs(temporary, name, version, phases)
		})
	})
	partFlags(c, &parts)
	f := c.Flags()
	f.StringVar(&parts.PCRPublic, "pcr-public", "", "public half of the PCR key, PEM")
	f.BoolVar(&tryOut, "try-out", false, "predict for a try-out build")
	f.StringVar(&name, "name", "mangos", "name of the image")
	f.StringVar(&version, "version", "", "its version")
	f.StringVar(&out, "out", "", "the expected values to write, JSON")
	epoch = epochFlag(c)
	return require(c, "pcr-public", "name", "version", "out", "kernel", "unsigned", "os-release", "release", "stub")
}

func normalStep() *cobra.Command {
	var in, kernel, out string
	c := step("normal", "compute the normal form of a signed unified kernel image", func(context.Context) error {
		u, err := unified.Read(in)
		if err != nil {
			return err
		}
		linux, err := os.ReadFile(kernel)
		if err != nil {
			return err
		}
		replace := map[string][]byte{".linux": linux}
		if release, marked := unified.UnmarkTryOut(u.Section(".osrel")); marked {
			replace[".osrel"] = release
		}
		b, err := u.NormalForm(replace)
		if err != nil {
			return fmt.Errorf("%s: %w", in, err)
		}
		if _, err := uki.Parse(b); err != nil {
			return fmt.Errorf("%s: its normal form: %w", in, err)
		}
		return output.Bytes(out, b)
	})
	c.Flags().StringVar(&in, "in", "", "the signed image")
	c.Flags().StringVar(&kernel, "kernel", "", "the kernel without certificate (bzImage)")
	c.Flags().StringVar(&out, "out", "", "the normal form")
	return require(c, "in", "kernel", "out")
}
