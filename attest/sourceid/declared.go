package sourceid

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mastercard/mangos/modules/debian/archive"
	"github.com/mastercard/mangos/modules/debian/control"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// readDSC takes what the package's description declares and proves.
func (id *Identity) readDSC(f lock.File, open func(lock.File) (io.ReadCloser, error)) error {
	r, err := open(f)
	if err != nil {
		return err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, control.MaxParagraph))
	if err != nil {
		return err
	}
	p, err := control.Single(bytes.NewReader(signedText(text)))
	if err != nil {
		return err
	}
	id.declare(p)
	return nil
}

// declare takes what a description says of the source's origin, where nothing is known
// of it yet.
func (id *Identity) declare(p control.Paragraph) {
	for _, d := range []struct {
		to    *string
		value string
	}{
		{&id.VcsGit, printable(p.Get("Vcs-Git"))},
		{&id.VcsBrowser, printable(p.Get("Vcs-Browser"))},
		{&id.DebianCommit, dgit(p.Get("Dgit"))},
		{&id.Tag, tag(p.Get("Git-Tag-Info"))},
	} {
		if *d.to == "" {
			*d.to = d.value
		}
	}
}

// dgit is the commit that a field Dgit names.
func dgit(field string) string {
	if commit, _, _ := strings.Cut(field, " "); IsCommit(commit) {
		return commit
	}
	return ""
}

// tag is the id of the tag's object that a field Git-Tag-Info names.
func tag(field string) string {
	for word := range strings.FieldsSeq(field) {
		if tag, ok := strings.CutPrefix(word, "tag="); ok && IsCommit(tag) {
			return tag
		}
	}
	return ""
}

// Describe adds what the archive's indexes say of the sources. They repeat what the
// descriptions (.dsc) say: of a source whose description was not to be had, nothing is
// missing then that it would have told. Each source of the set must stand there with
// its files.
func (s *Set) Describe(indexed []archive.Source) error {
	known := map[string]*archive.Source{}
	for i := range indexed {
		known[indexed[i].Name+"="+indexed[i].Version] = &indexed[i]
	}
	for i := range s.Sources {
		id := &s.Sources[i]
		found := known[id.Name+"="+id.Version]
		if found == nil || !id.indexed(found.Files) {
			return fmt.Errorf("describe %s %s: %w", id.Name, id.Version, ErrIndexed)
		}
		id.declare(found.Origin)
		id.Missing = slices.DeleteFunc(id.Missing, func(name string) bool { return strings.HasSuffix(name, ".dsc") })
		if len(id.Missing) == 0 {
			id.Missing, id.Why = nil, ""
		}
		id.grade()
	}
	return nil
}

// indexed reports whether an index lists the files that the identity was computed from.
func (id *Identity) indexed(files []archive.File) bool {
	if len(id.Files) != len(files) {
		return false
	}
	return !slices.ContainsFunc(id.Files, func(f lock.File) bool {
		return !slices.Contains(files, archive.File{Path: f.Path, Size: f.Size, SHA256: f.SHA256})
	})
}

// ErrIndexed: a source does not stand in the archive's indexes with its files.
var ErrIndexed = errors.New("not in the archive's indexes with these files")

// signedText returns what a clear-signed text holds. Its signature is the
// uploader's; that the file is the archive's follows from the lock.
func signedText(text []byte) []byte {
	const begin, end = "-----BEGIN PGP SIGNED MESSAGE-----", "\n-----BEGIN PGP SIGNATURE-----"
	if !bytes.HasPrefix(text, []byte(begin)) {
		return text
	}
	_, body, ok := bytes.Cut(text, []byte("\n\n"))
	if !ok {
		return text
	}
	if i := bytes.Index(body, []byte(end)); i >= 0 {
		body = body[:i+1]
	}
	return body
}

// printable drops what is no plain text of one line.
func printable(s string) string {
	if len(s) > 1024 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
		return ""
	}
	return s
}
