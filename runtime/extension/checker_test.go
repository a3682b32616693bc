package extension

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/runtime/console"
)

// plain stands in for the kernel: an image whose content begins with "signed\n"
// is verified, and the rest of it is its metadata.
type plain struct{}

func (plain) Release(_ context.Context, image string, _ ID) ([]byte, error) {
	text, err := os.ReadFile(image)
	if err != nil {
		return nil, err
	}
	release, ok := bytes.CutPrefix(text, []byte("signed\n"))
	if !ok {
		return nil, refuse(Unsigned, "not signed")
	}
	return release, nil
}

// memory is a Store that lasts as long as the test, or fails.
type memory struct {
	raw    []byte
	broken error
}

func (m *memory) Read() ([]byte, error) { return m.raw, m.broken }
func (m *memory) Write(raw []byte) error {
	m.raw = bytes.Clone(raw)
	return m.broken
}

type machine struct {
	*Checker
	t     *testing.T
	said  []string
	store *memory
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, store: &memory{}}
	m.Checker = &Checker{
		Root: t.TempDir(), Images: plain{},
		Policy: Policy{Purposes: []string{"org", "site"}},
		Host:   Assignments{"ID": "mangos", "CONFEXT_LEVEL": "1", "SYSEXT_LEVEL": "1"},
		Say: func(_ console.Level, format string, args ...any) {
			m.said = append(m.said, fmt.Sprintf(format, args...))
		},
	}
	return m
}

// boot forgets everything but the TPM.
func (m *machine) boot() {
	m.Root, m.said = m.t.TempDir(), nil
}

