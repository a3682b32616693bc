package verify_test

import (
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/format/zstdframe"
)

// frames is a compressed disk image, in frames that stand by themselves: what is unpacked
// and packed again is the one that is asked for. An image has gigabytes.
type frames struct {
	t      *testing.T
	frames [][]byte
	starts []int64 // of their contents, and the end of the last one
}

func readFrames(t *testing.T, packed []byte) *frames {
	t.Helper()
	f := &frames{t: t, starts: []int64{0}}
	for len(packed) > 0 {
		outline, err := zstdframe.Parse(packed)
		if err != nil || outline.Content < 0 {
			t.Fatalf("frame %d: %+v, %v", len(f.frames), outline, err)
		}
		f.frames = append(f.frames, packed[:outline.Length])
		f.starts = append(f.starts, f.size()+outline.Content)
		packed = packed[outline.Length:]
	}
	return f
}

func (f *frames) size() int64 { return f.starts[len(f.starts)-1] }

// at returns the number of the frame that holds an offset, and its content.
func (f *frames) at(offset int64) (int, []byte) {
	f.t.Helper()
	i := 0
	for f.starts[i+1] <= offset {
		i++
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		f.t.Fatal(err)
	}
	defer z.Close()
	content, err := z.DecodeAll(f.frames[i], make([]byte, 0, f.starts[i+1]-f.starts[i]))
	if err != nil {
		f.t.Fatal(err)
	}
	return i, content
}

// ReadAt implements io.ReaderAt.
func (f *frames) ReadAt(p []byte, offset int64) (int, error) {
	n := 0
	for n < len(p) {
		if offset+int64(n) >= f.size() {
			return n, io.EOF
		}
		i, content := f.at(offset + int64(n))
		n += copy(p[n:], content[offset+int64(n)-f.starts[i]:])
	}
	return n, nil
}

func (f *frames) flip(offset int64) {
	f.t.Helper()
	i, content := f.at(offset)
	content[offset-f.starts[i]] ^= 1
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		f.t.Fatal(err)
	}
	defer w.Close()
	f.frames[i] = w.EncodeAll(content, nil)
}
