//go:build oracle

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/image/imagetest"
	"github.com/mastercard/mangos/modules/image/plan"
	"github.com/mastercard/mangos/modules/image/release"
	"github.com/mastercard/mangos/modules/image/sign"
	"github.com/mastercard/mangos/modules/image/unified"
)

// These tests run all steps on a small tree, and hold what comes out against
// the tools that will read it. They need the package set "imagetools".

const (
	version = "1.2"
	// Any EFI program does for a kernel here.
	kernelSource = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"
)

// world is a folder in which the steps have run.
type world struct {
	dir  string
	keys imagetest.Keys
}

func (w world) path(name string) string { return filepath.Join(w.dir, name) }

// perform runs a step of the program.
func perform(t *testing.T, args ...string) {
	t.Helper()
	if err := try(args...); err != nil {
		t.Fatalf("image %s: %v", args[0], err)
	}
}

func try(args ...string) error {
	c := newRoot()
	c.SetArgs(args)
	return c.Execute()
}

// oracle runs another program and returns what it printed.
func oracle(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (w world) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(w.path(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.path(name), content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// plan writes what the steps have to know, after change has had its way with it.
func (w world) plan(t *testing.T, name string, change func(*plan.Plan)) string {
	t.Helper()
	p := &plan.Plan{Name: "mangos", Version: version, CommandLine: "quiet panic=10", Tries: 3, ESPSize: 300 << 20, RootSize: 8 << 20, VeritySize: 1 << 20}
	if change != nil {
		change(p)
	}
	text, err := p.JSON()
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, name, text)
	return w.path(name)
}

// newWorld runs the steps that need no key.
func newWorld(t *testing.T) world {
	t.Helper()
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	w := world{dir: t.TempDir()}
	root := imagetest.Lay(t, map[string]string{
		"usr/lib/systemd/systemd": strings.Repeat("systemd ", 5000), "usr/sbin/init": "init", "etc/passwd": "root:x:0:0::/:\n",
		"usr/lib/os-release": "ID=mangos\nPRETTY_NAME=\"mangos\"\n", "var/lib/dpkg/status": "Package: x\n",
	})
	initrd := imagetest.Lay(t, map[string]string{"usr/lib/systemd/systemd": "systemd", "etc/initrd-release": "ID=mangos\n", "init": "init"})
	kernel, err := os.ReadFile(kernelSource)
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "kernel/bzImage", kernel)
	w.write(t, "kernel/vmlinux", []byte("vmlinux"))
	w.write(t, "kernel/release", []byte("6.12.0-test\n"))
	w.write(t, "kernel/ranges.json", []byte(fmt.Sprintf(`{"files":[{"file":"bzImage","size":%d,"ranges":[{"offset":0,"length":1,"what":"test"}]}]}`, len(kernel))))
	w.plan(t, "plan.json", nil)
	perform(t, "root", "--tree", root, "--plan", w.path("plan.json"), "--out", w.path("root.erofs"), "--os-release", w.path("os-release"))
	perform(t, "verity", "--root", w.path("root.erofs"), "--tree", w.path("root.verity"), "--root-hash", w.path("roothash"))
	perform(t, "initrd", "--tree", initrd, "--out", w.path("initrd"))
	perform(t, "unsigned", "--plan", w.path("plan.json"), "--root", w.path("root.erofs"), "--tree", w.path("root.verity"),
		"--root-hash", w.path("roothash"), "--os-release", w.path("os-release"), "--initrd", w.path("initrd"),
		"--kernel", w.path("kernel"), "--out", w.path("unsigned"))
	return w
}

// sign runs the steps that need keys; the organisation stands in its
// certificates.
func (w *world) sign(t *testing.T, organisation string) {
	t.Helper()
	w.keys = imagetest.NewKeys(t, organisation)
	// The certificate in a kernel changes some bytes of it.
	kernel, err := os.ReadFile(w.path("kernel/bzImage"))
	if err != nil {
		t.Fatal(err)
	}
	copy(kernel[2:], organisation[:8])
	w.write(t, "certified", kernel)
	tryOut := strings.Contains(organisation, sign.TryOut)
	perform(t, "sign-verity", "--root-hash", w.path("roothash"), "--key", w.keys.File("verity.key"),
		"--certificate", w.keys.File("verity.crt"), "--out", w.path("signature"))
	perform(t, "sign-program", "--in", kernelSource, "--key", w.keys.File("secure-boot.key"),
		"--certificate", w.keys.File("secure-boot.crt"), "--out", w.path("boot.efi"))
	perform(t, "sign-image", "--normal-form", w.path("unsigned/uki.efi"), "--kernel", w.path("certified"),
		"--pcr-key", w.keys.File("pcr.key"), "--pcr-public", w.keys.File("pcr.pub"), "--key", w.keys.File("secure-boot.key"),
		"--certificate", w.keys.File("secure-boot.crt"), "--plan", w.path("plan.json"), "--out", w.path("uki.efi"), "--pcrs", w.path("pcrs.json"))
	perform(t, "disk", "--plan", w.path("plan.json"), "--root", w.path("root.erofs"), "--tree", w.path("root.verity"),
		"--signature", w.path("signature"), "--boot-loader", w.path("boot.efi"), "--uki", w.path("uki.efi"),
		fmt.Sprintf("--try-out=%v", tryOut), "--out", w.path("disk.raw"))
}

func (w world) rootHash(t *testing.T) verity.RootHash {
	t.Helper()
	h, err := readRootHash(w.path("roothash"))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestVerityIsAccepted(t *testing.T) {
	w := newWorld(t)
	w.sign(t, "Example organisation")
	root := w.rootHash(t).String()
	oracle(t, "veritysetup", "verify", w.path("root.erofs"), w.path("root.verity"), root)

	content, err := os.ReadFile(w.path("signature"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := verity.ParseSignature(content)
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "signature.der", s.PKCS7)
	w.write(t, "signed", []byte(root))
	verify := []string{"cms", "-verify", "-binary", "-inform", "DER", "-in", w.path("signature.der"), "-content", w.path("signed"),
		"-certfile", w.keys.File("verity.crt"), "-noverify", "-out", "/dev/null"}
	oracle(t, "openssl", verify...)
	w.write(t, "signed", []byte(root+"\n"))
	if out, err := exec.Command("openssl", verify...).CombinedOutput(); err == nil {
		t.Errorf("the signature is over more than the digits: %s", out)
	}
	if fp := oracle(t, "openssl", "x509", "-in", w.keys.File("verity.crt"), "-noout", "-fingerprint", "-sha256"); !strings.Contains(
		strings.ToLower(strings.ReplaceAll(fp, ":", "")), fmt.Sprintf("%x", s.Fingerprint)) {
		t.Errorf("fingerprint %x, openssl says %s", s.Fingerprint, fp)
	}
}

// The whole of signing: what firmware checks, what the unsigned set promises.
func TestImageIsAccepted(t *testing.T) {
	w := newWorld(t)
	for _, organisation := range []string{"Example organisation", "TRY-OUT organisation"} {
		w.sign(t, organisation)
		for _, name := range []string{"uki.efi", "boot.efi"} {
			oracle(t, "sbverify", "--cert", w.keys.File("secure-boot.crt"), w.path(name))
			if out, err := exec.Command("sbverify", "--cert", w.keys.File("verity.crt"), w.path(name)).CombinedOutput(); err == nil {
				t.Errorf("%s verifies with another certificate: %s", name, out)
			}
		}
		sections := oracle(t, "ukify", "inspect", w.path("uki.efi"))
		for _, name := range []string{".linux", ".initrd", ".cmdline", ".osrel", ".uname", ".sbat", ".pcrpkey", ".pcrsig"} {
			if !strings.Contains(sections, name+":") {
				t.Errorf("ukify finds no %s", name)
			}
		}
		if marked := strings.Contains(sections, "MANGOS_TRY_OUT=yes"); marked != (organisation[:3] == "TRY") {
			t.Errorf("%s: marked as try-out: %v", organisation, marked)
		}
		perform(t, "normal", "--in", w.path("uki.efi"), "--kernel", w.path("kernel/bzImage"), "--out", w.path("normal.efi"))
		same(t, w.path("normal.efi"), w.path("unsigned/uki.efi"))
	}
}

// Somebody without any private key computes the same PCR values.
func TestPredict(t *testing.T) {
	w := newWorld(t)
	w.sign(t, "Example organisation")
	perform(t, "predict", "--normal-form", w.path("unsigned/uki.efi"), "--kernel", w.path("certified"),
		"--pcr-public", w.keys.File("pcr.pub"), "--plan", w.path("plan.json"), "--out", w.path("predicted.json"))
	same(t, w.path("predicted.json"), w.path("pcrs.json"))

	args := []string{"calculate", "--bank=sha256", "--json=short"}
	for _, name := range []string{"linux", "osrel", "cmdline", "initrd", "uname", "sbat", "pcrpkey"} {
		file := w.path("section-" + name)
		oracle(t, "python3", "-c", `import pefile,sys
pe = pefile.PE(sys.argv[1], fast_load=True)
s = [s for s in pe.sections if s.Name.rstrip(b"\0").decode() == "." + sys.argv[2]][0]
open(sys.argv[3], "wb").write(s.get_data(length=s.Misc_VirtualSize))`, w.path("uki.efi"), name, file)
		args = append(args, "--"+name+"="+file)
	}
	measured := oracle(t, "/usr/lib/systemd/systemd-measure", args...)
	text, err := os.ReadFile(w.path("pcrs.json"))
	if err != nil {
		t.Fatal(err)
	}
	var e unified.Expected
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	if len(e.Phases) != 4 {
		t.Errorf("%d phases", len(e.Phases))
	}
	for _, p := range e.Phases {
		if !strings.Contains(measured, `"phase":"`+p.Phase+`","pcr":11,"hash":"`+p.Value+`"`) {
			t.Errorf("%s %s: systemd-measure says %s", p.Phase, p.Value, measured)
		}
	}
}

func TestDiskIsAccepted(t *testing.T) {
	w := newWorld(t)
	w.sign(t, "TRY-OUT organisation")
	disk := w.path("disk.raw")
	if out := oracle(t, "sfdisk", "--verify", disk); !strings.Contains(out, "No errors detected") {
		t.Error(out)
	}
	oracle(t, "systemd-repart", "--dry-run=yes", "--empty=refuse", "--definitions="+t.TempDir(), disk)
	// The file system checker finds nothing to repair in the ESP.
	w.write(t, "esp", partitions(t, disk)[gpt.TypeESP])
	oracle(t, "fsck.fat", "-n", w.path("esp"))
	listing := oracle(t, "mdir", "-b", "-/", "-i", w.path("esp"), "::")
	for _, name := range []string{"/EFI/BOOT/BOOTX64.EFI", "/EFI/Linux/mangos-tryout_1.2+3.efi", "/loader/loader.conf"} {
		if !strings.Contains(listing, name) {
			t.Errorf("%s is not in the ESP: %s", name, listing)
		}
	}
	// The disk made again is the same disk.
	perform(t, "disk", "--plan", w.path("plan.json"), "--root", w.path("root.erofs"), "--tree", w.path("root.verity"),
		"--signature", w.path("signature"), "--boot-loader", w.path("boot.efi"), "--uki", w.path("uki.efi"),
		"--try-out", "--out", w.path("again.raw"))
	same(t, w.path("again.raw"), disk)
}

// partitions reads a disk image's partitions, by their types.
func partitions(t *testing.T, disk string) map[gpt.GUID][]byte {
	t.Helper()
	image, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	table, err := gpt.Read(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	found := map[gpt.GUID][]byte{}
	for _, p := range table.Partitions {
		found[p.Type] = image[p.Start : p.Start+p.Size]
	}
	return found
}

// A part that does not belong to the others is noticed.
func TestDiskRefuses(t *testing.T) {
	w := newWorld(t)
	w.sign(t, "Example organisation")
	disk := func(change func(map[string]string)) error {
		parts := map[string]string{"root": w.path("root.erofs"), "tree": w.path("root.verity"), "signature": w.path("signature"),
			"boot-loader": w.path("boot.efi"), "uki": w.path("uki.efi"), "plan": w.path("plan.json"), "out": w.path("x.raw")}
		change(parts)
		args := []string{"disk"}
		for k, v := range parts {
			args = append(args, "--"+k, v)
		}
		return try(args...)
	}
	flip := func(name string, at int64) string {
		b, err := os.ReadFile(w.path(name))
		if err != nil {
			t.Fatal(err)
		}
		b[at] ^= 1
		w.write(t, "flipped-"+name, b)
		return w.path("flipped-" + name)
	}
	for name, change := range map[string]func(map[string]string){
		"a flipped byte in the root":   func(p map[string]string) { p["root"] = flip("root.erofs", 5000) },
		"a flipped byte in the tree":   func(p map[string]string) { p["tree"] = flip("root.verity", 5000) },
		"a signature for another root": func(p map[string]string) { p["signature"] = flip("signature", 15) },
		"a version too long for a label": func(p map[string]string) {
			p["plan"] = w.plan(t, "long.json", func(p *plan.Plan) { p.Version = strings.Repeat("1", 19) })
		},
		"a partition that is too small": func(p map[string]string) {
			p["plan"] = w.plan(t, "small.json", func(p *plan.Plan) { p.RootSize = 4096 })
		},
		"no plan":         func(p map[string]string) { p["plan"] = w.path("missing") },
		"no kernel image": func(p map[string]string) { p["uki"] = w.path("missing") },
	} {
		if err := disk(change); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := os.Stat(w.path("x.raw")); err == nil {
			t.Errorf("%s: leaves a disk", name)
		}
	}
}

func TestReleaseIsAccepted(t *testing.T) {
	w := newWorld(t)
	w.sign(t, "Example organisation")
	perform(t, "split", "--root", w.path("root.erofs"), "--tree", w.path("root.verity"), "--root-hash", w.path("roothash"),
		"--plan", w.path("plan.json"), "--out", w.path("release"))
	names := release.Name("mangos", version, w.rootHash(t), false)
	if err := release.Zstd(t.Context(), w.path("disk.raw"), filepath.Join(w.path("release"), names.Disk)); err != nil {
		t.Fatal(err)
	}
	perform(t, "sums", "--release", w.path("release"), "--out", w.path("release/SHA256SUMS"))
	perform(t, "sign-sums", "--sums", w.path("release/SHA256SUMS"), "--key", w.keys.File("release.key"),
		"--public", w.keys.File("release.pub"), "--out", w.path("release/SHA256SUMS.gpg"))

	oracle(t, "gpgv", "--keyring", w.keys.File("release.gpg"), w.path("release/SHA256SUMS.gpg"), w.path("release/SHA256SUMS"))
	check := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = w.path("release")
	if out, err := check.CombinedOutput(); err != nil || strings.Count(string(out), ": OK") != 3 {
		t.Errorf("%v: %s", err, out)
	}
	for packed, original := range map[string]string{names.Root: "root.erofs", names.Tree: "root.verity"} {
		unpacked, err := exec.Command("xz", "--decompress", "--stdout", filepath.Join(w.path("release"), packed)).Output()
		if err != nil {
			t.Fatal(err)
		}
		w.write(t, "unpacked", unpacked)
		same(t, w.path("unpacked"), w.path(original))
	}
	unpacked, err := exec.Command("zstd", "--decompress", "--stdout", filepath.Join(w.path("release"), names.Disk)).Output()
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "unpacked", unpacked)
	same(t, w.path("unpacked"), w.path("disk.raw"))
}

// The root image holds what the tree held, and no attribute of the build's own
// machinery.
func TestRootIsAccepted(t *testing.T) {
	w := newWorld(t)
	oracle(t, "fsck.erofs", w.path("root.erofs"))
	extracted := filepath.Join(t.TempDir(), "x")
	oracle(t, "fsck.erofs", "--extract="+extracted, w.path("root.erofs"))
	for name, want := range map[string]string{"usr/lib/dpkg-db/status": "Package: x\n", "etc/machine-id": ""} {
		if b, err := os.ReadFile(filepath.Join(extracted, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if entries, err := os.ReadDir(filepath.Join(extracted, "var")); err != nil || len(entries) > 0 {
		t.Errorf("/var holds %v (%v)", entries, err)
	}
	image, err := os.ReadFile(w.path("root.erofs"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(image, []byte("daggerContentHash")) {
		t.Error("user.daggerContentHash is in the image")
	}
}

// The number of processors shows in nothing that a program of others makes with all
// of them.
func TestProcessorsDoNotShow(t *testing.T) {
	// Digits at random fill several of the blocks that a program works on at a time.
	digits := make([]byte, 20<<20)
	source := rand.NewChaCha8([32]byte{})
	for i := range digits {
		digits[i] = '0' + byte(source.Uint64()%10)
	}
	tree := imagetest.Lay(t, map[string]string{"etc/big": string(digits), "etc/small": "x"})
	keys := imagetest.NewKeys(t, "Example organisation")
	w := world{dir: t.TempDir()}
	w.write(t, "root", digits)
	w.write(t, "tree", []byte("tree"))
	w.write(t, "roothash", []byte(strings.Repeat("0", 64)))
	w.plan(t, "plan.json", nil)
	names := release.Name("mangos", version, w.rootHash(t), false)
	for _, c := range []struct {
		made string
		step []string
	}{
		{"x.confext.raw", []string{"extension", "--tree", tree, "--class", "confext", "--name", "x", "--purpose", "site", "--counter", "1",
			"--key", keys.File("verity.key"), "--certificate", keys.File("verity.crt"), "--out", "x.confext.raw"}},
		{"initrd", []string{"initrd", "--tree", imagetest.Lay(t, map[string]string{"usr/lib/systemd/systemd": string(digits), "etc/initrd-release": "ID=mangos\n", "init": "init"}), "--out", "initrd"}},
		{names.Root, []string{"split", "--root", w.path("root"), "--tree", w.path("tree"), "--root-hash", w.path("roothash"),
			"--plan", w.path("plan.json"), "--out", "."}},
	} {
		t.Run(c.step[0], func(t *testing.T) {
			var made [2]string
			for i, cpus := range []string{"0", "0,1"} {
				step := exec.Command("taskset", "--cpu-list", cpus, os.Args[0], "-test.run=^TestHelperStep$")
				step.Dir = t.TempDir()
				step.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000", "MANGOS_TEST_STEP="+strings.Join(c.step, "\n"))
				if b, err := step.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, b)
				}
				made[i] = filepath.Join(step.Dir, c.made)
			}
			same(t, made[0], made[1])
		})
	}
}

// TestHelperStep is not a test: it is the program, for a process of its own.
func TestHelperStep(t *testing.T) {
	if args := os.Getenv("MANGOS_TEST_STEP"); args != "" {
		perform(t, strings.Split(args, "\n")...)
	}
}

func TestExtensionIsAccepted(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	keys := imagetest.NewKeys(t, "Example organisation")
	for class, tree := range map[string]map[string]string{
		"confext": {"etc/motd": "hello\n"}, "sysext": {"usr/lib/x/probe": "program"},
	} {
		out := filepath.Join(t.TempDir(), "x."+class+".raw")
		perform(t, "extension", "--tree", imagetest.Lay(t, tree), "--class", class, "--name", "x", "--purpose", "site", "--counter", "1",
			"--key", keys.File("verity.key"), "--certificate", keys.File("verity.crt"), "--out", out)
		oracle(t, "sfdisk", "--verify", out)
		found, dir := partitions(t, out), t.TempDir()
		for kind, name := range map[gpt.GUID]string{gpt.TypeRoot: "root", gpt.TypeRootVerity: "tree", gpt.TypeRootVeritySig: "signature"} {
			if err := os.WriteFile(filepath.Join(dir, name), found[kind], 0o600); err != nil {
				t.Fatal(err)
			}
		}
		v := veritySet{root: filepath.Join(dir, "root"), tree: filepath.Join(dir, "tree"), signature: filepath.Join(dir, "signature")}
		root, err := v.check()
		if err != nil {
			t.Fatal(err)
		}
		oracle(t, "veritysetup", "verify", v.root, v.tree, root.String())
		oracle(t, "fsck.erofs", v.root)
	}
}

func same(t *testing.T, got, want string) {
	t.Helper()
	if out, err := exec.Command("cmp", got, want).CombinedOutput(); err != nil {
		t.Errorf("%s", out)
	}
}
