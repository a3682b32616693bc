package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// server is an archive in memory that can misbehave.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte
	asked []string
	// handle, if set, answers first, and says whether it did.
	handle func(w http.ResponseWriter, r *http.Request, n int) bool
}

func newServer(t *testing.T, files map[string][]byte) *server {
	s := &server{files: files}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Method+" "+r.URL.Path+" "+r.Header.Get("Range"))
		n := len(s.asked)
		s.mu.Unlock()
		if s.handle != nil && s.handle(w, r, n) {
			return
		}
		data, ok := s.files[strings.TrimPrefix(r.URL.Path, "/debian/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.asked...)
}

const content = "the content of a package"

func file(path, content string) File {
	return File{
		Name: filepath.Base(path) + " 1.0", Archive: "debian", Path: path,
		Size: int64(len(content)), SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(content))),
	}
}

func fetcher(t *testing.T, mirrors ...*server) *Fetcher {
	f := &Fetcher{Mirrors: Mirrors{}, Homes: Mirrors{}, Cache: t.TempDir(), Backoff: time.Microsecond}
	for _, s := range mirrors {
		f.Mirrors["debian"] = append(f.Mirrors["debian"], s.URL+"/debian/")
	}
	return f
}

// check wants the file in the folder, and nothing in the cache that is not whole.
func check(t *testing.T, dir string, want File) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(dir, filepath.Base(want.Path)))
	if err != nil {
		t.Fatal(err)
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(got)); sum != want.SHA256 {
		t.Errorf("the file put in place has SHA-256 %s, want %s", sum, want.SHA256)
	}
}

func TestInto(t *testing.T) {
	a, b := file("pool/a.deb", content), file("pool/b.deb", content+" b")
	s := newServer(t, map[string][]byte{a.Path: []byte(content), b.Path: []byte(content + " b")})
	f, dir := fetcher(t, s), t.TempDir()
	for range 2 {
		if err := f.Into(context.Background(), []File{a, b}, dir); err != nil {
			t.Fatal(err)
		}
		check(t, dir, a)
		check(t, dir, b)
	}
	if n := len(s.requests()); n != 2 {
		t.Errorf("%d requests for two files fetched twice", n)
	}
}

// TestAtTheSameTime has a server that answers no request before as many are open as
// there may be.
func TestAtTheSameTime(t *testing.T) {
	for jobs, want := range map[int]int32{0: 8, 2: 2} {
		var files []File
		held := map[string][]byte{}
		for i := range 2 * want {
			text := fmt.Sprint(content, i)
			one := file(fmt.Sprintf("pool/%d.deb", i), text)
			files, held[one.Path] = append(files, one), []byte(text)
		}
		s := newServer(t, held)
		var open atomic.Int32
		var once sync.Once
		enough := make(chan struct{})
		s.handle = func(_ http.ResponseWriter, r *http.Request, _ int) bool {
			defer open.Add(-1)
			if open.Add(1) == want {
				once.Do(func() { close(enough) })
			}
			select {
			case <-enough:
			case <-r.Context().Done():
			}
			return false
		}
		f := fetcher(t, s)
		f.Jobs = jobs
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := f.Into(ctx, files, t.TempDir()); err != nil {
			t.Errorf("jobs %d: never %d requests at the same time: %v", jobs, want, err)
		}
		cancel()
	}
}

