//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestFigure(t *testing.T) {
	f := figure{Name: "a", Unit: "s", Values: []float64{4, 1, 2}, Budget: 1.5}
	if f.median() != 2 || !f.over() {
		t.Errorf("median %v, over %v", f.median(), f.over())
	}
	for _, part := range []string{"2.00 s", "1.00 s to 4.00 s", "OVER 1.50 s"} {
		if !strings.Contains(f.String(), part) {
			t.Errorf("%q lacks %q", f, part)
		}
	}
	even := figure{Values: []float64{1, 4, 2, 3}, Budget: 3}
	if even.median() != 2.5 || even.over() {
		t.Errorf("median %v, over %v", even.median(), even.over())
	}
	if (figure{Values: []float64{9}}).over() {
		t.Error("a figure without a budget is over it")
	}
}

func TestWithoutPackage(t *testing.T) {
	const lock = `{
  "sets": [
    {"name":"build","base":"essential","request":["make","tzdata"],"packages":["make","tzdata"]},
    {"name":"root","base":"essential","request":["mount","tzdata"],"packages":["mount","tzdata","udev"]}
  ]
}
`
	changed, err := withoutPackage([]byte(lock), "root", "tzdata")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(lock, `"request":["mount","tzdata"],"packages":["mount","tzdata","udev"]`, `"request":["mount"],"packages":["mount","udev"]`, 1)
	if string(changed) != want {
		t.Errorf("lock:\n%s", changed)
	}
	for _, set := range []string{"root", "initrd"} {
		if _, err := withoutPackage([]byte(lock), set, "make"); err == nil {
			t.Errorf("%s: nothing was taken out, and no error", set)
		}
	}
}

func TestChoose(t *testing.T) {
	chosen, err := choose([]string{"keys", "unchanged"})
	if err != nil || len(chosen) != 2 || chosen[0].name != "unchanged" {
		t.Errorf("chosen %v, %v", chosen, err)
	}
	if _, err := choose([]string{"keys", "coffee"}); err == nil || !strings.Contains(err.Error(), "coffee") {
		t.Errorf("an unknown case: %v", err)
	}
}

// A change that does not reach the release is no measurement of it.
func TestChanged(t *testing.T) {
	b := &bench{dir: t.TempDir()}
	if err := os.Mkdir(b.release(), 0o755); err != nil {
		t.Fatal(err)
	}
	seen := ""
	if err := b.changed(anything, &seen); err == nil {
		t.Error("a release without checksums, and no error")
	}
	write := func(initrd, root string) {
		t.Helper()
		sums := initrd + "  mangos-tryout_0.1.efi\n" + root + "  mangos_0.1.root-x86-64." + root + ".raw.xz\n" +
			initrd + "  mangos_0.1.root-x86-64-verity-sig.raw\n"
		if err := os.WriteFile(filepath.Join(b.release(), "SHA256SUMS"), []byte(sums), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root := ""
	for _, sum := range []string{"01", "02"} {
		write(sum, sum)
		if err := errors.Join(b.changed(anything, &seen), b.changed(rootImage, &root)); err != nil {
			t.Errorf("%s: %v", sum, err)
		}
	}
	if err := b.changed(anything, &seen); err == nil {
		t.Error("the same release, and no error")
	}
	write("03", "02")
	if err := b.changed(rootImage, &root); err == nil {
		t.Error("the same root in another release, and no error")
	}
	if err := b.changed(anything, &seen); err != nil {
		t.Errorf("another release with the same root: %v", err)
	}
	if err := b.changed("no such file", &root); err == nil {
		t.Error("no such file in the release, and no error")
	}
}

func TestLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := readText(file); err != nil || string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
	if err := os.Truncate(file, maxText+1); err != nil {
		t.Fatal(err)
	}
	if _, err := readText(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file that is too long: %v", err)
	}
	if out, log, err := output(t.Context(), t.TempDir(), "sh", "-c", "echo a; echo b >&2"); out != "a" || log != "b\n" || err != nil {
		t.Errorf("%q, %q, %v", out, log, err)
	}
	if _, err := command(t.Context(), t.TempDir(), "head", "-c", strconv.Itoa(maxPrinted+1), "/dev/zero"); err == nil {
		t.Error("a command that prints too much, and no error")
	}
}
