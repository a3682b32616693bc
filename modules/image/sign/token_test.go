package sign_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/pcr"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/image/imagetest"
	"github.com/mastercard/mangos/modules/image/sign"
)

const program = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"

// signed is all that three keys sign.
type signed struct {
	verity, program []byte
	policies        []pcr.Signature
}

// all signs with the keys that name gives for each role.
func all(t *testing.T, keys imagetest.Keys, name func(role string) string) signed {
	t.Helper()
	open := func(role string) sign.Key {
		k, err := sign.OpenKey(name(role), nil)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	ctx := context.Background()
	s, err := sign.Verity(ctx, verity.RootHash{1, 2, 3}, open("verity"), certificate(t, keys, "verity"))
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "signed.efi")
	if err := sign.Program(ctx, program, out, open("secure-boot"), certificate(t, keys, "secure-boot")); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	public, err := sign.ReadPublic(keys.File("pcr.pub"))
	if err != nil {
		t.Fatal(err)
	}
	policies, err := sign.Policies(ctx, []pcr.Phase{{Path: "enter-initrd", Policy: pcr.Value{1}}, {Path: "ready", Policy: pcr.Value{2}}}, open("pcr"), public)
	if err != nil {
		t.Fatal(err)
	}
	return signed{s.PKCS7, image, policies}
}

func certificate(t *testing.T, keys imagetest.Keys, role string) *sign.Certificate {
	t.Helper()
	c, err := sign.ReadCertificate(keys.File(role + ".crt"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func same(t *testing.T, how string, got, want signed) {
	t.Helper()
	if !bytes.Equal(got.verity, want.verity) || !bytes.Equal(got.program, want.program) {
		t.Errorf("%s: other signatures than by the key in a file", how)
	}
	for i := range want.policies {
		if got.policies[i].Signature != want.policies[i].Signature {
			t.Errorf("%s: another signature for phase %d than by the key in a file", how, i)
		}
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// A key in a token signs as the key in a file does, and its PIN shows nowhere.
func TestToken(t *testing.T) {
	keys := imagetest.NewKeys(t, "Example")
	object := "pkcs11:token=" + imagetest.NewToken(t, keys) + ";type=private;object="
	want := all(t, keys, func(role string) string { return keys.File(role + ".key") })

	log := filepath.Join(t.TempDir(), "arguments")
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal(err)
	}
	spy := write(t, "openssl", "#!/bin/sh\ntr '\\0' '\\n' < /proc/$$/cmdline >> "+log+"\ntr '\\0' '\\n' < /proc/$$/environ >> "+log+"\nexec "+openssl+" \"$@\"\n")
	t.Setenv("PATH", filepath.Dir(spy)+":"+os.Getenv("PATH"))

	secret := func(role string) string {
		return write(t, role, object+role+"?pin-value="+imagetest.EscapedPIN+"\n")
	}
	same(t, "a URI with its PIN in a file", all(t, keys, secret), want)
	pin := write(t, "pin", imagetest.TokenPIN)
	same(t, "a URI with its PIN in another file", all(t, keys, func(role string) string { return object + role + "?pin-source=file:" + pin }), want)

	seen, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(seen), "object=verity") {
		t.Errorf("openssl was not watched: %s", seen)
	}
	for _, form := range []string{imagetest.TokenPIN, imagetest.EscapedPIN} {
		if strings.Contains(string(seen), form) {
			t.Errorf("the PIN is in an argument or the environment: %s", seen)
		}
	}
}

func TestTokenRefuses(t *testing.T) {
	keys := imagetest.NewKeys(t, "Example")
	object := "pkcs11:token=" + imagetest.NewToken(t, keys) + ";type=private;object="
	try := func(text string) error {
		k, err := sign.OpenKey(write(t, "uri", text), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = sign.Verity(context.Background(), verity.RootHash{1}, k, certificate(t, keys, "verity"))
		return err
	}
	pin := "?pin-value=" + imagetest.EscapedPIN
	if err := try(object + "verity" + pin); err != nil {
		t.Fatalf("good: %v", err)
	}
	for name, text := range map[string]string{
		"a wrong PIN": object + "verity?pin-value=9876543", "no such object": object + "none" + pin, "no such token": "pkcs11:token=none;object=verity" + pin,
	} {
		if err := try(text); err == nil || !strings.Contains(err.Error(), "PIN right?") || strings.Contains(err.Error(), "9876543") ||
			strings.Contains(err.Error(), imagetest.TokenPIN) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := try(object + "pcr" + pin); !errors.Is(err, sign.ErrKey) {
		t.Errorf("another key than the certificate's: %v", err)
	}
	t.Setenv("P11_KIT_SERVER_ADDRESS", "unix:path=/nonexistent")
	if err := try(object + "verity" + pin); err == nil {
		t.Error("without a server: signed")
	}
}
