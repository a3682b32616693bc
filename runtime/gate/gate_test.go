package gate

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/runtime/firmware"
)

const hash = "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"

const line = "roothash=" + hash + " console=ttyS0"

// tree makes a machine in good order, without a TPM, and changes it as told: a
// path with the value "-" is removed.
func tree(t *testing.T, changes map[string]string) string {
	t.Helper()
	vars := "sys/firmware/efi/efivars/"
	files := map[string]string{
		vars + "SecureBoot-" + firmware.GlobalVariable: "\x06\x00\x00\x00\x01",
		vars + "SetupMode-" + firmware.GlobalVariable:  "\x06\x00\x00\x00\x00",
		"sys/class/dmi/id/product_uuid":                "5d1f6a0c-8e0b-4c8d-9c44-2b7b0c8a1e10\n",
		"proc/cmdline":                                 line + "\n",
		BuiltIn:                                        line,
		"dev/null":                                     "",
	}
	for path, text := range changes {
		path = strings.Replace(path, "VAR:", vars, 1)
		if text == "-" {
			delete(files, path)
			continue
		}
		files[path] = text
	}
	root := t.TempDir()
	for path, text := range files {
		write(t, filepath.Join(root, path), text)
	}
	return root
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// words joins the words of refusals.
func words(all []*Refusal) string {
	var w []string
	for _, r := range all {
		w = append(w, r.Word)
	}
	return strings.Join(w, " ")
}

func TestCheck(t *testing.T) {
	secureBoot := "VAR:SecureBoot-" + firmware.GlobalVariable
	setupMode := "VAR:SetupMode-" + firmware.GlobalVariable
	for _, c := range []struct {
		name    string
		changes map[string]string
		want    string
	}{
		{"in order but for the TPM", nil, NoTPM},
		{"Secure Boot off", map[string]string{secureBoot: "\x06\x00\x00\x00\x00"}, SecureBootOff + " " + NoTPM},
		{"Secure Boot unknown", map[string]string{secureBoot: "-"}, NoSecureBoot + " " + NoTPM},
		{"Secure Boot malformed", map[string]string{secureBoot: "\x06\x00\x00\x00\x02"}, NoSecureBoot + " " + NoTPM},
		{"no EFI", map[string]string{secureBoot: "-", setupMode: "-"}, NoSecureBoot + " " + NoTPM},
		{"setup mode", map[string]string{setupMode: "\x06\x00\x00\x00\x01"}, SetupMode + " " + NoTPM},
		{"setup mode malformed", map[string]string{setupMode: "\x06"}, SetupMode + " " + NoTPM},
		{"no setup mode variable", map[string]string{setupMode: "-"}, NoTPM},
		{"placeholder", map[string]string{"sys/class/dmi/id/product_uuid": "03000200-0400-0500-0006-000700080009\n"}, NoTPM + " " + MachineID},
		{"no DMI", map[string]string{"sys/class/dmi/id/product_uuid": "-"}, NoTPM + " " + MachineID},
		{"command line", map[string]string{"proc/cmdline": line + " init=/bin/sh\n"}, CommandLine + " " + NoTPM},
		{"no built-in line", map[string]string{BuiltIn: "-"}, CommandLine + " " + NoTPM},
		{"no command line", map[string]string{"proc/cmdline": "-"}, CommandLine + " " + NoTPM},
	} {
		if got := words(Check(t.Context(), tree(t, c.changes))); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCompareCommandLine(t *testing.T) {
	for actual, same := range map[string]bool{
		line + "\n":                    true,
		line:                           false,
		line + "\n\n":                  false,
		line + " \n":                   false,
		" " + line + "\n":              false,
		line + " x\n":                  false,
		line[:len(line)-1] + "\n":      false,
		strings.ToUpper(line) + "\n":   false,
		line + "\x00\n":                false,
		"":                             false,
		"initrd=\\x " + line + "\n":    false,
		line + "\n" + "init=/bin/sh\n": false,
	} {
		if got := compareCommandLine(line, []byte(actual)); (got == nil) != same {
			t.Errorf("%q: %v", actual, got)
		}
	}
	r := compareCommandLine(line, []byte(line+" init=/bin/sh\x1b[2J\n"))
	if !strings.Contains(r.Sentence, `" init=/bin/sh\x1b[2J"`) {
		t.Errorf("the sentence does not quote what was added: %s", r.Sentence)
	}
}

func TestCheckBuiltIn(t *testing.T) {
	for text, good := range map[string]bool{
		line: true, "": false, " a": false, "a ": false, "a\n": false, "a\tb": false, "é": false, "a\x00": false,
		strings.Repeat("x", maxCommandLine-1): true, strings.Repeat("x", maxCommandLine): false,
	} {
		if err := CheckBuiltIn(text); (err == nil) != good || err != nil && !errors.Is(err, ErrCommandLine) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// pcrs are made-up PCRs; a negative one is an error.
type pcrs map[uint]int

func (p pcrs) PCR(n uint) (value [sha256.Size]byte, err error) {
	if p[n] < 0 {
		return value, errors.New("broken")
	}
	value[31] = byte(p[n])
	return value, nil
}

func TestCheckPCRs(t *testing.T) {
	for _, c := range []struct {
		values pcrs
		want   string
	}{
		{pcrs{11: 1}, ""},
		{pcrs{}, NotMeasured},
		{pcrs{11: 1, 12: 1}, PCR12},
		{pcrs{11: 1, 13: 1}, PCR13},
		{pcrs{11: 1, 12: 1, 13: 1}, PCR12 + " " + PCR13},
		{pcrs{11: -1}, NoTPM},
		{pcrs{11: 1, 12: -1}, NoTPM},
	} {
		if got := words(checkPCRs(c.values)); got != c.want {
			t.Errorf("%v: %q, want %q", c.values, got, c.want)
		}
	}
}

func TestCheckDoesNotWaitForATPMThatNobodyPromised(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begin := time.Now()
	Check(ctx, tree(t, nil))
	if time.Since(begin) > 20*time.Second {
		t.Errorf("took %v", time.Since(begin))
	}
}

func FuzzCommandLine(f *testing.F) {
	f.Add(line, []byte(line+"\n"))
	f.Add("a", []byte("b"))
	f.Fuzz(func(t *testing.T, builtIn string, actual []byte) {
		r := compareCommandLine(builtIn, actual)
		if (r == nil) != (string(actual) == builtIn+"\n") {
			t.Fatalf("%q against %q: %v", builtIn, actual, r)
		}
	})
}
