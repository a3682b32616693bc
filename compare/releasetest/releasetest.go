// Package releasetest makes small releases for tests: nothing in them runs, but
// they hold what the programs look at, in the right places.
package releasetest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ulikunitz/xz"

	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/image/release"
	"github.com/mastercard/mangos/modules/image/unified"
	"github.com/mastercard/mangos/modules/image/unsigned"
	"github.com/mastercard/mangos/modules/kernel/artifact"
	"github.com/mastercard/mangos/modules/kernel/kerneltest"
)

// Epoch is the time that everything in the releases bears.
const Epoch = 1700000000

// Options are what releases may differ in.
type Options struct {
	Root      []byte // the root file system; some text if it is nil
	Kernel    byte   // changes a byte of the kernel's code, if it is not 0
	Initrd    string
	Version   string // "1" if it is empty
	Signature string // what the organisation's signatures are made of
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Write makes two folders below dir: "unsigned", the unsigned set, and
// "release", what an organisation made of it.
func Write(t testing.TB, dir string, o Options) {
	t.Helper()
	if o.Version == "" {
		o.Version = "1"
	}
	if o.Root == nil {
		o.Root = bytes.Repeat([]byte("root file system"), 1024)
	}
	set := filepath.Join(dir, "unsigned")
	must(t, os.MkdirAll(set, 0o755))
	root := writeSet(t, dir, set, o)
	sign(t, dir, set, root, o)
}

// writeSet makes the unsigned set.
func writeSet(t testing.TB, dir, set string, o Options) verity.RootHash {
	t.Helper()
	kernel := filepath.Join(dir, "kernel")
	writeKernel(t, dir, kernel, o.Kernel)
	tree, err := verity.Build(bytes.NewReader(padded(o.Root)), int64(len(padded(o.Root))), verity.Salt())
	must(t, err)
	line := "roothash=" + tree.Root.String() + " quiet"
	texts := map[string][]byte{
		unsigned.Root: padded(o.Root), unsigned.Tree: tree.Bytes(), unsigned.RootHash: []byte(tree.Root.String() + "\n"),
		unsigned.Vmlinux: read(t, kernel, artifact.Vmlinux), unsigned.BzImage: read(t, kernel, artifact.BzImage),
		unsigned.Uname: read(t, kernel, artifact.Release), unsigned.CommandLine: []byte(line),
		unsigned.Initrd:    []byte("initrd " + o.Initrd + " " + line),
		unsigned.OSRelease: []byte("ID=mangos\nPRETTY_NAME=\"mangos\"\n"),
	}
	texts[unsigned.UKI] = Image(sections(texts, texts[unsigned.BzImage]))
	files := map[string]string{}
	for name, text := range texts {
		files[name] = filepath.Join(set, name)
		must(t, os.WriteFile(files[name], text, 0o644))
	}
	m, err := unsigned.Describe("mangos", o.Version, Epoch, tree.Root, files, filepath.Join(kernel, artifact.Ranges))
	must(t, err)
	text, err := m.JSON()
	must(t, err)
	must(t, os.WriteFile(filepath.Join(set, unsigned.ManifestName), text, 0o644))
	return tree.Root
}

// sections are those of the image in its normal form.
func sections(set map[string][]byte, kernel []byte) []Section {
	return []Section{
		{".text", []byte("code of the stub")}, {".sbat", []byte("sbat,1")},
		{".osrel", set[unsigned.OSRelease]}, {".cmdline", set[unsigned.CommandLine]},
		{".uname", bytes.TrimSpace(set[unsigned.Uname])}, {".linux", kernel}, {".initrd", set[unsigned.Initrd]},
	}
}

// sign makes the release.
func sign(t testing.TB, dir, set string, root verity.RootHash, o Options) {
	t.Helper()
	out := filepath.Join(dir, "release")
	must(t, os.MkdirAll(out, 0o755))
	n := release.Name("mangos", o.Version, root, false)
	put := func(name string, content []byte) {
		must(t, os.WriteFile(filepath.Join(out, name), content, 0o644))
	}
	put(n.Unsigned, read(t, set, unsigned.ManifestName))
	put(n.Root, compressed(t, read(t, set, unsigned.Root)))
	put(n.Tree, compressed(t, read(t, set, unsigned.Tree)))
	put(n.Signature, []byte("signature "+o.Signature))
	certified := filepath.Join(dir, "certified")
	must(t, artifact.Certify(filepath.Join(dir, "kernel"), certified, certificate(t, o.Signature)))
	texts := map[string][]byte{}
	for _, name := range []string{unsigned.OSRelease, unsigned.CommandLine, unsigned.Uname, unsigned.Initrd} {
		texts[name] = read(t, set, name)
	}
	release, err := unified.MarkTryOut(texts[unsigned.OSRelease])
	must(t, err)
	texts[unsigned.OSRelease] = release
	list := append(sections(texts, read(t, certified, artifact.BzImage)),
		Section{".pcrpkey", []byte("key " + o.Signature)}, Section{".pcrsig", []byte("policy " + o.Signature)})
	put(n.Image, withSignature(Image(list), []byte("signed: "+o.Signature)))
}

// certificate makes an organisation's certificate.
func certificate(t testing.TB, organisation string) []byte {
	t.Helper()
	seed := sha256.Sum256([]byte(organisation))
	key := ed25519.NewKeyFromSeed(seed[:])
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: organisation, Organization: []string{strings.Repeat("o", 60)}},
		NotBefore: time.Unix(Epoch, 0), NotAfter: time.Unix(Epoch+1e8, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	return der
}

// writeKernel makes a packed kernel whose code differs by the given byte.
func writeKernel(t testing.TB, dir, out string, change byte) {
	t.Helper()
	compiled := filepath.Join(dir, "compiled")
	must(t, kerneltest.WriteCompiled(compiled))
	if change != 0 {
		const at, room = 1000, 20000
		vmlinux := kerneltest.Vmlinux()
		vmlinux[kerneltest.VmlinuxCodeOffset+at] ^= change
		must(t, os.WriteFile(filepath.Join(compiled, artifact.Vmlinux), vmlinux, 0o644))
		image, err := kerneltest.BzImageOf(room, func(kernel []byte) { kernel[kerneltest.CodeOffset+at] ^= change })
		must(t, err)
		must(t, os.WriteFile(filepath.Join(compiled, artifact.BzImage), image, 0o644))
	}
	must(t, artifact.Pack(compiled, out, kerneltest.Compress))
}

func read(t testing.TB, parts ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(parts...))
	must(t, err)
	return text
}

