package layout

import (
	"bytes"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/record"
	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/attest/strictjson"
)

// Limits of what is read.
const (
	// MaxFile is the size in bytes of the largest layout or link.
	MaxFile = 32 << 20
	// MaxSignatures is the most signatures of one.
	MaxSignatures = 64
)

// ErrFormat: not a layout or link.
var ErrFormat = errors.New("malformed in-toto metadata")

// metablock is the form of both layouts and links.
type metablock[T any] struct {
	Signatures []in_toto.Signature `json:"signatures"`
	Signed     T                   `json:"signed"`
}

// NewLink makes the link of a record.
func NewLink(r *record.Record) in_toto.Link {
	artifacts := func(items []record.Item) map[string]in_toto.HashObj {
		m := make(map[string]in_toto.HashObj, len(items))
		for _, i := range items {
			m[i.Name] = in_toto.HashObj{"sha256": i.SHA256}
		}
		return m
	}
	command := r.Command
	if command == nil {
		command = []string{}
	}
	return in_toto.Link{
		Type: "link", Name: r.Step, Command: command,
		Materials: artifacts(r.Materials), Products: artifacts(r.Products),
		ByProducts: map[string]any{}, Environment: map[string]any{},
	}
}

// LinkName is the file name of a step's link by the key with that id.
func LinkName(step, keyID string) string {
	return fmt.Sprintf("%s.%.8s.link", step, keyID)
}

// SignLink returns a link's file name and content, signed by key.
func SignLink(link in_toto.Link, key crypto.Signer) (name string, data []byte, err error) {
	sig, err := sign(link, key)
	if err != nil {
		return "", nil, fmt.Errorf("sign link %s: %w", link.Name, err)
	}
	data, err = encode(metablock[in_toto.Link]{[]in_toto.Signature{sig}, link})
	return LinkName(link.Name, sig.KeyID), data, err
}

// encode writes a metablock.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	if b.Len() > MaxFile {
		return nil, fmt.Errorf("encode: %d bytes; at most %d are read again", b.Len(), MaxFile)
	}
	return b.Bytes(), nil
}

// parse reads a metablock whose content is a T.
func parse[T any](data []byte) (*metablock[T], error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrFormat, MaxFile)
	}
	var m metablock[T]
	if err := strictjson.UnmarshalKnown(data, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if n := len(m.Signatures); n == 0 || n > MaxSignatures {
		return nil, fmt.Errorf("%w: %d signatures", ErrFormat, n)
	}
	return &m, nil
}

// parseLink reads a link and checks its artifacts: names as statements have
// them, each with a SHA-256 and no other digest, so that MATCH, which compares
// whole digest sets, compares like with like. It says nothing else: what stands
// under byproducts or environment could be held against nothing.
func parseLink(data []byte) (*metablock[in_toto.Link], error) {
	m, err := parse[in_toto.Link](data)
	if err != nil {
		return nil, fmt.Errorf("parse link: %w", err)
	}
	l := &m.Signed
	if l.Type != "link" {
		return nil, fmt.Errorf("parse link: %w: _type is %.40q", ErrFormat, l.Type)
	}
	if err := provenance.CheckStep(l.Name); err != nil {
		return nil, fmt.Errorf("parse link: %w: %w", ErrFormat, err)
	}
	if len(l.ByProducts) > 0 || len(l.Environment) > 0 {
		return nil, fmt.Errorf("parse link: %w: it has byproducts or an environment", ErrFormat)
	}
	for _, artifacts := range []map[string]in_toto.HashObj{l.Materials, l.Products} {
		if len(artifacts) > statement.MaxDescriptors {
			return nil, fmt.Errorf("parse link: %w: %d artifacts", ErrFormat, len(artifacts))
		}
		for name, digests := range artifacts {
			d := statement.Descriptor{Name: name, Digest: digests}
			if err := d.Check(); err != nil {
				return nil, fmt.Errorf("parse link: %w: %w", ErrFormat, err)
			}
			if name == "" || filepath.Clean(name) != name || len(digests) != 1 || d.SHA256() == "" {
				return nil, fmt.Errorf("parse link: %w: artifact %q: its name is no clean path, or it has not just a SHA-256", ErrFormat, name)
			}
		}
	}
	return m, nil
}

// LinkStep returns the step and the key id's beginning of a link's file name;
// ok is false when name is not that of a link.
func LinkStep(name string) (step, id string, ok bool) {
	base, found := strings.CutSuffix(name, ".link")
	dot := strings.LastIndexByte(base, '.')
	if !found || dot < 0 || len(base)-dot-1 != 8 || provenance.CheckStep(base[:dot]) != nil {
		return "", "", false
	}
	return base[:dot], base[dot+1:], true
}
