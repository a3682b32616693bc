package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/mastercard/mangos/attest/bundle"
	"github.com/mastercard/mangos/attest/layout"
	"github.com/mastercard/mangos/attest/pipeline"
	"github.com/mastercard/mangos/attest/policy"
)

// Evidence is what a release says of its steps, which are verified one by one: each as
// [Release] does it, but against no other. What they say of each other is not looked at.
type Evidence struct {
	dir    string
	policy *policy.Policy
	at     time.Time
	// files are the statements and links of each step.
	files  map[string][]string
	layout *layout.Result
	bad    error // why there is no layout
}

// OpenEvidence lists the statements and links of the release in the folder dir. The
// layout must be in force at the time at, by which no step may have begun later; without a
// good layout, no step is.
func OpenEvidence(dir string, p *policy.Policy, at time.Time) (*Evidence, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open evidence: %w", err)
	}
	if len(entries) > maxFiles {
		return nil, fmt.Errorf("open evidence: %s holds more than %d files", dir, maxFiles)
	}
	e := &Evidence{dir: dir, policy: p, at: at, files: map[string][]string{}}
	found := false
	for _, entry := range entries {
		name := entry.Name()
		if step, ok := StatementStep(name); ok {
			e.files[step] = append(e.files[step], name)
		} else if step, _, ok := layout.LinkStep(name); ok {
			e.files[step] = append(e.files[step], name)
		}
		found = found || name == layout.FileName
	}
	var files map[string][]byte
	if found {
		if files, err = e.read(layout.FileName); err != nil {
			return nil, fmt.Errorf("open evidence: %w", err)
		}
	}
	e.layout, e.bad = layout.Open(files, layoutTrust(p, at))
	return e, nil
}

// layoutTrust is what a policy makes of a layout: its owners', with the links of those
// whose statements count.
func layoutTrust(p *policy.Policy, at time.Time) layout.Trust {
	return layout.Trust{
		Owners: p.Layout.Owners, Threshold: p.Layout.Threshold, Functionaries: p.Statements.Keys, At: at, Pipeline: pipeline.Standard(),
	}
}

// StatementStep returns the step that the name of a statement's file tells; false if
// that is not how statements are called.
func StatementStep(file string) (string, bool) { return statementStep(file) }

// read reads files of the release.
func (e *Evidence) read(names ...string) (map[string][]byte, error) {
	r, err := openFiles(e.dir, names)
	if err != nil {
		return nil, err
	}
	defer r.close()
	return r.contents()
}

// contents loads all files, which must be small, and returns what they hold.
func (r *folder) contents() (map[string][]byte, error) {
	if err := r.load(context.Background(), ""); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for name, f := range r.files {
		files[name] = f.data
	}
	return files, nil
}

// Step verifies the statements of a step, of which as many trusted keys as the policy
// wants must have signed one, and its links, which must say the same. Several steps can
// be verified at once.
func (e *Evidence) Step(name string) error {
	statements := 0
	for _, file := range e.files[name] {
		if strings.HasSuffix(file, bundle.Suffix) {
			statements++
		}
	}
	switch {
	case statements == 0:
		return errors.New("there is no statement of it")
	case e.bad != nil:
		return e.bad
	}
	r, err := openFiles(e.dir, e.files[name])
	if err != nil {
		return err
	}
	defer r.close()
	files, err := r.contents()
	if err != nil {
		return err
	}
	all, err := readStatements(r, &e.policy.Statements, e.at)
	if err != nil {
		return err
	}
	one := &layout.Result{Layout: e.layout.Layout, Links: map[string]in_toto.Link{}, Votes: map[string][]string{}}
	if _, err := one.Step(files, name); err != nil {
		return fmt.Errorf("verify links: %w", err)
	}
	_, err = checkLinks(all, one)
	return err
}
