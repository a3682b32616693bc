package release

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/format/zstdframe"
)

// sample is content that compresses a little.
func sample(size int) []byte {
	random := rand.New(rand.NewPCG(7, 8))
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(random.IntN(40))
	}
	return b
}

// frames lists the frames of a file and their outlines.
func frames(t *testing.T, b []byte) (list [][]byte, outlines []*zstdframe.Frame) {
	t.Helper()
	for len(b) > 0 {
		f, err := zstdframe.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		list, outlines, b = append(list, b[:f.Length]), append(outlines, f), b[f.Length:]
	}
	return list, outlines
}

func TestFrames(t *testing.T) {
	for _, size := range []int{0, 1, FrameSize - 1, FrameSize, FrameSize + 1, 5*FrameSize + 77} {
		in := sample(size)
		var one, four bytes.Buffer
		if err := writeFrames(t.Context(), &one, bytes.NewReader(in), 1); err != nil {
			t.Fatal(err)
		}
		if err := writeFrames(t.Context(), &four, iotest.HalfReader(bytes.NewReader(in)), 4); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one.Bytes(), four.Bytes()) {
			t.Errorf("%d bytes: the number of processors shows in the result", size)
		}
		d, err := zstd.NewReader(&one)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(d)
		d.Close()
		if err != nil || !bytes.Equal(got, in) {
			t.Errorf("%d bytes come back as %d: %v", size, len(got), err)
		}
		list, outlines := frames(t, four.Bytes())
		if want := max(1, (size+FrameSize-1)/FrameSize); len(list) != want {
			t.Errorf("%d bytes: %d frames, want %d", size, len(list), want)
		}
		for i, f := range outlines {
			if want := min(FrameSize, size-i*FrameSize); f.Content != int64(want) {
				t.Errorf("%d bytes: frame %d says %d, want %d", size, i, f.Content, want)
			}
			if size > 0 && !f.Checksum {
				t.Errorf("%d bytes: frame %d bears no checksum", size, i)
			}
		}
	}
}

// TestFramesOfZeros: a piece of zeros has a frame like any other, and one that holds a
// single other byte is none.
func TestFramesOfZeros(t *testing.T) {
	in := append(make([]byte, 5*FrameSize), bytes.Repeat([]byte{1}, FrameSize)...)
	in[FrameSize], in[3*FrameSize-1], in[3*FrameSize+FrameSize/2] = 1, 1, 1
	var out bytes.Buffer
	if err := writeFrames(t.Context(), &out, bytes.NewReader(in), 2); err != nil {
		t.Fatal(err)
	}
	d, err := zstd.NewReader(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if got, err := io.ReadAll(d); err != nil || !bytes.Equal(got, in) {
		t.Errorf("%d bytes come back as %d others: %v", len(in), len(got), err)
	}
	list, _ := frames(t, out.Bytes())
	want := newFrame(make([]byte, FrameSize))
	if want.err != nil || !bytes.Equal(list[0], want.b) || !bytes.Equal(list[4], want.b) {
		t.Errorf("the frames of zeros are not the encoder's: %v", want.err)
	}
}

// TestFramesStandAlone: a change shows in its own frame.
func TestFramesStandAlone(t *testing.T) {
	in := sample(4 * FrameSize)
	var a, b bytes.Buffer
	if err := writeFrames(t.Context(), &a, bytes.NewReader(in), 2); err != nil {
		t.Fatal(err)
	}
	in[2*FrameSize+5]++
	if err := writeFrames(t.Context(), &b, bytes.NewReader(in), 2); err != nil {
		t.Fatal(err)
	}
	x, _ := frames(t, a.Bytes())
	y, _ := frames(t, b.Bytes())
	for i := range x {
		if same := bytes.Equal(x[i], y[i]); same != (i != 2) {
			t.Errorf("frame %d is the same: %v", i, same)
		}
	}
}

type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f.error }

func TestFramesFail(t *testing.T) {
	broken := errors.New("broken")
	in := bytes.NewReader(sample(9 * FrameSize))
	if err := writeFrames(t.Context(), failing{broken}, in, 2); !errors.Is(err, broken) {
		t.Errorf("a failed write: %v", err)
	}
	half := io.MultiReader(bytes.NewReader(sample(FrameSize)), iotest.ErrReader(broken))
	if err := writeFrames(t.Context(), io.Discard, half, 2); !errors.Is(err, broken) {
		t.Errorf("a failed read: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := writeFrames(ctx, io.Discard, bytes.NewReader(sample(9*FrameSize)), 2); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}
