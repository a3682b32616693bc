package publish

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// store is a web server that takes files by PUT.
type store struct {
	url string

	mu    sync.Mutex
	files map[string][]byte
	sent  []string
	// status is what it answers to a PUT, if set; damage changes what it keeps.
	status int
	damage func(content []byte) []byte
}

func newStore(t *testing.T) *store {
	s := &store{files: map[string][]byte{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(t, w, r) }))
	t.Cleanup(server.Close)
	s.url = server.URL + "/releases/1.0"
	return s
}

func (s *store) serve(t *testing.T, w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.URL.Path, "/releases/1.0/")
	content, err := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	there, taken := s.files[name]
	switch {
	case !ok:
		http.NotFound(w, r)
	case r.Method == http.MethodPut && s.status != 0:
		w.WriteHeader(s.status)
	case r.Method == http.MethodPut:
		if r.Header.Get("If-None-Match") != "*" || r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("PUT with %q", r.Header)
		}
		if taken {
			w.WriteHeader(http.StatusPreconditionFailed)
		} else if err == nil {
			if s.damage != nil {
				content = s.damage(content)
			}
			s.files[name], s.sent = content, append(s.sent, name)
			w.WriteHeader(http.StatusCreated)
		}
	case !taken:
		http.NotFound(w, r)
	default:
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(there)))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(there))
	}
}

func (s *store) open(t *testing.T, r *Release, transport http.RoundTripper) Destination {
	t.Helper()
	to, err := NewPut(r, s.url+"/", token, transport)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func newStoreWorld(t *testing.T) *world {
	s := newStore(t)
	locked := func(f func()) { s.mu.Lock(); defer s.mu.Unlock(); f() }
	return &world{
		open:    s.open,
		shown:   func() (files map[string][]byte) { locked(func() { files = maps.Clone(s.files) }); return files },
		arrived: func() (names []string) { locked(func() { names = slices.Clone(s.sent) }); return names },
	}
}

func TestPutTaken(t *testing.T) {
	files := smallRelease(t)
	r := opened(t, files)
	for name, c := range map[string]struct {
		change func(there map[string][]byte)
		want   string
	}{
		"another content":   {func(f map[string][]byte) { f["mangos_1.0.raw.zst"][9] ^= 1 }, "mangos_1.0.raw.zst with SHA-256"},
		"another size":      {func(f map[string][]byte) { f["mangos_1.0.raw.zst"] = nil }, "with 0 bytes, want 260"},
		"published in part": {func(f map[string][]byte) { delete(f, "mangos_1.0.raw.zst") }, "published without mangos_1.0.raw.zst"},
		"another manifest":  {func(f map[string][]byte) { f["SHA256SUMS"][0] ^= 1; delete(f, "SHA256SUMS.gpg") }, "SHA256SUMS with SHA-256"},
	} {
		s := newStore(t)
		for name, content := range files {
			s.files[name] = bytes.Clone(content)
		}
		c.change(s.files)
		before := maps.Clone(s.files)
		_, err := Publish(t.Context(), r, s.open(t, r, nil), options(3))
		if !errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if len(s.sent) > 0 || !maps.EqualFunc(before, s.files, bytes.Equal) {
			t.Errorf("%s: sent %q", name, s.sent)
		}
	}
}

// What came there since it was looked for is not overwritten, either.
func TestPutRace(t *testing.T) {
	files := smallRelease(t)
	r := opened(t, files)
	s := newStore(t)
	const disk = "mangos_1.0.raw.zst"
	race := roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.Method == http.MethodPut {
			s.mu.Lock()
			if s.files[disk] == nil {
				s.files[disk] = bytes.Repeat([]byte("x"), len(files[disk]))
			}
			s.mu.Unlock()
		}
		return http.DefaultTransport.RoundTrip(req)
	})
	if _, err := Publish(t.Context(), r, s.open(t, r, race), options(3)); !errors.Is(err, ErrTaken) || len(s.sent) > 0 {
		t.Errorf("%v, sent %q", err, s.sent)
	}
}

func TestPutAnswers(t *testing.T) {
	r := opened(t, smallRelease(t))
	for status, want := range map[int]error{
		http.StatusNotImplemented: ErrPlace, http.StatusMethodNotAllowed: ErrPlace, http.StatusUnauthorized: ErrPlace,
		http.StatusInsufficientStorage: ErrPlace, http.StatusMovedPermanently: ErrPlace,
		http.StatusBadGateway: ErrBroken, http.StatusServiceUnavailable: ErrBroken, http.StatusConflict: ErrBroken,
		http.StatusOK: ErrBroken, // which takes it, and does not have it
	} {
		s := newStore(t)
		s.status = status
		if _, err := Publish(t.Context(), r, s.open(t, r, nil), options(2)); !errors.Is(err, want) {
			t.Errorf("%d: %v, want %v", status, err, want)
		}
	}
	for _, address := range []string{"https://", "ftp://host/x", "https://host/?x=y", "https://user:secret@host/", "http://host.example/"} {
		if _, err := NewPut(r, address, token, nil); !errors.Is(err, ErrPlace) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// What a server keeps is not believed: with a file damaged there is no manifest, and no
// release.
func TestPutDamages(t *testing.T) {
	r := opened(t, smallRelease(t))
	for name, damage := range map[string]func([]byte) []byte{
		"another byte": func(content []byte) []byte { content[0] ^= 1; return content },
		"a byte less":  func(content []byte) []byte { return content[1:] },
	} {
		s := newStore(t)
		s.damage = damage
		_, err := Publish(t.Context(), r, s.open(t, r, nil), options(3))
		if !errors.Is(err, ErrTaken) || s.files["SHA256SUMS"] != nil || s.files["SHA256SUMS.gpg"] != nil {
			t.Errorf("%s: %v, sent %q", name, err, s.sent)
		}
	}
}
