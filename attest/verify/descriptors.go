package verify

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/mastercard/mangos/attest/purl"
	"github.com/mastercard/mangos/attest/record"
	"github.com/mastercard/mangos/attest/statement"
)

// checkDescriptors refuses what a statement says of its subjects or dependencies and
// nothing holds against anything. That is all but the name, the SHA-256, what a
// dependency was there for, and the package URL of what the distribution or a Go module
// has; and these are as the recorder makes them, of the name.
func checkDescriptors(subjects, dependencies []statement.Descriptor) error {
	for i := range subjects {
		if err := checkDescriptor(&subjects[i], false); err != nil {
			return fmt.Errorf("subject %s: %w", subjects[i].Name, err)
		}
	}
	for i := range dependencies {
		if err := checkDescriptor(&dependencies[i], true); err != nil {
			return fmt.Errorf("dependency %s: %w", dependencies[i].Name, err)
		}
	}
	return nil
}

func checkDescriptor(d *descriptor, input bool) error {
	switch {
	case len(d.Digest) != 1 || d.SHA256() == "":
		return fmt.Errorf("it has the digests %s, and only sha256 is held against anything", strings.Join(slices.Sorted(maps.Keys(d.Digest)), ", "))
	case len(d.Content) > 0:
		return fmt.Errorf("it has a content of %d bytes, which nothing is held against", len(d.Content))
	case d.DownloadLocation != "":
		return fmt.Errorf("it has the downloadLocation %q, which nothing is held against", d.DownloadLocation)
	case d.MediaType != "":
		return fmt.Errorf("it has the mediaType %.80q, which nothing is held against", d.MediaType)
	}
	if err := checkURI(d.Name, d.URI); err != nil {
		return err
	}
	return checkUse(d, input)
}

// checkURI holds a URI against the name that it goes with. Of a file of the distribution
// the lock has the whole of it.
func checkURI(name, uri string) error {
	want := ""
	switch first, _, _ := strings.Cut(name, "/"); first {
	case "locked":
		if !strings.HasPrefix(uri, "pkg:deb/") {
			return fmt.Errorf("its uri is %q, and should be one of pkg:deb/", uri)
		}
		return nil
	case "go":
		m, err := moduleOf(name)
		if err != nil {
			return err
		}
		want = purl.Golang(m.Path, m.Version)
	}
	if uri != want {
		return fmt.Errorf("its uri is %q, and should be %q", uri, want)
	}
	return nil
}

// moduleOf is the Go module that a name means: go/PATH@VERSION.zip.
func moduleOf(name string) (module.Version, error) {
	rest, folder := strings.CutPrefix(name, "go/")
	rest, archive := strings.CutSuffix(rest, ".zip")
	path, version, both := strings.Cut(rest, "@")
	if !folder || !archive || !both {
		return module.Version{}, fmt.Errorf("%s is no archive of a Go module", name)
	}
	return module.Version{Path: path, Version: version}, nil
}

// checkUse wants a program or a selection to have been there to run, and nothing else,
// but for packages: those of the step's container were there to run, others were not.
func checkUse(d *descriptor, input bool) error {
	use, marked := d.Annotations["use"]
	if len(d.Annotations) > 1 || len(d.Annotations) == 1 && !marked {
		return errors.New("it has annotations, which nothing is held against")
	}
	if marked && use != record.Tool {
		return fmt.Errorf("its use is %.80q, and %q is all that is known", fmt.Sprint(use), record.Tool)
	}
	first, _, _ := strings.Cut(d.Name, "/")
	switch tool := input && (first == "program" || first == "selection"); {
	case input && first == "locked":
		return nil
	case marked && !tool:
		return errors.New("it is said to be a tool, and is none")
	case !marked && tool:
		return errors.New("it is a tool, and not said to be one")
	}
	return nil
}
