package vfat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf16"
)

// Attribute bits of an entry.
const (
	AttrReadOnly  = 0x01
	AttrHidden    = 0x02
	AttrSystem    = 0x04
	AttrVolume    = 0x08
	AttrDirectory = 0x10
	AttrArchive   = 0x20
)

const (
	attrLongName = 0x0f
	dirEntrySize = 32
	nameDeleted  = 0xe5
	caseBase     = 0x08 // NT: the base name is in lower case
	caseExt      = 0x10
)

// File is a file, directory or volume label.
type File struct {
	Name      string // long name if there is one, else the short one
	ShortName string
	Attr      uint8
	Size      int64
	Created   Stamp
	Modified  Stamp
	Accessed  Stamp // day only
	Cluster   uint32

	volume *Volume
	runs   []Run
	loaded bool
}

// Stamp is a time as FAT stores it: local time without zone.
type Stamp struct {
	Date, Time uint16
	Tenths     uint8 // hundredths of a second, for Created
}

// String gives the time in the manner of ISO 8601, without zone.
func (s Stamp) String() string {
	if s.Date == 0 {
		return "none"
	}
	t := time.Date(1980+int(s.Date>>9), time.Month(s.Date>>5&15), int(s.Date&31),
		int(s.Time>>11), int(s.Time>>5&63), int(s.Time&31)*2+int(s.Tenths)/100, int(s.Tenths)%100*1e7, time.UTC)
	return t.Format("2006-01-02T15:04:05.99")
}

// IsDir reports whether the entry is a directory.
func (f *File) IsDir() bool { return f.Attr&AttrDirectory != 0 }

// IsLabel reports whether the entry is the volume's label.
func (f *File) IsLabel() bool { return f.Attr&AttrVolume != 0 }

// Root is the root directory.
func (v *Volume) Root() *File {
	f := &File{Attr: AttrDirectory, volume: v, Cluster: v.boot.RootCluster}
	if v.boot.Bits != 32 {
		f.runs, f.loaded = []Run{{v.rootOffset, v.rootBytes}}, true
	}
	return f
}

// Runs tells where the content lies in the volume, rounded up to clusters.
func (f *File) Runs() ([]Run, error) {
	if f.loaded {
		return f.runs, nil
	}
	size := f.Size
	if f.IsDir() {
		size = -1
	}
	runs, err := f.volume.runs(f.Cluster, size)
	if err != nil {
		return nil, fmt.Errorf("file %q: %w", f.Name, err)
	}
	return runs, nil
}

// Open gives the content for random access.
func (f *File) Open() (io.ReaderAt, error) {
	runs, err := f.Runs()
	if err != nil {
		return nil, err
	}
	return &content{data: f.volume.data, runs: runs, size: f.Size}, nil
}

// content implements io.ReaderAt over runs.
type content struct {
	data io.ReaderAt
	runs []Run
	size int64
}

func (c *content) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("read at a negative offset")
	}
	if off >= c.size {
		return 0, io.EOF
	}
	want := len(b)
	b = b[:min(int64(want), c.size-off)]
	for _, r := range c.runs {
		if n == len(b) {
			break
		}
		if off >= r.Length {
			off -= r.Length
			continue
		}
		k := min(int64(len(b)-n), r.Length-off)
		if _, err := c.data.ReadAt(b[n:n+int(k)], r.Offset+off); err != nil {
			return n, err
		}
		n, off = n+int(k), 0
	}
	if n < want {
		return n, io.EOF
	}
	return n, nil
}

