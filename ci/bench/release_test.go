//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// stand makes a release that is none, and a program in the place of attest that
// wants the arguments it is called with by hand.
func stand(t *testing.T, script string) released {
	t.Helper()
	r := released{dir: t.TempDir(), work: t.TempDir()}
	r.attest, r.policy = filepath.Join(r.work, "attest"), filepath.Join(r.work, "policy.toml")
	for name, content := range map[string]string{
		filepath.Join(r.dir, "x_1.spdx.json"): "12345", filepath.Join(r.work, "disk"): strings.Repeat("0", 1000), r.attest: "#!/bin/sh\n" + script,
	} {
		if err := os.WriteFile(name, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("zstd", "--quiet", filepath.Join(r.work, "disk"), "-o", filepath.Join(r.dir, "x_1.raw.zst")).CombinedOutput(); err != nil {
		t.Fatalf("zstd: %v: %s", err, out)
	}
	return r
}

func TestVerify(t *testing.T) {
	r := stand(t, `test "$1 $2 $4" = "verify --release --policy" && test -f "$3/x_1.spdx.json"`)
	figures, err := r.verify(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	plain, ours := figures[0], figures[1]
	if len(plain.Values) != 3 || len(ours.Values) != 3 || !strings.Contains(plain.Note, "0 MB") {
		t.Errorf("%+v", figures)
	}
	if want := plain.median() / float64(runtime.NumCPU()) / 0.8; ours.Budget != want {
		t.Errorf("budget %v, want %v", ours.Budget, want)
	}
	if _, size, err := r.bytes(t.Context()); err != nil || size != 1005 {
		t.Errorf("%d bytes, %v", size, err)
	}
	// A release that does not verify is no measurement.
	if _, err := stand(t, "exit 1").verify(t.Context(), 1); err == nil {
		t.Error("a release that does not verify was measured")
	}
}

func TestTrace(t *testing.T) {
	r := stand(t, `test "$1 $2 $4 ${5##*/}" = "trace --release --policy policy.toml" && test -f "$3/x_1.spdx.json" && test "$6" != nothing`)
	figures, err := r.trace(t.Context(), 2, []string{"/a", "kernel"})
	if err != nil || len(figures) != 2 || len(figures[1].Values) != 2 || figures[1].Name != "trace kernel" || figures[1].Budget != 0.2 {
		t.Errorf("%+v, %v", figures, err)
	}
	if _, err := r.trace(t.Context(), 1, []string{"nothing"}); err == nil {
		t.Error("a file that is not there was measured")
	}
}
