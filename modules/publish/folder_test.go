package publish

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func openFolder(t *testing.T, r *Release, path string) Destination {
	t.Helper()
	d, err := NewFolder(r, path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// content holds a folder against files.
func content(t *testing.T, dir string, want map[string][]byte) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(want) {
		t.Errorf("%d entries, want %d: %v", len(entries), len(want), err)
	}
	for name, content := range want {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes, want %d: %v", name, len(got), len(content), err)
		}
	}
}

func TestFolder(t *testing.T) {
	files := smallRelease(t)
	r := opened(t, files)
	dir := filepath.Join(t.TempDir(), "1.0")
	dry := options(1)
	dry.DryRun = true
	result, err := Publish(t.Context(), r, openFolder(t, r, dir), dry)
	if _, missing := os.Stat(dir); err != nil || result.Result != Dry || missing == nil {
		t.Errorf("dry run: %+v, %v", result, err)
	}
	for _, want := range []string{Published, Already} {
		result, err := Publish(t.Context(), r, openFolder(t, r, dir+"/"), options(1))
		if err != nil || result.Result != want {
			t.Errorf("%+v, %v, want %s", result, err, want)
		}
		content(t, dir, files)
	}
}

// Broken off in any file, at any byte, the folder has whole files under their names, the
// signature last, and it goes on.
func TestFolderBreaksOff(t *testing.T) {
	files := smallRelease(t)
	for i := range len(files) {
		size := opened(t, files).Files[i].Size
		for _, cut := range []int64{0, 1, size / 2, size - 1} {
			r := opened(t, files)
			dir := filepath.Join(t.TempDir(), "1.0")
			whole := r.Files[i].open
			r.Files[i].open = func() (io.ReadCloser, error) {
				from, err := whole()
				return &cutOff{from, cut}, err
			}
			if _, err := Publish(t.Context(), r, openFolder(t, r, dir), options(1)); !errors.Is(err, errCut) {
				t.Fatalf("%s, byte %d: %v", r.Files[i].Name, cut, err)
			}
			there := map[string][]byte{}
			for _, f := range r.Files[:i] {
				there[f.Name] = files[f.Name]
			}
			content(t, dir, there)
			// A run that was killed leaves more.
			if err := os.WriteFile(filepath.Join(dir, ".publish-XYZ.new"), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			r.Files[i].open = whole
			result, err := Publish(t.Context(), r, openFolder(t, r, dir), options(1))
			if err != nil {
				t.Fatalf("%s, byte %d: %v", r.Files[i].Name, cut, err)
			}
			for j, f := range result.Files {
				if (f.Outcome == There) != (j < i) {
					t.Errorf("%s, byte %d: %s of %s", r.Files[i].Name, cut, f.Outcome, f.Name)
				}
			}
			content(t, dir, files)
		}
	}
}

func TestFolderTaken(t *testing.T) {
	files := smallRelease(t)
	r := opened(t, files)
	const disk = "mangos_1.0.raw.zst"
	for name, c := range map[string]struct {
		change func(dir string) error
		want   string
	}{
		"another content": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, disk), bytes.Repeat([]byte("x"), 260), 0o600)
		}, "mangos_1.0.raw.zst with SHA-256"},
		"another size":      {func(dir string) error { return os.Truncate(filepath.Join(dir, disk), 7) }, "with 7 bytes"},
		"published in part": {func(dir string) error { return os.Remove(filepath.Join(dir, disk)) }, "published without"},
		"another file":      {func(dir string) error { return os.WriteFile(filepath.Join(dir, "more"), nil, 0o600) }, `"more", which is not of the release`},
		"a link": {func(dir string) error {
			return errors.Join(os.Rename(filepath.Join(dir, disk), filepath.Join(dir, "..", "disk")), os.Symlink("../disk", filepath.Join(dir, disk)))
		}, "no regular file"},
		"a folder": {func(dir string) error { return os.Mkdir(filepath.Join(dir, "x"), 0o700) }, `"x", which is no regular file`},
	} {
		dir := folderOf(t, files)
		if err := c.change(dir); err != nil {
			t.Fatal(err)
		}
		before := fmt.Sprint(os.ReadDir(dir))
		_, err := Publish(t.Context(), r, openFolder(t, r, dir), options(1))
		if !errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if after := fmt.Sprint(os.ReadDir(dir)); after != before {
			t.Errorf("%s: %s, was %s", name, after, before)
		}
	}
	if _, err := Publish(t.Context(), r, openFolder(t, r, filepath.Join(t.TempDir(), "no", "parent")), options(1)); !errors.Is(err, ErrPlace) {
		t.Errorf("no parent: %v", err)
	}
	if _, err := NewFolder(r, ""); !errors.Is(err, ErrPlace) {
		t.Errorf("no name: %v", err)
	}
}

// No way of giving a file its name replaces another.
func TestPlace(t *testing.T) {
	for name, way := range map[string]func(from, to string) error{"rename": renameNew, "link": linkNew, "place": place} {
		dir := folderOf(t, map[string][]byte{"new": []byte("new"), "old": []byte("old")})
		if err := way(filepath.Join(dir, "new"), filepath.Join(dir, "old")); !errors.Is(err, os.ErrExist) {
			t.Errorf("%s: %v", name, err)
		}
		content(t, dir, map[string][]byte{"new": []byte("new"), "old": []byte("old")})
		if err := way(filepath.Join(dir, "new"), filepath.Join(dir, "free")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		content(t, dir, map[string][]byte{"free": []byte("new"), "old": []byte("old")})
	}
}

// What comes there meanwhile stays.
func TestFolderRace(t *testing.T) {
	files := smallRelease(t)
	r := opened(t, files)
	dir := filepath.Join(t.TempDir(), "1.0")
	whole := r.Files[0].open
	r.Files[0].open = func() (io.ReadCloser, error) {
		if err := os.WriteFile(filepath.Join(dir, r.Files[0].Name), []byte("of somebody else"), 0o600); err != nil {
			t.Error(err)
		}
		return whole()
	}
	if _, err := Publish(t.Context(), r, openFolder(t, r, dir), options(1)); !errors.Is(err, ErrTaken) {
		t.Errorf("%v", err)
	}
	content(t, dir, map[string][]byte{r.Files[0].Name: []byte("of somebody else")})
}
