package clock

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const shift = 398*24*time.Hour + 5*time.Hour

func init() {
	if os.Getenv("CLOCK_TEST") == "wait" {
		runtime.LockOSThread() // to the first thread, the one that is traced
	}
}

// TestMain lets the test program stand for the command that is followed, too.
func TestMain(m *testing.M) {
	switch os.Getenv("CLOCK_TEST") {
	case "wait":
		wait()
	case "look":
		look()
	case "ask":
		ask()
	case "job":
		job()
	case "stop":
		unix.Kill(unix.Getpid(), unix.SIGSTOP)
		fmt.Println("went on")
	default:
		os.Exit(m.Run())
	}
}

// wait waits to be traced, and becomes the command.
func wait() {
	os.Stdin.Read(make([]byte, 1))
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	if err := Filter(); err != nil {
		panic(err)
	}
	os.Setenv("CLOCK_TEST", os.Getenv("CLOCK_TEST_THEN"))
	panic(syscall.Exec(os.Args[1], os.Args[1:], os.Environ()))
}

// job starts a child that stops itself, waits for that, and lets it go on.
func job() {
	os.Setenv("CLOCK_TEST", "stop")
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"stop"}, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		panic(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		panic(fmt.Sprintf("%#x %v", status, err))
	}
	unix.Kill(pid, unix.SIGCONT)
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil || status != 0 {
		panic(fmt.Sprintf("%#x %v", status, err))
	}
}

// look prints the time of day as this program is told it in each way, in seconds.
func look() {
	fmt.Println("runtime", time.Now().Unix())
	var ts unix.Timespec
	for _, id := range []int32{unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_COARSE} {
		if err := unix.ClockGettime(id, &ts); err != nil {
			panic(err)
		}
		fmt.Println("clock", ts.Sec)
	}
	var tv unix.Timeval
	if err := unix.Gettimeofday(&tv); err != nil {
		panic(err)
	}
	fmt.Println("day", tv.Sec)
	var t unix.Time_t
	got, err := unix.Time(&t)
	if err != nil || got != t {
		panic(fmt.Sprint(got, t, err))
	}
	fmt.Println("time", t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			runtime.LockOSThread() // a thread of its own
			fmt.Println("thread", time.Now().Unix())
		}()
	}
	wg.Wait()
	if out, err := exec.Command("date", "+child %s").Output(); err == nil {
		fmt.Print(string(out))
	}
	fmt.Println("fault", unix.ClockGettime(unix.CLOCK_REALTIME, nil))
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		panic(err)
	}
	fmt.Println("up", up.Sec)
}

// ask asks for the time of day very often.
func ask() {
	began := time.Now()
	now := began
	for range manyQuestions {
		now = time.Now()
	}
	fmt.Println(now.Sub(began).Milliseconds())
}

// manyQuestions would take a tracer that stops the program for each of them some 20 s.
const manyQuestions = 1_000_000

// follow runs a command with another time and returns what it printed.
func follow(t *testing.T, then string, argv ...string) (unix.WaitStatus, string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if len(argv) == 0 {
		argv = []string{self}
	}
	in, goOn, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/out"
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		pid, err := syscall.ForkExec(self, append([]string{self}, argv...), &syscall.ProcAttr{
			Env:   append(os.Environ(), "CLOCK_TEST=wait", "CLOCK_TEST_THEN="+then),
			Files: []uintptr{in.Fd(), out.Fd(), 2},
		})
		if err == nil {
			err = Seize(pid)
			goOn.Write([]byte("\n"))
		}
		if err == nil {
			status, err = Follow(pid, shift)
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return status, string(text)
}

// TestTime: every way to ask for the time of day gives the other one, in every
// thread and child; the time since the start stays.
func TestTime(t *testing.T) {
	status, out := follow(t, "look")
	want := time.Now().Add(shift).Unix()
	seen := map[string]int{}
	for line := range strings.Lines(out) {
		what, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		seen[what]++
		n, err := strconv.ParseInt(value, 10, 64)
		switch {
		case what == "fault":
			if value != "bad address" {
				t.Errorf("written to nowhere: %s", value)
			}
		case what == "up":
			var now unix.Timespec
			if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil || n > now.Sec || n < now.Sec-300 {
				t.Errorf("up for %s s, the machine for %d s, %v", value, now.Sec, err)
			}
		case err != nil || n < want-300 || n > want:
			t.Errorf("%s: want %d or a little less", strings.TrimSpace(line), want)
		}
	}
	if status != 0 || seen["runtime"] != 1 || seen["clock"] != 2 || seen["day"] != 1 || seen["time"] != 1 ||
		seen["thread"] != 4 || seen["child"] != 1 || seen["up"] != 1 {
		t.Errorf("status %v, the program says\n%s", status, out)
	}
}

// TestOften: the page answers, not the tracer.
func TestOften(t *testing.T) {
	status, out := follow(t, "ask")
	took, err := strconv.Atoi(strings.TrimSpace(out))
	if status != 0 || err != nil || took > 5000 {
		t.Errorf("status %v, %d questions took %q ms", status, manyQuestions, out)
	}
}

// TestUnknownPage: what is not understood is left as it is.
func TestUnknownPage(t *testing.T) {
	for name, image := range map[string][]byte{
		"nothing": {}, "no ELF image": make([]byte, 4096), "a header alone": append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...),
	} {
		before := bytes.Clone(image)
		if changed, err := shiftImage(image, shift); !errors.Is(err, errPage) || changed != nil || !bytes.Equal(image, before) {
			t.Errorf("%s: %v, %v", name, changed, err)
		}
	}
	if err := shiftPage(unix.Getpid(), 0, shift); err == nil {
		t.Error("a process that is not traced was changed")
	}
}

// TestEnd: a signal that ends the command, and an exit status, come through; a
// command that stops itself goes on when it is told to.
func TestEnd(t *testing.T) {
	if status, _ := follow(t, "", "/bin/sh", "-c", "kill -TERM $$; sleep 100"); !status.Signaled() || status.Signal() != unix.SIGTERM {
		t.Errorf("killed: status %#x", status)
	}
	if status, out := follow(t, "", "/bin/sh", "-c", "(sleep 0; exit 3) || echo no; trap 'echo caught' USR1; kill -USR1 $$; exit 42"); status.ExitStatus() != 42 || out != "no\ncaught\n" {
		t.Errorf("status %#x, %q", status, out)
	}
	status, out := follow(t, "job")
	if status != 0 || out != "went on\n" {
		t.Errorf("stopped: status %#x, %q", status, out)
	}
}

// TestUnfollowed: without a tracer the question fails, and is never answered with
// the machine's time.
func TestUnfollowed(t *testing.T) {
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends here
		err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		if err == nil {
			err = Filter()
		}
		if err == nil {
			err = unix.ClockGettime(unix.CLOCK_REALTIME, &unix.Timespec{})
		}
		failed <- err
	}()
	if err := <-failed; !errors.Is(err, unix.ENOSYS) {
		t.Errorf("got %v", err)
	}
}
