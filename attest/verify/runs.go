package verify

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/mastercard/mangos/attest/pipeline"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// The step that may have a parameter, and that parameter.
const (
	planStep         = "plan"
	versionParameter = "version"
)

// checkRuns holds what statements say of how their steps ran against the pipeline, the
// lock, and the release's version.
func (m *image) checkRuns(all statements, l *lock.Lock) (string, error) {
	if m.manifest.Epoch != l.SourceDateEpoch {
		return "", fmt.Errorf("the list of the unsigned set has the time %d, the lock %d", m.manifest.Epoch, l.SourceDateEpoch)
	}
	for _, s := range all.sorted() {
		if err := s.checkRun(m.manifest.Version); err != nil {
			return "", err
		}
		if err := s.checkEpoch(l.SourceDateEpoch); err != nil {
			return "", err
		}
	}
	return describeRuns(all), nil
}

func describeRuns(all statements) string {
	ran, epoch := 0, int64(0)
	for _, s := range all {
		if len(s.definition.ExternalParameters.Command) > 0 {
			ran++
		}
		epoch = max(epoch, s.epoch())
	}
	return fmt.Sprintf("%d commands as the pipeline has them, of what the statements have; the time in products is %d", ran, epoch)
}

// epoch is the time that the step's products bear; 0: none.
func (s *step) epoch() int64 {
	if in := s.definition.InternalParameters; in != nil {
		return in.SourceDateEpoch
	}
	return 0
}

// checkEpoch wants the time in the products to be that of the lock, or, where the
// pipeline has none in them, not to be.
func (s *step) checkEpoch(locked int64) error {
	known, ok := pipeline.Standard().Step(s.name)
	if !ok {
		return fmt.Errorf("the pipeline has no step %s", s.name)
	}
	if got := s.epoch(); got != locked && (got != 0 || known.Dated) {
		return fmt.Errorf("step %s: its products bear the time %d, the lock has %d", s.name, got, locked)
	}
	return nil
}

// checkRun holds the command and the parameters against the pipeline, the step's own
// inputs and products, and the release's version.
func (s *step) checkRun(version string) error {
	known, ok := pipeline.Standard().Step(s.name)
	if !ok {
		return fmt.Errorf("the pipeline has no step %s", s.name)
	}
	command := s.definition.ExternalParameters.Command
	if err := known.CheckCommand(command); err != nil {
		return fmt.Errorf("step %s: %w", s.name, err)
	}
	for _, word := range command {
		if err := s.checkWord(word); err != nil {
			return fmt.Errorf("step %s: its command has %.200q: %w", s.name, word, err)
		}
	}
	return s.checkParameters(version)
}

// checkWord wants a path in a command that lies where inputs or products lie to be that
// of one, or of a folder of them, or in one that is a folder. The path is the whole
// word, or what follows the first "=" of it.
func (s *step) checkWord(word string) error {
	_, value, _ := strings.Cut(word, "=")
	for _, text := range []string{word, value} {
		for _, side := range []struct {
			folder, what string
			items        map[string]descriptor
		}{{pipeline.In, "input", s.inputs}, {pipeline.Out, "product", s.products}} {
			name, ok := strings.CutPrefix(path.Clean(text), side.folder+"/")
			if ok && !has(side.items, name) {
				return fmt.Errorf("no %s of the step is called %.200q", side.what, name)
			}
		}
	}
	return nil
}

// has reports whether one of the items has this name, or lies in a folder of this name,
// or is a folder that the name lies in.
func has(items map[string]descriptor, name string) bool {
	for item := range items {
		if item == name || strings.HasPrefix(item, name+"/") || strings.HasPrefix(name, item+"/") {
			return true
		}
	}
	return false
}

// checkParameters wants no parameter but the version of the step that makes the plan,
// in the parameter and in the command, and it to be the release's.
func (s *step) checkParameters(version string) error {
	p := s.definition.ExternalParameters
	for key := range p.Parameters {
		if s.name != planStep || key != versionParameter {
			return fmt.Errorf("step %s has the parameter %.100q, which the pipeline does not have", s.name, key)
		}
	}
	if s.name != planStep {
		return nil
	}
	given, ok := p.Parameters[versionParameter]
	if ok && given != version {
		return fmt.Errorf("step %s had the version %.100q as a parameter, the release has %q", s.name, given, version)
	}
	at := slices.Index(p.Command, "--"+versionParameter)
	switch {
	case ok != (at >= 0), ok && (at+1 >= len(p.Command) || p.Command[at+1] != given):
		return fmt.Errorf("step %s ran %.300q, its parameters are %.200q", s.name, p.Command, p.Parameters)
	}
	return nil
}
