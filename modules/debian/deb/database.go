package deb

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// WriteDatabase writes, below the empty folder dir, what dpkg's database would
// say of packages that were unpacked: var/lib/dpkg/status and the lists of their
// files. A path that several packages brought stands in the list of the last one,
// whose it is. names and unpacked are an argument and the result of [Unpack].
func WriteDatabase(dir string, names []string, unpacked Unpacked) error {
	info := filepath.Join(dir, "var/lib/dpkg/info")
	if err := os.MkdirAll(info, 0o755); err != nil {
		return fmt.Errorf("write database: %w", err)
	}
	owner := map[string]int{}
	for i, paths := range unpacked.Paths {
		for _, path := range paths {
			owner[path] = i
		}
	}
	var status bytes.Buffer
	for i, name := range names {
		p, err := Open(name)
		if err != nil {
			return fmt.Errorf("write database: %w", err)
		}
		c, err := p.Control()
		p.Close()
		if err != nil {
			return fmt.Errorf("write database: %s: %w", name, err)
		}
		fmt.Fprintf(&status, "Package: %s\nStatus: install ok unpacked\nArchitecture: %s\n", c.Get("Package"), c.Get("Architecture"))
		if source := c.Get("Source"); source != "" {
			fmt.Fprintf(&status, "Source: %s\n", source)
		}
		fmt.Fprintf(&status, "Version: %s\n\n", c.Get("Version"))
		var list bytes.Buffer
		list.WriteString("/.\n")
		for _, path := range unpacked.Paths[i] {
			if owner[path] == i {
				list.WriteString("/" + path + "\n")
			}
		}
		if err := os.WriteFile(filepath.Join(info, filepath.Base(c.Get("Package"))+".list"), list.Bytes(), 0o644); err != nil {
			return fmt.Errorf("write database: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "var/lib/dpkg/status"), status.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write database: %w", err)
	}
	return nil
}
