package verify_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/verify"
)

// archive makes the archive of a module, of one file.
func archive(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("example.org/M@v1.0.0/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write([]byte(text))
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestModules: the archive of a module is held against go.sum by what is in it.
func TestModules(t *testing.T) {
	w, dir := small(t)
	const name, file = "go/example.org/M@v1.0.0.zip", "example.org/!m/@v/v1.0.0.zip"
	evil := archive(t, "module evil\n")
	swapped := func(c *copied) { c.swap(name, digest(evil)) }
	for title, row := range map[string]struct {
		change  func(c *copied)
		archive []byte // nil: the one that the steps had
		says    string // empty: it passes
	}{
		"the module":                           {nil, nil, ""},
		"another archive than the steps had":   {nil, evil, "module example.org/M@v1.0.0: its archive has SHA-256 …the steps had one with"},
		"an archive swapped in the build":      {swapped, evil, "module example.org/M@v1.0.0: the archive that the steps had is h1:…go.sum says h1:"},
		"an archive swapped, and put back":     {swapped, nil, "module example.org/M@v1.0.0: its archive has SHA-256 …the steps had one with"},
		"no archive":                           {nil, []byte{}, "no such file or directory"},
		"another archive, in one of two steps": {func(c *copied) { c.swapIn("programs", name, digest(evil)) }, nil, "in another step"},
		"something that is no archive":         {func(c *copied) { c.swap(name, digest([]byte("PK"))) }, []byte("PK"), "zip: not a valid zip file"},
	} {
		t.Run(title, func(t *testing.T) {
			c := (&original{dir: dir, policy: w.Policy, at: at, keys: w.Keys, world: w}).copy(t)
			if row.change != nil {
				row.change(c)
				c.seal()
			}
			modules := t.TempDir()
			if row.archive == nil {
				row.archive = c.readFile(filepath.Join(w.Modules, file))
			}
			if len(row.archive) > 0 {
				if err := os.MkdirAll(filepath.Join(modules, filepath.Dir(file)), 0o755); err != nil {
					t.Fatal(err)
				}
				put := filepath.Join(modules, file)
				if err := os.WriteFile(put, row.archive, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			p, err := policy.Parse(c.policy)
			if err != nil {
				t.Fatal(err)
			}
			r, err := verify.Release(t.Context(), c.dir, p, c.at, verify.Modules(modules))
			if err != nil {
				t.Fatal(err)
			}
			if row.says == "" {
				if r.Err() != nil || !strings.Contains(detail(r, "lock"), "1 Go modules by their content") {
					t.Errorf("%v: %s", r.Err(), detail(r, "lock"))
				}
				return
			}
			if got := failed(t, r)["lock"]; !says(got, row.says) {
				t.Errorf("the check lock should say %q: %q", row.says, got)
			}
		})
	}
}

// detail is what a check of a report found.
func detail(r *verify.Report, check string) string {
	for _, c := range r.Checks {
		if c.Name == check {
			return c.Detail
		}
	}
	return ""
}

// swap gives what steps made and had under a name another digest.
func (c *copied) swap(name, digest string) {
	c.t.Helper()
	for _, step := range []string{"modules", "programs"} {
		c.swapIn(step, name, digest)
	}
}

func (c *copied) swapIn(step, name, digest string) {
	c.t.Helper()
	var was string
	c.relink(step, func(l *in_toto.Link) {
		for _, side := range []map[string]in_toto.HashObj{l.Materials, l.Products} {
			if d, ok := side[name]; ok {
				was, side[name] = d["sha256"], in_toto.HashObj{"sha256": digest}
			}
		}
	})
	c.restate(step, was, digest)
}
