package difference_test

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/compare/difference"
	"github.com/mastercard/mangos/compare/manifest"
	"github.com/mastercard/mangos/compare/release"
)

// fault is one difference, put into one of two images that are equal else.
type fault struct {
	name string
	// tree changes the root's files before the image is made of them.
	tree func(t *testing.T, root string)
	// args are other options of mkfs.erofs.
	args []string
	// image changes what the disk is made of.
	image func(t *testing.T, i *image)

	want want
}

// want is what must be said.
type want struct {
	partition, file, section string
	class                    cause.Class
	owner                    string
	what                     string
	signed                   bool
	several                  bool // more than one cause
}

func faults() []fault {
	return []fault{
		{name: "one byte in a binary", tree: func(t *testing.T, root string) {
			flipText(t, filepath.Join(root, "usr/bin/grep"))
		}, want: want{partition: "root", file: "/usr/bin/grep", section: ".text", class: cause.Content, owner: "grep"}},
		{name: "the time of one file", tree: func(t *testing.T, root string) {
			later := time.Unix(epoch+5, 0)
			must(t, os.Chtimes(filepath.Join(root, "usr/bin/sed"), later, later))
		}, want: want{partition: "root", file: "/usr/bin/sed", class: cause.Timestamp, owner: "sed", what: "mtime"}},
		{name: "one mode bit", tree: func(t *testing.T, root string) {
			must(t, os.Chmod(filepath.Join(root, "usr/bin/grep"), 0o755|os.ModeSetuid))
		}, want: want{partition: "root", file: "/usr/bin/grep", class: cause.Permission, owner: "grep", what: "mode"}},
		{name: "a file added", tree: func(t *testing.T, root string) {
			path := filepath.Join(root, "usr/bin/added")
			must(t, os.WriteFile(path, []byte("new\n"), 0o755))
		}, want: want{partition: "root", file: "/usr/bin/added", class: cause.OneSide}},
		{name: "two entries of a folder swapped", image: func(t *testing.T, i *image) {
			i.root = swapEntries(t, i.root)
		}, want: want{partition: "root", file: "/usr/share/pair", class: cause.Order}},
		{name: "two entries of the ESP swapped", image: func(t *testing.T, i *image) { i.espSwap = true },
			want: want{partition: "esp", file: "/loader", class: cause.Order}},
		{name: "a package upgraded", tree: upgradeSed,
			want: want{partition: "root", class: cause.Version, owner: "sed", what: "package sed", several: true}},
		{name: "another compression level", args: []string{"-zlz4hc,2", "-C65536"},
			want: want{partition: "root", class: cause.Compression}},
		{name: "the disk's GUID", image: func(t *testing.T, i *image) {
			i.diskID = "00000000-1111-4222-8333-444444444444"
		}, want: want{class: cause.UUID, what: "disk GUID", section: "partition table", several: true}},
		{name: "a PE timestamp", image: func(_ *testing.T, i *image) { i.uki = latePE(i.uki) },
			want: want{partition: "esp", file: "/EFI/Linux/mangos.efi", section: "PE header", class: cause.Timestamp, what: "timestamp"}},
		{name: "an ELF build id", tree: func(t *testing.T, root string) {
			flipSection(t, filepath.Join(root, "usr/bin/sed"), ".note.gnu.build-id", 20)
		}, want: want{partition: "root", file: "/usr/bin/sed", section: ".note.gnu.build-id", class: cause.BuildID, owner: "sed"}},
		{name: "only the signatures", image: func(t *testing.T, i *image) {
			i.keys = newKeyPair(t, "another")
			_, hash := hashTree(t, i.root)
			i.signature = i.keys.rootSignature(t, hash)
			i.pcrsig = []byte(`{"sha256":[{"sig":"b3RoZXI="}]}`)
			i.link(t)
		}, want: want{class: cause.Signature, signed: true, several: true}},
		{name: "only the certificate", image: func(t *testing.T, i *image) {
			i.kernel = bzImage(t, vmlinux(t, certificate(t, "another organisation with a longer name")))
			i.link(t)
		}, want: want{partition: "esp", file: "/EFI/Linux/mangos.efi", section: "vmlinux", class: cause.Certificate, signed: true}},
		{name: "the order of the initrd", image: func(t *testing.T, i *image) {
			m := append([]member{}, initrdMembers...)
			m[1], m[2] = m[2], m[1]
			i.initrd = initrd(t, m)
			i.link(t)
		}, want: want{partition: "esp", section: ".initrd", class: cause.Order}},
		{name: "an extended attribute", tree: func(t *testing.T, root string) {
			if err := unix.Setxattr(filepath.Join(root, "usr/bin/sed"), "user.daggerContentHash", []byte("x"), 0); err != nil {
				t.Skipf("no extended attributes here: %v", err)
			}
		}, want: want{partition: "root", file: "/usr/bin/sed", class: cause.Attribute, owner: "sed", what: "xattr user.daggerContentHash"}},
		{name: "a capability", tree: func(t *testing.T, root string) {
			value := []byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
			if err := unix.Setxattr(filepath.Join(root, "usr/bin/sed"), "security.capability", value, 0); err != nil {
				t.Skipf("may not set a capability: %v", err)
			}
		}, want: want{partition: "root", file: "/usr/bin/sed", class: cause.Permission, owner: "sed", what: "xattr security.capability"}},
		{name: "a date in a text", tree: replaceText("2023-11-14 22:13:20", "2024-01-02 03:04:05"),
			want: want{partition: "root", file: "/etc/built", class: cause.Timestamp, what: "line 1"}},
		{name: "a path in a text", tree: replaceText("/home/alice/src", "/build/x"),
			want: want{partition: "root", file: "/etc/built", class: cause.Path, what: "line 2"}},
		{name: "a UUID in a text", tree: replaceText("01234567-89ab-4cde-8f01-23456789abcd", "11234567-89ab-4cde-8f01-23456789abcd"),
			want: want{partition: "root", file: "/etc/built", class: cause.UUID, what: "line 3"}},
		{name: "a random string in a text", tree: replaceText("q8Zr3kLm0PxTvW1yAbCd", "AbCdq8Zr3kLm0PxTvW1y"),
			want: want{partition: "root", file: "/etc/built", class: cause.Random, what: "line 4"}},
		{name: "a word in a text", tree: replaceText("apple", "pear"),
			want: want{partition: "root", file: "/etc/built", class: cause.Content, what: "line 5"}},
		{name: "lines in another order", tree: replaceText("one\ntwo\n", "two\none\n"),
			want: want{partition: "root", file: "/etc/built", class: cause.Order, what: "line 6"}},
		{name: "the target of a link", tree: func(t *testing.T, root string) {
			must(t, os.Remove(filepath.Join(root, "usr/share/link")))
			must(t, os.Symlink("elsewhere", filepath.Join(root, "usr/share/link")))
		}, want: want{partition: "root", file: "/usr/share/link", class: cause.Content, what: "target"}},
	}
}

