package zstdframe_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/mastercard/mangos/format/zstdframe"
)

func compressed(t testing.TB, content []byte, options ...zstd.EOption) []byte {
	t.Helper()
	encoder, err := zstd.NewWriter(nil, options...)
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	return encoder.EncodeAll(content, nil)
}

func TestParseFindsTheEnd(t *testing.T) {
	for _, size := range []int{1, 100, 300, 70000, 1 << 20} {
		for _, single := range []bool{false, true} {
			for _, checksum := range []bool{false, true} {
				content := bytes.Repeat([]byte("some text, "), size/11+1)[:size]
				data := compressed(t, content, zstd.WithSingleSegment(single), zstd.WithEncoderCRC(checksum), zstd.WithZeroFrames(true))
				frame, err := zstdframe.Parse(append(bytes.Clone(data), "junk"...))
				if err != nil {
					t.Fatalf("%d bytes: %v", size, err)
				}
				if frame.Length != len(data) || frame.Checksum != checksum || frame.Content >= 0 && frame.Content != int64(size) {
					t.Errorf("%d bytes, single %v, checksum %v: %+v, want length %d", size, single, checksum, frame, len(data))
				}
				for cut := range data {
					if _, err := zstdframe.Parse(data[:cut]); !errors.Is(err, zstdframe.ErrInvalid) {
						t.Fatalf("cut at %d of %d: %v", cut, len(data), err)
					}
				}
			}
		}
	}
}

func TestFrameMadeByHand(t *testing.T) {
	frame := zstdframe.AppendFrameHeader(nil, 8)
	frame = zstdframe.AppendHeader(frame, zstdframe.Raw, 0, false)
	frame = zstdframe.AppendHeader(frame, zstdframe.RLE, 0, false)
	frame = append(frame, 'x')
	frame = zstdframe.AppendHeader(frame, zstdframe.Raw, 5, false)
	frame = append(frame, "hello"...)
	frame = zstdframe.AppendHeader(frame, zstdframe.RLE, 3, true)
	frame = append(frame, '!')
	outline, err := zstdframe.Parse(frame)
	if err != nil || len(outline.Blocks) != 4 || outline.Content != 8 || outline.Length != len(frame) {
		t.Fatalf("%+v, %v", outline, err)
	}
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	if got, err := decoder.DecodeAll(frame, nil); err != nil || string(got) != "hello!!!" {
		t.Errorf("decoded %q, %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(compressed(f, []byte("some text")))
	f.Add(zstdframe.AppendFrameHeader(nil, 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := zstdframe.Parse(data)
		if err != nil {
			return
		}
		if frame.Length > len(data) || len(frame.Blocks) == 0 {
			t.Fatalf("%d bytes: %+v", len(data), frame)
		}
	})
}
