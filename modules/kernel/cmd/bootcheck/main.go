// Command bootcheck boots a kernel in QEMU, with disks and cards of many kinds
// and the probe as its first process, and tells whether all that the probe
// looked at was there.
//
//	bootcheck --bzimage FILE --probe FILE [--certificate SUBJECT] [--timeout DURATION]
//
// The probe is the static program of cmd/kernelprobe. The certificate is the subject
// (common name) of the one in the kernel, if there is one. QEMU, swtpm,
// mkfs.erofs, mkfs.ext4, mkfs.xfs and mkfs.vfat are the machine's. The console
// goes to standard output. The exit code is 0 when every check of the probe
// passed, 1 otherwise.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/mastercard/mangos/format/cpio"
	"github.com/mastercard/mangos/runtime/watch"
)

func main() {
	var m machine
	flag.StringVar(&m.kernel, "bzimage", "", "the kernel")
	flag.StringVar(&m.probe, "probe", "", "the static program of cmd/kernelprobe")
	flag.StringVar(&m.certificate, "certificate", "", "subject of the certificate in the kernel")
	timeout := flag.Duration("timeout", 10*time.Minute, "how long the machine may take")
	flag.Parse()
	if m.kernel == "" || m.probe == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "bootcheck: --bzimage and --probe are needed, and nothing else")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	if err := m.check(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "bootcheck: %v\n", err)
		os.Exit(1)
	}
}

// machine is the test machine.
type machine struct {
	kernel, probe, certificate string
	folder                     string // for what belongs to this run
}

