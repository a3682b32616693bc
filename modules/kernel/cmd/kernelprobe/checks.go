package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// checks lists what is looked at once /proc is there, in this order: the first
// ones mount what the others read.
func checks(o options) []check {
	list := []check{
		{"mount sysfs", func() error { return mount("sysfs", "/sys", "sysfs", 0, "") }},
		{"mount devtmpfs", func() error { return mount("devtmpfs", "/dev", "devtmpfs", 0, "") }},
		{"mount tmpfs", func() error { return mount("tmpfs", "/run", "tmpfs", 0, "") }},
		{"mount securityfs", func() error { return mount("securityfs", "/sys/kernel/security", "securityfs", 0, "") }},
		{"mount cgroup2", func() error { return mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, "") }},
		{"mount bpf", func() error { return mount("bpf", "/sys/fs/bpf", "bpf", 0, "") }},
		{"security modules", content("/sys/kernel/security/lsm", "lockdown", "capability", "landlock", "yama", "apparmor", "ima")},
		{"measurements", present("/sys/kernel/security/ima/ascii_runtime_measurements")},
		{"control groups", content("/sys/fs/cgroup/cgroup.controllers", "cpuset", "cpu", "io", "memory", "hugetlb", "pids")},
		{"pressure", content("/proc/pressure/memory", "some")},
		{"no modules", absent("/proc/modules")},
		{"no raw memory", absent("/dev/mem", "/dev/port", "/proc/kcore")},
		{"no kexec", absent("/sys/kernel/kexec_loaded")},
		{"configuration", present("/proc/config.gz")},
		{"device mapper", deviceMapper},
		{"loop", present("/dev/loop-control")},
		{"tunnels, FUSE, autofs", present("/dev/net/tun", "/dev/fuse", "/dev/autofs")},
		{"random numbers", present("/dev/hwrng")},
		{"machine tables", present("/sys/firmware/dmi/tables/DMI", "/sys/firmware/dmi/entries", "/sys/class/dmi/id/product_uuid")},
		{"block devices", soon(blockDevices)},
		{"certificate", func() error { return certificate(o.certificate) }},
		{"watchdogs", watchdogs},
		{"network cards", networkCards},
		{"virtual network devices", virtualDevices},
		{"nftables", nftablesRules},
	}
	for _, kind := range []string{"erofs", "erofs-zstd", "ext4", "xfs", "vfat"} {
		list = append(list, check{"mount " + kind, func() error { return disk(kind) }})
	}
	list = append(list,
		check{"overlay", overlay},
		check{"extended attributes on tmpfs", func() error { return unix.Setxattr("/run", "user.probe", []byte("x"), 0) }},
		check{"virtio port", virtioPort},
	)
	if o.tpm {
		list = append(list, check{"TPM", content("/sys/class/tpm/tpm0/tpm_version_major", "2")})
	}
	return list
}

func mount(source, target, kind string, flags uintptr, options string) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	return unix.Mount(source, target, kind, flags, options)
}

// content wants each of the words in a file.
func content(name string, words ...string) func() error {
	return func() error {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		fields := strings.FieldsFunc(string(text), func(r rune) bool { return r == ' ' || r == ',' || r == '\n' })
		for _, word := range words {
			if !slices.Contains(fields, word) {
				return fmt.Errorf("no %s in %s: %q", word, name, text)
			}
		}
		return nil
	}
}

func present(names ...string) func() error {
	return func() error {
		for _, name := range names {
			if _, err := os.Stat(name); err != nil {
				return err
			}
		}
		return nil
	}
}

func absent(names ...string) func() error {
	return func() error {
		for _, name := range names {
			if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("%s is there (%v)", name, err)
			}
		}
		return nil
	}
}