// TestOracle puts each fault alone into one of two disks and requires that it
// is found where it is, and called what it is.
func TestOracle(t *testing.T) {
	tree, base, a := original(t)
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			b := f.apply(t, tree, base)
			r := compare(t, a, b)
			f.check(t, r)
			f.checkManifests(t, a, b)
		})
	}
	t.Run("nothing", func(t *testing.T) {
		if r := compare(t, a, base.build(t)); !r.Same() {
			t.Errorf("two builds of the same differ: %s", dump(r))
		}
	})
}

func addSamples(t *testing.T, tree string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Join(tree, "usr/share/pair"), 0o755))
	for _, name := range []string{"aa", "bb"} {
		must(t, os.WriteFile(filepath.Join(tree, "usr/share/pair", name), []byte(name), 0o644))
	}
	must(t, os.Symlink("target", filepath.Join(tree, "usr/share/link")))
	must(t, os.WriteFile(filepath.Join(tree, "etc/built"), []byte("on 2023-11-14 22:13:20 by hand\nin /home/alice/src\n"+
		"id 01234567-89ab-4cde-8f01-23456789abcd\nkey q8Zr3kLm0PxTvW1yAbCd\nfruit apple\none\ntwo\n"), 0o644))
}

// original returns the tree and the disk of it that the faults are put into, and the
// disk as a file.
func original(t *testing.T) (tree string, base image, disk string) {
	t.Helper()
	tree = rootTree(t)
	addSamples(t, tree)
	clampTimes(t, tree)
	base = baseImage(t, erofsImage(t, tree))
	return tree, base, base.build(t)
}

