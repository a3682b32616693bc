// Package statement reads and writes in-toto Statements, version 1
// (github.com/in-toto/attestation, spec/v1/statement.md).
//
// Reading is stricter than the specification and than the library that it
// stands on, because a release is judged by these documents: every subject has
// a name of its own and a SHA-256, digests are lower-case hexadecimal of the
// algorithm's length, and no name can break out of a line or a path. Unknown
// fields are ignored, as the specification demands; known ones in another
// case, and doubled ones, are refused.
package statement

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	upstream "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/mastercard/mangos/attest/strictjson"
)

// Type is the `_type` of every statement.
const Type = "https://in-toto.io/Statement/v1"

// PayloadType is the type of a statement in an envelope.
const PayloadType = "application/vnd.in-toto+json"

// Limits of what is read.
const (
	// MaxSize is the size in bytes of the largest statement.
	MaxSize = 40 << 20
	// MaxDescriptors is the most subjects, or dependencies, of a statement.
	MaxDescriptors = 200000
	// MaxName is the length in bytes of the longest name or URI.
	MaxName = 1024
)

// ErrInvalid: not a statement as the package documentation describes it.
var ErrInvalid = errors.New("invalid statement")

// Statement says something (the predicate) about artifacts (the subjects).
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []Descriptor    `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// Descriptor names an artifact: spec/v1/resource_descriptor.md.
type Descriptor struct {
	Name             string            `json:"name,omitempty"`
	URI              string            `json:"uri,omitempty"`
	Digest           map[string]string `json:"digest,omitempty"`
	Content          []byte            `json:"content,omitempty"`
	DownloadLocation string            `json:"downloadLocation,omitempty"`
	MediaType        string            `json:"mediaType,omitempty"`
	Annotations      map[string]any    `json:"annotations,omitempty"`
}

// SHA256 is the descriptor's SHA-256, or empty.
func (d *Descriptor) SHA256() string { return d.Digest["sha256"] }

// lengths in hexadecimal digits of the digests we know. gitCommit and its
// kin are of either length, as git is.
var lengths = map[string][]int{
	"sha256": {64}, "sha384": {96}, "sha512": {128},
	"gitCommit": {40, 64}, "gitTree": {40, 64}, "gitBlob": {40, 64}, "gitTag": {40, 64},
}

// New makes a statement and checks it.
func New(subject []Descriptor, predicateType string, predicate any) (*Statement, error) {
	raw, err := json.Marshal(predicate)
	if err != nil {
		return nil, fmt.Errorf("new statement: %w", err)
	}
	s := &Statement{Type: Type, Subject: subject, PredicateType: predicateType, Predicate: raw}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("new statement: %w", err)
	}
	return s, nil
}

// Encode is the statement's JSON, the bytes to be signed. The same statement
// gives the same bytes.
func (s *Statement) Encode() ([]byte, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode statement: %w", err)
	}
	if len(data) > MaxSize {
		return nil, fmt.Errorf("encode statement: %d bytes; at most %d are read again", len(data), MaxSize)
	}
	return data, nil
}

// Parse reads a statement. Errors wrap [ErrInvalid].
func Parse(data []byte) (*Statement, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("parse statement: %w: %d bytes, at most %d are read", ErrInvalid, len(data), MaxSize)
	}
	var s Statement
	if err := strictjson.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("parse statement: %w: %w", ErrInvalid, err)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("parse statement: %w", err)
	}
	return &s, nil
}

// check is the whole of what a statement must satisfy.
func (s *Statement) check() error {
	if s.Type != Type {
		return fmt.Errorf("%w: _type is %.100q", ErrInvalid, s.Type)
	}
	if n := len(s.Subject); n == 0 || n > MaxDescriptors {
		return fmt.Errorf("%w: %d subjects", ErrInvalid, n)
	}
	if err := CheckURI(s.PredicateType); err != nil {
		return fmt.Errorf("%w: predicateType: %w", ErrInvalid, err)
	}
	if len(s.Predicate) == 0 || s.Predicate[0] != '{' {
		return fmt.Errorf("%w: the predicate is not an object", ErrInvalid)
	}
	seen := make(map[string]bool, len(s.Subject))
	for i := range s.Subject {
		d := &s.Subject[i]
		if err := d.Check(); err != nil {
			return fmt.Errorf("%w: subject %d: %w", ErrInvalid, i+1, err)
		}
		if d.Name == "" || d.SHA256() == "" {
			return fmt.Errorf("%w: subject %d has no name or no SHA-256", ErrInvalid, i+1)
		}
		if seen[d.Name] {
			return fmt.Errorf("%w: two subjects are called %q", ErrInvalid, d.Name)
		}
		seen[d.Name] = true
	}
	return s.checkUpstream()
}

// checkUpstream asks the library of the specification's authors too. It sees
// the statement without its predicate, which may be large and has its own
// reader.
func (s *Statement) checkUpstream() error {
	bare := *s
	bare.Predicate = json.RawMessage(`{"x":0}`)
	data, err := json.Marshal(bare)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	var u upstream.Statement
	if err := protojson.Unmarshal(data, &u); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := u.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// Check says what is wrong with a descriptor: it must have a name, URI,
// digest or content, and each of these must be well formed.
func (d *Descriptor) Check() error {
	if d.Name == "" && d.URI == "" && len(d.Digest) == 0 && len(d.Content) == 0 {
		return errors.New("it names nothing")
	}
	if err := CheckName(d.Name); d.Name != "" && err != nil {
		return err
	}
	for _, uri := range []string{d.URI, d.DownloadLocation} {
		if err := CheckURI(uri); uri != "" && err != nil {
			return err
		}
	}
	for algorithm, value := range d.Digest {
		if err := checkDigest(algorithm, value); err != nil {
			return err
		}
	}
	return nil
}

func checkDigest(algorithm, value string) error {
	if err := CheckName(algorithm); err != nil {
		return fmt.Errorf("digest: %w", err)
	}
	allowed, known := lengths[algorithm]
	if !known {
		return fmt.Errorf("digest algorithm %q is not one of sha256, sha384, sha512, gitCommit, gitTree, gitBlob, gitTag", algorithm)
	}
	for _, c := range []byte(value) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("%s digest %.200q is not lower-case hexadecimal", algorithm, value)
		}
	}
	for _, n := range allowed {
		if len(value) == n {
			return nil
		}
	}
	return fmt.Errorf("%s digest %q has %d digits", algorithm, value, len(value))
}

// CheckName refuses a name that is empty, too long, not UTF-8, holds a
// character that cannot be printed, or is a path that leads upwards or to the
// root.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("an empty name")
	case len(name) > MaxName:
		return fmt.Errorf("a name of %d bytes", len(name))
	case !utf8.ValidString(name):
		return fmt.Errorf("name %q is not UTF-8", name)
	case strings.HasPrefix(name, "/"):
		return fmt.Errorf("name %q is an absolute path", name)
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("name %q holds a character that cannot be printed", name)
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." || part == "." {
			return fmt.Errorf("name %q holds the path element %q", name, part)
		}
	}
	return nil
}

// CheckURI refuses what is not an absolute URI of printable ASCII.
func CheckURI(uri string) error {
	if uri == "" || len(uri) > MaxName {
		return fmt.Errorf("a URI of %d bytes", len(uri))
	}
	for i := range len(uri) {
		if uri[i] <= ' ' || uri[i] >= 0x7f {
			return fmt.Errorf("URI %q holds a character that must be escaped", uri)
		}
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" {
		return fmt.Errorf("%q is not an absolute URI", uri)
	}
	return nil
}
