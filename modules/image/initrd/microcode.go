package initrd

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/mastercard/mangos/format/cpio"
	"github.com/mastercard/mangos/modules/image/fstree"
)

// maxMicrocode bounds the size in bytes of one vendor's microcode.
const maxMicrocode = 64 << 20

// microcodeFolder is where the kernel looks in the early archive.
const microcodeFolder = "kernel/x86/microcode"

// Vendor is a maker of processors: the kernel looks for its microcode in one file.
type Vendor struct {
	// Name is that file's.
	Name string
	// Magic is what a package's file with microcode begins with: an Intel update's
	// header version, an AMD container's magic number.
	Magic []byte

	folder, extension string // of its files in packages
}

// Vendors are all of them, in the order of the archive.
var Vendors = []Vendor{
	{Name: "AuthenticAMD.bin", Magic: []byte("DMA\x00"), folder: "amd-ucode", extension: ".bin"}, // beside them lie texts and signatures
	{Name: "GenuineIntel.bin", Magic: []byte("\x01\x00\x00\x00"), folder: "intel-ucode"},
}

// Has reports whether the file of a package is the vendor's microcode. The path is
// relative to the root.
func (v *Vendor) Has(name string) bool {
	parent := path.Dir(name)
	return (parent == "usr/lib/firmware/"+v.folder || parent == "lib/firmware/"+v.folder) && strings.HasSuffix(name, v.extension)
}

// Microcode writes the early archive that the kernel searches for processor
// microcode, which must not be compressed. dir is a tree of unpacked packages;
// their files are joined, for each vendor, in the order of their paths.
func Microcode(w io.Writer, dir string) error {
	from, err := fstree.Load(dir)
	if err != nil {
		return fmt.Errorf("microcode: %w", err)
	}
	t := fstree.New()
	for i := range Vendors {
		v := &Vendors[i]
		blob, err := v.join(from)
		if err != nil {
			return fmt.Errorf("microcode: %w", err)
		}
		if err := t.MakeDirs(microcodeFolder); err != nil {
			return fmt.Errorf("microcode: %w", err)
		}
		if err := t.SetFile(microcodeFolder+"/"+v.Name, blob, 0o644); err != nil {
			return fmt.Errorf("microcode: %w", err)
		}
	}
	return t.WriteCpio(w)
}

func (v *Vendor) join(t *fstree.Tree) ([]byte, error) {
	var blob []byte
	for _, name := range t.Paths() {
		if !t.Get(name).IsRegular() || !v.Has(name) {
			continue
		}
		part, err := t.ReadFile(name, maxMicrocode-int64(len(blob)))
		if err != nil {
			return nil, err
		}
		blob = append(blob, part...)
	}
	if len(blob) == 0 {
		return nil, fmt.Errorf("no file in /usr/lib/firmware/%s: %w", v.folder, ErrInitrd)
	}
	return blob, nil
}

// ReadMicrocode reads the archive that [Microcode] writes, and returns what it has of each
// vendor, by the vendor's name. It must hold that and nothing else.
func ReadMicrocode(archive []byte) (map[string][]byte, error) {
	found := map[string][]byte{}
	err := members(bytes.NewReader(archive), func(h *cpio.Header, content io.Reader) error {
		if h.Mode&cpio.TypeMask == cpio.TypeDir && (h.Name == "." || strings.HasPrefix(microcodeFolder+"/", h.Name+"/")) {
			return nil
		}
		for _, v := range Vendors {
			if h.Name == microcodeFolder+"/"+v.Name && h.Mode&cpio.TypeMask == cpio.TypeRegular && h.Size <= maxMicrocode {
				blob, err := io.ReadAll(content)
				found[v.Name] = blob
				return err
			}
		}
		return fmt.Errorf("/%s is no microcode: %w", h.Name, ErrInitrd)
	})
	if err != nil {
		return nil, fmt.Errorf("read microcode: %w", err)
	}
	return found, nil
}
