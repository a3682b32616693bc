package difference_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// keyPair is the files of a key and of its certificate.
type keyPair struct{ key, certificate string }

func newKeyPair(t testing.TB, name string) *keyPair {
	t.Helper()
	dir := t.TempDir()
	k := &keyPair{filepath.Join(dir, "key"), filepath.Join(dir, "certificate")}
	run(t, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days=100", "-subj=/CN="+name, "-keyout", k.key, "-out", k.certificate)
	return k
}

// public is the public key, PEM.
func (k *keyPair) public(t testing.TB) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "public")
	run(t, "openssl", "pkey", "-in", k.key, "-pubout", "-out", out)
	text, err := os.ReadFile(out)
	must(t, err)
	return text
}

// rootSignature is the signature partition of a root hash.
func (k *keyPair) rootSignature(t testing.TB, hash string) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "hash"), filepath.Join(dir, "signature")
	must(t, os.WriteFile(in, []byte(hash), 0o644))
	run(t, "openssl", "smime", "-sign", "-nocerts", "-noattr", "-binary", "-in", in, "-inkey", k.key, "-signer", k.certificate, "-outform", "der", "-out", out)
	der, err := os.ReadFile(out)
	must(t, err)
	text, err := json.Marshal(map[string]string{"rootHash": hash, "signature": base64.StdEncoding.EncodeToString(der)})
	must(t, err)
	return append(text, make([]byte, 16<<10-len(text))...)
}

const (
	stub      = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
	osRelease = "ID=mangos\nVERSION_ID=1\n"
)

// link lets ukify make the unified kernel image of its parts, and sbsign sign it.
func (i *image) link(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(stub); err != nil {
		t.Skip("needs the package systemd-boot-efi")
	}
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for name, data := range map[string][]byte{"kernel": i.kernel, "initrd": i.initrd, "pcrpkey": i.pcrkey, "pcrsig": i.pcrsig, "release": []byte(osRelease)} {
		must(t, os.WriteFile(file(name), data, 0o644))
	}
	run(t, "ukify", "build", "--no-measure", "--stub="+stub, "--linux="+file("kernel"), "--initrd="+file("initrd"),
		"--os-release=@"+file("release"), "--cmdline=quiet console=ttyS0", "--uname=6.12",
		"--pcrpkey="+file("pcrpkey"), "--section=.pcrsig:@"+file("pcrsig"), "--output="+file("unsigned"))
	run(t, "sbsign", "--key", i.keys.key, "--cert", i.keys.certificate, "--output", file("signed"), file("unsigned"))
	signed, err := os.ReadFile(file("signed"))
	must(t, err)
	i.uki = signed
}

// latePE gives a PE image a timestamp that is a second later.
func latePE(b []byte) []byte {
	b = bytes.Clone(b)
	at := b[binary.LittleEndian.Uint32(b[60:])+8:]
	binary.LittleEndian.PutUint32(at, binary.LittleEndian.Uint32(at)+1)
	return b
}

// member of an initrd.
type member struct {
	name, data string
	mode       os.FileMode
}

var initrdMembers = []member{
	{"etc", "", os.ModeDir | 0o755},
	{"etc/initrd-release", "ID=mangos\n", 0o644},
	{"init", "usr/lib/systemd/systemd", os.ModeSymlink},
	{"usr", "", os.ModeDir | 0o755},
	{"usr/gate", strings.Repeat("\x7fgate\x00\x01", 3000), 0o755},
}

// initrd lets cpio write an archive of the members in their order, and zstd compress it.
func initrd(t testing.TB, members []member) []byte {
	t.Helper()
	dir := t.TempDir()
	tree, list := filepath.Join(dir, "tree"), ""
	for _, m := range members {
		path := filepath.Join(tree, m.name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		switch {
		case m.mode.IsDir():
			must(t, os.MkdirAll(path, m.mode.Perm()))
		case m.mode&os.ModeSymlink != 0:
			must(t, os.Symlink(m.data, path))
		default:
			must(t, os.WriteFile(path, []byte(m.data), m.mode.Perm()))
			must(t, os.Chtimes(path, time.Unix(epoch, 0), time.Unix(epoch, 0)))
		}
		list += m.name + "\n"
	}
	clampTimes(t, tree)
	names, archive := filepath.Join(dir, "names"), filepath.Join(dir, "initrd")
	must(t, os.WriteFile(names, []byte(list), 0o644))
	run(t, "sh", "-euc", `cd "$1"; cpio --create --format=newc --reproducible --quiet --owner=+0:+0 <"$2" >"$3"; zstd --quiet --rm -19 "$3"`,
		"sh", tree, names, archive)
	b, err := os.ReadFile(archive + ".zst")
	must(t, err)
	return b
}
