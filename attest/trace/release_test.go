package trace

import (
	"crypto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/attest/keys"
)

// TestRelease traces what a whole release is made of, in the folder that
// MANGOS_RELEASE names, with its keys in MANGOS_KEYS. Without one there is nothing
// that this could add to the other tests.
func TestRelease(t *testing.T) {
	dir := os.Getenv("MANGOS_RELEASE")
	if dir == "" {
		return
	}
	key, err := keys.LoadPublic(keys.Attest, filepath.Join(os.Getenv("MANGOS_KEYS"), "attest.pub"))
	if err != nil {
		t.Fatal(err)
	}
	for asked, whole := range map[string]func(*Result) bool{
		"/usr/bin/bash": func(r *Result) bool {
			return r.Component == "root" && r.Package != nil && r.Package.Name == "bash" && r.Source != nil && r.Source.Name == "bash" &&
				len(r.Source.Files) > 1 && locked(r) && by(r, "packages-root", "erofs", "sbom")
		},
		"kernel": func(r *Result) bool {
			return r.Source != nil && r.Source.Name == "linux" && len(r.Source.Files) > 1 && locked(r) && by(r, "kernel", "kernel-packed")
		},
		"initrd:/usr/lib/mangos/gate": func(r *Result) bool {
			return r.Program != nil && r.Program.Name == "gate" && len(r.Program.Modules) > 1 && by(r, "programs")
		},
		// Made by a maintainer script, of no package.
		"/etc/ld.so.cache": func(r *Result) bool {
			return r.Package == nil && r.Origin != "" && by(r, "tree-root", "erofs")
		},
	} {
		began := time.Now()
		release, err := Open(dir, Options{Keys: []crypto.PublicKey{key}})
		if err != nil {
			t.Fatal(err)
		}
		result, err := release.Trace(asked)
		if err != nil {
			t.Errorf("%s: %v", asked, err)
			continue
		}
		t.Logf("%s: %d ms\n%s", asked, time.Since(began).Milliseconds(), result.Text())
		if !whole(result) {
			t.Errorf("%s: the way to its source is not whole:\n%s", asked, result.Text())
		}
		if n := strings.Count(result.Text(), "\n"); n > lines {
			t.Errorf("%s: %d lines do not fit on one screen", asked, n)
		}
	}
}

// locked tells whether a result leads to the distribution's signature.
func locked(r *Result) bool {
	return r.Locked != nil && len(r.Locked.SHA256) == 64 && r.Locked.Lock != "" && r.Locked.Release != "" && r.Locked.Signed != ""
}

// by tells whether signed statements of these steps had a part in it.
func by(r *Result, steps ...string) bool {
	return !slices.ContainsFunc(steps, func(step string) bool {
		return !slices.ContainsFunc(r.Built, func(b Built) bool { return b.Step == step && b.Signed != "" })
	})
}
