package lock

import (
	"fmt"
	"strings"

	"github.com/mastercard/mangos/modules/debian/archive"
)

// sourceMark begins the name of a source beside names of packages.
const sourceMark = "src:"

// Versions returns the version of each package by its name, and of each source that
// is built by "src:" and its name.
func (l *Lock) Versions() map[string]string {
	versions := make(map[string]string, len(l.Packages)+len(l.Build))
	for _, p := range l.Packages {
		versions[p.Name] = p.Version
	}
	for _, b := range l.Build {
		name, version, _ := strings.Cut(b, "=")
		versions[sourceMark+name] = version
	}
	return versions
}

// Notices says in a line each what the archive offered but no server had, and what
// the lock has in its place: a reader of a lock, a build or a test must not miss that
// a fix may be lacking.
func (l *Lock) Notices() []string {
	versions := l.Versions()
	var lines []string
	for _, w := range l.Withheld {
		name, version, _ := strings.Cut(w, "=")
		instead := "nothing of it is in the lock"
		if have := versions[name]; have != "" {
			instead = "the lock has " + have
		}
		lines = append(lines, fmt.Sprintf("withheld: %s %s, because no server had its files when the lock was made: %s", name, version, instead))
	}
	return lines
}

// checkWithheld holds to names and versions what is printed later on.
func (l *Lock) checkWithheld() error {
	for _, w := range l.Withheld {
		name, version, _ := strings.Cut(w, "=")
		if !archive.ValidName(strings.TrimPrefix(name, sourceMark)) || !archive.ValidVersion(version) {
			return fmt.Errorf("withheld: %.120q is no name=version or %sname=version", w, sourceMark)
		}
	}
	return nil
}
