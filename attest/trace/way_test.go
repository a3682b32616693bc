package trace

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/attest/evidence"
	"github.com/mastercard/mangos/attest/record"
	"github.com/mastercard/mangos/modules/debian/debtest"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// ways are the steps by which things got into the image, each with its product.
var ways = map[string]string{
	"/usr/bin/bash":                          "packages-root:locked/debian/pool/bash.deb tree-root:root.tree erofs:root.erofs verity:root.verity disk:mangos_0.1.raw.zst",
	"/usr/bin/sh":                            "packages-root:locked/debian/pool/bash.deb tree-root:root.tree erofs:root.erofs verity:root.verity disk:mangos_0.1.raw.zst",
	"/usr/share/ü":                           "packages-root:locked/debian/pool/stdc.deb tree-root:root.tree erofs:root.erofs verity:root.verity disk:mangos_0.1.raw.zst",
	"/etc/ld.so.cache":                       "tree-root:root.tree erofs:root.erofs verity:root.verity disk:mangos_0.1.raw.zst",
	"/etc/motd":                              "tree-root:root.tree erofs:root.erofs verity:root.verity disk:mangos_0.1.raw.zst",
	"/etc/os-release":                        "erofs:root.erofs verity:root.verity disk:mangos_0.1.raw.zst",
	"/usr/share/doc/sbom":                    "sbom-device:document/usr/share/mangos/sbom.spdx.json.zst erofs:root.erofs verity:root.verity disk:mangos_0.1.raw.zst",
	"/etc/issue":                             "source:source/modules/image/tree/root/etc/issue erofs:root.erofs verity:root.verity disk:mangos_0.1.raw.zst",
	"/usr/lib/mangos/gate":                   "programs:program/gate erofs:root.erofs verity:root.verity disk:mangos_0.1.raw.zst",
	"initrd:/usr/lib/mangos/gate":            "programs:program/gate initrd:initrd.cpio uki:uki.efi sign:mangos_0.1.efi disk:mangos_0.1.raw.zst",
	"initrd:/usr/lib/libc.so":                "packages-initrd:locked/debian/pool/bash.deb tree-initrd:initrd.tree initrd:initrd.cpio uki:uki.efi sign:mangos_0.1.efi disk:mangos_0.1.raw.zst",
	"initrd:/usr/lib/none":                   "tree-initrd:initrd.tree initrd:initrd.cpio uki:uki.efi sign:mangos_0.1.efi disk:mangos_0.1.raw.zst",
	"initrd:/etc/fstab":                      "source:source/modules/image/tree/initrd/etc/fstab initrd:initrd.cpio uki:uki.efi sign:mangos_0.1.efi disk:mangos_0.1.raw.zst",
	"kernel":                                 "packages-source-linux:locked/debian/pool/linux.dsc kernel:compiled/x kernel-packed:kernel/bzImage certificate:certified/bzImage uki:uki.efi sign:mangos_0.1.efi disk:mangos_0.1.raw.zst",
	"kernel:/vmlinux":                        "packages-source-linux:locked/debian/pool/linux.dsc kernel:compiled/x kernel-packed:kernel/bzImage certificate:certified/bzImage uki:uki.efi sign:mangos_0.1.efi disk:mangos_0.1.raw.zst",
	"kernel:/bzImage":                        "packages-source-linux:locked/debian/pool/linux.dsc kernel:compiled/x kernel-packed:kernel/bzImage certificate:certified/bzImage uki:uki.efi sign:mangos_0.1.efi disk:mangos_0.1.raw.zst",
	"boot:/" + stub:                          "packages-imagetools:locked/debian/pool/boot.deb uki:uki.efi sign:mangos_0.1.efi disk:mangos_0.1.raw.zst",
	"boot:/" + loader:                        "packages-imagetools:locked/debian/pool/boot.deb sign-boot:boot.efi disk:mangos_0.1.raw.zst",
	"/usr/lib/firmware/intel-ucode/06-0f-06": "packages-microcode:locked/debian/pool/ucode.deb tree-microcode:microcode.tree microcode:microcode.cpio uki:uki.efi sign:mangos_0.1.efi disk:mangos_0.1.raw.zst",
	// In no part of the image, but made by a step.
	digest("bash.deb"):     "packages-root:locked/debian/pool/bash.deb packages-initrd:locked/debian/pool/bash.deb packages-imagetools:locked/debian/pool/bash.deb packages-build:locked/debian/pool/bash.deb",
	digest("bash.dsc"):     "",
	digest("linux.dsc"):    "packages-source-linux:locked/debian/pool/linux.dsc",
	"mangos_0.1.raw.zst":   "disk:mangos_0.1.raw.zst",
	document:               "sbom:" + document,
	"mangos_0.1.lock.json": "source:source/debian.lock.json",
	"root": "source:source/modules/image/tree/root/etc/issue programs:program/attest packages-root:locked/debian/pool/bash.deb tree-root:root.tree " +
		"sbom-device:document/usr/share/mangos/sbom.spdx.json.zst erofs:root.erofs verity:root.verity disk:mangos_0.1.raw.zst",
}

