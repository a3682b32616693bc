//go:build linux

package main

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts run the launcher against stand-ins for everything that it calls:
// this test binary under the names of go and of the programs that the go command
// would have compiled. The namespaces, locks and processes are real.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"launcher":      main,
		"go":            fakeGo,
		"dagger":        fakeClient,
		"dagger-engine": fakeEngine,
		"debian":        fakeDebian,
	})
}

func TestScripts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("the embedded engine needs root: run this test as root")
	}
	script, err := filepath.Abs("../dagger")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			repo := filepath.Join(env.WorkDir, "repo")
			for name, text := range map[string]string{
				"ci/engine/go.mod":                   "module engine\n\ntoolchain go1.2.3\n\nrequire github.com/dagger/dagger v0.0.1 // indirect\n",
				"ci/engine/go.sum":                   "",
				"ci/engine/distconsts/go.mod":        "",
				"ci/engine/distconsts/distconsts.go": "",
				"debian.lock.json":                   "{}",
				"mangos.toml":                        "",
				"dagger.json":                        "{}",
			} {
				file := filepath.Join(repo, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					return err
				}
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					return err
				}
			}
			// A socket's path must be short.
			state, err := os.MkdirTemp("", "mangos-test-")
			if err != nil {
				return err
			}
			// The space that this machine has left is not what is tested.
			if err := syscall.Mount("mangos-test", state, "tmpfs", 0, "size=30g"); err != nil {
				return fmt.Errorf("mount a state folder, which needs root: %w", err)
			}
			env.Defer(func() {
				if err := syscall.Unmount(state, syscall.MNT_DETACH); err != nil {
					t.Errorf("unmount %s: %v", state, err)
				}
				os.RemoveAll(state)
			})
			env.Setenv("MANGOS_STATE", state)
			env.Setenv("MANGOS_REPO", repo)
			env.Setenv("MANGOS_MIRRORS", "debian=http://m.example/debian")
			env.Setenv("TMPDIR", env.WorkDir)
			env.Setenv("DAGGER", script)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"count": count, "other-user": otherUser},
	})
}

// count N TEXT FILE... fails unless TEXT is on N lines of the files together.
func count(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	for _, file := range args[2:] {
		got += strings.Count(ts.ReadFile(file), args[1])
	}
	if (got == want) == neg {
		ts.Fatalf("%q is there %d times", args[1], got)
	}
}

// otherUser opens the script's folders and programs to everybody.
func otherUser(ts *testscript.TestScript, _ bool, _ []string) {
	for dir := ts.Getenv("WORK"); dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		ts.Check(os.Chmod(dir, 0o755))
	}
	ts.Check(os.Chmod(ts.Getenv("MANGOS_STATE"), 0o777))
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		for ; strings.HasPrefix(dir, "/tmp/"); dir = filepath.Dir(dir) {
			ts.Check(os.Chmod(dir, 0o755))
		}
	}
}

func die(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, filepath.Base(os.Args[0])+":", err)
		os.Exit(1)
	}
}

// fakeGo "compiles" each package to a copy of this binary under the package's
// name, and answers the questions that the launcher has.
func fakeGo() {
	args := os.Args[1:]
	switch {
	case args[0] == "env":
		fmt.Println(`{"GOPROXY": "https://proxy.example,direct"}`)
	case args[0] == "mod":
		dir, err := os.MkdirTemp("", "toolchain")
		die(err)
		die(os.MkdirAll(filepath.Join(dir, "bin"), 0o755))
		die(os.WriteFile(filepath.Join(dir, "bin", "go"), nil, 0o644))
		die(os.WriteFile(filepath.Join(dir, "_go.mod"), nil, 0o644))
		fmt.Printf("{\"Dir\": %q}\n", dir)
	case args[0] == "version":
		fmt.Println("go version go" + cmp.Or(os.Getenv("FAKE_GO_VERSION"), "1.2.3"))
	case os.Getenv("FAKE_COMPILER") == "broken":
		fmt.Fprintln(os.Stderr, "engine.go:1: no such luck")
		os.Exit(1)
	case args[len(args)-1] == ".": // ci/dagger wants the launcher
		fmt.Fprintln(os.Stderr, "build with GOTOOLCHAIN", os.Getenv("GOTOOLCHAIN"))
		out := args[slices.Index(args, "-o")+1]
		die(os.WriteFile(out, []byte("#!/bin/sh\nexec launcher \"$@\"\n"), 0o755))
		die(os.Chmod(out, 0o755))
	default:
		out := ""
		for i, a := range args {
			if a == "-o" {
				out = args[i+1]
			}
			if strings.Contains(a, "/cmd/") || a == "./modules/sandbox" {
				copyFile("/proc/self/exe", filepath.Join(out, filepath.Base(a)))
			}
		}
	}
}

func copyFile(from, to string) {
	in, err := os.Open(from)
	die(err)
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	die(err)
	_, err = io.Copy(out, in)
	die(err)
	die(out.Close())
}

