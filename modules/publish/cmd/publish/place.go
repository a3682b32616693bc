package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/mastercard/mangos/compare/terminal"
	"github.com/mastercard/mangos/modules/publish"
)

// place is a kind of PLACE.
type place string

const (
	page   place = "a release page"
	server place = "a web server"
	folder place = "a local folder"
)

// pagePrefix begins a PLACE that is a release page.
const pagePrefix = "github:"

func (o *options) place() place {
	switch {
	case strings.HasPrefix(o.to, pagePrefix):
		return page
	case strings.Contains(o.to, "://"):
		return server
	}
	return folder
}

// places says of flags that do not go with each place with which they do.
var places = map[string][]place{
	"tag": {page}, "api": {page}, "uploads": {page}, "prerelease": {page}, "notes": {page},
	"token-file": {page, server}, "tries": {page, server}, "max-wait": {page, server},
}

// fits refuses flags that say nothing about the place.
func (p place) fits(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		known := places[f.Name]
		fit := known == nil
		for _, k := range known {
			fit = fit || k == p
		}
		if !fit && err == nil {
			err = usageError{fmt.Errorf("--%s is not for %s", f.Name, p)}
		}
	})
	return err
}

// destination opens the place.
func (o *options) destination(r *publish.Release) (publish.Destination, error) {
	var err error
	if o.token != "" {
		if o.page.Token, err = publish.ReadToken(o.token); err != nil {
			return nil, err
		}
	}
	if o.notes != "" {
		if o.page.Notes, err = readNotes(o.notes); err != nil {
			return nil, err
		}
	}
	switch o.place() {
	case page:
		o.page.Repository = strings.TrimPrefix(o.to, pagePrefix)
		return publish.NewGitHub(r, o.page)
	case server:
		return publish.NewPut(r, o.to, o.page.Token, nil)
	}
	return publish.NewFolder(r, o.to)
}

// maxNotes is less than GitHub's limit of a text, so that the line fits that is added.
const maxNotes = 100_000

func readNotes(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxNotes+1))
	if err == nil && len(text) > maxNotes {
		err = fmt.Errorf("%s has more than %d bytes", path, maxNotes)
	}
	return string(text), err
}

// text writes the result for people: what a dry run found of each file, and the outcome.
func text(w io.Writer, r *publish.Result) error {
	counts := map[string]int{}
	var sent int64
	for _, f := range r.Files {
		counts[f.Outcome]++
		if f.Outcome != publish.There {
			sent += f.Size
		}
		if r.Result != publish.Dry {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-7s  %10.1f MB  %s\n", f.Outcome, float64(f.Size)/1e6, f.Name); err != nil {
			return err
		}
	}
	line := fmt.Sprintf("published: %s, %d files, %d of them sent now (%.1f MB): %s", r.Release, len(r.Files), counts[publish.Sent], float64(sent)/1e6, r.Address)
	switch r.Result {
	case publish.Already:
		line = fmt.Sprintf("nothing to do: %s is published already, the same %d files: %s", r.Release, len(r.Files), r.Address)
	case publish.Dry:
		line = fmt.Sprintf("dry run: %s would be published to %s, %d files sent (%.1f MB)", r.Release, r.Place, counts[publish.Would], float64(sent)/1e6)
	}
	_, err := fmt.Fprintln(w, terminal.Escape(line))
	return err
}
