package fetch

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// From https nothing leads to http.
func TestRedirectToPlain(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL+"/SHA256SUMS", http.StatusFound))
	defer secure.Close()
	s, err := NewSource(secure.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.(*server).client.Transport = secure.Client().Transport
	if _, err := s.Open(t.Context(), "SHA256SUMS", 0); !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), "https to http") {
		t.Errorf("got %v", err)
	}
}

// Connections to many hosts are not all kept.
func TestIdleConnections(t *testing.T) {
	var open atomic.Int64
	client := NewClient(nil)
	for i := range 3 * maxIdle {
		// A host each: the whole of 127/8 is this machine.
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:0", i+2))
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		_ = s.Listener.Close()
		s.Listener = l
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				open.Add(1)
			case http.StateClosed:
				open.Add(-1)
			}
		}
		s.Start()
		defer s.Close()
		rsp, err := client.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, rsp.Body); err != nil {
			t.Fatal(err)
		}
		_ = rsp.Body.Close()
	}
	for deadline := time.Now().Add(10 * time.Second); open.Load() > maxIdle && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	if n := open.Load(); n > maxIdle {
		t.Errorf("%d connections are kept", n)
	}
}

func TestNewSource(t *testing.T) {
	for place, good := range map[string]bool{
		t.TempDir(): true, "http://x/y/": true, "https://user:secret@x/y": true,
		"/nowhere": false, "ftp://x/y": false, "https:///x": false, "https://x/?y": false, "https://x/#y": false,
	} {
		s, err := NewSource(place, nil)
		if (err == nil) != good {
			t.Errorf("%s: %v", place, err)
		}
		if err == nil && strings.Contains(s.String(), "secret") {
			t.Errorf("shows its password: %s", s)
		}
	}
	folder, err := NewSource(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../x", "/etc/passwd", "", ".", "a/b", "a\x00b"} {
		if _, err := folder.Open(t.Context(), name, 0); !errors.Is(err, ErrSource) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestSize(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), make([]byte, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/endless" {
			w.(http.Flusher).Flush() // so that no length is known
			return
		}
		http.ServeFile(w, r, dir+r.URL.Path)
	}))
	defer server.Close()
	for _, c := range []struct {
		place, name string
		want        int64
	}{{dir, "a", 1000}, {server.URL, "a", 1000}, {server.URL, "endless", -1}} {
		s, err := NewSource(c.place, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := Size(t.Context(), s, c.name, DefaultPatience); n != c.want || err != nil {
			t.Errorf("%s in %s: %d, %v", c.name, c.place, n, err)
		}
		if n, err := Size(t.Context(), s, "b", DefaultPatience); !errors.Is(err, ErrSource) {
			t.Errorf("what is not there: %d, %v", n, err)
		}
	}
}

// Whatever a server answers, what is read goes on where it was asked to.
func FuzzOpenResponse(f *testing.F) {
	f.Add(http.StatusPartialContent, int64(10), "bytes 10-99/100")
	f.Add(http.StatusPartialContent, int64(10), "bytes 0-99/100")
	f.Add(http.StatusPartialContent, int64(10), "bytes 10-99/*")
	f.Add(http.StatusPartialContent, int64(0), "bytes 0-99/100")
	f.Add(http.StatusOK, int64(10), "")
	f.Fuzz(func(t *testing.T, status int, from int64, contentRange string) {
		from &= 1<<62 - 1
		header := http.Header{"Content-Range": {contentRange}}
		s, err := OpenResponse(&http.Response{StatusCode: status, Header: header, ContentLength: -1, Body: http.NoBody}, from)
		switch {
		case err != nil:
		case status == http.StatusOK && s.From == 0 && s.Size == -1:
		case status == http.StatusPartialContent && s.From == from && from > 0 && s.Size > from:
		default:
			t.Fatalf("asked from %d on, %d with %q gives from %d of %d", from, status, contentRange, s.From, s.Size)
		}
	})
}
