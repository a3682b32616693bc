package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/runtime/fetch"
	"github.com/mastercard/mangos/runtime/install/installtest"
	"github.com/mastercard/mangos/runtime/proxy/proxytest"
)

func TestNewestRelease(t *testing.T) {
	p := proxytest.NewPage(t)
	newest := proxytest.Publish(t, "v1.10", map[string]string{"mangos_1.10.efi": big})
	unfinished := proxytest.Publish(t, "v1.12", map[string]string{"mangos_1.12.efi": "x"})
	delete(unfinished.Files, "SHA256SUMS.gpg") // its upload is not done
	draft := proxytest.Publish(t, "v9", map[string]string{"mangos_9.efi": "x"})
	draft.Draft = true
	pre := proxytest.Publish(t, "v1.11", map[string]string{"mangos_1.11.efi": "x"})
	pre.Prerelease = true
	p.Releases = []proxytest.Release{draft, unfinished, pre, proxytest.Publish(t, "v1.9", map[string]string{"mangos_1.9.efi": "old"}), newest}
	x := newProxy(t, p, withKey(t))
	if got := x.get("/mangos/SHA256SUMS", 200); got != string(newest.Files["SHA256SUMS"]) {
		t.Errorf("manifest %q", got)
	}
	if got := x.get("/mangos/SHA256SUMS.gpg", 200); got != string(newest.Files["SHA256SUMS.gpg"]) {
		t.Errorf("signature %q", got)
	}
	if got := x.get("/mangos/mangos_1.10.efi", 200); got != big {
		t.Errorf("%d bytes", len(got))
	}
	x.get("/mangos/mangos_1.9.efi", 404) // not listed in the newest manifest
	x.get("/mangos/mangos_9.efi", 404)
	p.Change(func() {
		if p.Calls > 20 {
			t.Errorf("%d calls", p.Calls)
		}
		p.Seen = nil
	})
	withPre := newProxy(t, p, func(c *RepositoryConfig) { c.Prereleases = true })
	if got := withPre.get("/mangos/SHA256SUMS", 200); got != string(pre.Files["SHA256SUMS"]) {
		t.Errorf("with pre-releases: %q", got)
	}
}

// A manifest may list the files of older releases.
func TestCumulativeManifest(t *testing.T) {
	p := proxytest.NewPage(t)
	old := proxytest.Publish(t, "v1", map[string]string{"mangos_1.efi": "one"})
	line := strings.TrimSpace(string(old.Files["SHA256SUMS"]))
	p.Releases = []proxytest.Release{proxytest.Publish(t, "v2", map[string]string{"mangos_2.efi": "two"}, line), old}
	x := newProxy(t, p, withKey(t))
	if got := x.get("/mangos/mangos_1.efi", 200); got != "one" {
		t.Errorf("%q", got)
	}
}

// The token goes to the API, and to no other host.
func TestToken(t *testing.T) {
	p := proxytest.NewPage(t)
	p.Token = "secret-token"
	p.Releases = []proxytest.Release{proxytest.Publish(t, "v1", map[string]string{"mangos_1.efi": "one"})}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, direct := range []bool{false, true} { // redirected to, or named by the API
		p.Change(func() { p.Direct = direct })
		x := newProxy(t, p, func(c *RepositoryConfig) { c.TokenFile = token })
		if got := x.get("/mangos/mangos_1.efi", 200); got != "one" {
			t.Errorf("%q", got)
		}
		p.Change(func() {
			if len(p.Seen) == 0 || slices.ContainsFunc(p.Seen, func(s string) bool { return s != "" }) {
				t.Errorf("the storage saw %q", p.Seen)
			}
			p.Seen = nil
		})
	}
	without := newProxy(t, p, nil)
	without.get("/mangos/SHA256SUMS", 502)
}

