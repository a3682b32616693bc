package sdk

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Image is an image in the making: an OCI content folder that the engine
// reads, written layer by layer. Nothing in it depends on when or where it is
// made.
type Image struct {
	dir    string // holds blobs/sha256
	layers []descriptor
}

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// manifest is the blob that names all others.
type manifest struct {
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
	MediaType     string       `json:"mediaType"`
	SchemaVersion int          `json:"schemaVersion"`
}

const (
	layerType    = "application/vnd.oci.image.layer.v1.tar"
	configType   = "application/vnd.oci.image.config.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
)

// NewImage starts an image whose blobs go below dir.
func NewImage(dir string) (*Image, error) {
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		return nil, fmt.Errorf("start image: %w", err)
	}
	return &Image{dir: dir}, nil
}

// Layer adds a layer with the entries that fill writes.
func (m *Image) Layer(fill func(*tar.Writer) error) error {
	d, err := m.blob(layerType, func(w io.Writer) error {
		tw := tar.NewWriter(w)
		if err := fill(tw); err != nil {
			return err
		}
		return tw.Close()
	})
	if err != nil {
		return fmt.Errorf("write layer: %w", err)
	}
	m.layers = append(m.layers, d)
	return nil
}

// Finish writes the configuration and the manifest, whose digest it returns.
func (m *Image) Finish(env []string) (string, error) {
	diffIDs := make([]string, 0, len(m.layers))
	for _, l := range m.layers {
		// Layers are stored as they are, so that blob and content have one digest.
		diffIDs = append(diffIDs, l.Digest)
	}
	config, err := m.json(configType, map[string]any{
		"architecture": "amd64",
		"os":           "linux",
		"config":       map[string]any{"Env": env, "WorkingDir": "/"},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": diffIDs},
	})
	if err != nil {
		return "", fmt.Errorf("write image configuration: %w", err)
	}
	written, err := m.json(manifestType, manifest{SchemaVersion: 2, MediaType: manifestType, Config: config, Layers: m.layers})
	if err != nil {
		return "", fmt.Errorf("write image manifest: %w", err)
	}
	return written.Digest, nil
}

func (m *Image) json(mediaType string, v any) (descriptor, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, err
	}
	return m.blob(mediaType, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// blob stores what fill writes under its SHA-256.
func (m *Image) blob(mediaType string, fill func(io.Writer) error) (descriptor, error) {
	dir := filepath.Join(m.dir, "blobs", "sha256")
	f, err := os.CreateTemp(dir, ".blob-")
	if err != nil {
		return descriptor{}, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	h := sha256.New()
	n := &counter{}
	if err := fill(io.MultiWriter(f, h, n)); err != nil {
		return descriptor{}, err
	}
	if err := f.Chmod(0o644); err != nil {
		return descriptor{}, err
	}
	// A name that outlives a power cut must not outlive what it names.
	if err := f.Sync(); err != nil {
		return descriptor{}, err
	}
	if err := f.Close(); err != nil {
		return descriptor{}, err
	}
	sum := hex.EncodeToString(h.Sum(nil))
	if err := os.Rename(f.Name(), filepath.Join(dir, sum)); err != nil {
		return descriptor{}, err
	}
	return descriptor{MediaType: mediaType, Digest: "sha256:" + sum, Size: n.n}, nil
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}
