package trace

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/attest/evidence"
	"github.com/mastercard/mangos/attest/policy"
)

// TestRelease traces what a whole release is made of, in the folder that
// MANGOS_RELEASE names, with its keys in MANGOS_KEYS. Without one there is nothing
// that this could add to the other tests.
func TestRelease(t *testing.T) {
	dir := os.Getenv("MANGOS_RELEASE")
	if dir == "" {
		return
	}
	text, err := policy.Write(os.Getenv("MANGOS_KEYS"), "../../mangos.toml")
	must(t, err)
	trusted, err := policy.Parse(text)
	must(t, err)
	o := Options{Policy: trusted, At: time.Now()}
	dir = small(t, dir)
	for asked, row := range map[string]struct {
		steps string
		whole func(*Result) bool
	}{
		"/usr/bin/bash": {"packages-root tree-root erofs verity disk", func(r *Result) bool {
			return r.Component == "root" && r.Package != nil && r.Package.Name == "bash" && r.Source != nil && r.Source.Name == "bash" && len(r.Source.Files) > 1 && locked(r)
		}},
		"kernel": {"packages-source-linux kernel kernel-packed certificate uki sign disk", func(r *Result) bool {
			return r.Source != nil && r.Source.Name == "linux" && len(r.Source.Files) > 1 && locked(r)
		}},
		"initrd:/usr/lib/mangos/gate": {"programs initrd uki sign disk", func(r *Result) bool {
			return r.Program != nil && r.Program.Name == "gate" && len(r.Program.Modules) > 1 && r.Program.SWHID != ""
		}},
		// Made by a maintainer script, of no package.
		"/etc/ld.so.cache": {"tree-root erofs verity disk", func(r *Result) bool { return r.Package == nil && r.Origin != "" }},
	} {
		began := time.Now()
		result, err := open(t, dir, o).Trace(asked)
		if err != nil {
			t.Errorf("%s: %v", asked, err)
			continue
		}
		t.Logf("%s: %d ms\n%s", asked, time.Since(began).Milliseconds(), result.Text())
		if !row.whole(result) || steps(result) != row.steps || result.Untrusted() {
			t.Errorf("%s: the way to its source is not whole, or not trusted:\n%s", asked, result.Text())
		}
		onScreen(t, asked, result.Text())
		for step := range strings.FieldsSeq(row.steps) {
			withheld(t, dir, evidence.StatementName("*", step), func() {
				result, err := open(t, dir, o).Trace(asked)
				if err != nil || !result.Untrusted() || !slices.ContainsFunc(result.Faults, func(f string) bool { return strings.HasPrefix(f, "step "+step+": ") }) {
					t.Errorf("%s: without the statement of step %s it is trusted: %v", asked, step, err)
				}
			})
		}
	}
}

// TestReleaseProducts asks for what the statements of a whole release name as products, but
// for the many files of the repository and of the distribution, and for what lies beside
// the files of the image.
func TestReleaseProducts(t *testing.T) {
	dir := os.Getenv("MANGOS_RELEASE")
	if dir == "" {
		return
	}
	r := open(t, dir, Options{})
	all := []string{"boot.efi", "certified/bzImage", "source/mangos.toml", "/boot/EFI/BOOT/BOOTX64.EFI", "/boot/loader/loader.conf", "/etc", "SHA256SUMS"}
	names := r.all()
	must(t, r.readSteps(names))
	for _, name := range names {
		for product, digest := range r.steps[name].products {
			if !strings.HasPrefix(product, "source/") && !strings.HasPrefix(product, lockedFolder) {
				all = append(all, digest)
			}
		}
	}
	slowest := time.Duration(0)
	for _, asked := range all {
		began := time.Now()
		if _, err := r.Trace(asked); err != nil {
			t.Error(err)
		}
		slowest = max(slowest, time.Since(began))
	}
	t.Logf("%d products, the slowest in %d ms", len(all), slowest.Milliseconds())
}

// small copies what tracing reads of a release: its files but the images.
func small(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext == ".json" || ext == ".link" || ext == ".layout" || e.Name() == "SHA256SUMS" {
			content, err := os.ReadFile(filepath.Join(dir, e.Name()))
			must(t, err)
			write(t, to, e.Name(), string(content))
		}
	}
	return to
}

// withheld does something while the files that a pattern matches are not there.
func withheld(t *testing.T, dir, pattern string, do func()) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	must(t, err)
	away := t.TempDir()
	for _, name := range names {
		must(t, os.Rename(name, filepath.Join(away, filepath.Base(name))))
	}
	do()
	for _, name := range names {
		must(t, os.Rename(filepath.Join(away, filepath.Base(name)), name))
	}
}

// locked tells whether a result leads to the distribution's signature.
func locked(r *Result) bool {
	return r.Locked != nil && len(r.Locked.SHA256) == 64 && r.Locked.Lock != "" && r.Locked.Release != "" && r.Locked.Signed != "" && r.Locked.Trust == InPolicy
}
