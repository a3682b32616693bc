// Package bzimage reads Linux kernel images for x86 (Documentation/arch/x86/boot.rst
// of the kernel, protocol 2.08 and later) and takes the kernel out of them.
//
// A bzImage is setup code, a boot wrapper, and in it the payload: the kernel
// compressed, and four bytes with its decompressed size. The kernel in it is an
// ELF file without symbols, followed by the relocations that the wrapper
// applies when it puts the kernel at a random address. What it loads is the
// same as of the file vmlinux it was made from; compare the two with
// [github.com/mastercard/mangos/format/vmlinux.Same].
//
// This package reads payloads compressed with zstd, which the kernels of this
// project are.
package bzimage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"
	"github.com/mastercard/mangos/format/zstdframe"
)

// ErrInvalid reports bytes that are not a bzImage this package understands.
var ErrInvalid = errors.New("invalid bzImage")

// MaxKernel bounds the decompressed kernel in bytes.
const MaxKernel = 512 << 20

// MaxSize bounds a bzImage in bytes.
const MaxSize = 128 << 20

// checksumSize is the length of the CRC-32 that ends a bzImage.
const checksumSize = 4

// Image is a bzImage whose header has been checked.
type Image struct {
	data    []byte
	offset  int // of the payload in the file
	length  int // of the payload, with the 4 bytes of the kernel's size
	version string
}

// Parse checks the header of a bzImage. Bytes after the image (the padding of
// a section that it was in) are left out of it. The image keeps a reference to
// the data.
func Parse(data []byte) (*Image, error) {
	if len(data) < 0x260 || len(data) > MaxSize {
		return nil, fmt.Errorf("read bzImage: %w: %d bytes", ErrInvalid, len(data))
	}
	if binary.LittleEndian.Uint16(data[0x1fe:]) != 0xaa55 || string(data[0x202:0x206]) != "HdrS" {
		return nil, fmt.Errorf("read bzImage: %w: no boot header", ErrInvalid)
	}
	if protocol := binary.LittleEndian.Uint16(data[0x206:]); protocol < 0x208 {
		return nil, fmt.Errorf("read bzImage: %w: boot protocol %#x knows no payload", ErrInvalid, protocol)
	}
	sectors := int(data[0x1f1])
	if sectors == 0 {
		sectors = 4
	}
	start := (sectors + 1) * 512
	end := start + int(binary.LittleEndian.Uint32(data[0x1f4:]))*16
	if end > len(data) || end < start+checksumSize {
		return nil, fmt.Errorf("read bzImage: %w: it should have %d bytes, and has %d", ErrInvalid, end, len(data))
	}
	offset, length := binary.LittleEndian.Uint32(data[0x248:]), binary.LittleEndian.Uint32(data[0x24c:])
	if uint64(start)+uint64(offset)+uint64(length) > uint64(end-checksumSize) || length < 4 {
		return nil, fmt.Errorf("read bzImage: %w: payload of %d bytes at %d lies outside", ErrInvalid, length, offset)
	}
	image := &Image{data: data[:end], offset: start + int(offset), length: int(length)}
	image.version = version(image.data, int(binary.LittleEndian.Uint16(data[0x20e:]))+0x200)
	return image, nil
}

// version reads the zero-terminated text at an offset: printable ASCII, or
// nothing.
func version(data []byte, at int) string {
	for end := at; end < len(data) && end-at < 256; end++ {
		if data[end] == 0 {
			return string(data[at:end])
		}
		if data[end] < ' ' || data[end] > '~' {
			break
		}
	}
	return ""
}

// Version returns the kernel's release and build text, or "" if the image does
// not say. It is not to be trusted more than the image is.
func (i *Image) Version() string { return i.version }

// Payload returns where in the file the payload is, and its length in bytes.
// The last 4 bytes of it are the kernel's decompressed size.
func (i *Image) Payload() (offset, length int) { return i.offset, i.length }

// Bytes returns the image without what followed it.
func (i *Image) Bytes() []byte { return i.data }

// Kernel decompresses the kernel. It is at most MaxKernel bytes and exactly as
// long as the payload says.
func (i *Image) Kernel() ([]byte, error) {
	payload := i.data[i.offset : i.offset+i.length]
	size := binary.LittleEndian.Uint32(payload[len(payload)-4:])
	if size > MaxKernel {
		return nil, fmt.Errorf("decompress kernel: %w: %d bytes, the limit is %d", ErrInvalid, size, MaxKernel)
	}
	frame, err := zstdframe.Parse(payload[:len(payload)-4])
	if err != nil {
		return nil, fmt.Errorf("decompress kernel: %w: %v", ErrInvalid, err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxKernel),
		zstd.WithDecoderMaxWindow(MaxKernel))
	if err != nil {
		return nil, fmt.Errorf("decompress kernel: %w", err)
	}
	defer decoder.Close()
	kernel, err := decoder.DecodeAll(payload[:frame.Length], nil)
	if err != nil {
		return nil, fmt.Errorf("decompress kernel: %w: %v", ErrInvalid, err)
	}
	if len(kernel) != int(size) {
		return nil, fmt.Errorf("decompress kernel: %w: %d bytes, the payload says %d", ErrInvalid, len(kernel), size)
	}
	return kernel, nil
}

// Checksum returns the CRC-32 that belongs in the last 4 bytes of the image,
// little-endian, and whether it stands there.
func (i *Image) Checksum() (sum uint32, stored bool) {
	body := i.data[:len(i.data)-checksumSize]
	sum = ^crc32.ChecksumIEEE(body)
	return sum, binary.LittleEndian.Uint32(i.data[len(body):]) == sum
}

// SetChecksum writes the CRC-32 into the last 4 bytes of the image's data.
func (i *Image) SetChecksum() {
	sum, _ := i.Checksum()
	binary.LittleEndian.PutUint32(i.data[len(i.data)-checksumSize:], sum)
}

// ChecksumOffset returns where in the file the CRC-32 stands.
func (i *Image) ChecksumOffset() int { return len(i.data) - checksumSize }
