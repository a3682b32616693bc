package trace

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/attest/evidence"
	"github.com/mastercard/mangos/attest/keys"
)

// TestProducts: what the statements of a release name as products is known by its digest
// and by its name, and what is in no part of the image is told with the steps that made it.
func TestProducts(t *testing.T) {
	w := newWorld(t)
	for given, o := range map[string]Options{"neither": {}, "a key": {Keys: []crypto.PublicKey{w.key.Public()}}, "a policy": w.checked()} {
		r := open(t, w.dir, o)
		for _, record := range w.records {
			for _, p := range record.Products {
				for _, asked := range []string{p.SHA256, p.Name} {
					x, err := r.Trace(asked)
					if err != nil {
						t.Errorf("%s, %s of step %s: %v", given, asked, record.Step, err)
						continue
					}
					isPart := slices.Contains(components, asked)
					if x.Untrusted() || !isPart && x.SHA256 != p.SHA256 || x.Component == "" && !strings.Contains(" "+told(x)+" ", " "+record.Step+":"+p.Name+" ") {
						t.Errorf("%s, %s of step %s: untrusted %v\n%s", given, asked, record.Step, x.Untrusted(), x.Text())
					}
					onScreen(t, asked, x.Text())
				}
			}
		}
	}
	x, err := open(t, w.dir, w.checked()).Trace(digest("boot.efi"))
	must(t, err)
	for _, want := range []string{"is       boot.efi: product of step sign-boot\n", "origin   the boot loader, signed\n", "built    sign-boot\n", "signed   by Example Bank"} {
		if !strings.Contains(x.Text(), want) {
			t.Errorf("%q is not told:\n%s", want, x.Text())
		}
	}
}

// TestProductsTrust: a product is known by its statement, and as far as that counts.
func TestProductsTrust(t *testing.T) {
	w := newWorld(t)
	_, other, err := ed25519.GenerateKey(nil)
	must(t, err)
	name := evidence.StatementName(entry, "sign-boot")
	w.statement(t, w.of("sign-boot"), name, other)
	x, err := open(t, w.dir, w.checked()).Trace(digest("boot.efi"))
	must(t, err)
	if !x.Untrusted() || !slices.ContainsFunc(x.Faults, func(f string) bool { return strings.HasPrefix(f, "step sign-boot: ") }) {
		t.Errorf("a statement by another key is trusted:\n%s", x.Text())
	}
	w.remove(t, name)
	for _, asked := range []string{digest("boot.efi"), "boot.efi", "/boot/EFI/BOOT/BOOTX64.EFI"} {
		if x, err := open(t, w.dir, w.checked()).Trace(asked); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s is known without a statement: %+v, %v", asked, x, err)
		}
	}
}

// TestBootPartition: files by their paths on the EFI system partition.
func TestBootPartition(t *testing.T) {
	w := newWorld(t)
	r := open(t, w.dir, w.checked())
	for asked, want := range map[string]string{
		"/boot/EFI/BOOT/BOOTX64.EFI":         "sign-boot:boot.efi",
		"/EFI/BOOT/BOOTX64.EFI":              "sign-boot:boot.efi",
		"/boot/EFI/Linux/mangos_0.1.efi":     "sign:mangos_0.1.efi",
		"/boot/EFI/Linux/mangos_0.1+2-1.efi": "sign:mangos_0.1.efi",
		"/boot/loader/loader.conf":           "disk:",
	} {
		x, err := r.Trace(asked)
		if err != nil || told(x) != want || x.Untrusted() {
			t.Errorf("%s: %v, %+v", asked, err, x)
			continue
		}
		onScreen(t, asked, x.Text())
	}
	for _, asked := range []string{"/boot/EFI/Linux/other.efi", "/boot/loader/entries/evil.conf", "initrd:/boot/loader/loader.conf", "/boot/mangos/extensions/org.confext.raw"} {
		if x, err := r.Trace(asked); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s is known: %+v, %v", asked, x, err)
		}
	}
}

// TestFolders: a folder is told as one, with the parts of the image that have it.
func TestFolders(t *testing.T) {
	w := newWorld(t)
	r := open(t, w.dir, w.checked())
	for asked, want := range map[string]struct{ at, elsewhere string }{
		"/etc": {"root:/etc", "initrd:/etc (a folder)"}, "/usr/bin/": {"root:/usr/bin", ""}, "initrd:/etc": {"initrd:/etc", ""},
		"/": {"root:/", "initrd:/ (a folder), kernel:/ (a folder), boot:/ (a folder), microcode:/ (a folder)"}, "/usr/lib/firmware/../firmware": {"microcode:/usr/lib/firmware", ""},
		"boot:/usr/lib/systemd/boot/efi": {"boot:/usr/lib/systemd/boot/efi", ""},
	} {
		x, err := r.Trace(asked)
		if err != nil {
			t.Errorf("%s: %v", asked, err)
			continue
		}
		if at := x.Component + ":" + x.Path; !x.Folder || x.SHA256 != "" || at != want.at || strings.Join(x.Elsewhere, ", ") != want.elsewhere || x.Untrusted() || len(x.Built) == 0 {
			t.Errorf("%s: untrusted %v, %q, %s, also %q", asked, x.Untrusted(), x.Faults, at, x.Elsewhere)
		}
		if !strings.Contains(x.Text(), "folder   "+x.Path+", in ") {
			t.Errorf("%s: it is not called a folder:\n%s", asked, x.Text())
		}
		onScreen(t, asked, x.Text())
	}
	for _, asked := range []string{"/et", "/usr/b", "initrd:/usr/bin", "/etc/motd/x", "/usr/bin/sh/x"} {
		if x, err := r.Trace(asked); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s is known: %+v, %v", asked, x, err)
		}
	}
}