// fakeClient prints what it was called with, and does what FAKE_CLIENT says.
func fakeClient() {
	fmt.Println("runner", os.Getenv("_EXPERIMENTAL_DAGGER_RUNNER_HOST"))
	fmt.Println("args", strings.Join(os.Args[1:], " "))
	fmt.Println("mirrors", os.Getenv("MANGOS_MIRRORS"))
	switch does, arg, _ := strings.Cut(os.Getenv("FAKE_CLIENT"), " "); does {
	case "exit":
		status, err := strconv.Atoi(arg)
		die(err)
		os.Exit(status)
	case "kill-engine":
		conn, err := net.Dial("unix", strings.TrimPrefix(os.Getenv("_EXPERIMENTAL_DAGGER_RUNNER_HOST"), "unix://"))
		die(err)
		fmt.Fprintln(conn, "die")
		io.Copy(io.Discard, conn)
		os.Exit(1)
	case "count-children":
		fmt.Println("children", children(strings.TrimPrefix(os.Getenv("_EXPERIMENTAL_DAGGER_RUNNER_HOST"), "unix://")))
	case "hold":
		// Says that it runs, and ends when the file "release" is there.
		die(os.WriteFile(arg, nil, 0o644))
		_, err := os.Open(arg + ".fifo")
		die(err)
	case "gone":
		// A locked file is gone, unless the lock is another one.
		if !strings.Contains(strings.Join(os.Args, " "), " --lock=") {
			fmt.Fprintln(os.Stderr, "debian: fetch x 1: locked file is gone")
			os.Exit(exitGone)
		}
	case "await-signal":
		caught := make(chan os.Signal, 1)
		signal.Notify(caught, syscall.SIGTERM)
		die(syscall.Kill(os.Getppid(), syscall.SIGTERM))
		fmt.Println("caught", <-caught)
	}
}

// childMark stands in the command line of what the engine started.
const childMark = "child-of-the-engine"

// children counts what engines with this address have started and still runs.
func children(addr string) (n int) {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	die(err)
	for _, path := range lines {
		// A process may have ended by now.
		line, _ := os.ReadFile(path)
		if strings.Contains(string(line), childMark+"\x00"+addr) {
			n++
		}
	}
	return n
}

// fakeEngine listens where the engine would, and checks the place that was
// prepared for it.
func fakeEngine() {
	if os.Getenv("HTTPS_PROXY") == "http://engine-must-fail.example" {
		fmt.Fprintln(os.Stderr, "level=error: no luck today")
		os.Exit(1)
	}
	for _, path := range []string{"/usr/local/bin/dagger-init", "/usr/local/bin/runc", "/usr/local/share/dagger/content/digest",
		"/etc/dagger/engine.json", "/usr/local/lib/mangos-engine/cni/bridge", "/usr/local/lib/mangos-engine/cni/dnsname"} {
		_, err := os.Stat(path)
		die(err)
	}
	score, err := os.ReadFile("/proc/self/oom_score_adj")
	die(err)
	if string(score) != "500\n" {
		die(fmt.Errorf("oom_score_adj is %q", score))
	}
	die(os.WriteFile("/etc/written-by-the-engine", nil, 0o644))
	var addr, network string
	for i, a := range os.Args {
		switch a {
		case "--addr":
			addr = strings.TrimPrefix(os.Args[i+1], "unix://")
		case "--network-cidr":
			network = os.Args[i+1]
		}
	}
	// As the real one's name server, which does not end by itself.
	die(exec.Command("sh", "-c", "sleep 86399; :", childMark, addr).Start())
	l, err := net.Listen("unix", addr)
	die(err)
	fmt.Println("listening, network", network)
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	go func() {
		<-terminate
		fmt.Println("ended in peace")
		os.Exit(0)
	}()
	for {
		conn, err := l.Accept()
		die(err)
		order := make([]byte, 3)
		if n, _ := io.ReadFull(conn, order); string(order[:n]) == "die" {
			fmt.Println("level=fatal: out of memory")
			os.Exit(2)
		}
		// The settings of a server (RFC 9113, section 6.5).
		_, err = conn.Write([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
		die(err)
		conn.Close()
	}
}

// refuseOlder fails unless the archive is as new as the present locks.
func refuseOlder(args []string) {
	if slices.Contains(args, "--accept-older") {
		return
	}
	for i, a := range args {
		if a != "--present" {
			continue
		}
		lock, err := os.ReadFile(args[i+1])
		die(err)
		if strings.Contains(string(lock), "newer") {
			die(fmt.Errorf("make lock: the archive's Release is older than that of %s", filepath.Base(args[i+1])))
		}
	}
}

// fakeDebian makes a selection that follows the lock's first line, and an almost
// empty root file system. It does not find the files of a lock that says "gone", and
// the archive is older than a lock that says "newer".
func fakeDebian() {
	arg := map[string]string{}
	for i := 1; i+1 < len(os.Args); i++ {
		arg[os.Args[i]] = os.Args[i+1]
	}
	switch os.Args[1] {
	case "select":
		lock, err := os.ReadFile(arg["--lock"])
		die(err)
		line, _, _ := strings.Cut(string(lock), "\n")
		die(os.WriteFile(arg["--out"], []byte(line), 0o644))
	case "fetch":
		selection, err := os.ReadFile(arg["--selection"])
		die(err)
		if strings.HasPrefix(string(selection), `"gone`) {
			fmt.Fprintln(os.Stderr, "debian: fetch git 1: locked file is gone: refresh the lock")
			os.Exit(exitGone)
		}
	case "lock":
		_, err := os.Stat(arg["--sandbox"])
		die(err)
		refuseOlder(os.Args[2:])
		die(os.WriteFile(arg["--out"], []byte(os.Getenv("FAKE_ARCHIVE")), 0o644))
	case "bootstrap":
		die(os.MkdirAll(filepath.Join(arg["--root"], "etc"), 0o755))
		die(os.WriteFile(filepath.Join(arg["--root"], "etc", "os-release"), nil, 0o644))
	}
}
