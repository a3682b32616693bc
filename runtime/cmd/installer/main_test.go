package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mastercard/mangos/runtime/disk/disktest"
	"github.com/mastercard/mangos/runtime/install/installtest"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"mangos-installer": main}) }

// Each script finds a release in ./release, its key in ./release.pub, a file of
// 16 MiB for a target in ./disk.raw, and a machine with disks in ./machine.
func TestScripts(t *testing.T) {
	release := installtest.Build(t, "1.0", nil)
	testscript.Run(t, testscript.Params{Dir: "testdata", Setup: func(e *testscript.Env) error {
		write := func(path string, content []byte) {
			path = filepath.Join(e.WorkDir, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for name, content := range release.Files {
			write("release/"+name, content)
		}
		write("release.pub", installtest.ReleaseKey().Public)
		write("disk.raw", nil)
		if err := os.Truncate(filepath.Join(e.WorkDir, "disk.raw"), 16<<20); err != nil {
			t.Fatal(err)
		}
		write("machine/proc/self/mountinfo", nil)
		for _, name := range []string{"sda", "sdb"} {
			table := *release.Table
			disktest.Add(t, filepath.Join(e.WorkDir, "machine"), name, &table)
			device := "machine/sys/devices/pci0000:00/block/" + name
			write(device+"/queue/logical_block_size", []byte("512"))
			write(device+"/device/model", []byte("Example "+name))
			write(device+"/device/serial", []byte("serial-"+name))
		}
		return nil
	}})
}
