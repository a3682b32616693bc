package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mastercard/mangos/modules/debian/archive"
	"github.com/mastercard/mangos/modules/debian/debtest"
	"github.com/mastercard/mangos/modules/debian/fetch"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// signed puts a signed suite of one source package into the folder served, and into dir its
// lock, with the definition and the key that it was made with.
func signed(t testing.TB, served, dir string) error {
	key := debtest.NewKey(t, 0)
	files := debtest.Archive{}
	files.Publish(t, debtest.Suite{
		Name: "s", Head: "Suite: s\nDate: " + debtest.Date.Format("Mon, 02 Jan 2006 15:04:05 UTC") + "\nComponents: main\n",
		Packages: map[string]string{"main": ""}, Sources: map[string]string{"main": files.AddSource("hello", "1", "main")},
		Compression: ".gz", Architecture: "amd64",
	}, debtest.Date, key)
	server := httptest.NewServer(http.FileServer(http.Dir(served)))
	defer server.Close()
	files["../"+filepath.Base(dir)+"/key.asc"] = key.Public(t)
	files["../"+filepath.Base(dir)+"/mangos.toml"] = fmt.Appendf(nil, `distribution-default = "test"
[distribution.test]
architecture = "amd64"
[distribution.test.archives.test]
home = "http://home.invalid/{timestamp}/"
[[distribution.test.suites]]
name = "s"
archive = "test"
components = ["main"]
keys = ["key.asc"]
signers = [%q]
`, key.Fingerprint())
	for name, data := range files {
		file := filepath.Join(served, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return err
		}
	}
	ring, err := archive.ReadKeyring([][]byte{key.Public(t)}, []string{key.Fingerprint()})
	if err != nil {
		return err
	}
	f := &fetch.Fetcher{Mirrors: fetch.Mirrors{"test": {server.URL + "/"}}, Cache: t.TempDir()}
	s, err := archive.ReadSuite(t.Context(), f, "test", "s", []string{"main"}, "amd64", ring, debtest.Date.Add(time.Hour))
	if err != nil {
		return err
	}
	locked := lock.Suite{Name: "s", Archive: "test", Date: s.Release.Date.Format(time.RFC3339), Release: s.Release.SHA256, Signers: s.Release.Signers}
	for _, i := range s.Read {
		locked.Indexes = append(locked.Indexes, lock.Index{Path: i.Path, SHA256: i.SHA256})
	}
	if err := locked.Keep(s.Signed); err != nil {
		return err
	}
	l := lock.Lock{
		Format: lock.Format, Distribution: "test", Architecture: "amd64", SourceDateEpoch: s.Release.Date.Unix(),
		Archives: []lock.Archive{{Name: "test", Home: "http://home.invalid/"}}, Suites: []lock.Suite{locked},
	}
	text, err := l.Encode()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "debian.lock.json"), text, 0o644)
}
