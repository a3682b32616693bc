package difference_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/vfat"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a program that makes part of an image.
func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("needs the program %s", name)
	}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1", "TZ=UTC")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, text)
	}
}

// packages of the running system that the test's root is made of.
var packages = []string{"sed", "grep", "base-files", "debianutils"}

const epoch = 1700000000

// rootTree copies some installed packages with dpkg's records of them: a
// small, real root file system.
func rootTree(t testing.TB) string {
	t.Helper()
	const db = "/var/lib/dpkg"
	status, err := os.ReadFile(db + "/status")
	if err != nil {
		t.Skip("needs a system with dpkg")
	}
	root := t.TempDir()
	info := filepath.Join(root, "usr/lib/dpkg-db/info")
	must(t, os.MkdirAll(info, 0o755))
	var kept []string
	for _, stanza := range strings.Split(string(status), "\n\n") {
		name, _, _ := strings.Cut(strings.TrimPrefix(stanza, "Package: "), "\n")
		for _, p := range packages {
			if p == name {
				kept = append(kept, stanza)
			}
		}
	}
	must(t, os.WriteFile(filepath.Join(root, "usr/lib/dpkg-db/status"), []byte(strings.Join(kept, "\n\n")+"\n"), 0o644))
	for _, p := range packages {
		list, err := os.ReadFile(fmt.Sprintf("%s/info/%s.list", db, p))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(info, p+".list"), list, 0o644))
		for _, name := range strings.Fields(string(list)) {
			copyFile(t, name, root)
		}
	}
	for _, top := range []string{"bin", "lib", "sbin"} {
		must(t, os.MkdirAll(filepath.Join(root, "usr", top), 0o755))
		_ = os.Symlink("usr/"+top, filepath.Join(root, top))
	}
	return root
}

// copyFile copies a file or link, to the place where a merged /usr has it.
func copyFile(t testing.TB, name, root string) {
	t.Helper()
	info, err := os.Lstat(name)
	if err != nil || info.IsDir() {
		return
	}
	to := filepath.Join(root, name)
	for _, top := range []string{"/bin/", "/sbin/", "/lib/"} {
		if strings.HasPrefix(name, top) {
			to = filepath.Join(root, "usr", name)
		}
	}
	must(t, os.MkdirAll(filepath.Dir(to), 0o755))
	if info.Mode()&os.ModeSymlink != 0 {
		target, err := os.Readlink(name)
		must(t, err)
		_ = os.Symlink(target, to)
		return
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return
	}
	must(t, os.WriteFile(to, b, info.Mode().Perm()))
}

// image is what a disk is made of; a test changes one thing.
type image struct {
	root      []byte // erofs
	signature []byte // of the root hash
	uki       []byte // linked from the next ones, and signed
	kernel    []byte
	initrd    []byte
	pcrkey    []byte
	pcrsig    []byte
	keys      *keyPair
	diskID    string
	espSwap   bool
}

func erofsImage(t testing.TB, tree string, args ...string) []byte {
	t.Helper()
	if help, err := exec.Command("mkfs.erofs", "--help").CombinedOutput(); err == nil && !bytes.Contains(help, []byte("--mkfs-time")) {
		t.Skip("needs mkfs.erofs 1.8 or newer, which keeps the times of files")
	}
	out := filepath.Join(t.TempDir(), "root.erofs")
	if len(args) == 0 {
		args = []string{"-zlz4hc,9", "-C65536"}
	}
	args = append(args, "--quiet", "--all-root", "-U11111111-1111-1111-1111-111111111111",
		fmt.Sprintf("-T%d", epoch), "--mkfs-time", "--preserve-mtime")
	run(t, "mkfs.erofs", append(args, out, tree)...)
	b, err := os.ReadFile(out)
	must(t, err)
	return b
}

// clampTimes sets the times of all files, so that only those differ that a
// test changes.
func clampTimes(t testing.TB, tree string) {
	t.Helper()
	must(t, filepath.WalkDir(tree, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at := []unix.Timespec{{Sec: epoch}, {Sec: epoch}}
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, at, unix.AT_SYMLINK_NOFOLLOW)
	}))
}

// build assembles the disk and returns its file.
func (i *image) build(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	uki := filepath.Join(dir, "uki.efi")
	must(t, os.WriteFile(uki, i.uki, 0o644))
	esp := filepath.Join(dir, "esp")
	must(t, os.WriteFile(esp, nil, 0o644))
	must(t, os.Truncate(esp, 10<<20))
	run(t, "mkfs.vfat", "-F16", "-s1", "-i", "12345678", esp)
	run(t, "mmd", "-i", esp, "::/EFI", "::/EFI/Linux", "::/loader")
	conf := filepath.Join(dir, "loader.conf")
	must(t, os.WriteFile(conf, []byte("timeout 0\n"), 0o644))
	for _, f := range []string{uki, conf} {
		must(t, os.Chtimes(f, time.Unix(epoch, 0), time.Unix(epoch, 0)))
	}
	files := [][2]string{{conf, "::/loader/one.conf"}, {conf, "::/loader/two.conf"}}
	if i.espSwap {
		files[0], files[1] = files[1], files[0]
	}
	files = append(files, [2]string{uki, "::/EFI/Linux/mangos.efi"})
	for _, f := range files {
		run(t, "mcopy", "-m", "-i", esp, f[0], f[1])
	}
	espBytes, err := os.ReadFile(esp)
	must(t, err)
	volume, err := vfat.Open(bytes.NewReader(espBytes), int64(len(espBytes)))
	must(t, err)
	clampFAT(t, espBytes, volume.Root())
	return i.disk(t, dir, espBytes)
}

