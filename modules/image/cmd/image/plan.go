package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/modules/definition"
	"github.com/mastercard/mangos/modules/image/output"
	"github.com/mastercard/mangos/modules/image/plan"
)

// planStep writes the plan, which the steps after it read. A version that is too long
// for a label is refused here, before anything is built.
func planStep() *cobra.Command {
	var file, version, out string
	c := step("plan", "write what the definition says of the image, JSON", func(context.Context) error {
		d, err := definition.Load(file)
		if err != nil {
			return err
		}
		p, err := plan.Make(d, version)
		if err != nil {
			return err
		}
		text, err := p.JSON()
		if err != nil {
			return err
		}
		if out == "" {
			_, err := os.Stdout.Write(text)
			return err
		}
		return output.Bytes(out, text)
	})
	c.Flags().StringVar(&file, "definition", "mangos.toml", "the definition")
	c.Flags().StringVar(&version, "version", "", "another version than the definition's")
	c.Flags().StringVar(&out, "out", "", "the plan (plan.json); standard output if it is not given")
	return require(c, "definition")
}

// planFlag adds --plan. The function reads the file that it names.
func planFlag(c *cobra.Command) func() (*plan.Plan, error) {
	file := c.Flags().String("plan", "", "what the definition says of the image (image plan)")
	return func() (*plan.Plan, error) { return plan.Load(*file) }
}
