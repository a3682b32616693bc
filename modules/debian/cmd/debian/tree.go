package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/modules/debian/deb"
	"github.com/mastercard/mangos/modules/debian/fetch"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/definition"
)

func selectCommand() *cobra.Command {
	var lockPath, path, set, source, out, all string
	var sourcesOf []string
	cmd := &cobra.Command{
		Use:   "select",
		Short: "print what one step needs of a lock, or write it for all steps",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := lock.Load(lockPath)
			if err != nil {
				return err
			}
			if len(sourcesOf) > 0 {
				return selectSources(l, sourcesOf, out)
			}
			var sets map[string]definition.Set
			if path != "" {
				dist, err := fitting(l, path)
				if err != nil {
					return err
				}
				sets = dist.Sets
			}
			if all != "" {
				return selectAll(l, sets, all)
			}
			text, err := selection(l, sets, set, source)
			if err != nil {
				return err
			}
			return writeFile(cmd, out, text)
		},
	}
	cmd.Flags().StringVar(&lockPath, "lock", "debian.lock.json", "`FILE` of the lock")
	cmd.Flags().StringVar(&path, "definition", "", "`FILE` of the definition: the lock must fit it, and its path rules are taken along")
	cmd.Flags().StringVar(&set, "set", "", "`NAME` of a package set")
	cmd.Flags().StringVar(&source, "source", "", "`NAME` of a source package")
	cmd.Flags().StringVar(&all, "all", "", "`DIR` to write NAME.json for each package set and source-NAME.json for each source that is built")
	cmd.Flags().StringSliceVar(&sourcesOf, "sources-of", nil, "`SETS`, with commas between: write, into the folder --out, a selection for each source package that they or what is built come from")
	cmd.Flags().StringVar(&out, "out", "-", "`FILE` to write")
	cmd.MarkFlagsOneRequired("set", "source", "all", "sources-of")
	cmd.MarkFlagsMutuallyExclusive("set", "source", "all", "sources-of")
	return cmd
}

// fitting returns the distribution of the definition that the lock is of.
func fitting(l *lock.Lock, path string) (definition.Distribution, error) {
	d, err := definition.Load(path)
	if err != nil {
		return definition.Distribution{}, err
	}
	dist, err := d.Distribution(l.Distribution)
	if err != nil {
		return definition.Distribution{}, err
	}
	return dist, l.Fits(dist)
}

// selection is the text of one selection, with the path rules of its set.
func selection(l *lock.Lock, sets map[string]definition.Set, set, source string) ([]byte, error) {
	s, err := pick(l, set, source)
	if err != nil {
		return nil, err
	}
	if set != "" {
		s.Paths = sets[set].Paths
		s.Omit(sets[set].Omit)
	}
	return s.Encode()
}

func selectAll(l *lock.Lock, sets map[string]definition.Set, dir string) error {
	write := func(name, set, source string) error {
		text, err := selection(l, sets, set, source)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name+".json"), text, 0o644)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, s := range l.Sets {
		if err := write(s.Name, s.Name, ""); err != nil {
			return err
		}
	}
	for _, b := range l.Build {
		name, _, _ := strings.Cut(b, "=")
		if err := write("source-"+name, "", name); err != nil {
			return err
		}
	}
	return nil
}