// soon gives a check half a minute: the kernel starts the first process while
// it still looks for disks on slow buses.
func soon(check func() error) func() error {
	return func() error {
		deadline := time.Now().Add(30 * time.Second)
		for {
			err := check()
			if err == nil || time.Now().After(deadline) {
				return err
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// find returns the block device whose serial number is as given.
func find(serial string) (string, error) {
	names, err := filepath.Glob("/sys/block/*/serial")
	if err != nil {
		return "", err
	}
	more, err := filepath.Glob("/sys/block/*/device/serial")
	if err != nil {
		return "", err
	}
	for _, name := range append(names, more...) {
		text, err := os.ReadFile(name)
		if err == nil && strings.TrimSpace(string(text)) == serial {
			return "/dev/" + strings.Split(name, "/")[3], nil
		}
	}
	return "", fmt.Errorf("no disk with serial number %s", serial)
}

// disk mounts the disk whose serial number is the name of its file system
// (and, after a dash, of a compression), and reads the file that bootcheck put
// there. vfat is mounted with the options that need code pages.
func disk(serial string) error {
	device, err := find(serial)
	if err != nil {
		return err
	}
	kind, _, _ := strings.Cut(serial, "-")
	options := ""
	if kind == "vfat" {
		options = "codepage=437,iocharset=iso8859-1,utf8"
	}
	if err := mount(device, "/mnt/"+serial, kind, unix.MS_RDONLY, options); err != nil {
		return err
	}
	if kind == "erofs" {
		text, err := os.ReadFile("/mnt/" + serial + "/content")
		if err != nil {
			return err
		}
		if len(text) != 1<<20 || strings.Trim(string(text), "mangos\n") != "" {
			return fmt.Errorf("it holds %d bytes of something else", len(text))
		}
	}
	return nil
}

// blockDevices wants a disk on each bus of the machine.
func blockDevices() error {
	for _, name := range []string{"/sys/block/nvme0n1", "/sys/block/vda"} {
		if _, err := os.Stat(name); err != nil {
			return err
		}
	}
	var buses []string
	names, err := filepath.Glob("/sys/block/sd*/device")
	if err != nil {
		return err
	}
	for _, name := range names {
		target, err := filepath.EvalSymlinks(name)
		if err != nil {
			return err
		}
		for _, bus := range []string{"ata", "usb", "virtio"} {
			if strings.Contains(target, "/"+bus) {
				buses = append(buses, bus)
			}
		}
	}
	for _, bus := range []string{"ata", "usb", "virtio"} {
		if !slices.Contains(buses, bus) {
			return fmt.Errorf("no SCSI disk on %s: %v", bus, names)
		}
	}
	return nil
}

// certificate looks among the kernel's keys for the certificate with this subject
// (none, if it is empty), and for any other that should not be there.
func certificate(subject string) error {
	text, err := os.ReadFile("/proc/keys")
	if err != nil {
		return err
	}
	found := 0
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, " asymmetri ") {
			found++
			if subject == "" || !strings.Contains(line, " "+subject+": ") {
				return fmt.Errorf("unexpected key: %s", strings.TrimSpace(line))
			}
		}
		for _, keyring := range []string{".platform", ".machine", ".secondary_trusted_keys"} {
			if strings.Contains(line, " "+keyring+":") {
				return fmt.Errorf("there is a keyring %s", keyring)
			}
		}
	}
	if subject != "" && found != 1 {
		return fmt.Errorf("%d certificates in the kernel, want 1: %s", found, subject)
	}
	return nil
}

// virtioPort wants the port that bootcheck named.
func virtioPort() error {
	names, err := filepath.Glob("/sys/class/virtio-ports/*/name")
	if err != nil {
		return err
	}
	for _, name := range names {
		if text, err := os.ReadFile(name); err == nil && strings.TrimSpace(string(text)) == "probe" {
			return present("/dev/" + filepath.Base(filepath.Dir(name)))()
		}
	}
	return fmt.Errorf("no port named probe among %q", names)
}

func watchdogs() error {
	names, err := filepath.Glob("/sys/class/watchdog/*/identity")
	if err != nil {
		return err
	}
	var all []string
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		all = append(all, strings.TrimSpace(string(text)))
	}
	for _, want := range []string{"Software Watchdog", "iTCO_wdt", "i6300ESB timer"} {
		if !slices.Contains(all, want) {
			return fmt.Errorf("no %s, but %q", want, all)
		}
	}
	return nil
}

// overlay makes a writable overlay on the erofs disk.
func overlay() error {
	for _, folder := range []string{"/run/upper", "/run/work"} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	if err := mount("overlay", "/mnt/overlay", "overlay", 0, "lowerdir=/mnt/erofs,upperdir=/run/upper,workdir=/run/work"); err != nil {
		return err
	}
	return os.WriteFile("/mnt/overlay/content", []byte("changed"), 0o644)
}
