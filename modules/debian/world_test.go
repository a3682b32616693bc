package debian_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mastercard/mangos/modules/debian/debtest"
	"github.com/mastercard/mangos/modules/debian/fetch"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/debian/refresh"
	"github.com/mastercard/mangos/modules/definition"
)

// world is a distribution of the project's definition with archives that the test
// makes, served on the loopback interface.
type world struct {
	t        *testing.T
	archives map[string]debtest.Archive
	mirrors  fetch.Mirrors
	dist     definition.Distribution
	// base holds the keys and the lock, cache what was fetched.
	base, cache, sandbox string
	// What the next lock takes the place of.
	present     []*lock.Lock
	acceptOlder bool

	mu    sync.Mutex
	asked []string // what the archives were asked for: ARCHIVE/PATH
}

// newWorld makes an empty archive for each key. The key signs its suites.
func newWorld(t *testing.T, distribution string, keys map[string]*debtest.Key) *world {
	t.Helper()
	w := &world{t: t, archives: map[string]debtest.Archive{}, mirrors: fetch.Mirrors{}, base: t.TempDir(), cache: t.TempDir()}
	w.sandbox = filepath.Join(t.TempDir(), "sandbox")
	build := exec.Command("go", "build", "-o", w.sandbox, "../sandbox")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the sandbox program: %v\n%s", err, msg)
	}
	server := httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(server.Close)
	for name, key := range keys {
		w.archives[name] = debtest.Archive{}
		w.mirrors[name] = []string{server.URL + "/" + name + "/"}
		if err := os.WriteFile(filepath.Join(w.base, name+".asc"), key.Public(t), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d, err := definition.Load("../../mangos.toml")
	if err != nil {
		t.Fatal(err)
	}
	if w.dist, err = d.Distribution(distribution); err != nil {
		t.Fatal(err)
	}
	for i, s := range w.dist.Suites {
		w.dist.Suites[i].Keys = []string{s.Archive + ".asc"}
		w.dist.Suites[i].Signers = []string{keys[s.Archive].Fingerprint()}
	}
	return w
}

func (w *world) serve(out http.ResponseWriter, in *http.Request) {
	path := strings.TrimPrefix(in.URL.Path, "/")
	w.mu.Lock()
	w.asked = append(w.asked, path)
	w.mu.Unlock()
	name, path, _ := strings.Cut(path, "/")
	data, ok := w.archives[name][path]
	if !ok {
		http.NotFound(out, in)
		return
	}
	http.ServeContent(out, in, "", debtest.Date, bytes.NewReader(data))
}

func (w *world) fetcher() *fetch.Fetcher {
	return &fetch.Fetcher{Mirrors: w.mirrors, Cache: w.cache, Backoff: time.Microsecond}
}

func (w *world) make() (string, error) {
	var log bytes.Buffer
	m := refresh.Maker{
		Distribution: w.dist, Base: w.base, Fetcher: w.fetcher(), Sandbox: w.sandbox,
		Scratch: w.t.TempDir(), Now: debtest.Date.Add(24 * time.Hour), Log: &log,
		Present: w.present, AcceptOlder: w.acceptOlder,
	}
	l, err := m.Make(context.Background())
	if err != nil {
		return log.String(), err
	}
	text, err := l.Encode()
	if err != nil {
		return log.String(), err
	}
	return log.String(), os.WriteFile(filepath.Join(w.base, "lock.json"), text, 0o644)
}

func (w *world) lock(t *testing.T) (text []byte, log string) {
	t.Helper()
	log, err := w.make()
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if text, err = os.ReadFile(filepath.Join(w.base, "lock.json")); err != nil {
		t.Fatal(err)
	}
	return text, log
}

// locked makes the lock twice, from caches of their own: it is the same.
func (w *world) locked(t *testing.T) (l *lock.Lock, log string) {
	t.Helper()
	first, log := w.lock(t)
	w.cache = t.TempDir()
	second, _ := w.lock(t)
	if !bytes.Equal(first, second) {
		t.Errorf("the same archive gave two locks:\n%s\nand\n%s", first, second)
	}
	l, err := lock.Parse(first)
	if err != nil {
		t.Fatal(err)
	}
	// Two locks may have the same order by chance.
	if !slices.IsSortedFunc(l.Packages, func(a, b lock.Package) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the lock's packages are not sorted")
	}
	return l, log
}

func files(s *lock.Selection) []fetch.File {
	var list []fetch.File
	for _, p := range s.Packages {
		list = append(list, fetch.File{Name: p.Name + " " + p.Version, Archive: p.Archive, Path: p.Path, Size: p.Size, SHA256: p.SHA256})
	}
	return list
}

// fetch fetches a selection, and nothing else than what it names.
func (w *world) fetch(t *testing.T, s *lock.Selection) string {
	t.Helper()
	f, dir := w.fetcher(), t.TempDir()
	f.Cache = t.TempDir()
	w.mu.Lock()
	w.asked = nil
	w.mu.Unlock()
	if err := f.Into(context.Background(), files(s), dir); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	named := map[string]bool{}
	for _, p := range s.Packages {
		named[p.Archive+"/"+p.Path] = true
	}
	for _, path := range w.asked {
		if !named[path] {
			t.Errorf("asked for %s, which is not locked", path)
		}
	}
	if len(w.asked) != len(named) {
		t.Errorf("%d requests for %d locked files", len(w.asked), len(named))
	}
	return dir
}
