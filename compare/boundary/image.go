package boundary

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/mastercard/mangos/format/pe"
	"github.com/mastercard/mangos/format/uki"
	"github.com/mastercard/mangos/modules/image/unified"
	"github.com/mastercard/mangos/modules/image/unsigned"
)

// checkImage checks that the signed unified kernel image has the declared
// additions and replacements, and is the set's normal form without them.
func (o *organisation) checkImage() error {
	b, err := o.set.read(unsigned.UKI)
	if err != nil {
		return err
	}
	normal, err := uki.Parse(b)
	if err != nil {
		return err
	}
	if b, err = o.read("*.efi"); err != nil {
		return err
	}
	if o.image, err = uki.Parse(b); err != nil {
		return err
	}
	signing := o.set.manifest.Signing.Image
	for _, name := range o.image.Names() {
		mine, base := o.image.Section(name), normal.Section(name)
		_, replaced := signing.Replaced[name]
		switch {
		case base == nil && !slices.Contains(signing.Added, name):
			o.fail(unsigned.UKI, "section %s is not in the normal form, and not declared as added", name)
		case base != nil && !bytes.Equal(mine, base) && !replaced:
			o.fail(unsigned.UKI, "section %s differs from the normal form's at byte %d, and is not declared as replaced", name, differs(mine, base))
		}
	}
	if o.image.Signed() && !signing.Signature {
		o.fail(unsigned.UKI, "it has a certificate table, which is not declared")
	}
	if !bytes.Equal(o.image.Section(".linux"), o.kernel) {
		o.fail(unsigned.UKI, "its kernel is not the organisation's bzImage")
	}
	form, err := unified.NormalForm(o.image, normal.Section(".linux"))
	switch {
	case errors.Is(err, uki.ErrFormat):
		o.fail(unsigned.UKI, "%v", err)
	case err != nil:
		return err
	case !bytes.Equal(form, normal.Bytes()):
		at := differs(form, normal.Bytes())
		o.fail(unsigned.UKI, "its normal form differs from the set's at byte %d, in %s", at, where(normal.Bytes(), at))
	default:
		o.pass(unsigned.UKI, "its normal form is the set's, byte for byte")
	}
	o.keys["PCR key"] = o.image.Section(".pcrpkey")
	o.keys["signature of the image"], err = certificates(o.image.Bytes())
	return err
}

// differs returns the first offset at which two differ; that may be the end of
// one.
func differs(a, b []byte) int64 {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return int64(i)
		}
	}
	return int64(n)
}

// where names the part of a PE image that an offset lies in.
func where(image []byte, at int64) string {
	file, err := pe.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		return "a part unknown"
	}
	for _, s := range file.Sections {
		if at >= s.Offset && at < s.Offset+s.Size {
			return "section " + s.Name
		}
	}
	return "the headers or padding"
}

// certificates returns the certificate table of a PE image.
func certificates(image []byte) ([]byte, error) {
	file, err := pe.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		return nil, err
	}
	return image[file.Certificates.Offset : file.Certificates.Offset+file.Certificates.Size], nil
}

// Of the optional header of a PE image (Microsoft, PE Format): where the checksum
// stands, from "PE\0\0" on.
const checksum = 24 + 64

// bare returns an EFI program without what signing adds: the certificate table at
// its end, where the header says that this is, and the checksum.
func bare(program []byte) ([]byte, error) {
	file, err := pe.Open(bytes.NewReader(program), int64(len(program)))
	if err != nil {
		return nil, err
	}
	table := file.Certificates
	if table.Size == 0 || file.Header.Size < checksum+4 {
		return nil, errors.New("the program is not signed")
	}
	if table.Offset+table.Size != int64(len(program)) {
		return nil, fmt.Errorf("%w: the certificate table does not end the file", pe.ErrCorrupt)
	}
	b := bytes.Clone(program[:table.Offset])
	if file.Directory.Offset+file.Directory.Size > table.Offset || file.Header.Offset+file.Header.Size > table.Offset {
		return nil, fmt.Errorf("%w: the certificate table lies in the headers", pe.ErrCorrupt)
	}
	clear(b[file.Directory.Offset : file.Directory.Offset+file.Directory.Size])
	binary.LittleEndian.PutUint32(b[file.Header.Offset+checksum:], 0)
	return b, nil
}
