//go:build oracle

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/attest/offline"
	"github.com/mastercard/mangos/modules/image/imagetest"
)

// signElsewhere does by hand, on the machine with the keys, what the list says,
// and returns how many signatures it made.
func signElsewhere(t *testing.T, dir string, keys imagetest.Keys) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, offline.ListName))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, line := range strings.Split(string(text), "\n") {
		args := strings.Fields(line)
		if len(args) == 0 || args[0] != "openssl" && args[0] != "gpg" {
			continue
		}
		if args[0] == "gpg" {
			home := t.TempDir()
			oracle(t, "gpg", "--homedir", home, "--batch", "--quiet", "--import", keys.File("release.key"))
			args = append([]string{"gpg", "--homedir", home, "--batch", "--quiet"}, args[1:]...)
		}
		for i, a := range args {
			if strings.HasSuffix(a, ".key") {
				args[i] = keys.File(a)
			}
		}
		c := exec.Command(args[0], args[1:]...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
		n++
	}
	return n
}

// Signed elsewhere by openssl, an image is the one that keys at hand make, byte
// for byte. The image itself is signed in a second round: the first one's
// signatures are in it.
func TestElsewhere(t *testing.T) {
	w := newWorld(t)
	w.sign(t, "Example organisation")
	digests, out := w.path("digests"), w.path("attached")
	args := []string{"--public", w.keys.File(""), "--signatures", digests, "--root-hash", w.path("roothash"), "--program", kernelSource,
		"--normal-form", w.path("unsigned/uki.efi"), "--kernel", w.path("certified"), "--plan", w.path("plan.json")}
	if err := os.Mkdir(digests, 0o700); err != nil {
		t.Fatal(err)
	}
	for round, want := range []int{6, 1, 0} {
		if err := try(append([]string{"attach-signatures", "--out", out}, args...)...); (want == 0) != (err == nil) || want > 0 && !errors.Is(err, offline.ErrMissing) {
			t.Errorf("round %d: %v", round, err)
		}
		perform(t, append([]string{"export-digests", "--out", digests}, args...)...)
		if n := signElsewhere(t, digests, w.keys); n != want {
			t.Errorf("round %d: %d signatures were to be made, want %d", round, n, want)
		}
	}
	for name, online := range map[string]string{
		"signature": "signature", filepath.Base(kernelSource): "boot.efi", "uki.efi": "uki.efi", "pcrs.json": "pcrs.json",
	} {
		same(t, filepath.Join(out, name), w.path(online))
	}
	// A folder of signatures is as good as a key for each step.
	perform(t, "sign-image", "--normal-form", w.path("unsigned/uki.efi"), "--kernel", w.path("certified"),
		"--pcr-key", digests, "--pcr-public", w.keys.File("pcr.pub"), "--key", digests, "--certificate", w.keys.File("secure-boot.crt"),
		"--plan", w.path("plan.json"), "--out", w.path("again.efi"), "--pcrs", w.path("again.json"))
	same(t, w.path("again.efi"), w.path("uki.efi"))
	// Another organisation's signatures are not.
	args[1] = imagetest.NewKeys(t, "Other").File("")
	if err := try(append([]string{"attach-signatures", "--out", out}, args...)...); !errors.Is(err, offline.ErrSignature) {
		t.Errorf("another organisation: %v", err)
	}
}

func TestSumsElsewhere(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	w := world{dir: t.TempDir(), keys: imagetest.NewKeys(t, "Example organisation")}
	w.write(t, "SHA256SUMS", []byte("0123 *file\n"))
	digests := w.path("digests")
	perform(t, "export-digests", "--public", w.keys.File(""), "--sums", w.path("SHA256SUMS"), "--out", digests)
	if n := signElsewhere(t, digests, w.keys); n != 1 {
		t.Fatalf("%d signatures were to be made", n)
	}
	perform(t, "attach-signatures", "--public", w.keys.File(""), "--signatures", digests, "--sums", w.path("SHA256SUMS"), "--out", w.path("out"))
	oracle(t, "gpgv", "--keyring", w.keys.File("release.gpg"), w.path("out/SHA256SUMS.gpg"), w.path("SHA256SUMS"))
	perform(t, "sign-sums", "--sums", w.path("SHA256SUMS"), "--key", digests, "--public", w.keys.File("release.pub"), "--out", w.path("again"))
	same(t, w.path("again"), w.path("out/SHA256SUMS.gpg"))
}

func TestExtensionElsewhere(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	w := world{dir: t.TempDir(), keys: imagetest.NewKeys(t, "Example organisation")}
	args := []string{"extension", "--tree", imagetest.Lay(t, map[string]string{"etc/motd": "hello\n"}), "--class", "confext", "--name", "x",
		"--purpose", "site", "--counter", "1", "--certificate", w.keys.File("verity.crt")}
	perform(t, append(args, "--export-digests", w.path("digests"))...)
	if n := signElsewhere(t, w.path("digests"), w.keys); n != 1 {
		t.Fatalf("%d signatures were to be made", n)
	}
	perform(t, append(args, "--signatures", w.path("digests"), "--export-digests", w.path("left"))...)
	if n := signElsewhere(t, w.path("left"), w.keys); n != 0 {
		t.Errorf("%d signatures are to be made again", n)
	}
	perform(t, append(args, "--key", w.path("digests"), "--out", w.path("elsewhere.raw"))...)
	perform(t, append(args, "--key", w.keys.File("verity.key"), "--out", w.path("here.raw"))...)
	same(t, w.path("elsewhere.raw"), w.path("here.raw"))
}
