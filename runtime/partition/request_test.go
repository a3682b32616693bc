package partition

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRequest(t *testing.T) {
	root := t.TempDir()
	if asked, err := ResetRequested(root); asked || err != nil {
		t.Fatalf("without EFI variables: %v, %v", asked, err)
	}
	vars := filepath.Join(root, "sys/firmware/efi/efivars")
	if err := os.MkdirAll(vars, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := RequestReset(root); err != nil {
		t.Fatal(err)
	}
	if asked, err := ResetRequested(root); !asked || err != nil {
		t.Fatalf("after the request: %v, %v", asked, err)
	}
	if err := ForgetReset(root); err != nil {
		t.Fatal(err)
	}
	if asked, err := ResetRequested(root); asked || err != nil {
		t.Fatalf("after it was removed: %v, %v", asked, err)
	}
}

func TestParseBoolean(t *testing.T) {
	for raw, want := range map[string]string{
		"y\x00e\x00s\x00\x00\x00": "yes", "Y\x00": "yes", "1\x00\x00\x00": "yes", "n\x00o\x00\x00\x00": "no", "0\x00": "no",
		"": "error", "yes": "error", "m\x00": "error", "\x00": "error",
	} {
		got, err := parseBoolean([]byte(raw))
		if word := map[bool]string{true: "yes", false: "no"}[got]; err == nil && word != want || (err != nil) != (want == "error") {
			t.Errorf("%q: %v, %v; want %s", raw, got, err, want)
		}
	}
}

func FuzzParseBoolean(f *testing.F) {
	f.Add([]byte("y\x00e\x00s\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if yes, err := parseBoolean(raw); yes && err != nil {
			t.Fatal("yes, and an error")
		}
	})
}
