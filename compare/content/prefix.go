package content

// Scans remembers how far contents were found to be equal, so that their parts
// need not be read again: a disk that was scanned up to its first difference has
// told of all partitions before it, and of the one that it lies in. The zero value
// remembers nothing. It is for one goroutine.
type Scans struct{ list []scan }

// scan says that the bytes [from, to) of two contents are equal, and that the one
// at to is not.
type scan struct {
	a, b     Content
	from, to int64
}

// keptScans bounds what is remembered.
const keptScans = 16

// Equal is [Equal], from memory where that tells.
func (s *Scans) Equal(a, b Content) (bool, error) {
	if a.Size() != b.Size() {
		return false, nil
	}
	if same, known, err := sharedSame(a, b); known || err != nil {
		return same, err
	}
	baseA, off := base(a)
	baseB, offB := base(b)
	if off == offB {
		for _, k := range s.list {
			if k.a != baseA || k.b != baseB || off < k.from || off > k.to {
				continue
			}
			return off+a.Size() <= k.to, nil
		}
	}
	at, err := FirstDifference(a, b)
	if err != nil || at < 0 {
		return err == nil, err
	}
	if off == offB {
		if len(s.list) == keptScans {
			s.list = s.list[1:]
		}
		s.list = append(s.list, scan{baseA, baseB, off, off + at})
	}
	return false, nil
}

// base is the content that a section lies in, and where.
func base(c Content) (Content, int64) {
	if s, ok := c.(*section); ok {
		return s.in, s.off
	}
	return c, 0
}
