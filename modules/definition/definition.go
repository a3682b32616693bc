// Package definition reads mangos.toml, the one file that says what mangos is
// made of, and refuses what it does not understand.
//
// There is one Go type for each table, in a file for each concern. A key that no
// type knows, a value of the wrong type and a value out of its range are errors
// that name the key.
package definition

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"github.com/BurntSushi/toml"
)

// MaxSize is the largest definition that is read, in bytes.
const MaxSize = 1 << 20

// ErrInvalid is wrapped by every error about the content of a definition.
var ErrInvalid = errors.New("invalid definition")

// Definition is the whole of mangos.toml.
type Definition struct {
	// Selected names the distribution that the lock is made from.
	Selected      string                  `toml:"distribution-default"`
	Distributions map[string]Distribution `toml:"distribution"`
	// Image is nil where a definition says nothing of images.
	Image *Image `toml:"image"`
}

// Load reads and checks the definition in the file at path.
func Load(path string) (*Definition, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read definition: %w", err)
	}
	defer f.Close()
	d, err := Parse(f)
	if err != nil {
		return nil, fmt.Errorf("read definition %s: %w", path, err)
	}
	return d, nil
}

// Parse reads and checks a definition of at most [MaxSize] bytes.
func Parse(r io.Reader) (*Definition, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, err
	}
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrInvalid, MaxSize)
	}
	var d Definition
	meta, err := toml.Decode(string(text), &d)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		names := make([]string, len(unknown))
		for i, key := range unknown {
			names[i] = key.String()
		}
		sort.Strings(names)
		return nil, fmt.Errorf("%w: unknown keys: %s", ErrInvalid, strings.Join(names, ", "))
	}
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return &d, nil
}

// Distribution returns the distribution of that name; the empty name stands for
// the one that the definition selects.
func (d *Definition) Distribution(name string) (Distribution, error) {
	if name == "" {
		name = d.Selected
	}
	dist, ok := d.Distributions[name]
	if !ok {
		return Distribution{}, fmt.Errorf("%w: no table [distribution.%s]", ErrInvalid, name)
	}
	return dist, nil
}

func (d *Definition) check() error {
	for name, dist := range d.Distributions {
		dist.Name = name
		if err := dist.check(); err != nil {
			return fmt.Errorf("distribution.%s: %w", name, err)
		}
		dist.furnish(d.Image == nil || d.Image.Firmware)
		d.Distributions[name] = dist
	}
	if d.Image != nil {
		if err := d.Image.Check(); err != nil {
			return fmt.Errorf("image: %w", err)
		}
	}
	if _, ok := d.Distributions[d.Selected]; !ok {
		return fmt.Errorf("distribution-default names %q, which has no table", d.Selected)
	}
	return nil
}
