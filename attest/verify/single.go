package verify

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mastercard/mangos/attest/bundle"
	"github.com/mastercard/mangos/attest/evidence"
	"github.com/mastercard/mangos/attest/pipeline"
	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/record"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/runtime/extension"
)

// toolSet is the package set of the lock whose tools make extensions.
const toolSet = "imagetools"

// single is an extension that was built by itself, with the statements beside it.
type single struct {
	name   string
	id     extension.ID
	r      *folder
	policy *policy.Policy
	lock   *lock.Lock // nil: none was given

	all    statements
	volume *volume
	root   verity.RootHash
	signer *x509.Certificate

	loaded, stated, dissected, signed, opened, whole fact
}

// Extension verifies the extension in the file at path, NAME.CLASS.raw, which was built
// by itself, with the statements beside it, NAME.CLASS.STEP.sigstore.json. What its step
// had of the distribution is held against the lock, unless that is nil. What is wrong
// with it is in the report; an error tells that there is no report.
func Extension(ctx context.Context, path string, p *policy.Policy, l *lock.Lock) (*Report, error) {
	start := time.Now()
	name := filepath.Base(path)
	id, err := extension.ParseFileName(name)
	if err != nil {
		return nil, fmt.Errorf("verify extension %s: %w", path, err)
	}
	r, err := openBeside(path)
	if err != nil {
		return nil, fmt.Errorf("verify extension: %w", err)
	}
	defer r.close()
	s := newSingle(ctx, &single{name: name, id: id, r: r, policy: p, lock: l})
	report := r.report(p, runAll(s.checks()), s.notChecked())
	report.Release = id.String()
	report.Seconds = time.Since(start).Seconds()
	return report, ctx.Err()
}

// openBeside opens an extension and the statements that are named after it.
func openBeside(path string) (*folder, error) {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names, prefix := []string{name}, strings.TrimSuffix(name, "raw")
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && strings.HasSuffix(e.Name(), bundle.Suffix) {
			names = append(names, e.Name())
		}
	}
	if len(names) > maxFiles {
		return nil, fmt.Errorf("%s holds more than %d statements of %s", dir, maxFiles, name)
	}
	return openFiles(dir, names)
}

func newSingle(ctx context.Context, s *single) *single {
	s.loaded = after(func() error { return s.r.load(ctx, "") })
	s.stated = after(func() (err error) {
		s.all, err = readStatements(s.r, &s.policy.Statements, time.Now())
		return err
	}, &s.loaded)
	s.dissected = after(func() (err error) {
		s.volume, err = dissectExtension(s.r.files[s.name].data)
		return err
	}, &s.loaded)
	s.signed = after(func() (err error) {
		s.root, s.signer, err = s.volume.signer(&s.policy.Image)
		return err
	}, &s.dissected)
	s.opened = after(func() error { return s.volume.open(s.root) }, &s.signed)
	s.whole = after(func() error { return s.volume.verify() }, &s.opened)
	return s
}

// checks lists all of them, in the order of the report.
func (s *single) checks() []check {
	facts := func(f ...*fact) []*fact { return f }
	list := []check{
		{"files", facts(&s.loaded), facts(), s.describeFiles},
		{"statements", facts(&s.stated), facts(), s.checkStatements},
		{"subject", facts(), facts(&s.stated), s.checkSubject},
		{"inputs", facts(), facts(&s.stated), s.checkInputs},
		{"runs", facts(), facts(&s.stated), s.checkRuns},
		{"root-hash-signature", facts(&s.dissected, &s.signed), facts(), s.checkSignature},
		{"root-hash", facts(&s.opened, &s.whole), facts(), func() (string, error) { return s.volume.describe(s.root), nil }},
		{"metadata", facts(), facts(&s.whole), s.checkMetadata},
		{"try-out", facts(), facts(&s.signed), s.checkTryOut},
	}
	if s.lock != nil {
		list = append(list, check{"lock", facts(), facts(&s.stated), s.checkLock})
	}
	return list
}

// notChecked is what no check can look at without being given more.
func (s *single) notChecked() []string {
	list := []string{
		"how the programs and the selection that made it were made: a release of the same build has the statements of that",
		"that it holds what was in the folder it is made of: the statements alone say so",
	}
	if s.lock == nil {
		list = append(list, "that the packages that made it are those of a lock: --lock FILE")
	}
	return list
}

func (s *single) describeFiles() (string, error) {
	return fmt.Sprintf("%s and %d statements, %.1f MB", s.name, len(s.r.names)-1, float64(s.r.bytes)/1e6), nil
}

// checkStatements wants the two steps of an extension, and no other.
func (s *single) checkStatements() (string, error) {
	for _, step := range []string{evidence.ConfigurationStep, evidence.ExtensionStep} {
		if s.all[step] == nil {
			return "", fmt.Errorf("there is no statement of the step %s", step)
		}
	}
	for _, step := range s.all.sorted() {
		if step.name != evidence.ConfigurationStep && step.name != evidence.ExtensionStep {
			return "", fmt.Errorf("%s is of the step %s, which makes no extension", step.files[0], step.name)
		}
	}
	return s.all.describe(&s.policy.Statements), nil
}