func TestCacheIsNotTrusted(t *testing.T) {
	a := file("pool/a.deb", content)
	s := newServer(t, map[string][]byte{a.Path: []byte(content)})
	f, dir := fetcher(t, s), t.TempDir()
	if err := os.MkdirAll(filepath.Join(f.Cache, "sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, left := range []string{"", "THE content of a package", content + "more"} {
		if err := os.WriteFile(f.path(a.SHA256), []byte(left), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := f.Into(context.Background(), []File{a}, dir); err != nil {
			t.Fatal(err)
		}
		check(t, dir, a)
	}
}

func TestRetriesAndResumes(t *testing.T) {
	a := file("pool/a.deb", content)
	s := newServer(t, map[string][]byte{a.Path: []byte(content)})
	s.handle = func(w http.ResponseWriter, _ *http.Request, n int) bool {
		switch n {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2: // the connection breaks after ten bytes
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			fmt.Fprint(w, content[:10])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		default:
			return false
		}
		return true
	}
	f, dir := fetcher(t, s), t.TempDir()
	if err := f.Into(context.Background(), []File{a}, dir); err != nil {
		t.Fatal(err)
	}
	check(t, dir, a)
	want := []string{"GET /debian/pool/a.deb ", "GET /debian/pool/a.deb ", "GET /debian/pool/a.deb bytes=10-"}
	if got := s.requests(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("requests:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestResumesWrongStart has what an earlier run left, which is not the start of
// the file: it is thrown away.
func TestResumesWrongStart(t *testing.T) {
	a := file("pool/a.deb", content)
	s := newServer(t, map[string][]byte{a.Path: []byte(content)})
	f, dir := fetcher(t, s), t.TempDir()
	if err := os.MkdirAll(filepath.Join(f.Cache, "partial"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.Cache, "partial", a.SHA256), []byte("wrong"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.Into(context.Background(), []File{a}, dir); err != nil {
		t.Fatal(err)
	}
	check(t, dir, a)
}

func TestMismatch(t *testing.T) {
	a := file("pool/a.deb", content)
	for name, wrong := range map[string]string{
		"same size": "THE content of a package", "shorter": "short", "longer": content + "more",
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, map[string][]byte{a.Path: []byte(wrong)})
			f, dir := fetcher(t, s), t.TempDir()
			err := f.Into(context.Background(), []File{a}, dir)
			if !errors.Is(err, ErrMismatch) {
				t.Fatalf("got %v, want ErrMismatch", err)
			}
			for _, part := range []string{"a.deb 1.0", a.SHA256, s.URL + "/debian/pool/a.deb"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if name != "longer" && !strings.Contains(err.Error(), fmt.Sprintf("%x", sha256.Sum256([]byte(wrong)))) {
				t.Errorf("%q does not say what it got", err)
			}
			if _, err := os.Stat(f.path(a.SHA256)); err == nil {
				t.Error("the wrong content is in the cache")
			}
			if entries, _ := os.ReadDir(dir); len(entries) > 0 {
				t.Error("the wrong content was put in place")
			}
		})
	}
}

func TestGone(t *testing.T) {
	a := file("pool/a.deb", content)
	empty, full := newServer(t, nil), newServer(t, map[string][]byte{a.Path: []byte(content)})
	dead := newServer(t, nil)
	dead.Close()

	f := fetcher(t, empty)
	f.Homes["debian"] = []string{dead.URL + "/"}
	err := f.Into(context.Background(), []File{a}, t.TempDir())
	if !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "a.deb 1.0") || !strings.Contains(err.Error(), "refresh the lock") {
		t.Errorf("gone, and home dead: %v", err)
	}

	f = fetcher(t, dead)
	f.Homes["debian"] = []string{empty.URL + "/debian/"}
	if err := f.Into(context.Background(), []File{a}, t.TempDir()); errors.Is(err, ErrGone) || !errors.Is(err, ErrUnreachable) {
		t.Errorf("mirror dead: got %v, want ErrUnreachable: the mirror may have it", err)
	}

	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer refusing.Close()
	f = fetcher(t)
	f.Mirrors = map[string][]string{"debian": {refusing.URL + "/"}}
	f.Homes["debian"] = []string{dead.URL + "/"}
	if err := f.Into(context.Background(), []File{a}, t.TempDir()); errors.Is(err, ErrGone) || !errors.Is(err, ErrUnreachable) {
		t.Errorf("mirror refuses: got %v, want ErrUnreachable: the mirror may have it", err)
	}

	f = fetcher(t, empty)
	f.Homes["debian"] = []string{full.URL + "/debian/"}
	if err := f.Into(context.Background(), []File{a}, t.TempDir()); err != nil {
		t.Errorf("gone, and home has it: %v", err)
	}

	f = fetcher(t)
	if err := f.Into(context.Background(), []File{a}, t.TempDir()); err == nil || !strings.Contains(err.Error(), "--mirror debian=URL") {
		t.Errorf("no servers: %v", err)
	}
}

func TestTwoFilesOfOneName(t *testing.T) {
	err := fetcher(t).Into(context.Background(), []File{file("pool/a/x.deb", "1"), file("pool/b/x.deb", "2")}, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "x.deb") {
		t.Errorf("got %v", err)
	}
}

// TestTwoProcesses fetches the same file at the same time with one cache.
func TestTwoProcesses(t *testing.T) {
	a := file("pool/a.deb", content)
	s := newServer(t, map[string][]byte{a.Path: []byte(content)})
	cache := t.TempDir()
	var wait sync.WaitGroup
	for range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			f := fetcher(t, s)
			f.Cache = cache
			dir := t.TempDir()
			if err := f.Into(context.Background(), []File{a}, dir); err != nil {
				t.Error(err)
				return
			}
			check(t, dir, a)
		}()
	}
	wait.Wait()
	if n := len(s.requests()); n != 1 {
		t.Errorf("%d requests for one file", n)
	}
}

func TestGetIsBounded(t *testing.T) {
	s := newServer(t, map[string][]byte{"dists/x/InRelease": bytes.Repeat([]byte("x"), 100)})
	f := fetcher(t, s)
	if _, err := f.Get(context.Background(), "debian", "dists/x/InRelease", 99); err == nil {
		t.Error("100 bytes read where 99 are allowed")
	}
	if data, err := f.Get(context.Background(), "debian", "dists/x/InRelease", 100); err != nil || len(data) != 100 {
		t.Errorf("got %d bytes, %v", len(data), err)
	}
}

func TestExists(t *testing.T) {
	s := newServer(t, map[string][]byte{"a": []byte("x")})
	f := fetcher(t, s)
	for path, want := range map[string]bool{"a": true, "b": false} {
		if got, err := f.Exists(context.Background(), "debian", path); err != nil || got != want {
			t.Errorf("%s: %v, %v", path, got, err)
		}
	}
	s.Close()
	if _, err := f.Exists(context.Background(), "debian", "a"); err == nil {
		t.Error("a dead server has no file, without an error")
	}
}

// TestExistsRefused has servers that do not say whether they have the file: only a
// word that they have none makes it absent.
func TestExistsRefused(t *testing.T) {
	for _, row := range []struct {
		status, requests int
		absent           bool
	}{
		{http.StatusNotFound, 1, true},
		{http.StatusGone, 1, true},
		{http.StatusNoContent, attempts, false},
		{http.StatusUnauthorized, 1, false},
		{http.StatusForbidden, 1, false},
		{http.StatusMethodNotAllowed, 1, false},
		{http.StatusProxyAuthRequired, 1, false},
		{http.StatusRequestTimeout, attempts, false},
		{http.StatusTooManyRequests, attempts, false},
		{http.StatusServiceUnavailable, attempts, false},
	} {
		t.Run(fmt.Sprint(row.status), func(t *testing.T) {
			s := newServer(t, nil)
			s.handle = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				w.WriteHeader(row.status)
				return true
			}
			// A second server, without the file, does not make up for the first.
			found, err := fetcher(t, s, newServer(t, nil)).Exists(context.Background(), "debian", "a")
			if found || (err == nil) != row.absent {
				t.Errorf("got %v, %v", found, err)
			}
			if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("%s/debian/a: the server says %d", s.URL, row.status)) {
				t.Errorf("%q does not name the file and the status", err)
			}
			if n := len(s.requests()); n != row.requests {
				t.Errorf("%d requests, want %d", n, row.requests)
			}
		})
	}
	s := newServer(t, map[string][]byte{"a": []byte("x")})
	s.handle = func(w http.ResponseWriter, _ *http.Request, n int) bool {
		if n < attempts {
			w.WriteHeader(http.StatusTooManyRequests)
		}
		return n < attempts
	}
	if found, err := fetcher(t, s).Exists(context.Background(), "debian", "a"); !found || err != nil {
		t.Errorf("a server that answers in the end: %v, %v", found, err)
	}
}

