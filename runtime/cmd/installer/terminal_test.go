package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/runtime/disk/disktest"
	"github.com/mastercard/mangos/runtime/install/installtest"
)

// terminal is a tmux session of 80 columns and 25 lines.
type terminal struct {
	t      *testing.T
	socket string
}

func (x terminal) tmux(args ...string) string {
	x.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", x.socket}, args...)...).CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %v: %v: %s", args, err, out)
	}
	return string(out)
}

// await waits until the screen shows all the texts.
func (x terminal) await(texts ...string) {
	x.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		screen := x.tmux("capture-pane", "-p")
		missing := ""
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				missing = text
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("%q is not on the screen:\n%s", missing, screen)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// The whole way on a terminal, from the list of disks to the result.
func TestScreenOnATerminal(t *testing.T) {
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("no tmux here: the screen is not tried on a terminal")
	}
	dir := t.TempDir()
	release := installtest.Build(t, "1.0", nil)
	machine := filepath.Join(dir, "machine")
	for path, content := range map[string]string{
		"proc/self/mountinfo": "",
		"sys/devices/pci0000:00/block/sda/queue/logical_block_size": "512",
		"sys/devices/pci0000:00/block/sda/device/model":             "Example",
	} {
		path = filepath.Join(machine, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	table := *release.Table
	table.DiskSize = 16 << 20
	node := disktest.Add(t, machine, "sda", &table)
	if err := os.Truncate(node, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(node, 16<<20); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "release.pub")
	if err := os.WriteFile(key, installtest.ReleaseKey().Public, 0o600); err != nil {
		t.Fatal(err)
	}
	sockets, err := os.MkdirTemp("", "tmux") // the name of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(sockets)
	x := terminal{t, filepath.Join(sockets, "s")}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// testscript's Main gives this program the name by which it is started.
	link := filepath.Join(dir, "mangos-installer")
	if err := os.Symlink(program, link); err != nil {
		t.Fatal(err)
	}
	x.tmux("new-session", "-d", "-x", "80", "-y", "25", link+" screen --root "+machine+" --source "+release.Folder(t)+" --key "+key+"; read wait")
	defer x.tmux("kill-server")
	x.await("> /dev/sda  16.8 MB  other  Example", "empty", "Up, Down: choose   Enter: go on")
	x.tmux("send-keys", "Enter")
	x.await("This is going to happen", "Release:  mangos 1.0", "> Back")
	x.tmux("send-keys", "Down", "Enter")
	x.await("mangos 1.0 is on /dev/sda, and was read back.", "> Restart")
	x.tmux("send-keys", "Down", "Down", "Enter")
	x.await(`mangos-installer: {"result":"installed","name":"mangos","version":"1.0"`)
	f, err := os.Open(node)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if table, err := gpt.Read(f, 16<<20); err != nil || len(table.Partitions) != 4 {
		t.Errorf("%+v, %v", table, err)
	}
}
