package proxy

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/runtime/install/installtest"
)

// published is a release on the fake page.
type published struct {
	tag               string
	draft, prerelease bool
	files             map[string][]byte
}

// page is a server that speaks GitHub's API, with its quirks: pages, redirects to
// another host, digests that are null, ETags, rate limits.
type page struct {
	t       *testing.T
	api     *httptest.Server
	storage *httptest.Server // where the files are: another host

	mu       sync.Mutex
	releases []published // newest first, as GitHub lists them
	perPage  int
	calls    int
	down     bool
	limit    func(http.ResponseWriter) // answers instead, if set
	token    string
	seen     []string // Authorization headers that the storage saw
	cut      int      // bytes after which the storage hangs up, once
}

func newPage(t *testing.T) *page {
	p := &page{t: t, perPage: 2}
	p.api = httptest.NewServer(http.HandlerFunc(p.serveAPI))
	p.storage = httptest.NewServer(http.HandlerFunc(p.serveStorage))
	t.Cleanup(p.api.Close)
	t.Cleanup(p.storage.Close)
	return p
}

func (p *page) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *page) serveAPI(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	switch {
	case p.down:
		panic(http.ErrAbortHandler)
	case p.limit != nil:
		p.limit(w)
		return
	case p.token != "" && r.Header.Get("Authorization") != "Bearer "+p.token:
		http.Error(w, `{"message": "Not Found"}`, http.StatusNotFound)
		return
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, "/download/"); ok {
		// Another host, as GitHub's storage is.
		other := strings.Replace(p.storage.URL, "127.0.0.1", "localhost", 1)
		http.Redirect(w, r, other+"/"+rest+"?signed=yes", http.StatusFound)
		return
	}
	if r.URL.Path != "/repos/example/mangos/releases" {
		http.NotFound(w, r)
		return
	}
	number, _ := strconv.Atoi(r.URL.Query().Get("page"))
	first := min((number-1)*p.perPage, len(p.releases))
	last := min(first+p.perPage, len(p.releases))
	body := p.list(p.releases[first:last])
	etag := fmt.Sprintf(`W/"%x"`, sha256.Sum256(p.list(p.releases)))
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if last < len(p.releases) {
		// The host in it is not to be followed.
		w.Header().Set("Link", fmt.Sprintf(`<http://evil.example/?page=%d>; rel="next"`, number+1))
	}
	_, _ = w.Write(body)
}

func (p *page) list(releases []published) []byte {
	var all []map[string]any
	for _, r := range releases {
		var assets []map[string]any
		for _, name := range slices.Sorted(maps.Keys(r.files)) {
			id := sha256.Sum256(append([]byte(r.tag+name), r.files[name]...))
			assets = append(assets, map[string]any{
				"id": int64(id[0])<<16 | int64(id[1])<<8 | int64(id[2]), "name": name, "state": "uploaded", "size": len(r.files[name]), "digest": nil,
				"url": p.api.URL + "/download/" + r.tag + "/" + name, "browser_download_url": p.api.URL + "/download/" + r.tag + "/" + name,
				"updated_at": "2026-01-01T00:00:00Z", "unknown": map[string]any{"x": 1},
			})
		}
		all = append(all, map[string]any{"tag_name": r.tag, "draft": r.draft, "prerelease": r.prerelease, "assets": assets, "body": "text\n"})
	}
	raw, err := json.Marshal(all)
	if err != nil {
		p.t.Error(err)
	}
	return raw
}

func (p *page) serveStorage(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen = append(p.seen, r.Header.Get("Authorization"))
	tag, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	var content []byte
	for _, release := range p.releases {
		if release.tag == tag {
			content = release.files[name]
		}
	}
	cut := p.cut
	p.cut = 0
	p.mu.Unlock()
	if r.URL.Query().Get("signed") != "yes" || content == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(content)))
	if cut > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(content[:cut])
		panic(http.ErrAbortHandler)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// publish makes a release with these files, signed; extra are lines of the manifest.
func publish(t *testing.T, tag string, files map[string]string, extra ...string) published {
	t.Helper()
	p := published{tag: tag, files: map[string][]byte{}}
	var sums bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(files)) {
		p.files[name] = []byte(files[name])
		fmt.Fprintf(&sums, "%x *%s\n", sha256.Sum256([]byte(files[name])), name)
	}
	for _, line := range extra {
		sums.WriteString(line + "\n")
	}
	signature, err := keys.SignSums(installtest.ReleaseKey().Private, bytes.NewReader(sums.Bytes()), time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	p.files["SHA256SUMS"], p.files["SHA256SUMS.gpg"] = sums.Bytes(), signature
	return p
}