func baseImage(t *testing.T, root []byte) image {
	i := image{
		root:   root,
		kernel: bzImage(t, vmlinux(t, certificate(t, "one organisation"))),
		initrd: initrd(t, initrdMembers),
		pcrsig: []byte(`{"sha256":[{"sig":"b25l"}]}`),
		keys:   newKeyPair(t, "one"),
		diskID: "99999999-1111-4222-8333-444444444444",
	}
	i.pcrkey = i.keys.public(t)
	_, hash := hashTree(t, root)
	i.signature = i.keys.rootSignature(t, hash)
	i.link(t)
	return i
}

func (f *fault) apply(t *testing.T, tree string, base image) string {
	t.Helper()
	if f.tree != nil {
		copied := t.TempDir()
		run(t, "cp", "-a", tree+"/.", copied)
		f.tree(t, copied)
		if !strings.Contains(f.name, "time of one file") {
			clampTimes(t, copied)
		}
		base.root = erofsImage(t, copied, f.args...)
	} else if f.args != nil {
		base.root = erofsImage(t, tree, f.args...)
	}
	if f.image != nil {
		f.image(t, &base)
	}
	return base.build(t)
}

func compare(t *testing.T, pathA, pathB string) *difference.Result {
	t.Helper()
	a, closeA, err := release.Open(pathA)
	must(t, err)
	defer closeA.Close()
	b, closeB, err := release.Open(pathB)
	must(t, err)
	defer closeB.Close()
	r, err := difference.Compare(context.Background(), a, b, difference.Options{})
	must(t, err)
	return r
}

func (f *fault) check(t *testing.T, r *difference.Result) {
	t.Helper()
	if r.Same() {
		t.Fatal("no difference found")
	}
	if r.OnlySigned() != f.want.signed {
		t.Errorf("only what is signed differs: %v; %s", r.OnlySigned(), dump(r))
	}
	var causes []difference.Finding
	for _, x := range r.Findings {
		// Whoever changes what is signed signs it anew.
		if x.Class != cause.Derived && (x.Class != cause.Signature || f.want.class == cause.Signature) {
			causes = append(causes, x)
		}
	}
	if len(causes) == 0 || len(causes) > 1 && !f.want.several {
		t.Fatalf("%d causes: %s", len(causes), dump(r))
	}
	got := causes[0]
	last := got.Path[len(got.Path)-1].Name
	inPath := func(name string) bool {
		for _, s := range got.Path {
			if s.Name == name {
				return true
			}
		}
		return false
	}
	owner := ""
	if got.Owner != nil {
		owner = got.Owner.Package
	}
	w := f.want
	switch {
	case w.partition != "" && got.Within(component.Partition) != w.partition:
		t.Errorf("partition %q", got.Within(component.Partition))
	case w.file != "" && !inPath(w.file):
		t.Errorf("file %q", got.File())
	case w.section != "" && !inPath(w.section):
		t.Errorf("section %q", last)
	case got.Class != w.class:
		t.Errorf("class %q", got.Class)
	case owner != w.owner:
		t.Errorf("package %q", owner)
	case w.what != "" && got.What != w.what:
		t.Errorf("what %q", got.What)
	default:
		return
	}
	t.Errorf("want %+v; %s", w, dump(r))
}

