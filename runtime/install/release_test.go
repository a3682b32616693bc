package install

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
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
)

// patience for tests: little.
var patience = Patience{Window: 200 * time.Millisecond, Least: 1 << 10, Total: time.Second, Pause: time.Millisecond}

// rootSize is the size of the root: more than is written at once.
const rootSize = 1<<20 + 8<<10

// releaseKey is a release key, its public half and its private half.
var releaseKey = sync.OnceValue(func() (k struct{ public, private []byte }) {
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if _, err := keys.Generate(dir, keys.Options{Roles: []keys.Role{keys.Release}, Organisation: "example"}); err != nil {
		panic(err)
	}
	for name, to := range map[string]*[]byte{keys.PublicName(keys.Release): &k.public, keys.PrivateName(keys.Release): &k.private} {
		if *to, err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			panic(err)
		}
	}
	return k
})

// built is a release with a small disk image.
type built struct {
	files map[string][]byte
	root  verity.RootHash
	image []byte // decompressed
	good  []byte // the image before it was changed
	disk  string // name of the image file
	table *gpt.Table
}

// build makes a release; change may change its disk image before it is compressed.
func build(t testing.TB, version string, change func(*built)) *built {
	t.Helper()
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, rootSize)
	_, _ = random.Read(data)
	tree, err := verity.Build(bytes.NewReader(data), int64(len(data)), verity.Salt())
	if err != nil {
		t.Fatal(err)
	}
	b := &built{files: map[string][]byte{}, root: tree.Root}
	sig, err := (&verity.Signature{Root: tree.Root, PKCS7: []byte("a signature")}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	esp := make([]byte, 1<<20)
	_, _ = random.Read(esp[:64<<10])
	b.table = &gpt.Table{SectorSize: 512, DiskID: gpt.DeriveGUID("disk"), Partitions: []gpt.Partition{
		{Type: gpt.TypeESP, ID: gpt.DeriveGUID("esp"), Label: "esp", Size: int64(len(esp))},
		{Type: gpt.TypeRootVeritySig, ID: gpt.DeriveGUID("sig"), Label: "mangos_" + version + "_verity_sig", Size: int64(len(sig)), Attributes: gpt.ReadOnly},
		{Type: gpt.TypeRootVerity, ID: gpt.GUID(tree.Root[16:]), Label: "mangos_" + version + "_verity", Size: 1 << 20, Attributes: gpt.ReadOnly},
		{Type: gpt.TypeRoot, ID: gpt.GUID(tree.Root[:16]), Label: "mangos_" + version, Size: 2 << 20, Attributes: gpt.ReadOnly},
	}}
	b.table.Layout()
	b.image = make([]byte, b.table.DiskSize)
	front, back, err := b.table.Encode()
	if err != nil {
		t.Fatal(err)
	}
	copy(b.image, front)
	copy(b.image[len(b.image)-len(back):], back)
	for i, content := range [][]byte{esp, sig, tree.Bytes(), data} {
		copy(b.image[b.table.Partitions[i].Start:], content)
	}
	b.disk = "mangos_" + version + ".raw.zst"
	if change != nil {
		change(b)
	}
	b.files[b.disk] = compress(t, b.image)
	b.files[fmt.Sprintf("mangos_%s.root-x86-64.%s.raw.xz", version, gpt.GUID(b.root[:16]))] = []byte("x")
	b.files[fmt.Sprintf("mangos_%s.root-x86-64-verity.%s.raw.xz", version, gpt.GUID(b.root[16:]))] = []byte("y")
	b.sign(t)
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

// sign makes the manifest of the files that are there, and its signature.
func (b *built) sign(t testing.TB) {
	t.Helper()
	var sums bytes.Buffer
	for name, content := range b.files {
		if !strings.HasPrefix(name, "SHA256SUMS") {
			fmt.Fprintf(&sums, "%x *%s\n", sha256.Sum256(content), name)
		}
	}
	signature, err := keys.SignSums(releaseKey().private, bytes.NewReader(sums.Bytes()), time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	b.files[sumsFile], b.files[signatureFile] = sums.Bytes(), signature
}

// folder writes the release to a folder.
func (b *built) folder(t testing.TB) Source {
	t.Helper()
	dir := t.TempDir()
	for name, content := range b.files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := NewSource(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func find(t testing.TB, s Source, want Wanted) (*Release, error) {
	t.Helper()
	return FindRelease(context.WithoutCancel(t.Context()), s, releaseKey().public, want, patience)
}

func TestFindRelease(t *testing.T) {
	b := build(t, "0.9", nil)
	older := build(t, "0.10~rc1", nil)
	for name, content := range older.files {
		b.files[name] = content
	}
	b.sign(t)
	s := b.folder(t)
	r, err := find(t, s, Wanted{})
	if err != nil || r.Version != "0.10~rc1" || r.Name != "mangos" || r.TryOut || r.Root != b.root || r.Sum != sha256.Sum256(b.files[r.Image]) {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := find(t, s, Wanted{Version: "0.9", Least: "0.9"}); err != nil || r.Version != "0.9" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := find(t, s, Wanted{Version: "0.9", Least: "0.10~rc1"}); !errors.Is(err, ErrOld) {
		t.Errorf("an old version: %v", err)
	}
	if _, err := find(t, s, Wanted{Version: "1"}); !errors.Is(err, ErrManifest) {
		t.Errorf("a version that is not there: %v", err)
	}
}

func TestFindReleaseRefuses(t *testing.T) {
	b := build(t, "1", nil)
	sums := b.files[sumsFile]
	for name, change := range map[string]struct {
		do   func()
		want error
	}{
		"another manifest":  {func() { b.files[sumsFile] = append(bytes.Clone(sums), []byte(strings.Repeat("0", 64)+" *x\n")...) }, ErrSignature},
		"no signature":      {func() { b.files[signatureFile] = nil }, ErrSignature},
		"missing signature": {func() { delete(b.files, signatureFile) }, ErrSource},
		"missing manifest":  {func() { delete(b.files, sumsFile) }, ErrSource},
		"huge manifest":     {func() { b.files[sumsFile] = make([]byte, maxSums+1) }, ErrSource},
		"no image":          {func() { delete(b.files, b.disk); b.sign(t) }, ErrManifest},
		"two roots": {func() {
			b.files["mangos_1.root-x86-64.00000000-0000-0000-0000-000000000001.raw.xz"] = []byte("z")
			b.sign(t)
		}, ErrManifest},
		"two products": {func() { b.files["other_1.raw.zst"] = []byte("z"); b.sign(t) }, ErrManifest},
		"a name that leads away": {func() {
			b.files[sumsFile] = []byte(strings.Repeat("0", 64) + " *../x\n")
			var err error
			if b.files[signatureFile], err = keys.SignSums(releaseKey().private, bytes.NewReader(b.files[sumsFile]), time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
		}, ErrManifest},
	} {
		b = build(t, "1", nil)
		change.do()
		dir := t.TempDir()
		for name, content := range b.files {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := NewSource(dir)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := find(t, s, Wanted{}); !errors.Is(err, change.want) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func FuzzParseSums(f *testing.F) {
	f.Add([]byte(strings.Repeat("0", 64) + " *mangos_1.raw.zst\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		all, err := parseSums(raw)
		if err != nil {
			return
		}
		for name := range all {
			if strings.ContainsAny(name, "/\n\x00") {
				t.Fatalf("name %q", name)
			}
		}
		if r, err := choose(all, Wanted{}); err == nil && r.Image == "" {
			t.Fatal("a release without an image")
		}
	})
}
