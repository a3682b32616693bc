// Package plan holds what a definition says of an image, as the steps that make the
// image read it: the file plan.json. It has nothing of the rest of the definition, so
// that a step has something else to do only when its plan is another.
package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mastercard/mangos/attest/strictjson"
	"github.com/mastercard/mangos/modules/definition"
	"github.com/mastercard/mangos/modules/image/rootfs"
)

// maxSize is the size in bytes of the largest plan that is read.
const maxSize = 1 << 20

// blockSize divides the size of every partition.
const blockSize = 4096

// ErrInvalid is wrapped by every error about what a plan says.
var ErrInvalid = errors.New("invalid plan")

// Plan is what the steps need to know.
type Plan struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// CommandLine is the built-in kernel command line, without roothash=.
	CommandLine string `json:"commandLine"`
	// Tries is how often an image is booted until it counts as bad; 0: it is not
	// counted.
	Tries int `json:"tries"`
	// Microcode tells that the kernel image has processor microcode.
	Microcode bool `json:"microcode"`
	// Firmware tells that the images hold firmware, and Without what they do not.
	Firmware bool     `json:"firmware"`
	Without  []string `json:"without"`
	// The sizes of partitions, in bytes.
	ESPSize    int64 `json:"espSize"`
	RootSize   int64 `json:"rootSize"`
	VeritySize int64 `json:"veritySize"`
}

// Make takes the plan out of a definition. A version that is not empty takes the
// place of the definition's. Errors wrap [ErrInvalid].
func Make(d *definition.Definition, version string) (*Plan, error) {
	i := d.Image
	if i == nil {
		return nil, fmt.Errorf("make plan: %w: the definition has no table [image]", ErrInvalid)
	}
	if version == "" {
		version = i.Version
	}
	dist, err := d.Distribution("")
	if err != nil {
		return nil, fmt.Errorf("make plan: %w: %w", ErrInvalid, err)
	}
	p := &Plan{
		Name: i.Name, Version: version, CommandLine: strings.Join(i.CommandLine, " "), Tries: i.Tries,
		Microcode: i.Microcode, Firmware: i.Firmware, Without: append([]string{}, dist.Firmware.Without...),
		ESPSize: int64(i.Disk.ESP), RootSize: int64(i.Disk.Root), VeritySize: int64(i.Disk.Verity),
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("make plan: %w: %w", ErrInvalid, err)
	}
	return p, nil
}

// JSON returns the text of plan.json.
func (p *Plan) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	return append(text, '\n'), nil
}

// Load reads the plan in the file at path.
func Load(path string) (*Plan, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load plan: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("load plan %s: %w", path, err)
	}
	p, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// Parse reads a plan, strictly: a member that is not known is an error. Errors wrap
// [ErrInvalid].
func Parse(text []byte) (*Plan, error) {
	if len(text) > maxSize {
		return nil, fmt.Errorf("parse plan: %w: more than %d bytes", ErrInvalid, maxSize)
	}
	p := &Plan{}
	if err := strictjson.UnmarshalKnown(text, p); err != nil {
		return nil, fmt.Errorf("parse plan: %w: %w", ErrInvalid, err)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("parse plan: %w: %w", ErrInvalid, err)
	}
	return p, nil
}

// check holds the plan against what a definition may say.
func (p *Plan) check() error {
	words := strings.Fields(p.CommandLine)
	if len(words) == 0 || strings.Join(words, " ") != p.CommandLine {
		return errors.New("the command line is empty, or not words with one blank between")
	}
	for _, size := range []int64{p.ESPSize, p.RootSize, p.VeritySize} {
		if size%blockSize != 0 || size < 0 {
			return fmt.Errorf("a partition has %d bytes, want a multiple of %d", size, blockSize)
		}
	}
	i := definition.Image{
		Name: p.Name, Version: p.Version, CommandLine: words, Tries: p.Tries,
		Disk: definition.Disk{ESP: definition.Size(p.ESPSize), Root: definition.Size(p.RootSize), Verity: definition.Size(p.VeritySize)},
	}
	if err := i.Check(); err != nil {
		return err
	}
	return rootfs.CheckVersion(p.Name, p.Version)
}
