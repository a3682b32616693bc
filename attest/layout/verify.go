package layout

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"time"

	"github.com/in-toto/in-toto-golang/in_toto"
	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"github.com/mastercard/mangos/attest/pipeline"
)

// Sentinels of the verification.
var (
	ErrSignature = errors.New("not signed by the wanted keys")
	ErrExpired   = errors.New("layout has expired")
	ErrStranger  = errors.New("layout lets somebody make links who is not trusted")
	ErrThreshold = errors.New("too few links by distinct authorised keys")
	ErrDissent   = errors.New("links of one step disagree")
	ErrName      = errors.New("link does not bear the name of its step")
	ErrArtifacts = errors.New("artifact rule broken")
)

// Trust says whose layout is believed, and of what.
type Trust struct {
	Owners    []crypto.PublicKey
	Threshold int       // of Owners; at least 1
	At        time.Time // when the layout must not have expired
	// Functionaries are the keys whose links count. A layout that names another is
	// refused, whatever its owners say.
	Functionaries []crypto.PublicKey
	// Pipeline is what the steps and their rules must be made of.
	Pipeline *pipeline.Pipeline
}

// Result is a verified pipeline.
type Result struct {
	Layout in_toto.Layout
	// Links holds the agreed link of each step.
	Links map[string]in_toto.Link
	// Votes holds, for each step, the ids of the keys whose links agree.
	Votes map[string][]string
	// Files are the names of the layout and of all links that were used.
	Files []string
}

// Verify reads the layout [FileName] and the links among files, which are
// contents by file name, and holds them against each other and against the
// rules of the package documentation. Files that are neither are not looked at;
// a link that the layout has no use for is not in the result's Files.
func Verify(files map[string][]byte, trust Trust) (*Result, error) {
	r, err := Open(files, trust)
	if err != nil {
		return nil, err
	}
	blocks := map[string]in_toto.Metadata{}
	var steps []any
	for i := range r.Layout.Steps {
		s := &r.Layout.Steps[i]
		link, err := r.Step(files, s.Name)
		if err != nil {
			return nil, fmt.Errorf("verify layout: %w", err)
		}
		blocks[s.Name] = &in_toto.Metablock{Signed: *link}
		steps = append(steps, *s)
	}
	if err := in_toto.VerifyArtifacts(steps, blocks); err != nil {
		return nil, fmt.Errorf("verify layout: %w: %w", ErrArtifacts, err)
	}
	return r, nil
}

// Open is [Verify] without the links: its result holds that of no step.
func Open(files map[string][]byte, trust Trust) (*Result, error) {
	data, ok := files[FileName]
	if !ok {
		return nil, fmt.Errorf("verify layout: there is no %s", FileName)
	}
	l, err := load(data, trust)
	if err != nil {
		return nil, fmt.Errorf("verify layout: %w", err)
	}
	return &Result{Layout: *l, Links: map[string]in_toto.Link{}, Votes: map[string][]string{}, Files: []string{FileName}}, nil
}

// Step verifies the links of one step and adds to the result what they agree on. It is
// held against no other step, and against no rule: [Verify] does that.
func (r *Result) Step(files map[string][]byte, name string) (*in_toto.Link, error) {
	i := slices.IndexFunc(r.Layout.Steps, func(s in_toto.Step) bool { return s.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("step %s: the layout does not have it", name)
	}
	link, err := r.step(files, &r.Layout.Steps[i])
	if err != nil {
		return nil, fmt.Errorf("step %s: %w", name, err)
	}
	return link, nil
}

// load reads the layout and checks signatures, rules and expiry.
func load(data []byte, trust Trust) (*in_toto.Layout, error) {
	m, err := parse[in_toto.Layout](data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", FileName, err)
	}
	text, err := cjson.EncodeCanonical(m.Signed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", FileName, ErrFormat, err)
	}
	if trust.Threshold < 1 {
		return nil, fmt.Errorf("threshold of layout owners is %d; at least 1 is needed", trust.Threshold)
	}
	votes := map[string]bool{}
	for _, o := range trust.Owners {
		pub, ok := o.(ed25519.PublicKey)
		if !ok {
			return nil, fmt.Errorf("layout owner: %w: %T is not Ed25519", ErrKey, o)
		}
		if signedBy(text, m.Signatures, pub) {
			votes[string(pub)] = true
		}
	}
	if len(votes) < trust.Threshold {
		return nil, fmt.Errorf("%s: %w: %d of the owners signed, %d are needed", FileName, ErrSignature, len(votes), trust.Threshold)
	}
	for _, err := range []error{check(&m.Signed), checkPipeline(&m.Signed, trust.Pipeline), checkFunctionaries(&m.Signed, trust.Functionaries)} {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", FileName, err)
		}
	}
	expires, err := time.Parse(in_toto.ISO8601DateSchema, m.Signed.Expires)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: expires: %w", FileName, ErrFormat, err)
	}
	if !trust.At.Before(expires) {
		return nil, fmt.Errorf("%s: %w on %s", FileName, ErrExpired, m.Signed.Expires)
	}
	return &m.Signed, nil
}

// step finds the links of a step, counts the keys behind them and returns
// what they agree on.
func (r *Result) step(files map[string][]byte, s *in_toto.Step) (*in_toto.Link, error) {
	voters := map[string]string{} // key bytes to link file
	var agreed *in_toto.Link
	var first string
	for _, name := range linkFiles(files, s.Name) {
		link, signers, err := r.link(files[name], s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if len(signers) == 0 {
			return nil, fmt.Errorf("%s: %w: no authorised key signed it", name, ErrSignature)
		}
		if agreed == nil {
			agreed, first = link, name
		} else if !slices.Equal(agreed.Command, link.Command) || !reflect.DeepEqual(agreed.Materials, link.Materials) || !reflect.DeepEqual(agreed.Products, link.Products) {
			return nil, fmt.Errorf("%w: %s and %s", ErrDissent, first, name)
		}
		for _, id := range signers {
			voters[r.Layout.Keys[id].KeyVal.Public] = id
		}
		r.Files = append(r.Files, name)
	}
	if len(voters) < s.Threshold {
		return nil, fmt.Errorf("%w: %d, and %d are needed", ErrThreshold, len(voters), s.Threshold)
	}
	for _, id := range voters {
		r.Votes[s.Name] = append(r.Votes[s.Name], id)
	}
	sort.Strings(r.Votes[s.Name])
	r.Links[s.Name] = *agreed
	return agreed, nil
}

// link reads one link of a step and returns the ids of the step's keys that
// signed it.
func (r *Result) link(data []byte, s *in_toto.Step) (*in_toto.Link, []string, error) {
	m, err := parseLink(data)
	if err != nil {
		return nil, nil, err
	}
	if m.Signed.Name != s.Name {
		return nil, nil, fmt.Errorf("%w: it is %q", ErrName, m.Signed.Name)
	}
	text, err := cjson.EncodeCanonical(m.Signed)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	var signers []string
	for _, id := range s.PubKeys {
		pub, err := public(r.Layout.Keys[id])
		if err != nil {
			return nil, nil, err
		}
		if signedBy(text, m.Signatures, pub) {
			signers = append(signers, id)
		}
	}
	return &m.Signed, signers, nil
}

// linkFiles lists the names of a step's links, sorted.
func linkFiles(files map[string][]byte, step string) []string {
	var names []string
	for name := range files {
		if s, _, ok := LinkStep(name); ok && s == step {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}
