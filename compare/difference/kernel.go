package difference

import (
	"crypto/x509"
	"encoding/binary"
	"fmt"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/compare/content"
)

// The kernel reserves this many bytes for a certificate that is put in after
// the build (CONFIG_SYSTEM_EXTRA_CERTIFICATE_SIZE of this project).
const certificateArea = 4096

const (
	maxCertificateRuns = 512
	certificateJoin    = 4 // equal bytes that do not split a run: keeps numbers apart
)

// certificate is an organisation's certificate found in a kernel.
type certificate struct {
	area    content.Range
	a, b    string // subject on either side, "none" without one
	lengths [2]int64
}

// kernel compares two kernels that may differ in the certificate inside of
// them. done says that nothing else differs. What differs besides it is left to
// the comparison of sections, with the certificate told apart.
func (w *walker) kernel(a, b *component.Node, depth int) (done bool, err error) {
	if a.Content.Size() != b.Content.Size() {
		return false, nil
	}
	runs, _, more, err := content.Differences(a.Content, b.Content, certificateJoin, maxCertificateRuns)
	if err != nil {
		return true, w.failed(err)
	}
	if more {
		return false, nil
	}
	c, err := findCertificate(a.Content, b.Content, runs)
	if c == nil || err != nil {
		return false, err
	}
	var rest []content.Range
	for _, r := range runs {
		inside := r.Offset >= c.area.Offset && r.End() <= c.area.End()
		if !inside && !c.isLength(a.Content, b.Content, r) {
			rest = append(rest, r)
		}
	}
	note := "all bytes that differ are the certificate and its length"
	if len(rest) > 0 {
		note = "the certificate is not all that differs"
	}
	err = w.add(Finding{
		Class: cause.Certificate, Signed: true, What: "certificate in the kernel",
		A: short(c.a), B: short(c.b), Ranges: runs[:min(len(runs), keptRuns)],
		Note: note,
	})
	if err != nil || len(rest) == 0 {
		return true, err
	}
	return true, w.inside(a, component.New(a.Kind, a.Name, &overlay{b.Content, a.Content, c.area}), depth)
}

// findCertificate looks where the bytes differ for a certificate on one of
// the two sides.
func findCertificate(a, b content.Content, runs []content.Range) (*certificate, error) {
	for _, r := range runs {
		from := max(0, r.Offset-certificateArea)
		n := min(a.Size()-from, 2*certificateArea+r.Length)
		if n > 1<<20 {
			continue
		}
		x, y := make([]byte, n), make([]byte, n)
		if err := content.ReadFull(a, x, from); err != nil {
			return nil, err
		}
		if err := content.ReadFull(b, y, from); err != nil {
			return nil, err
		}
		at := r.Offset - from
		for p := max(0, at-certificateArea); p <= at; p++ {
			s, lengthA := certificateAt(x, p)
			t, lengthB := certificateAt(y, p)
			if lengthA == 0 && lengthB == 0 || at >= p+certificateArea {
				continue
			}
			return &certificate{
				area: content.Range{Offset: from + p, Length: certificateArea},
				a:    s, b: t, lengths: [2]int64{lengthA, lengthB},
			}, nil
		}
	}
	return nil, nil
}

// certificateAt is the subject and length of the X.509 certificate that starts
// at b[p].
func certificateAt(b []byte, p int64) (subject string, length int64) {
	if p+4 > int64(len(b)) || b[p] != 0x30 || b[p+1] != 0x82 {
		return "none", 0
	}
	length = 4 + int64(binary.BigEndian.Uint16(b[p+2:]))
	if length > certificateArea || p+length > int64(len(b)) {
		return "none", 0
	}
	c, err := x509.ParseCertificate(b[p : p+length])
	if err != nil {
		return "none", 0
	}
	return fmt.Sprintf("%s, serial %x", c.Subject, c.SerialNumber), length
}

// isLength reports whether the run lies in a number of 4 or 8 bytes that counts
// the certificate: the two numbers differ as the lengths do.
func (c *certificate) isLength(a, b content.Content, r content.Range) bool {
	for _, size := range []int64{4, 8} {
		off := r.Offset &^ 3
		if r.End() > off+size || off+size > a.Size() {
			continue
		}
		var x, y [8]byte
		if content.ReadFull(a, x[:size], off) != nil || content.ReadFull(b, y[:size], off) != nil {
			return false
		}
		p, q := int64(binary.LittleEndian.Uint64(x[:])), int64(binary.LittleEndian.Uint64(y[:]))
		if p-q == c.lengths[0]-c.lengths[1] && p >= 0 && q >= 0 {
			return true
		}
	}
	return false
}

// overlay is content with the bytes of another one in a range.
type overlay struct {
	content.Content
	other content.Content
	area  content.Range
}

// ReadAt implements [io.ReaderAt].
func (o *overlay) ReadAt(b []byte, off int64) (int, error) {
	n, err := o.Content.ReadAt(b, off)
	from, to := max(off, o.area.Offset), min(off+int64(n), o.area.End())
	if from < to {
		if err := content.ReadFull(o.other, b[from-off:to-off], from); err != nil {
			return 0, err
		}
	}
	return n, err
}
