package machine

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const stanzas = `# a comment
Types: deb
# http://elsewhere.example/archive/debian
URIs: http://one.example/debian/
Suites: trixie trixie-updates
Components: main

Types: deb deb-src
URIs:
 https://two.example/pub/debian-security
 https://three.example/debian
Suites: trixie-security
Components: main non-free-firmware

Enabled: no
Types: deb
URIs: http://off.example/debian-security

Types: deb-src
URIs: http://source.example/debian-security
`

const oneLine = `# deb http://comment.example/debian trixie main
deb-src http://source.example/debian trixie main
deb [ arch=amd64 signed-by=/etc/key.gpg ] http://list.example/debian trixie main # trailing
deb [arch=amd64 http://unclosed.example/debian-security trixie main
deb cdrom:[Debian 13]/ trixie main
deb file:/srv/debian-security trixie main
deb	https://tab.example/debian-security	trixie-security	main
`

func TestMirrors(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  []Mirror
	}{
		{"none", nil, nil},
		{"stanzas", map[string]string{"sources.list.d/debian.sources": stanzas}, []Mirror{
			{"debian", "http://one.example/debian"}, {"debian-security", "https://two.example/pub/debian-security"}}},
		{"one-line", map[string]string{"sources.list": oneLine}, []Mirror{
			{"debian", "http://list.example/debian"}, {"debian-security", "https://tab.example/debian-security"}}},
		{"both", map[string]string{"sources.list.d/a.list": oneLine, "sources.list.d/debian.sources": stanzas}, []Mirror{
			{"debian", "http://one.example/debian"}, {"debian-security", "https://tab.example/debian-security"}}},
		{"others", map[string]string{"sources.list": "deb https://x.example/node_20.x nodistro main\ndeb http://x.example/a,b/debian s c\n",
			"sources.list.d/a.list.disabled": oneLine}, nil},
		{"others' packages", map[string]string{
			"sources.list.d/docker.list":    "deb https://docker.example/linux/debian trixie stable\n",
			"sources.list.d/network.list":   "deb https://network.example/stable/debian trixie main\n",
			"sources.list.d/debian.sources": stanzas,
		}, []Mirror{{"debian", "http://one.example/debian"}, {"debian-security", "https://two.example/pub/debian-security"}}},
		{"Ubuntu", map[string]string{"sources.list": "deb http://x.example/ubuntu noble main universe\ndeb http://y.example/ubuntu noble-updates main\n"},
			[]Mirror{{"ubuntu", "http://y.example/ubuntu"}}},
		{"not over HTTP", map[string]string{"sources.list": "deb mirror+file:/etc/apt/mirrors/debian trixie main\ndeb mirror+file:/etc/apt/mirrors/debian trixie-updates main\n"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			etc := t.TempDir()
			for name, text := range tt.files {
				file := filepath.Join(etc, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := Mirrors(etc)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestMirrorsTooLarge(t *testing.T) {
	etc := t.TempDir()
	if err := os.WriteFile(filepath.Join(etc, "sources.list"), make([]byte, maxSource+1), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Mirrors(etc); err == nil || !strings.Contains(err.Error(), "is larger than") {
		t.Errorf("got %v", err)
	}
}

func FuzzSources(f *testing.F) {
	f.Add(stanzas)
	f.Add(oneLine)
	f.Add("deb [")
	f.Add("Types:\n x\n:\n y")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > maxSource {
			return
		}
		for _, m := range chooseMirrors(slices.Concat(parseOneLine(text), parseStanzas(text))) {
			u, err := url.Parse(m.URL)
			if err != nil || u.Host == "" || !strings.HasSuffix(u.Path, "/"+m.Name) || strings.ContainsAny(m.URL, ", \t\n") {
				t.Errorf("%q became mirror %+v", text, m)
			}
		}
	})
}
