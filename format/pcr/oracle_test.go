//go:build oracle

package pcr

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const measure = "/usr/lib/systemd/systemd-measure"

// sections has all that an image of ours may have.
func sections(public []byte) map[string][]byte {
	return map[string][]byte{
		".linux": []byte("kernel"), ".osrel": []byte("ID=mangos\n"), ".cmdline": []byte("quiet"), ".initrd": []byte("initrd"),
		".ucode": []byte("microcode"), ".uname": []byte("6.12"), ".sbat": []byte("sbat,1\n"), ".pcrpkey": public,
	}
}

func arguments(t *testing.T, sections map[string][]byte) []string {
	t.Helper()
	dir := t.TempDir()
	args := []string{"--bank=sha256"}
	for name, content := range sections {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--"+strings.TrimPrefix(name, ".")+"="+path)
	}
	return args
}

// systemd-measure computes the same values.
func TestMeasureCalculate(t *testing.T) {
	_, public := key(t)
	all := sections(public)
	for _, missing := range []string{"", ".ucode", ".pcrpkey", ".initrd"} {
		given := map[string][]byte{}
		for name, content := range all {
			if name != missing {
				given[name] = content
			}
		}
		out, err := exec.Command(measure, append([]string{"calculate", "--json=short"}, arguments(t, given)...)...).Output()
		if err != nil {
			t.Fatalf("systemd-measure: %v", err)
		}
		var want map[string][]struct {
			Phase, Hash string
			PCR         int
		}
		if err := json.Unmarshal(out, &want); err != nil {
			t.Fatal(err)
		}
		got, err := Predict(func(name string) []byte { return given[name] })
		if err != nil || len(got) != len(want["sha256"]) {
			t.Fatalf("%v, %v; systemd-measure: %s", got, err, out)
		}
		for i, w := range want["sha256"] {
			if got[i].Path != w.Phase || got[i].Value.String() != w.Hash || w.PCR != Kernel {
				t.Errorf("without %q: %s %s, systemd-measure says %s %s", missing, got[i].Path, got[i].Value, w.Phase, w.Hash)
			}
		}
	}
}

// What systemd-measure signs is what we would sign.
func TestMeasureSign(t *testing.T) {
	private, public := key(t)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	given := sections(public)
	out, err := exec.Command(measure, append([]string{"sign", "--private-key=" + path}, arguments(t, given)...)...).Output()
	if err != nil {
		t.Fatalf("systemd-measure: %v", err)
	}
	theirs, err := ParseSignatures(out)
	if err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	phases, err := Predict(func(name string) []byte { return given[name] })
	if err != nil || len(phases) != len(theirs) {
		t.Fatalf("%d phases, systemd-measure signs %d: %v", len(phases), len(theirs), err)
	}
	for i, phase := range phases {
		if err := theirs[i].Verify(&private.PublicKey, phase.Policy); err != nil {
			t.Errorf("%s: %v", phase.Path, err)
		}
	}
}
