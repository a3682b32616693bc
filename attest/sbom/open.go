package sbom

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// MaxSize is the size in bytes of the largest document that is read.
const MaxSize = 256 << 20

// maxFound bounds what one search gives.
const maxFound = 1000

// fastest is the length of the longest text that bytes.Index finds with vector
// instructions.
const fastest = 48

// ErrDocument says that something is no document as [Encode] writes it.
var ErrDocument = errors.New("not a bill of materials of this program")

// Index finds elements in an encoded document without reading all of it: each
// element is a line, and its keys and values have one spelling. What it finds is
// read strictly. Whether the whole document is well formed is for [Parse].
type Index struct {
	// Document is all but the lists.
	Document                              spdx.Document
	packages, files, texts, relationships []byte
}

// Read reads the document in the file at path, which may be compressed.
func Read(path string) ([]byte, error) { return read(path, MaxSize) }

func read(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read bill of materials: %w", err)
	}
	defer f.Close()
	text, err := readAll(f, limit)
	if err != nil {
		return nil, fmt.Errorf("read bill of materials %s: %w", path, err)
	}
	return text, nil
}

// readAll reads a file, which may be compressed.
func readAll(f *os.File, limit int64) ([]byte, error) {
	if filepath.Ext(f.Name()) == ".zst" {
		return decompress(f, limit)
	}
	var b bytes.Buffer
	if st, err := f.Stat(); err == nil && st.Size() <= limit {
		b.Grow(int(st.Size()) + bytes.MinRead)
	}
	return bounded(&b, f, limit)
}

// decompress reads a compressed document.
func decompress(r io.Reader, limit int64) ([]byte, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(64<<20), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return bounded(&bytes.Buffer{}, z, limit)
}

// bounded reads all of r into b, if it is not more than limit bytes.
func bounded(b *bytes.Buffer, r io.Reader, limit int64) ([]byte, error) {
	if _, err := b.ReadFrom(io.LimitReader(r, limit+1)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	if int64(b.Len()) > limit {
		return nil, fmt.Errorf("more than %d bytes: %w", limit, ErrDocument)
	}
	return b.Bytes(), nil
}

// Open makes an index of an encoded document, of which it reads the head.
func Open(text []byte) (*Index, error) {
	x := &Index{}
	var head []byte
	for _, l := range []struct {
		key  string
		list *[]byte
	}{
		{"packages", &x.packages}, {"files", &x.files}, {"hasExtractedLicensingInfos", &x.texts}, {"relationships", &x.relationships},
	} {
		before, after, ok := bytes.Cut(text, []byte(",\n\""+l.key+"\":[\n"))
		if !ok {
			continue
		}
		if *l.list, text, ok = bytes.Cut(after, []byte("\n]")); !ok {
			return nil, fmt.Errorf("open bill of materials: list %q has no end: %w", l.key, ErrDocument)
		}
		head = append(head, before...)
	}
	head = append(head, text...)
	if len(head) > 1<<20 {
		return nil, fmt.Errorf("open bill of materials: its head has %d bytes: %w", len(head), ErrDocument)
	}
	if err := unmarshal(head, &x.Document); err != nil {
		return nil, fmt.Errorf("open bill of materials: %w", err)
	}
	if x.Document.SPDXVersion != spdx.Version {
		return nil, fmt.Errorf("open bill of materials: version %.40q, want %q: %w", x.Document.SPDXVersion, spdx.Version, ErrDocument)
	}
	return x, nil
}

// unmarshal reads one element strictly.
func unmarshal(text []byte, v any) error {
	if err := wellFormed(text); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrDocument, err)
	}
	return nil
}

// find reads the lines of a list in which "key":"value" stands.
func find[T any](lines []byte, key, value string) ([]*T, error) {
	quoted, err := quote(value)
	if err != nil {
		return nil, err
	}
	var found []*T
	for line := range having(lines, []byte(`"`+key+`":`+quoted)) {
		v := new(T)
		if err := unmarshal(line, v); err != nil {
			return nil, err
		}
		if found = append(found, v); len(found) > maxFound {
			return nil, fmt.Errorf("%q stands there more than %d times: %w", value, maxFound, ErrDocument)
		}
	}
	return found, nil
}

// having yields the lines in which a pattern stands, without the comma at their end.
func having(lines, pattern []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		// The end of it is looked for: a short text is found much faster.
		needle := pattern[max(0, len(pattern)-fastest):]
		for at := 0; ; {
			i := bytes.Index(lines[at:], needle)
			if i < 0 {
				return
			}
			if !bytes.HasSuffix(lines[:at+i+len(needle)], pattern) {
				at += i + len(needle)
				continue
			}
			begin := bytes.LastIndexByte(lines[:at+i], '\n') + 1
			end := len(lines)
			if n := bytes.IndexByte(lines[at+i:], '\n'); n >= 0 {
				end = at + i + n
			}
			if !yield(bytes.TrimSuffix(lines[begin:end], []byte(","))) {
				return
			}
			at = end
		}
	}
}

