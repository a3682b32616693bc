package compile

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tools puts programs into the path that stand in for those of a Debian
// machine: they leave a line for each run in a log, and make a kernel of a few
// bytes.
func tools(t *testing.T) (log string) {
	t.Helper()
	folder := t.TempDir()
	log = filepath.Join(folder, "log")
	for name, text := range map[string]string{
		"dpkg-source": `mkdir -p "$3/debian" && echo " -- A B <a@b>  Sat, 03 Jan 2026 00:00:00 +0000" >"$3/debian/changelog"`,
		"make": `echo make >>` + log + `
for word; do
    case $word in O=*) build=${word#O=};; KCONFIG_ALLCONFIG=*) all=${word#*=};; esac
done
mkdir -p "$build/arch/x86/boot" "$build/scripts" "$build/include/config"
if test -n "$all"; then grep -v GONE "$all" >"$build/.config"; exit 0; fi
cd "$build"
for file in vmlinux System.map arch/x86/boot/bzImage scripts/insert-sys-cert include/config/kernel.release; do
    echo "$KBUILD_BUILD_TIMESTAMP" >$file
done`,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	return log
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A result is taken from the store if and only if all it depends on is the
// same and the store still has it as it was.
func TestStore(t *testing.T) {
	log := tools(t)
	folder := t.TempDir()
	write(t, folder+"/sources/linux.dsc", "dsc")
	write(t, folder+"/fragments/a.config", "CONFIG_A=y\n")
	store := filepath.Join(folder, "store")
	if err := os.Mkdir(store, 0o755); err != nil {
		t.Fatal(err)
	}
	run := 0
	compiled := func(what string, tools string, want bool) {
		t.Helper()
		run++
		before, _ := os.ReadFile(log)
		job := Job{Sources: folder + "/sources", Fragments: folder + "/fragments", Log: io.Discard,
			Out: filepath.Join(folder, "out", strings.Repeat("x", run)), Store: store, Tools: tools}
		if err := os.MkdirAll(filepath.Dir(job.Out), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := job.Run(context.Background()); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		after, _ := os.ReadFile(log)
		if got := len(after) > len(before); got != want {
			t.Errorf("%s: compiled %v, want %v", what, got, want)
		}
		text, err := os.ReadFile(filepath.Join(job.Out, "vmlinux"))
		if err != nil || string(text) != "Sat Jan  3 00:00:00 UTC 2026\n" {
			t.Errorf("%s: %q, %v", what, text, err)
		}
	}
	compiled("first", "tools", true)
	compiled("again", "tools", false)
	compiled("other tools", "others", true)
	write(t, folder+"/fragments/a.config", "CONFIG_A=y\nCONFIG_B=y\n")
	compiled("another fragment", "tools", true)
	write(t, folder+"/sources/linux.orig.tar.xz", "orig")
	compiled("another source", "tools", true)
	compiled("once more", "tools", false)
	names, err := filepath.Glob(store + "/*/vmlinux")
	if err != nil || len(names) != 4 {
		t.Fatalf("%d entries, %v", len(names), err)
	}
	for _, name := range names {
		write(t, name, "damaged")
	}
	compiled("damaged", "tools", true)
	compiled("repaired", "tools", false)
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(filepath.Dir(name), sums)); err != nil {
			t.Fatal(err)
		}
	}
	compiled("without digests", "tools", true)
}

// A configuration that the check refuses stops the work before the compiler
// runs, and nothing is left.
func TestCheck(t *testing.T) {
	log := tools(t)
	folder := t.TempDir()
	write(t, folder+"/sources/linux.dsc", "dsc")
	write(t, folder+"/fragments/a.config", "CONFIG_A=y\nCONFIG_GONE=y\n")
	var said strings.Builder
	job := Job{Sources: folder + "/sources", Fragments: folder + "/fragments", Out: folder + "/out", Log: &said, Store: folder, Tools: "tools",
		Check: []string{"sh", "-c", `cat "$0" && grep GONE "$0"`}}
	if err := job.Run(context.Background()); err == nil || said.String() != "CONFIG_A=y\n" {
		t.Errorf("%v, %q", err, said.String())
	}
	if runs, _ := os.ReadFile(log); string(runs) != "make\n" {
		t.Errorf("make ran %q", runs)
	}
	for _, pattern := range []string{"/out*", "/.partial*"} {
		if left, err := filepath.Glob(folder + pattern); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

// A check that has become stricter looks at what the store has, too.
func TestCheckStored(t *testing.T) {
	tools(t)
	folder := t.TempDir()
	write(t, folder+"/sources/linux.dsc", "dsc")
	write(t, folder+"/fragments/a.config", "CONFIG_A=y\n")
	job := Job{Sources: folder + "/sources", Fragments: folder + "/fragments", Out: folder + "/first", Log: io.Discard, Store: folder, Tools: "tools"}
	if err := job.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	for check, want := range map[string]bool{`grep A=y "$0"`: true, `grep GONE "$0"`: false} {
		job.Out, job.Check = t.TempDir()+"/out", []string{"sh", "-c", check}
		if err := job.Run(context.Background()); (err == nil) != want {
			t.Errorf("%s: %v", check, err)
		}
		if _, err := os.Lstat(job.Out); (err == nil) != want {
			t.Errorf("%s: output: %v", check, err)
		}
	}
}
