// Package proxytest is a release page for tests: a server that speaks GitHub's API,
// with its quirks, and signed releases to publish there.
package proxytest

import (
	"bytes"
	"context"
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

// A Release is one on the page.
type Release struct {
	Tag               string
	Draft, Prerelease bool
	Files             map[string][]byte
	// Body is its text.
	Body string
	// Broken are files whose upload broke off: nothing of them is there.
	Broken map[string]bool

	id int64
}

// Page is a server that speaks GitHub's API: in pages, with redirects to another host,
// digests that are null, ETags and rate limits. Change guards its fields.
type Page struct {
	// URL is the API's address.
	URL string
	// Releases of example/mangos, newest first, as GitHub lists them.
	Releases []Release
	// PerPage is how many it lists at once.
	PerPage int
	// Calls counts the requests to the API.
	Calls int
	// Down: it hangs up on whoever asks the API.
	Down bool
	// Limit answers instead of the API, if set.
	Limit func(http.ResponseWriter)
	// Token is what the API wants, if set; files are then to be had by it alone.
	Token string
	// Direct: it names the storage itself as the place of its files.
	Direct bool
	// Seen are the Authorization headers that the storage saw.
	Seen []string
	// Cut is after how many bytes the storage hangs up, once, in a file that is longer.
	Cut int
	// Digests: it tells the files' digests, which are null otherwise.
	Digests bool
	// Uploads is where files are sent, another origin; Sent are the names of those that
	// arrived, in their order.
	Uploads string
	Sent    []string
	// Hold, if set, stops the storage in the middle of each file until it is closed.
	Hold <-chan struct{}

	t       testing.TB
	mu      sync.Mutex
	storage *httptest.Server // where the files are: another host
	lastID  int64            // of a release
}

// NewPage starts a page that lists two releases at once, until the test is over.
func NewPage(t testing.TB) *Page {
	p := &Page{t: t, PerPage: 2}
	api := httptest.NewServer(p)
	p.URL = api.URL
	p.storage = httptest.NewServer(http.HandlerFunc(p.serveStorage))
	uploads := httptest.NewServer(http.HandlerFunc(p.serveUploads))
	p.Uploads = uploads.URL
	t.Cleanup(api.Close)
	t.Cleanup(uploads.Close)
	t.Cleanup(p.storage.Close)
	return p
}

// Change changes or reads the page.
func (p *Page) Change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// ServeHTTP is the API.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Calls++
	switch {
	case p.Down:
		panic(http.ErrAbortHandler)
	case p.Limit != nil:
		p.Limit(w)
		return
	case p.Token != "" && r.Header.Get("Authorization") != "Bearer "+p.Token:
		http.Error(w, `{"message": "Not Found"}`, http.StatusNotFound)
		return
	}
	if p.serveRelease(w, r) {
		return
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, private); ok && r.Header.Get("Accept") == "application/octet-stream" {
		if release, name := p.asset(rest); release != nil {
			rest = release.Tag + "/" + name
		}
		http.Redirect(w, r, p.stored(rest), http.StatusFound)
		return
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, public); ok && p.Token == "" {
		http.Redirect(w, r, p.stored(rest), http.StatusFound)
		return
	}
	if r.URL.Path != releases {
		http.NotFound(w, r)
		return
	}
	number, first, last := p.part(r, len(p.Releases))
	body := p.list(p.Releases[first:last])
	etag := fmt.Sprintf(`W/"%x"`, sha256.Sum256(p.list(p.Releases)))
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if last < len(p.Releases) {
		// The host in it is not to be followed.
		w.Header().Set("Link", fmt.Sprintf(`<http://evil.example/?page=%d>; rel="next"`, number+1))
	}
	_, _ = w.Write(body)
}

// part is the part of a list that a request asks for.
func (p *Page) part(r *http.Request, length int) (number, first, last int) {
	number, _ = strconv.Atoi(r.URL.Query().Get("page"))
	first = min((number-1)*p.PerPage, length)
	return number, first, min(first+p.PerPage, length)
}

// Where the files are: for programs, which may have a token, and for browsers.
const (
	releases = "/repos/example/mangos/releases"
	private  = releases + "/assets/"
	public   = "/download/"
)

