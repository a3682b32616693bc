package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/modules/definition"
	"github.com/mastercard/mangos/modules/image/rootfs"
)

// plan is what the steps need of the definition, as words for their arguments.
type plan struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	CommandLine string `json:"commandLine"`
	Tries       int    `json:"tries"`
	Microcode   bool   `json:"microcode"`
	// Firmware tells that the images hold firmware, and Without what they do not.
	Firmware   bool     `json:"firmware"`
	Without    []string `json:"without"`
	ESPSize    int64    `json:"espSize"`
	RootSize   int64    `json:"rootSize"`
	VeritySize int64    `json:"veritySize"`
}

// planStep prints the plan. It takes the place of the version in the definition
// where another is given, and refuses one that is too long for a label before
// anything is built.
func planStep() *cobra.Command {
	var file, version string
	c := step("plan", "print what the definition says of the image, JSON", func(context.Context) error {
		d, err := definition.Load(file)
		if err != nil {
			return err
		}
		i := d.Image
		if i == nil {
			return errors.New("plan: the definition has no table [image]")
		}
		if version == "" {
			version = i.Version
		}
		if err := rootfs.CheckVersion(i.Name, version); err != nil {
			return fmt.Errorf("plan: %w", err)
		}
		dist, err := d.Distribution("")
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(plan{
			Name: i.Name, Version: version, CommandLine: strings.Join(i.CommandLine, " "), Tries: i.Tries,
			Microcode: i.Microcode, Firmware: i.Firmware, Without: dist.Firmware.Without, ESPSize: int64(i.Disk.ESP), RootSize: int64(i.Disk.Root), VeritySize: int64(i.Disk.Verity),
		})
	})
	c.Flags().StringVar(&file, "definition", "mangos.toml", "the definition")
	c.Flags().StringVar(&version, "version", "", "another version than the definition's")
	return require(c, "definition")
}
