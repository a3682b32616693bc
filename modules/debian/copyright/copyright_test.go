package copyright

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const sample = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: sample

Files: *
Copyright: 2020 Somebody
License: GPL-2+ with Libtool exception

Files: a/*
License: GPL-1+ or Artistic, and Expat
 text of one kind

Files: b/*
License: LGPL-2.1 and BSD-3-clause-Somebody

License: BSD-3-clause-Somebody
 You may
 .
  do so.
`

func TestParse(t *testing.T) {
	l, err := Parse([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	const want = "(GPL-1.0-or-later OR LicenseRef-Artistic-9e738ff1) AND GPL-2.0-or-later WITH Libtool-exception AND LGPL-2.1-only AND LicenseRef-BSD-3-clause-Somebody-95968b89 AND MIT"
	if l.Expression != want {
		t.Errorf("got  %s\nwant %s", l.Expression, want)
	}
	if len(l.Texts) != 2 || l.Texts[0].Name != "Artistic" || l.Texts[0].Text != "" || l.Texts[1].Text != "You may\n\n do so." {
		t.Errorf("%+v", l.Texts)
	}
}

func TestKnown(t *testing.T) {
	for name, want := range map[string]string{
		"GPL-2": "GPL-2.0-only", "GPL-2.0+": "GPL-2.0-or-later", "LGPL-3": "LGPL-3.0-only", "AGPL-3+": "AGPL-3.0-or-later",
		"GFDL-NIV-1.3+": "GFDL-1.3-no-invariants-or-later", "GFDL-1.3+": "GFDL-1.3-or-later",
		"Expat": "MIT", "expat": "MIT", "BSD-3-clause": "BSD-3-Clause", "zlib": "Zlib",
		"GPL-2 with Linux-syscall-note exception": "GPL-2.0-only WITH Linux-syscall-note",
		"GPL-3+ with Autoconf exception":          "GPL-3.0-or-later WITH Autoconf-exception-3.0",
		// Not certain, so not known.
		"GPL-2+ with Autoconf exception": "", "GPL-2+ with OpenSSL exception": "", "GPL": "", "GPL-4": "", "GPL-2.1": "",
		"GPL-NIV-2": "", "Artistic": "", "public-domain": "", "BSD": "", "GPL-2+ with Libtool": "",
	} {
		if got, _ := known(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestExpression(t *testing.T) {
	for text, want := range map[string]string{
		"A and B or C":               "A AND B OR C",
		"A or B and C":               "A OR B AND C",
		"A or B, and C":              "(A OR B) AND C",
		"A or B, and C or D":         "(A OR B) AND (C OR D)",
		"A, B and C":                 "A AND B AND C",
		"A and B, or C":              "A AND B OR C",
		"A with x exception or B":    "A with x exception OR B",
		"A OR B":                     "A OR B",
		"A, B or C":                  "!",
		"A and":                      "!",
		"or A":                       "!",
		"A,":                         "!",
		strings.Repeat("a or ", 600): "!",
	} {
		e, err := parseExpression(text)
		got := "!"
		if err == nil {
			got = e.spdx(func(name string) string { return name })
		}
		if got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestRefused(t *testing.T) {
	var many strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&many, "\n\nFiles: %d\nLicense: own-%d", i, i)
	}
	for text, want := range map[string]error{
		"This is sample's Debian package.\n": ErrFreeForm,
		"":                                   ErrFreeForm,
		"Format: x\n\nno field\n":            ErrSyntax,
		"Format: x\n":                        ErrSyntax,
		"Format: x\n\nFiles: *\nLicense: A, B or C\n":            ErrSyntax,
		"Format: x\n\nFiles: *\nLicense:\n":                      ErrSyntax,
		"Format: x\n" + strings.Repeat("a", MaxSize):             ErrSyntax,
		"Format: x\n\n" + strings.Repeat("Files: *\n\n", 20_000): ErrSyntax,
		"Format: x" + many.String():                              ErrSyntax,
	} {
		if _, err := Parse([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%.60q: %v, want %v", text, err, want)
		}
	}
}

// Two texts under one name are two licences; one text is one, however it is
// wrapped.
func TestIdentity(t *testing.T) {
	id := func(text string) string {
		l, err := Parse([]byte("Format: x\n\nFiles: *\nLicense: mine\n" + text))
		if err != nil {
			t.Fatal(err)
		}
		return l.Expression
	}
	if id(" a b\n") != id(" a\n b\n") || id(" a b\n") == id(" a c\n") {
		t.Errorf("%s %s %s", id(" a b\n"), id(" a\n b\n"), id(" a c\n"))
	}
	if !strings.HasPrefix(id(""), "LicenseRef-mine-") {
		t.Error(id(""))
	}
}

// The files of the machine that the test runs on, where it is a Debian.
func TestInstalled(t *testing.T) {
	files, _ := filepath.Glob("/usr/share/doc/*/copyright")
	if len(files) == 0 {
		t.Skip("this machine has no Debian copyright files")
	}
	valid := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-. ()", r)
	}
	read := 0
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		l, err := Parse(data)
		if errors.Is(err, ErrFreeForm) || errors.Is(err, ErrSyntax) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		read++
		if strings.ContainsFunc(l.Expression, func(r rune) bool { return !valid(r) }) {
			t.Errorf("%s: %s", name, l.Expression)
		}
		if !slices.IsSortedFunc(l.Texts, func(a, b Text) int { return strings.Compare(a.ID, b.ID) }) {
			t.Errorf("%s: texts are not sorted", name)
		}
	}
	t.Logf("%d of %d files are machine-readable", read, len(files))
	if read < len(files)/3 {
		t.Errorf("only %d of %d files could be read", read, len(files))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("Format: x\n\nFiles: *\nLicense: A or B, and C\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Parse(data)
		if err == nil && l.Expression == "" {
			t.Error("no error, and no licence")
		}
	})
}