// ReadDir lists a directory in the order of the image: without deleted
// entries, "." and "..", but with the volume's label.
func (f *File) ReadDir() ([]*File, error) {
	if !f.IsDir() {
		return nil, fmt.Errorf("file %q is not a directory", f.Name)
	}
	runs, err := f.Runs()
	if err != nil {
		return nil, err
	}
	var size int64
	for _, r := range runs {
		size += r.Length
	}
	if size > maxDirectorySize {
		return nil, fmt.Errorf("%w: directory %q of %d bytes", ErrCorrupt, f.Name, size)
	}
	b := make([]byte, size)
	if _, err := (&content{data: f.volume.data, runs: runs, size: size}).ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read directory %q: %w", f.Name, err)
	}
	return f.volume.parse(b)
}

func (v *Volume) parse(b []byte) ([]*File, error) {
	var list []*File
	var long longName
	for ; len(b) >= dirEntrySize && b[0] != 0; b = b[dirEntrySize:] {
		e := b[:dirEntrySize]
		if e[0] == nameDeleted {
			long = longName{}
			continue
		}
		if e[11]&0x3f == attrLongName {
			long.add(e)
			continue
		}
		f := v.entry(e)
		if name, ok := long.name(e); ok {
			f.Name = name
		}
		long = longName{}
		if f.ShortName == "." || f.ShortName == ".." {
			continue
		}
		if f.Name == "" || strings.ContainsAny(f.Name, "/\x00") {
			return nil, fmt.Errorf("%w: name %q", ErrCorrupt, f.Name)
		}
		list = append(list, f)
	}
	return list, nil
}

func (v *Volume) entry(e []byte) *File {
	le := binary.LittleEndian
	f := &File{
		volume:   v,
		Attr:     e[11],
		Created:  Stamp{Tenths: e[13], Time: le.Uint16(e[14:]), Date: le.Uint16(e[16:])},
		Accessed: Stamp{Date: le.Uint16(e[18:])},
		Modified: Stamp{Time: le.Uint16(e[22:]), Date: le.Uint16(e[24:])},
		Cluster:  uint32(le.Uint16(e[20:]))<<16 | uint32(le.Uint16(e[26:])),
		Size:     int64(le.Uint32(e[28:])),
	}
	if v.boot.Bits != 32 {
		f.Cluster &= 0xffff
	}
	f.ShortName = shortName(e)
	f.Name = f.ShortName
	return f
}

func shortName(e []byte) string {
	base := bytes.TrimRight(e[:8], " ")
	ext := bytes.TrimRight(e[8:11], " ")
	if e[11]&AttrVolume != 0 {
		return string(bytes.TrimRight(e[:11], " "))
	}
	if e[12]&caseBase != 0 {
		base = bytes.ToLower(base)
	}
	if e[12]&caseExt != 0 {
		ext = bytes.ToLower(ext)
	}
	name := string(base)
	if len(name) > 0 && name[0] == 5 { // stands for 0xe5, which marks deletion
		name = "\xe5" + name[1:]
	}
	if len(ext) > 0 {
		name += "." + string(ext)
	}
	return name
}

// longName gathers the entries before a short one, last part first.
type longName struct {
	units []uint16
	sum   uint8
	next  int // the part that must come next, 0 when complete
	bad   bool
}

func (l *longName) add(e []byte) {
	order := int(e[0])
	if order&0x40 != 0 {
		*l = longName{sum: e[13], next: order & 0x1f}
		l.units = make([]uint16, 13*l.next)
	}
	if order&0x1f != l.next || l.next == 0 || l.sum != e[13] || l.next > 20 {
		l.bad = true
		return
	}
	l.next--
	part := l.units[13*l.next:]
	for n, at := range longUnits {
		part[n] = binary.LittleEndian.Uint16(e[at:])
	}
}

// name is the long name if it is complete and belongs to the short entry e.
func (l *longName) name(e []byte) (string, bool) {
	if l.bad || l.next != 0 || len(l.units) == 0 {
		return "", false
	}
	if nameSum(e[:11]) != l.sum {
		return "", false
	}
	units := l.units
	for n, u := range units {
		if u == 0 {
			units = units[:n]
			break
		}
	}
	return string(utf16.Decode(units)), true
}
