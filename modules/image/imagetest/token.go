package imagetest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TokenPIN is the PIN of the tokens that NewToken makes.
const TokenPIN = "c0rrect h0rse&?"

// EscapedPIN is its form in a URI.
const EscapedPIN = "c0rrect%20h0rse%26%3F"

const (
	softHSM = "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"
	client  = "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so"
)

// NewToken puts the RSA keys into a token of SoftHSM, each under the name of its
// role, and starts a p11-kit server for it; the environment says where. It
// returns the token's label. A test is skipped where these are not installed.
func NewToken(t testing.TB, keys Keys) string {
	t.Helper()
	for _, path := range []string{softHSM, client, "/usr/bin/softhsm2-util", "/usr/bin/p11-kit", "/usr/lib/x86_64-linux-gnu/ossl-modules/pkcs11.so"} {
		if _, err := os.Stat(path); err != nil {
			t.Skipf("no PKCS#11 token to be had here: %v", err)
		}
	}
	dir := t.TempDir()
	tokens := filepath.Join(dir, "tokens")
	config := filepath.Join(dir, "softhsm2.conf")
	text := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", tokens)
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	const label = "mangos"
	run := func(name string, args ...string) {
		t.Helper()
		c := exec.Command(name, args...)
		c.Env = append(os.Environ(), "SOFTHSM2_CONF="+config)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	run("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", TokenPIN, "--so-pin", TokenPIN)
	for i, role := range []string{"secure-boot", "verity", "pcr"} {
		run("softhsm2-util", "--import", keys.File(role+".key"), "--token", label, "--label", role, "--id", fmt.Sprintf("%02x", i+1), "--pin", TokenPIN)
	}
	socket := filepath.Join(dir, "socket")
	server := exec.Command("p11-kit", "server", "--foreground", "--provider", softHSM, "--name", socket, "pkcs11:token="+label)
	server.Env = append(os.Environ(), "SOFTHSM2_CONF="+config)
	said, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	// It says where it listens once it does.
	if line, err := bufio.NewReader(said).ReadString('\n'); err != nil || !strings.Contains(line, socket) {
		t.Fatalf("p11-kit server says %q (%v)", line, err)
	}
	t.Setenv("P11_KIT_SERVER_ADDRESS", "unix:path="+socket)
	t.Setenv("PKCS11_PROVIDER_MODULE", client)
	return label
}
