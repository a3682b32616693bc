package evidence

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/attest/strictjson"
	"github.com/mastercard/mangos/compare/lineage"
	"github.com/mastercard/mangos/compare/machine"
	"github.com/mastercard/mangos/compare/organisation"
)

// BuildType is the type of the build that a statement describes: release-v1.md.
const BuildType = "https://github.com/mastercard/mangos/blob/main/compare/evidence/release-v1.md"

// ErrInvalid: not evidence as this package describes it.
var ErrInvalid = errors.New("invalid evidence")

// Beginnings of the names of artifacts that no release holds by themselves: packages of
// the root, and the pipeline's programs, of which some lie in root and initrd.
const (
	PackagePrefix = "package/"
	ProgramPrefix = "program/"
)

// maxRelease bounds the name of a release in bytes.
const maxRelease = 128

// Item is a name and what it stands for.
type Item struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"` // lower-case hexadecimal
}

// Build is what an organisation says that it built.
type Build struct {
	Release      string
	Organisation string
	// Builder is the builder.id: who ran the build.
	Builder  string
	Finished time.Time
	// Parameters are what the caller chose.
	Parameters map[string]string
	// Inputs are what went in, sorted by name.
	Inputs []Item
	// Components tell how inputs became artifacts.
	Components lineage.Lineage
	// Artifacts are what came out, sorted by name.
	Artifacts []Item
	// Manifests are the files that describe artifacts, sorted by name.
	Manifests []Item
	Machine   machine.Facts

	inputs, artifacts map[string]string
}

// The predicate: SLSA provenance of the build type above.
type (
	predicate struct {
		BuildDefinition buildDefinition `json:"buildDefinition"`
		RunDetails      runDetails      `json:"runDetails"`
	}
	buildDefinition struct {
		BuildType            string                 `json:"buildType"`
		ExternalParameters   externalParameters     `json:"externalParameters"`
		InternalParameters   internalParameters     `json:"internalParameters"`
		ResolvedDependencies []statement.Descriptor `json:"resolvedDependencies"`
	}
	externalParameters struct {
		Release    string            `json:"release"`
		Parameters map[string]string `json:"parameters,omitempty"`
	}
	internalParameters struct {
		Components lineage.Lineage `json:"components"`
	}
	runDetails struct {
		Builder      provenance.Builder     `json:"builder"`
		Metadata     provenance.Metadata    `json:"metadata"`
		Byproducts   []statement.Descriptor `json:"byproducts,omitempty"`
		Organisation string                 `json:"mangos_organisation"`
		Machine      machine.Facts          `json:"mangos_machine"`
	}
)

// Statement makes the statement to be signed.
func (b *Build) Statement() (*statement.Statement, error) {
	for _, list := range []*[]Item{&b.Inputs, &b.Artifacts, &b.Manifests} {
		*list = slices.SortedFunc(slices.Values(*list), func(x, y Item) int { return cmp.Compare(x.Name, y.Name) })
	}
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	return statement.New(descriptors(b.Artifacts), provenance.PredicateType, predicate{
		BuildDefinition: buildDefinition{
			BuildType:            BuildType,
			ExternalParameters:   externalParameters{b.Release, b.Parameters},
			InternalParameters:   internalParameters{b.Components},
			ResolvedDependencies: descriptors(b.Inputs),
		},
		RunDetails: runDetails{
			Builder:      provenance.Builder{ID: b.Builder},
			Metadata:     provenance.Metadata{FinishedOn: b.Finished.UTC().Format(time.RFC3339)},
			Byproducts:   descriptors(b.Manifests),
			Organisation: b.Organisation,
			Machine:      b.Machine,
		},
	})
}

func descriptors(list []Item) []statement.Descriptor {
	out := make([]statement.Descriptor, len(list))
	for i, x := range list {
		out[i] = statement.Descriptor{Name: x.Name, Digest: map[string]string{"sha256": x.SHA256}}
	}
	return out
}

