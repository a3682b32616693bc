package vfat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// ErrMake is wrapped by errors that say that a file system is not one that Make makes.
var ErrMake = errors.New("a file system that is not made here")

// Spec is what a FAT32 file system with sectors of 4096 bytes, each a cluster, is made
// of.
type Spec struct {
	Size   int64
	Serial uint32
	Label  string
	Time   time.Time
	Files  map[string][]byte // by their paths from the root
}

// Piece is a part of a file system.
type Piece struct {
	Offset int64
	Bytes  []byte
}

// What mkfs.vfat chooses.
const (
	madeSector   = 4096
	madeReserved = 32 // sectors
	madeInfo     = 1  // sector of the free clusters' number
	madeBackup   = 6  // sector of the copy of the boot sector, with info behind it
	madeRoot     = 2  // cluster
	endByMkfs    = 0x0ffffff8
	endByMtools  = 0x0fffffff
)

// labelTime is that of the label in a volume that mkfs.vfat makes with --invariant.
var labelTime = time.Unix(1426325212, 0).UTC()

// bootCode prints its text. It stands behind the fields of the boot sector.
const bootCode = "\x0e\x1f\xbe\x77\x7c\xac\x22\xc0\x74\x0b\x56\xb4\x0e\xbb\x07\x00\xcd\x10\x5e\xeb\xf0\x32\xe4\xcd\x16\xcd\x19\xeb\xfe" +
	"This is not a bootable disk.  Please insert a bootable floppy and\r\npress any key to try again ... \r\n"

// Make makes the file system, to the byte as mkfs.vfat --invariant, one mmd for each
// folder and one mcopy for each file make it, in the order of the paths: its pieces, in
// order, with nothing but zeros between and behind them. What would need more than
// one cluster for a folder, a name in letters other than those of ASCII, or two short names that
// are the same, it does not make. Errors wrap [ErrMake].
func (s Spec) Make() ([]Piece, error) {
	m, err := s.begin()
	if err != nil {
		return nil, fmt.Errorf("make FAT file system: %w", err)
	}
	if err := m.fill(s.Files); err != nil {
		return nil, fmt.Errorf("make FAT file system: %w", err)
	}
	return m.pieces(), nil
}

// maker is a file system that is being made.
type maker struct {
	Spec
	sectors, fatSectors, clusters int64
	table                         []byte            // as far as it is used
	folders                       map[string]folder // by path; the root is "."
	data                          []Piece
}

// folder is a folder's cluster.
type folder struct {
	cluster uint32
	entries *[]byte
}

func (s Spec) begin() (*maker, error) {
	m := &maker{Spec: s, sectors: s.Size / madeSector, folders: map[string]folder{}}
	if s.Size%madeSector != 0 || m.sectors < 64 || m.sectors > geometries[len(geometries)-1].sectors {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrMake, s.Size)
	}
	if len(s.Label) == 0 || len(s.Label) > 11 || s.Label != strings.ToUpper(s.Label) || !plain(s.Label) {
		return nil, fmt.Errorf("%w: its label is %q", ErrMake, s.Label)
	}
	if y := s.Time.UTC().Year(); y < 1980 || y > 2107 {
		return nil, fmt.Errorf("%w: its time is %s", ErrMake, s.Time)
	}
	rest := m.sectors - madeReserved
	guess := (rest*madeSector + 16) / (madeSector + 8)
	m.fatSectors = ((guess+2)*4 + madeSector - 1) / madeSector
	m.clusters = rest - 2*m.fatSectors
	m.table = binary.LittleEndian.AppendUint32(m.table, endByMkfs)
	m.table = binary.LittleEndian.AppendUint32(m.table, endByMtools)
	m.table = binary.LittleEndian.AppendUint32(m.table, endByMkfs)
	label := make([]byte, dirEntrySize)
	copy(label, fmt.Sprintf("%-11s", s.Label))
	label[11] = AttrVolume
	stamp(label, labelTime)
	m.folders["."] = folder{0, &label}
	return m, nil
}

// fill puts the folders in, and then the files.
func (m *maker) fill(files map[string][]byte) error {
	folders := map[string]bool{}
	for p := range files {
		if !fs.ValidPath(p) || p == "." {
			return fmt.Errorf("%w: path %q", ErrMake, p)
		}
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			folders[dir] = true
		}
	}
	for _, p := range slices.Sorted(maps.Keys(folders)) {
		parent := m.folders[path.Dir(p)]
		cluster, err := m.allocate(p, 1)
		if err != nil {
			return err
		}
		var entries []byte
		for _, e := range []struct {
			name    string
			cluster uint32
		}{{".", cluster}, {"..", parent.cluster}} {
			entries = append(entries, m.entry([11]byte([]byte(fmt.Sprintf("%-11s", e.name))), AttrDirectory, 0, e.cluster, 0)...)
		}
		m.folders[p] = folder{cluster, &entries}
		if err := m.add(p, AttrDirectory, cluster, 0); err != nil {
			return err
		}
	}
	for _, p := range slices.Sorted(maps.Keys(files)) {
		content := files[p]
		first, err := m.allocate(p, (int64(len(content))+madeSector-1)/madeSector)
		if err != nil {
			return err
		}
		if err := m.add(p, AttrArchive, first, int64(len(content))); err != nil {
			return err
		}
		if len(content) > 0 {
			m.data = append(m.data, Piece{m.offset(first), content})
		}
	}
	return nil
}

