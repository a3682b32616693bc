package machine

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Mirror says where an archive can be had.
type Mirror struct {
	Name string // debian or debian-security
	URL  string
}

// mirrored are the archives whose mirrors are told apart by the last part of
// their path, as all mirrors of Debian lay it out.
var mirrored = []string{"debian", "debian-security"}

// maxSource bounds a file of apt's configuration; real ones are a few lines.
const maxSource = 1 << 20

// Mirrors reads apt's configuration below etc (usually /etc/apt) and returns
// the first mirror that it names for each archive. Files that cannot be read
// count as an error; none at all do not.
func Mirrors(etc string) ([]Mirror, error) {
	oneLine, err := filepath.Glob(filepath.Join(etc, "sources.list.d", "*.list"))
	if err != nil {
		return nil, fmt.Errorf("read apt's sources: %w", err)
	}
	stanzas, err := filepath.Glob(filepath.Join(etc, "sources.list.d", "*.sources"))
	if err != nil {
		return nil, fmt.Errorf("read apt's sources: %w", err)
	}
	files := append([]string{filepath.Join(etc, "sources.list")}, append(oneLine, stanzas...)...)
	var uris []string
	for _, file := range files {
		text, err := readSource(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read apt's sources: %w", err)
		}
		if strings.HasSuffix(file, ".sources") {
			uris = append(uris, parseStanzas(text)...)
		} else {
			uris = append(uris, parseOneLine(text)...)
		}
	}
	return chooseMirrors(uris), nil
}

func readSource(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxSource {
		return "", fmt.Errorf("%s is larger than %d bytes", file, maxSource)
	}
	return string(data), nil
}

// chooseMirrors picks for each archive the first URI that names it.
func chooseMirrors(uris []string) []Mirror {
	var out []Mirror
	for _, uri := range uris {
		name := archiveName(uri)
		if name == "" || slices.ContainsFunc(out, func(m Mirror) bool { return m.Name == name }) {
			continue
		}
		out = append(out, Mirror{Name: name, URL: strings.TrimRight(uri, "/")})
	}
	slices.SortFunc(out, func(a, b Mirror) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// archiveName returns which archive the URI is a mirror of, or "" when it is
// none of ours, is not fetched over HTTP, or could not be handed to Dagger as
// an element of a list.
func archiveName(uri string) string {
	if strings.ContainsAny(uri, `,"'`) {
		return ""
	}
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return ""
	}
	last := path.Base(u.Path)
	if slices.Contains(mirrored, last) {
		return last
	}
	return ""
}

// parseOneLine returns the URIs of the enabled binary sources of a .list file:
// lines "deb [options] URI suite component..." (sources.list(5)).
func parseOneLine(text string) []string {
	var uris []string
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, maxSource+1)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		kind, rest, ok := cutField(line)
		if !ok || kind != "deb" {
			continue
		}
		if strings.HasPrefix(rest, "[") {
			_, after, closed := strings.Cut(rest, "]")
			if !closed {
				continue
			}
			rest = after
		}
		if uri, _, ok := cutField(rest); ok {
			uris = append(uris, uri)
		}
	}
	return uris
}

// cutField returns the first word of s and the rest after the space behind it.
func cutField(s string) (field, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t")
	end := strings.IndexAny(s, " \t")
	if end < 0 {
		end = len(s)
	}
	return s[:end], strings.TrimLeft(s[end:], " \t"), end > 0
}

// parseStanzas returns the URIs of the enabled binary sources of a .sources
// file: paragraphs of "Field: value" lines, in which a line that begins with
// space continues the one before and one that begins with # is a comment.
func parseStanzas(text string) []string {
	var uris []string
	fields := map[string]string{}
	last := ""
	flush := func() {
		enabled := strings.ToLower(strings.TrimSpace(fields["enabled"]))
		if slices.Contains(strings.Fields(fields["types"]), "deb") && !slices.Contains([]string{"no", "false", "without", "off", "disable", "0"}, enabled) {
			uris = append(uris, strings.Fields(fields["uris"])...)
		}
		fields, last = map[string]string{}, ""
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, maxSource+1)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			flush()
		case line[0] == ' ' || line[0] == '\t':
			if last != "" {
				fields[last] += " " + strings.TrimSpace(line)
			}
		default:
			name, value, ok := strings.Cut(line, ":")
			if !ok {
				last = ""
				continue
			}
			last = strings.ToLower(strings.TrimSpace(name))
			fields[last] = value
		}
	}
	flush()
	return uris
}
