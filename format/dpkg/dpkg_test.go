package dpkg

import (
	"errors"
	"io/fs"
	"path"
	"strings"
	"testing"
)

// memory is a file system of names and contents; a link's content is "->TARGET".
type memory map[string]string

func (m memory) ReadFile(name string, limit int64) ([]byte, error) {
	text, ok := m[name]
	if !ok || strings.HasPrefix(text, "->") {
		return nil, fs.ErrNotExist
	}
	if int64(len(text)) > limit {
		return nil, ErrLimit
	}
	return []byte(text), nil
}

func (m memory) List(dir string) (names []string, err error) {
	for name := range m {
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	return names, nil
}

func (m memory) Readlink(name string) (string, error) {
	target, _ := strings.CutPrefix(m[name], "->")
	return target, nil
}

func sample() memory {
	return memory{
		"bin": "->usr/bin", "lib": "->usr/lib",
		"var/lib/dpkg/status": `Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2-2+b1
Source: bash (5.2-2)
Conffiles:
 /etc/bash.bashrc 89269e1298235f1b12b4c16e4065ad0d
Description: shell

Package: molly
Status: install ok installed
Architecture: all
Version: 1

Package: gone
Status: deinstall ok config-files
Version: 1
`,
		"var/lib/dpkg/info/bash.list":       "/.\n/bin\n/bin/bash\n/usr/bin/tool\n/usr/lib/x\n",
		"var/lib/dpkg/info/bash.md5sums":    "d41d8cd98f00b204e9800998ecf8427e  bin/bash\n",
		"var/lib/dpkg/info/molly.list":      "/usr/bin/molly\n",
		"var/lib/dpkg/info/gone:amd64.list": "/usr/bin/gone\n",
		"var/lib/dpkg/diversions":           "/usr/bin/tool\n/usr/bin/tool.real\nmolly\n/lib/x\n/lib/x.moved\nmolly\n",
	}
}

func TestOwners(t *testing.T) {
	m := sample()
	d, err := Read(m)
	if err != nil {
		t.Fatal(err)
	}
	if d.Dir != "var/lib/dpkg" || len(d.Packages()) != 2 {
		t.Fatalf("%s, %v", d.Dir, d.Packages())
	}
	for name, want := range map[string]string{
		"/usr/bin/bash":                  "bash",
		"/bin/bash":                      "bash",
		"/usr/bin/tool":                  "", // molly has taken the name
		"/usr/bin/tool.real":             "bash",
		"/usr/lib/x":                     "bash", // the name taken is another spelling
		"/usr/bin/molly":                 "molly",
		"/usr/bin/gone":                  "",
		"/var/lib/dpkg/info/bash.list":   "bash",
		"/var/lib/dpkg/info/bash.nosuch": "",
	} {
		p, ok := d.Owner(name)
		if p.Name != want || ok != (want != "") {
			t.Errorf("%s belongs to %q, want %q", name, p.Name, want)
		}
	}
	p, ok := d.Package("bash", "amd64")
	if want := (Package{"bash", "amd64", "5.2-2+b1", "bash", "5.2-2"}); !ok || p != want {
		t.Errorf("%+v, want %+v", p, want)
	}
	if p, _ := d.Package("molly", "all"); p.Source != "molly" || p.SourceVersion != "1" {
		t.Errorf("%+v", p)
	}
	sums, err := d.Sums(m)
	if err != nil || sums["/usr/bin/bash"] != "d41d8cd98f00b204e9800998ecf8427e" || sums["/etc/bash.bashrc"] != "89269e1298235f1b12b4c16e4065ad0d" || len(sums) != 2 {
		t.Errorf("%v, %v", sums, err)
	}
}

func TestNoDatabase(t *testing.T) {
	d, err := Read(memory{"etc/passwd": ""})
	if d != nil || err != nil {
		t.Fatalf("%v, %v", d, err)
	}
	if _, ok := d.Owner("/etc/passwd"); ok || d.Packages() != nil {
		t.Error("a database that is not there knows something")
	}
}

func TestLimit(t *testing.T) {
	m := sample()
	m["var/lib/dpkg/status"] = strings.Repeat("x", MaxFile+1)
	if _, err := Read(m); !errors.Is(err, ErrLimit) {
		t.Errorf("got %v", err)
	}
}

func FuzzRead(f *testing.F) {
	m := sample()
	f.Add(m["var/lib/dpkg/status"], m["var/lib/dpkg/info/bash.list"], m["var/lib/dpkg/diversions"])
	f.Fuzz(func(t *testing.T, status, list, diversions string) {
		m := sample()
		m["var/lib/dpkg/status"], m["var/lib/dpkg/info/bash.list"], m["var/lib/dpkg/diversions"] = status, list, diversions
		d, err := Read(m)
		if err == nil {
			d.Owner("/usr/bin/bash")
			d.Sums(m)
		}
	})
}
