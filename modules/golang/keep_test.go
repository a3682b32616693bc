// Package golang has the tests of the module's scripts; its code is in .dagger.
package golang

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// shells are what the scripts run in: the machine's, and with the tag "busybox" BusyBox.
var shells = []shell{
	{"machine", func(*testing.T) (string, string) { return "sh", os.Getenv("PATH") }},
}

// shell is a shell by its name, and the folders of its programs.
type shell struct {
	name string
	make func(t *testing.T) (shell, path string)
}

// inShells runs a test with each of the shells.
func inShells(t *testing.T, test func(t *testing.T, run runner)) {
	t.Helper()
	for _, s := range shells {
		t.Run(s.name, func(t *testing.T) {
			shell, path := s.make(t)
			test(t, func(script string, args ...string) (string, error) {
				sums, err := os.ReadFile(".dagger/sums.sh")
				if err != nil {
					return "", err
				}
				text, err := os.ReadFile(filepath.Join(".dagger", script))
				if err != nil {
					return "", err
				}
				cmd := exec.Command(shell, append([]string{"-euc", string(sums) + string(text), "sh"}, args...)...)
				cmd.Env = append(os.Environ(), "PATH="+path)
				out, err := cmd.CombinedOutput()
				return string(out), err
			})
		})
	}
}

// runner runs a script of the module, as its containers do, and returns what it prints.
type runner func(script string, args ...string) (string, error)

func (r runner) must(t *testing.T, script string, args ...string) string {
	t.Helper()
	out, err := r(script, args...)
	if err != nil {
		t.Errorf("%s: %v\n%s", script, err, out)
	}
	return out
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func wantText(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q, want %q (%v)", path, got, want, err)
	}
}

// wantOnly wants nothing but names in a folder: what a script began it ends or removes.
func wantOnly(t *testing.T, folder string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(names) {
		t.Errorf("%s holds %q, want %q", folder, got, names)
	}
}

func TestKeepFolder(t *testing.T) {
	inShells(t, func(t *testing.T, run runner) {
		store, in := t.TempDir(), t.TempDir()
		write(t, in+"/a file", "one\n")
		write(t, in+"/dir/other", "two\n")
		// Calls at the same time do not break each other.
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() { run.must(t, "keep.sh", store, "name", in) })
		}
		calls.Wait()
		wantOnly(t, store, "name")
		to := t.TempDir() + "/kept"
		run.must(t, "take.sh", store+"/name", to)
		wantText(t, to+"/a file", "one\n")
		wantText(t, to+"/dir/other", "two\n")
	})
}

// damages are what may become of a kept folder: of one that holds file, mask (a link to
// /dev/null) and an empty folder.
var damages = map[string]func(kept string) error{
	"emptied":      func(kept string) error { return os.Truncate(kept+"/files/file", 0) },
	"gone":         func(kept string) error { return os.Remove(kept + "/files/file") },
	"added":        func(kept string) error { return os.WriteFile(kept+"/files/more", nil, 0o644) },
	"mode":         func(kept string) error { return os.Chmod(kept+"/files/file", 0o755|os.ModeSetuid) },
	"link gone":    func(kept string) error { return os.Remove(kept + "/files/mask") },
	"link added":   func(kept string) error { return os.Symlink("/bin/sh", kept+"/files/more") },
	"folder gone":  func(kept string) error { return os.Remove(kept + "/files/empty") },
	"folder added": func(kept string) error { return os.Mkdir(kept+"/files/more", 0o755) },
	"file a folder": func(kept string) error {
		return errors.Join(os.Remove(kept+"/files/file"), os.Mkdir(kept+"/files/file", 0o755))
	},
	"link elsewhere": func(kept string) error {
		return errors.Join(os.Remove(kept+"/files/mask"), os.Symlink("/dev/zero", kept+"/files/mask"))
	},
	"sums": func(kept string) error { return os.Truncate(kept+"/sums", 0) },
}

// damageable returns a folder that all damages are possible of.
func damageable(t *testing.T) string {
	t.Helper()
	in := t.TempDir()
	write(t, in+"/file", "one\n")
	if err := errors.Join(os.Mkdir(in+"/empty", 0o755), os.Symlink("/dev/null", in+"/mask")); err != nil {
		t.Fatal(err)
	}
	return in
}

func wantUndamaged(t *testing.T, files string) {
	t.Helper()
	wantOnly(t, files, "empty", "file", "mask")
	wantText(t, files+"/file", "one\n")
	target, err := os.Readlink(files + "/mask")
	info, statErr := os.Stat(files + "/file")
	if errors.Join(err, statErr) != nil || target != "/dev/null" || info.Mode() != 0o644 {
		t.Errorf("the link leads to %q, the file is %v: %v", target, info, errors.Join(err, statErr))
	}
}

