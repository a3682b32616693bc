package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"

	"github.com/mastercard/mangos/modules/debian/control"
)

// ErrIndex says that an index's content makes no sense.
var ErrIndex = errors.New("invalid index")

// MaxIndex is the largest index that is read, unpacked, in bytes.
const MaxIndex = 512 << 20

// Decompress unpacks an index by the ending of its name, to MaxIndex bytes at
// most.
func Decompress(name string, data []byte) ([]byte, error) {
	var r io.Reader = bytes.NewReader(data)
	var err error
	switch {
	case strings.HasSuffix(name, ".gz"):
		r, err = gzip.NewReader(r)
	case strings.HasSuffix(name, ".xz"):
		r, err = xz.NewReader(r, 64<<20)
	case strings.HasSuffix(name, ".zst"):
		var z *zstd.Decoder
		if z, err = zstd.NewReader(r, zstd.WithDecoderMaxMemory(MaxIndex)); err == nil {
			defer z.Close()
			r = z
		}
	}
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", name, err)
	}
	text, err := io.ReadAll(io.LimitReader(r, MaxIndex+1))
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", name, err)
	}
	if len(text) > MaxIndex {
		return nil, fmt.Errorf("unpack %s: %w: more than %d bytes", name, ErrIndex, MaxIndex)
	}
	return text, nil
}

// Package is a paragraph of a Packages index.
type Package struct {
	Name, Version, Architecture string
	Source, SourceVersion       string
	Essential                   bool
	Priority                    string
	// Depends holds Pre-Depends and Depends, as they are written.
	Depends, Provides string
	File              File
	// Start and End are the paragraph's place in the index.
	Start, End int
}

var (
	namePattern    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+.-]{0,254}$`)
	versionPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+~:-]{0,254}$`)
	archPattern    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	sourcePattern  = regexp.MustCompile(`^(\S+)(?: \(([^()\s]+)\))?$`)
)

// ValidName reports whether s can be the name of a package.
func ValidName(s string) bool { return namePattern.MatchString(s) }

// ValidVersion reports whether s can be a version.
func ValidVersion(s string) bool { return versionPattern.MatchString(s) }

// ValidArchitecture reports whether s can be an architecture.
func ValidArchitecture(s string) bool { return archPattern.MatchString(s) }

// Packages reads a Packages index.
func Packages(index []byte) ([]Package, error) {
	var list []Package
	err := paragraphs(index, func(p control.Paragraph, start, end int) error {
		pkg, err := packageOf(p)
		if err != nil {
			return err
		}
		pkg.Start, pkg.End = start, end
		list = append(list, pkg)
		return nil
	})
	return list, err
}

// Filter returns the paragraphs of an index whose packages have one of the
// names. It is many times faster than reading all of them.
func Filter(index []byte, names map[string]bool) []byte {
	var kept []byte
	for len(index) > 0 {
		end := len(index)
		if i := bytes.Index(index, []byte("\n\n")); i >= 0 {
			end = i + 2
		}
		if paragraph := index[:end]; names[packageName(paragraph)] {
			kept = append(kept, paragraph...)
		}
		index = index[end:]
	}
	return kept
}

// packageName is the value of a paragraph's field Package, empty if there is
// none.
func packageName(paragraph []byte) string {
	const field = "Package: "
	if !bytes.HasPrefix(paragraph, []byte(field)) {
		i := bytes.Index(paragraph, []byte("\n"+field))
		if i < 0 {
			return ""
		}
		paragraph = paragraph[i+1:]
	}
	line, _, _ := bytes.Cut(paragraph[len(field):], []byte("\n"))
	return string(bytes.TrimSpace(line))
}

// paragraphs cuts an index at its empty lines and hands each paragraph on with
// its place, so that a part of an index can be copied as it is.
func paragraphs(index []byte, do func(p control.Paragraph, start, end int) error) error {
	for start := 0; start < len(index); {
		end := len(index)
		if i := bytes.Index(index[start:], []byte("\n\n")); i >= 0 {
			end = start + i + 2
		}
		if len(bytes.TrimSpace(index[start:end])) > 0 {
			p, err := control.Single(bytes.NewReader(index[start:end]))
			if err == nil {
				err = do(p, start, end)
			}
			if err != nil {
				return fmt.Errorf("%w: byte %d: %w", ErrIndex, start, err)
			}
		}
		start = end
	}
	return nil
}

