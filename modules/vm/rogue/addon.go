package rogue

import "encoding/binary"

// AddOn makes an unsigned add-on for systemd-stub that adds to the command line: a PE32+
// image for x86-64 without code (Microsoft's PE format; Unified Kernel Image
// specification, "Addons").
func AddOn(commandLine string) []byte {
	const (
		aligned    = 0x1000 // of sections, in the file too
		headers    = 0x80   // where the PE header stands
		sectionHdr = 40
	)
	sections := []struct{ name, content string }{
		{".cmdline", commandLine + "\x00"},
		// Firmware with a revocation list wants to see what it could revoke.
		{".sbat", "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"},
	}
	image := make([]byte, aligned*(1+len(sections)))
	le := binary.LittleEndian
	copy(image, "MZ")
	le.PutUint32(image[60:], headers)
	h := image[headers:]
	copy(h, "PE\x00\x00")
	le.PutUint16(h[4:], 0x8664) // machine
	le.PutUint16(h[6:], uint16(len(sections)))
	le.PutUint16(h[20:], 240)  // size of the optional header
	le.PutUint16(h[22:], 0x22) // an executable, for large addresses
	o := h[24:]
	le.PutUint16(o, 0x20b)         // PE32+
	le.PutUint32(o[8:], aligned*2) // initialised data
	le.PutUint32(o[16:], aligned)  // entry point: nobody starts it
	le.PutUint32(o[20:], aligned)  // base of code
	le.PutUint32(o[32:], aligned)  // of sections in memory
	le.PutUint32(o[36:], aligned)  // of sections in the file
	le.PutUint32(o[56:], uint32(len(image)))
	le.PutUint32(o[60:], aligned) // size of headers
	le.PutUint16(o[68:], 10)      // an EFI application
	le.PutUint16(o[70:], 0x100)   // no execution of data
	le.PutUint32(o[108:], 16)     // directories, all empty
	for i, s := range sections {
		at := aligned * (1 + i)
		copy(image[at:], s.content)
		e := o[240+i*sectionHdr:]
		copy(e, s.name)
		le.PutUint32(e[8:], uint32(len(s.content)))
		le.PutUint32(e[12:], uint32(at))
		le.PutUint32(e[16:], aligned)
		le.PutUint32(e[20:], uint32(at))
		le.PutUint32(e[36:], 0x40000040) // initialised data, readable
	}
	return image
}
