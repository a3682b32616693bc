package bzimage_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/mastercard/mangos/format/bzimage"
)

// image makes a bzImage around a compressed kernel.
func image(t testing.TB, kernel []byte, reserve int) []byte {
	t.Helper()
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	payload := append(encoder.EncodeAll(kernel, nil), make([]byte, reserve)...)
	payload = binary.LittleEndian.AppendUint32(payload, uint32(len(kernel)))
	const start, before = 5 * 512, 64
	size := before + len(payload) + 100
	size += 16 - size%16
	data := make([]byte, start+size)
	data[0x1f1] = 4
	binary.LittleEndian.PutUint32(data[0x1f4:], uint32(size/16))
	binary.LittleEndian.PutUint16(data[0x1fe:], 0xaa55)
	copy(data[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(data[0x206:], 0x20f)
	binary.LittleEndian.PutUint16(data[0x20e:], 0x400)
	copy(data[0x600:], "6.12.0-test")
	binary.LittleEndian.PutUint32(data[0x248:], before)
	binary.LittleEndian.PutUint32(data[0x24c:], uint32(len(payload)))
	copy(data[start+before:], payload)
	return data
}

func TestKernel(t *testing.T) {
	kernel := bytes.Repeat([]byte("kernel "), 50000)
	data := append(image(t, kernel, 100), "padding of a section"...)
	parsed, err := bzimage.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parsed.Kernel()
	if err != nil || !bytes.Equal(got, kernel) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if parsed.Version() != "6.12.0-test" {
		t.Errorf("version %q", parsed.Version())
	}
	if _, stored := parsed.Checksum(); stored {
		t.Error("a checksum that nobody wrote stands there")
	}
	parsed.SetChecksum()
	if _, stored := parsed.Checksum(); !stored {
		t.Error("the checksum written does not stand there")
	}
}

func TestBadImages(t *testing.T) {
	good := image(t, []byte("kernel"), 0)
	for name, change := range map[string]func([]byte) []byte{
		"empty":                  func([]byte) []byte { return nil },
		"cut":                    func(d []byte) []byte { return d[:len(d)-1] },
		"no boot flag":           func(d []byte) []byte { d[0x1fe] = 0; return d },
		"old protocol":           func(d []byte) []byte { d[0x206] = 7; return d },
		"payload outside":        func(d []byte) []byte { d[0x24b] = 0xff; return d },
		"payload longer":         func(d []byte) []byte { d[0x24f] = 0xff; return d },
		"another size":           func(d []byte) []byte { p, n := payload(t, d); d[p+n-4]++; return d },
		"larger than allowed":    func(d []byte) []byte { p, n := payload(t, d); d[p+n-1] = 0xff; return d },
		"compressed differently": func(d []byte) []byte { p, _ := payload(t, d); copy(d[p:], "\x1f\x8b"); return d },
	} {
		parsed, err := bzimage.Parse(change(bytes.Clone(good)))
		if err == nil {
			_, err = parsed.Kernel()
		}
		if !errors.Is(err, bzimage.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

func payload(t *testing.T, data []byte) (offset, length int) {
	t.Helper()
	parsed, err := bzimage.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Payload()
}

func FuzzParse(f *testing.F) {
	f.Add(image(f, []byte("kernel"), 3))
	f.Fuzz(func(t *testing.T, data []byte) {
		parsed, err := bzimage.Parse(data)
		if err != nil {
			return
		}
		offset, length := parsed.Payload()
		_ = parsed.Bytes()[offset : offset+length]
		kernel, err := parsed.Kernel()
		if err == nil && len(kernel) > bzimage.MaxKernel {
			t.Fatalf("%d bytes", len(kernel))
		}
	})
}
