// Package golang has the tests of the module's scripts; its code is in .dagger.
package golang

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// run runs a script of the module, as its containers do.
func run(t *testing.T, script string, args ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(".dagger", script))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", append([]string{"-euc", string(text), "sh"}, args...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func wantText(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q, want %q (%v)", path, got, want, err)
	}
}

// wantOnly wants nothing but names in a folder: what a script began it ends or removes.
func wantOnly(t *testing.T, folder string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(names) {
		t.Errorf("%s holds %q, want %q", folder, got, names)
	}
}

func TestKeepFolder(t *testing.T) {
	store, in := t.TempDir(), t.TempDir()
	write(t, in+"/a file", "one\n")
	write(t, in+"/dir/other", "two\n")
	// Calls at the same time do not break each other.
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() { run(t, "keep.sh", store, "name", in) })
	}
	calls.Wait()
	wantOnly(t, store, "name")
	wantText(t, store+"/name/files/a file", "one\n")
	wantText(t, store+"/name/files/dir/other", "two\n")
}

func TestKeepReplacesWhatIsDamaged(t *testing.T) {
	in := t.TempDir()
	write(t, in+"/file", "one\n")
	for name, damage := range map[string]func(kept string) error{
		"emptied":   func(kept string) error { return os.Truncate(kept+"/files/file", 0) },
		"gone":      func(kept string) error { return os.Remove(kept + "/files/file") },
		"added":     func(kept string) error { return os.WriteFile(kept+"/files/more", nil, 0o644) },
		"sums":      func(kept string) error { return os.Truncate(kept+"/sums", 0) },
		"half":      func(kept string) error { return os.RemoveAll(kept + "/files") },
		"undamaged": func(string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			store := t.TempDir()
			run(t, "keep.sh", store, "name", in)
			if err := damage(store + "/name"); err != nil {
				t.Fatal(err)
			}
			run(t, "keep.sh", store, "name", in)
			wantOnly(t, store, "name")
			wantOnly(t, store+"/name/files", "file")
			wantText(t, store+"/name/files/file", "one\n")
		})
	}
}

func TestKeepFolderWithoutFiles(t *testing.T) {
	store, in := t.TempDir(), t.TempDir()
	run(t, "keep.sh", store, "name", in)
	run(t, "keep.sh", store, "name", in)
	wantOnly(t, store+"/name/files")
}

func TestKeepFiles(t *testing.T) {
	const one = "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806"
	store, in := t.TempDir(), t.TempDir()
	write(t, in+"/a file", "one\n")
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() { run(t, "keepfiles.sh", store, in) })
	}
	calls.Wait()
	wantOnly(t, store, one)
	write(t, store+"/"+one, "")
	if got := strings.TrimSpace(run(t, "keepfiles.sh", store, in)); got != one+" a file" {
		t.Errorf("printed %q", got)
	}
	wantText(t, store+"/"+one, "one\n")
}
