package erofs

import (
	"encoding/binary"
	"fmt"
	"sync"
)

// Advice bits of the cluster map's header (h_advise).
const (
	adviseCompact2  = 1 << 0
	adviseBig1      = 1 << 1
	adviseBig2      = 1 << 2
	adviseInline    = 1 << 3
	adviseInterlace = 1 << 4
	adviseFragment  = 1 << 5
)

// Types of a logical cluster.
const (
	clusterPlain   = 0
	clusterHead    = 1
	clusterNonHead = 2
	clusterHead2   = 3
)

const (
	mapHeaderSize  = 8
	fragmentInode  = 7       // bit of h_clusterbits: the whole file is a fragment
	deltaCount     = 1 << 11 // a delta that counts compressed blocks instead
	partialRef     = 1 << 15
	fullIndexSize  = 8
	fullIndexExtra = 8 // padding between header and full indexes
)

// clusterMap is the decoded header of an inode's cluster indexes.
type clusterMap struct {
	once sync.Once
	err  error

	advise     uint16
	algorithms [2]Encoding
	bits       uint  // log2 of a logical cluster
	indexes    int64 // offset of the first index
	count      int64 // logical clusters
	initial4   int64 // compact layout: 4-byte indexes before the 2-byte ones
	compact2   int64 // compact layout: 2-byte indexes
	fragment   int64 // offset in the packed inode, low 32 bits of it for a tail
	whole      bool  // the whole file is a fragment
	inlineSize int64 // bytes of the inlined last cluster
	inlineAt   int64 // its offset
	tailHead   int64 // the head of the last extent, if inlined or a fragment
}

func (m *clusterMap) size() int64   { return 1 << m.bits }
func (m *clusterMap) hasTail() bool { return m.advise&(adviseInline|adviseFragment) != 0 }

// loadClusters decodes the header once.
func (i *Inode) loadClusters() (*clusterMap, error) {
	m := &i.clusters
	m.once.Do(func() { m.err = i.readClusterMap(m) })
	return m, m.err
}

func (i *Inode) readClusterMap(m *clusterMap) error {
	header := (i.tail() + 7) &^ 7
	var b [mapHeaderSize]byte
	if err := i.img.readMeta(b[:], header); err != nil {
		return err
	}
	le := binary.LittleEndian
	if b[7]>>fragmentInode != 0 {
		m.whole = true
		m.fragment = int64(le.Uint64(b[:]) &^ (1 << 63))
		return nil
	}
	m.advise = le.Uint16(b[4:])
	m.algorithms = [2]Encoding{Encoding(b[6] & 15), Encoding(b[6] >> 4)}
	m.bits = uint(i.img.super.BlockBits) + uint(b[7]&7)
	if m.bits > 14 && i.Layout == LayoutCompact {
		return fmt.Errorf("%w: compact clusters of 2^%d bytes", ErrUnsupported, m.bits)
	}
	if unknown := m.advise &^ 0x3f; unknown != 0 {
		return fmt.Errorf("%w: cluster advice %#x", ErrUnsupported, unknown)
	}
	m.count = (i.Size + m.size() - 1) >> m.bits
	m.indexes = header + mapHeaderSize
	if i.Layout == LayoutCompressed {
		m.indexes += fullIndexExtra
	} else {
		m.splitCompact()
	}
	if m.advise&adviseInline != 0 {
		m.inlineSize = int64(le.Uint16(b[2:]))
	}
	if m.advise&adviseFragment != 0 {
		m.fragment = int64(le.Uint32(b[0:]))
	}
	if m.hasTail() && m.count > 0 {
		return i.findTail(m)
	}
	return nil
}

// splitCompact works out how many indexes take 4 bytes each until 32-byte
// alignment, and how many of the rest come in packs of sixteen 2-byte ones.
func (m *clusterMap) splitCompact() {
	m.initial4 = (32 - m.indexes%32) / 4 & 7
	if m.advise&adviseCompact2 != 0 && m.initial4 < m.count {
		m.compact2 = (m.count - m.initial4) &^ 15
	}
}

// findTail finds the head of the last extent, and where an inlined last
// cluster lies: after the last index, or after the pack that holds it.
func (i *Inode) findTail(m *clusterMap) error {
	c, err := i.cluster(m, m.count-1)
	if err != nil {
		return err
	}
	m.inlineAt = c.next
	head, err := i.headOf(m, m.count-1, (i.Size-1)&(m.size()-1))
	if err != nil {
		return err
	}
	m.tailHead = head.number
	if m.advise&adviseFragment != 0 && i.Layout == LayoutCompressed {
		m.fragment |= int64(head.block) << 32
		if m.fragment < 0 {
			return fmt.Errorf("%w: fragment offset", ErrCorrupt)
		}
	}
	return nil
}