// quote is a string as [Encode] writes it.
func quote(s string) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// FilesAt are the files at a path, of all components. The path is relative to
// the component's root.
func (x *Index) FilesAt(path string) ([]*spdx.File, error) {
	list, err := find[spdx.File](x.files, "fileName", "./"+path)
	if err != nil {
		return nil, fmt.Errorf("find /%s: %w", path, err)
	}
	return list, nil
}

// HasFolder reports whether a component has a file below a path, which is relative to the
// component's root; empty for all of it.
func (x *Index) HasFolder(component, path string) (bool, error) {
	below := "./"
	if path != "" {
		below += path + "/"
	}
	quoted, err := quote(below)
	if err != nil {
		return false, fmt.Errorf("find below /%s: %w", path, err)
	}
	own := []byte(`"SPDXID":"SPDXRef-` + component + `-file-`)
	for line := range having(x.files, []byte(`"fileName":`+strings.TrimSuffix(quoted, `"`))) {
		if !bytes.Contains(line, own) {
			continue
		}
		var f spdx.File
		if err := unmarshal(line, &f); err != nil {
			return false, fmt.Errorf("find below /%s: %w", path, err)
		}
		if ComponentOf(f.FileSPDXIdentifier) == component && strings.HasPrefix(f.FileName, below) {
			return true, nil
		}
	}
	return false, nil
}

// FilesOf are the files with a SHA-256, lower-case hexadecimal.
func (x *Index) FilesOf(sha256 string) ([]*spdx.File, error) {
	list, err := find[spdx.File](x.files, "checksumValue", sha256)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", sha256, err)
	}
	return slices.DeleteFunc(list, func(f *spdx.File) bool { return SHA256(f.Checksums) != sha256 }), nil
}

// PackagesOf are the packages, sources, source files and components with a
// SHA-256.
func (x *Index) PackagesOf(sha256 string) ([]*spdx.Package, error) {
	list, err := find[spdx.Package](x.packages, "checksumValue", sha256)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", sha256, err)
	}
	return slices.DeleteFunc(list, func(p *spdx.Package) bool { return SHA256(p.PackageChecksums) != sha256 }), nil
}

// Package is the package with an identifier; nil if there is none. Two are an
// error.
func (x *Index) Package(id common.ElementID) (*spdx.Package, error) {
	list, err := find[spdx.Package](x.packages, "SPDXID", common.RenderElementID(id))
	if err == nil && len(list) > 1 {
		err = fmt.Errorf("it stands there %d times: %w", len(list), ErrDocument)
	}
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", id, err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return list[0], nil
}

// From are the identifiers of what an element is related to in a way.
func (x *Index) From(id common.ElementID, kind string) ([]common.ElementID, error) {
	return x.related(id, kind, "spdxElementId", func(r *spdx.Relationship) common.DocElementID { return r.RefB })
}

// To are the identifiers of what is related to an element in a way.
func (x *Index) To(id common.ElementID, kind string) ([]common.ElementID, error) {
	return x.related(id, kind, "relatedSpdxElement", func(r *spdx.Relationship) common.DocElementID { return r.RefA })
}

func (x *Index) related(id common.ElementID, kind, key string, other func(*spdx.Relationship) common.DocElementID) ([]common.ElementID, error) {
	if len(x.relationships) == 0 {
		return nil, nil
	}
	list, err := find[spdx.Relationship](x.relationships, key, common.RenderElementID(id))
	if err != nil {
		return nil, fmt.Errorf("find what %s is related to: %w", id, err)
	}
	var ids []common.ElementID
	for _, r := range list {
		if r.Relationship == kind {
			ids = append(ids, other(r).ElementRefID)
		}
	}
	return ids, nil
}

// Target is the target of a symbolic link; the second result tells whether the
// file is one.
func Target(f *spdx.File) (string, bool) {
	line, _, _ := strings.Cut(f.FileComment, "\n")
	return strings.CutPrefix(line, linkNote)
}

// Origin says where a file is from that is not as a package brought it; else it
// is empty.
func Origin(f *spdx.File) string {
	line, rest, _ := strings.Cut(f.FileComment, "\n")
	if strings.HasPrefix(line, linkNote) {
		return rest
	}
	return f.FileComment
}

// ComponentOf is the name of the component that a file, package or program is in.
func ComponentOf(id common.ElementID) string {
	for _, kind := range []string{"-file-", "-deb-", "-program-"} {
		if name, _, ok := strings.Cut(string(id), kind); ok {
			return name
		}
	}
	return strings.TrimPrefix(string(id), "component-")
}

// SHA256 is that checksum in a list, empty if there is none or more than one.
func SHA256(list []common.Checksum) string { return checksum(list, common.SHA256) }

// Signers are the keys that signed the Release of a suite, as a list with commas.
func Signers(suite *spdx.Package) string { return strings.TrimPrefix(suite.PackageComment, signedBy) }
