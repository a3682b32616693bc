// Package installer prepares and carries out an installation: the choices of a
// person or a seed file, checked, before anything is written.
package installer

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/mastercard/mangos/runtime/fetch"
	"github.com/mastercard/mangos/runtime/install"
	"github.com/mastercard/mangos/runtime/release"
	"github.com/mastercard/mangos/runtime/target"
)

// Options are what is chosen.
type Options struct {
	// Source is the address or folder of the release, Proxy an HTTP proxy on the
	// way to it, nil for what the environment says.
	Source string
	Proxy  *url.URL
	// KeyFile holds the organisation's release key.
	KeyFile string
	// Target is a disk (see target.Select) or a file, Code that disk's where it
	// is not empty.
	Target, Code string
	// Version and MinimumVersion are as in release.Wanted.
	Version, MinimumVersion string
	// Minimum is the least size in bytes of a target.
	Minimum int64
}

// A Job is an installation of which all is known and checked but the image.
type Job struct {
	Release *release.Release
	Disk    *target.Disk
	// Twins are other disks with the same release.
	Twins []*target.Disk
	// Download is the size in bytes of the image to fetch, -1 if unknown.
	Download int64

	source  fetch.Source
	minimum int64
	device  string // file to open
}

// Prepare finds release and disk. It writes nothing.
func Prepare(ctx context.Context, root string, o Options) (*Job, error) {
	key, err := os.ReadFile(o.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("read release key: %w", err)
	}
	j := &Job{minimum: o.Minimum}
	if err := j.choose(root, &o); err != nil {
		return nil, err
	}
	if j.source, err = fetch.NewSource(o.Source, o.Proxy); err != nil {
		return nil, err
	}
	want := release.Wanted{Version: o.Version, Least: o.MinimumVersion}
	if j.Release, err = release.Find(ctx, j.source, key, want, fetch.DefaultPatience); err != nil {
		return nil, err
	}
	d, err := fetch.NewDownload(ctx, j.source, j.Release.Image, fetch.DefaultPatience)
	if err != nil {
		return nil, err
	}
	j.Download = d.Size()
	if err := d.Close(); err != nil {
		return nil, err
	}
	all, err := target.List(root, 0)
	if err != nil {
		return nil, err
	}
	j.Twins = target.Twins(all, j.Disk, j.Release.Root)
	return j, nil
}

// choose finds the disk, or file, and checks its code.
func (j *Job) choose(root string, o *Options) error {
	var err error
	if info, serr := os.Stat(o.Target); serr == nil && info.Mode().IsRegular() {
		j.Disk, err = target.File(o.Target, j.minimum)
		j.device = o.Target
	} else if j.Disk, err = selectDisk(root, o.Target, j.minimum); err == nil {
		j.device = filepath.Join(root, j.Disk.Path)
	}
	switch {
	case err != nil:
		return err
	case j.Disk.Refusal != "":
		return fmt.Errorf("%s is not to be had: %s", j.Disk.Path, j.Disk.Refusal)
	case j.Disk.Contents != "" && o.Code == "":
		return errors.New(Ask(j.Disk))
	case j.Disk.Contents != "" && o.Code != j.Disk.Code():
		return fmt.Errorf("the code is another disk's. %s", Ask(j.Disk))
	}
	return nil
}

// Ask is the sentence that asks for a disk's code.
func Ask(d *target.Disk) string {
	return fmt.Sprintf("%s has something on it: %s. To overwrite that: --code %s", d.Path, d.Contents, d.Code())
}

func selectDisk(root, selector string, minimum int64) (*target.Disk, error) {
	all, err := target.List(root, minimum)
	if err != nil {
		return nil, err
	}
	return target.Select(all, selector)
}

// Summary says what is going to happen, a line each.
func (j *Job) Summary() []string {
	lines := []string{fmt.Sprintf("Release:  %s %s from %s", j.Release.Name, j.Release.Version, j.source)}
	if j.Release.TryOut {
		lines = append(lines, "          made with TRY-OUT KEYS: anybody can sign what this system accepts")
	}
	if j.Download >= 0 {
		lines = append(lines, fmt.Sprintf("Download: %.1f MB", float64(j.Download)/1e6))
	}
	lines = append(lines, "Target:   "+j.Disk.String())
	if j.Disk.Contents != "" {
		lines = append(lines, "Destroys: "+j.Disk.Contents)
	}
	for _, d := range j.Twins {
		lines = append(lines, fmt.Sprintf("Warning:  %s has the same release; a machine with both may start from either", d))
	}
	return lines
}

// Run does it.
func (j *Job) Run(ctx context.Context, tell func(install.Progress)) (err error) {
	device, err := install.OpenDevice(j.device)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, device.Close()) }()
	err = install.Install(ctx, install.Options{
		Source: j.source, Release: j.Release, Target: device, Patience: fetch.DefaultPatience, Minimum: j.minimum, Tell: tell,
	})
	if err != nil {
		return err
	}
	return device.Reread()
}
