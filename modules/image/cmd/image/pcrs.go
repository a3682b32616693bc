package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/format/pcr"
	"github.com/mastercard/mangos/modules/image/output"
	"github.com/mastercard/mangos/modules/image/plan"
	"github.com/mastercard/mangos/modules/image/unified"
)

func writePCRs(path string, p *plan.Plan, phases []pcr.Phase) error {
	text, err := unified.Expect(p.Name, p.Version, phases).JSON()
	if err != nil {
		return err
	}
	return output.Bytes(path, text)
}

func predictStep() *cobra.Command {
	var (
		o           organisationFlags
		public, out string
		read        func() (*plan.Plan, error)
	)
	c := step("predict", "compute an organisation's PCR values from what is public", func(context.Context) error {
		p, err := read()
		if err != nil {
			return err
		}
		normal, organisation, err := o.read(public)
		if err != nil {
			return err
		}
		phases, err := organisation.Predict(normal)
		if err != nil {
			return err
		}
		return writePCRs(out, p, phases)
	})
	o.flags(c)
	f := c.Flags()
	f.StringVar(&public, "pcr-public", "", "public half of the PCR key, PEM")
	read = planFlag(c)
	f.StringVar(&out, "out", "", "the expected values to write, JSON")
	return require(c, "normal-form", "kernel", "pcr-public", "plan", "out")
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
		b, err := unified.NormalForm(u, linux)
		if err != nil {
			return fmt.Errorf("%s: %w", in, err)
		}
		return output.Bytes(out, b)
	})
	c.Flags().StringVar(&in, "in", "", "the signed image")
	c.Flags().StringVar(&kernel, "kernel", "", "the kernel without certificate (bzImage)")
	c.Flags().StringVar(&out, "out", "", "the normal form")
	return require(c, "in", "kernel", "out")
}