// stored is the place of a file in the storage: another host, as GitHub's is.
func (p *Page) stored(path string) string {
	return strings.Replace(p.storage.URL, "127.0.0.1", "localhost", 1) + "/" + path + "?signed=yes"
}

func (p *Page) list(some []Release) []byte {
	all := []map[string]any{}
	for i := range some {
		all = append(all, p.describe(&some[i]))
	}
	return p.encode(all)
}

func (p *Page) encode(value any) []byte {
	raw, err := json.Marshal(value)
	if err != nil {
		p.t.Error(err)
	}
	return raw
}

// describe is a release as the API tells of it.
func (p *Page) describe(r *Release) map[string]any {
	if r.id == 0 {
		p.lastID++
		r.id = p.lastID
	}
	return map[string]any{
		"id": r.id, "tag_name": r.Tag, "draft": r.Draft, "prerelease": r.Prerelease, "assets": p.assets(r), "body": "text\n" + r.Body,
		"upload_url": fmt.Sprintf("%s%s/%d/assets{?name,label}", p.Uploads, releases, r.id), "html_url": p.URL + "/" + r.Tag,
	}
}

// assets are the files of a release as the API tells of them.
func (p *Page) assets(r *Release) []map[string]any {
	assets := []map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(r.Files)) {
		path := r.Tag + "/" + name
		url, download := p.URL+private+path, p.URL+public+path
		if p.Direct {
			url, download = p.stored(path), p.stored(path)
		}
		asset := map[string]any{
			"id": assetID(r, name), "name": name, "state": "uploaded", "size": len(r.Files[name]), "digest": nil,
			"url": url, "browser_download_url": download,
			"updated_at": "2026-01-01T00:00:00Z", "unknown": map[string]any{"x": 1},
		}
		switch {
		case r.Broken[name]:
			asset["state"] = "starter"
		case p.Digests:
			asset["digest"] = fmt.Sprintf("sha256:%x", sha256.Sum256(r.Files[name]))
		}
		assets = append(assets, asset)
	}
	return assets
}

func assetID(r *Release, name string) int64 {
	id := sha256.Sum256(append([]byte(r.Tag+name), r.Files[name]...))
	return int64(id[0])<<16 | int64(id[1])<<8 | int64(id[2])
}

func (p *Page) serveStorage(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.Seen = append(p.Seen, r.Header.Get("Authorization"))
	tag, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	var content []byte
	for _, release := range p.Releases {
		if release.Tag == tag {
			content = release.Files[name]
		}
	}
	cut, hold := 0, p.Hold
	if p.Cut < len(content) {
		cut, p.Cut = p.Cut, 0
	}
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
	if hold != nil {
		var from int
		_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from) // 0 where there is none
		w = &held{w, max(len(content)/2-from, 0), hold, r.Context().Done()}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// held is an answer that stops after some bytes until hold is closed, or whoever asked
// is gone.
type held struct {
	http.ResponseWriter
	left int
	hold <-chan struct{}
	gone <-chan struct{}
}

func (h *held) Write(b []byte) (int, error) {
	first := min(h.left, len(b))
	h.left -= first
	n, err := h.ResponseWriter.Write(b[:first])
	if err != nil || first == len(b) {
		return n, err
	}
	if err := http.NewResponseController(h.ResponseWriter).Flush(); err != nil {
		return n, err
	}
	select {
	case <-h.hold:
	case <-h.gone:
		return n, context.Canceled
	}
	rest, err := h.ResponseWriter.Write(b[first:])
	return n + rest, err
}

// Publish makes a release with these files, signed by installtest's key; extra are
// lines of the manifest.
func Publish(t testing.TB, tag string, files map[string]string, extra ...string) Release {
	t.Helper()
	r := Release{Tag: tag, Files: map[string][]byte{}}
	var sums bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(files)) {
		r.Files[name] = []byte(files[name])
		fmt.Fprintf(&sums, "%x *%s\n", sha256.Sum256([]byte(files[name])), name)
	}
	for _, line := range extra {
		sums.WriteString(line + "\n")
	}
	signature, err := keys.SignSums(installtest.ReleaseKey().Private, bytes.NewReader(sums.Bytes()), time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	r.Files["SHA256SUMS"], r.Files["SHA256SUMS.gpg"] = sums.Bytes(), signature
	return r
}
