// Package trace holds what the steps of a second build leave behind: that they
// ran, in which world, what they read and what they made.
//
// A second build proves something only if it was one. So each of its steps is
// given the name of the build, which nobody knew before, and writes down: the
// name, the world as the command saw it beside the usual one, and the digests of
// what went in, taken before the command started, and of what came out. A step
// whose result comes from a cache has not written anything under that name.
package trace

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/mastercard/mangos/attest/strictjson"
	"github.com/mastercard/mangos/attest/tree"
)

// Format is the value of a trace's first key. It changes with the format.
const Format = "mangos-step-trace-1"

// Limits of what is read.
const (
	maxSize  = 32 << 20 // bytes of one trace
	maxSteps = 1000     // of one build
)

// ErrInvalid is wrapped by every error about what a trace or a name holds.
var ErrInvalid = errors.New("invalid trace")

// Step is one run of one command.
type Step struct {
	Format string `json:"format"`
	// Build names the second build that the run belongs to.
	Build   string   `json:"build"`
	Command []string `json:"command"` // as it usually is
	// Nest tells that the command made sandboxes of its own, for which it had
	// to be root.
	Nest bool `json:"nest,omitempty"`
	// Started and Ended are times of the machine's clock.
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	Usual   World     `json:"usual"`
	Seen    World     `json:"seen"` // found out by a process in the command's place
	Inputs  []Item    `json:"inputs"`
	Results []Item    `json:"results"`
}

// World is what a step's result must not depend on.
type World struct {
	Hostname   string    `json:"hostname"`
	User       string    `json:"user"` // UID:GID
	Login      string    `json:"login"`
	Time       time.Time `json:"time"`
	Zone       string    `json:"zone"`   // TZ
	Locale     string    `json:"locale"` // LC_ALL, or LANG
	Umask      string    `json:"umask"`  // octal
	Processors int       `json:"processors"`
	Folder     string    `json:"folder"` // the working folder
	Home       string    `json:"home"`
}

// Kinds of items.
const (
	File = "file"
	Tree = "tree" // of which the digest is that of its manifest (attest/tree)
)

// Item is something that a step read or made.
type Item struct {
	Name   string `json:"name"` // the path that the command usually has for it
	Path   string `json:"path"` // the one that it had in this run
	Kind   string `json:"kind"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"` // of a file, in bytes
}

// Items describes what lies at place. A folder that holds nothing but folders and
// regular files, at least one, is described by its files; any other is one item,
// so that links, owners and modes count.
func Items(ctx context.Context, name, place string) ([]Item, error) {
	info, err := os.Stat(place)
	if err != nil {
		return nil, fmt.Errorf("trace %s: %w", name, err)
	}
	if !info.IsDir() {
		digest, size, err := tree.HashFile(place, true)
		if err != nil {
			return nil, fmt.Errorf("trace %s: %w", name, err)
		}
		return []Item{{Name: name, Path: place, Kind: File, SHA256: digest, Size: size}}, nil
	}
	entries, err := tree.Read(ctx, place)
	if err != nil {
		return nil, fmt.Errorf("trace %s: %w", name, err)
	}
	// The folder itself belongs to who made it, not to what is in it.
	entries = slices.DeleteFunc(entries, func(e tree.Entry) bool { return e.Path == "." })
	var files []Item
	for _, e := range entries {
		switch e.Type {
		case 'f':
			files = append(files, Item{
				Name: path.Join(name, e.Path), Path: filepath.Join(place, e.Path), Kind: File, SHA256: e.SHA256, Size: e.Size,
			})
		case 'd':
		default:
			return []Item{{Name: name, Path: place, Kind: Tree, SHA256: tree.Digest(entries)}}, nil
		}
	}
	if files == nil {
		return []Item{{Name: name, Path: place, Kind: Tree, SHA256: tree.Digest(entries)}}, nil
	}
	return files, nil
}

var buildName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`)

// CheckBuild refuses what is no name of a build: letters, digits and hyphens, 64
// at most.
func CheckBuild(name string) error {
	if !buildName.MatchString(name) {
		return fmt.Errorf("%w: name of a build %.80q: wanted letters, digits and hyphens, 64 at most", ErrInvalid, name)
	}
	return nil
}

// Save writes the trace of a step into a folder, below the name of its build.
func (s *Step) Save(folder string) error {
	if err := s.save(folder); err != nil {
		return fmt.Errorf("save the trace of a step: %w", err)
	}
	return nil
}

func (s *Step) save(folder string) error {
	s.Format = Format
	if err := CheckBuild(s.Build); err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if len(text) > maxSize {
		return fmt.Errorf("%w: %d bytes; at most %d are read again", ErrInvalid, len(text), maxSize)
	}
	place := filepath.Join(folder, s.Build)
	if err := os.Mkdir(place, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	name := filepath.Join(place, rand.Text())
	if err := os.WriteFile(name+partial, text, 0o644); err != nil {
		return err
	}
	return os.Rename(name+partial, name+suffix)
}

const suffix, partial = ".json", ".partial"

// Load reads the traces of a build from a folder, in the order in which the steps
// started. There are none if the build left none.
func Load(folder, build string) ([]Step, error) {
	if err := CheckBuild(build); err != nil {
		return nil, fmt.Errorf("load traces: %w", err)
	}
	entries, err := os.ReadDir(filepath.Join(folder, build))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("load traces: %w", err)
	}
	if len(entries) > maxSteps {
		return nil, fmt.Errorf("load traces: %w: %d steps, at most %d are read", ErrInvalid, len(entries), maxSteps)
	}
	var steps []Step
	for _, e := range entries {
		name := filepath.Join(folder, build, e.Name())
		if filepath.Ext(name) != suffix {
			continue
		}
		s, err := load(name)
		if err == nil && s.Build != build {
			err = fmt.Errorf("%w: it belongs to the build %.80q", ErrInvalid, s.Build)
		}
		if err != nil {
			return nil, fmt.Errorf("load trace %s: %w", name, err)
		}
		steps = append(steps, *s)
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return a.Started.Compare(b.Started) })
	return steps, nil
}

func load(name string) (*Step, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, err
	}
	return Parse(text)
}

// Parse reads one trace. Errors wrap [ErrInvalid].
func Parse(text []byte) (*Step, error) {
	if len(text) > maxSize {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrInvalid, maxSize)
	}
	s := &Step{}
	if err := strictjson.UnmarshalKnown(text, s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if s.Format != Format {
		return nil, fmt.Errorf("%w: format is %.60q, this program reads %q", ErrInvalid, s.Format, Format)
	}
	if len(s.Command) == 0 || s.Started.IsZero() || s.Ended.Before(s.Started) {
		return nil, fmt.Errorf("%w: no command, or times that make no sense", ErrInvalid)
	}
	for _, item := range slices.Concat(s.Inputs, s.Results) {
		if item.Name == "" || item.Path == "" || item.Kind != File && item.Kind != Tree || !digest.MatchString(item.SHA256) {
			return nil, fmt.Errorf("%w: item %.80q of kind %.20q", ErrInvalid, item.Name, item.Kind)
		}
	}
	return s, nil
}

var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)
