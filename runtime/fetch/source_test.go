package fetch

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
