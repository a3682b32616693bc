package component

import (
	"encoding/binary"
	"fmt"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/content"
)

func detectBzImage(b []byte) bool {
	return at(0x1fe, "\x55\xaa")(b) && at(0x202, "HdrS")(b)
}

// openBzImage shows a Linux kernel image as the kernel inside of it and the
// wrapper around. An organisation's certificate lies in the kernel; what is
// compressed differs throughout then, and with its length the wrapper's code.
// The header: Documentation/arch/x86/boot.rst, protocol 2.08.
func openBzImage(c content.Content) (*Expansion, error) {
	var b [0x268]byte
	if c.Size() < int64(len(b)) {
		return nil, fmt.Errorf("kernel image of %d bytes", c.Size())
	}
	if err := content.ReadFull(c, b[:], 0); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	setup := (int64(b[0x1f1]) + 1) * 512
	start := setup + int64(le.Uint32(b[0x248:]))
	length := int64(le.Uint32(b[0x24c:]))
	if le.Uint16(b[0x206:]) < 0x208 || length < 8 || start+length > c.Size() {
		return nil, fmt.Errorf("kernel image: payload of %d bytes at %d of %d", length, start, c.Size())
	}
	// The last four bytes are the size of the kernel.
	payload := content.Section(c, start, length-4)
	a, err := content.DetectAlgorithm(payload)
	if err != nil {
		return nil, err
	}
	if a == content.None {
		return nil, fmt.Errorf("kernel image: payload compressed with an unknown algorithm")
	}
	d, err := content.Decompress(payload, a)
	if err != nil {
		return nil, err
	}
	kernel := New(Member, "vmlinux", d)
	head := part(Structure, "setup header", c, 0x1f1, 0x268-0x1f1)
	head.Fields = []Field{
		field(0x1f4-0x1f1, 4, "size of the code", cause.Derived, ShowNumber),
		field(0x248-0x1f1, 8, "place of the kernel", cause.Derived, ShowHex),
		field(0x260-0x1f1, 4, "memory needed", cause.Derived, ShowNumber),
		field(0x264-0x1f1, 4, "handover entry", cause.Derived, ShowHex),
	}
	boot := part(Structure, "boot sector", c, 0, 0x1f1)
	boot.Class = cause.Derived // the PE header: sizes and checksum
	before := part(Structure, "setup code", c, 0x268, start-0x268)
	before.Class = cause.Derived
	after := part(Structure, "wrapper code", c, start+length-4, c.Size()-start-length+4)
	after.Class = cause.Derived
	return &Expansion{Format: "bzimage", Children: []*Node{kernel, head, boot, before, after}, Partial: true}, nil
}