// told are the steps of a result with their products.
func told(r *Result) string {
	var list []string
	for _, b := range r.Built {
		list = append(list, b.Step+":"+b.Product)
	}
	return strings.Join(list, " ")
}

// TestWay: who built it are the steps on its way into the image and no other, with and
// without a policy, and in every form.
func TestWay(t *testing.T) {
	w := newWorld(t)
	if _, err := evidence.Make(w.records, w.options()); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{"no policy": {}, "a policy": w.checked()} {
		r := open(t, w.dir, o)
		for asked, want := range ways {
			x, err := r.Trace(asked)
			if err != nil {
				t.Errorf("%s, %s: %v", asked, name, err)
				continue
			}
			if told(x) != want {
				t.Errorf("%s, %s: it got there by\n%s, want\n%s", asked, name, told(x), want)
			}
			if len(x.Faults) > 0 || x.Untrusted() {
				t.Errorf("%s, %s: it is untrusted: %q", asked, name, x.Faults)
			}
			text, tree := x.Text(), x.Tree()
			for _, b := range x.Built {
				if !strings.Contains(text, b.Step) || !strings.Contains(tree, "step "+b.Step+" "+b.Product) {
					t.Errorf("%s, %s: step %s is not told\n%s%s", asked, name, b.Step, text, tree)
				}
			}
			if n := strings.Count(text, "signatures not checked"); o.Policy == nil && n != min(len(x.Built), 1) || o.Policy != nil && n != 0 {
				t.Errorf("%s, %s: it says %d times that signatures were not checked\n%s", asked, name, n, text)
			}
		}
		for _, asked := range []string{"/nope", "initrd:/usr/bin/bash", digest("nothing")} {
			if x, err := r.Trace(asked); !errors.Is(err, ErrUnknown) {
				t.Errorf("%s, %s: it is known: %+v, %v", asked, name, x, err)
			}
		}
	}
}

// TestRemoved: with a policy each step on the way must have its statement and its link;
// of the others it does not matter.
func TestRemoved(t *testing.T) {
	asked := []string{"/usr/bin/bash", "kernel", "/usr/lib/mangos/gate", "/etc/ld.so.cache", "initrd:/usr/lib/libc.so", "/etc/issue", "boot:/" + loader}
	w := newWorld(t)
	for _, record := range w.records {
		for kind, pattern := range map[string]string{
			"statement": evidence.StatementName(entry, record.Step), "link": record.Step + ".????????.link",
		} {
			put := w.remove(t, pattern)
			r, free := open(t, w.dir, w.checked()), open(t, w.dir, Options{})
			for _, a := range asked {
				x, err := r.Trace(a)
				must(t, err)
				on := slices.Contains(strings.Fields(steps(x)), record.Step)
				says := slices.ContainsFunc(x.Faults, func(f string) bool { return strings.HasPrefix(f, "step "+record.Step+": ") })
				if slices.ContainsFunc(x.Faults, func(f string) bool { return strings.Count(f, "step "+record.Step+": ") > 1 }) {
					t.Errorf("%s of step %s removed, %s: the step is named twice: %q", kind, record.Step, a, x.Faults)
				}
				want := on || record.Step == "sbom"
				if on != says || x.Untrusted() != want || on && (!strings.Contains(x.Text(), "step "+record.Step+": ") || !strings.Contains(x.Tree(), "step "+record.Step+": ")) {
					t.Errorf("%s of step %s removed, %s: untrusted %v, want %v\n%s", kind, record.Step, a, x.Untrusted(), want, x.Text())
				}
				if kind == "link" {
					continue
				}
				x, err = free.Trace(a)
				must(t, err)
				if x.Untrusted() || strings.Contains(x.Text(), "there is no statement of it") != on {
					t.Errorf("%s of step %s removed, %s, without a policy:\n%s", kind, record.Step, a, x.Text())
				}
			}
			put()
		}
	}
	w.remove(t, "root.layout")
	if x, err := open(t, w.dir, w.checked()).Trace("/usr/bin/bash"); err != nil || !x.Untrusted() || len(x.Faults) != 1 || !strings.Contains(x.Faults[0], "there is no root.layout") {
		t.Errorf("no layout: %v\n%s", err, x.Text())
	}
}

