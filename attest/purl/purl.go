// Package purl writes package URLs (github.com/package-url/purl-spec) of the
// two kinds that releases are made of: Debian packages and Go modules.
package purl

import (
	"fmt"
	"strings"
)

// Deb is the URL of a package of a Debian-like distribution, as the type's
// definition (types/deb-definition.json) wants it: pkg:deb/VENDOR/NAME@VERSION
// with the architecture ("source" for source packages) and the distribution.
func Deb(distribution, name, version, architecture string) string {
	vendor, _, _ := strings.Cut(distribution, "-")
	return fmt.Sprintf("pkg:deb/%s/%s@%s?arch=%s&distro=%s",
		escape(strings.ToLower(vendor)), escape(strings.ToLower(name)), escape(version), escape(architecture), escape(distribution))
}

// Golang is the URL of a Go module: pkg:golang/MODULE@VERSION, the module's
// path in lower case and with its slashes. A module that was built where it was
// developed has no version: "" or "(devel)".
func Golang(module, version string) string {
	parts := strings.Split(strings.ToLower(module), "/")
	for i := range parts {
		parts[i] = escape(parts[i])
	}
	if version == "" || version == "(devel)" {
		return "pkg:golang/" + strings.Join(parts, "/")
	}
	return fmt.Sprintf("pkg:golang/%s@%s", strings.Join(parts, "/"), escape(version))
}

// escape percent-encodes all but the characters that a URL's components keep:
// letters, digits, ".", "-", "_", "~" and ":".
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte(".-_~:", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
