// Package installtest makes small releases, signed and complete, for tests.
package installtest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/runtime/fetch"
)

// Patience is what tests have with a source: little.
var Patience = fetch.Patience{Window: 200 * time.Millisecond, Least: 1 << 10, Total: time.Second, Pause: time.Millisecond}

// RootSize is the size of the root: more than is written at once.
const RootSize = 1<<20 + 8<<10

// Key is an organisation's release key, armored.
type Key struct{ Public, Private []byte }

// ReleaseKey is the key that signs.
var ReleaseKey = sync.OnceValue(func() (k Key) {
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if _, err := keys.Generate(dir, keys.Options{Roles: []keys.Role{keys.Release}, Organisation: "example"}); err != nil {
		panic(err)
	}
	for name, to := range map[string]*[]byte{keys.PublicName(keys.Release): &k.Public, keys.PrivateName(keys.Release): &k.Private} {
		if *to, err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			panic(err)
		}
	}
	return k
})

// Release is a release with a small disk image.
type Release struct {
	// Files by their names.
	Files map[string][]byte
	Root  verity.RootHash
	// Image is the disk image, Good what it was before it was changed, Disk the
	// name of the file that it is in, compressed.
	Image, Good []byte
	Disk        string
	Table       *gpt.Table
}

// Build makes a release; change may change its disk image before it is compressed.
func Build(t testing.TB, version string, change func(*Release)) *Release {
	t.Helper()
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, RootSize)
	_, _ = random.Read(data)
	tree, err := verity.Build(bytes.NewReader(data), int64(len(data)), verity.Salt())
	if err != nil {
		t.Fatal(err)
	}
	b := &Release{Files: map[string][]byte{}, Root: tree.Root}
	sig, err := (&verity.Signature{Root: tree.Root, PKCS7: []byte("a signature")}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	esp := make([]byte, 1<<20)
	_, _ = random.Read(esp[:64<<10])
	b.Table = &gpt.Table{SectorSize: 512, DiskID: gpt.DeriveGUID("disk"), Partitions: []gpt.Partition{
		{Type: gpt.TypeESP, ID: gpt.DeriveGUID("esp"), Label: "esp", Size: int64(len(esp))},
		{Type: gpt.TypeRootVeritySig, ID: gpt.DeriveGUID("sig"), Label: "mangos_" + version + "_verity_sig", Size: int64(len(sig)), Attributes: gpt.ReadOnly},
		{Type: gpt.TypeRootVerity, ID: gpt.GUID(tree.Root[16:]), Label: "mangos_" + version + "_verity", Size: 1 << 20, Attributes: gpt.ReadOnly},
		{Type: gpt.TypeRoot, ID: gpt.GUID(tree.Root[:16]), Label: "mangos_" + version, Size: 2 << 20, Attributes: gpt.ReadOnly},
	}}
	b.Table.Layout()
	b.Image = make([]byte, b.Table.DiskSize)
	front, back, err := b.Table.Encode()
	if err != nil {
		t.Fatal(err)
	}
	copy(b.Image, front)
	copy(b.Image[len(b.Image)-len(back):], back)
	for i, content := range [][]byte{esp, sig, tree.Bytes(), data} {
		copy(b.Image[b.Table.Partitions[i].Start:], content)
	}
	b.Disk = "mangos_" + version + ".raw.zst"
	b.Good = bytes.Clone(b.Image)
	if change != nil {
		change(b)
	}
	b.Files[b.Disk] = compress(t, b.Image)
	b.Files[fmt.Sprintf("mangos_%s.root-x86-64.%s.raw.xz", version, gpt.GUID(b.Root[:16]))] = []byte("x")
	b.Files[fmt.Sprintf("mangos_%s.root-x86-64-verity.%s.raw.xz", version, gpt.GUID(b.Root[16:]))] = []byte("y")
	b.Sign(t)
	return b
}

func compress(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

// Sign makes the manifest of the files that are there, and its signature.
func (b *Release) Sign(t testing.TB) {
	t.Helper()
	var sums bytes.Buffer
	for name, content := range b.Files {
		if !strings.HasPrefix(name, "SHA256SUMS") {
			fmt.Fprintf(&sums, "%x *%s\n", sha256.Sum256(content), name)
		}
	}
	signature, err := keys.SignSums(ReleaseKey().Private, bytes.NewReader(sums.Bytes()), time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	b.Files["SHA256SUMS"], b.Files["SHA256SUMS.gpg"] = sums.Bytes(), signature
}

// Folder writes the release to a folder.
func (b *Release) Folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range b.Files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Source is the release in a folder.
func (b *Release) Source(t testing.TB) fetch.Source {
	t.Helper()
	s, err := fetch.NewSource(b.Folder(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