// selectSources writes NAME_VERSION.json for each source package of sets.
func selectSources(l *lock.Lock, sets []string, dir string) error {
	list, err := l.SelectSources(sets...)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, s := range list {
		text, err := s.Encode()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, s.Source.Name+"_"+s.Source.Version+".json"), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func pick(l *lock.Lock, set, source string) (*lock.Selection, error) {
	if source != "" {
		return l.SelectSource(source)
	}
	return l.Select(set)
}

func fetchCommand() *cobra.Command {
	var s servers
	var selection, out, why string
	var available bool
	cmd := &cobra.Command{
		Use:   "fetch",
		Short: "fetch a selection's files, each checked",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sel, err := lock.LoadSelection(selection)
			if err != nil {
				return err
			}
			f, err := s.fetcher(cmd, "fetch "+sel.Name)
			if err != nil {
				return err
			}
			if !available {
				return f.Into(cmd.Context(), files(sel), out)
			}
			return fetchAvailable(cmd, f, files(sel), out, why)
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&s.lock, "lock", "", "`FILE` of the lock, for the permanent homes")
	cmd.Flags().StringVar(&selection, "selection", "", "`FILE` of the selection")
	cmd.Flags().StringVar(&out, "out", "", "`DIR` to put the files in")
	cmd.Flags().BoolVar(&available, "available", false, "leave out what is gone from the servers, and say so")
	cmd.Flags().StringVar(&why, "why", "", "`FILE` to write where that was looked for, in one line; empty if nothing is left out (optional)")
	require(cmd, "selection", "out")
	return cmd
}

// fetchAvailable fetches the files that are still to be had. Where the others were looked
// for it writes to the file why, if that has a name.
func fetchAvailable(cmd *cobra.Command, f *fetch.Fetcher, list []fetch.File, out, why string) error {
	var asked []string
	for _, file := range list {
		err := f.Into(cmd.Context(), []fetch.File{file}, out)
		if errors.Is(err, fetch.ErrGone) {
			fmt.Fprintf(cmd.ErrOrStderr(), "debian: left out: %v\n", err)
			if reason := f.Asked(file.Archive); !slices.Contains(asked, reason) {
				asked = append(asked, reason)
			}
		} else if err != nil {
			return err
		}
	}
	if err := os.MkdirAll(out, 0o755); err != nil || why == "" {
		return err
	}
	return writeFile(cmd, why, []byte(strings.Join(asked, "; ")))
}

// files lists what a selection names.
func files(s *lock.Selection) []fetch.File {
	var list []fetch.File
	for _, p := range s.Packages {
		list = append(list, fetch.File{Name: p.Name + " " + p.Version, Archive: p.Archive, Path: p.Path, Size: p.Size, SHA256: p.SHA256})
	}
	if s.Source != nil {
		for _, f := range s.Source.Files {
			list = append(list, fetch.File{
				Name: s.Source.Name + " " + s.Source.Version + " (" + path.Base(f.Path) + ")", Archive: s.Source.Archive,
				Path: f.Path, Size: f.Size, SHA256: f.SHA256,
			})
		}
	}
	return list
}

func extractCommand() *cobra.Command {
	var selection, packages, root, database string
	cmd := &cobra.Command{
		Use:   "extract",
		Short: "unpack a selection's packages; no script of theirs runs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sel, err := lock.LoadSelection(selection)
			if err != nil {
				return err
			}
			filter, err := deb.ParseFilter(sel.Paths)
			if err != nil {
				return err
			}
			if err := emptyFolder(root); err != nil {
				return err
			}
			var names []string
			for _, p := range sel.Packages {
				names = append(names, filepath.Join(packages, path.Base(p.Path)))
			}
			unpacked, err := deb.Unpack(names, root, filter)
			if err != nil || database == "" {
				return err
			}
			if err := emptyFolder(database); err != nil {
				return err
			}
			return deb.WriteDatabase(database, names, unpacked)
		},
	}
	cmd.Flags().StringVar(&selection, "selection", "", "`FILE` of the selection")
	cmd.Flags().StringVar(&packages, "packages", "", "`DIR` of the package files")
	cmd.Flags().StringVar(&root, "root", "", "`DIR` to unpack into: empty or not there")
	cmd.Flags().StringVar(&database, "database", "", "`DIR` to write to which package each file belongs, as dpkg's database (optional)")
	require(cmd, "selection", "packages", "root")
	return cmd
}

func require(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // a misspelt flag name
		}
	}
}

// emptyFolder makes dir, or makes sure that nothing is in it.
func emptyFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty", dir)
	}
	return os.Chmod(dir, 0o755)
}