func TestHostileAPI(t *testing.T) {
	list := func(state, url string) string {
		file := fmt.Sprintf(`"state": %q, "size": 1, "browser_download_url": %q}`, state, url)
		return `[{"tag_name": "v1", "assets": [{"name": "SHA256SUMS", ` + file + `, {"name": "SHA256SUMS.gpg", ` + file + `]}]`
	}
	good := list("uploaded", "https://host.invalid/")
	for name, c := range map[string]struct{ answer, want string }{
		"no JSON":        {"<html>", "list of releases"},
		"an object":      {`{"message": "no"}`, "list of releases"},
		"two readings":   {strings.Replace(good, `"v1"`, `"v1", "tag_name": "v2"`, 1), "list of releases"},
		"none":           {`[]`, "none of its 0 releases"},
		"not complete":   {list("starter", "https://host.invalid/"), "none of its 1 releases"},
		"another scheme": {list("uploaded", "file:///etc/passwd"), "none of its 1 releases"},
		"no host":        {list("uploaded", "https:///x"), "none of its 1 releases"},
		"endless":        {good + strings.Repeat(" ", maxPage), "more than"},
	} {
		p := proxytest.NewPage(t)
		p.Limit = func(w http.ResponseWriter) { _, _ = io.WriteString(w, c.answer) }
		x := newProxy(t, p, nil)
		if got := x.get("/mangos/SHA256SUMS", 502); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A list without an end: what came first is enough.
func TestLongList(t *testing.T) {
	p := proxytest.NewPage(t)
	p.Limit = func(w http.ResponseWriter) {
		w.Header().Set("Link", `<https://host.invalid/>; rel="next"`)
		_, _ = io.WriteString(w, `[]`+strings.Repeat(" ", maxPage-2))
	}
	x := newProxy(t, p, nil)
	if got := x.get("/mangos/SHA256SUMS", 502); !strings.Contains(got, "none of its 0 releases") {
		t.Errorf("%q", got)
	}
	if p.Calls != maxList/maxPage {
		t.Errorf("%d calls", p.Calls)
	}
	p.Limit = func(w http.ResponseWriter) {
		w.Header().Set("Link", `<https://host.invalid/>; rel="next"`)
		_, _ = io.WriteString(w, `[]`)
	}
	p.Calls = 0
	x = newProxy(t, p, nil)
	x.get("/mangos/SHA256SUMS", 502)
	if p.Calls != maxPages {
		t.Errorf("%d calls for short pages", p.Calls)
	}
}

// The storage hangs up in the middle: the client notices nothing.
func TestStorageHangsUp(t *testing.T) {
	p := proxytest.NewPage(t)
	p.Releases = []proxytest.Release{proxytest.Publish(t, "v1", map[string]string{"mangos_1.efi": big})}
	x := newProxy(t, p, nil)
	x.get("/mangos/SHA256SUMS", 200)
	p.Change(func() { p.Cut = 500000 })
	if got := x.get("/mangos/mangos_1.efi", 200); got != big {
		t.Errorf("%d bytes", len(got))
	}
	// A file that is gone is a status.
	p.Change(func() { delete(p.Releases[0].Files, "mangos_1.efi") })
	if got := x.get("/mangos/mangos_1.efi", 502); !strings.Contains(got, "404") {
		t.Errorf("%q", got)
	}
}

func TestFolderBackend(t *testing.T) {
	b := installtest.Build(t, "1.0", nil)
	files := httptest.NewServer(http.FileServer(http.Dir(b.Folder(t))))
	defer files.Close()
	for _, place := range []string{b.Folder(t), files.URL} {
		x := newProxy(t, proxytest.NewPage(t), func(c *RepositoryConfig) {
			*c = RepositoryConfig{Folder: place, API: publicAPI, KeyFile: keyFile(t), MinimumVersion: "1.0"}
		})
		if got := x.get("/mangos/SHA256SUMS", 200); got != string(b.Files["SHA256SUMS"]) {
			t.Errorf("%s: %q", place, got)
		}
		if got := x.get("/mangos/"+b.Disk, 200); got != string(b.Files[b.Disk]) {
			t.Errorf("%s: %d bytes", place, len(got))
		}
		if got := x.get("/mangos/"+b.Disk, 206, "Range", "bytes=10-19"); got != string(b.Files[b.Disk][10:20]) {
			t.Errorf("%s: %q", place, got)
		}
	}
}

// answers is a server that gives the same to every question.
type answers []byte

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(a))}, nil
}

// Whatever the list says, a file has a plain name and is fetched by https.
func FuzzReleases(f *testing.F) {
	const files = `"assets": [{"id": 1, "name": "SHA256SUMS", "state": "uploaded", "size": 1, "url": "https://a/1", "browser_download_url": "https://x/1"},
		{"id": 2, "name": "SHA256SUMS.gpg", "state": "uploaded", "size": 1, "url": "https://a/2", "browser_download_url": "https://x/2"}]`
	f.Add([]byte(`[{"tag_name": "v1", `+files+`}, {"tag_name": "v2", "draft": true, `+files+`}]`), true)
	f.Add([]byte(strings.ReplaceAll(`[{"tag_name": "v1", `+files+`}]`, "https", "http")), false)
	f.Add([]byte(strings.ReplaceAll(`[{"tag_name": "v1", `+files+`}]`, `}]}]`, `}, {"name": "../x", "state": "uploaded", "browser_download_url": "https://x/3"}]}]`)), false)
	f.Add([]byte(strings.ReplaceAll(`[{"tag_name": "v1", `+files+`}]`, `}]}]`, `}, {"name": "x", "state": "uploaded", "size": -1, "browser_download_url": "https://x/3"}]}]`)), false)
	f.Fuzz(func(t *testing.T, body []byte, token bool) {
		g := gitHub{client: &http.Client{Transport: answers(body)}, api: &url.URL{Scheme: "https", Host: "api.example"}, name: "a/b", now: time.Now}
		if token {
			g.token = "secret"
		}
		list, err := g.page(t.Context(), 1, "")
		s := &snapshot{Assets: map[string]asset{}}
		if err == nil {
			err = g.choose(list.releases, s)
		}
		if err != nil {
			if !errors.Is(err, ErrUpstream) {
				t.Fatal(err)
			}
			return
		}
		for name, a := range s.Assets {
			if u, err := url.Parse(a.URL); err != nil || u.Scheme != "https" || u.Host == "" || a.Size < 0 || !fetch.ValidName(name) {
				t.Fatalf("%q: %+v", name, a)
			}
		}
		if s.Assets["SHA256SUMS"].URL == "" || s.Assets["SHA256SUMS.gpg"].URL == "" {
			t.Fatalf("chose a release that is not complete: %+v", s)
		}
	})
}
