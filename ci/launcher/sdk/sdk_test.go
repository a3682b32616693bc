package sdk

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inputs makes small inputs in a folder; when is the files' time.
func inputs(t *testing.T, when time.Time) Inputs {
	t.Helper()
	dir := t.TempDir()
	in := Inputs{Root: filepath.Join(dir, "root"), Toolchain: filepath.Join(dir, "go"), Codegen: filepath.Join(dir, "codegen")}
	for file, mode := range map[string]os.FileMode{
		"root/etc/passwd": 0o644, "root/usr/bin/su": 0o755, "go/bin/go": 0o444, "go/pkg/tool/linux_amd64/compile": 0o444,
		"go/src/_go.mod": 0o444, "go/src/fmt/print.go": 0o444, "codegen": 0o755,
	} {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(file), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		os.Symlink("usr/bin", filepath.Join(in.Root, "bin")),
		os.Link(filepath.Join(in.Root, "usr/bin/su"), filepath.Join(in.Root, "usr/bin/su2")),
		syscall.Chmod(filepath.Join(in.Root, "usr/bin/su"), 0o4755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return in
}

// TestSame: the same inputs give the same image, whenever and wherever.
func TestSame(t *testing.T) {
	a, err := Write(filepath.Join(t.TempDir(), "a"), inputs(t, time.Unix(1, 0)))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "b")
	b, err := Write(dir, inputs(t, time.Unix(2, 0)))
	if err != nil {
		t.Fatal(err)
	}
	if a != b {
		t.Errorf("two images of the same: %s and %s", a, b)
	}
	if got, ok := Digest(dir); !ok || got != b {
		t.Errorf("Digest says %s, %v", got, ok)
	}
	if _, ok := Digest(t.TempDir()); ok {
		t.Error("an empty folder has a digest")
	}
}

// TestDigestOfParts: what a power cut leaves of an image is none, and is replaced.
func TestDigestOfParts(t *testing.T) {
	in := inputs(t, time.Unix(1, 0))
	dir := filepath.Join(t.TempDir(), "image")
	whole, err := Write(dir, in)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	if err != nil || len(blobs) != 5 {
		t.Fatalf("%q, %v", blobs, err)
	}
	type loss struct {
		what string
		make func() error
	}
	name := filepath.Join(dir, "digest")
	losses := []loss{
		{"an empty digest", func() error { return os.WriteFile(name, nil, 0o644) }},
		{"a digest cut short", func() error { return os.Truncate(name, 40) }},
		{"a path for a digest", func() error { return os.WriteFile(name, []byte("sha256:../../digest\n"), 0o644) }},
		{"the digest of something else", func() error { return os.WriteFile(name, []byte("sha256:"+strings.Repeat("0", 64)), 0o644) }},
	}
	huge := []byte(`{"config":{"digest":"sha256:` + filepath.Base(blobs[0]) + `","size":` + fmt.Sprint(size(t, blobs[0])) + `},"x":"` + strings.Repeat("x", maxManifest) + `"}`)
	sum := sha256.Sum256(huge)
	losses = append(losses, loss{"a manifest without end", func() error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "blobs", "sha256", hex.EncodeToString(sum[:])), huge, 0o644),
			os.WriteFile(name, []byte("sha256:"+hex.EncodeToString(sum[:])), 0o644))
	}})
	for _, path := range blobs {
		losses = append(losses,
			loss{"without blob " + filepath.Base(path), func() error { return os.Remove(path) }},
			loss{"empty blob " + filepath.Base(path), func() error { return os.Truncate(path, 0) }})
	}
	for _, l := range losses {
		if err := l.make(); err != nil {
			t.Fatal(err)
		}
		if got, ok := Digest(dir); ok {
			t.Errorf("%s: Digest says %q", l.what, got)
		}
		if again, err := Write(dir, in); err != nil || again != whole {
			t.Fatalf("%s: made anew: %s, %v", l.what, again, err)
		}
		if got, ok := Digest(dir); !ok || got != whole {
			t.Errorf("%s: made anew, Digest says %q", l.what, got)
		}
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// FuzzDigest: of whatever manifest an image is taken, all that it names is there.
func FuzzDigest(f *testing.F) {
	dir := f.TempDir()
	put := func(content []byte) string {
		sum := sha256.Sum256(content)
		name := hex.EncodeToString(sum[:])
		if err := os.WriteFile(filepath.Join(dir, "blobs", "sha256", name), content, 0o644); err != nil {
			f.Fatal(err)
		}
		return "sha256:" + name
	}
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		f.Fatal(err)
	}
	only := put([]byte("x"))
	f.Add([]byte(`{"config":{"digest":"` + only + `","size":1},"layers":[{"digest":"` + only + `","size":1}]}`))
	f.Add([]byte(`{"config":{"digest":"` + only + `","size":2}}`))
	f.Add([]byte(`{"config":{"digest":"sha256:../../digest","size":72}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		digest := put(text)
		if err := os.WriteFile(filepath.Join(dir, "digest"), []byte(digest), 0o644); err != nil {
			t.Fatal(err)
		}
		got, ok := Digest(dir)
		if digest != only {
			if err := os.Remove(filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))); err != nil {
				t.Fatal(err)
			}
		}
		if !ok {
			return
		}
		var m manifest
		if err := json.Unmarshal(text, &m); err != nil || got != digest || len(text) > maxManifest {
			t.Fatalf("%q is taken as %s: %v", text, got, err)
		}
		for _, d := range append(m.Layers, m.Config) {
			if (d.Digest != only || d.Size != 1) && d.Digest != digest {
				t.Errorf("%q names %+v, which is not there", text, d)
			}
		}
	})
}

// TestContent walks from the manifest to each entry of the layers.
func TestContent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "image")
	digest, err := Write(dir, inputs(t, time.Unix(1, 0)))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	if err := json.Unmarshal(blob(t, dir, descriptor{Digest: digest, Size: -1}), &manifest); err != nil {
		t.Fatal(err)
	}
	var config struct {
		Rootfs struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if err := json.Unmarshal(blob(t, dir, manifest.Config), &config); err != nil {
		t.Fatal(err)
	}
	got := map[string]*tar.Header{}
	for i, l := range manifest.Layers {
		if config.Rootfs.DiffIDs[i] != l.Digest {
			t.Errorf("layer %d is %s, the configuration says %s", i, l.Digest, config.Rootfs.DiffIDs[i])
		}
		r := tar.NewReader(strings.NewReader(string(blob(t, dir, l))))
		for {
			hdr, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got[hdr.Name] = hdr
		}
	}
	modes := map[string]int64{
		"usr/bin/su": 0o4755, "bin": 0o777, "usr/local/go/bin/go": 0o755, "usr/local/go/pkg/tool/linux_amd64/compile": 0o755,
		"usr/local/go/src/go.mod": 0o644, "usr/local/go/src/fmt/print.go": 0o644, "usr/local/bin/codegen": 0o755,
		"go/pkg/mod/": 0o755, "root/.cache/go-build/": 0o700,
	}
	for name, mode := range modes {
		if h := got[name]; h == nil || h.Mode != mode || !h.ModTime.Equal(epoch) {
			t.Errorf("%s: %+v, wanted mode %o", name, h, mode)
		}
	}
	if h := got["usr/bin/su2"]; h == nil || h.Typeflag != tar.TypeLink || h.Linkname != "usr/bin/su" {
		t.Errorf("usr/bin/su2: %+v, wanted a hard link", h)
	}
	if got["usr/local/go/src/_go.mod"] != nil {
		t.Error("_go.mod kept its name")
	}
}

// blob reads a blob and holds it against its name.
func blob(t *testing.T, dir string, d descriptor) []byte {
	t.Helper()
	sum := strings.TrimPrefix(d.Digest, "sha256:")
	data, err := os.ReadFile(filepath.Join(dir, "blobs", "sha256", sum))
	if err != nil {
		t.Fatal(err)
	}
	if h := sha256.Sum256(data); hex.EncodeToString(h[:]) != sum || d.Size >= 0 && d.Size != int64(len(data)) {
		t.Errorf("blob %s is not what its name says", sum)
	}
	return data
}

// TestNothingHalf: what cannot be stored leaves no image behind.
func TestNothingHalf(t *testing.T) {
	in := inputs(t, time.Unix(1, 0))
	if err := syscall.Mkfifo(filepath.Join(in.Root, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir()
	dir := filepath.Join(parent, "image")
	if _, err := Write(dir, in); err == nil || !strings.Contains(err.Error(), "fifo: cannot be stored in an image") {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
