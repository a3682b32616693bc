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
	Name string // debian, debian-security or ubuntu
	URL  string
}

// mirrored are the archives whose mirrors are told apart by the last part of
// their path, as mirrors of Debian and Ubuntu lay it out.
var mirrored = []string{"debian", "debian-security", "ubuntu"}

// source is what apt's configuration says of one place.
type source struct {
	uri                string
	suites, components []string
}

// whole reports whether the place has suites that only a mirror of a whole archive has:
// others' packages for Debian, too, lie below a path that ends in debian.
func (s source) whole() bool {
	return slices.ContainsFunc(s.suites, func(suite string) bool {
		return strings.HasSuffix(suite, "-updates") || strings.HasSuffix(suite, "-security")
	})
}

// maxSource bounds a file of apt's configuration; real ones are a few lines.
const maxSource = 1 << 20

// Mirrors reads apt's configuration below etc (usually /etc/apt) and returns
// the mirror that it names for each archive: the first that has updates, too, else the
// first. Files that cannot be read count as an error; none at all do not.
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
	var sources []source
	for _, file := range files {
		text, err := readSource(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read apt's sources: %w", err)
		}
		if strings.HasSuffix(file, ".sources") {
			sources = append(sources, parseStanzas(text)...)
		} else {
			sources = append(sources, parseOneLine(text)...)
		}
	}
	return chooseMirrors(sources), nil
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

// chooseMirrors picks for each archive one place that has its component main.
func chooseMirrors(sources []source) []Mirror {
	var whole, others []source
	for _, s := range sources {
		switch {
		case !slices.Contains(s.components, "main"):
		case s.whole():
			whole = append(whole, s)
		default:
			others = append(others, s)
		}
	}
	var out []Mirror
	for _, s := range slices.Concat(whole, others) {
		name := archiveName(s.uri)
		if name == "" || slices.ContainsFunc(out, func(m Mirror) bool { return m.Name == name }) {
			continue
		}
		out = append(out, Mirror{Name: name, URL: strings.TrimRight(s.uri, "/")})
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

// parseOneLine returns the enabled binary sources of a .list file: lines
// "deb [options] URI suite component..." (sources.list(5)).
func parseOneLine(text string) []source {
	var sources []source
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
		if words := strings.Fields(rest); len(words) > 2 {
			sources = append(sources, source{words[0], words[1:2], words[2:]})
		}
	}
	return sources
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

// parseStanzas returns the enabled binary sources of a .sources file: paragraphs of "Field: value" lines, in which a line that begins with
// space continues the one before and one that begins with # is a comment.
func parseStanzas(text string) []source {
	var sources []source
	fields := map[string]string{}
	last := ""
	flush := func() {
		enabled := strings.ToLower(strings.TrimSpace(fields["enabled"]))
		if slices.Contains(strings.Fields(fields["types"]), "deb") && !slices.Contains([]string{"no", "false", "without", "off", "disable", "0"}, enabled) {
			for _, uri := range strings.Fields(fields["uris"]) {
				sources = append(sources, source{uri, strings.Fields(fields["suites"]), strings.Fields(fields["components"])})
			}
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
	return sources
}
