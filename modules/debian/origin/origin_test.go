package origin

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/format/zstdframe"
	"github.com/mastercard/mangos/modules/debian/archive"
	"github.com/mastercard/mangos/modules/debian/debtest"
	"github.com/mastercard/mangos/modules/debian/fetch"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// world is an archive with one suite, and the lock that was made from it.
type world struct {
	archive debtest.Archive
	lock    *lock.Lock
	keys    map[string]*archive.Keyring
	fetcher *fetch.Fetcher
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{archive: debtest.Archive{}}
	key := debtest.NewKey(t, 0)
	uno := w.archive.AddPackage(t, debtest.Package{Name: "uno", Version: "1:2+b1", Architecture: "amd64", Fields: "Source: due (2)\n"}, "main")
	w.archive.Publish(t, debtest.Suite{
		Name: "s", Head: "Suite: s\nDate: " + debtest.Date.Format("Mon, 02 Jan 2006 15:04:05 UTC") + "\nComponents: main\n",
		Packages:    map[string]string{"main": "Package: other\nVersion: 1\n\n" + uno},
		Sources:     map[string]string{"main": w.archive.AddSource("due", "2", "main") + w.archive.AddSource("other", "1", "main")},
		Compression: ".gz", Architecture: "amd64", ByHash: true,
	}, debtest.Date, key)
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		data, ok := w.archive[strings.TrimPrefix(in.URL.Path, "/")]
		if !ok {
			http.NotFound(out, in)
			return
		}
		out.Write(data)
	}))
	t.Cleanup(server.Close)
	w.fetcher = &fetch.Fetcher{Mirrors: fetch.Mirrors{"a": {server.URL + "/"}}, Cache: t.TempDir()}
	ring, err := archive.ReadKeyring([][]byte{key.Public(t)}, []string{key.Fingerprint()})
	if err != nil {
		t.Fatal(err)
	}
	w.keys = map[string]*archive.Keyring{"s": ring}
	w.makeLock(t, ring)
	return w
}

