package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/sourceid"
	"github.com/mastercard/mangos/modules/debian/archive"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/debian/origin"
	"github.com/mastercard/mangos/modules/definition"
)

func newSources() *cobra.Command {
	var o sourcesOptions
	c := &cobra.Command{
		Use:   "sources --out FILE [--selection FILE --files DIR [--why FILE]] [--origin FILE --lock FILE] [SET...]",
		Short: "find out which sources packages were built from",
		Long: "Identify the source packages of selections, whose files lie in a folder, and write the set of\n" +
			"their identities, together with those of the given sets. With --origin the distribution's\n" +
			"indexes add what they say of each: they are held against the lock and the archive's keys.",
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) },
	}
	f := c.Flags()
	f.StringArrayVar(&o.selections, "selection", nil, "selection of a source package (repeatable)")
	f.StringVar(&o.files, "files", "", "folder with the files of these source packages")
	f.StringVar(&o.why, "why", "", "file that says in one line why some of them are not there (optional)")
	f.StringVar(&o.origin, "origin", "", "the indexes that the lock names (debian origin)")
	f.StringVar(&o.lock, "lock", "", "the lock")
	f.StringVar(&o.definition, "definition", "mangos.toml", "the definition, whose archive keys count")
	f.StringVar(&o.out, "out", "", "file to write")
	cobra.CheckErr(c.MarkFlagRequired("out"))
	c.MarkFlagsRequiredTogether("selection", "files")
	c.MarkFlagsRequiredTogether("origin", "lock")
	return c
}

// sourcesOptions are the command's flags.
type sourcesOptions struct {
	selections               []string
	files, why               string
	origin, lock, definition string
	out                      string
}

func (o *sourcesOptions) run(cmd *cobra.Command, args []string) error {
	set, err := o.sets(args)
	if err != nil {
		return err
	}
	if o.origin != "" {
		indexed, err := o.indexed()
		if err != nil {
			return err
		}
		if err := set.Describe(indexed); err != nil {
			return err
		}
	}
	text, err := set.Encode()
	if err != nil {
		return err
	}
	for i := range set.Sources {
		if id := &set.Sources[i]; id.Gap() != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "source %s %s, identity %s: not to be had: %s\n", id.Name, id.Version, id.Level, id.Gap())
		}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%d sources: %v\n", len(set.Sources), set.Count())
	return writeOut(filepath.Clean(o.out), text)
}

// sets reads the given sets, and identifies the selected sources.
func (o *sourcesOptions) sets(names []string) (*sourceid.Set, error) {
	set := &sourceid.Set{}
	for _, name := range names {
		s, err := sourceid.Load(name)
		if err != nil {
			return nil, err
		}
		set.Sources = append(set.Sources, s.Sources...)
	}
	why, err := readLine(o.why)
	if err != nil {
		return nil, err
	}
	for _, name := range o.selections {
		s, err := lock.LoadSelection(name)
		if err != nil {
			return nil, err
		}
		if s.Source == nil {
			return nil, fmt.Errorf("%s selects packages, not a source", name)
		}
		id, err := sourceid.IdentifyIn(o.files, s.Source)
		if err != nil {
			return nil, err
		}
		if len(id.Missing) > 0 {
			id.Why = why
		}
		set.Sources = append(set.Sources, *id)
	}
	return set, nil
}

// indexed returns what the distribution's indexes say of the lock's sources.
func (o *sourcesOptions) indexed() ([]archive.Source, error) {
	l, err := lock.Load(o.lock)
	if err != nil {
		return nil, err
	}
	d, err := definition.Load(o.definition)
	if err != nil {
		return nil, err
	}
	dist, err := d.Distribution(l.Distribution)
	if err != nil {
		return nil, err
	}
	keys, err := origin.Keyrings(dist, filepath.Dir(o.definition))
	if err != nil {
		return nil, err
	}
	f, err := os.Open(o.origin)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	indexes, err := origin.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.origin, err)
	}
	return indexes.Sources(l, keys)
}

// maxLine bounds a file of one line, in bytes.
const maxLine = 1 << 10

var errLine = errors.New("not a file of one short line")

// readLine reads a file of one line; without a name it is empty.
func readLine(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxLine+1))
	if err != nil {
		return "", err
	}
	text = bytes.TrimSuffix(text, []byte("\n"))
	if len(text) > maxLine || bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", fmt.Errorf("read %s: %w", name, errLine)
	}
	return string(text), nil
}