func TestParseMirrors(t *testing.T) {
	m, err := ParseMirrors([]string{"a=http://h/x", "a=https://i/", "b=http://u:p@h/"})
	if err != nil || strings.Join(m["a"], " ") != "http://h/x/ https://i/" {
		t.Errorf("%v, %v", m, err)
	}
	for _, bad := range []string{"", "a", "=http://h", "a=", "a=ftp://h", "a=http://", "a=file:///etc", "a=http://h/?x", "a=http://h/#x"} {
		if _, err := ParseMirrors([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	for word, names := range map[string]string{
		"a=ftp://u:secret@h":        `mirror "a=..." (its address is not shown) is not "archive=http://host/path"`,
		"a=http://u:secret@h/?x":    `mirror "a=..." (its address is not shown) is not`,
		"a=http://u:sec%zzsecret@h": `mirror "a=..." (its address is not shown) is not`,
		"a=u:secret@h":              `mirror "a=..." (its address is not shown) is not`,
		"http://u:secret@h/":        "mirror number 2 (not shown) is not",
		"http://u:secret=@h/":       "mirror number 2 (not shown) is not",
		"u:secret=@h":               "mirror number 2 (not shown) is not",
		"=http://u:secret@h/":       "mirror number 2 (not shown) is not",
	} {
		_, err := ParseMirrors([]string{"b=http://h/", word})
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), names) {
			t.Errorf("%q: %v", word, err)
		}
	}
	if got := redact("http://user:secret@host/x"); strings.Contains(got, "secret") {
		t.Errorf("a password is printed: %s", got)
	}
}

// A file's path put behind a base names that file on that server.
func FuzzParseMirrors(f *testing.F) {
	for _, word := range []string{"a=http://h/x", "b=http://u:p@h:1/", "a=https://[::1]/x/", "a=http://h/?x", "a=http://h/#x", "a"} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		m, err := ParseMirrors([]string{word})
		if err != nil {
			return
		}
		for name, bases := range m {
			base, err := url.Parse(bases[0])
			if err != nil || name == "" || len(bases) != 1 || len(m) != 1 {
				t.Fatalf("%q: %v, %v", word, m, err)
			}
			u, err := url.Parse(bases[0] + "pool/a.deb")
			if err != nil || u.Host != base.Host || !strings.HasSuffix(u.Path, "/pool/a.deb") || u.RawQuery != "" || u.Fragment != "" {
				t.Fatalf("%q: a file would be fetched from %v, %v", word, u, err)
			}
		}
	})
}