// padded fills up the last block.
func padded(b []byte) []byte {
	return append(bytes.Clone(b), make([]byte, (4096-len(b)%4096)%4096)...)
}

func compressed(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := xz.NewWriter(&out)
	must(t, err)
	_, err = w.Write(b)
	must(t, err)
	must(t, w.Close())
	return out.Bytes()
}

// Section is a section of a PE image.
type Section struct {
	Name    string
	Content []byte
}

// Layout of the images.
const (
	headers   = 1024
	peStart   = 64
	optional  = 240
	fileAlign = 512
	memAlign  = 4096
	stubParts = 2 // sections at the beginning that are the stub's
)

// Image makes a PE image with these sections, laid out as linkers and ukify do.
func Image(list []Section) []byte {
	le := binary.LittleEndian
	b := make([]byte, headers)
	copy(b, "MZ")
	le.PutUint32(b[60:], peStart)
	copy(b[peStart:], "PE\x00\x00")
	le.PutUint16(b[peStart+4:], 0x8664)
	le.PutUint16(b[peStart+6:], uint16(len(list)))
	le.PutUint16(b[peStart+20:], optional)
	opt := peStart + 24
	le.PutUint16(b[opt:], 0x20b)
	le.PutUint32(b[opt+32:], memAlign)
	le.PutUint32(b[opt+36:], fileAlign)
	le.PutUint32(b[opt+108:], 16) // data directories
	address, initialized := memAlign, 0
	for i, s := range list {
		size := len(s.Content) + (fileAlign-len(s.Content)%fileAlign)%fileAlign
		h := opt + optional + i*40
		copy(b[h:h+8], s.Name)
		le.PutUint32(b[h+8:], uint32(len(s.Content)))
		le.PutUint32(b[h+12:], uint32(address))
		le.PutUint32(b[h+16:], uint32(size))
		le.PutUint32(b[h+20:], uint32(len(b)))
		le.PutUint32(b[h+36:], 0x40000040)
		b = append(b, s.Content...)
		b = append(b, make([]byte, size-len(s.Content))...)
		address += len(s.Content)
		address += (memAlign - address%memAlign) % memAlign
		le.PutUint32(b[opt+56:], uint32(address))
		if i >= stubParts {
			initialized += len(s.Content)
		}
	}
	le.PutUint32(b[opt+8:], uint32(initialized))
	return b
}

// withSignature adds a certificate table and a checksum, as a signing tool does.
func withSignature(b, signature []byte) []byte {
	le := binary.LittleEndian
	signature = append(bytes.Clone(signature), make([]byte, (8-len(signature)%8)%8)...)
	opt := peStart + 24
	le.PutUint32(b[opt+64:], 12345)
	le.PutUint32(b[opt+112+4*8:], uint32(len(b)))
	le.PutUint32(b[opt+112+4*8+4:], uint32(len(signature)))
	return append(b, signature...)
}