// TestBroken: evidence by the right key that does not fit together, or not the thing.
func TestBroken(t *testing.T) {
	input := func(r *record.Record, name string) *record.Item {
		return &r.Materials[slices.IndexFunc(r.Materials, func(i record.Item) bool { return i.Name == name })]
	}
	product := func(r *record.Record, name string) *record.Item {
		return &r.Products[slices.IndexFunc(r.Products, func(i record.Item) bool { return i.Name == name })]
	}
	other := digest("other")
	for name, row := range map[string]struct {
		asked  string
		change func(w *world)
		says   string
	}{
		"another tree":      {"/usr/bin/bash", func(w *world) { input(w.of("erofs"), "root.tree").SHA256 = other }, "step erofs used root.tree with SHA-256"},
		"another root":      {"/etc/motd", func(w *world) { input(w.of("disk"), "root.erofs").SHA256 = other }, "step disk used root.erofs with SHA-256"},
		"another hash tree": {"/etc/motd", func(w *world) { input(w.of("disk"), "root.verity").SHA256 = other }, "step disk used root.verity with SHA-256"},
		"another package": {"/usr/bin/bash", func(w *world) {
			input(w.of("tree-root"), "locked/debian/pool/bash.deb").SHA256 = other
			product(w.of("packages-root"), "locked/debian/pool/bash.deb").SHA256 = other
		}, "step tree-root used nothing with SHA-256 " + short(digest("bash.deb"))},
		"another program": {"initrd:/usr/lib/mangos/gate", func(w *world) {
			product(w.of("programs"), "program/gate").SHA256 = other
			input(w.of("initrd"), "device/initrd/usr/lib/mangos/gate").SHA256 = other
		}, "step initrd used nothing with SHA-256 " + short(digest("usr/lib/mangos/gate"))},
		"another file of the repository": {"/etc/issue", func(w *world) {
			product(w.of("source"), "source/modules/image/tree/root/etc/issue").SHA256 = other
			input(w.of("erofs"), "source/modules/image/tree/root/etc/issue").SHA256 = other
		}, "step erofs used nothing with SHA-256 " + short(digest("etc/issue"))},
		"another kernel": {"kernel", func(w *world) {
			product(w.of("packages-source-linux"), "locked/debian/pool/linux.orig.tar.xz").SHA256 = other
			input(w.of("kernel"), "locked/debian/pool/linux.orig.tar.xz").SHA256 = other
		}, "step kernel used nothing with SHA-256 " + short(digest("linux.orig.tar.xz"))},
		"nothing of it": {"kernel", func(w *world) {
			r := w.of("sign")
			r.Materials = slices.DeleteFunc(r.Materials, func(i record.Item) bool { return i.Name == "uki.efi" })
		}, "step sign used nothing that step uki made"},
		"a bill of materials of another root": {"/etc/motd", func(w *world) { input(w.of("sbom"), "root.erofs").SHA256 = other }, "step sbom used root.erofs with SHA-256"},
	} {
		w := newWorld(t)
		row.change(w)
		w.state(t)
		x, err := open(t, w.dir, w.checked()).Trace(row.asked)
		must(t, err)
		if !x.Untrusted() || !slices.ContainsFunc(x.Faults, func(f string) bool { return strings.HasPrefix(f, row.says) }) {
			t.Errorf("%s: untrusted %v, %q", name, x.Untrusted(), x.Faults)
		}
		onScreen(t, name, x.Text())
	}
}