// checkSubject wants the file to be what the extension's step made.
func (s *single) checkSubject() (string, error) {
	made, err := s.all.product(evidence.ExtensionStep, s.name)
	if err != nil {
		return "", err
	}
	if n := len(s.all[evidence.ExtensionStep].products); n != 1 {
		return "", fmt.Errorf("the step %s made %d files, and should have made one", evidence.ExtensionStep, n)
	}
	if sum := s.r.files[s.name].sum; made != sum {
		return "", fmt.Errorf("%s has SHA-256 %s, the step %s made one with %s", s.name, sum, evidence.ExtensionStep, made)
	}
	return "sha256 " + made, nil
}

// checkInputs wants the step to have had what makes an extension and nothing else: the
// folder that was given, the verity certificate, which the policy has, and tools.
func (s *single) checkInputs() (string, error) {
	const certificate, selection = "keys/verity.crt", "selection/" + toolSet + ".json"
	given, err := s.all.product(evidence.ConfigurationStep, evidence.ConfigurationTree)
	if err != nil {
		return "", err
	}
	if n := len(s.all[evidence.ConfigurationStep].inputs); n > 0 {
		return "", fmt.Errorf("the step %s had %d inputs, and names what is given", evidence.ConfigurationStep, n)
	}
	step := s.all[evidence.ExtensionStep]
	if step == nil {
		return "", fmt.Errorf("there is no statement of the step %s", evidence.ExtensionStep)
	}
	found := map[string]int{}
	for name, d := range step.inputs {
		first, _, _ := strings.Cut(name, "/")
		switch {
		case name == evidence.ConfigurationTree && d.SHA256() != given:
			return "", fmt.Errorf("it is made of a folder with the digest %s, the one that was given has %s", d.SHA256(), given)
		case name == certificate && !s.policy.Image.HasFile(filepath.Base(name), d.SHA256()):
			return "", fmt.Errorf("it was made with %s with SHA-256 %s, which the policy does not have", name, d.SHA256())
		case name != evidence.ConfigurationTree && name != certificate && name != selection && first != "program" && first != "locked":
			return "", fmt.Errorf("%s has no part in an extension", name)
		}
		found[first]++
	}
	if found["locked"] == 0 {
		return "", errors.New("it was made without a package")
	}
	known, ok := pipeline.Standard().Step(step.name)
	if !ok {
		return "", fmt.Errorf("the pipeline has no step %s", step.name)
	}
	if err := step.checkInputs(&known, nil); err != nil {
		return "", err
	}
	return fmt.Sprintf("the folder %.12s…, the certificate, %d programs, %d packages", given, found["program"], found["locked"]), nil
}

// checkRuns wants the steps to have run as in the pipeline, at the time that a lock has
// where one is given.
func (s *single) checkRuns() (string, error) {
	for _, step := range s.all.sorted() {
		if err := step.checkRun(""); err != nil {
			return "", err
		}
		if s.lock == nil {
			continue
		}
		if err := step.checkEpoch(s.lock.SourceDateEpoch); err != nil {
			return "", err
		}
	}
	return describeRuns(s.all), nil
}

// checkLock wants the packages to be the lock's set of tools, all of it.
func (s *single) checkLock() (string, error) {
	step := s.all[evidence.ExtensionStep]
	if step == nil {
		return "", fmt.Errorf("there is no statement of the step %s", evidence.ExtensionStep)
	}
	set, err := s.lock.Select(toolSet)
	if err != nil {
		return "", err
	}
	want := record.Packages(set)
	for _, p := range want {
		if name := record.LockedName(p.Archive, p.Path); step.inputs[name].Name == "" {
			return "", fmt.Errorf("it was made without %s", name)
		}
	}
	locked, n := lockedFiles(s.lock), 0
	for name, d := range step.inputs {
		if !strings.HasPrefix(name, "locked/") {
			continue
		}
		if err := locked.check(name, d); err != nil {
			return "", err
		}
		n++
	}
	if n != len(want) {
		return "", fmt.Errorf("it was made with %d packages, the set %s has %d", n, toolSet, len(want))
	}
	return fmt.Sprintf("%d packages, the set %s", n, toolSet), nil
}

func (s *single) checkSignature() (string, error) { return by(s.signer), nil }

// checkMetadata reads what the extension says of itself, after every block of it was
// verified.
func (s *single) checkMetadata() (string, error) {
	text, err := s.volume.readFile(extension.ReleasePath(s.id))
	if err != nil {
		return "", err
	}
	m, err := extension.Describe(s.id, text)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, purpose %s, counter %d, for %q", s.id, m.Purpose, m.Counter, m.System), nil
}

// checkTryOut refuses what a try-out key has signed, unless the policy accepts it.
func (s *single) checkTryOut() (string, error) {
	switch {
	case !isTryOut(s.signer):
		return "no try-out certificate", nil
	case !s.policy.Image.TryOut:
		return "", errors.New("it is signed with a try-out key, which the policy does not accept")
	}
	return "signed with a TRY-OUT key, which the policy accepts: unfit for use", nil
}
