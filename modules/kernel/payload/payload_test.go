package payload

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/format/bzimage"
	"github.com/mastercard/mangos/format/zstdframe"
	"github.com/mastercard/mangos/modules/kernel/kerneltest"
)

// records returns bytes that compress by matches of many short distances, so
// that the head leaves odd repeated offsets and the tail makes use of 1, 4 and
// 8 at once.
func records(random *rand.Rand, n int) []byte {
	var out []byte
	for len(out) < n {
		out = binary.LittleEndian.AppendUint64(out, 0xffffffff81000000+random.Uint64N(1<<12))
		out = append(out, bytes.Repeat([]byte{byte(random.Uint32N(4))}, 5+random.IntN(30))...)
		out = binary.LittleEndian.AppendUint32(out, random.Uint32N(3))
		out = binary.LittleEndian.AppendUint32(out, random.Uint32N(3))
	}
	return out[:n]
}

const (
	windowAt     = 70001
	windowLength = 4200
)

func testKernel(seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	kernel := records(random, windowAt)
	kernel = append(kernel, make([]byte, windowLength)...)
	kernel = append(kernel, bytes.Repeat([]byte{7}, 100)...)
	kernel = append(kernel, make([]byte, 40)...)
	return append(kernel, records(random, 200000)...)
}

func TestJoinedFrameIsTheKernel(t *testing.T) {
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	for seed := range uint64(6) {
		kernel := testKernel(seed)
		frame, at, err := join(kernel, windowAt, windowLength, 200000+int(seed), kerneltest.Compress)
		if err != nil {
			t.Fatal(err)
		}
		if len(frame) != 200000+int(seed) {
			t.Fatalf("seed %d: %d bytes", seed, len(frame))
		}
		for _, content := range [][]byte{kernel[windowAt : windowAt+windowLength], bytes.Repeat([]byte("certificate "), windowLength/12)} {
			copy(frame[at:], content)
			copy(kernel[windowAt:], content)
			got, err := decoder.DecodeAll(frame, nil)
			if err != nil || !bytes.Equal(got, kernel) {
				t.Fatalf("seed %d: %d bytes, %v", seed, len(got), err)
			}
		}
	}
}

// repeating compresses the tail "xxxx" to the letter and a match at the first
// repeated offset, as an encoder may at the start of a frame.
func repeating(content []byte) ([]byte, error) {
	if string(content) != "xxxx" {
		return kerneltest.Compress(content)
	}
	frame := zstdframe.AppendFrameHeader(nil, 4)
	frame = zstdframe.AppendHeader(frame, zstdframe.Compressed, 8, true)
	return append(frame, 1<<3, 'x', 0x01, 0x54, 1, 0, 0, 1), nil
}

// Without the reset, the tail is decompressed with the offsets that the head
// left.
func TestTheResetIsNeeded(t *testing.T) {
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	kernel := bytes.Repeat([]byte("a head that repeats itself, "), 20)
	window := len(kernel)
	kernel = append(kernel, "window"...)
	kernel = append(append(kernel, make([]byte, zeros)...), "xxxx"...)
	frame, at, err := join(kernel, uint64(window), 6, 300, repeating)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decoder.DecodeAll(frame, nil); err != nil || !bytes.Equal(got, kernel) {
		t.Errorf("with the reset: %q, %v", got, err)
	}
	start := at + len("window") + zeros - resetLength
	if !bytes.Equal(frame[start:start+len(reset())], reset()) {
		t.Fatal("the reset is not where it should be")
	}
	without := bytes.Clone(frame[:start])
	without = zstdframe.AppendHeader(without, zstdframe.Raw, resetLength, false)
	without = append(append(without, make([]byte, resetLength)...), frame[start+len(reset()):]...)
	if got, err := decoder.DecodeAll(without, nil); err == nil && bytes.Equal(got, kernel) {
		t.Error("decompressed well without the reset: this data proves nothing")
	}
}

func TestFillerHasEveryLength(t *testing.T) {
	for n := range 100 {
		fill, err := filler(n)
		if n == 1 || n == 2 || n == 5 {
			if !errors.Is(err, ErrTooLarge) {
				t.Errorf("%d: %v", n, err)
			}
			continue
		}
		if err != nil || len(fill) != n {
			t.Fatalf("%d: %d bytes, %v", n, len(fill), err)
		}
		frame := append(zstdframe.AppendFrameHeader(nil, 1), fill...)
		frame = append(zstdframe.AppendHeader(frame, zstdframe.Raw, 1, true), 'x')
		outline, err := zstdframe.Parse(frame)
		if err != nil || outline.Length != len(frame) {
			t.Errorf("%d: %+v, %v", n, outline, err)
		}
	}
	if _, err := filler(-3); !errors.Is(err, ErrTooLarge) {
		t.Errorf("-3: %v", err)
	}
}

func TestWindowsThatCannotBe(t *testing.T) {
	kernel := testKernel(0)
	size := len(kernel)
	dense := bytes.Repeat([]byte{1}, 300000)
	for name, w := range map[string]struct {
		kernel         []byte
		offset, length uint64
	}{
		"empty":           {kernel, windowAt, 0},
		"at the start":    {kernel, 0, 10},
		"past the end":    {kernel, uint64(size), 1},
		"longer":          {kernel, windowAt, uint64(size)},
		"overflow":        {kernel, windowAt, 1<<64 - 1},
		"no zeros follow": {dense, 1000, 10},
	} {
		if _, _, err := join(w.kernel, w.offset, w.length, 1<<20, kerneltest.Compress); !errors.Is(err, ErrWindow) {
			t.Errorf("%s: %v, want ErrWindow", name, err)
		}
	}
	if _, _, err := join(kernel, windowAt, windowLength, 5000, kerneltest.Compress); !errors.Is(err, ErrTooLarge) {
		t.Errorf("no room: %v", err)
	}
}

func TestPackKeepsTheRest(t *testing.T) {
	kernel := testKernel(1)
	file, err := kerneltest.Wrap(kernel, 20000)
	if err != nil {
		t.Fatal(err)
	}
	image, err := bzimage.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	packed, at, err := Pack(image, windowAt, windowLength, kerneltest.Compress)
	if err != nil {
		t.Fatal(err)
	}
	copy(packed[at:], "certificate")
	copy(kernel[windowAt:], "certificate")
	result, err := bzimage.Parse(packed)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := result.Kernel(); err != nil || !bytes.Equal(got, kernel) {
		t.Errorf("the window is not the kernel's: %v", err)
	}
	if !bytes.Equal(packed[:kerneltest.PayloadOffset], file[:kerneltest.PayloadOffset]) || len(packed) != len(file) {
		t.Error("bytes outside of the payload changed")
	}
}