// checkManifests requires that manifests alone lead to the same place, and so
// does the manifest of one side with the bytes of the other.
func (f *fault) checkManifests(t *testing.T, pathA, pathB string) {
	t.Helper()
	a, b := manifestOf(t, pathA), manifestOf(t, pathB)
	bytesA, closeA, err := release.Open(pathA)
	must(t, err)
	defer closeA.Close()
	for name, side := range map[string]*component.Node{"manifests": a, "bytes and manifest": bytesA} {
		r, err := difference.Compare(context.Background(), side, b, difference.Options{})
		must(t, err)
		found := false
		for _, x := range r.Findings {
			inPath := f.want.file == ""
			for _, s := range x.Path {
				inPath = inPath || s.Name == f.want.file
			}
			found = found || inPath && (f.want.partition == "" || x.Within(component.Partition) == f.want.partition)
		}
		// Manifests tell nothing of the order of entries or of how data is
		// compressed, but that the whole differs.
		if !found && f.want.class != cause.Order {
			t.Errorf("%s do not lead there: %s", name, dump(r))
		}
		if r.Same() {
			t.Errorf("%s: no difference", name)
		}
	}
	if r, err := difference.Compare(context.Background(), a, manifestOf(t, pathA), difference.Options{}); err != nil || !r.Same() {
		t.Errorf("a manifest differs from itself: %v %s", err, dump(r))
	}
	if r, err := difference.Compare(context.Background(), bytesA, a, difference.Options{}); err != nil || !r.Same() {
		t.Errorf("a disk differs from its manifest: %v %s", err, dump(r))
	}
}

func manifestOf(t *testing.T, path string) *component.Node {
	t.Helper()
	n, c, err := release.Open(path)
	must(t, err)
	defer c.Close()
	var out bytes.Buffer
	must(t, manifest.Write(context.Background(), &out, n))
	m, err := manifest.Read(&out)
	must(t, err)
	return m
}

func dump(r *difference.Result) string {
	b, _ := json.MarshalIndent(r, "", " ")
	return string(b)
}

func flipText(t *testing.T, path string) { flipSection(t, path, ".text", 0x1234) }

func flipSection(t *testing.T, path, section string, off int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	f, err := elf.NewFile(bytes.NewReader(b))
	must(t, err)
	s := f.Section(section)
	if s == nil {
		t.Fatalf("%s has no %s", path, section)
	}
	b[int64(s.Offset)+off] ^= 0x55
	must(t, os.WriteFile(path, b, 0o755))
}

// swapEntries swaps the two entries of /usr/share/pair in the image: names,
// inode numbers and types.
func swapEntries(t *testing.T, root []byte) []byte {
	t.Helper()
	b := bytes.Clone(root)
	names := bytes.Index(b, []byte("...aabb"))
	if names < 0 {
		t.Fatal("no folder with aa and bb")
	}
	copy(b[names+3:], "bbaa")
	x, y := b[names-24:names-12], b[names-12:names]
	for _, n := range []int{0, 1, 2, 3, 4, 5, 6, 7, 10} { // all but the name's offset
		x[n], y[n] = y[n], x[n]
	}
	return b
}

func upgradeSed(t *testing.T, root string) {
	status := filepath.Join(root, "usr/lib/dpkg-db/status")
	b, err := os.ReadFile(status)
	must(t, err)
	stanzas := strings.Split(string(b), "\n\n")
	for n, s := range stanzas {
		if strings.HasPrefix(s, "Package: sed\n") {
			stanzas[n] = strings.Replace(s, "\nVersion: ", "\nVersion: 9:", 1)
		}
	}
	must(t, os.WriteFile(status, []byte(strings.Join(stanzas, "\n\n")), 0o644))
	flipText(t, filepath.Join(root, "usr/bin/sed"))
	flipSection(t, filepath.Join(root, "usr/bin/sed"), ".note.gnu.build-id", 20)
	list, err := os.OpenFile(filepath.Join(root, "usr/lib/dpkg-db/info/sed.list"), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = list.WriteString("/usr/share/doc/sed/new\n")
	must(t, err)
	must(t, list.Close())
	must(t, os.WriteFile(filepath.Join(root, "usr/share/doc/sed/new"), []byte("new in this version\n"), 0o644))
}

func replaceText(from, to string) func(*testing.T, string) {
	return func(t *testing.T, root string) {
		path := filepath.Join(root, "etc/built")
		b, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Contains(b, []byte(from)) {
			t.Fatalf("%s does not hold %q", path, from)
		}
		must(t, os.WriteFile(path, bytes.Replace(b, []byte(from), []byte(to), 1), 0o644))
	}
}
