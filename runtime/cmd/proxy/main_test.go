package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mastercard/mangos/runtime/install/installtest"
	"github.com/mastercard/mangos/runtime/proxy/proxytest"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){name: main}) }

// large is a file that no buffer holds.
var large = strings.Repeat("0123456789abcdef", 1<<20)

// Each script finds a release page at $API with version 1.0 of example/mangos, the key
// that signed it in ./release.pub, a configuration for them in ./proxy.json and a
// folder that is a release, too, in ./release. The commands are those of service.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			page := proxytest.NewPage(t)
			page.Releases = []proxytest.Release{proxytest.Publish(t, "v1.0", map[string]string{
				"mangos_1.0.efi": "a kernel image", "mangos_1.0.raw": large,
			})}
			e.Setenv("API", page.URL)
			key := filepath.Join(e.WorkDir, "release.pub")
			config := `{"repositories": {"mangos": {"github": "example/mangos", "api": "` + page.URL + `", "keyFile": "` + key + `"}}}`
			files := map[string][]byte{"release.pub": installtest.ReleaseKey().Public, "proxy.json": []byte(config)}
			for name, content := range page.Releases[0].Files {
				files["release/"+name] = content
			}
			for name, content := range files {
				path := filepath.Join(e.WorkDir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					return err
				}
				if err := os.WriteFile(path, content, 0o600); err != nil {
					return err
				}
			}
			s, err := newUnit(page)
			if err != nil {
				return err
			}
			e.Values[unitKey{}] = s
			e.Defer(s.kill)
			return nil
		},
		Cmds: commands,
	})
}
