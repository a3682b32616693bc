package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/runtime/install/installtest"
	"github.com/mastercard/mangos/runtime/proxy"
	"github.com/mastercard/mangos/runtime/proxy/proxytest"
)

const token = "a-secret-token"

// newPage is a page with releases of others: newer, older, and a draft.
func newPage(t *testing.T, digests bool) *proxytest.Page {
	t.Helper()
	p := proxytest.NewPage(t)
	p.Token, p.Digests = token, digests
	for _, tag := range []string{"v2.0", "v0.9", "v0.8", "v0.7"} {
		p.Releases = append(p.Releases, proxytest.Release{Tag: tag, Files: map[string][]byte{"SHA256SUMS": []byte(tag), "mangos.efi": []byte(tag)}})
	}
	p.Releases[0].Draft = true
	return p
}

func newPageWorld(t *testing.T, digests bool) *world {
	p := newPage(t, digests)
	return &world{
		open: func(t *testing.T, r *Release, transport http.RoundTripper) Destination {
			return openPage(t, r, p, transport)
		},
		shown: func() (files map[string][]byte) {
			p.Change(func() {
				for _, r := range p.Releases {
					if r.Tag == "v1.0" && !r.Draft {
						files = r.Files
					}
				}
			})
			return files
		},
		arrived: func() (names []string) {
			p.Change(func() { names = slices.Clone(p.Sent) })
			return names
		},
	}
}

func pageOptions(p *proxytest.Page) GitHubOptions {
	return GitHubOptions{Repository: "example/mangos", API: p.URL, Uploads: p.Uploads, Token: token}
}

func openPage(t *testing.T, r *Release, p *proxytest.Page, transport http.RoundTripper) Destination {
	t.Helper()
	o := pageOptions(p)
	o.Transport = transport
	g, err := NewGitHub(r, o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// ours is a draft of ours with some of the files.
func ours(r *Release, files map[string][]byte, names ...string) proxytest.Release {
	g := &gitHub{r: r}
	draft := proxytest.Release{Tag: "v1.0", Draft: true, Body: "Some words.\n\n" + g.mark() + "\n", Files: map[string][]byte{}}
	for _, name := range names {
		draft.Files[name] = bytes.Clone(files[name])
	}
	return draft
}

// What is there with another content stays, wherever it is.
func TestPageTaken(t *testing.T) {
	files := smallRelease(t)
	r := opened(t, files)
	const disk = "mangos_1.0.raw.zst"
	all := func() proxytest.Release {
		var names []string
		for name := range files {
			names = append(names, name)
		}
		whole := ours(r, files, names...)
		whole.Draft = false
		return whole
	}
	for name, c := range map[string]struct {
		there func() []proxytest.Release
		want  string
	}{
		"another content": {func() []proxytest.Release {
			d := ours(r, files, disk)
			d.Files[disk][3] ^= 1
			return []proxytest.Release{d}
		}, "there already: mangos_1.0.raw.zst with SHA-256"},
		"another size": {func() []proxytest.Release {
			d := ours(r, files, disk)
			d.Files[disk] = d.Files[disk][1:]
			return []proxytest.Release{d}
		}, "mangos_1.0.raw.zst with 259 bytes, want 260"},
		"another file": {func() []proxytest.Release {
			d := ours(r, files, disk)
			d.Files["malware\x1b.raw"] = []byte("x")
			return []proxytest.Release{d}
		}, `"malware\x1b.raw", which is not of the release`},
		"a draft of others": {func() []proxytest.Release {
			d := ours(r, files)
			d.Body = "Some words."
			return []proxytest.Release{d}
		}, "a draft with the tag v1.0 that was not made for this release"},
		"two drafts": {func() []proxytest.Release {
			return []proxytest.Release{ours(r, files), ours(r, files)}
		}, "2 drafts with the tag v1.0"},
		"published, another content": {func() []proxytest.Release {
			d := all()
			d.Files[disk] = bytes.Clone(d.Files[disk])
			d.Files[disk][3] ^= 1
			return []proxytest.Release{d}
		}, "mangos_1.0.raw.zst with SHA-256"},
		"published in part": {func() []proxytest.Release {
			d := all()
			delete(d.Files, disk)
			return []proxytest.Release{d}
		}, "published without mangos_1.0.raw.zst"},
		"published broken": {func() []proxytest.Release {
			d := all()
			d.Broken, d.Files[disk] = map[string]bool{disk: true}, []byte{}
			return []proxytest.Release{d}
		}, "published without mangos_1.0.raw.zst"},
		"published, a file more": {func() []proxytest.Release {
			d := all()
			d.Files["more"] = []byte("x")
			return []proxytest.Release{d}
		}, `"more", which is not of the release`},
	} {
		for _, digests := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, digests %v", name, digests), func(t *testing.T) {
				p := newPage(t, digests)
				p.Releases = append(c.there(), p.Releases...)
				before, _ := json.Marshal(p.Releases)
				var b breaker
				_, err := Publish(t.Context(), r, openPage(t, r, p, &b), options(3))
				if !errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
				if after, _ := json.Marshal(p.Releases); b.changes > 0 || !bytes.Equal(before, after) {
					t.Errorf("%d requests that change something", b.changes)
				}
			})
		}
	}
}

