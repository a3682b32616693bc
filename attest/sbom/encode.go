package sbom

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// Encode returns a document's one spelling: each element a line.
func Encode(doc *spdx.Document) ([]byte, error) {
	var b bytes.Buffer
	e := encoder{b: &b}
	e.raw("{")
	e.field("", "spdxVersion", doc.SPDXVersion)
	e.field(",", "dataLicense", doc.DataLicense)
	e.field(",", "SPDXID", doc.SPDXIdentifier)
	e.field(",", "name", doc.DocumentName)
	e.field(",", "documentNamespace", doc.DocumentNamespace)
	e.field(",", "comment", doc.DocumentComment)
	e.field(",", "creationInfo", doc.CreationInfo)
	list(&e, "packages", doc.Packages)
	list(&e, "files", doc.Files)
	list(&e, "hasExtractedLicensingInfos", doc.OtherLicenses)
	list(&e, "relationships", doc.Relationships)
	e.raw("\n}\n")
	if e.err != nil {
		return nil, fmt.Errorf("encode bill of materials: %w", e.err)
	}
	return b.Bytes(), nil
}

// encoder writes JSON and keeps the first error.
type encoder struct {
	b   *bytes.Buffer
	err error
}

func (e *encoder) raw(text string) { e.b.WriteString(text) }

// value writes a value without a newline.
func (e *encoder) value(v any) {
	w := json.NewEncoder(e.b)
	w.SetEscapeHTML(false)
	if err := w.Encode(v); err != nil && e.err == nil {
		e.err = err
	}
	e.b.Truncate(e.b.Len() - 1)
}

func (e *encoder) field(comma, key string, v any) {
	e.raw(comma + "\n\"" + key + "\":")
	e.value(v)
}

func list[T any](e *encoder, key string, elements []T) {
	if len(elements) == 0 {
		return
	}
	e.raw(",\n\"" + key + "\":[")
	for i, v := range elements {
		if i > 0 {
			e.raw(",")
		}
		e.raw("\n")
		e.value(v)
	}
	e.raw("\n]")
}

// contentDigest is the SHA-256 of the document without its namespace.
func contentDigest(doc *spdx.Document) (string, error) {
	bare := *doc
	bare.DocumentNamespace = ""
	text, err := Encode(&bare)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// bareDigest is [contentDigest] of a document that is spelled as text, and has this
// namespace.
func bareDigest(text []byte, namespace string) (string, error) {
	quoted, err := quote(namespace)
	if err != nil {
		return "", err
	}
	// A newline before a quote stands in no string.
	const key = "\n\"documentNamespace\":"
	before, after, ok := bytes.Cut(text, []byte(key+quoted))
	if !ok {
		return "", fmt.Errorf("it has no namespace: %w", ErrDocument)
	}
	h := sha256.New()
	h.Write(before)
	h.Write([]byte(key + `""`))
	h.Write(after)
	return hex.EncodeToString(h.Sum(nil)), nil
}

// namespaceOf is the namespace of a document with that content digest: a URI that
// no other content has.
func namespaceOf(doc *spdx.Document, digest string) string {
	return namespace + doc.DocumentName + "/" + digest
}

// printable reports whether a name can be written down and read again: it is
// UTF-8, and has no control characters.
func printable(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError })
}

// Compress compresses a document with zstd. The same document gives the same
// bytes, on any number of processors.
func Compress(text []byte) []byte {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		panic(err) // the options are constants
	}
	return e.EncodeAll(text, nil)
}