func TestKeepReplacesWhatIsDamaged(t *testing.T) {
	in := damageable(t)
	all := maps.Clone(damages)
	all["half"] = func(kept string) error { return os.RemoveAll(kept + "/files") }
	all["undamaged"] = func(string) error { return nil }
	for name, damage := range all {
		t.Run(name, func(t *testing.T) {
			inShells(t, func(t *testing.T, run runner) {
				store := t.TempDir()
				run.must(t, "keep.sh", store, "name", in)
				if err := damage(store + "/name"); err != nil {
					t.Fatal(err)
				}
				run.must(t, "keep.sh", store, "name", in)
				wantOnly(t, store, "name")
				wantUndamaged(t, store+"/name/files")
			})
		})
	}
}

func TestKeepFolderWithoutFiles(t *testing.T) {
	inShells(t, func(t *testing.T, run runner) {
		store, in := t.TempDir(), t.TempDir()
		run.must(t, "keep.sh", store, "name", in)
		run.must(t, "keep.sh", store, "name", in)
		wantOnly(t, store+"/name/files")
		to := t.TempDir() + "/kept"
		run.must(t, "take.sh", store+"/name", to)
		wantOnly(t, to)
	})
}

// TestKeepEmptiesTheStore of what a killed call left behind, and of what nobody keeps.
func TestKeepEmptiesTheStore(t *testing.T) {
	inShells(t, func(t *testing.T, run runner) {
		store, in := t.TempDir(), t.TempDir()
		write(t, in+"/file", "one\n")
		run.must(t, "keep.sh", store, "kept", in)
		run.must(t, "keepfiles.sh", store, in)
		for name, age := range map[string]time.Duration{
			"kept": 40, one: 40, "unkept": 40, "young": 20, "new.killed": 2, "new.running": 0,
		} {
			if name != "kept" && name != one {
				write(t, store+"/"+name+"/files/file", "two\n")
			}
			then := time.Now().Add(-age * 24 * time.Hour)
			if err := os.Chtimes(store+"/"+name, then, then); err != nil {
				t.Fatal(err)
			}
		}
		run.must(t, "keepfiles.sh", store, in)
		run.must(t, "keep.sh", store, "other", in)
		wantOnly(t, store, one, "new.running", "other", "young")
	})
}

// TestKeepTouches: what is kept again stays for another month.
func TestKeepTouches(t *testing.T) {
	inShells(t, func(t *testing.T, run runner) {
		store, in := t.TempDir(), t.TempDir()
		write(t, in+"/file", "one\n")
		run.must(t, "keep.sh", store, "kept", in)
		then := time.Now().Add(-20 * 24 * time.Hour)
		if err := os.Chtimes(store+"/kept", then, then); err != nil {
			t.Fatal(err)
		}
		run.must(t, "keep.sh", store, "kept", in)
		if info, err := os.Stat(store + "/kept"); err != nil || time.Since(info.ModTime()) > time.Hour {
			t.Errorf("kept again, it is as old as before: %v", err)
		}
	})
}

// TestTakeRefusesWhatIsDamaged: between keeping and taking, too.
func TestTakeRefusesWhatIsDamaged(t *testing.T) {
	in := damageable(t)
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			inShells(t, func(t *testing.T, run runner) {
				store := t.TempDir()
				run.must(t, "keep.sh", store, "name", in)
				to := t.TempDir() + "/kept"
				run.must(t, "take.sh", store+"/name", to)
				wantUndamaged(t, to)
				if err := damage(store + "/name"); err != nil {
					t.Fatal(err)
				}
				out, err := run("take.sh", store+"/name", t.TempDir()+"/kept")
				if err == nil || !strings.Contains(out, "kept folder name is damaged") || !strings.Contains(out, " ./") && !strings.Contains(out, "'./") {
					t.Errorf("%v, %q", err, out)
				}
			})
		})
	}
}

func TestTakeRefusesWhatIsGone(t *testing.T) {
	inShells(t, func(t *testing.T, run runner) {
		store := t.TempDir()
		if out, err := run("take.sh", store+"/gone", t.TempDir()+"/kept"); err == nil || !strings.Contains(out, "kept folder gone is gone from the store: call again") {
			t.Errorf("folder that is gone: %v, %q", err, out)
		}
		if out, err := run("takefile.sh", store, one, t.TempDir()+"/kept"); err == nil || !strings.Contains(out, "is gone from the store") {
			t.Errorf("file that is gone: %v, %q", err, out)
		}
		write(t, store+"/"+one, "two\n")
		if out, err := run("takefile.sh", store, one, t.TempDir()+"/kept"); err == nil || !strings.Contains(out, "damaged") {
			t.Errorf("file: %v, %q", err, out)
		}
	})
}

// one is the digest of "one\n".
const one = "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806"

func TestKeepFiles(t *testing.T) {
	inShells(t, func(t *testing.T, run runner) {
		store, in := t.TempDir(), t.TempDir()
		write(t, in+"/a file", "one\n")
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() { run.must(t, "keepfiles.sh", store, in) })
		}
		calls.Wait()
		wantOnly(t, store, one)
		write(t, store+"/"+one, "")
		if got := strings.TrimSpace(run.must(t, "keepfiles.sh", store, in)); got != one+" a file" {
			t.Errorf("printed %q", got)
		}
		to := t.TempDir() + "/kept"
		run.must(t, "takefile.sh", store, one, to)
		wantText(t, to, "one\n")
	})
}
