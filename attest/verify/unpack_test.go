package verify

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/format/zstdframe"
)

// pack compresses content into one frame.
func pack(t testing.TB, content []byte, o ...zstd.EOption) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, append(o, zstd.WithZeroFrames(true))...)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(content, nil)
}

// unpacked decompresses as a release's disk image is.
func unpacked(t testing.TB, packed []byte) ([]byte, error) {
	t.Helper()
	s, err := decompress(t.Context(), bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if st, err := s.Stat(); err != nil || st.Size() != s.size {
		t.Errorf("the file has %v, %v, and should have %d bytes", st, err, s.size)
	}
	got, err := io.ReadAll(io.NewSectionReader(s, 0, s.size))
	if err != nil {
		t.Error(err)
	}
	checkFilled(t, s, got)
	return got, nil
}

// checkFilled: only zeros count as zeros, wherever they are.
func checkFilled(t testing.TB, s *sparse, content []byte) {
	t.Helper()
	for at := int64(0); at < s.size; at += 30_000 {
		to := min(at+30_000, s.size)
		want := len(bytes.Trim(content[at:to], "\x00")) == 0
		if err := s.checkZeros(at, to); (err == nil) != want {
			t.Errorf("bytes %d to %d are zeros: %v, and it says %v", at, to, want, err)
		}
	}
}

func sampleContent() (random, zero []byte) {
	random = make([]byte, 300_000)
	rand.NewChaCha8([32]byte{}).Read(random)
	return random, make([]byte, 1<<20)
}

// TestUnpack: what frames hold comes out, several at once and zeros once.
func TestUnpack(t *testing.T) {
	random, zero := sampleContent()
	other := bytes.Clone(zero)
	copy(other[500_000:], "other")
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	large := make([]byte, maxFrame)
	same := bytes.Repeat([]byte{'x'}, len(zero))
	if len(pack(t, same)) != len(pack(t, zero)) {
		t.Error("one byte repeated is not packed as zeros are")
	}
	for name, s := range map[string][2][]byte{
		"a frame":             {pack(t, random), random},
		"without a checksum":  {pack(t, random, zstd.WithEncoderCRC(false)), random},
		"frames":              {join(pack(t, random), pack(t, zero), pack(t, zero), pack(t, zero[:5000]), pack(t, random)), join(random, zero, zero, zero[:5000], random)},
		"content after zeros": {join(bytes.Repeat(pack(t, zero), 64), pack(t, other), pack(t, zero)), join(bytes.Repeat(zero, 64), other, zero)},
		"packed as zeros are": {join(bytes.Repeat(pack(t, zero), 64), pack(t, same), pack(t, zero)), join(bytes.Repeat(zero, 64), same, zero)},
		"only zeros":          {join(pack(t, zero), pack(t, zero)), join(zero, zero)},
		"a large one":         {join(pack(t, random), pack(t, large), pack(t, random)), join(random, large, random)},
	} {
		got, err := unpacked(t, s[0])
		if err != nil || !bytes.Equal(got, s[1]) {
			t.Errorf("%s: %d bytes, want %d: %v", name, len(got), len(s[1]), err)
		}
		for _, n := range []int{1, len(s[0]) / 3, len(s[0]) - 1} {
			if got, err := unpacked(t, s[0][:n]); err == nil && !bytes.HasPrefix(s[1], got) {
				t.Errorf("%s, %d of %d bytes: %d bytes", name, n, len(s[0]), len(got))
			}
		}
		if got, err := unpacked(t, s[0][:len(s[0])-1]); err == nil {
			t.Errorf("%s, without the last byte: %d bytes", name, len(got))
		}
		if got, err := unpacked(t, append(bytes.Clone(s[0]), "more"...)); err == nil {
			t.Errorf("%s, and more: %d bytes", name, len(got))
		}
	}
}

// TestUnpackRefuses: what is packed in another way than a release is.
func TestUnpackRefuses(t *testing.T) {
	random, _ := sampleContent()
	var stream bytes.Buffer
	w, err := zstd.NewWriter(&stream)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, bytes.NewReader(bytes.Repeat(random, 20))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	changed := pack(t, random)
	changed[len(changed)/2] ^= 1
	said := pack(t, random)
	said[5] ^= 1 // the size that the frame says
	for name, packed := range map[string][]byte{
		"a stream":              stream.Bytes(),
		"too large a frame":     pack(t, make([]byte, maxFrame+1)),
		"a frame to be skipped": append(pack(t, random), "\x50\x2a\x4d\x18\x03\x00\x00\x00abc"...),
		"a frame of nothing":    append(pack(t, nil), pack(t, random)...),
		"a block of nothing":    append([]byte(zstdframe.Magic+"\x20\x01\x02\x00\x00x"), "\x09\x00\x00y"...),
		"a changed byte":        changed,
		"another size":          said,
		"no frame":              []byte("hello, this is no frame"),
	} {
		if got, err := unpacked(t, packed); err == nil {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	}
}

// FuzzUnpack: what is unpacked is what the decoder of streams says.
func FuzzUnpack(f *testing.F) {
	random, zero := sampleContent()
	f.Add(pack(f, random[:5000]))
	f.Add(bytes.Repeat(pack(f, zero), 3))
	f.Add(append(pack(f, random[:100]), pack(f, nil)...))
	f.Fuzz(func(t *testing.T, packed []byte) {
		got, err := unpacked(t, packed)
		if err != nil {
			return
		}
		z, err := zstd.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		if want, err := io.ReadAll(z); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, and %d by the stream: %v", len(got), len(want), err)
		}
	})
}
