//go:build oracle

package difference_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDiffoscopeAgrees lets diffoscope look at each pair of the table in which we
// find a difference: at the folder of the file that was changed in the tree, else at
// the two disks. It must see one, too, and none in a pair without a fault.
func TestDiffoscopeAgrees(t *testing.T) {
	if _, err := exec.LookPath("diffoscope"); err != nil {
		t.Skip("needs diffoscope (package diffoscope-minimal)")
	}
	tree, base, a := original(t)
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			if f.tree == nil || f.want.file == "" {
				sees(t, 1, a, f.apply(t, tree, base))
				return
			}
			if strings.HasPrefix(f.want.what, "xattr ") && exec.Command("python3", "-c", "import xattr").Run() != nil {
				t.Skip("diffoscope sees attributes with package python3-pyxattr only")
			}
			copied := t.TempDir()
			run(t, "cp", "-a", tree+"/.", copied)
			f.tree(t, copied)
			if f.want.what != "mtime" {
				clampTimes(t, copied)
			}
			dir := filepath.Dir(f.want.file)
			sees(t, 1, filepath.Join(tree, dir), filepath.Join(copied, dir))
		})
	}
	t.Run("nothing", func(t *testing.T) {
		sees(t, 0, a, base.build(t))
		copied := t.TempDir()
		run(t, "cp", "-a", tree+"/.", copied)
		sees(t, 0, tree, copied)
	})
}

// sees requires diffoscope's exit code: 1 where it sees a difference. Of folders it
// sees times, modes and attributes, too; of two disks only what they hold.
func sees(t *testing.T, code int, a, b string) {
	t.Helper()
	args := []string{"--no-progress", "--text", "-", "--exclude-directory-metadata=yes"}
	if info, err := os.Stat(a); err == nil && info.IsDir() {
		args = []string{"--no-progress", "--text", "-", "--exclude-directory-metadata=no", "--extended-filesystem-attributes"}
	}
	cmd := exec.Command("diffoscope", append(args, a, b)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != code {
		t.Errorf("diffoscope ends with %v, want %d\n%.2000s", err, code, out)
	}
}
