package verify

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mastercard/mangos/attest/cms"
	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/pcr"
	"github.com/mastercard/mangos/format/uki"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/image/release"
	"github.com/mastercard/mangos/modules/image/unsigned"
)

// manifestSuffix ends the name of the list of the unsigned set.
const manifestSuffix = "." + unsigned.ManifestName

// image is what a release holds for a device.
type image struct {
	manifest *unsigned.Manifest
	root     verity.RootHash
	names    release.Names
	disk     *sparse
	table    *gpt.Table // as it has to be
	esp      *io.SectionReader
	volume   *volume
	// rootStart is where on the disk the root's partition begins; scan is what reading
	// it has shown.
	rootStart int64
	scan      *scan
	uki       *uki.Image
	tryOut    bool
	// kernel is that of the kernel image without its certificate, form the image's
	// normal form, phases what it leaves in the TPM.
	kernel      []byte
	certificate *x509.Certificate
	form        []byte
	phases      []pcr.Phase
}

// volume is a file system that dm-verity protects, in its three partitions.
type volume struct {
	root, tree, signature *io.SectionReader
	hashes                *verity.Tree
	data                  *io.SectionReader // the part of root that the tree covers
}

// readManifest reads the list of the unsigned set, which tells the names of the
// release's files.
func (m *image) readManifest(r *folder) error {
	name, err := r.one(manifestSuffix)
	if err != nil {
		return err
	}
	text, err := r.small(name)
	if err != nil {
		return err
	}
	if m.manifest, err = unsigned.Read(bytes.NewReader(text)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if m.root, err = verity.ParseRootHash(m.manifest.RootHash); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, tryOut := range []bool{false, true} {
		names := release.Name(m.manifest.Name, m.manifest.Version, m.root, tryOut)
		if r.files[names.Image] != nil {
			m.names, m.tryOut = names, tryOut
		}
	}
	if m.names.Image == "" || m.names.Unsigned != name {
		return fmt.Errorf("there is no unified kernel image of %s %s", m.manifest.Name, m.manifest.Version)
	}
	data, err := r.small(m.names.Image)
	if err != nil {
		return err
	}
	if m.uki, err = uki.Parse(data); err != nil {
		return fmt.Errorf("%s: %w", m.names.Image, err)
	}
	return nil
}

// dissect holds the partition table against the root hash: the partitions are
// those of an image and no other, one after the other, and their identifiers are those
// that belong to the hash.
func (m *image) dissect() error {
	t, err := gpt.Read(m.disk, m.disk.size)
	if err != nil {
		return fmt.Errorf("%s: %w", m.names.Disk, err)
	}
	if len(t.Partitions) != 4 {
		return fmt.Errorf("%s has %d partitions, want 4", m.names.Disk, len(t.Partitions))
	}
	m.table = m.wantTable(t.Partitions)
	var parts [4]*io.SectionReader
	for i, p := range t.Partitions {
		w := m.table.Partitions[i]
		if p.Start != w.Start || p.Size != w.Size {
			return fmt.Errorf("partition %d is %d bytes at %d, want %d at %d", i+1, p.Size, p.Start, w.Size, w.Start)
		}
		if p.Type != w.Type || p.Label != w.Label || p.ID != w.ID || p.Attributes != w.Attributes {
			return fmt.Errorf("partition %d is %s %q %s with attributes %#x, want %s %q %s with %#x",
				i+1, p.Type, p.Label, p.ID, p.Attributes, w.Type, w.Label, w.ID, w.Attributes)
		}
		parts[i] = io.NewSectionReader(m.disk, p.Start, p.Size)
	}
	m.esp = parts[0]
	m.volume, m.rootStart = &volume{signature: parts[1], tree: parts[2], root: parts[3]}, t.Partitions[3].Start
	return nil
}

// open checks the hash tree from the root hash down.
func (v *volume) open(root verity.RootHash) error {
	tree, err := verity.Open(io.NewSectionReader(v.tree, 0, v.tree.Size()), v.tree.Size(), root)
	if err != nil {
		return err
	}
	if tree.Size() > v.root.Size() {
		return fmt.Errorf("the hash tree covers %d bytes, the partition has %d", tree.Size(), v.root.Size())
	}
	v.hashes, v.data = tree, io.NewSectionReader(v.root, 0, tree.Size())
	return nil
}

// checkRootHash makes sure that the hash tree covers the root file system as it is, and
// that nothing but zeros follows it.
func (m *image) checkRootHash() (string, error) {
	if err := m.scan.tree; err != nil {
		return "", err
	}
	end := m.rootStart + m.volume.root.Size()
	if err := m.disk.checkZeros(m.rootStart+m.volume.data.Size(), end); err != nil {
		return "", fmt.Errorf("behind the file system: %w", err)
	}
	return m.volume.describe(m.root), nil
}

// describe names the root hash of a volume that was verified.
func (v *volume) describe(root verity.RootHash) string {
	return fmt.Sprintf("%s, all %d blocks", root, v.data.Size()/verity.BlockSize)
}

// verify holds every block against the hash tree.
func (v *volume) verify() error {
	if err := v.hashes.Verify(v.data); err != nil {
		return err
	}
	if err := allZero(io.NewSectionReader(v.root, v.data.Size(), v.root.Size()-v.data.Size())); err != nil {
		return fmt.Errorf("behind the file system: %w", err)
	}
	return nil
}

// allZero makes sure that nothing hides in the rest of a partition.
func allZero(r io.Reader) error {
	block, zeros := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		n, err := r.Read(block)
		if !bytes.Equal(block[:n], zeros[:n]) {
			return errors.New("there is something else than zeros")
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// checkSignature verifies the signature over the root hash, in the partition and
// in the file for updates, which are the same.
func (m *image) checkSignature(r *folder, trust *policy.Image) (string, error) {
	inDisk, err := m.volume.signed()
	if err != nil {
		return "", err
	}
	f := r.files[m.names.Signature]
	if f == nil {
		return "", fmt.Errorf("there is no %s", m.names.Signature)
	}
	if sum := sha256.Sum256(inDisk); hex.EncodeToString(sum[:]) != f.sum {
		return "", fmt.Errorf("the signature partition of the disk is not %s", f.name)
	}
	c, err := m.volume.checkSignature(inDisk, m.root, trust)
	if err != nil {
		return "", err
	}
	return by(c), nil
}

// by names who signed.
func by(c *x509.Certificate) string { return fmt.Sprintf("by %q", c.Subject.CommonName) }

// signed reads the signature's partition.
func (v *volume) signed() ([]byte, error) {
	if v.signature.Size() != verity.SignatureSize {
		return nil, fmt.Errorf("the signature partition has %d bytes, want %d", v.signature.Size(), verity.SignatureSize)
	}
	partition := make([]byte, verity.SignatureSize)
	_, err := io.ReadFull(io.NewSectionReader(v.signature, 0, v.signature.Size()), partition)
	return partition, err
}

// checkSignature wants the partition to be as it is written, so that nobody reads
// another root hash or another signature in it.
func (v *volume) checkSignature(partition []byte, root verity.RootHash, trust *policy.Image) (*x509.Certificate, error) {
	s, err := verity.ParseSignature(partition)
	if err != nil {
		return nil, err
	}
	if again, err := s.Encode(); err != nil || !bytes.Equal(again, partition) {
		return nil, errors.New("the signature partition is not spelled as this program spells it")
	}
	if s.Root != root {
		return nil, fmt.Errorf("it is over the root hash %s", s.Root)
	}
	c, err := cms.Detached(s.PKCS7, []byte(root.String()), trust.Verity)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(c.Raw); sum != s.Fingerprint {
		return nil, fmt.Errorf("it names the certificate %x, and is by %x", s.Fingerprint, sum)
	}
	return c, nil
}

// checkUpdates holds the files for updates against the partitions: each block of
// them bears the digest of what lies there, so that is what a decoder gives, or
// nothing.
func (m *image) checkUpdates(r *folder) (string, error) {
	if err := m.scan.update; err != nil {
		return "", fmt.Errorf("%s: %w", m.names.Root, err)
	}
	tree := m.volume.hashes.Bytes()
	digests, err := updateDigests(r, m.names.Tree, int64(len(tree)))
	if err == nil {
		err = sameContent(tree, digests)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", m.names.Tree, err)
	}
	return "root and hash tree as in the disk", nil
}

// checkTryOut refuses try-out builds that the policy does not accept, a mark that is in
// one place and not in the other, and try-out certificates behind a build without one.
func (m *image) checkTryOut(trust *policy.Image) (string, error) {
	marked := bytes.Contains(m.uki.Section(".osrel"), []byte("\nMANGOS_TRY_OUT="))
	if marked != m.tryOut {
		return "", fmt.Errorf("%s is marked as a try-out build in its name (%v) or in its os-release (%v), not in both", m.names.Image, m.tryOut, marked)
	}
	if marked && !trust.TryOut {
		return "", errors.New("it is signed with try-out keys, which the policy does not accept")
	}
	if marked {
		return "a TRY-OUT build, which the policy accepts: unfit for use", nil
	}
	for _, c := range slices.Concat(trust.SecureBoot, trust.Verity) {
		if isTryOut(c) {
			return "", fmt.Errorf("it has no mark of a try-out build, and the policy trusts the try-out certificate %q for it", c.Subject)
		}
	}
	return "no mark of a try-out build, no try-out certificate", nil
}

// isTryOut tells that a certificate is of a try-out key.
func isTryOut(c *x509.Certificate) bool { return strings.Contains(c.Subject.String(), keys.TryOutMark) }

// statementPrefix is what the names of the statements' files begin with.
func (m *image) statementPrefix() string { return m.names.Entry + "." }

// checkNames makes sure that every statement is filed under this release.
func (m *image) checkNames(all statements) error {
	for _, s := range all {
		for _, f := range s.files {
			if !strings.HasPrefix(f, m.statementPrefix()) {
				return fmt.Errorf("%s does not bear the name %s", f, m.names.Entry)
			}
		}
	}
	return nil
}
