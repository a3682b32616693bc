package proxy

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const example = `{"repositories": {"mangos": {"github": "example/mangos", "keyFile": "/x"}, "own": {"folder": "https://example.org/releases"}}, "fresh": "5m"}`

func TestParseConfig(t *testing.T) {
	c, err := ParseConfig([]byte(example))
	if err != nil || time.Duration(c.Fresh) != 5*time.Minute || c.Stale != defaultStale || c.Repositories["mangos"].API != publicAPI {
		t.Errorf("%+v, %v", c, err)
	}
	for _, change := range [][2]string{
		{`"repositories"`, `"Repositories"`}, {`"example/mangos"`, `"example"`}, {`"example/mangos"`, `"a/../b"`}, {`"mangos":`, `"healthz":`}, {`"mangos":`, `"../x":`},
		{`"5m"`, `"0s"`}, {`"5m"`, `"9999h"`}, {`"5m"`, `5`}, {`"own": {`, `"own": {"github": "a/b", `}, {`"github": "example/mangos", `, ``},
		{`"keyFile"`, `"unknown"`}, {`"keyFile": "/x"`, `"api": "ftp://x"`}, {`"keyFile": "/x"`, `"api": "http://example.org", "tokenFile": "/x"`}, {`{"repositories"`, `{"stale": "1m", "repositories"`},
	} {
		if c, err := ParseConfig([]byte(strings.Replace(example, change[0], change[1], 1))); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %+v, %v", change[1], c, err)
		}
	}
	if _, err := ParseConfig([]byte(`{}`)); !errors.Is(err, ErrConfig) {
		t.Errorf("no repository: %v", err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(example))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ParseConfig(raw)
		if err != nil {
			return
		}
		for name := range c.Repositories {
			if strings.ContainsAny(name, "/. ") {
				t.Fatalf("name %q", name)
			}
		}
	})
}
