package fetch

import (
	"fmt"
	"net/url"
	"strings"
)

// MirrorsVariable is the environment variable that names mirrors, in the notation
// of [ParseMirrors].
const MirrorsVariable = "MANGOS_MIRRORS"

// HomesVariable is the same for permanent homes.
const HomesVariable = "MANGOS_HOMES"

// Mirrors lists the base URLs of archives, each ending in a slash.
type Mirrors map[string][]string

// ParseMirrors reads words of the form "archive=URL".
func ParseMirrors(words []string) (Mirrors, error) {
	m := Mirrors{}
	for _, word := range words {
		name, base, ok := strings.Cut(word, "=")
		u, err := url.Parse(base)
		if !ok || name == "" || err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.ContainsAny(base, "?#") {
			return nil, fmt.Errorf("mirror %.200q is not \"archive=http://host/path\"", word)
		}
		if !strings.HasSuffix(base, "/") {
			base += "/"
		}
		m[name] = append(m[name], base)
	}
	return m, nil
}
