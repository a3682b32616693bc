package verify

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/modules/image/extension"
	"github.com/mastercard/mangos/modules/image/imagetest"
	"github.com/mastercard/mangos/modules/image/sign"
)

const osRelease = "ID=mangos\nVERSION_ID=1.2\nCONFEXT_LEVEL=1\n"

// signed is an extension that keys signed, and who is trusted.
type signed struct {
	keys  imagetest.Keys
	trust *policy.Image
}

func newSigned(t testing.TB) signed {
	t.Helper()
	s := signed{keys: imagetest.NewKeys(t, "Example")}
	c, err := sign.ReadCertificate(s.keys.File("verity.crt"))
	if err != nil {
		t.Fatal(err)
	}
	s.trust = &policy.Image{}
	s.trust.Verity = append(s.trust.Verity, c.Certificate)
	return s
}

// noise is more than a block, however well it is compressed.
func noise() string {
	b := make([]byte, 16<<10)
	rand.NewChaCha8([32]byte{}).Read(b)
	return string(b)
}

// build makes an extension, after change has had its way with what it is made of.
func (s signed) build(t testing.TB, change func(*extension.Options)) []byte {
	t.Helper()
	o := extension.Options{
		Tree: imagetest.Lay(t, map[string]string{"etc/motd": "hello\n", "etc/noise": noise()}), Class: extension.Confext,
		Name: "org", Purpose: "org", Counter: 7, ID: "mangos", Epoch: 1,
	}
	if change != nil {
		change(&o)
	}
	key, err := sign.OpenKey(s.keys.File("verity.key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := sign.ReadCertificate(s.keys.File("verity.crt"))
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "x")
	if err := extension.Build(t.Context(), o, key, c, out); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// partition finds one in an extension.
func partition(t testing.TB, data []byte, kind gpt.GUID) gpt.Partition {
	t.Helper()
	table, err := gpt.Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range table.Partitions {
		if p.Type == kind {
			return p
		}
	}
	t.Fatalf("there is no partition %s", kind)
	return gpt.Partition{}
}

func TestExtension(t *testing.T) {
	s := newSigned(t)
	found, err := openExtension(s.build(t, nil), []byte(osRelease), s.trust)
	if err != nil || !strings.Contains(found, "confext org, counter 7, signed by \"Example") {
		t.Errorf("%q, %v", found, err)
	}
}

// TestExtensionRefuses: what a device would refuse, and what nobody signed.
func TestExtensionRefuses(t *testing.T) {
	s := newSigned(t)
	good := s.build(t, nil)
	flip := func(kind gpt.GUID, at int64) []byte {
		b := bytes.Clone(good)
		b[partition(t, good, kind).Start+at] ^= 1
		return b
	}
	signature := partition(t, good, gpt.TypeRootVeritySig)
	respelled := bytes.Clone(good)
	text := bytes.TrimRight(good[signature.Start:signature.Start+signature.Size], "\x00")
	copy(respelled[signature.Start:], strings.Replace(string(text), `"rootHash"`, `"roothash":"","rootHash"`, 1))
	other := *s.trust
	other.Verity = newSigned(t).trust.Verity
	for _, row := range []struct {
		name    string
		data    []byte
		release string
		trust   *policy.Image
		want    string
	}{
		{"by somebody else", good, osRelease, &other, "certificate"},
		{"a flipped byte in the files", flip(gpt.TypeRoot, 1030), osRelease, s.trust, "block 0"},
		{"a flipped byte in the tree", flip(gpt.TypeRootVerity, 4096), osRelease, s.trust, "hash tree"},
		{"a flipped byte in the root hash", flip(gpt.TypeRootVeritySig, 20), osRelease, s.trust, ""},
		{"a signature that can be read in two ways", respelled, osRelease, s.trust, "not spelled"},
		{"no partitions", make([]byte, len(good)), osRelease, s.trust, "no header"},
		{"nothing", nil, osRelease, s.trust, "no header"},
		{"larger than a device takes", make([]byte, 65<<20), osRelease, s.trust, "a device takes"},
		{"another name", s.build(t, func(o *extension.Options) { o.Name, o.Purpose = "site", "site" }), osRelease, s.trust, "extension-release.org: it is not there"},
		{"another purpose", s.build(t, func(o *extension.Options) { o.Purpose = "debug" }), osRelease, s.trust, "its purpose \"debug\""},
		{"for another system", s.build(t, func(o *extension.Options) { o.ID = "other" }), osRelease, s.trust, "it is for the system \"other\""},
		{"for another interface", good, strings.Replace(osRelease, "LEVEL=1", "LEVEL=2", 1), s.trust, "its CONFEXT_LEVEL"},
		{"a system extension", s.build(t, func(o *extension.Options) {
			o.Tree, o.Class = imagetest.Lay(t, map[string]string{"usr/x": "x"}), extension.Sysext
		}), osRelease, s.trust, "it is not there"},
		{"an os-release that can be read in two ways", good, osRelease + "ID=other\n", s.trust, "os-release"},
	} {
		if found, err := openExtension(row.data, []byte(row.release), row.trust); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %q, %v; want %q", row.name, found, err, row.want)
		}
	}
}

// TestSignaturePartition: its size is looked at before it is read.
func TestSignaturePartition(t *testing.T) {
	v := volume{signature: io.NewSectionReader(bytes.NewReader(nil), 0, 1<<50)}
	if _, err := v.signed(); err == nil || !strings.Contains(err.Error(), "want 16384") {
		t.Errorf("%v", err)
	}
}

// FuzzExtension: any bytes are refused or belong to the root hash that was signed,
// and no bytes do harm.
func FuzzExtension(f *testing.F) {
	s := newSigned(f)
	good := s.build(f, nil)
	for _, kind := range []gpt.GUID{gpt.TypeRoot, gpt.TypeRootVerity, gpt.TypeRootVeritySig} {
		p := partition(f, good, kind)
		f.Add(p.Start, good[p.Start:p.Start+min(p.Size, 512)])
	}
	f.Add(int64(0), good[:1<<10])
	f.Fuzz(func(t *testing.T, at int64, data []byte) {
		if at < 0 || at > int64(len(good)) {
			return
		}
		changed := bytes.Clone(good)
		copy(changed[at:], data)
		if dissected, err := dissectExtension(changed); err == nil {
			dissected.signed()
		}
		openExtension(changed, []byte(osRelease), s.trust)
	})
}
