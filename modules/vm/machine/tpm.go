package machine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// startTPM runs swtpm on the state in dir. It talks to QEMU over control, which it inherits,
// and ends when QEMU does. Its own messages go to log.
func startTPM(program, dir string, control, log *os.File) (*process, error) {
	dir, err := filepath.Abs(dir) // swtpm changes its working folder
	if err != nil {
		return nil, fmt.Errorf("start tpm: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("start tpm: %w", err)
	}
	cmd := exec.Command(program, "socket", "--tpm2", "--terminate",
		"--tpmstate", "dir="+dir, "--ctrl", "type=unixio,clientfd=3")
	cmd.ExtraFiles = []*os.File{control} // descriptor 3
	cmd.Stdout, cmd.Stderr = log, log
	return start(cmd)
}
