//go:build linux

package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const mkosiLog = `319815680 image.root.raw
2551808 image.root-x86-64-verity.raw
52183552 image.efi
`

func TestMkosiSizes(t *testing.T) {
	if got, err := mkosiSizes(mkosiLog); err != nil || got != (sizes{319815680, 52183552}) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, text := range map[string]string{
		"empty": "", "no kernel image": "1 image.root.raw\n", "no root": "1 image.root-verity.raw\n1 image.efi\n",
		"no size": "image.efi\n", "no number": "x image.efi\n",
		"no finite number": "NaN image.efi\nInf image.root.raw\n", "a part of a byte": "0.5 image.efi\n1 image.root.raw\n",
	} {
		if got, err := mkosiSizes(text); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

const manifest = `{
  "name": "mangos",
  "version": "0.1",
  "epoch": 1764000000,
  "rootHash": "5f",
  "files": [
    {
      "name": "initrd",
      "size": 12,
      "sha256": "00"
    },
    {
      "name": "root.erofs",
      "size": 268435456,
      "sha256": "01"
    }
  ],
  "signing": {}
}
`

func TestReleaseSizes(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"mangos-tryout_0.1.efi": strings.Repeat("x", 1000), "mangos_0.1.unsigned.json": manifest, "mangos_0.1.root-x86-64.5f.raw.xz": "x",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := releaseSizes(dir); err != nil || got != (sizes{268435456, 1000}) {
		t.Errorf("%+v, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "mangos_0.1.efi"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := releaseSizes(dir); err == nil {
		t.Errorf("two releases in a folder: %+v", got)
	}
	for _, text := range []string{"", "{}", strings.Replace(manifest, "root.erofs", "root", 1), strings.Replace(manifest, "268435456", "0", 1),
		strings.Replace(manifest, "268435456", "0.5", 1)} {
		if got, err := manifestSize([]byte(text), "root.erofs"); err == nil {
			t.Errorf("%.20s: %v", text, got)
		}
	}
}

// whole fails if a size is not a number of bytes.
func whole(t *testing.T, size float64) {
	t.Helper()
	if size < 1 || size != math.Trunc(size) || math.IsInf(size, 0) {
		t.Fatalf("%v bytes", size)
	}
}

func FuzzMkosiSizes(f *testing.F) {
	f.Add(mkosiLog)
	f.Add("NaN image.efi\nInf image.root.raw\n")
	f.Add("0x1p-2 image.efi\n1 image.root.raw")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := mkosiSizes(text[:min(len(text), 64<<10)]); err == nil {
			whole(t, s.root)
			whole(t, s.kernel)
		}
	})
}

func FuzzManifestSize(f *testing.F) {
	f.Add([]byte(manifest), "root.erofs")
	f.Add([]byte(`{"files":[{"name":"a","size":0.25}]}`), "a")
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		if size, err := manifestSize(text[:min(len(text), 64<<10)], name); err == nil {
			whole(t, size)
		}
	})
}

func TestCompareSizes(t *testing.T) {
	figures := compareSizes(sizes{root: 1 << 20, kernel: 3 << 20}, sizes{root: 4 << 20, kernel: 2 << 20})
	var lines []string
	for _, f := range figures {
		lines = append(lines, strings.Join(strings.Fields(f.String()), " "))
	}
	want := "root image 1.0 MiB: 25 % of mkosi's\nmkosi, root image 4.0 MiB: with Debian's kernel and its modules\n" +
		"unified kernel image 3.0 MiB: 150 % of mkosi's\nmkosi, unified kernel image 2.0 MiB: with Debian's kernel and its modules"
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
