package verify

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// unpacked decompresses as a release's disk image is.
func unpacked(packed []byte) ([]byte, error) {
	s, err := decompress(context.Background(), bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if st, err := s.Stat(); err != nil || st.Size() != s.size {
		return nil, os.ErrInvalid
	}
	return io.ReadAll(io.NewSectionReader(s, 0, s.size))
}

// samples are packed in several ways, with what they unpack to.
func samples(t testing.TB) map[string][2][]byte {
	t.Helper()
	pack := func(content []byte, o ...zstd.EOption) []byte {
		w, err := zstd.NewWriter(nil, o...)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		return w.EncodeAll(content, nil)
	}
	random := make([]byte, 300_000)
	rand.NewChaCha8([32]byte{}).Read(random)
	zero := make([]byte, 1<<20)
	mixed := bytes.Join([][]byte{random[:70_000], zero[:200_000], random[70_000:]}, nil)
	other := bytes.Clone(zero)
	copy(other[500_000:], "other")
	var stream bytes.Buffer
	w, err := zstd.NewWriter(&stream)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, bytes.NewReader(mixed)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	large := make([]byte, maxFrame+1)
	copy(large[maxFrame-5:], "large")
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	return map[string][2][]byte{
		"a frame":             {pack(mixed), mixed},
		"without a checksum":  {pack(mixed, zstd.WithEncoderCRC(false)), mixed},
		"frames":              {join(pack(mixed), pack(zero), pack(zero), pack(zero[:5000]), pack(random)), join(mixed, zero, zero, zero[:5000], random)},
		"content after zeros": {join(bytes.Repeat(pack(zero), 64), pack(other)), join(bytes.Repeat(zero, 64), other)},
		"only zeros":          {join(pack(zero), pack(zero)), join(zero, zero)},
		"a stream":            {stream.Bytes(), mixed},
		"frames and a stream": {join(pack(zero), pack(random), stream.Bytes(), pack(zero)), join(zero, random, mixed, zero)},
		"a large one":         {join(pack(random), pack(large), pack(random)), join(random, large, random)},
		"a skippable one":     {join(pack(random), []byte("\x50\x2a\x4d\x18\x03\x00\x00\x00abc"), pack(zero)), join(random, zero)},
	}
}

// TestFrames: however a disk image is packed, it unpacks to the same.
func TestFrames(t *testing.T) {
	for name, s := range samples(t) {
		got, err := unpacked(s[0])
		if err != nil || !bytes.Equal(got, s[1]) {
			t.Errorf("%s: %d bytes, want %d: %v", name, len(got), len(s[1]), err)
		}
		if got, err := unpacked(s[0][:len(s[0])-1]); err == nil {
			t.Errorf("%s, without the last byte: %d bytes", name, len(got))
		}
		if got, err := unpacked(append(bytes.Clone(s[0]), "more"...)); err == nil {
			t.Errorf("%s, and more: %d bytes", name, len(got))
		}
		if name == "without a checksum" {
			continue
		}
		changed := bytes.Clone(s[0])
		changed[len(changed)/2] ^= 1
		if got, err := unpacked(changed); err == nil && name != "a skippable one" && !bytes.Equal(got, s[1]) {
			t.Errorf("%s, changed: %d bytes", name, len(got))
		}
	}
}

// FuzzFrames: what is unpacked is what the decoder of streams says.
func FuzzFrames(f *testing.F) {
	for _, s := range samples(f) {
		if len(s[0]) < 10_000 {
			f.Add(s[0])
		}
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, packed []byte) {
		got, err := unpacked(packed)
		if err != nil {
			return
		}
		z, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		if want, err := io.ReadAll(z); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, and %d by the stream: %v", len(got), len(want), err)
		}
	})
}
