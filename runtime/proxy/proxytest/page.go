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
	// Hold, if set, stops the storage in the middle of each file until it is closed.
	Hold <-chan struct{}

	t       testing.TB
	mu      sync.Mutex
	storage *httptest.Server // where the files are: another host
}

// NewPage starts a page that lists two releases at once, until the test is over.
func NewPage(t testing.TB) *Page {
	p := &Page{t: t, PerPage: 2}
	api := httptest.NewServer(p)
	p.URL = api.URL
	p.storage = httptest.NewServer(http.HandlerFunc(p.serveStorage))
	t.Cleanup(api.Close)
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
	if rest, ok := strings.CutPrefix(r.URL.Path, private); ok && r.Header.Get("Accept") == "application/octet-stream" {
		http.Redirect(w, r, p.stored(rest), http.StatusFound)
		return
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, public); ok && p.Token == "" {
		http.Redirect(w, r, p.stored(rest), http.StatusFound)
		return
	}
	if r.URL.Path != "/repos/example/mangos/releases" {
		http.NotFound(w, r)
		return
	}
	number, _ := strconv.Atoi(r.URL.Query().Get("page"))
	first := min((number-1)*p.PerPage, len(p.Releases))
	last := min(first+p.PerPage, len(p.Releases))
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

// Where the files are: for programs, which may have a token, and for browsers.
const (
	private = "/repos/example/mangos/releases/assets/"
	public  = "/download/"
)

// stored is the place of a file in the storage: another host, as GitHub's is.
func (p *Page) stored(path string) string {
	return strings.Replace(p.storage.URL, "127.0.0.1", "localhost", 1) + "/" + path + "?signed=yes"
}

func (p *Page) list(releases []Release) []byte {
	var all []map[string]any
	for _, r := range releases {
		var assets []map[string]any
		for _, name := range slices.Sorted(maps.Keys(r.Files)) {
			path := r.Tag + "/" + name
			url, download := p.URL+private+path, p.URL+public+path
			if p.Direct {
				url, download = p.stored(path), p.stored(path)
			}
			id := sha256.Sum256(append([]byte(r.Tag+name), r.Files[name]...))
			assets = append(assets, map[string]any{
				"id": int64(id[0])<<16 | int64(id[1])<<8 | int64(id[2]), "name": name, "state": "uploaded", "size": len(r.Files[name]), "digest": nil,
				"url": url, "browser_download_url": download,
				"updated_at": "2026-01-01T00:00:00Z", "unknown": map[string]any{"x": 1},
			})
		}
		all = append(all, map[string]any{"tag_name": r.Tag, "draft": r.Draft, "prerelease": r.Prerelease, "assets": assets, "body": "text\n"})
	}
	raw, err := json.Marshal(all)
	if err != nil {
		p.t.Error(err)
	}
	return raw
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
