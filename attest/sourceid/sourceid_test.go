package sourceid

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/attest/internal/oracle"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// git runs git in dir, apart from anybody's configuration.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	for _, v := range [][2]string{
		{"GIT_CONFIG_GLOBAL", "/dev/null"}, {"GIT_CONFIG_SYSTEM", "/dev/null"},
		{"GIT_AUTHOR_NAME", "a"}, {"GIT_AUTHOR_EMAIL", "a@example.com"}, {"GIT_COMMITTER_NAME", "a"}, {"GIT_COMMITTER_EMAIL", "a@example.com"},
	} {
		t.Setenv(v[0], v[1])
	}
	return strings.TrimSpace(oracle.Run(t, dir, "git", args...))
}

// repository makes a repository with names that sort differently as files and
// as folders, an executable, a link and an empty file.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a/b": "1", "a.c": "2", "a-b/c": "3", "a0": "4", "bin/run": "#!/bin/sh\n", "empty": "", "ü/ß": "5",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "bin/run"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a/b", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "init", "-q")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "x")
	return dir
}

// TestGit: our tree id of what git archive packs is git's, and the commit is
// found in the header.
func TestGit(t *testing.T) {
	dir := repository(t)
	tree, commit := git(t, dir, "rev-parse", "HEAD^{tree}"), git(t, dir, "rev-parse", "HEAD")
	for _, prefix := range []string{"", "upstream-1.0/"} {
		git(t, dir, "archive", "--prefix="+prefix, "-o", "../a.tar", "HEAD")
		f, err := os.Open(filepath.Join(dir, "..", "a.tar"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadTar(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got.SWHID() != "swh:1:dir:"+tree || got.Commit != commit {
			t.Errorf("prefix %q: got %+v, want tree %s and commit %s", prefix, got, tree, commit)
		}
	}
}

// pack makes a tar archive of the given members.
func pack(t testing.TB, members ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range members {
		content := h.Uname // borrowed for the test
		h.Uname, h.Size = "", int64(len(content))
		if h.Typeflag != tar.TypeReg {
			h.Size = 0
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			io.WriteString(w, content)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// emptyTree is git's id of an empty folder.
const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

func TestReadTar(t *testing.T) {
	got, err := ReadTar(bytes.NewReader(pack(t)))
	if err != nil || got.ID != emptyTree || got.Commit != "" {
		t.Errorf("empty archive: %+v, %v", got, err)
	}
	plain := pack(t, tar.Header{Typeflag: tar.TypeReg, Name: "f", Mode: 0o644, Uname: "x"}, tar.Header{Typeflag: tar.TypeReg, Name: "g", Mode: 0o600, Uname: "x"})
	linked := pack(t, tar.Header{Typeflag: tar.TypeReg, Name: "./f", Mode: 0o444, Uname: "x"}, tar.Header{Typeflag: tar.TypeLink, Name: "g", Linkname: "f"})
	a, err := ReadTar(bytes.NewReader(plain))
	if err != nil {
		t.Fatal(err)
	}
	b, err := ReadTar(bytes.NewReader(linked))
	if err != nil {
		t.Fatal(err)
	}
	if a != b {
		t.Errorf("a hard link is not the file that it links to: %v, %v", a, b)
	}
	empty := pack(t, tar.Header{Typeflag: tar.TypeReg, Name: "f", Mode: 0o644})
	fifo := pack(t, tar.Header{Typeflag: tar.TypeFifo, Name: "f", Mode: 0o644})
	if a, err = ReadTar(bytes.NewReader(empty)); err != nil {
		t.Fatal(err)
	}
	if b, err = ReadTar(bytes.NewReader(fifo)); err != nil || a != b {
		t.Errorf("a FIFO is not as an empty file: %v, %v (%v)", a, b, err)
	}
	for name, bad := range map[string][]byte{
		"upwards":   pack(t, tar.Header{Typeflag: tar.TypeReg, Name: "a/../../b"}),
		"dangling":  pack(t, tar.Header{Typeflag: tar.TypeLink, Name: "g", Linkname: "f"}),
		"unknown":   pack(t, tar.Header{Typeflag: tar.TypeCont, Name: "x"}),
		"truncated": plain[:512],
		"nonsense":  bytes.Repeat([]byte("x"), 1024),
	} {
		if _, err := ReadTar(bytes.NewReader(bad)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestIdentify(t *testing.T) {
	dir := repository(t)
	git(t, dir, "archive", "--prefix=p/", "-o", "../a.tar", "HEAD")
	tarball, err := os.ReadFile(filepath.Join(dir, "..", "a.tar"))
	if err != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(tarball)
	z.Close()
	other := pack(t, tar.Header{Typeflag: tar.TypeReg, Name: "f", Mode: 0o644, Uname: "x"})
	var plain bytes.Buffer
	z = gzip.NewWriter(&plain)
	z.Write(other)
	z.Close()
	commit, head := strings.Repeat("ab", 20), git(t, dir, "rev-parse", "HEAD")
	dgit := "Dgit: " + commit + " debian archive/debian/1 https://example.com\n"
	dsc := func(more string) string {
		return "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nFormat: 3.0 (quilt)\nSource: p\nVcs-Git: https://example.com/p.git\n" + more + "\n-----BEGIN PGP SIGNATURE-----\n\nxx\n-----END PGP SIGNATURE-----\n"
	}
	cases := []struct {
		name, dsc string
		orig      []byte
		level     Level
		commit    string
		debian    string
		tag       string
	}{
		{"git archive", dsc(""), zipped.Bytes(), LevelCommit, head, "", ""},
		{"plain", dsc(""), plain.Bytes(), LevelTree, "", "", ""},
		{"dgit", dsc(dgit), plain.Bytes(), LevelCommit, "", commit, ""},
		{"git archive and dgit", dsc(dgit), zipped.Bytes(), LevelCommit, head, commit, ""},
		{"forged dgit", dsc("Dgit: HEAD debian\n"), plain.Bytes(), LevelTree, "", "", ""},
		{"a tag", dsc("Git-Tag-Info: tag=" + commit + " fp=0123\n"), plain.Bytes(), LevelTree, "", "", commit},
		{"a tag that is none", dsc("Git-Tag-Info: tag=v1 fp=0123\n"), plain.Bytes(), LevelTree, "", "", ""},
	}
	for _, c := range cases {
		files := map[string][]byte{"p_1.dsc": []byte(c.dsc), "p_1.orig.tar.gz": c.orig, "p_1-1.debian.tar.gz": []byte("not looked at"), "p_1.orig-doc.tar.gz": []byte("nor this")}
		src := &lock.Source{Name: "p", Version: "1-1"}
		for name := range files {
			src.Files = append(src.Files, lock.File{Path: "pool/p/" + name})
		}
		id, err := Identify(src, func(f lock.File) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(files[filepath.Base(f.Path)])), nil
		})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if id.Level != c.level || id.Commit != c.commit || id.DebianCommit != c.debian || id.Tag != c.tag || (id.CommitProof != "") != (c.commit != "") || !strings.HasPrefix(id.SWHID, "swh:1:dir:") || id.VcsGit == "" {
			t.Errorf("%s: %+v", c.name, id)
		}
	}
}

// What is not there tells nothing; what is there must be the locked file.
func TestIdentifyIn(t *testing.T) {
	dir := t.TempDir()
	dsc := "Format: 3.0 (quilt)\nSource: p\nVcs-Git: https://example.com/p.git\n"
	sum := sha256.Sum256([]byte(dsc))
	s := &lock.SelectedSource{Name: "p", Version: "1-1", Files: []lock.File{
		{Path: "pool/p/p_1-1.dsc", Size: int64(len(dsc)), SHA256: hex.EncodeToString(sum[:])},
		{Path: "pool/p/p_1.orig.tar.xz", Size: 1, SHA256: strings.Repeat("0", 64)},
	}}
	id, err := IdentifyIn(dir, s)
	if err != nil || id.Level != LevelVersion || len(id.Missing) != 2 || !id.Of(s.Files) {
		t.Errorf("nothing there: %+v, %v", id, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "p_1-1.dsc"), []byte(dsc), 0o644); err != nil {
		t.Fatal(err)
	}
	id, err = IdentifyIn(dir, s)
	if err != nil || id.Level != LevelVersion || len(id.Missing) != 1 || id.VcsGit == "" {
		t.Errorf("only the description there: %+v, %v", id, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "p_1.orig.tar.xz"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := IdentifyIn(dir, s); !errors.Is(err, ErrFile) {
		t.Errorf("another archive than the locked one: %v", err)
	}
}

func TestSet(t *testing.T) {
	id := strings.Repeat("ab", 20)
	s := &Set{Format: Format, Sources: []Identity{
		{Name: "b", Version: "1", Level: LevelTree, Tree: "b.tar", SWHID: "swh:1:dir:" + id}, {Name: "a", Version: "1", Level: LevelCommit, DebianCommit: id},
	}}
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if got.Sources[0].Name != "a" || got.Find("b", "1") == nil || got.Find("b", "2") != nil || got.Count() != (Counts{Debian: 1, Tree: 1}) {
		t.Errorf("%+v, %v", got, got.Count())
	}
	s.Sources = append(s.Sources, Identity{Name: "c", Level: LevelCommit, Commit: "c", DebianCommit: "d"}, Identity{Name: "d", Level: LevelCommit, Commit: "c"}, Identity{Name: "e", Level: LevelVersion})
	if got := s.Count(); got != (Counts{Commit: 2, Debian: 1, Tree: 1, Version: 1}) {
		t.Errorf("%v", got)
	}
}

// TestParseRefuses: an identity says no more than what it names, and a commit comes with
// its proof.
func TestParseRefuses(t *testing.T) {
	const id = "abababababababababababababababababababab"
	for name, sources := range map[string]string{
		"a level of nothing":        `"level":"commit"`,
		"a level that there is not": `"level":"certain"`,
		"no level":                  `"name":"a"`,
		"a tree with a commit's":    `"level":"commit","tree":"a.tar","swhid":"swh:1:dir:` + id + `"`,
		"a tree with a version's":   `"level":"version","tree":"a.tar","swhid":"swh:1:dir:` + id + `"`,
		"a commit for a tree":       `"level":"tree","tree":"a.tar","swhid":"swh:1:rev:` + id + `"`,
		"a tree of no file":         `"level":"tree","swhid":"swh:1:dir:` + id + `"`,
		"a file without a tree":     `"level":"version","tree":"a.tar"`,
		"a commit without proof":    `"level":"commit","commit":"` + id + `"`,
		"a proof of nothing":        `"level":"version","commitProof":"git archive"`,
		"a commit in another form":  `"level":"commit","commit":"x","commitProof":"git archive"`,
		"Debian's in another form":  `"level":"commit","debianCommit":"` + strings.ToUpper(id) + `"`,
	} {
		if _, err := Parse([]byte(`{"format":"` + Format + `","sources":[{` + sources + `}]}`)); !errors.Is(err, ErrIdentity) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadTar(f *testing.F) {
	f.Add(pack(f, tar.Header{Typeflag: tar.TypeReg, Name: "a/b", Mode: 0o755, Uname: "x"}, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "a"}))
	f.Fuzz(func(t *testing.T, data []byte) { ReadTar(bytes.NewReader(data)) })
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"format":"mangos-source-identity-1","sources":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) { Parse(data) })
}

func FuzzDescription(f *testing.F) {
	f.Add([]byte("Source: a\nVcs-Git: https://example.com\nDgit: 0123456789abcdef0123456789abcdef01234567 x\n"))
	f.Add([]byte("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSource: a\nGit-Tag-Info: tag=0123456789abcdef0123456789abcdef01234567\n\n-----BEGIN PGP SIGNATURE-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var id Identity
		open := func(lock.File) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
		if err := id.readDSC(lock.File{Path: "a.dsc"}, open); err != nil {
			return
		}
		if id.Commit != "" || id.DebianCommit != "" && !IsCommit(id.DebianCommit) || id.Tag != "" && !IsCommit(id.Tag) || strings.ContainsAny(id.VcsGit+id.VcsBrowser, "\n\x1b") {
			t.Errorf("%+v", id)
		}
	})
}