// logicalCluster is one decoded index.
type logicalCluster struct {
	number  int64
	kind    uint8
	offset  int64  // heads: where in the cluster the extent starts
	block   uint32 // heads: first physical block
	back    int64  // others: distance to the head
	blocks  int64  // others: if not zero, how many blocks the head's cluster takes
	partial bool
	next    int64 // offset of what follows the index or its pack
}

func (i *Inode) cluster(m *clusterMap, n int64) (logicalCluster, error) {
	if n < 0 || n >= m.count {
		return logicalCluster{}, fmt.Errorf("%w: logical cluster %d of %d", ErrCorrupt, n, m.count)
	}
	if i.Layout == LayoutCompressed {
		return i.fullCluster(m, n)
	}
	return i.compactCluster(m, n)
}

func (i *Inode) fullCluster(m *clusterMap, n int64) (logicalCluster, error) {
	var b [fullIndexSize]byte
	at := m.indexes + n*fullIndexSize
	if err := i.img.readMeta(b[:], at); err != nil {
		return logicalCluster{}, err
	}
	le := binary.LittleEndian
	advise := le.Uint16(b[0:])
	c := logicalCluster{number: n, kind: uint8(advise & 3), next: at + fullIndexSize}
	if c.kind == clusterNonHead {
		c.back = int64(le.Uint16(b[4:]))
		if c.back&deltaCount != 0 {
			c.blocks, c.back = c.back&^deltaCount, 1
		}
		return c, nil
	}
	c.partial = advise&partialRef != 0
	c.offset = int64(le.Uint16(b[2:]))
	c.block = le.Uint32(b[4:])
	return c, nil
}

// compactPack is the group of indexes that share one block address.
type compactPack struct {
	b     []byte
	width uint // bits of one index
	low   uint // bits of its low part; the type follows
}

func (p *compactPack) at(k int) (low int64, kind uint8) {
	pos := uint(k) * p.width
	v := binary.LittleEndian.Uint32(p.b[pos/8:]) >> (pos & 7)
	return int64(v & (1<<p.low - 1)), uint8(v >> p.low & 3)
}

// compactCluster decodes index n of the compact layout: packs of two indexes
// in 8 bytes or of sixteen in 32; the last 4 bytes are a block address from
// which the heads of the pack count on.
func (i *Inode) compactCluster(m *clusterMap, n int64) (logicalCluster, error) {
	pos, entry := m.compactPosition(n)
	count := int64(2)
	if entry == 2 {
		count = 16
	}
	if entry == 2 && m.bits > 12 {
		return logicalCluster{}, fmt.Errorf("%w: 2-byte indexes of 2^%d byte clusters", ErrUnsupported, m.bits)
	}
	size := count * entry
	start := pos &^ (size - 1)
	var buf [36]byte // the widest read goes 4 bytes beyond an index
	b := buf[:size]
	if err := i.img.readMeta(b, start); err != nil {
		return logicalCluster{}, err
	}
	p := &compactPack{b: buf[:], width: uint((size - 4) * 8 / count), low: max(m.bits, 12)}
	k := int((pos - start) / entry)
	c := logicalCluster{number: n, next: start + size}
	low, kind := p.at(k)
	c.kind = kind
	big := m.advise&(adviseBig1|adviseBig2) != 0
	if kind == clusterNonHead {
		return c, p.nonHead(&c, k, int(count), low, big)
	}
	c.offset = low
	ahead, err := p.blocksBefore(k, big)
	if err != nil {
		return c, err
	}
	c.block = binary.LittleEndian.Uint32(b[size-4:]) + ahead
	return c, nil
}

func (m *clusterMap) compactPosition(n int64) (pos, entry int64) {
	pos = m.indexes
	if n < m.initial4 {
		return pos + n*4, 4
	}
	pos, n = pos+m.initial4*4, n-m.initial4
	if n < m.compact2 {
		return pos + n*2, 2
	}
	return pos + m.compact2*2 + (n-m.compact2)*4, 4
}

func (p *compactPack) nonHead(c *logicalCluster, k, count int, low int64, big bool) error {
	if low&deltaCount != 0 {
		if !big {
			return fmt.Errorf("%w: a block count without big clusters", ErrCorrupt)
		}
		c.blocks, c.back = low&^deltaCount, 1
		return nil
	}
	if k+1 != count {
		c.back = low
		return nil
	}
	// The last of a pack holds the distance to the next head instead; its
	// own is one more than that of the index before it.
	previous, kind := p.at(k - 1)
	switch {
	case kind != clusterNonHead:
		previous = 0
	case previous&deltaCount != 0:
		previous = 1
	}
	c.back = previous + 1
	return nil
}

