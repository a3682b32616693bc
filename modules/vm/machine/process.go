package machine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// process is a program that ends, at the latest, with the harness.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once the program was waited for
	err  error         // its end; read after done
}

// start runs cmd and kills it when this program dies. The kernel ties that to the
// thread which started the child, so one thread is kept for it until the child ends.
func start(cmd *exec.Cmd) (*process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// kill ends the program and waits for it; one that has ended is no error.
func (p *process) kill() {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		// Only a signal to somebody else's process is refused, and this one is ours.
		panic(fmt.Sprintf("kill %s: %v", p.cmd.Path, err))
	}
	<-p.done
}

// channel is a connected pair of sockets: one end for this program, one to hand to a child.
// No name in the file system, so nobody else can connect and nothing is left behind.
func channel(name string) (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make channel %s: %w", name, err)
	}
	// Non-blocking, so that closing our end wakes a reader.
	if err := unix.SetNonblock(fds[0], true); err != nil {
		unix.Close(fds[0])
		unix.Close(fds[1])
		return nil, nil, fmt.Errorf("make channel %s: %w", name, err)
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name), nil
}

// consoleBuffer is how many bytes the console's pipe holds: what any user may ask for.
const consoleBuffer = 1 << 20

// pipe is a channel in one direction, from a child to this program.
func pipe(name string) (ours, theirs *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("make pipe %s: %w", name, err)
	}
	_, sizeErr := unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, consoleBuffer)
	if err := errors.Join(sizeErr, unix.SetNonblock(fds[0], true)); err != nil {
		unix.Close(fds[0])
		unix.Close(fds[1])
		return nil, nil, fmt.Errorf("make pipe %s: %w", name, err)
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name), nil
}
