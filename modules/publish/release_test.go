package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/runtime/install/installtest"
)

// today is when releases of tests are published.
var today = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// opened is the release in a folder of its own, with its content.
func opened(t *testing.T, files map[string][]byte) *Release {
	t.Helper()
	r, err := Open(t.Context(), folderOf(t, files), Terms{At: today})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func folderOf(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// smallRelease is a release whose disk image is a few bytes.
func smallRelease(t *testing.T) map[string][]byte {
	t.Helper()
	return signed(t, map[string][]byte{
		"mangos_1.0.raw.zst": []byte(strings.Repeat("a disk image ", 20)),
		"mangos_1.0.root-x86-64.00000000-0000-0000-0000-000000000001.raw.xz":        []byte("a root"),
		"mangos_1.0.root-x86-64-verity.00000000-0000-0000-0000-000000000002.raw.xz": []byte("a hash tree"),
	})
}

// signed signs the files anew, with lines added to the manifest.
func signed(t *testing.T, files map[string][]byte, lines ...string) map[string][]byte {
	t.Helper()
	b := &installtest.Release{Files: maps.Clone(files)}
	b.Sign(t)
	for _, line := range lines {
		b.Files["SHA256SUMS"] = append(b.Files["SHA256SUMS"], line+"\n"...)
	}
	return b.Files
}

func TestOpen(t *testing.T) {
	files := smallRelease(t)
	r := opened(t, files)
	if r.String() != "mangos 1.0" || len(r.Files) != len(files) {
		t.Errorf("%s, %d files", r, len(r.Files))
	}
	var names []string
	for _, f := range r.Files {
		names = append(names, f.Name)
		from, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(from)
		if err != nil || !bytes.Equal(content, files[f.Name]) || f.Size != int64(len(content)) || f.Sum != sha256.Sum256(content) {
			t.Errorf("%s: %d bytes, %v", f.Name, len(content), err)
		}
	}
	if n := len(names); !slices.IsSorted(names[:n-2]) || names[n-2] != "SHA256SUMS" || names[n-1] != "SHA256SUMS.gpg" {
		t.Errorf("in the order %q", names)
	}
}

// Until when a manifest counts is an entry that nobody fetches, and no file to send.
func TestOpenExpiry(t *testing.T) {
	files := signed(t, smallRelease(t), fmt.Sprintf("%x *BEST-BEFORE-2026-06-30", sha256.Sum256(nil)))
	for range 2 {
		if r := opened(t, files); len(r.Files) != 5 {
			t.Errorf("%d files", len(r.Files))
		}
		files["BEST-BEFORE-2026-06-30"] = nil // attest verify wants a file
	}
	_, err := Open(t.Context(), folderOf(t, files), Terms{At: today.AddDate(1, 0, 0)})
	if !errors.Is(err, ErrRelease) || !strings.Contains(err.Error(), "good until 2026-06-30") {
		t.Errorf("a year later: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	const disk, sums = "mangos_1.0.raw.zst", "SHA256SUMS"
	for name, c := range map[string]struct {
		change func(files map[string][]byte) map[string][]byte
		want   string
	}{
		"a file more":     {func(f map[string][]byte) map[string][]byte { f["notes.txt"] = []byte("x"); return f }, "notes.txt: want all files in SHA256SUMS"},
		"a file less":     {func(f map[string][]byte) map[string][]byte { delete(f, disk); return f }, "lists mangos_1.0.raw.zst, which is not there"},
		"another content": {func(f map[string][]byte) map[string][]byte { f[disk][7] ^= 1; return f }, "mangos_1.0.raw.zst has SHA-256"},
		"cut off":         {func(f map[string][]byte) map[string][]byte { f[disk] = f[disk][:9]; return f }, "mangos_1.0.raw.zst has SHA-256"},
		"no signature":    {func(f map[string][]byte) map[string][]byte { delete(f, sums+".gpg"); return f }, "SHA256SUMS.gpg: no such file"},
		"empty signature": {func(f map[string][]byte) map[string][]byte { f[sums+".gpg"] = nil; return f }, "SHA256SUMS.gpg has 0 bytes"},
		"long signature":  {func(f map[string][]byte) map[string][]byte { f[sums+".gpg"] = make([]byte, 64<<10+1); return f }, "want 1 to 65536"},
		"no manifest":     {func(f map[string][]byte) map[string][]byte { delete(f, sums); return f }, "SHA256SUMS: no such file"},
		"no lines":        {func(f map[string][]byte) map[string][]byte { f[sums] = []byte("x\n"); return f }, "no line of sha256sum"},
		"lists itself": {func(f map[string][]byte) map[string][]byte {
			return signed(t, f, fmt.Sprintf("%x *SHA256SUMS", sha256.Sum256(nil)))
		}, "SHA256SUMS: want all files in SHA256SUMS but itself"},
		"a strange expiry": {func(f map[string][]byte) map[string][]byte {
			return signed(t, f, fmt.Sprintf("%x *BEST-BEFORE-2026-06-30", sha256.Sum256([]byte("x"))))
		}, "must have the sum of an empty file"},
		"a strange name": {func(f map[string][]byte) map[string][]byte { f["-x"] = nil; return f }, `"-x" is no regular file, or has no name`},
		"try-out": {func(f map[string][]byte) map[string][]byte {
			f["mangos-tryout_1.0.raw.zst"] = f[disk]
			delete(f, disk)
			return signed(t, f)
		}, "keys for trying out signed it"},
		"no disk image": {func(f map[string][]byte) map[string][]byte { delete(f, disk); return signed(t, f) }, "no disk image"},
	} {
		_, err := Open(t.Context(), folderOf(t, c.change(smallRelease(t))), Terms{At: today})
		if !errors.Is(err, ErrRelease) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	dir := folderOf(t, smallRelease(t))
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "passwd")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Terms{At: today}); !errors.Is(err, ErrRelease) || !strings.Contains(err.Error(), `"passwd" is no regular file`) {
		t.Errorf("a link: %v", err)
	}
	if _, err := Open(t.Context(), filepath.Join(dir, "nothing"), Terms{At: today}); !errors.Is(err, ErrRelease) {
		t.Errorf("no folder: %v", err)
	}
}

func TestOpenTryOut(t *testing.T) {
	files := smallRelease(t)
	files["mangos-tryout_1.0.raw.zst"] = files["mangos_1.0.raw.zst"]
	delete(files, "mangos_1.0.raw.zst")
	if _, err := Open(t.Context(), folderOf(t, signed(t, files)), Terms{At: today, TryOut: true}); err != nil {
		t.Error(err)
	}
}

func TestOpenStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, folderOf(t, smallRelease(t)), Terms{At: today}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// What is sent is what was looked at: of a file that changed meanwhile the last byte never
// leaves.
func TestFileChanges(t *testing.T) {
	content := []byte("what was looked at")
	for name, now := range map[string]string{"another": "what was looked AT", "shorter": "what was", "empty": ""} {
		f := memory("file", content)
		f.open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(now)), nil }
		from, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(from)
		if !errors.Is(err, ErrRelease) || len(got) >= len(content) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	f := memory("file", content)
	f.open = func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(string(content) + " and more")), nil
	}
	from, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(from); err != nil || !bytes.Equal(got, content) {
		t.Errorf("longer: %q, %v", got, err)
	}
}

// memory is a file with this content.
func memory(name string, content []byte) File {
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	return File{Name: name, Size: int64(len(content)), Sum: sha256.Sum256(content), open: open}
}
