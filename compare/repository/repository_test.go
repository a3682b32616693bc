package repository

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lay makes files below a new folder.
func lay(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte("content of "+filepath.Base(name)), 0o644))
	}
	return dir
}

func places(list []*Folder) []string {
	var out []string
	for _, f := range list {
		out = append(out, f.Release+"/"+f.Organisation)
	}
	return out
}

func TestFindLocal(t *testing.T) {
	files := []string{"r1/a/" + Build, "r1/b/" + Commitment, "r2/a/" + Build, "r1/notes/readme", "r1/readme"}
	var inCheckout []string
	for _, f := range files {
		inCheckout = append(inCheckout, "evidence/"+f)
	}
	all, checkout := lay(t, files...), lay(t, append(inCheckout, ".git/r9/x/"+Build)...)
	for _, c := range []struct {
		name, place, release string
		want                 []string
	}{
		{"all releases", all, "", []string{"r1/a", "r1/b", "r2/a"}},
		{"one release by name", all, "r2", []string{"r2/a"}},
		{"a release's folder", filepath.Join(all, "r1"), "", []string{"r1/a", "r1/b"}},
		{"an organisation's folder", filepath.Join(all, "r1/b"), "", []string{"r1/b"}},
		{"a checkout", checkout, "r1", []string{"r1/a", "r1/b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := Find(context.Background(), c.place, c.release, nil)
			must(t, err)
			if got := places(list); !slices.Equal(got, c.want) {
				t.Errorf("found %v, want %v", got, c.want)
			}
		})
	}
	if _, err := Find(context.Background(), all, "r3", nil); !errors.Is(err, ErrEmpty) {
		t.Errorf("a release that is not there: %v", err)
	}
	if _, err := Find(context.Background(), t.TempDir(), "", nil); !errors.Is(err, ErrEmpty) {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := Find(context.Background(), filepath.Join(all, "none"), "", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if _, err := Find(context.Background(), filepath.Join(all, "r1/readme"), "", nil); !errors.Is(err, ErrPlace) {
		t.Errorf("a file: %v", err)
	}
}

// TestLinksAreNotFolders: a link in a shared place leads nowhere.
func TestLinksAreNotFolders(t *testing.T) {
	outside := lay(t, "r1/a/"+Build)
	place := lay(t, "r2/b/"+Build)
	must(t, os.Symlink(filepath.Join(outside, "r1"), filepath.Join(place, "r1")))
	must(t, os.Symlink(filepath.Join(outside, "r1/a"), filepath.Join(place, "r2/a")))
	list, err := Find(context.Background(), place, "", nil)
	must(t, err)
	if got := places(list); !slices.Equal(got, []string{"r2/b"}) {
		t.Errorf("found %v", got)
	}
}

func TestOpenLocal(t *testing.T) {
	dir := lay(t, "r/a/"+Build, "r/a/manifests/x", "r/secret", "r/b/file")
	folder := filepath.Join(dir, "r/a")
	must(t, os.Symlink("../secret", filepath.Join(folder, "up")))
	must(t, os.Symlink(filepath.Join(dir, "r/secret"), filepath.Join(folder, "absolute")))
	must(t, os.Symlink("../b", filepath.Join(folder, "sideways")))
	must(t, os.Symlink("nothing", filepath.Join(folder, "nowhere")))
	must(t, syscall.Mkfifo(filepath.Join(folder, "pipe"), 0o644))
	f := local(folder)
	for _, c := range []struct {
		name string
		want error
	}{
		{Build, nil}, {"manifests/x", nil},
		{"none", fs.ErrNotExist},
		{"up", ErrUnsafe}, {"absolute", ErrUnsafe}, {"sideways/file", ErrUnsafe}, {"nowhere", ErrUnsafe}, {"pipe", ErrUnsafe},
		{"manifests", ErrUnsafe}, {"../secret", ErrUnsafe}, {"/etc/passwd", ErrUnsafe}, {"a\x00b", ErrUnsafe}, {"", ErrUnsafe},
	} {
		text, err := f.Read(context.Background(), c.name, 100)
		if !errors.Is(err, c.want) || c.want == nil && len(text) == 0 {
			t.Errorf("%q: %q, %v; want %v", c.name, text, err, c.want)
		}
	}
	size := int64(len("content of " + Build))
	if _, err := f.Read(context.Background(), Build, size); err != nil {
		t.Errorf("exactly the limit: %v", err)
	}
	if _, err := f.Read(context.Background(), Build, size-1); !errors.Is(err, ErrLimit) {
		t.Errorf("one byte too many: %v", err)
	}
}

// server serves a folder, and some things that servers should not do.
func server(t *testing.T, dir string) *httptest.Server {
	t.Helper()
	elsewhere := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(elsewhere.Close)
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(dir)))
	mux.HandleFunc("/moved/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.TrimPrefix(r.URL.Path, "/moved"), http.StatusFound)
	})
	mux.HandleFunc("/away/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+strings.TrimPrefix(r.URL.Path, "/away"), http.StatusFound)
	})
	mux.HandleFunc("/circle/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) })
	mux.HandleFunc("/broken/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	mux.HandleFunc("/endless/", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/short/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "cut off")
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestFindWeb(t *testing.T) {
	s := server(t, lay(t, "r1/a/"+Build, "r1/b/"+Commitment, "deep/r1/a/"+Build))
	ids := []string{"a", "b", "c"}
	for place, want := range map[string][]string{
		s.URL: {"r1/a", "r1/b"}, s.URL + "/": {"r1/a", "r1/b"}, s.URL + "/deep": {"r1/a"}, s.URL + "/moved": {"r1/a", "r1/b"},
	} {
		list, err := Find(context.Background(), place, "r1", ids)
		must(t, err)
		if got := places(list); !slices.Equal(got, want) {
			t.Errorf("%s: found %v, want %v", place, got, want)
		}
	}
	list, err := Find(context.Background(), s.URL, "r1", ids)
	must(t, err)
	if text, err := list[0].Read(context.Background(), Build, 100); err != nil || string(text) != "content of "+Build {
		t.Errorf("read %q, %v", text, err)
	}
	if _, err := list[0].Read(context.Background(), "none", 100); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := list[0].Read(context.Background(), Build, 5); !errors.Is(err, ErrLimit) {
		t.Errorf("more than the limit: %v", err)
	}
}

func TestHostileWeb(t *testing.T) {
	s := server(t, lay(t, "r1/a/"+Build))
	for _, c := range []struct {
		place, release, message string
	}{
		{s.URL + "/away", "r1", "redirected to another server"},
		{s.URL + "/circle", "r1", "redirects"},
		{s.URL + "/broken", "r1", "the server answers 500"},
		{s.URL + "/none", "r1", "no evidence there"},
		{s.URL, "", "the release must be named"},
		{s.URL + "/?x=1", "r1", "a base address has a host and a path"},
		{strings.Replace(s.URL, "http://", "http://user:secret@", 1), "r1", "a base address has a host and a path"},
		{"http://", "r1", "a base address has a host and a path"},
	} {
		if _, err := Find(context.Background(), c.place, c.release, []string{"a"}); err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v, want %q", c.place, err, c.message)
		}
	}
	for name, want := range map[string]error{"endless": ErrLimit, "short": io.ErrUnexpectedEOF} {
		list, err := Find(context.Background(), s.URL+"/"+name, "r1", []string{"a"})
		must(t, err)
		if _, err := list[0].Read(context.Background(), Build, 1<<20); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}
