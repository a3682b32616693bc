package sbom

import (
	"bytes"
	"encoding/json"
	"fmt"

	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/attest/strictjson"
)

// Parse reads a whole document. It must be spelled as [Encode] spells it, and its
// namespace must be made from its content.
func Parse(text []byte) (*spdx.Document, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("parse bill of materials: more than %d bytes: %w", MaxSize, ErrDocument)
	}
	if err := wellFormed(text); err != nil {
		return nil, fmt.Errorf("parse bill of materials: %w", err)
	}
	var doc spdx.Document
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("parse bill of materials: %w: %w", ErrDocument, err)
	}
	again, err := Encode(&doc)
	if err != nil {
		return nil, fmt.Errorf("parse bill of materials: %w: %w", ErrDocument, err)
	}
	if !bytes.Equal(again, text) {
		return nil, fmt.Errorf("parse bill of materials: it is not spelled as this program spells it: %w", ErrDocument)
	}
	digest, err := bareDigest(text, doc.DocumentNamespace)
	if err != nil {
		return nil, fmt.Errorf("parse bill of materials: %w", err)
	}
	if want := namespaceOf(&doc, digest); doc.DocumentNamespace != want {
		return nil, fmt.Errorf("parse bill of materials: its namespace is %.200q, its content's %q: %w", doc.DocumentNamespace, want, ErrDocument)
	}
	return &doc, nil
}

// wellFormed makes sure that a text is JSON that has one meaning, without null: [Encode]
// never writes it, and the library that reads a document falls over one in a list.
func wellFormed(text []byte) error {
	if err := strictjson.Check(text); err != nil {
		return fmt.Errorf("%w: %w", ErrDocument, err)
	}
	for inString, i := false, 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			inString = !inString
		case inString && text[i] == '\\':
			i++
		case !inString && text[i] == 'n':
			return fmt.Errorf("null at byte %d: %w", i, ErrDocument)
		}
	}
	return nil
}
