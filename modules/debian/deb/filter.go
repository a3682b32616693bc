package deb

import (
	"fmt"
	"regexp"
	"strings"
)

// Filter says which paths are unpacked, the way of dpkg's path-exclude and
// path-include: each rule is "-PATTERN" or "+PATTERN", the last one that matches
// a path decides, and a path that none matches is kept.
type Filter struct{ rules []rule }

type rule struct {
	keep    bool
	pattern *regexp.Regexp
	// prefix is the literal start of the pattern, for directories.
	prefix string
}

// ParseFilter reads rules. In a pattern "*" stands for any bytes, slashes too,
// "?" for one byte, and "[...]" for one of a class.
func ParseFilter(words []string) (Filter, error) {
	var f Filter
	for _, w := range words {
		if len(w) < 2 || (w[0] != '-' && w[0] != '+') || w[1] != '/' {
			return Filter{}, fmt.Errorf("path rule %.200q is not \"-/pattern\" or \"+/pattern\"", w)
		}
		re, err := glob(w[1:])
		if err != nil {
			return Filter{}, fmt.Errorf("path rule %.200q: %w", w, err)
		}
		prefix := w[1:]
		if i := strings.IndexAny(prefix, "*?["); i >= 0 {
			prefix = prefix[:i]
		}
		f.rules = append(f.rules, rule{w[0] == '+', re, prefix})
	}
	return f, nil
}

func glob(pattern string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteString(".")
		case '[':
			end := strings.IndexByte(pattern[i+1:], ']')
			if end < 1 {
				return nil, fmt.Errorf("class without an end")
			}
			class := pattern[i+1 : i+1+end]
			class = strings.ReplaceAll(class, `\`, `\\`)
			if class[0] == '!' {
				class = "^" + class[1:]
			}
			b.WriteString("[" + class + "]")
			i += end + 1
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	b.WriteString(`\z`)
	return regexp.Compile(b.String())
}

// Keep reports whether the path, which starts with a slash, is unpacked. A
// directory that a rule leaves out is kept when a later rule may take back
// something in it.
func (f Filter) Keep(name string, directory bool) bool {
	keep := true
	for _, r := range f.rules {
		switch {
		case r.pattern.MatchString(name):
			keep = r.keep
		case directory && r.keep && (strings.HasPrefix(r.prefix, name+"/") || strings.HasPrefix(name+"/", r.prefix)):
			keep = true
		}
	}
	return keep
}
