package plan

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/modules/definition"
)

func load(t testing.TB) *definition.Definition {
	t.Helper()
	d, err := definition.Load("../../../mangos.toml")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func encode(t testing.TB, p *Plan) []byte {
	t.Helper()
	text, err := p.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestMake(t *testing.T) {
	d := load(t)
	made, err := Make(d, "")
	if err != nil {
		t.Fatal(err)
	}
	dist, _ := d.Distribution("")
	if made.Version != d.Image.Version || made.CommandLine != strings.Join(d.Image.CommandLine, " ") || !slices.Equal(made.Without, dist.Firmware.Without) {
		t.Errorf("%+v", made)
	}
	other, err := Make(d, "9.9")
	if err != nil || other.Version != "9.9" || d.Image.Version == "9.9" {
		t.Errorf("with a version of the caller's: %+v, %v", other, err)
	}
	// What it is made of comes back from its text.
	path := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(path, encode(t, made), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := Load(path); err != nil || !bytes.Equal(encode(t, again), encode(t, made)) {
		t.Errorf("%+v, %v", again, err)
	}
}

// TestUnrelated: what the image has no part in does not change its plan.
func TestUnrelated(t *testing.T) {
	text, err := os.ReadFile("../../../mangos.toml")
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), `"-/usr/share/man/*", `, "# a remark\n", 1)
	if changed == string(text) {
		t.Fatal("nothing is changed")
	}
	d, err := definition.Parse(strings.NewReader(changed))
	if err != nil {
		t.Fatal(err)
	}
	before, err := Make(load(t), "")
	if err != nil {
		t.Fatal(err)
	}
	after, err := Make(d, "")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encode(t, before), encode(t, after)) {
		t.Error("a package set is in the plan")
	}
}

func TestRefusals(t *testing.T) {
	good, err := Make(load(t), "")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Plan){
		"a name that leaves the folder": func(p *Plan) { p.Name = "../x" },
		"a version of two lines":        func(p *Plan) { p.Version = "1\n2" },
		"no command line":               func(p *Plan) { p.CommandLine = "" },
		"two lines":                     func(p *Plan) { p.CommandLine = "a\nb" },
		"two blanks":                    func(p *Plan) { p.CommandLine = "a  b" },
		"another root hash":             func(p *Plan) { p.CommandLine = "quiet roothash=00" },
		"a hundred tries":               func(p *Plan) { p.Tries = 100 },
		"half a block":                  func(p *Plan) { p.RootSize += 512 },
		"a negative size":               func(p *Plan) { p.VeritySize = -4096 },
		"a small boot partition":        func(p *Plan) { p.ESPSize = 4096 },
	} {
		p := *good
		change(&p)
		if _, err := Parse(encode(t, &p)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	text := encode(t, good)
	for name, bad := range map[string][]byte{
		"nothing": nil, "an unknown member": bytes.Replace(text, []byte("{"), []byte(`{"x": 1,`), 1),
		"a doubled member":  bytes.Replace(text, []byte("{"), []byte(`{"tries": 1,`), 1),
		"more than is read": append(bytes.Clone(text), make([]byte, maxSize)...),
	} {
		if _, err := Parse(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Make(load(t), strings.Repeat("1", 19)); !errors.Is(err, gpt.ErrFormat) || !errors.Is(err, ErrInvalid) {
		t.Errorf("a version too long for a label: %v", err)
	}
	if _, err := Make(&definition.Definition{}, ""); !errors.Is(err, ErrInvalid) {
		t.Errorf("no image: %v", err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	good, err := Make(load(f), "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encode(f, good))
	f.Add([]byte(`{"name": "x", "version": "1", "commandLine": "quiet"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("not ErrInvalid: %v", err)
			}
			return
		}
		if again, err := Parse(encode(t, p)); err != nil || !bytes.Equal(encode(t, again), encode(t, p)) {
			t.Errorf("%+v is another when it is read again: %+v, %v", p, again, err)
		}
	})
}
