//go:build busybox

package golang

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// Dagger's own container for Go modules has BusyBox and no other tools; the lock's test set
// has none.
func init() {
	shells = append(shells, shell{"busybox", func(t *testing.T) (string, string) {
		program, err := exec.LookPath("busybox")
		if err != nil {
			t.Fatal(err)
		}
		applets := t.TempDir()
		if out, err := exec.Command(program, "--install", "-s", applets).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return filepath.Join(applets, "sh"), applets
	}})
}