// blocksBefore counts the physical blocks that the pack's heads before index
// k take, including the one that the address in the pack stands before.
func (p *compactPack) blocksBefore(k int, big bool) (uint32, error) {
	var blocks int64
	if !big {
		blocks = 1
	}
	for k > 0 {
		k--
		low, kind := p.at(k)
		if kind != clusterNonHead {
			blocks++
			continue
		}
		switch {
		case !big:
			k -= int(low)
			if k >= 0 {
				blocks++
			}
		case low&deltaCount != 0:
			k--
			blocks += low &^ deltaCount
		case low <= 1:
			return 0, fmt.Errorf("%w: distance %d in a big cluster", ErrCorrupt, low)
		default:
			k -= int(low) - 2
		}
	}
	return uint32(blocks), nil
}

// headOf is the head of the extent that holds byte within of cluster n.
func (i *Inode) headOf(m *clusterMap, n, within int64) (logicalCluster, error) {
	c, err := i.cluster(m, n)
	if err != nil {
		return c, err
	}
	if c.kind != clusterNonHead && within >= c.offset {
		return c, nil
	}
	if c.kind != clusterNonHead {
		// The extent of the clusters before reaches into this one.
		c.back = 1
	}
	for range maxDecodedSize >> i.img.super.BlockBits {
		if c.back <= 0 {
			return c, fmt.Errorf("%w: no head before logical cluster %d", ErrCorrupt, n)
		}
		if c, err = i.cluster(m, c.number-c.back); err != nil {
			return c, err
		}
		if c.kind != clusterNonHead {
			return c, nil
		}
	}
	return c, fmt.Errorf("%w: no head near logical cluster %d", ErrCorrupt, n)
}

// clusterExtent finds the extent that holds the byte at off.
func (i *Inode) clusterExtent(off int64) (Extent, error) {
	m, err := i.loadClusters()
	if err != nil {
		return Extent{}, err
	}
	if m.whole {
		return Extent{Length: i.Size, Encoding: Fragment, Physical: m.fragment}, nil
	}
	head, err := i.headOf(m, off>>m.bits, off&(m.size()-1))
	if err != nil {
		return Extent{}, err
	}
	x := Extent{Logical: head.number<<m.bits + head.offset, Partial: head.partial}
	if head.offset >= m.size() {
		return x, fmt.Errorf("%w: extent starts %d bytes into a cluster", ErrCorrupt, head.offset)
	}
	end, blocks, err := i.extentEnd(m, head)
	if err != nil {
		return x, err
	}
	x.Length = end - x.Logical
	return x, i.place(m, head, blocks, &x)
}

// extentEnd goes forward from a head to the next one, or to the end of the
// file, and tells how many blocks the head's physical cluster takes.
func (i *Inode) extentEnd(m *clusterMap, head logicalCluster) (end, blocks int64, err error) {
	blocks = max(1, m.size()>>i.img.super.BlockBits)
	limit := head.number + maxDecodedSize>>m.bits + 2
	for n := head.number + 1; n < m.count; n++ {
		if n > limit {
			return 0, 0, fmt.Errorf("%w: extent longer than %d bytes", ErrCorrupt, maxDecodedSize)
		}
		c, err := i.cluster(m, n)
		if err != nil {
			return 0, 0, err
		}
		if n == head.number+1 && c.kind == clusterNonHead && c.blocks > 0 {
			blocks = c.blocks
		}
		if c.kind != clusterNonHead {
			return min(n<<m.bits+c.offset, i.Size), blocks, nil
		}
	}
	return i.Size, blocks, nil
}

// place fills in where and how the extent of a head is stored.
func (i *Inode) place(m *clusterMap, head logicalCluster, blocks int64, x *Extent) error {
	if m.advise&adviseFragment != 0 && head.number == m.tailHead {
		x.Encoding, x.Physical = Fragment, m.fragment
		return nil
	}
	switch head.kind {
	case clusterPlain:
		x.Encoding = Raw
		if m.advise&adviseInterlace != 0 {
			x.Encoding = Interlaced
		}
	case clusterHead2:
		x.Encoding = m.algorithms[1]
	default:
		x.Encoding = m.algorithms[0]
	}
	if head.kind != clusterPlain && x.Encoding > Zstd {
		return fmt.Errorf("%w: compression algorithm %d", ErrUnsupported, x.Encoding)
	}
	x.Physical = int64(head.block) << i.img.super.BlockBits
	x.Stored = blocks << i.img.super.BlockBits
	if m.advise&adviseInline != 0 && head.number == m.tailHead {
		x.Physical, x.Stored = m.inlineAt, m.inlineSize
	}
	if x.Stored > maxClusterSize {
		return fmt.Errorf("%w: physical cluster of %d bytes", ErrCorrupt, x.Stored)
	}
	if x.Length > maxDecodedSize || head.kind == clusterPlain && x.Length > x.Stored {
		return fmt.Errorf("%w: extent of %d bytes in %d", ErrCorrupt, x.Length, x.Stored)
	}
	return nil
}