// check makes the machine's disks, boots it and reads the probe's verdict.
func (m *machine) check(ctx context.Context) error {
	folder, err := os.MkdirTemp("", "bootcheck-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	m.folder = folder
	if err := m.initrd(); err != nil {
		return fmt.Errorf("make initrd: %w", err)
	}
	if err := m.disks(ctx); err != nil {
		return fmt.Errorf("make disks: %w", err)
	}
	tpm := exec.CommandContext(ctx, "swtpm", "socket", "--tpm2", "--tpmstate", "dir="+folder,
		"--ctrl", "type=unixio,path="+m.path("swtpm"), "--terminate", "--pid", "file="+m.path("listening"))
	tpm.Stderr = os.Stderr
	if err := tpm.Start(); err != nil {
		return fmt.Errorf("start swtpm: %w", err)
	}
	defer func() {
		_ = tpm.Process.Kill() // it has ended by itself if QEMU came to it
		_ = tpm.Wait()
	}()
	// QEMU does not try twice; swtpm writes its number when it listens.
	listening, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := watch.File(listening, m.path("listening")); err != nil {
		return fmt.Errorf("start swtpm: %w", err)
	}
	return m.boot(ctx)
}

func (m *machine) path(name string) string { return filepath.Join(m.folder, name) }

// initrd writes an archive with the probe as /init.
func (m *machine) initrd() error {
	probe, err := os.ReadFile(m.probe)
	if err != nil {
		return err
	}
	file, err := os.Create(m.path("initrd"))
	if err != nil {
		return err
	}
	defer file.Close()
	archive := cpio.NewWriter(file)
	console := &cpio.Header{Name: "dev/console", Mode: cpio.TypeChar | 0o600, Major: 5, Minor: 1}
	for _, h := range []*cpio.Header{{Name: "dev", Mode: cpio.TypeDir | 0o755}, console,
		{Name: "init", Mode: cpio.TypeRegular | 0o755, Size: int64(len(probe))}} {
		if err := archive.WriteHeader(h); err != nil {
			return err
		}
	}
	if _, err := archive.Write(probe); err != nil {
		return err
	}
	return errors.Join(archive.Close(), file.Close())
}

// disks makes one image for each file system, and an empty one.
func (m *machine) disks(ctx context.Context) error {
	tree := m.path("tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	text := strings.Repeat("mangos\n", 1<<18)[:1<<20]
	if err := os.WriteFile(filepath.Join(tree, "content"), []byte(text), 0o644); err != nil {
		return err
	}
	for name, size := range map[string]int64{"ext4": 64 << 20, "xfs": 512 << 20, "vfat": 64 << 20, "empty": 1 << 20, "erofs": 0, "erofs-zstd": 0} {
		file, err := os.Create(m.path(name))
		if err != nil {
			return err
		}
		if err := errors.Join(file.Truncate(size), file.Close()); err != nil {
			return err
		}
	}
	for _, command := range [][]string{
		{"mkfs.erofs", "-zlz4hc,12", m.path("erofs"), tree},
		{"mkfs.erofs", "-zzstd,3", m.path("erofs-zstd"), tree},
		{"mkfs.ext4", "-q", m.path("ext4")},
		{"mkfs.xfs", "-q", m.path("xfs")},
		{"mkfs.vfat", m.path("vfat")},
	} {
		if output, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", command[0], err, output)
		}
	}
	return nil
}

// arguments returns the machine for QEMU.
func (m *machine) arguments() []string {
	line := "console=ttyS0 panic=-1 no_timer_check probe.tpm" // a starved virtual CPU misses the ticks that the check counts
	if m.certificate != "" {
		line += " probe.certificate=" + m.certificate
	}
	arguments := []string{"-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024", "-uuid", "5a1f3c44-7d0b-4f0e-9d5e-2c6b8a90e1d7",
		"-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot", "-nodefaults",
		"-kernel", m.kernel, "-initrd", m.path("initrd"), "-append", line,
		"-device", "virtio-rng-pci", "-device", "virtio-balloon-pci", "-device", "virtio-serial-pci",
		"-chardev", "null,id=port", "-device", "virtserialport,chardev=port,name=probe",
		"-device", "i6300esb", "-device", "qemu-xhci", "-device", "usb-kbd", "-device", "virtio-scsi-pci",
		"-chardev", "socket,id=tpm,path=" + m.path("swtpm"), "-tpmdev", "emulator,id=tpm,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm"}
	for _, card := range []string{"virtio-net-pci", "e1000", "e1000e", "igb", "vmxnet3"} {
		arguments = append(arguments, "-device", card)
	}
	disk := func(id, file, device string) {
		arguments = append(arguments, "-drive", "if=none,format=raw,id="+id+",file="+m.path(file)+",snapshot=on", "-device", device+",drive="+id)
	}
	for _, name := range []string{"erofs", "ext4", "xfs", "vfat"} {
		disk(name, name, "virtio-blk-pci,serial="+name)
	}
	disk("nvme", "erofs-zstd", "nvme,serial=erofs-zstd")
	disk("sata", "empty", "ide-hd,bus=ide.0")
	disk("usb", "empty", "usb-storage")
	disk("scsi", "empty", "scsi-hd")
	return arguments
}

// verdict is the probe's last line.
var verdict = regexp.MustCompile(`^probe: ([1-9][0-9]*) passed, ([0-9]+) failed\s*$`)

// boot runs the machine until it switches itself off.
func (m *machine) boot(ctx context.Context) error {
	qemu := exec.CommandContext(ctx, "qemu-system-x86_64", m.arguments()...)
	qemu.Stderr = os.Stderr
	console, err := qemu.StdoutPipe()
	if err != nil {
		return err
	}
	if err := qemu.Start(); err != nil {
		return fmt.Errorf("start QEMU: %w", err)
	}
	var last string
	lines := bufio.NewScanner(io.TeeReader(console, os.Stdout))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if verdict.MatchString(lines.Text()) {
			last = lines.Text()
		}
	}
	if err := errors.Join(lines.Err(), qemu.Wait()); err != nil {
		return fmt.Errorf("QEMU: %w", errors.Join(err, ctx.Err()))
	}
	switch found := verdict.FindStringSubmatch(last); {
	case found == nil:
		return errors.New("the machine stopped before the probe had finished")
	case found[2] != "0":
		return fmt.Errorf("%s checks of the probe failed", found[2])
	}
	return nil
}