// TestExtension: of what may be a file of the organisation's extension it is said, and no
// path or digest of one is known.
func TestExtension(t *testing.T) {
	w := newWorld(t)
	asked := []string{"/etc/app.conf", digest("app.conf")}
	for _, a := range asked {
		if _, err := open(t, w.dir, Options{}).Trace(a); !errors.Is(err, ErrUnknown) || strings.Contains(err.Error(), "confext") {
			t.Errorf("%s, without an extension: %v", a, err)
		}
	}
	const name = "org_0.1.confext.raw"
	w.list(t, name, "extension")
	w.of("extension").Products[0].Name, w.of("extension").Products[0].SHA256 = name, digest("extension")
	w.of("extension").Products = w.of("extension").Products[:1]
	w.state(t)
	r := open(t, w.dir, Options{})
	for _, a := range asked {
		if _, err := r.Trace(a); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "it may be in "+name) {
			t.Errorf("%s: %v", a, err)
		}
	}
	if _, err := r.Trace("/usr/app"); !errors.Is(err, ErrUnknown) || strings.Contains(err.Error(), name) {
		t.Errorf("what no extension has: %v", err)
	}
	for a, want := range map[string]bool{"/etc/motd": true, "/usr/bin/bash": false, "initrd:/etc/fstab": false} {
		x, err := r.Trace(a)
		if err != nil || slices.ContainsFunc(x.Elsewhere, func(e string) bool { return strings.HasPrefix(e, name) }) != want {
			t.Errorf("%s: %v, %+v", a, err, x)
		}
	}
	x, err := r.Trace("/boot/mangos/extensions/org.confext.raw")
	if err != nil || x.Path != name || told(x) != "extension:"+name {
		t.Errorf("the extension: %v, %+v", err, x)
	}
}

// list adds a file to the release, and to the list of its files.
func (w *world) list(t *testing.T, name, content string) {
	t.Helper()
	sums, err := os.ReadFile(filepath.Join(w.dir, "SHA256SUMS"))
	must(t, err)
	write(t, w.dir, name, content)
	write(t, w.dir, "SHA256SUMS", string(sums)+digest(content)+" *"+name+"\n")
}

// TestList: the list of the release's files is known, and trusted if a release key of the
// policy signed it.
func TestList(t *testing.T) {
	const sums, signature = "SHA256SUMS", "SHA256SUMS.gpg"
	for name, row := range map[string]struct {
		change  func(w *world)
		trusted bool
	}{
		"as it was signed": {func(*world) {}, true},
		"another text":     {func(w *world) { w.list(t, "more", "x") }, false},
		"another's key":    {func(w *world) { w.policy.Checksums = [][]byte{w.archive.Public(t)} }, false},
		"no key":           {func(w *world) { w.policy.Checksums = nil }, false},
	} {
		w := newWorld(t)
		w.sign(t)
		row.change(w)
		for _, file := range []string{sums, signature} {
			content, err := os.ReadFile(filepath.Join(w.dir, file))
			must(t, err)
			for _, asked := range []string{file, digestOf(content)} {
				x, err := open(t, w.dir, w.checked()).Trace(asked)
				if err != nil || x.Path != file || x.SHA256 != digestOf(content) || x.Untrusted() == row.trusted || strings.Contains(x.Origin, "signed by the release key") != row.trusted {
					t.Errorf("%s, %s: %v, %+v", name, asked, err, x)
					continue
				}
				onScreen(t, asked, x.Text())
				x, err = open(t, w.dir, Options{Keys: []crypto.PublicKey{w.key.Public()}}).Trace(asked)
				if err != nil || !x.Untrusted() || !strings.Contains(x.Text(), "was not checked") {
					t.Errorf("%s, %s, without a policy: %v, %+v", name, asked, err, x)
				}
			}
		}
	}
}

// sign signs the list of the release's files by a release key, which the policy gets.
func (w *world) sign(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	_, err := keys.Generate(dir, keys.Options{Organisation: "Example Bank", Roles: []keys.Role{keys.Release}})
	must(t, err)
	private, err := os.ReadFile(filepath.Join(dir, "release.key"))
	must(t, err)
	public, err := os.ReadFile(filepath.Join(dir, "release.pub"))
	must(t, err)
	sums, err := os.ReadFile(filepath.Join(w.dir, "SHA256SUMS"))
	must(t, err)
	signature, err := keys.SignSums(private, bytes.NewReader(sums), time.Unix(1_700_000_000, 0))
	must(t, err)
	write(t, w.dir, "SHA256SUMS.gpg", string(signature))
	w.policy.Checksums = [][]byte{public}
}
