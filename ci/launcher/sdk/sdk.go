// Package sdk makes the image in which the engine compiles modules written in
// Go: a root file system with git and CA certificates, the pinned Go
// toolchain, and Dagger's code generator. It is an OCI content folder, made
// from locked inputs alone; nothing comes from a registry.
package sdk

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Inputs are the three things that the image is made of.
type Inputs struct {
	Root      string // a root file system with git and ca-certificates
	Toolchain string // the toolchain as the Go module cache holds it
	Codegen   string // Dagger's code generator, a static program
}

// Env is the environment of every program that runs in the image.
var Env = []string{
	// Without sbin: on a machine with a certificate authority of its own the engine
	// runs update-ca-certificates before and after each program, seconds each time,
	// where it finds it; where not, it adds the certificates to the bundle itself.
	"PATH=/go/bin:/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin",
	"GOPATH=/go",
	// The toolchain in the image is the pinned one: no other is fetched.
	"GOTOOLCHAIN=local",
	"CGO_ENABLED=0",
}

// Write makes the image in dir, which then holds blobs/sha256 and a file
// "digest" with the digest of the manifest. The folder appears complete or not
// at all, in the place of what is there and is no image (see [Digest]).
func Write(dir string, in Inputs) (digest string, err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("make the SDK image: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".image-")
	if err != nil {
		return "", fmt.Errorf("make the SDK image: %w", err)
	}
	defer os.RemoveAll(tmp)
	img, err := NewImage(tmp)
	if err != nil {
		return "", fmt.Errorf("make the SDK image: %w", err)
	}
	if err := img.Layer(treeLayer(in.Root)); err != nil {
		return "", fmt.Errorf("make the SDK image: root file system: %w", err)
	}
	if err := img.Layer(goLayer(in.Toolchain)); err != nil {
		return "", fmt.Errorf("make the SDK image: Go toolchain: %w", err)
	}
	if err := img.Layer(codegenLayer(in.Codegen)); err != nil {
		return "", fmt.Errorf("make the SDK image: code generator: %w", err)
	}
	if digest, err = img.Finish(Env); err != nil {
		return "", fmt.Errorf("make the SDK image: %w", err)
	}
	if err := os.WriteFile(filepath.Join(tmp, "digest"), []byte(digest+"\n"), 0o644); err != nil {
		return "", fmt.Errorf("make the SDK image: %w", err)
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return "", fmt.Errorf("make the SDK image: %w", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("make the SDK image: %w", err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		return "", fmt.Errorf("make the SDK image: %w", err)
	}
	return digest, nil
}

var digestPattern = regexp.MustCompile(`^sha256:([0-9a-f]{64})$`)

// Digest returns the manifest digest of an image that Write made in dir, and
// false when there is none, or one of which a power cut left a part: the manifest
// must be what its digest says, and each blob that it names be there in its size.
// The size is enough: a blob has its name only after its content is on the disk.
func Digest(dir string) (string, bool) {
	data, err := read(filepath.Join(dir, "digest"))
	if err != nil {
		return "", false
	}
	digest := strings.TrimSpace(string(data))
	path, ok := blobPath(dir, digest)
	if !ok {
		return "", false
	}
	text, err := read(path)
	if sum := sha256.Sum256(text); err != nil || "sha256:"+hex.EncodeToString(sum[:]) != digest {
		return "", false
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return "", false
	}
	for _, d := range append(m.Layers, m.Config) {
		path, ok := blobPath(dir, d.Digest)
		if !ok {
			return "", false
		}
		if info, err := os.Stat(path); err != nil || info.Size() != d.Size {
			return "", false
		}
	}
	return digest, true
}

// maxManifest is the largest manifest that is read; one of ours has some hundred bytes.
const maxManifest = 1 << 20

// read returns a small file.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err == nil && len(text) > maxManifest {
		err = fmt.Errorf("%s has more than %d bytes", path, maxManifest)
	}
	return text, err
}

// blobPath returns where a blob lies, and false for what is no digest.
func blobPath(dir, digest string) (string, bool) {
	m := digestPattern.FindStringSubmatch(digest)
	if m == nil {
		return "", false
	}
	return filepath.Join(dir, "blobs", "sha256", m[1]), true
}
