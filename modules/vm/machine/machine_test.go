package machine

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	firmware  = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
	variables = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

func TestArguments(t *testing.T) {
	dir := t.TempDir()
	c := Config{
		Dir: dir, Firmware: "/f,w", Variables: "/v", Features: []string{"-hypervisor"}, UUID: "6f1c5cd1-1f0e-4ab3-9d5a-5b0c6d3f2a91",
		OEMStrings: []string{"a=b,c"}, FirmwareFiles: map[string]string{"opt/x": "content"},
		Disks: []Disk{{Path: "/d,1", Format: "raw", Snapshot: true}, {Path: "/e", Format: "qcow2", SectorSize: 4096}},
	}
	args, err := c.arguments(TCG)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(args, " ")
	for _, want := range []string{
		"file=/f,,w", "-cpu max,-hypervisor", "tcg,thread=multi", "type=11,value=a=b,,c", "name=opt/x,file=" + dir,
		"file=/d,,1,cache=unsafe,discard=unmap,snapshot=on", "format=qcow2", "logical_block_size=4096",
		"driver=cfi.pflash01,property=secure,value=on", "-S", "reboot=shutdown,shutdown=pause,panic=pause",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %s", want, all)
		}
	}
	if strings.Contains(all, "tpm") || strings.Contains(all, "netdev") {
		t.Errorf("a machine without TPM and network has one: %s", all)
	}
	c.Network = true
	if args, _ = c.arguments(KVM); !slices.Contains(args, "user,id=net,restrict=on") || !slices.Contains(args, "kvm") {
		t.Errorf("arguments %q", args)
	}
	c.UUID = "x,y"
	if _, err := c.arguments(TCG); !errors.Is(err, ErrConfig) {
		t.Errorf("a bad uuid gave %v", err)
	}
}

// What QEMU complains about is in the error, and nothing is left running.
func TestStartFails(t *testing.T) {
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("needs qemu-system-x86_64")
	}
	_, err := Start(t.Context(), Config{Dir: t.TempDir(), Firmware: "/none/code.fd", Variables: "/none/vars.fd", Accel: TCG})
	if err == nil || !strings.Contains(err.Error(), "/none/code.fd") {
		t.Errorf("got %v", err)
	}
}

// The firmware runs, finds its keys and TPM and nothing to boot; the monitor answers; closing
// the machine leaves no process.
func TestFirmware(t *testing.T) {
	for _, p := range []string{"qemu-system-x86_64", "swtpm", "virt-fw-vars", "openssl"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s", p)
		}
	}
	dir := t.TempDir()
	certificate := filepath.Join(dir, "crt")
	if out, err := exec.Command("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test",
		"-keyout", filepath.Join(dir, "key"), "-out", certificate).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c := Config{Dir: dir, Firmware: firmware, Variables: filepath.Join(dir, "vars"), TPM: filepath.Join(dir, "tpm"), Memory: 256}
	if err := MakeVariables(t.Context(), variables, c.Variables, certificate, Enforcing); err != nil {
		t.Fatal(err)
	}
	m, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	deadline := time.After(10 * time.Minute)
	for found := false; !found; {
		select {
		case e, ok := <-m.Events():
			if !ok {
				t.Fatal("the machine ended")
			}
			found = e.Kind == Console && strings.Contains(e.Text, "BdsDxe: No bootable option")
		case <-deadline:
			t.Fatal("the firmware says nothing")
		}
	}
	var status struct{ Status string }
	if err := m.Do("query-status", nil, &status); err != nil || status.Status != "running" {
		t.Errorf("status %q, %v", status.Status, err)
	}
	m.Close()
	for _, p := range []*process{m.qemu, m.tpm} {
		select {
		case <-p.done:
		default:
			t.Errorf("%s still runs", p.cmd.Path)
		}
	}
	if state, err := os.ReadDir(c.TPM); err != nil || len(state) == 0 {
		t.Errorf("the TPM left no state: %v", err)
	}
}

// A child does not outlive this program, however that ends.
func TestChildDiesWithParent(t *testing.T) {
	if os.Getenv("MANGOS_VM_CHILD") != "" {
		p, err := start(exec.Command("sleep", "600"))
		if err != nil {
			os.Exit(1)
		}
		os.Stdout.WriteString(strconv.Itoa(p.cmd.Process.Pid) + "\n")
		select {}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	parent := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestChildDiesWithParent$")
	parent.Env = append(os.Environ(), "MANGOS_VM_CHILD=yes")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	parent.Process.Kill()
	parent.Wait()
	for syscall.Kill(child, 0) == nil {
		// A killed child may be a zombie until init has seen it.
		if status, err := os.ReadFile("/proc/" + strconv.Itoa(child) + "/stat"); err != nil || strings.Contains(string(status), ") Z ") {
			return
		}
		select {
		case <-ctx.Done():
			syscall.Kill(child, syscall.SIGKILL)
			t.Fatal("the child lives on")
		case <-time.After(10 * time.Millisecond):
		}
	}
}
