// Package copyright reads the licences of a package from its machine-readable
// copyright file (DEP-5, www.debian.org/doc/packaging-manuals/copyright-format/1.0)
// and says them as an SPDX licence expression (SPDX 2.3, annex D).
//
// What it gives is what the packager declared, no more: a short name that SPDX
// does not have, or of which it is not certain that it means the same there,
// becomes a LicenseRef with the text that the file gives for it.
package copyright

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/mastercard/mangos/modules/debian/control"
)

// Limits of a file.
const (
	MaxSize       = 4 << 20 // bytes
	maxParagraphs = 20_000
	maxExpression = 32 << 10 // bytes of the whole expression
)

var (
	// ErrFreeForm says that a file is not machine-readable.
	ErrFreeForm = errors.New("the copyright file is not machine-readable")
	// ErrSyntax says that a file claims to be machine-readable, and is not.
	ErrSyntax = errors.New("the copyright file cannot be read")
)

// Licences are what a copyright file declares.
type Licences struct {
	// Expression is an SPDX licence expression: all that stands in the file,
	// joined by AND.
	Expression string
	// Texts are the licences of the expression that SPDX does not have, sorted.
	Texts []Text
}

// Text is a licence that SPDX does not have.
type Text struct {
	ID   string // LicenseRef-NAME-DIGEST
	Name string // as the file calls it
	Text string // what the file says of it; may be empty
}

// Parse reads a copyright file.
func Parse(data []byte) (*Licences, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrSyntax, MaxSize)
	}
	paragraphs, err := read(bytes.ToValidUTF8(data, []byte("\uFFFD")))
	if err != nil {
		return nil, err
	}
	f := file{texts: map[string]string{}, used: map[string]Text{}}
	var names []string
	for i, p := range paragraphs {
		name, text, _ := strings.Cut(p.Get("License"), "\n")
		name = strings.Join(strings.Fields(name), " ")
		if name == "" {
			continue
		}
		standalone := i > 0 && p.Get("Files") == ""
		if text = unfold(text); text != "" && (standalone || f.texts[name] == "") {
			f.texts[name] = text
		}
		if !standalone {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: no paragraph of files with a licence", ErrSyntax)
	}
	return f.licences(names)
}

// read splits the file into paragraphs, the header first.
func read(data []byte) ([]control.Paragraph, error) {
	if first, _, _ := bytes.Cut(data, []byte("\n")); !bytes.HasPrefix(first, []byte("Format")) {
		return nil, fmt.Errorf("%w: it does not begin with the field Format", ErrFreeForm)
	}
	var list []control.Paragraph
	for r := control.NewReader(bytes.NewReader(data)); ; {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
		}
		if list = append(list, p); len(list) > maxParagraphs {
			return nil, fmt.Errorf("%w: more than %d paragraphs", ErrSyntax, maxParagraphs)
		}
	}
}

// unfold undoes what the format does to a text of several lines.
func unfold(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if lines[i] = strings.TrimRight(line, " \t"); lines[i] == "." {
			lines[i] = ""
		}
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

// file is what is known while the expression is put together.
type file struct {
	texts map[string]string // by the short name
	used  map[string]Text   // by the ID
}

// licences joins the licences of all paragraphs.
func (f *file) licences(names []string) (*Licences, error) {
	terms := map[string]bool{}
	for _, name := range names {
		e, err := parseExpression(name)
		if err != nil {
			return nil, fmt.Errorf("%w: licence %.100q: %w", ErrSyntax, name, err)
		}
		for _, part := range e.conjuncts() {
			terms[part.spdx(f.id)] = true
		}
	}
	list := slices.Sorted(maps.Keys(terms))
	if len(list) > 1 {
		for i, term := range list {
			if strings.Contains(term, " OR ") {
				list[i] = "(" + term + ")"
			}
		}
	}
	l := &Licences{Expression: strings.Join(list, " AND ")}
	if len(l.Expression) > maxExpression {
		return nil, fmt.Errorf("%w: an expression of more than %d bytes", ErrSyntax, maxExpression)
	}
	for _, id := range slices.Sorted(maps.Keys(f.used)) {
		l.Texts = append(l.Texts, f.used[id])
	}
	return l, nil
}

// id names one licence in the way of SPDX.
func (f *file) id(name string) string {
	if id, ok := known(name); ok {
		return id
	}
	text := f.texts[name]
	sum := sha256.Sum256([]byte(name + "\x00" + strings.Join(strings.Fields(text), " ")))
	id := "LicenseRef-" + idString(name) + "-" + hex.EncodeToString(sum[:4])
	f.used[id] = Text{ID: id, Name: name, Text: text}
	return id
}

// idString replaces what an identifier cannot hold, and shortens it.
func idString(name string) string {
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		if r == '+' {
			return 'p'
		}
		return '-'
	}, name)
	return id[:min(len(id), 60)]
}
