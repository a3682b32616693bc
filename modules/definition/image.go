package definition

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Image is the table [image]: what the images of the device are called, how
// large their parts are, and what their kernel is told.
type Image struct {
	// Name is the IMAGE_ID of os-release and the beginning of file names.
	Name string `toml:"name"`
	// Version is the IMAGE_VERSION.
	Version string `toml:"version"`
	// CommandLine are the words of the built-in kernel command line, without
	// roothash=, which the build puts in front.
	CommandLine []string `toml:"command-line"`
	// Tries is how often an image is booted until it counts as bad.
	Tries int `toml:"tries"`
	// Microcode tells whether the kernel image carries the processor microcode
	// of the package set "microcode".
	Microcode bool `toml:"microcode"`
	// Firmware tells whether initrd and root hold the firmware that built-in
	// drivers ask for (the distribution's table "firmware").
	Firmware bool `toml:"firmware"`
	// Disk is the table [image.disk].
	Disk Disk `toml:"disk"`
}

// Disk holds sizes of partitions.
type Disk struct {
	ESP    Size `toml:"esp"`
	Root   Size `toml:"root"`
	Verity Size `toml:"verity"`
}

// Size is a number of bytes, written with a suffix: "512M".
type Size int64

// UnmarshalText reads a number with one of the suffixes K, M and G, powers of
// 1024.
func (s *Size) UnmarshalText(text []byte) error {
	shifts := map[byte]int{'K': 10, 'M': 20, 'G': 30}
	if len(text) < 2 || shifts[text[len(text)-1]] == 0 {
		return fmt.Errorf("size %q: want a number and K, M or G", text)
	}
	shift := shifts[text[len(text)-1]]
	n, err := strconv.ParseInt(string(text[:len(text)-1]), 10, 64)
	if err != nil || n <= 0 || n > 1<<40>>shift {
		return fmt.Errorf("size %q: want a number and K, M or G, at most 1024G", text)
	}
	*s = Size(n << shift)
	return nil
}

// maxCommandLine is COMMAND_LINE_SIZE of the kernel for x86.
const maxCommandLine = 2048

var (
	imageName    = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	imageVersion = regexp.MustCompile(`^[a-z0-9][a-z0-9.~^-]*$`)
	commandWord  = regexp.MustCompile(`^[!-~]+$`)
)

// Check refuses what no image can be made of.
func (i Image) Check() error {
	switch {
	case !imageName.MatchString(i.Name):
		return fmt.Errorf("name %q: want lower-case letters, digits and dashes", i.Name)
	case !imageVersion.MatchString(i.Version):
		return fmt.Errorf("version %q: want lower-case letters, digits, and the characters . ~ ^ -", i.Version)
	case i.Tries < 0 || i.Tries > 99:
		return fmt.Errorf("tries = %d, want 0 to 99", i.Tries)
	case i.Disk.ESP < 300<<20:
		return fmt.Errorf("disk.esp = %d bytes, want at least 300M: FAT32 with sectors of 4096 bytes", i.Disk.ESP)
	case i.Disk.Root == 0 || i.Disk.Verity == 0:
		return fmt.Errorf("disk.root or disk.verity is missing")
	case len(strings.Join(i.CommandLine, " ")) >= maxCommandLine-128:
		return fmt.Errorf("command-line is too long for the kernel")
	}
	for _, word := range i.CommandLine {
		if !commandWord.MatchString(word) || strings.HasPrefix(word, "roothash=") {
			return fmt.Errorf("command-line: %q: want one word of printable ASCII, and not roothash=", word)
		}
	}
	return nil
}
