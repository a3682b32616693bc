package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mastercard/mangos/runtime/install"
	"github.com/mastercard/mangos/runtime/target"
)

// A job is an installation of which all is known and checked but the image.
type job struct {
	source  install.Source
	release *install.Release
	disk    *target.Disk
	// twins are other disks with the same release.
	twins []*target.Disk
	// download is the size of the image to fetch, -1 if unknown.
	download int64
	minimum  int64
}

// prepare finds release and disk. It writes nothing.
func prepare(ctx context.Context, root string, o *options) (*job, error) {
	key, err := os.ReadFile(o.key)
	if err != nil {
		return nil, fmt.Errorf("read release key: %w", err)
	}
	j := &job{minimum: int64(o.minimum)}
	if err := j.choose(root, o); err != nil {
		return nil, err
	}
	if j.source, err = install.NewSource(o.source); err != nil {
		return nil, err
	}
	want := install.Wanted{Version: o.version, Least: o.minimumVersion}
	if j.release, err = install.FindRelease(ctx, j.source, key, want, install.DefaultPatience); err != nil {
		return nil, err
	}
	d, err := install.NewDownload(ctx, j.source, j.release.Image, install.DefaultPatience)
	if err != nil {
		return nil, err
	}
	j.download = d.Size()
	if err := d.Close(); err != nil {
		return nil, err
	}
	all, err := target.List(root, 0)
	if err != nil {
		return nil, err
	}
	j.twins = target.Twins(all, j.disk, j.release.Root)
	return j, nil
}

// choose finds the disk, or file, and checks its code.
func (j *job) choose(root string, o *options) error {
	var err error
	if info, serr := os.Stat(o.target); serr == nil && info.Mode().IsRegular() {
		j.disk, err = target.File(o.target, j.minimum)
	} else {
		j.disk, err = selectDisk(root, o.target, j.minimum)
	}
	switch {
	case err != nil:
		return err
	case j.disk.Refusal != "":
		return fmt.Errorf("%s is not to be had: %s", j.disk.Path, j.disk.Refusal)
	case j.disk.Contents != "" && o.code == "":
		return errors.New(ask(j.disk))
	case j.disk.Contents != "" && o.code != j.disk.Code():
		return fmt.Errorf("the code is another disk's. %s", ask(j.disk))
	}
	return nil
}

func selectDisk(root, selector string, minimum int64) (*target.Disk, error) {
	all, err := target.List(root, minimum)
	if err != nil {
		return nil, err
	}
	return target.Select(all, selector)
}

// summary says what is going to happen.
func (j *job) summary(w io.Writer) {
	fmt.Fprintf(w, "Release:  %s %s from %s\n", j.release.Name, j.release.Version, j.source)
	if j.release.TryOut {
		fmt.Fprintln(w, "          made with TRY-OUT KEYS: anybody can sign what this system accepts")
	}
	if j.download >= 0 {
		fmt.Fprintf(w, "Download: %.1f MB\n", float64(j.download)/1e6)
	}
	fmt.Fprintf(w, "Target:   %s\n", j.disk)
	if j.disk.Contents != "" {
		fmt.Fprintf(w, "Destroys: %s\n", j.disk.Contents)
	}
	for _, d := range j.twins {
		fmt.Fprintf(w, "Warning:  %s has the same release; a machine with both may start from either\n", d)
	}
}

// run does it.
func (j *job) run(ctx context.Context, tell func(install.Progress)) (err error) {
	device, err := install.OpenDevice(j.disk.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, device.Close()) }()
	err = install.Install(ctx, install.Options{
		Source: j.source, Release: j.release, Target: device, Patience: install.DefaultPatience, Minimum: j.minimum, Tell: tell,
	})
	if err != nil {
		return err
	}
	return device.Reread()
}
