package component

import (
	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/content"
)

// wrapped is the expansion of compressed content.
func wrapped(c content.Content, a content.Algorithm, head ...*Node) (*Expansion, error) {
	d, err := content.Decompress(c, a)
	if err != nil {
		return nil, err
	}
	return &Expansion{
		Format:   string(a),
		Children: append(head, New(Member, "content", d)),
		Partial:  true,
		Wraps:    true,
	}, nil
}

func openXZ(c content.Content) (*Expansion, error) { return wrapped(c, content.XZ) }

// openGzip shows the header too: gzip writes a file's time into it.
func openGzip(c content.Content) (*Expansion, error) {
	head := part(Structure, "gzip header", c, 0, 10)
	head.Fields = []Field{
		field(4, 4, "modification time", cause.Timestamp, ShowTime),
		field(8, 1, "compression level", cause.Compression, ShowHex),
		field(9, 1, "operating system", cause.Attribute, ShowHex),
	}
	return wrapped(c, content.Gzip, head)
}
