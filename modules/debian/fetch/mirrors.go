package fetch

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// MirrorsVariable is the environment variable that names mirrors, in the notation
// of [ParseMirrors].
const MirrorsVariable = "MANGOS_MIRRORS"

// HomesVariable is the same for permanent homes.
const HomesVariable = "MANGOS_HOMES"

// Mirrors lists the base URLs of archives, each ending in a slash.
type Mirrors map[string][]string

// ParseMirrors reads words of the form "archive=URL". An error names the archive and
// nothing of the URL: it may hold a password, wherever that stands in what is no URL.
func ParseMirrors(words []string) (Mirrors, error) {
	m := Mirrors{}
	for i, word := range words {
		name, base, ok := strings.Cut(word, "=")
		u, err := url.Parse(base)
		if !ok || name == "" || err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.ContainsAny(base, "?#") {
			return nil, fmt.Errorf("mirror %s is not \"archive=http://host/path\"", shown(i, word))
		}
		if !strings.HasSuffix(base, "/") {
			base += "/"
		}
		m[name] = append(m[name], base)
	}
	return m, nil
}

// archiveName is what may be printed of a word: a name, which no URL passes for.
var archiveName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// shown says which word it is.
func shown(i int, word string) string {
	name, _, ok := strings.Cut(word, "=")
	if ok && archiveName.MatchString(name) {
		return fmt.Sprintf("%q (its address is not shown)", name+"=...")
	}
	return fmt.Sprintf("number %d (not shown)", i+1)
}