// offset is where a cluster lies.
func (m *maker) offset(cluster uint32) int64 {
	return (madeReserved + 2*m.fatSectors + int64(cluster) - 2) * madeSector
}

// allocate takes the next n clusters, and returns the first, or 0 where there is none.
func (m *maker) allocate(name string, n int64) (uint32, error) {
	first := int64(len(m.table) / 4)
	if first+n > m.clusters+2 {
		return 0, fmt.Errorf("%w: there is no room for %q", ErrMake, name)
	}
	for i := range n {
		next := uint32(first + i + 1)
		if i == n-1 {
			next = endByMtools
		}
		m.table = binary.LittleEndian.AppendUint32(m.table, next)
	}
	if n == 0 {
		return 0, nil
	}
	return uint32(first), nil
}

// add puts the entry of a path into its folder.
func (m *maker) add(p string, attr uint8, cluster uint32, size int64) error {
	dir, name := m.folders[path.Dir(p)], path.Base(p)
	s, err := shorten(name)
	if err != nil {
		return err
	}
	entries := *dir.entries
	for e := range slices.Chunk(entries, dirEntrySize) {
		if e[11]&0x3f != attrLongName && [11]byte(e[:11]) == s.name {
			return fmt.Errorf("%w: %q has the short name of another", ErrMake, p)
		}
	}
	if s.long {
		entries = append(entries, longEntries(name, s.name)...)
	}
	entries = append(entries, m.entry(s.name, attr, s.letters, cluster, size)...)
	if len(entries) > madeSector {
		return fmt.Errorf("%w: the folder of %q has more than %d entries", ErrMake, p, madeSector/dirEntrySize)
	}
	*dir.entries = entries
	return nil
}

func (m *maker) entry(name [11]byte, attr, letters uint8, cluster uint32, size int64) []byte {
	e := make([]byte, dirEntrySize)
	copy(e, name[:])
	e[11], e[12] = attr, letters
	stamp(e, m.Time)
	binary.LittleEndian.PutUint16(e[20:], uint16(cluster>>16))
	binary.LittleEndian.PutUint16(e[26:], uint16(cluster))
	binary.LittleEndian.PutUint32(e[28:], uint32(size))
	return e
}

// stamp puts the time into all fields of an entry that have one.
func stamp(e []byte, t time.Time) {
	t = t.UTC()
	clock := uint16(t.Hour()<<11 | t.Minute()<<5 | t.Second()/2)
	day := uint16((t.Year()-1980)<<9 | int(t.Month())<<5 | t.Day())
	for at, v := range map[int]uint16{14: clock, 16: day, 18: day, 22: clock, 24: day} {
		binary.LittleEndian.PutUint16(e[at:], v)
	}
}

// pieces puts together what was made.
func (m *maker) pieces() []Piece {
	boot := m.boot()
	free := m.clusters - int64(len(m.table)/4-madeRoot)
	list := []Piece{
		{0, boot}, {madeInfo * madeSector, freeClusters(free, uint32(len(m.table)/4-1))},
		{madeBackup * madeSector, boot}, {(madeBackup + madeInfo) * madeSector, freeClusters(m.clusters-1, madeRoot)},
		{madeReserved * madeSector, m.table}, {(madeReserved + m.fatSectors) * madeSector, m.table},
	}
	for _, dir := range m.folders {
		list = append(list, Piece{m.offset(max(dir.cluster, madeRoot)), *dir.entries})
	}
	list = append(list, m.data...)
	slices.SortFunc(list, func(a, b Piece) int { return int(a.Offset - b.Offset) })
	return list
}

// freeClusters tells how many clusters are free, and the last one that was taken.
func freeClusters(free int64, last uint32) []byte {
	b := make([]byte, 512)
	copy(b, "RRaA")
	copy(b[484:], "rrAa")
	binary.LittleEndian.PutUint32(b[488:], uint32(free))
	binary.LittleEndian.PutUint32(b[492:], last)
	b[510], b[511] = 0x55, 0xaa
	return b
}

// geometries are what mkfs.vfat takes for volumes of up to so many sectors.
var geometries = []struct {
	sectors      int64
	track, heads uint16
}{{8192, 16, 2}, {32768, 32, 2}, {65536, 32, 4}, {262144, 32, 8}}

func (m *maker) boot() []byte {
	le := binary.LittleEndian
	b := make([]byte, 512)
	copy(b, "\xeb\x58\x90mkfs.fat")
	le.PutUint16(b[11:], madeSector)
	b[13] = 1 // sectors in a cluster
	le.PutUint16(b[14:], madeReserved)
	b[16] = 2    // tables
	b[21] = 0xf8 // a fixed disk
	if m.sectors < 1<<16 {
		le.PutUint16(b[19:], uint16(m.sectors))
	} else {
		le.PutUint32(b[32:], uint32(m.sectors))
	}
	for _, g := range geometries {
		if m.sectors <= g.sectors {
			le.PutUint16(b[24:], g.track)
			le.PutUint16(b[26:], g.heads)
			break
		}
	}
	le.PutUint32(b[36:], uint32(m.fatSectors))
	le.PutUint32(b[44:], madeRoot)
	le.PutUint16(b[48:], madeInfo)
	le.PutUint16(b[50:], madeBackup)
	b[64], b[66] = 0x80, 0x29 // the first fixed disk; serial, label and type follow
	le.PutUint32(b[67:], m.Serial)
	copy(b[71:], fmt.Sprintf("%-11sFAT32   ", m.Label))
	copy(b[90:], bootCode)
	b[510], b[511] = 0x55, 0xaa
	return b
}