// A draft of ours goes on, and what is left in it of broken uploads is removed.
func TestPageResumes(t *testing.T) {
	files := smallRelease(t)
	r := opened(t, files)
	p := newPage(t, false)
	draft := ours(r, files, r.Files[0].Name, r.Files[1].Name)
	draft.Broken = map[string]bool{r.Files[1].Name: true}
	draft.Files[r.Files[1].Name] = []byte{}
	p.Releases = append(p.Releases, draft) // behind the first page of the list
	dry := options(1)
	dry.DryRun = true
	result, err := Publish(t.Context(), r, openPage(t, r, p, nil), dry)
	if err != nil || result.Files[0].Outcome != There || result.Files[1].Outcome != Would || len(p.Sent) > 0 {
		t.Errorf("dry run: %+v, %v", result, err)
	}
	result, err = Publish(t.Context(), r, openPage(t, r, p, nil), options(1))
	if err != nil || result.Files[0].Outcome != There || result.Files[1].Outcome != Sent || len(p.Sent) != len(r.Files)-1 {
		t.Errorf("%+v, %v, %q", result, err, p.Sent)
	}
	for _, on := range p.Releases {
		if on.Tag == "v1.0" && (on.Draft || !strings.HasPrefix(on.Body, "Some words.")) {
			t.Errorf("%+v", on)
		}
	}
}

// The token goes to the API and to where files are sent, and nowhere else.
func TestPageToken(t *testing.T) {
	r := opened(t, smallRelease(t))
	p := newPage(t, false)
	if _, err := Publish(t.Context(), r, openPage(t, r, p, nil), options(1)); err != nil {
		t.Fatal(err)
	}
	if len(p.Seen) == 0 || slices.ContainsFunc(p.Seen, func(s string) bool { return s != "" }) {
		t.Errorf("the storage saw %q", p.Seen)
	}
}