func packageOf(p control.Paragraph) (Package, error) {
	pkg := Package{
		Name: p.Get("Package"), Version: p.Get("Version"), Architecture: p.Get("Architecture"),
		Essential: p.Get("Essential") == "yes", Priority: p.Get("Priority"),
		Provides: p.Get("Provides"),
	}
	if !ValidName(pkg.Name) || !ValidVersion(pkg.Version) || !ValidArchitecture(pkg.Architecture) {
		return pkg, fmt.Errorf("package %.80q, version %.80q, architecture %.40q", pkg.Name, pkg.Version, pkg.Architecture)
	}
	pkg.Depends = strings.Trim(p.Get("Pre-Depends")+", "+p.Get("Depends"), ", ")
	pkg.Source, pkg.SourceVersion = pkg.Name, pkg.Version
	if s := p.Get("Source"); s != "" {
		m := sourcePattern.FindStringSubmatch(s)
		if m == nil {
			return pkg, fmt.Errorf("source of %s: %.80q", pkg.Name, s)
		}
		pkg.Source = m[1]
		if m[2] != "" {
			pkg.SourceVersion = m[2]
		}
	}
	if !ValidName(pkg.Source) || !ValidVersion(pkg.SourceVersion) {
		return pkg, fmt.Errorf("source of %s: %.80q %.80q", pkg.Name, pkg.Source, pkg.SourceVersion)
	}
	f, err := parseFile([]string{p.Get("SHA256"), p.Get("Size"), p.Get("Filename")})
	if err != nil {
		return pkg, fmt.Errorf("file of %s: %w", pkg.Name, err)
	}
	pkg.File = f
	return pkg, nil
}

// Source is a paragraph of a Sources index.
type Source struct {
	Name, Version string
	Files         []File
	// Origin holds those fields that say where the source is developed, as the
	// package's description (.dsc) has them: see OriginFields.
	Origin control.Paragraph
}

// OriginFields are the fields of a description that say where a source is developed.
var OriginFields = []string{"Vcs-Git", "Vcs-Browser", "Dgit", "Git-Tag-Info"}

// Sources reads the paragraphs of a Sources index that want accepts.
func Sources(index []byte, want func(name, version string) bool) ([]Source, error) {
	var list []Source
	err := paragraphs(index, func(p control.Paragraph, _, _ int) error {
		s := Source{Name: p.Get("Package"), Version: p.Get("Version")}
		if !ValidName(s.Name) || !ValidVersion(s.Version) {
			return fmt.Errorf("source %.80q, version %.80q", s.Name, s.Version)
		}
		if !want(s.Name, s.Version) {
			return nil
		}
		files, err := sourceFiles(p.Get("Directory"), p.Get("Checksums-Sha256"))
		if err != nil {
			return fmt.Errorf("source %s: %w", s.Name, err)
		}
		s.Files = files
		for _, name := range OriginFields {
			if value := p.Get(name); value != "" {
				s.Origin = append(s.Origin, control.Field{Name: name, Value: value})
			}
		}
		list = append(list, s)
		return nil
	})
	return list, err
}

func sourceFiles(directory, sums string) ([]File, error) {
	var files []File
	for line := range strings.SplitSeq(sums, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) != 3 || strings.Contains(words[2], "/") {
			return nil, fmt.Errorf("not \"sha256 size name\": %.120q", line)
		}
		size, err := strconv.ParseInt(words[1], 10, 64)
		f := File{Path: directory + "/" + words[2], Size: size, SHA256: words[0]}
		if err != nil || size < 0 || !ValidSHA256(f.SHA256) || !ValidPath(f.Path) {
			return nil, fmt.Errorf("not \"sha256 size name\" in a directory: %.120q", line)
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no SHA-256 sums")
	}
	return files, nil
}
