package machine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTryKVM(t *testing.T) {
	wrong := filepath.Join(t.TempDir(), "kvm")
	if err := os.WriteFile(wrong, []byte("kvm"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{wrong + "-missing": fs.ErrNotExist, wrong: unix.ENOTTY, "/dev/null": unix.ENOTTY} {
		if err := tryKVM(path); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", path, err, want)
		}
		if accel, err := pickAccel(path); accel != TCG || !errors.Is(err, ErrNoKVM) || !errors.Is(err, want) {
			t.Errorf("%s: picked %s, %v", path, accel, err)
		}
	}
}

// TestPickAccel holds the pick for this machine against its device.
func TestPickAccel(t *testing.T) {
	accel, err := PickAccel()
	if tried := tryKVM("/dev/kvm"); (tried == nil) != (accel == KVM) || (tried == nil) != (err == nil) {
		t.Errorf("picked %s, %v; trying says %v", accel, err, tried)
	}
}