// A host of the same name on another port is another host.
func TestTokenOtherPort(t *testing.T) {
	var seen []string
	var status int
	evil := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+r.Header.Get("Authorization"))
	}))
	defer evil.Close()
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("no token: %q", r.Header)
		}
		http.Redirect(w, r, evil.URL, status)
	}))
	defer good.Close()
	u, err := url.Parse(good.URL)
	if err != nil {
		t.Fatal(err)
	}
	w := newWeb(token, []string{originOf(u)}, nil)
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		f := memory("file", []byte("content"))
		requests := []request{{method: method, url: u}}
		if method != http.MethodGet {
			requests = append(requests, request{method: method, url: u, text: []byte("{}")}, request{method: method, url: u, file: &f})
		}
		for _, req := range requests {
			for _, status = range []int{http.StatusFound, http.StatusTemporaryRedirect} {
				if _, _, err := w.do(t.Context(), req); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if !slices.Equal(seen, []string{"GET", "GET"}) {
		t.Errorf("the other host saw %q", seen)
	}
}

// Files go nowhere but where they should, whatever the API says.
func TestPageUploadsElsewhere(t *testing.T) {
	r := opened(t, smallRelease(t))
	p := newPage(t, true)
	p.Releases = append(p.Releases, ours(r, nil))
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked for %s", r.URL) }))
	defer elsewhere.Close()
	said := p.Uploads
	p.Uploads = elsewhere.URL
	o := pageOptions(p)
	o.Uploads = said
	g, err := NewGitHub(r, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Publish(t.Context(), r, g, options(3)); !errors.Is(err, ErrPlace) || !strings.Contains(err.Error(), "say so with --uploads") {
		t.Errorf("%v", err)
	}
}

func TestPageLimit(t *testing.T) {
	files := smallRelease(t)
	r := opened(t, files)
	for name, c := range map[string]struct {
		limit func(http.ResponseWriter)
		wait  time.Duration
		want  string
	}{
		"seconds": {func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "90")
			w.WriteHeader(http.StatusForbidden)
		}, 3 * time.Minute, ""},
		"a time": {func(w http.ResponseWriter) {
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.Header().Set("X-RateLimit-Reset", fmt.Sprint(today.Add(5*time.Minute).Unix()))
			w.WriteHeader(http.StatusTooManyRequests)
		}, 6 * time.Minute, ""}, // a time that is over is still a minute
		"too long": {func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		}, 0, "rate limit is reached until 2026-01-01T01:00:00Z"},
		"no access": {func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"message": "Must have admin rights"}`)
		}, 0, `answers "403 Forbidden" ("Must have admin rights")`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newPageWorld(t, true)
			limited := 0
			o := options(1)
			clock := today
			o.Now = func() time.Time { return clock }
			var waited time.Duration
			o.Sleep = func(_ context.Context, d time.Duration) error { waited += d; clock = clock.Add(d); return nil }
			n := 0 // the second request reads, the eighth sends a file
			limiter := roundTripper(func(req *http.Request) (*http.Response, error) {
				if n++; n != 2 && n != 8 || c.want == "" && limited == 2 {
					return http.DefaultTransport.RoundTrip(req)
				}
				limited++
				if req.Body != nil {
					req.Body.Close()
				}
				rec := httptest.NewRecorder()
				c.limit(rec)
				return rec.Result(), nil
			})
			g := w.open(t, r, limiter)
			g.(*gitHub).web.now = o.Now
			_, err := Publish(t.Context(), r, g, o)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrBroken) != (name == "too long") {
					t.Errorf("%v, want %q", err, c.want)
				}
				return
			}
			if err != nil || waited != c.wait || limited != 2 {
				t.Errorf("%v, waited %s, want %s", err, waited, c.wait)
			}
			w.check(t, r, files)
		})
	}
}

func TestNewGitHubRefuses(t *testing.T) {
	files := smallRelease(t)
	r := opened(t, files)
	many := &Release{Version: "1.0"}
	for i := range 1001 {
		many.Files = append(many.Files, memory(fmt.Sprintf("f%d", i), []byte("x")))
	}
	for want, c := range map[string]struct {
		change func(*GitHubOptions)
		r      *Release
	}{
		`"mangos" is not OWNER/REPO`:           {func(o *GitHubOptions) { o.Repository = "mangos" }, r},
		`"a/../b" is not OWNER/REPO`:           {func(o *GitHubOptions) { o.Repository = "a/../b" }, r},
		`"v1~rc" is no tag`:                    {func(o *GitHubOptions) { o.Tag = "v1~rc" }, r},
		`"v1..2" is no tag`:                    {func(o *GitHubOptions) { o.Tag = "v1..2" }, r},
		`"x/../y" is no tag`:                   {func(o *GitHubOptions) { o.Tag = "x/../y" }, r},
		`a token needs https`:                  {func(o *GitHubOptions) { o.API = "http://api.example" }, r},
		`uploads.example: a token needs https`: {func(o *GitHubOptions) { o.Uploads = "http://uploads.example" }, r},
		`"ftp://host" is no address`:           {func(o *GitHubOptions) { o.API = "ftp://host" }, r},
		`GitHub takes at most 1000`:            {func(*GitHubOptions) {}, many},
		`GitHub would rename mangos_1~rc.efi`:  {func(*GitHubOptions) {}, &Release{Version: "1", Files: []File{memory("mangos_1~rc.efi", []byte("x"))}}},
		`empty has 0 bytes, GitHub takes 1 to`: {func(*GitHubOptions) {}, &Release{Version: "1", Files: []File{memory("empty", nil)}}},
		`large has 2147483648 bytes`:           {func(*GitHubOptions) {}, &Release{Version: "1", Files: []File{{Name: "large", Size: 2 << 30}}}},
	} {
		o := GitHubOptions{Repository: "example/mangos", API: PublicAPI, Token: token}
		c.change(&o)
		if _, err := NewGitHub(c.r, o); !errors.Is(err, ErrPlace) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestUploadsOf(t *testing.T) {
	for api, want := range map[string]string{
		PublicAPI:                     "https://uploads.github.com",
		"https://api.example.ghe.com": "https://uploads.example.ghe.com",
		"https://git.example/api/v3":  "https://git.example",
	} {
		u, err := url.Parse(api)
		if err != nil {
			t.Fatal(err)
		}
		if got := uploadsOf(u, ""); got != want {
			t.Errorf("%s: %s, want %s", api, got, want)
		}
	}
}

func TestHostileAPI(t *testing.T) {
	r := opened(t, smallRelease(t))
	draft := func(tag, upload, body string) string {
		text, _ := json.Marshal(body)
		return fmt.Sprintf(`{"id": 7, "tag_name": %q, "draft": false, "upload_url": %q, "body": %s}`, tag, upload, text)
	}
	good := draft("v1.0", "https://uploads.example/x", "")
	for name, c := range map[string]struct {
		release, assets, want string
	}{
		"no JSON":          {"<html>", "", "not strict JSON"},
		"two readings":     {strings.Replace(good, `"id"`, `"id": 8, "id"`, 1), "", "duplicate key"},
		"another tag":      {draft("v2", "https://uploads.example/x", ""), "", `another release, "v2"`},
		"no number":        {strings.Replace(good, `7`, `0`, 1), "", "another release"},
		"endless":          {good + strings.Repeat(" ", maxAnswer), "", "more than"},
		"uploads by http":  {draft("v1.0", "http://uploads.example/x", ""), "", "wants files to be sent to"},
		"uploads to evil":  {draft("v1.0", "https://uploads.example@evil.example/x", ""), "", "wants files to be sent to"},
		"a name twice":     {good, `[{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]`, `lists "a" twice`},
		"a negative size":  {good, `[{"id": 1, "name": "a", "size": -1}]`, `lists "a" twice, or without`},
		"a strange digest": {good, `[{"id": 1, "name": "a", "digest": "sha256:00"}]`, `the digest "sha256:00"`},
		"a digest of lies": {good, `[{"id": 1, "name": "SHA256SUMS", "state": "uploaded", "size": ` + fmt.Sprint(r.manifest().Size) + `, "digest": "sha256:` + strings.Repeat("00", 32) + `"}]`, "SHA256SUMS with SHA-256 0000"},
	} {
		answers := roundTripper(func(req *http.Request) (*http.Response, error) {
			text := c.release
			if strings.HasSuffix(req.URL.Path, "/assets") {
				text = c.assets
			}
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}, nil
		})
		g, err := NewGitHub(r, GitHubOptions{Repository: "a/b", API: "https://api.example", Token: token, Transport: answers})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Publish(t.Context(), r, g, options(1)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Lists that do not end are not read for ever.
func TestEndlessLists(t *testing.T) {
	r := opened(t, smallRelease(t))
	requests := 0
	answers := roundTripper(func(req *http.Request) (*http.Response, error) {
		requests++
		rsp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Link": {`<https://x>; rel="next"`}}, Body: io.NopCloser(strings.NewReader("[]"))}
		if strings.Contains(req.URL.Path, "/tags/") {
			rsp.StatusCode = http.StatusNotFound
		}
		return rsp, nil
	})
	g, err := NewGitHub(r, GitHubOptions{Repository: "a/b", API: "https://api.example", Token: token, Transport: answers})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Publish(t.Context(), r, g, options(1)); !errors.Is(err, ErrPlace) || requests != maxPages+1 {
		t.Errorf("%v after %d requests", err, requests)
	}
}

