package machine

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ErrConfig says that a machine cannot be made as described.
var ErrConfig = errors.New("bad machine description")

// Config describes one power-on of a virtual PC: q35 with system management mode, so that
// the firmware's variables are out of the guest's reach.
type Config struct {
	// Dir is an existing folder of this machine alone: its logs are written there.
	Dir string
	// Firmware is OVMF's code, built for Secure Boot; Variables its variable store, which
	// the guest changes (see MakeVariables).
	Firmware, Variables string
	// TPM is a folder with the state of a TPM 2.0, which the guest changes; empty for no TPM.
	TPM string
	// Disks appear to the firmware in this order.
	Disks []Disk
	// Accel and CPU: empty takes PickAccel's choice, and every feature that it can offer.
	// Features are added to CPU, such as "-hypervisor".
	Accel    Accel
	Features []string
	// CPUs and Memory (in MiB): zero takes 2 and 1024.
	CPUs, Memory int
	// UUID is the system's DMI UUID; empty leaves it to QEMU, which sends zeroes.
	UUID string
	// SMBIOS are further tables, in the form of QEMU's option.
	SMBIOS []string
	// SMBIOSTables are whole structures, which replace QEMU's own of their type.
	SMBIOSTables [][]byte
	// OEMStrings go into SMBIOS type 11, where systemd looks for credentials and a command line.
	OEMStrings []string
	// FirmwareFiles are fw_cfg items, name to content: the other such road.
	FirmwareFiles map[string]string
	// Network gives it a network card that reaches nothing but QEMU itself.
	Network bool
}

// Disk is a hard disk of the machine.
type Disk struct {
	Path   string
	Format string // raw or qcow2
	// Snapshot throws the guest's writes away at the end.
	Snapshot bool
	// SectorSize in bytes: 0 takes 512.
	SectorSize int
}

// Port is the name of the virtio-serial port that the probe speaks on.
const Port = "mangos.test"

var uuidPattern = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// fixed numbers of the descriptors that QEMU inherits.
const (
	fdConsole = 3 + iota
	fdMonitor
	fdPort
	fdTPM
)

// arguments returns QEMU's command line.
func (c *Config) arguments(accel Accel) ([]string, error) {
	if c.UUID != "" && !uuidPattern.MatchString(c.UUID) {
		return nil, fmt.Errorf("%w: uuid %q", ErrConfig, c.UUID)
	}
	cpus, memory := c.CPUs, c.Memory
	if cpus == 0 {
		cpus = 2
	}
	if memory == 0 {
		memory = 1024
	}
	args := []string{
		"-name", "mangos,process=mangos-vm", "-nodefaults", "-no-user-config", "-S",
		"-display", "none", "-vga", "none",
		"-machine", "q35,smm=on,usb=off", "-m", strconv.Itoa(memory), "-smp", strconv.Itoa(cpus),
		// Nothing but the firmware in system management mode writes the variables.
		"-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1",
		"-drive", "if=pflash,unit=0,format=raw,readonly=on,file=" + escape(c.Firmware),
		"-drive", "if=pflash,unit=1,format=raw,file=" + escape(c.Variables),
		// Whatever ends the guest leaves the machine there, so that its last words are read.
		"-action", "reboot=shutdown,shutdown=pause,panic=pause,watchdog=pause",
		"-device", "pvpanic", "-device", "virtio-rng-pci",
	}
	args = append(args, acceleration(accel, c.Features)...)
	// A pipe: a socket holds so few single bytes that the serial port, whose guest does not
	// wait long, would lose some whenever the harness does not read at once.
	args = append(args, "-add-fd", fmt.Sprintf("fd=%d,set=1", fdConsole),
		"-chardev", "file,id=console,path=/dev/fdset/1,append=on", "-serial", "chardev:console")
	args = append(args, socket("monitor", fdMonitor)...)
	args = append(args, "-mon", "chardev=monitor,mode=control")
	args = append(args, socket("port", fdPort)...)
	args = append(args, "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=port,name="+Port)
	if c.TPM != "" {
		args = append(args, socket("tpm", fdTPM)...)
		args = append(args, "-tpmdev", "emulator,id=tpm,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm")
	}
	if c.Network {
		args = append(args, "-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net,romfile=")
	}
	if c.UUID != "" {
		args = append(args, "-uuid", c.UUID)
	}
	for _, s := range c.SMBIOS {
		args = append(args, "-smbios", s)
	}
	for _, s := range c.OEMStrings {
		args = append(args, "-smbios", "type=11,value="+escape(s))
	}
	tables, err := c.smbiosTables()
	if err != nil {
		return nil, err
	}
	files, err := c.firmwareFiles()
	if err != nil {
		return nil, err
	}
	return slices.Concat(args, tables, files, c.disks()), nil
}

func (c *Config) smbiosTables() ([]string, error) {
	var args []string
	for i, table := range c.SMBIOSTables {
		path := fmt.Sprintf("%s/smbios.%d", c.Dir, i)
		if err := os.WriteFile(path, table, 0o600); err != nil {
			return nil, fmt.Errorf("write SMBIOS table: %w", err)
		}
		args = append(args, "-smbios", "file="+escape(path))
	}
	return args, nil
}

func (c *Config) disks() []string {
	var args []string
	for i, d := range c.Disks {
		id := fmt.Sprintf("disk%d", i)
		drive := fmt.Sprintf("if=none,id=%s,format=%s,file=%s,cache=unsafe,discard=unmap", id, d.Format, escape(d.Path))
		if d.Snapshot {
			drive += ",snapshot=on"
		}
		device := fmt.Sprintf("virtio-blk-pci,drive=%s,bootindex=%d", id, i)
		if d.SectorSize != 0 {
			device += fmt.Sprintf(",logical_block_size=%d,physical_block_size=%[1]d", d.SectorSize)
		}
		args = append(args, "-drive", drive, "-device", device)
	}
	return args
}

// firmwareFiles writes each item to a file: QEMU's own "string=" form ends at no NUL but is
// bounded by the command line.
func (c *Config) firmwareFiles() ([]string, error) {
	var args []string
	n := 0
	for name, content := range c.FirmwareFiles {
		n++
		path := fmt.Sprintf("%s/fw_cfg.%d", c.Dir, n)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return nil, fmt.Errorf("write firmware file %s: %w", name, err)
		}
		args = append(args, "-fw_cfg", "name="+escape(name)+",file="+escape(path))
	}
	return args, nil
}

func acceleration(a Accel, features []string) []string {
	cpu := strings.Join(append([]string{"max"}, features...), ",")
	if a == KVM {
		return []string{"-accel", "kvm", "-cpu", cpu}
	}
	return []string{"-accel", "tcg,thread=multi", "-cpu", cpu}
}

func socket(id string, fd int) []string {
	return []string{"-chardev", fmt.Sprintf("socket,id=%s,fd=%d", id, fd)}
}

// escape doubles the commas that would end a value of QEMU's option syntax.
func escape(s string) string { return strings.ReplaceAll(s, ",", ",,") }
