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
	}
}

// TestPickAccel: what trying gave decides, here as on a machine where KVM works.
func TestPickAccel(t *testing.T) {
	if accel, err := pickAccel(nil); accel != KVM || err != nil {
		t.Errorf("with a working KVM: %s, %v", accel, err)
	}
	if accel, err := pickAccel(unix.ENOTTY); accel != TCG || !errors.Is(err, ErrNoKVM) || !errors.Is(err, unix.ENOTTY) {
		t.Errorf("without: %s, %v", accel, err)
	}
	accel, err := PickAccel()
	if tried := tryKVM("/dev/kvm"); (tried == nil) != (accel == KVM) || (tried == nil) != (err == nil) {
		t.Errorf("picked %s, %v; trying says %v", accel, err, tried)
	}
}
