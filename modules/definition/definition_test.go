package definition

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestProjectDefinition(t *testing.T) {
	d, err := Load("../../mangos.toml")
	if err != nil {
		t.Fatal(err)
	}
	dist, err := d.Distribution("")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sdk", "build", "imagetools", "vm", "mkosi", "root", "initrd"} {
		if _, ok := dist.Sets[name]; !ok {
			t.Errorf("no package set %q", name)
		}
	}
}

// security are the words of the command line without which a machine starts as well,
// and lets in what the system is there to keep out.
var security = []string{
	"rootfstype=erofs",
	"systemd.verity_root_options=panic-on-corruption,root-hash-signature=/run/mangos/root-hash.p7s",
	"dm_verity.require_signatures=1",
	"systemd.allow_userspace_verity=no",
	"systemd.image_policy=esp=unprotected+absent:var=encrypted+absent:tmp=encrypted+absent:swap=encrypted+absent:=ignore",
	"systemd.volatile=state",
	"systemd.import_credentials=no",
	"systemd.machine_id=firmware",
	"lockdown=integrity",
	"panic=10",
}

// TestCommandLine: each of them stands there once; of two the last would count.
func TestCommandLine(t *testing.T) {
	d, err := Load("../../mangos.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range security {
		name, _, _ := strings.Cut(word, "=")
		var found []string
		for _, w := range d.Image.CommandLine {
			if n, _, _ := strings.Cut(w, "="); n == name {
				found = append(found, w)
			}
		}
		if !slices.Equal(found, []string{word}) {
			t.Errorf("%s on the command line: %q, want %q", name, found, word)
		}
	}
}

const small = `distribution-default = "d"
[distribution.d]
architecture = "amd64"
[distribution.d.archives.a]
home = "http://example.org/{timestamp}/"
home-delay = "1h"
[[distribution.d.suites]]
name = "s"
archive = "a"
components = ["main"]
keys = ["k.asc"]
signers = ["0123456789ABCDEF0123456789ABCDEF01234567"]
[distribution.d.sets.root]
base = "essential"
packages = ["one", "two"]
`

func TestParseRefuses(t *testing.T) {
	if _, err := Parse(strings.NewReader(small)); err != nil {
		t.Fatalf("the small definition: %v", err)
	}
	tests := []struct{ name, old, new, want string }{
		{"unknown key", `base =`, "bass = 1\nbase =", "unknown keys: distribution.d.sets.root.bass"},
		{"unsorted", `"one", "two"`, `"two", "one"`, "not sorted"},
		{"twice", `"one", "two"`, `"one", "one"`, "twice"},
		{"duplicate key", `base =`, "base = \"none\"\nbase =", "base"},
		{"option as package", `"one"`, `"-o"`, "not a package name"},
		{"fingerprint", `0123456789ABCDEF0123456789ABCDEF01234567`, `01234567`, "not a fingerprint"},
		{"no such archive", `archive = "a"`, `archive = "b"`, "has no table"},
		{"climbing suite", `name = "s"`, `name = "s/../t"`, "not a suite name"},
		{"default", `distribution-default = "d"`, `distribution-default = "e"`, "has no table"},
		{"home", `http://example.org/{timestamp}/`, `ftp://example.org/`, "not an http URL"},
		{"path", `base =`, "paths = [\"/usr\"]\nbase =", "-/pattern"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(small, tt.old, tt.new, 1)
			if text == small {
				t.Fatal("the case changes nothing")
			}
			_, err := Parse(strings.NewReader(text))
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an ErrInvalid about %q", err, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	project, err := os.ReadFile("../../mangos.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(project))
	f.Add(small)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse(strings.NewReader(text))
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("not ErrInvalid: %v", err)
			}
			return
		}
		if _, err := d.Distribution(""); err != nil {
			t.Errorf("a definition without the distribution that it selects: %v", err)
		}
	})
}

// The firmware counts as its sets' own; switched off, its packages stay in the
// lock's sets and are left out.
func TestFirmware(t *testing.T) {
	text, err := os.ReadFile("../../mangos.toml")
	if err != nil {
		t.Fatal(err)
	}
	for on, text := range map[bool]string{true: string(text), false: strings.Replace(string(text), "firmware = true", "firmware = false", 1)} {
		d, err := Parse(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		dist, err := d.Distribution("")
		if err != nil {
			t.Fatal(err)
		}
		set, firmware := dist.Sets["root"], dist.Firmware
		for _, p := range firmware.Packages {
			if !slices.Contains(set.Packages, p) || slices.Contains(set.Omit, p) == on {
				t.Errorf("on: %v: %s in the set: %v, left out: %v", on, p, slices.Contains(set.Packages, p), slices.Contains(set.Omit, p))
			}
		}
		if slices.Contains(set.Paths, firmware.Paths[0]) != on || !slices.IsSorted(set.Packages) {
			t.Errorf("on: %v: paths %q", on, set.Paths)
		}
		if other := dist.Sets["vm"]; slices.Contains(other.Packages, firmware.Packages[0]) {
			t.Error("firmware in a set that is not named")
		}
	}
	_, err = Parse(strings.NewReader(small + "\n[distribution.d.firmware]\nsets = [\"none\"]\n"))
	if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "has no table") {
		t.Errorf("an unknown set: %v", err)
	}
}
