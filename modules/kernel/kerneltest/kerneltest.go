// Package kerneltest makes small kernels for tests: nothing in them runs, but
// they have the structure that the programs look at.
package kerneltest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// Where the parts of the certificate area are, from the start of the data.
const (
	Capacity = 4096 // bytes reserved
	ListAt   = 64   // 16 bytes of certificates stand there already
	AreaAt   = ListAt + 16
	UsedAt   = AreaAt + Capacity
	SizeAt   = UsedAt + 8
)

const (
	textSize = 60000
	dataSize = 80000
	textBase = 0xffffffff81000000
	dataBase = 0xffffffff83000000
)

// SystemMap is the System.map of the kernels made here.
const SystemMap = `ffffffff81000000 T _text
ffffffff83000040 d system_certificate_list
ffffffff83000040 d __cert_list_start
ffffffff83000050 D system_extra_cert
ffffffff83001050 D system_extra_cert_used
ffffffff83001058 D system_certificate_list_size
ffffffff83001060 D module_cert_size
`

// CodeOffset is where the code stands in the kernel that a bzImage holds,
// VmlinuxCodeOffset where in the file that Vmlinux makes.
const (
	CodeOffset        = 512
	VmlinuxCodeOffset = 4096
)

// PayloadOffset is where the compressed kernel stands in a bzImage.
const PayloadOffset = 2*512 + 32

// DataOffset is where the data stands in the file that Vmlinux makes.
const DataOffset = 4096 + textSize

// Vmlinux returns an ELF kernel with symbols behind what is loaded.
func Vmlinux() []byte { return append(elf(4096), "symbols"...) }

// elf makes an ELF file whose segments start at the given offset.
func elf(offset int) []byte {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same bytes each time
	content := make([]byte, textSize+dataSize)
	for i := range content {
		content[i] = byte(random.IntN(4)) * byte(i%8/5)
	}
	data := content[textSize:]
	clear(data[AreaAt:SizeAt])
	binary.LittleEndian.PutUint64(data[SizeAt:], 16)
	clear(data[SizeAt+100:][:100])

	file := make([]byte, offset)
	copy(file, "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint16(file[18:], 62)
	binary.LittleEndian.PutUint64(file[32:], 64)
	binary.LittleEndian.PutUint16(file[54:], 56)
	binary.LittleEndian.PutUint16(file[56:], 2)
	for i, s := range [][5]uint64{
		{uint64(offset), textBase, 0x1000000, textSize, textSize},
		{uint64(offset + textSize), dataBase, 0x3000000, dataSize, dataSize + 4096},
	} {
		header := file[64+56*i:]
		binary.LittleEndian.PutUint32(header, 1)
		for j, v := range s {
			binary.LittleEndian.PutUint64(header[8+8*j:], v)
		}
	}
	return append(file, content...)
}

// BzImage returns the bzImage of the same kernel: stripped, with relocations,
// compressed, with as many bytes of room behind it.
func BzImage(room int) ([]byte, error) { return BzImageOf(room, func([]byte) {}) }

// BzImageOf is BzImage with a kernel that change has changed in place; its code
// starts at [CodeOffset].
func BzImageOf(room int, change func(kernel []byte)) ([]byte, error) {
	kernel := append(elf(CodeOffset), bytes.Repeat([]byte{0, 0, 0, 0x81}, 64)...)
	change(kernel)
	return Wrap(kernel, room)
}

// Wrap returns a bzImage that holds a kernel, with as many bytes of room behind it.
func Wrap(kernel []byte, room int) ([]byte, error) {
	data, err := Compress(kernel)
	if err != nil {
		return nil, err
	}
	data = append(data, make([]byte, room)...)
	data = binary.LittleEndian.AppendUint32(data, uint32(len(kernel)))
	const start, before = PayloadOffset - 32, 32
	file := make([]byte, start+(before+len(data)+31)/16*16)
	file[0x1f1] = 1
	binary.LittleEndian.PutUint32(file[0x1f4:], uint32((len(file)-start)/16))
	binary.LittleEndian.PutUint16(file[0x1fe:], 0xaa55)
	copy(file[0x202:], "HdrS\x0f\x02")
	binary.LittleEndian.PutUint32(file[0x248:], before)
	binary.LittleEndian.PutUint32(file[0x24c:], uint32(len(data)))
	copy(file[start+before:], data)
	return file, nil
}

// Compress stands in for the zstd program.
func Compress(content []byte) ([]byte, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	defer encoder.Close()
	return encoder.EncodeAll(content, nil), nil
}

// WriteCompiled makes a folder with what compiling leaves behind.
func WriteCompiled(folder string) error {
	image, err := BzImage(20000)
	if err != nil {
		return err
	}
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"vmlinux": Vmlinux(), "System.map": []byte(SystemMap), "bzImage": image,
		"config": []byte("CONFIG_64BIT=y\n"), "release": []byte("6.12.0-test\n"),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
