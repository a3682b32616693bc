package sbom

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/mastercard/mangos/format/dpkg"
	"github.com/mastercard/mangos/modules/image/initrd"
)

// components are the names of the parts that an image may have, in the order of a
// document.
var components = []string{"root", "initrd", "microcode", "boot", "kernel"}

// Part is a component without its content, by its name.
func Part(name string) Component {
	c := Component{Name: name}
	switch name {
	case "root":
		c.Title = "root file system"
		c.Comment = "The read-only root of the device. /dev, /proc, /run, /sys, /tmp and /var are empty folders in it."
	case "initrd":
		c.Title = "initrd"
		c.Comment = "The initial RAM file system, as it is before the kernel command line with the root hash is appended (/" +
			initrd.CommandLinePath + ")."
	case "microcode":
		c.Title, c.Purpose = "processor microcode", "FIRMWARE"
		c.Comment = "The files of the packages that are in the kernel image, joined for each vendor in the order of their names."
	case "boot":
		c.Title, c.Purpose = "boot programs", "APPLICATION"
		c.Comment = "The boot loader, and the program that starts the kernel image; unsigned, as their package has them."
	case "kernel":
		c.Title, c.Licence, c.LicenceComment = "kernel", kernelLicence, kernelLicenceComment
		c.Comment = "Linux, compiled from source without an organisation's certificate."
	}
	return c
}

// Kernel is the kernel that is compiled from a source package, "name=version", without
// its files. release is what it calls itself, empty if it is not compiled yet.
func Kernel(source, release string) Component {
	c := Part("kernel")
	_, version, _ := strings.Cut(source, "=")
	c.Source, c.Version = source, upstream(version)
	c.CPE = kernelCPE(c.Version)
	if release != "" {
		c.Comment += " It calls itself " + release + ". Made by step kernel and step kernel-packed."
	}
	return c
}

// What Linux declares. The step that writes the document does not have the source.
const (
	kernelLicence        = "GPL-2.0-only WITH Linux-syscall-note"
	kernelLicenceComment = "what Linux declares of the whole in its file COPYING; known beforehand, not read in the locked source. " +
		"Single files of the source have other licences, and say so."
)

// kernelCPE names a version of the kernel to those who look for vulnerabilities.
func kernelCPE(version string) string {
	return "cpe:2.3:o:linux:linux_kernel:" + version + ":*:*:*:*:*:*:*"
}

// upstream is the version of upstream in a version of the distribution.
func upstream(version string) string {
	if _, rest, ok := strings.Cut(version, ":"); ok {
		version = rest
	}
	if i := strings.LastIndexByte(version, '-'); i >= 0 {
		version = version[:i]
	}
	return version
}

// outline tells of a component without its files.
func (c *Component) outline() {
	c.Outline = true
	c.Comment += " Its files stand in the release's bill of materials."
}

// onlyOwners drops the packages that have no file in the component: those of the
// machine that a few files were taken from.
func (c *Component) onlyOwners() {
	owners := map[string]bool{}
	for _, f := range c.Files {
		owners[f.Package] = true
	}
	c.Packages = slices.DeleteFunc(slices.Clone(c.Packages), func(p dpkg.Package) bool { return !owners[p.Name] })
}

// readCopyright reads the copyright files of a component's packages with read, which
// returns nil where there is none. Packages of one source may share a folder by a link,
// whose target readlink returns.
func (c *Component) readCopyright(readlink func(string) (string, error), read func(string) ([]byte, error)) error {
	for _, p := range c.Packages {
		dir := "usr/share/doc/" + p.Name
		target, err := readlink(dir)
		if err != nil {
			return fmt.Errorf("copyright of %s: %w", p.Name, err)
		}
		if target != "" {
			dir = path.Join("usr/share/doc", target)
		}
		text, err := read(dir + "/copyright")
		if err != nil {
			return fmt.Errorf("copyright of %s: %w", p.Name, err)
		}
		if text != nil {
			c.Copyright[p.Name] = text
		}
	}
	return nil
}
