package eventlog

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
)

// firmwareLog writes a log with SHA-1 and SHA-256 digests of the given texts.
func firmwareLog(pcr int, texts ...string) []byte {
	le := binary.LittleEndian
	spec := append([]byte("Spec ID Event03\x00"), make([]byte, 8)...)
	spec = le.AppendUint32(spec, 2)
	for _, a := range [][2]uint16{{4, 20}, {algSHA256, 32}} {
		spec = le.AppendUint16(le.AppendUint16(spec, a[0]), a[1])
	}
	spec = append(spec, 0) // vendor information: none
	b := make([]byte, 28)
	le.PutUint32(b[4:], evNoAction)
	b = append(le.AppendUint32(b, uint32(len(spec))), spec...)
	for i, text := range texts {
		kind := uint32(13)
		if i == 0 {
			kind = evNoAction
		}
		for _, v := range []uint32{uint32(pcr), kind, 2} {
			b = le.AppendUint32(b, v)
		}
		b = append(le.AppendUint16(b, 4), make([]byte, 20)...)
		sum := sha256.Sum256([]byte(text))
		b = append(le.AppendUint16(b, algSHA256), sum[:]...)
		b = append(le.AppendUint32(b, uint32(len(text))), text...)
	}
	return b
}

func systemLog(pcr int, texts ...string) []byte {
	var b []byte
	for _, text := range texts {
		sum := sha256.Sum256([]byte(text))
		b = fmt.Appendf(b, "\x1e{\"pcr\":%d,\"digests\":[{\"hashAlg\":\"sha1\",\"digest\":\"00\"},{\"hashAlg\":\"sha256\",\"digest\":\"%x\"}],"+
			"\"content_type\":\"systemd\",\"content\":{\"string\":%q,\"eventType\":\"phase\"}}\n", pcr, sum, text)
	}
	return b
}

// The register's values are those of a known vector: a kernel of 4096 zero bytes,
// "ID=mangos\n" as os-release and "quiet" as command line, then the phases.
func TestReplay(t *testing.T) {
	events, err := Firmware(firmwareLog(11, "only information", ".linux\x00", string(make([]byte, 4096)),
		".osrel\x00", "ID=mangos\n", ".cmdline\x00", "quiet"))
	if err != nil {
		t.Fatal(err)
	}
	phases, err := System(systemLog(11, "enter-initrd", "leave-initrd", "sysinit", "ready"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := System(systemLog(15, "machine-id"))
	if err != nil {
		t.Fatal(err)
	}
	steps := Replay(11, append(append(events, other...), phases...))
	if len(steps) != 10 {
		t.Fatalf("%d steps", len(steps))
	}
	for i, want := range []string{
		"017b51c774a3daec17aa6cff4871cf52351b60907f53e8258c6125bc17360356",
		"66f3968c607dc025912fbc87fb0d3e45e45cbe3aad688f21c1cf061b50ce7272",
		"4cc76df056e52a691b7b828fe738c55155790ae7a04e77b56b59e7731223069f",
		"770b596b22fcddae67b78f48c1bafdf3d7a98e394c80cdac85ecd810ec858349",
	} {
		if got := hex.EncodeToString(steps[6+i].Value[:]); got != want {
			t.Errorf("after %s: %s, want %s", steps[6+i].What, got, want)
		}
	}
}

func TestCutOff(t *testing.T) {
	log := firmwareLog(11, "a", "bc")
	whole, err := Firmware(log)
	if err != nil || len(whole) != 1 {
		t.Fatalf("%d events, %v", len(whole), err)
	}
	for n := range log {
		events, err := Firmware(log[:n])
		if err == nil && len(events) == len(whole) {
			t.Errorf("%d of %d bytes give all events", n, len(log))
		}
		if err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestSystemMalformed(t *testing.T) {
	for _, log := range []string{"\x1e{", "\x1e{\"pcr\":11}", "\x1e{\"pcr\":99,\"digests\":[]}", "text"} {
		if _, err := System([]byte(log)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", log, err)
		}
	}
}

func FuzzFirmware(f *testing.F) {
	f.Add(firmwareLog(11, "a", "bc"))
	f.Fuzz(func(t *testing.T, log []byte) {
		if _, err := Firmware(log); err != nil && !errors.Is(err, ErrMalformed) {
			t.Error(err)
		}
	})
}

func FuzzSystem(f *testing.F) {
	f.Add(systemLog(11, "enter-initrd", "ready"))
	f.Fuzz(func(t *testing.T, log []byte) {
		if _, err := System(log); err != nil && !errors.Is(err, ErrMalformed) {
			t.Error(err)
		}
	})
}
