package verify

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/format/erofs"
	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/image/unified"
	"github.com/mastercard/mangos/runtime/extension"
)

// maxMetadata is how many bytes of an extension's metadata are read.
const maxMetadata = 64 << 10

// organisation is the extension that a release can bring, and what it is for.
var organisation = extension.ID{Class: extension.Confext, Name: extension.Organisation}

// checkExtension verifies the organisation's extension, which a release need not
// have, as a device does: its partitions are one root, its hash tree and the
// signature over the root hash, every block belongs to it, and the metadata say
// that it is the organisation's and for this system.
func (m *image) checkExtension(r *folder, trust *policy.Image) (string, error) {
	if r.files[m.names.Org] == nil {
		return "there is none", nil
	}
	data, err := r.small(m.names.Org)
	if err != nil {
		return "", err
	}
	osRelease, _ := unified.UnmarkTryOut(m.uki.Section(".osrel"))
	found, err := openExtension(data, osRelease, trust)
	if err != nil {
		return "", fmt.Errorf("%s: %w", m.names.Org, err)
	}
	return found, nil
}

func openExtension(data, osRelease []byte, trust *policy.Image) (string, error) {
	v, err := dissectExtension(data)
	if err != nil {
		return "", err
	}
	root, c, err := v.signer(trust)
	if err != nil {
		return "", err
	}
	if err := v.open(root); err != nil {
		return "", err
	}
	if err := v.verify(); err != nil {
		return "", err
	}
	host, err := extension.Parse(osRelease)
	if err != nil {
		return "", fmt.Errorf("os-release: %w", err)
	}
	text, err := v.readFile(extension.ReleasePath(organisation))
	if err != nil {
		return "", err
	}
	about, err := extension.Judge(organisation, text, extension.Policy{Purposes: []string{extension.Organisation}}, host)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, counter %d, signed %s", organisation, about.Counter, by(c)), nil
}

// signer returns the root hash that the signature partition names, and whose
// certificate of the policy the signature over it is by.
func (v *volume) signer(trust *policy.Image) (verity.RootHash, *x509.Certificate, error) {
	partition, err := v.signed()
	if err != nil {
		return verity.RootHash{}, nil, err
	}
	s, err := verity.ParseSignature(partition)
	if err != nil {
		return verity.RootHash{}, nil, err
	}
	c, err := v.checkSignature(partition, s.Root, trust)
	return s.Root, c, err
}

// dissectExtension finds the partitions: one of each kind, and no other.
func dissectExtension(data []byte) (*volume, error) {
	if len(data) > extension.MaxSize {
		return nil, fmt.Errorf("it has %d bytes, a device takes %d", len(data), extension.MaxSize)
	}
	disk := bytes.NewReader(data)
	t, err := gpt.Read(disk, disk.Size())
	if err != nil {
		return nil, err
	}
	parts := map[gpt.GUID]*io.SectionReader{}
	for _, p := range t.Partitions {
		parts[p.Type] = io.NewSectionReader(disk, p.Start, p.Size)
	}
	v := &volume{root: parts[gpt.TypeRoot], tree: parts[gpt.TypeRootVerity], signature: parts[gpt.TypeRootVeritySig]}
	if len(t.Partitions) != 3 || v.root == nil || v.tree == nil || v.signature == nil {
		return nil, errors.New("its partitions are not one root, one hash tree and one signature")
	}
	return v, nil
}

// readFile reads a small file of the volume's file system, which was verified.
func (v *volume) readFile(name string) ([]byte, error) {
	img, err := erofs.Open(v.data, v.data.Size())
	if err != nil {
		return nil, err
	}
	at, err := img.Root()
	if err != nil {
		return nil, err
	}
	for step := range strings.SplitSeq(name, "/") {
		if at, err = lookUp(img, at, step); err != nil {
			return nil, fmt.Errorf("/%s: %w", name, err)
		}
	}
	if !at.IsRegular() || at.Size > maxMetadata {
		return nil, fmt.Errorf("/%s is no file of up to %d bytes", name, maxMetadata)
	}
	text := make([]byte, at.Size)
	if _, err := io.ReadFull(io.NewSectionReader(at, 0, at.Size), text); err != nil {
		return nil, fmt.Errorf("/%s: %w", name, err)
	}
	return text, nil
}

func lookUp(img *erofs.Image, dir *erofs.Inode, name string) (*erofs.Inode, error) {
	entries, err := dir.ReadDir()
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Name == name {
			return img.Inode(e.NID)
		}
	}
	return nil, errors.New("it is not there")
}
