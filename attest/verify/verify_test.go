package verify_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/verify"
	"github.com/mastercard/mangos/attest/verify/verifytest"
)

// at is a time at which the layouts of tests are in force.
var at = time.Unix(verifytest.Epoch, 0)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "verify-test-")
	if err != nil {
		panic(err)
	}
	made.folder = dir
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// made is what tests share; what they change, they copy.
var made struct {
	sync.Mutex
	folder string
	world  *verifytest.World // of the small release in the folder dir
	dir    string
	whole  string // a copy of a real release
}

func small(t *testing.T) (*verifytest.World, string) {
	t.Helper()
	made.Lock()
	defer made.Unlock()
	if made.world == nil {
		w := verifytest.New(t, filepath.Join(made.folder, "example"), "Example", "hello", verifytest.Extended(""))
		made.dir = w.Release(t)
		made.world = w
	}
	return made.world, made.dir
}

func run(t *testing.T, dir string, policyText []byte) *verify.Report {
	t.Helper()
	p, err := policy.Parse(policyText)
	if err != nil {
		t.Fatal(err)
	}
	r, err := verify.Release(t.Context(), dir, p, at)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGood(t *testing.T) {
	w, dir := small(t)
	r := run(t, dir, w.Policy)
	r.Text(t.Output())
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}

// TestWithoutExtension: a release need not bring one.
func TestWithoutExtension(t *testing.T) {
	w := verifytest.New(t, t.TempDir(), "Example", "hello")
	if err := run(t, w.Release(t), w.Policy).Err(); err != nil {
		t.Error(err)
	}
}
