package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/modules/debian/enter"
	"github.com/mastercard/mangos/modules/debian/fetch"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/debian/origin"
	"github.com/mastercard/mangos/modules/debian/refresh"
	"github.com/mastercard/mangos/modules/definition"
)

// servers are the flags that say where files come from.
type servers struct {
	mirrors, homes []string
	lock, cache    string
}

func (s *servers) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&s.mirrors, "mirror", nil, "`ARCHIVE=URL` of a mirror, tried in order; also words in "+fetch.MirrorsVariable)
	cmd.Flags().StringArrayVar(&s.homes, "home", nil, "`ARCHIVE=URL` of a permanent home, tried last")
	cmd.Flags().StringVar(&s.cache, "cache", "", "`DIR` of the cache (default: a folder of the user's cache)")
}

// fetcher returns a Fetcher for the flags, that says how it goes on stderr.
func (s *servers) fetcher(cmd *cobra.Command, prefix string) (*fetch.Fetcher, error) {
	mirrors, err := fetch.ParseMirrors(append(s.mirrors, strings.Fields(os.Getenv(fetch.MirrorsVariable))...))
	if err != nil {
		return nil, err
	}
	homes, err := fetch.ParseMirrors(append(s.homes, strings.Fields(os.Getenv(fetch.HomesVariable))...))
	if err != nil {
		return nil, err
	}
	if s.lock != "" {
		l, err := lock.Load(s.lock)
		if err != nil {
			return nil, err
		}
		for _, a := range l.Archives {
			homes[a.Name] = append(homes[a.Name], a.Home)
		}
	}
	if s.cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("no --cache, and no cache folder: %w", err)
		}
		s.cache = filepath.Join(dir, "mangos", "packages")
	}
	return &fetch.Fetcher{Mirrors: mirrors, Homes: homes, Cache: s.cache, Progress: func(line string) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", prefix, line)
	}}, nil
}

func lockCommand() *cobra.Command {
	var s servers
	var path, name, out, sandbox string
	var before present
	cmd := &cobra.Command{
		Use:   "lock",
		Short: "make a lock from the archive's signed Releases",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := definition.Load(path)
			if err != nil {
				return err
			}
			dist, err := d.Distribution(name)
			if err != nil {
				return err
			}
			f, err := s.fetcher(cmd, "lock")
			if err != nil {
				return err
			}
			f.Progress = nil
			locks, err := before.load(cmd, path)
			if err != nil {
				return err
			}
			if sandbox, err = enter.FindSandbox(sandbox); err != nil {
				return err
			}
			scratch, err := os.MkdirTemp("", "debian-lock-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(scratch)
			maker := refresh.Maker{
				Distribution: dist, Base: filepath.Dir(path), Fetcher: f, Sandbox: sandbox,
				Scratch: scratch, Now: time.Now(), Log: cmd.ErrOrStderr(),
				Present: locks, AcceptOlder: before.acceptOlder,
			}
			l, err := maker.Make(cmd.Context())
			if err != nil {
				return err
			}
			text, err := l.Encode()
			if err != nil {
				return err
			}
			return writeFile(cmd, out, text)
		},
	}
	s.flags(cmd)
	cmd.Flags().StringArrayVar(&before.files, "present", nil, "`FILE` of a lock, as often as wanted: nothing may be older than there (default: debian.lock.json beside the definition)")
	cmd.Flags().BoolVar(&before.acceptOlder, "accept-older", false, "accept suites and versions that are older than in the present lock, or a present lock that cannot be read")
	cmd.Flags().StringVar(&path, "definition", "mangos.toml", "`FILE` of the definition")
	cmd.Flags().StringVar(&name, "distribution", "", "`NAME` of the distribution (default: the definition's)")
	cmd.Flags().StringVar(&out, "out", "-", "`FILE` to write")
	cmd.Flags().StringVar(&sandbox, "sandbox", "", "the sandbox `PROGRAM` (default: beside this one)")
	return cmd
}

// present are the flags that say which locks a new one takes the place of.
type present struct {
	files       []string
	acceptOlder bool
}

// load reads them; without any, the lock that lies beside the definition.
func (p *present) load(cmd *cobra.Command, path string) ([]*lock.Lock, error) {
	files := p.files
	if len(files) == 0 {
		beside := filepath.Join(filepath.Dir(path), "debian.lock.json")
		if _, err := os.Stat(beside); errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(cmd.ErrOrStderr(), "lock: there is no present lock (%s): suites and versions of any age are taken\n", beside)
			return nil, nil
		}
		files = []string{beside}
	}
	var locks []*lock.Lock
	for _, file := range files {
		l, err := lock.Load(file)
		switch {
		case err == nil:
			locks = append(locks, l)
		case p.acceptOlder:
			fmt.Fprintf(cmd.ErrOrStderr(), "lock: going on without a present lock, as --accept-older says: %v\n", err)
		default:
			return nil, fmt.Errorf("the new lock cannot be held against the present one (--accept-older goes on without): %w", err)
		}
	}
	return locks, nil
}

func originCommand() *cobra.Command {
	var s servers
	var path, out string
	cmd := &cobra.Command{
		Use:   "origin",
		Short: "put together what shows that a lock is what the distribution signed",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := lock.Load(s.lock)
			if err != nil {
				return err
			}
			dist, err := fitting(l, path)
			if err != nil {
				return err
			}
			keys, err := origin.Keyrings(dist, filepath.Dir(path))
			if err != nil {
				return err
			}
			f, err := s.fetcher(cmd, "origin")
			if err != nil {
				return err
			}
			suites, err := origin.Collect(cmd.Context(), l, keys, f)
			if err != nil {
				return err
			}
			var b bytes.Buffer
			if err := suites.Write(&b); err != nil {
				return err
			}
			return writeFile(cmd, out, b.Bytes())
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&s.lock, "lock", "debian.lock.json", "`FILE` of the lock")
	cmd.Flags().StringVar(&path, "definition", "mangos.toml", "`FILE` of the definition, whose keys count")
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to write")
	require(cmd, "out")
	return cmd
}

// writeFile replaces the file out by a rename; "-" is the standard output.
func writeFile(cmd *cobra.Command, out string, text []byte) error {
	if out == "-" {
		_, err := cmd.OutOrStdout().Write(text)
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(out), "."+filepath.Base(out)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(text); err != nil {
		f.Close()
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		f.Close()
		return err
	}
	// A power cut must not leave the name without the text.
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), out)
}

func homesCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "homes",
		Short: "print the permanent homes of a lock's files",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := lock.Load(path)
			if err != nil {
				return err
			}
			for _, a := range l.Archives {
				fmt.Fprintf(cmd.OutOrStdout(), "%s=%s\n", a.Name, a.Home)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&path, "lock", "debian.lock.json", "`FILE` of the lock")
	return cmd
}
