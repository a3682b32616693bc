package component

import (
	"bytes"

	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/format/ar"
	"github.com/mastercard/mangos/format/tar"
)

// format recognises and opens one format.
type format struct {
	name   string
	detect func(head []byte) bool
	open   func(content.Content) (*Expansion, error)
}

const headSize = 4096 + 512 // what detection looks at

// formats in the order in which they are tried: a bzImage is also a PE image,
// and its boot sector looks like that of a FAT file system.
var formats []format

func init() {
	formats = []format{
		{"gpt", detectGPT, openGPT},
		{"erofs", at(1024, "\xe2\xe1\xf5\xe0"), openErofs},
		{"bzimage", detectBzImage, openBzImage},
		{"pe", at(0, "MZ"), openPE},
		{"elf", at(0, "\x7fELF"), openELF},
		{"vfat", detectFAT, openFAT},
		{"verity", at(0, "verity\x00\x00"), openVerity},
		{"cpio", detectCpio, openInitrd},
		{"zstd", at(0, "\x28\xb5\x2f\xfd"), openInitrd},
		{"gzip", at(0, "\x1f\x8b\x08"), openGzip},
		{"xz", at(0, "\xfd7zXZ\x00"), openXZ},
		{"ar", at(0, ar.Magic), openAr},
		{"tar", at(tar.MagicOffset, tar.Magic), openTar},
	}
}

func at(off int, magic string) func([]byte) bool {
	return func(b []byte) bool {
		return len(b) > off && bytes.HasPrefix(b[off:], []byte(magic))
	}
}

// Format names the format of the content, "" if it is none that is opened.
func Format(c content.Content) (string, error) {
	f, err := detect(c)
	if f == nil {
		return "", err
	}
	return f.name, err
}

func detect(c content.Content) (*format, error) {
	head, err := content.Prefix(c, headSize)
	if err != nil {
		return nil, err
	}
	for n := range formats {
		if formats[n].detect(head) {
			return &formats[n], nil
		}
	}
	return nil, nil
}

func open(c content.Content) (*Expansion, error) {
	f, err := detect(c)
	if f == nil || err != nil {
		return nil, err
	}
	e, err := f.open(c)
	if e != nil && e.Format == "" {
		e.Format = f.name
	}
	return e, err
}