// ParseBuild reads a statement. Errors wrap [ErrInvalid].
func ParseBuild(s *statement.Statement) (*Build, error) {
	if s.PredicateType != provenance.PredicateType {
		return nil, fmt.Errorf("%w: a statement of type %.100q, not provenance", ErrInvalid, s.PredicateType)
	}
	var p predicate
	if err := strictjson.Unmarshal(s.Predicate, &p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	var raw struct {
		BuildDefinition struct {
			ExternalParameters json.RawMessage `json:"externalParameters"`
		} `json:"buildDefinition"`
	}
	if err := strictjson.Unmarshal(s.Predicate, &raw); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	// SLSA asks verifiers to refuse external parameters that they do not know.
	if err := strictjson.UnmarshalKnown(raw.BuildDefinition.ExternalParameters, new(externalParameters)); err != nil {
		return nil, fmt.Errorf("%w: externalParameters: %w", ErrInvalid, err)
	}
	d := &p.BuildDefinition
	if d.BuildType != BuildType {
		return nil, fmt.Errorf("%w: buildType is %.120q", ErrInvalid, d.BuildType)
	}
	finished, err := time.Parse(time.RFC3339, p.RunDetails.Metadata.FinishedOn)
	if err != nil {
		return nil, fmt.Errorf("%w: finishedOn: %w", ErrInvalid, err)
	}
	b := &Build{
		Release: d.ExternalParameters.Release, Organisation: p.RunDetails.Organisation,
		Builder: p.RunDetails.Builder.ID, Finished: finished, Parameters: d.ExternalParameters.Parameters,
		Components: d.InternalParameters.Components, Machine: p.RunDetails.Machine,
	}
	for _, list := range []struct {
		from []statement.Descriptor
		to   *[]Item
	}{{s.Subject, &b.Artifacts}, {d.ResolvedDependencies, &b.Inputs}, {p.RunDetails.Byproducts, &b.Manifests}} {
		if *list.to, err = items(list.from); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return b, nil
}

// items reads descriptors, each with a name of its own and a SHA-256.
func items(list []statement.Descriptor) ([]Item, error) {
	if len(list) > statement.MaxDescriptors {
		return nil, fmt.Errorf("a list of %d", len(list))
	}
	out := make([]Item, len(list))
	for i := range list {
		if err := list[i].Check(); err != nil {
			return nil, err
		}
		if list[i].Name == "" || list[i].SHA256() == "" {
			return nil, fmt.Errorf("number %d of a list has no name or no SHA-256", i+1)
		}
		out[i] = Item{list[i].Name, list[i].SHA256()}
	}
	slices.SortFunc(out, func(x, y Item) int { return cmp.Compare(x.Name, y.Name) })
	return out, nil
}

// check is the whole of what a build must satisfy. It makes the maps by name.
func (b *Build) check() error {
	if err := CheckRelease(b.Release); err != nil {
		return err
	}
	if err := organisation.CheckID(b.Organisation); err != nil {
		return err
	}
	if err := statement.CheckURI(b.Builder); err != nil {
		return fmt.Errorf("builder.id: %w", err)
	}
	if err := b.Machine.Check(); err != nil {
		return err
	}
	if len(b.Inputs) == 0 {
		return errors.New("it names no inputs: nothing says what it was built from")
	}
	if len(b.Artifacts) == 0 {
		return errors.New("it names no artifacts")
	}
	var err error
	if b.inputs, err = byName(b.Inputs); err != nil {
		return err
	}
	if b.artifacts, err = byName(b.Artifacts); err != nil {
		return err
	}
	for _, i := range b.Inputs {
		if b.artifacts[i.Name] != "" {
			return fmt.Errorf("%q is both an input and an artifact", i.Name)
		}
	}
	for _, m := range b.Manifests {
		if artifact, ok := manifestOf(m.Name); !ok || b.artifacts[artifact] == "" {
			return fmt.Errorf("%.100q is no name of an artifact's manifest", m.Name)
		}
	}
	if _, err := byName(b.Manifests); err != nil {
		return err
	}
	is := func(m map[string]string) func(string) bool { return func(name string) bool { return m[name] != "" } }
	return b.Components.Check(is(b.inputs), is(b.artifacts))
}

func byName(list []Item) (map[string]string, error) {
	m := make(map[string]string, len(list))
	for _, i := range list {
		if m[i.Name] != "" {
			return nil, fmt.Errorf("%q stands there twice", i.Name)
		}
		m[i.Name] = i.SHA256
	}
	return m, nil
}

// CheckRelease refuses a release's name that would not be the same as a folder's
// name, in an address and in a line of text.
func CheckRelease(name string) error {
	ok := name != "" && len(name) <= maxRelease && name[0] != '.' && name[0] != '-'
	for i := range len(name) {
		c := name[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._~+^-", c) >= 0)
	}
	if !ok {
		return fmt.Errorf("%.80q is no name of a release: letters, digits and . _ ~ + ^ -, at most %d", name, maxRelease)
	}
	return nil
}

// Artifact is the digest of the artifact with the name, "" if there is none.
func (b *Build) Artifact(name string) string { return b.artifacts[name] }

// Input is the digest of the input with the name, "" if there is none.
func (b *Build) Input(name string) string { return b.inputs[name] }

// Side is the build as one side of a comparison of lineages.
func (b *Build) Side() lineage.Side {
	return lineage.Side{Lineage: b.Components, Digest: func(name string) string {
		if d := b.inputs[name]; d != "" {
			return d
		}
		return b.artifacts[name]
	}}
}

// The folder and ending of manifests.
const (
	manifests      = "manifests/"
	manifestSuffix = ".jsonl"
)

// ManifestName is the name of the manifest of an artifact.
func ManifestName(artifact string) string { return manifests + artifact + manifestSuffix }

func manifestOf(name string) (artifact string, ok bool) {
	rest, ok := strings.CutPrefix(name, manifests)
	artifact, ok2 := strings.CutSuffix(rest, manifestSuffix)
	return artifact, ok && ok2 && !strings.Contains(artifact, "/")
}

// kinds of the artifacts of the unsigned set, for thresholds.
var kinds = map[string]string{
	"root.erofs": "root", "root.verity": "root", "roothash": "root",
	"vmlinux": "kernel", "bzImage": "kernel", "release": "kernel",
	"initrd": "initrd", "microcode.cpio": "initrd",
	"cmdline": "image", "os-release": "image", "uki.efi": "image",
}

// Kind is the kind of an artifact: one of policy.Kinds.
func Kind(artifact string) string {
	if isPackage(artifact) {
		return "package"
	}
	if k := kinds[artifact]; k != "" {
		return k
	}
	return "other"
}