func (m *machine) put(path, text string) {
	m.t.Helper()
	full := filepath.Join(m.Root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) has(path string) bool {
	_, err := os.Lstat(filepath.Join(m.Root, path))
	return err == nil
}

// refusals returns the words of what was refused.
func (m *machine) refusals() string {
	var words []string
	for _, line := range m.said {
		if _, rest, ok := strings.Cut(line, "refused ["); ok {
			word, _, _ := strings.Cut(rest, "]")
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

func signed(name, purpose string, counter int) string {
	return fmt.Sprintf("signed\nID=_any\nMANGOS_EXTENSION_NAME=%s\nMANGOS_EXTENSION_PURPOSE=%s\nMANGOS_EXTENSION_COUNTER=%d\n", name, purpose, counter)
}

func TestAdmit(t *testing.T) {
	for _, c := range []struct {
		file, text string
		refused    string
	}{
		{"org.confext.raw", signed("org", "org", 1), ""},
		{"probe.sysext.raw", signed("probe", "site", 1), ""},
		{"org.confext.raw", "unsigned", Unsigned},
		{"org.confext.raw", signed("debug", "debug", 1), Renamed},
		{"debug.confext.raw", signed("debug", "debug", 1), BadPurpose},
		{"org.confext.raw", "signed\nID=_any\n", BadMetadata},
		{"org.confext.raw", "signed\nnonsense", BadMetadata},
		{"org.confext.raw", strings.Replace(signed("org", "org", 1), "_any", "debian", 1), BadMetadata},
		{"org.raw", signed("org", "org", 1), BadName},
	} {
		m := newMachine(t)
		m.put(Inbox+"/"+c.file, c.text)
		if err := m.Admit(t.Context(), m.store); err != nil {
			t.Fatal(err)
		}
		if m.refusals() != c.refused {
			t.Errorf("%s with %q: %q", c.file, c.text, m.said)
		}
		if m.has(Inbox + "/" + c.file) {
			t.Errorf("%s is still in the inbox", c.file)
		}
		merged := m.has("run/confexts/org.raw") || m.has("run/extensions/probe.raw") || m.has("run/confexts/debug.raw")
		if merged != (c.refused == "") {
			t.Errorf("%s with %q: merged %v", c.file, c.text, merged)
		}
		for _, class := range []Class{Confext, Sysext} {
			if err := m.Check(class); err != nil || m.refusals() != c.refused {
				t.Errorf("%s: check after admission: %v, %q", c.file, err, m.said)
			}
		}
	}
}

func TestAdmitRefusesFolders(t *testing.T) {
	m := newMachine(t)
	m.put(Inbox+"/org.confext.raw/etc/x", "")
	if err := m.Admit(t.Context(), m.store); err != nil {
		t.Fatal(err)
	}
	if m.refusals() != NotAFile || m.has(Inbox+"/org.confext.raw") {
		t.Errorf("said %q", m.said)
	}
}

func TestReplayIsRefusedAfterReboot(t *testing.T) {
	m := newMachine(t)
	for _, c := range []struct {
		counter int
		refused string
	}{{2, ""}, {2, ""}, {5, ""}, {4, Replayed}, {5, ""}, {1, Replayed}} {
		m.boot()
		m.put(Inbox+"/org.confext.raw", signed("org", "org", c.counter))
		if err := m.Admit(t.Context(), m.store); err != nil {
			t.Fatal(err)
		}
		if m.refusals() != c.refused || m.has("run/confexts/org.raw") != (c.refused == "") {
			t.Errorf("counter %d: said %q", c.counter, m.said)
		}
	}
}

func TestClearedTPMIsSaid(t *testing.T) {
	m := newMachine(t)
	for _, c := range []struct {
		cleared bool
		counter int
	}{{true, 5}, {false, 5}, {true, 1}} {
		m.boot()
		if c.cleared {
			m.store.raw = nil
		}
		m.put(Inbox+"/org.confext.raw", signed("org", "org", c.counter))
		if err := m.Admit(t.Context(), m.store); err != nil {
			t.Fatal(err)
		}
		if said := slices.Contains(m.said, NoCounters); said != c.cleared {
			t.Errorf("cleared %t, counter %d: said %q", c.cleared, c.counter, m.said)
		}
	}
}

func TestNoMemoryNoExtension(t *testing.T) {
	for _, store := range []*memory{{broken: errors.New("TPM is gone")}, {raw: []byte("damaged")}} {
		m := newMachine(t)
		m.put(Inbox+"/org.confext.raw", signed("org", "org", 1))
		if err := m.Admit(t.Context(), store); err != nil {
			t.Fatal(err)
		}
		if m.refusals() != NoMemory || m.has("run/confexts/org.raw") {
			t.Errorf("said %q", m.said)
		}
	}
}

func TestRequired(t *testing.T) {
	m := newMachine(t)
	m.Policy.Required = []ID{{Confext, "org"}}
	if err := m.Required(m.store); !errors.Is(err, ErrRequired) {
		t.Errorf("nothing admitted: %v", err)
	}
	m.put(Inbox+"/org.confext.raw", signed("org", "org", 1))
	if err := errors.Join(m.Admit(t.Context(), m.store), m.Required(m.store)); err != nil {
		t.Errorf("admitted: %v", err)
	}
}

// TestRequiredOnceSeen: a machine that has been its organisation's does not start without
// that extension any more, whether it is taken away or an old one is put there.
func TestRequiredOnceSeen(t *testing.T) {
	m := newMachine(t)
	if err := m.Required(m.store); err != nil {
		t.Errorf("a new machine: %v", err)
	}
	m.put(Inbox+"/probe.sysext.raw", signed("probe", "site", 1))
	m.put(Inbox+"/org.confext.raw", signed("org", "org", 2))
	if err := errors.Join(m.Admit(t.Context(), m.store), m.Required(m.store)); err != nil {
		t.Errorf("both admitted: %v", err)
	}
	m.boot()
	if err := m.Required(m.store); !errors.Is(err, ErrRequired) || !strings.Contains(err.Error(), "confext org") || strings.Contains(err.Error(), "probe") {
		t.Errorf("nothing there: %v", err)
	}
	m.boot()
	m.put(Inbox+"/org.confext.raw", signed("org", "org", 1))
	if err := errors.Join(m.Admit(t.Context(), m.store), m.Required(m.store)); !errors.Is(err, ErrRequired) {
		t.Errorf("an old one: %v", err)
	}
	m.boot()
	m.put(Inbox+"/org.confext.raw", signed("org", "org", 3))
	if err := errors.Join(m.Admit(t.Context(), m.store), m.Required(m.store)); err != nil {
		t.Errorf("a newer one: %v", err)
	}
}

func TestRequiredWithoutMemory(t *testing.T) {
	for _, store := range []*memory{{broken: errors.New("no answer")}, {raw: []byte("x")}} {
		if err := newMachine(t).Required(store); err == nil || errors.Is(err, ErrRequired) {
			t.Errorf("table %q, %v: %v", store.raw, store.broken, err)
		}
	}
}

func TestCheckSetsAside(t *testing.T) {
	for path, want := range map[string]string{
		"run/confexts/evil/etc/shadow":     NotAFile,
		"run/confexts/other.raw":           NotApproved,
		"run/confexts/org.confext.raw":     NotApproved,
		"run/confexts/org.raw.v/x.raw":     NotAFile,
		"run/confexts/org.roothash":        NotApproved,
		"var/lib/confexts/org.raw":         NotApproved,
		"var/lib/confexts/org.mutable/x":   Mutable,
		"var/lib/confexts.mutable/etc/x":   Mutable,
		"var/lib/extensions.mutable/etc/x": Mutable,
		"run/confexts.mutable":             Mutable,
	} {
		m := newMachine(t)
		m.put(Inbox+"/org.confext.raw", signed("org", "org", 1))
		if err := m.Admit(t.Context(), m.store); err != nil {
			t.Fatal(err)
		}
		m.put(path, "x")
		if err := m.Check(Confext); err != nil || m.refusals() != want {
			t.Errorf("%s: %v, %q", path, err, m.said)
		}
		if m.has(path) {
			t.Errorf("%s is still there", path)
		}
		if !m.has("run/confexts/org.raw") {
			t.Errorf("%s: the admitted extension is gone", path)
		}
		if err := m.Check(Confext); err != nil || m.refusals() != want {
			t.Errorf("%s: a second check: %v, %q", path, err, m.said)
		}
	}
}

func TestCheckWithoutWayOut(t *testing.T) {
	for _, path := range []string{"etc/extensions/evil/usr/x", "usr/lib/extensions/evil.raw", "etc/extensions.mutable/x"} {
		m := newMachine(t)
		m.put(path, "x")
		if err := m.Check(Sysext); err == nil {
			t.Errorf("%s: no error, said %q", path, m.said)
		}
	}
}

func TestCheckRefusesAReplacedImage(t *testing.T) {
	m := newMachine(t)
	m.put(Inbox+"/org.confext.raw", signed("org", "org", 1))
	if err := m.Admit(t.Context(), m.store); err != nil {
		t.Fatal(err)
	}
	m.put("run/confexts/org.raw", "something else")
	if err := m.Check(Confext); err != nil || m.refusals() != NotApproved || m.has("run/confexts/org.raw") {
		t.Errorf("%v, said %q", err, m.said)
	}
}

func TestCheckSearchFolderIsALink(t *testing.T) {
	m := newMachine(t)
	m.put("tmp/evil/a.raw", "x")
	if err := os.MkdirAll(filepath.Join(m.Root, "var/lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../tmp/evil", filepath.Join(m.Root, "var/lib/confexts")); err != nil {
		t.Fatal(err)
	}
	if err := m.Check(Confext); err != nil || m.refusals() != NotApproved || m.has("var/lib/confexts") {
		t.Errorf("%v, said %q", err, m.said)
	}
}

func TestCollect(t *testing.T) {
	esp, inbox := t.TempDir(), filepath.Join(t.TempDir(), "inbox")
	folder := filepath.Join(esp, Source)
	if err := Collect(esp, inbox, nil); err != nil {
		t.Fatalf("an ESP without the folder: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(folder, "dir.confext.raw"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int64{"org.confext.raw": 10, "big.sysext.raw": MaxSize + 1, "readme.txt": 1} {
		f, err := os.Create(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(folder, "link.confext.raw")); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	if err := Collect(esp, inbox, func(file string, _ int64, err error) { got[file] = word(err) }); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"org.confext.raw": "", "big.sysext.raw": TooLarge, "readme.txt": BadName, "dir.confext.raw": NotAFile, "link.confext.raw": NotAFile}
	for file, w := range want {
		if g, ok := got[file]; !ok || g != w {
			t.Errorf("%s: %q, want %q", file, g, w)
		}
	}
	names, err := pending(inbox)
	if err != nil || len(names) != 1 || names[0] != "org.confext.raw" {
		t.Errorf("the inbox has %q, %v", names, err)
	}
}

// TestCollectStopsAtMaxTotal: what is taken fills no memory, and the organisation's own
// is taken first.
func TestCollectStopsAtMaxTotal(t *testing.T) {
	esp, inbox := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(esp, Source), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int64{"org.confext.raw": 10, "a.sysext.raw": MaxSize, "b.sysext.raw": MaxSize, "c.sysext.raw": MaxSize - 10} {
		path := filepath.Join(esp, Source, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	err := Collect(esp, inbox, func(file string, size int64, err error) {
		got = append(got, fmt.Sprintf("%s %d %s", file, size, word(err)))
	})
	want := []string{
		"org.confext.raw 10 ", fmt.Sprintf("a.sysext.raw %d ", MaxSize),
		"b.sysext.raw 0 " + TooLarge, fmt.Sprintf("c.sysext.raw %d ", MaxSize-10),
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

// TestCollectStopsAtMaxFiles: however many there are, the organisation's own is taken.
func TestCollectStopsAtMaxFiles(t *testing.T) {
	esp, inbox := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(esp, Source), 0o755); err != nil {
		t.Fatal(err)
	}
	names := []string{"org.confext.raw"}
	for i := range MaxFiles + 1 {
		names = append(names, fmt.Sprintf("a%02d.confext.raw", i))
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(esp, Source, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused := 0
	err := Collect(esp, inbox, func(_ string, _ int64, err error) {
		if word(err) == TooMany {
			refused++
		}
	})
	if err != nil || refused != 2 {
		t.Fatalf("%d refused, %v", refused, err)
	}
	if _, err := os.Stat(filepath.Join(inbox, "org.confext.raw")); err != nil {
		t.Error(err)
	}
}

// onVerity is a kernel that says of the device that the folder lies on what is given.
func onVerity(t *testing.T, folder, uuid string) Kernel {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(folder, &st); err != nil {
		t.Fatal(err)
	}
	k := Kernel{Root: t.TempDir(), Mount: folder}
	dm := filepath.Join(k.Root, fmt.Sprintf("sys/dev/block/%d:%d/dm", unix.Major(st.Dev), unix.Minor(st.Dev)))
	if err := errors.Join(os.MkdirAll(dm, 0o755), os.WriteFile(filepath.Join(dm, "uuid"), []byte(uuid), 0o600)); err != nil {
		t.Fatal(err)
	}
	return k
}

func TestReadRelease(t *testing.T) {
	image := t.TempDir()
	k := onVerity(t, image, "CRYPT-VERITY-1-mangos-extension\n")
	id := ID{Confext, "org"}
	folder := filepath.Join(image, "etc/extension-release.d")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := k.readRelease(id); word(err) != Renamed {
		t.Errorf("no file: %v", err)
	}
	file := filepath.Join(folder, "extension-release.org")
	if err := os.Symlink("/etc/os-release", file); err != nil {
		t.Fatal(err)
	}
	if _, err := k.readRelease(id); err == nil {
		t.Error("a link was followed")
	}
	if err := errors.Join(os.Remove(file), os.WriteFile(file, []byte("ID=x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if text, err := k.readRelease(id); err != nil || string(text) != "ID=x" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestKernelRequiresSignatures(t *testing.T) {
	root := t.TempDir()
	k := Kernel{Root: root, Mount: filepath.Join(root, "mnt")}
	if _, err := k.Release(t.Context(), "image", ID{Confext, "org"}); err == nil {
		t.Error("a kernel without dm-verity was accepted")
	}
	path := filepath.Join(root, "sys/module/dm_verity/parameters/require_signatures")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("N\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Release(t.Context(), "image", ID{Confext, "org"}); word(err) != Unsigned {
		t.Errorf("got %v", err)
	}
}

func TestMountedWithoutVerity(t *testing.T) {
	image, id := t.TempDir(), ID{Confext, "org"}
	file := filepath.Join(image, ReleasePath(id))
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte("ID=x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]Kernel{
		"no device-mapper": {Root: t.TempDir(), Mount: image},
		"another target":   onVerity(t, image, "CRYPT-LUKS2-1-x\n"),
	} {
		if text, err := k.readRelease(id); word(err) != Unsigned {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// image writes a disk image with partitions of the given types; the signature
// partition is for a root hash made up.
func image(t *testing.T, signature []byte, types ...gpt.GUID) *os.File {
	t.Helper()
	table := &gpt.Table{SectorSize: 512, DiskID: gpt.DeriveGUID("disk")}
	for i, kind := range types {
		size := int64(8192)
		if kind == gpt.TypeRootVeritySig {
			size = int64(len(signature))
		}
		table.Partitions = append(table.Partitions, gpt.Partition{Type: kind, ID: gpt.DeriveGUID(fmt.Sprint(i)), Size: size})
	}
	table.Layout()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := errors.Join(f.Truncate(table.DiskSize), table.Write(f)); err != nil {
		t.Fatal(err)
	}
	for _, p := range table.Partitions {
		if p.Type == gpt.TypeRootVeritySig {
			if _, err := f.WriteAt(signature, p.Start); err != nil {
				t.Fatal(err)
			}
		}
	}
	return f
}

func TestDissect(t *testing.T) {
	good, err := (&verity.Signature{Root: verity.RootHash{1}, PKCS7: []byte("x")}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	root, tree, sig := gpt.TypeRoot, gpt.TypeRootVerity, gpt.TypeRootVeritySig
	p, err := dissect(image(t, good, root, tree, sig))
	if err != nil || p.signature.Root != (verity.RootHash{1}) || p.root.Size != 8192 || p.tree.Type != tree {
		t.Errorf("%v, %v", p, err)
	}
	for name, f := range map[string]*os.File{
		"no signature":     image(t, good, root, tree),
		"two roots":        image(t, good, root, root, tree, sig),
		"two signatures":   image(t, good, root, sig, sig),
		"another as well":  image(t, good, root, tree, sig, gpt.TypeUsr),
		"only others":      image(t, good, gpt.TypeUsr, gpt.TypeUsrVerity, sig),
		"bad signature":    image(t, bytes.Repeat([]byte("x"), 4096), root, tree, sig),
		"a huge signature": image(t, make([]byte, verity.MaxSignature+4096), root, tree, sig),
	} {
		if _, err := dissect(f); word(err) != Unsigned {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain, err := os.Create(filepath.Join(t.TempDir(), "plain"))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if err := plain.Truncate(1 << 20); err != nil {
		t.Fatal(err)
	}
	if _, err := dissect(plain); word(err) != Unsigned {
		t.Errorf("no partition table: %v", err)
	}
}