// makeLock locks what the archive has, as package refresh does.
func (w *world) makeLock(t *testing.T, ring *archive.Keyring) {
	t.Helper()
	s, err := archive.ReadSuite(t.Context(), w.fetcher, "a", "s", []string{"main"}, "amd64", ring, debtest.Date.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	w.lock = &lock.Lock{
		Format: lock.Format, Distribution: "d", Architecture: "amd64", SourceDateEpoch: s.Release.Date.Unix(),
		Archives: []lock.Archive{{Name: "a", Home: "http://home.invalid/"}},
		Suites:   []lock.Suite{{Name: "s", Archive: "a", Date: s.Release.Date.Format(time.RFC3339), Release: s.Release.SHA256, Signers: s.Release.Signers}},
	}
	if err := w.lock.Suites[0].Keep(s.Signed); err != nil {
		t.Fatal(err)
	}
	for _, f := range s.Read {
		w.lock.Suites[0].Indexes = append(w.lock.Suites[0].Indexes, lock.Index{Path: f.Path, SHA256: f.SHA256})
	}
	packages, err := archive.Packages(archive.Filter(s.Components[0].Packages, map[string]bool{"uno": true}))
	if err != nil || len(packages) != 1 {
		t.Fatal(packages, err)
	}
	p := packages[0]
	w.lock.Packages = []lock.Package{{
		Name: p.Name, Version: p.Version, Architecture: p.Architecture, Suite: "s", Path: p.File.Path, Size: p.File.Size, SHA256: p.File.SHA256,
		Source: p.Source, SourceVersion: p.SourceVersion,
	}}
	sources, err := archive.Sources(s.Components[0].Sources, func(name, _ string) bool { return name == "due" })
	if err != nil || len(sources) != 1 {
		t.Fatal(sources, err)
	}
	source := lock.Source{Name: "due", Version: "2", Suite: "s"}
	for _, f := range sources[0].Files {
		source.Files = append(source.Files, lock.File{Path: f.Path, Size: f.Size, SHA256: f.SHA256})
	}
	w.lock.Sources = []lock.Source{source}
	if _, err := w.lock.Encode(); err != nil {
		t.Fatal(err)
	}
}

// collect makes the file and reads it again.
func (w *world) collect(t *testing.T) Indexes {
	t.Helper()
	s, err := Collect(t.Context(), w.lock, w.keys, w.fetcher)
	if err != nil {
		t.Fatal(err)
	}
	var one, two bytes.Buffer
	if err := errors.Join(s.Write(&one), s.Write(&two)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("written twice, the file is not the same")
	}
	again, err := Read(&one)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func TestCheck(t *testing.T) {
	w := newWorld(t)
	got, err := w.collect(t).Check(w.lock, w.keys)
	if err != nil || got != (Result{Suites: 1, Packages: 1, Sources: 1}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestSources: what the indexes say of where the lock's sources are developed is not read
// before they are known to be the distribution's.
func TestSources(t *testing.T) {
	w := newWorld(t)
	x := w.collect(t)
	list, err := x.Sources(w.lock, w.keys)
	if err != nil || len(list) != 1 || list[0].Name != "due" || list[0].Version != "2" || list[0].Origin.Get("Vcs-Git") != "https://example.com/due.git" {
		t.Errorf("%+v, %v", list, err)
	}
	sources := x["s"]["main/source/Sources"]
	x["s"]["main/source/Sources"] = bytes.ReplaceAll(sources, []byte("example.com"), []byte("example.net"))
	if list, err := x.Sources(w.lock, w.keys); !errors.Is(err, ErrIndex) || list != nil {
		t.Errorf("a changed index: %+v, %v", list, err)
	}
}

func TestRefusals(t *testing.T) {
	const zeros = "0000000000000000000000000000000000000000000000000000000000000000"
	stranger := debtest.NewKey(t, 0)
	other, err := archive.ReadKeyring([][]byte{stranger.Public(t)}, []string{stranger.Fingerprint()})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(w *world, x Indexes)
		want   error
	}{
		"digest of a package":      {func(w *world, _ Indexes) { w.lock.Packages[0].SHA256 = zeros }, ErrEntry},
		"size of a package":        {func(w *world, _ Indexes) { w.lock.Packages[0].Size++ }, ErrEntry},
		"path of a package":        {func(w *world, _ Indexes) { w.lock.Packages[0].Path += "x" }, ErrEntry},
		"version of a package":     {func(w *world, _ Indexes) { w.lock.Packages[0].Version = "3" }, ErrEntry},
		"source of a package":      {func(w *world, _ Indexes) { w.lock.Packages[0].SourceVersion = "3" }, ErrEntry},
		"package of nobody":        {func(w *world, _ Indexes) { w.lock.Packages[0].Name = "tre" }, ErrEntry},
		"digest of a source":       {func(w *world, _ Indexes) { w.lock.Sources[0].Files[0].SHA256 = zeros }, ErrEntry},
		"a source's file left out": {func(w *world, _ Indexes) { w.lock.Sources[0].Files = w.lock.Sources[0].Files[:1] }, ErrEntry},
		"digest of an index":       {func(w *world, _ Indexes) { w.lock.Suites[0].Indexes[0].SHA256 = zeros }, ErrIndex},
		"path of an index":         {func(w *world, _ Indexes) { w.lock.Suites[0].Indexes[0].Path = "dists/s/x" }, ErrIndex},
		"an index changed":         {func(_ *world, x Indexes) { x["s"]["main/source/Sources"][0] ^= 1 }, ErrIndex},
		"an index missing":         {func(_ *world, x Indexes) { delete(x["s"], "main/binary-amd64/Packages") }, ErrIndex},
		"another Release":          {func(w *world, _ Indexes) { w.lock.Suites[0].Release = zeros }, ErrRelease},
		"another date":             {func(w *world, _ Indexes) { w.lock.Suites[0].Date = "2020-01-01T00:00:00Z" }, ErrRelease},
		"another signer":           {func(w *world, _ Indexes) { w.lock.Suites[0].Signers = []string{"F"} }, ErrRelease},
		"the Release changed":      {func(w *world, _ Indexes) { w.keep(func(s archive.Signed) { s["InRelease"][60] ^= 1 }) }, ErrRelease},
		"the Release missing":      {func(w *world, _ Indexes) { w.lock.Suites[0].Signed = nil }, ErrRelease},
		"the Release of another suite": {func(w *world, _ Indexes) {
			w.lock.Suites[0].Name, w.keys["t"] = "t", w.keys["s"]
		}, archive.ErrSuite},
		"the suite's indexes missing": {func(_ *world, x Indexes) { delete(x, "s") }, ErrIndex},
		"no base64":                   {func(w *world, _ Indexes) { w.lock.Suites[0].Signed["InRelease"] = "!" }, ErrRelease},
		"keys of somebody else":       {func(w *world, _ Indexes) { w.keys["s"] = other }, ErrRelease},
		"nobody's keys":               {func(w *world, _ Indexes) { delete(w.keys, "s") }, ErrRelease},
		"a second Release beside it":  {func(w *world, _ Indexes) { w.keep(func(s archive.Signed) { s["Release"] = nil }) }, ErrRelease},
	} {
		w := newWorld(t)
		s := w.collect(t)
		c.change(w, s)
		if _, err := s.Check(w.lock, w.keys); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// TestMissing: an index that is gone is a locked file that is gone.
func TestMissing(t *testing.T) {
	w := newWorld(t)
	for path := range w.archive {
		if strings.Contains(path, "source/by-hash") {
			delete(w.archive, path)
		}
	}
	w.fetcher.Cache = t.TempDir()
	_, err := Collect(t.Context(), w.lock, w.keys, w.fetcher)
	if !errors.Is(err, fetch.ErrGone) || !strings.Contains(err.Error(), "suite s: fetch s main/source/Sources.gz: ") {
		t.Error(err)
	}
}

func TestCollectWithoutReleases(t *testing.T) {
	w := newWorld(t)
	w.lock.Suites[0].Signed = nil
	if _, err := Collect(t.Context(), w.lock, w.keys, w.fetcher); !errors.Is(err, lock.ErrUnsigned) {
		t.Error(err)
	}
}

// keep changes the signed Release that the lock holds.
func (w *world) keep(change func(archive.Signed)) {
	suite := &w.lock.Suites[0]
	signed, err := suite.Kept()
	if err != nil {
		panic(err)
	}
	change(signed)
	if err := suite.Keep(signed); err != nil {
		panic(err)
	}
}

// TestReadRefuses: what a reader drops is not there.
func TestReadRefuses(t *testing.T) {
	x := Indexes{"s": {"main/source/Sources": []byte("Package: x\n")}}
	var file, archive bytes.Buffer
	if err := errors.Join(x.Write(&file), x.archive(&archive)); err != nil {
		t.Fatal(err)
	}
	pack := func(change func(b []byte) []byte) []byte {
		w, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return w.EncodeAll(change(bytes.Clone(archive.Bytes())), nil)
	}
	if _, err := Read(bytes.NewReader(pack(func(b []byte) []byte { return b }))); err != nil {
		t.Errorf("the same archive in another frame: %v", err)
	}
	outline, err := zstdframe.Parse(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	const skipped = "\x50\x2a\x4d\x18\x01\x00\x00\x00x"
	for name, row := range map[string]struct {
		file   []byte
		detail string
	}{
		"a frame to be skipped behind it": {append(bytes.Clone(file.Bytes()), skipped...), "9 bytes follow its frame"},
		"a frame to be skipped before it": {append([]byte(skipped), file.Bytes()...), "magic"},
		"a frame of nothing":              {append(bytes.Clone(file.Bytes()), zstdframe.Magic+"\x20\x00\x01\x00\x00"...), "9 bytes follow its frame"},
		"a byte that is not unpacked":     {slices.Insert(bytes.Clone(file.Bytes()), outline.Blocks[0].Offset, 2, 0, 0, 'x'), "holds nothing"},
		"bytes behind the archive":        {pack(func(b []byte) []byte { return append(b, "hidden"...) }), "not the one that its indexes make"},
		"zeros behind the archive":        {pack(func(b []byte) []byte { return append(b, make([]byte, 512)...) }), "not the one that its indexes make"},
		"bytes behind an index":           {pack(func(b []byte) []byte { b[1023] = 'x'; return b }), "not the one that its indexes make"},
	} {
		if _, err := Read(bytes.NewReader(row.file)); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), row.detail) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	x := Indexes{"s": {"main/source/Sources": []byte("Package: x\n")}}
	if err := x.Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		for suite := range x {
			if !archive.ValidPath(suite) {
				t.Errorf("suite %q", suite)
			}
		}
	})
}