// A page that calls a file something else does not keep it unnoticed.
func TestPageRenames(t *testing.T) {
	files := smallRelease(t)
	r := opened(t, files)
	r.Files = append([]File{memory("mangos_1~rc.efi", []byte("x"))}, r.Files...)
	p := newPage(t, true)
	g := &gitHub{o: pageOptions(p), r: r}
	g.o.Tag = "v1.0"
	var err error
	if g.api, err = url.Parse(p.URL); err != nil {
		t.Fatal(err)
	}
	if g.uploads, err = url.Parse(p.Uploads); err != nil {
		t.Fatal(err)
	}
	g.web = newWeb(token, []string{originOf(g.api), originOf(g.uploads)}, nil)
	if _, err := Publish(t.Context(), r, g, options(3)); !errors.Is(err, ErrPlace) || !strings.Contains(err.Error(), `calls mangos_1~rc.efi "mangos_1.rc.efi"`) {
		t.Errorf("%v", err)
	}
}

// What was published is what the proxy gives, byte for byte: from a page, a web server
// and a folder.
func TestProxyReadsIt(t *testing.T) {
	b := installtest.Build(t, "1.0", nil)
	r := opened(t, b.Files)
	page := newPage(t, false)
	page.Releases = page.Releases[1:] // older ones
	store := newStore(t)
	local := filepath.Join(t.TempDir(), "1.0")
	key := filepath.Join(t.TempDir(), "release.pub")
	if err := os.WriteFile(key, installtest.ReleaseKey().Public, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, to := range []Destination{openPage(t, r, page, nil), store.open(t, r, nil), openFolder(t, r, local)} {
		if _, err := Publish(t.Context(), r, to, options(1)); err != nil {
			t.Fatal(err)
		}
	}
	page.Change(func() { page.Token = "" }) // for everybody
	for name, place := range map[string]string{
		"page":   fmt.Sprintf(`"github": "example/mangos", "api": %q`, page.URL),
		"server": fmt.Sprintf(`"folder": %q`, store.url),
		"folder": fmt.Sprintf(`"folder": %q`, local),
	} {
		c, err := proxy.ParseConfig(fmt.Appendf(nil, `{"repositories": {"mangos": {%s, "keyFile": %q, "minimumVersion": "1.0"}}}`, place, key))
		if err != nil {
			t.Fatal(err)
		}
		s, err := proxy.New(c, "", time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(nil)
		server.Config = s.HTTP()
		server.Start()
		for file, want := range b.Files {
			rsp, err := http.Get(server.URL + "/mangos/" + file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(rsp.Body)
			rsp.Body.Close()
			if err != nil || rsp.StatusCode != http.StatusOK || !bytes.Equal(got, want) {
				t.Errorf("%s: %s: %s, %d bytes, want %d: %v", name, file, rsp.Status, len(got), len(want), err)
			}
		}
		server.Close()
	}
}

// Whatever the API says, nothing but a release that is there whole counts as published,
// and nothing is sent anywhere else.
func FuzzAnswers(f *testing.F) {
	files := []File{memory("SHA256SUMS", []byte("sums")), memory("SHA256SUMS.gpg", []byte("signature"))}
	r := &Release{Name: "mangos", Version: "1.0", Files: files}
	const good = `{"id": 7, "tag_name": "v1.0", "draft": false, "upload_url": "https://uploads.example/x{?name}"}`
	var assets []string
	for i, file := range files {
		assets = append(assets, fmt.Sprintf(`{"id": %d, "name": %q, "state": "uploaded", "size": %d, "digest": "sha256:%x"}`, i+1, file.Name, file.Size, file.Sum))
	}
	f.Add([]byte(good), []byte("["+strings.Join(assets, ",")+"]"))
	f.Add([]byte(strings.Replace(good, "false", "true", 1)), []byte("["+assets[0]+"]"))
	f.Add([]byte(strings.Replace(good, "uploads.example", "evil.example", 1)), []byte("[]"))
	f.Add([]byte(`{"message": "x", "errors": [{"code": "already_exists"}]}`), []byte(`[]`))
	f.Fuzz(func(t *testing.T, release, assets []byte) {
		answers := roundTripper(func(req *http.Request) (*http.Response, error) {
			text := release
			switch {
			case req.URL.Host != "api.example" && req.URL.Host != "uploads.example":
				t.Errorf("asked for %s", req.URL)
			case req.Method != http.MethodGet && bytes.Contains(release, []byte("false")) && !bytes.Contains(release, []byte("true")):
				t.Errorf("%s %s", req.Method, req.URL)
			case strings.HasSuffix(req.URL.Path, "/assets"):
				text = assets
			}
			if req.Body != nil {
				req.Body.Close()
			}
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(text))}, nil
		})
		g, err := NewGitHub(r, GitHubOptions{Repository: "a/b", API: "https://api.example", Token: token, Transport: answers})
		if err != nil {
			t.Fatal(err)
		}
		result, err := Publish(t.Context(), r, g, options(1))
		for _, file := range files {
			if err == nil && !bytes.Contains(bytes.ToLower(assets), fmt.Appendf(nil, "%x", file.Sum)) {
				t.Errorf("%+v without %s", result, file.Name)
			}
		}
	})
}
