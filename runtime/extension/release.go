package extension

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Limits of a file of assignments.
const (
	maxRelease  = 64 << 10
	maxVariable = 4096
)

// ErrSyntax: a file is not in the form of os-release that Parse accepts.
var ErrSyntax = errors.New("not a list of assignments")

// Assignments are the variables of os-release(5) and of files in its form.
type Assignments map[string]string

// Parse reads a file in the form of os-release(5), strictly: a value is plain
// characters, or stands in quotes from end to end, and there are no escapes, no
// expansions, no continued lines and no variable twice. So nobody who reads the
// same file can read it otherwise. Errors wrap ErrSyntax.
func Parse(text []byte) (Assignments, error) {
	if len(text) > maxRelease {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrSyntax, maxRelease)
	}
	all := make(Assignments)
	number := 0
	for raw := range bytes.Lines(text) {
		number++
		line := strings.TrimSuffix(string(raw), "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("%w: line %d %w", ErrSyntax, number, err)
		}
		if _, twice := all[name]; twice {
			return nil, fmt.Errorf("%w: line %d sets %s once more", ErrSyntax, number, name)
		}
		all[name] = value
	}
	return all, nil
}

func parseLine(line string) (name, value string, err error) {
	name, value, ok := strings.Cut(line, "=")
	if !ok || !validVariable(name) {
		return "", "", errors.New("is not NAME=value")
	}
	if len(value) > maxVariable {
		return "", "", fmt.Errorf("has a value of more than %d bytes", maxVariable)
	}
	special := " \t'\"\\$`#;&|<>()*?[]~{}"
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		value = value[1 : n-1]
		special = "'\"\\$`"
	}
	for _, c := range []byte(value) {
		if c < 0x20 || c > 0x7e || strings.IndexByte(special, c) >= 0 {
			return "", "", fmt.Errorf("has the character %q in the value of %s", c, name)
		}
	}
	return name, value, nil
}

func validVariable(name string) bool {
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		return false
	}
	for _, c := range []byte(name) {
		if c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// ReleasePath is where an extension of that ID keeps its metadata.
func ReleasePath(id ID) string {
	folder := "usr/lib"
	if id.Class == Confext {
		folder = "etc"
	}
	return folder + "/extension-release.d/extension-release." + id.Name
}

// Metadata are what the signed extension says about itself.
type Metadata struct {
	Name    string
	Purpose string
	// Counter grows with each version of the extension.
	Counter uint64
	// System is the ID of the os-release that it is for.
	System string
}

// Describe reads the metadata of the extension that goes by that ID, and makes sure
// that it may go by it. Which machine takes it is for [Judge] to say. Errors are
// *Refusal.
func Describe(id ID, text []byte) (Metadata, error) {
	release, err := Parse(text)
	if err != nil {
		return Metadata{}, refuse(BadMetadata, "its metadata cannot be read (%v)", err)
	}
	m, err := metadata(release)
	if err != nil {
		return m, err
	}
	return m, Policy{Purposes: []string{m.Purpose}}.allows(id, m)
}

// Judge reads the metadata of the extension that goes by that ID, and says whether
// a machine with this policy and this os-release takes it. Errors are *Refusal.
func Judge(id ID, text []byte, policy Policy, host Assignments) (Metadata, error) {
	release, err := Parse(text)
	if err != nil {
		return Metadata{}, refuse(BadMetadata, "its metadata cannot be read (%v)", err)
	}
	m, err := metadata(release)
	if err != nil {
		return m, err
	}
	if err := policy.allows(id, m); err != nil {
		return m, err
	}
	return m, compatible(id.Class, release, host)
}

// metadata reads our own variables. Errors are *Refusal.
func metadata(release Assignments) (Metadata, error) {
	m := Metadata{Name: release["MANGOS_EXTENSION_NAME"], Purpose: release["MANGOS_EXTENSION_PURPOSE"], System: release["ID"]}
	counter := release["MANGOS_EXTENSION_COUNTER"]
	if m.Name == "" || m.Purpose == "" || counter == "" {
		return m, refuse(BadMetadata, "its metadata lack MANGOS_EXTENSION_NAME, MANGOS_EXTENSION_PURPOSE or MANGOS_EXTENSION_COUNTER")
	}
	n, err := strconv.ParseUint(counter, 10, 63)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != counter {
		return m, refuse(BadMetadata, "its MANGOS_EXTENSION_COUNTER is not a whole number from 1 on")
	}
	m.Counter = n
	return m, nil
}

// compatible says whether systemd will merge the extension on this host, by
// systemd's own rules (extension_release_validate in version 257). systemd
// leaves out silently what does not fit; we say why.
func compatible(class Class, release, host Assignments) error {
	level := strings.ToUpper(string(class)) + "_LEVEL"
	switch id := release["ID"]; {
	case id == "":
		return refuse(BadMetadata, "its metadata lack ID")
	case id == "_any":
		return nil
	case id != host["ID"]:
		return refuse(BadMetadata, "it is for the system %q, this is %q", id, host["ID"])
	}
	if release[level] != "" && host[level] != "" {
		if release[level] != host[level] {
			return refuse(BadMetadata, "its %s is %q, this system's is %q", level, release[level], host[level])
		}
		return nil
	}
	if host["VERSION_ID"] != "" && release["VERSION_ID"] != host["VERSION_ID"] {
		return refuse(BadMetadata, "it is for version %q of this system, this is %q, and it has no %s", release["VERSION_ID"], host["VERSION_ID"], level)
	}
	return nil
}