// clampFAT sets the times of all entries of the volume, which mtools takes
// from the clock for folders.
func clampFAT(t testing.TB, b []byte, dir *vfat.File) {
	t.Helper()
	entries, err := dir.ReadDir()
	must(t, err)
	runs, err := dir.Runs()
	must(t, err)
	for off := runs[0].Offset; off < runs[0].Offset+runs[0].Length; off += 32 {
		if e := b[off : off+32]; e[0] != 0 && e[11] != 0x0f {
			clear(e[13:20])
			copy(e[22:26], []byte{0, 0, 0x21, 0x57})
		}
	}
	for _, e := range entries {
		if e.IsDir() {
			clampFAT(t, b, e)
		}
	}
}

// disk puts the partitions into a table that sfdisk makes.
func (i *image) disk(t testing.TB, dir string, esp []byte) string {
	t.Helper()
	tree, root := hashTree(t, i.root)
	half := func(s string) string {
		return fmt.Sprintf("%s-%s-%s-%s-%s", s[:8], s[8:12], s[12:16], s[16:20], s[20:32])
	}
	const sector, align = 512, 1 << 20
	table := fmt.Sprintf("label: gpt\nlabel-id: %s\n", i.diskID)
	at := int64(align)
	var starts []int64
	parts := []struct {
		kind     gpt.GUID
		id, name string
		data     []byte
	}{
		{gpt.TypeESP, "5e6bf4a1-9c4e-4bd2-8d5f-0a4f3f1d2c01", "esp", esp},
		{gpt.TypeRootVeritySig, "5e6bf4a1-9c4e-4bd2-8d5f-0a4f3f1d2c02", "mangos_1_verity_sig", i.signature},
		{gpt.TypeRootVerity, half(root[32:]), "mangos_1_verity", tree},
		{gpt.TypeRoot, half(root[:32]), "mangos_1", i.root},
	}
	for _, p := range parts {
		size := (int64(len(p.data)) + align - 1) / align * align
		table += fmt.Sprintf("start=%d, size=%d, type=%s, uuid=%s, name=%q\n", at/sector, size/sector, p.kind, p.id, p.name)
		starts, at = append(starts, at), at+size
	}
	path := filepath.Join(dir, "mangos_1.raw")
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	must(t, f.Truncate(at+align))
	script := filepath.Join(dir, "table")
	must(t, os.WriteFile(script, []byte(table), 0o644))
	run(t, "sh", "-c", `exec sfdisk --quiet --no-reread --no-tell-kernel "$1" <"$2"`, "sh", path, script)
	for n, p := range parts {
		_, err := f.WriteAt(p.data, starts[n])
		must(t, err)
	}
	return path
}

// hashTree lets veritysetup make the hash tree of a root file system.
func hashTree(t testing.TB, root []byte) (tree []byte, hash string) {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.WriteFile(file("root"), root, 0o644))
	run(t, "veritysetup", "format", "--salt="+strings.Repeat("5a", 32), "--uuid=22222222-2222-2222-2222-222222222222",
		"--root-hash-file="+file("hash"), file("root"), file("tree"))
	tree, err := os.ReadFile(file("tree"))
	must(t, err)
	text, err := os.ReadFile(file("hash"))
	must(t, err)
	return tree, strings.TrimSpace(string(text))
}

// vmlinux is an ELF file with a reserved certificate area: this test program,
// which nobody runs from there.
func vmlinux(t testing.TB, cert []byte) []byte {
	t.Helper()
	b, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	b = b[:len(b):len(b)]
	at := certArea(b)
	copy(b[at:], make([]byte, 4096))
	copy(b[at:], cert)
	binary.LittleEndian.PutUint32(b[at-64:], uint32(len(cert)))
	binary.LittleEndian.PutUint64(b[at-128:], uint64(1000+len(cert)))
	return b
}

func certArea(b []byte) int { return len(b) / 3 &^ 63 }

// bzImage wraps a kernel as Linux does: boot protocol 2.15, zstd.
func bzImage(t testing.TB, kernel []byte) []byte {
	t.Helper()
	var payload bytes.Buffer
	w, err := zstd.NewWriter(&payload, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	must(t, err)
	_, err = w.Write(kernel)
	must(t, err)
	must(t, w.Close())
	le := binary.LittleEndian
	must(t, binary.Write(&payload, le, uint32(len(kernel))))
	const setup, stub = 2, 4096
	b := make([]byte, (setup+1)*512+stub)
	copy(b, "MZ")
	le.PutUint32(b[0x3c:], 0x40) // a PE image without sections: ukify looks for one
	copy(b[0x40:], "PE\x00\x00\x64\x86")
	le.PutUint16(b[0x54:], 240)
	le.PutUint16(b[0x58:], 0x20b)
	le.PutUint32(b[0x58+32:], 0x1000)
	le.PutUint32(b[0x58+36:], 0x200)
	le.PutUint32(b[0x58+108:], 16)
	b[0x1f1] = setup
	copy(b[0x1fe:], "\x55\xaa")
	copy(b[0x202:], "HdrS")
	le.PutUint16(b[0x206:], 0x20f)
	le.PutUint32(b[0x248:], stub)
	le.PutUint32(b[0x24c:], uint32(payload.Len()))
	b = append(b, payload.Bytes()...)
	sum := sha256.Sum256(b) // stands for wrapper code that knows the length
	return append(b, sum[:]...)
}

// certificate makes an organisation's certificate.
func certificate(t testing.TB, name string) []byte {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name, Organization: []string{strings.Repeat("o", 60)}},
		NotBefore: time.Unix(epoch, 0), NotAfter: time.Unix(epoch+1e8, 0),
	}
	b, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	must(t, err)
	return b
}
