package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/runtime/console"
	"github.com/mastercard/mangos/runtime/disk"
	"github.com/mastercard/mangos/runtime/disk/disktest"
	"github.com/mastercard/mangos/runtime/recovery"
)

const hash = "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"

// tree is an installed machine without a TPM, changed as told.
func tree(t *testing.T, changes map[string]string) string {
	t.Helper()
	root := t.TempDir()
	files := map[string]string{
		"proc/cmdline":                  "roothash=" + hash + " console=ttyS0\n",
		"etc/machine-id":                "5d1f6a0c8e0b4c8d9c442b7b0c8a1e10\n",
		"sys/class/dmi/id/product_uuid": "5d1f6a0c-8e0b-4c8d-9c44-2b7b0c8a1e10\n",
		"dev/console":                   "",
		"sys/firmware/efi/efivars/x":    "",
	}
	for path, text := range changes {
		files[path] = text
	}
	for path, text := range files {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h, err := disk.RootHash(files["proc/cmdline"])
	if err != nil {
		return root
	}
	table := &gpt.Table{SectorSize: 512, DiskID: gpt.DeriveGUID("disk"), Partitions: []gpt.Partition{
		{Type: gpt.TypeRoot, ID: disk.RootPartition(h), Label: "root", Size: 1 << 20},
	}}
	table.Layout()
	disktest.Add(t, root, "vda", table)
	return root
}

// run runs the program and returns what it prints, and what the console shows.
func run(t *testing.T, root, input string, args ...string) (output, consoleText string, err error) {
	t.Helper()
	var out bytes.Buffer
	cmd := newCommand()
	cmd.SetArgs(append(args, "--root", root))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetIn(strings.NewReader(input))
	err = cmd.ExecuteContext(t.Context())
	shown, rerr := os.ReadFile(filepath.Join(root, "dev/console"))
	if rerr != nil {
		t.Fatal(rerr)
	}
	return out.String(), string(shown), err
}

func TestBootRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		changes map[string]string
		want    string
	}{
		{"no TPM", nil, "sealed to a TPM 2.0"},
		{"no root hash", map[string]string{"proc/cmdline": "quiet\n"}, "roothash="},
		{"a placeholder for an identity", map[string]string{"sys/class/dmi/id/product_uuid": "03000200-0400-0500-0006-000700080009\n"}, "placeholder"},
		{"another machine id", map[string]string{"etc/machine-id": "11111111111111111111111111111111\n"}, "should be the firmware's"},
	} {
		root := tree(t, c.changes)
		before, err := os.ReadFile(filepath.Join(root, "dev/vda"))
		if err != nil && c.name != "no root hash" {
			t.Fatal(err)
		}
		_, shown, err := run(t, root, "", "boot")
		if !errors.Is(err, errReported) || !strings.Contains(shown, "mangos: refused [partition]: ") || !strings.Contains(shown, c.want) {
			t.Errorf("%s: %v, %q", c.name, err, shown)
		}
		after, _ := os.ReadFile(filepath.Join(root, "dev/vda"))
		if !bytes.Equal(before, after) {
			t.Errorf("%s: the disk was written to", c.name)
		}
	}
}

func TestResetAsksForYes(t *testing.T) {
	root := tree(t, nil)
	variable := filepath.Join(root, "sys/firmware/efi/efivars/FactoryReset-8cf2644b-4b0b-428f-9387-6d876050dc67")
	if _, _, err := run(t, root, "", "reset"); err == nil || !strings.Contains(err.Error(), "--yes") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(variable); err == nil {
		t.Error("asked for without --yes")
	}
	if out, _, err := run(t, root, "", "reset", "--yes"); err != nil || !strings.Contains(out, "next start") {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := os.Stat(variable); err != nil {
		t.Error(err)
	}
}

func TestReadKey(t *testing.T) {
	key := recovery.New()
	var prompt bytes.Buffer
	if got, err := readKey(strings.NewReader(strings.ToUpper(string(key))+"\nmore"), &prompt); got != key || err != nil || prompt.Len() != 0 {
		t.Errorf("%q, %v, prompt %q", got, err, prompt.String())
	}
	if _, err := readKey(strings.NewReader(strings.Repeat("c", 5000)), &prompt); !errors.Is(err, recovery.ErrKey) {
		t.Errorf("an endless line: %v", err)
	}
}

func TestShow(t *testing.T) {
	root := tree(t, map[string]string{"dev/kmsg": ""})
	key := recovery.New()
	if err := show(t.Context(), key, 0, console.Open(root)); err != nil {
		t.Fatal(err)
	}
	shown, err := os.ReadFile(filepath.Join(root, "dev/console"))
	if err != nil || !strings.Contains(string(shown), string(key)+"\n") || strings.Count(string(shown), "\n") > 25 {
		t.Errorf("%s, %v", shown, err)
	}
	if log, err := os.ReadFile(filepath.Join(root, "dev/kmsg")); err != nil || len(log) != 0 {
		t.Errorf("the ring buffer got %q, %v", log, err)
	}
}
