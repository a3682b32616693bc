package evidence_test

import (
	"strings"
	"testing"

	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/manifest"
)

// system is the manifest of a small root file system.
const system = `{"manifest":"mangos-manifest-1"}
{"d":0,"k":"artifact","n":"root.erofs","s":1,"h":"H","f":"erofs"}
{"package":1,"n":"bash","a":"amd64","v":"1","s":"bash","w":"1"}
{"package":2,"n":"sed","a":"amd64","v":"2","s":"sed","w":"2"}
{"set":1,"a":{"links":"1","mode":"0755","mtime":"T"}}
{"d":1,"k":"dir","n":"/","f":"directory","o":true}
{"d":2,"k":"file","n":"bash","s":10,"h":"H","t":1,"b":1}
{"d":2,"k":"file","n":"sed","s":20,"h":"H","t":1,"b":2}
{"d":2,"k":"file","n":"made","s":30,"h":"H","t":1}
`

func packages(t *testing.T, text string) map[string]string {
	t.Helper()
	n, err := manifest.Read(strings.NewReader(strings.ReplaceAll(text, `"H"`, `"`+strings.Repeat("a", 64)+`"`)))
	must(t, err)
	list, err := evidence.Packages(n)
	must(t, err)
	digests := map[string]string{}
	for _, i := range list {
		digests[i.Name] = i.SHA256
	}
	return digests
}

// TestPackages changes one thing: only the package that it belongs to differs.
func TestPackages(t *testing.T) {
	base := packages(t, system)
	if len(base) != 3 || base["package/bash"] == "" || base["package/sed"] == "" || base["package/(none)"] == "" {
		t.Fatalf("packages: %v", base)
	}
	for _, c := range []struct{ name, from, to, differs string }{
		{"a size", `"n":"bash","s":10`, `"n":"bash","s":11`, "package/bash"},
		{"a version", `"n":"sed","a":"amd64","v":"2"`, `"n":"sed","a":"amd64","v":"3"`, "package/sed"},
		{"a generated file", `"n":"made","s":30`, `"n":"made","s":31`, "package/(none)"},
		{"a name", `"k":"file","n":"sed"`, `"k":"file","n":"sed2"`, "package/sed"},
		{"a kind", `"k":"file","n":"bash"`, `"k":"device","n":"bash"`, "package/bash"},
		{"the number of links, which follows", `"links":"1"`, `"links":"2"`, ""},
	} {
		if !strings.Contains(system, c.from) {
			t.Fatalf("%s: no %s", c.name, c.from)
		}
		for name, digest := range packages(t, strings.Replace(system, c.from, c.to, 1)) {
			if (digest != base[name]) != (name == c.differs) {
				t.Errorf("%s: %s differs: %v", c.name, name, digest != base[name])
			}
		}
	}
	all := packages(t, strings.Replace(system, `"mode":"0755"`, `"mode":"4755"`, 1))
	for name, digest := range all {
		if digest == base[name] {
			t.Errorf("a mode: %s does not differ", name)
		}
	}
}