// TestStatementPolicy: what the policy says of statements is asked of each step.
func TestStatementPolicy(t *testing.T) {
	other, _, err := ed25519.GenerateKey(nil)
	must(t, err)
	for name, row := range map[string]struct {
		change func(t *testing.T, w *world)
		says   string
	}{
		"another builder": {func(_ *testing.T, w *world) { w.policy.Statements.Builders = []string{"https://other.example.com/"} }, "is not one that the policy names"},
		"two keys": {func(_ *testing.T, w *world) {
			w.policy.Statements.Threshold, w.policy.Statements.Organisations = 2, nil
			w.policy.Statements.Keys = append(w.policy.Statements.Keys, other)
		}, "step tree-root, erofs, verity, disk: 1 trusted keys signed its statement, 2 are needed"},
		"a cache": {func(t *testing.T, w *world) {
			w.of("tree-root").Caches = []string{"/cache"}
			w.state(t)
		}, "had a cache (/cache), which the policy does not allow"},
		"another's layout": {func(_ *testing.T, w *world) { w.policy.Layout.Owners = []crypto.PublicKey{other} }, "0 of the owners signed, 1 are needed"},
		"another link": {func(t *testing.T, w *world) {
			r := w.of("erofs")
			made := r.Products
			r.Products = append(slices.Clone(made), record.Item{Name: "more", SHA256: digest("more"), Size: 1})
			w.state(t)
			r.Products = made
			w.statement(t, r, evidence.StatementName(entry, "erofs"), w.key)
		}, "the link has 3 products, the statement has 2"},
	} {
		w := newWorld(t)
		row.change(t, w)
		x, err := open(t, w.dir, w.checked()).Trace("/etc/motd")
		must(t, err)
		if !x.Untrusted() || !slices.ContainsFunc(x.Faults, func(f string) bool { return strings.Contains(f, row.says) }) {
			t.Errorf("%s: untrusted %v, %q", name, x.Untrusted(), x.Faults)
		}
	}
	w := newWorld(t)
	o := w.checked()
	o.At = o.At.AddDate(20, 0, 0)
	if x, err := open(t, w.dir, o).Trace("/etc/motd"); err != nil || !x.Untrusted() || len(x.Faults) != 1 || !strings.Contains(x.Faults[0], "expired") {
		t.Errorf("an old layout: %v\n%s", err, x.Text())
	}
}

// TestDistribution: with a policy the distribution's Release must be signed by the keys
// that the policy has for it; without one it says that this was not checked.
func TestDistribution(t *testing.T) {
	other := debtest.NewKey(t, 0)
	for name, row := range map[string]struct {
		change func(t *testing.T, w *world)
		says   string
	}{
		"as it was signed": {func(*testing.T, *world) {}, ""},
		"another's keys": {func(t *testing.T, w *world) {
			w.policy.Suites[0].Keys, w.policy.Suites[0].Signers = []string{string(other.Public(t))}, []string{other.Fingerprint()}
		}, "the lock's suite is not a signed Release"},
		"no keys":  {func(_ *testing.T, w *world) { w.policy.Suites[0].Name = "sid" }, "the policy names nobody who signs suite trixie"},
		"no lock":  {func(t *testing.T, w *world) { w.remove(t, "*.lock.json") }, "no lock is at hand"},
		"unsigned": {func(t *testing.T, w *world) { w.relock(t, func(s *lock.Suite) { s.Signed = nil }) }, "does not hold its signed Releases"},
		"another text": {func(t *testing.T, w *world) {
			w.relock(t, func(s *lock.Suite) {
				signed, err := s.Kept()
				must(t, err)
				text := string(signed["InRelease"])
				signed["InRelease"] = []byte(strings.Replace(text, "Components: main", "Components: mine", 1))
				must(t, s.Keep(signed))
			})
		}, "the lock's suite is not a signed Release"},
	} {
		w := newWorld(t)
		row.change(t, w)
		for _, asked := range []string{"/usr/bin/bash", "kernel", w.lock.Suites[0].Release} {
			x, err := open(t, w.dir, w.checked()).Trace(asked)
			must(t, err)
			trust, how := InPolicy, "checked"
			if row.says != "" {
				trust, how = NotInPolicy, "not trusted"
			}
			line := "signed by " + w.archive.Fingerprint() + ", "
			says := slices.ContainsFunc(x.Faults, func(f string) bool { return strings.Contains(f, row.says) })
			if x.Locked.Trust != trust || x.Untrusted() != (row.says != "") || says != (row.says != "") || !strings.Contains(x.Text(), line+how) || !strings.Contains(x.Tree(), line+how) {
				t.Errorf("%s, %s: %s, untrusted %v, %q\n%s", name, asked, x.Locked.Trust, x.Untrusted(), x.Faults, x.Text())
			}
			x, err = open(t, w.dir, Options{}).Trace(asked)
			must(t, err)
			if x.Locked.Trust != NotChecked || !strings.Contains(x.Text(), line+"not checked") {
				t.Errorf("%s, %s, without a policy: %s\n%s", name, asked, x.Locked.Trust, x.Text())
			}
		}
	}
}
