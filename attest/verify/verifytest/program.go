package verifytest

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"encoding/binary"
	"runtime/debug"
	"strings"
	"testing"
)

// goProgram is what a Go program of that name holds of its build, and no code: an ELF
// file with one segment of data, of which the first bytes are those that the go command
// puts into each program.
func (w *World) goProgram(t testing.TB, name string) []byte {
	t.Helper()
	info := debug.BuildInfo{
		Path: "example.org/x/" + name, Main: debug.Module{Path: "example.org/x"},
		Deps: []*debug.Module{{Path: "example.org/M", Version: "v1.0.0", Sum: w.sum}},
	}
	const sentinel = "0123456789abcdef"
	data := append([]byte("\xff Go buildinf:"), 8, 2)
	data = append(data, make([]byte, 32-len(data))...)
	for _, text := range []string{"go1.26.8", sentinel + info.String() + strings.Repeat("=", len(sentinel))} {
		data = append(binary.AppendUvarint(data, uint64(len(text))), text...)
	}
	const start = 128
	header := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT), Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	segment := elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W), Off: start, Vaddr: 0x1000, Filesz: uint64(len(data)), Memsz: uint64(len(data)),
	}
	var b bytes.Buffer
	must(t, binary.Write(&b, binary.LittleEndian, header))
	must(t, binary.Write(&b, binary.LittleEndian, segment))
	b.Write(make([]byte, start-b.Len()))
	b.Write(data)
	return b.Bytes()
}

// build is what a program says of its build.
func build(t testing.TB, program []byte) *buildinfo.BuildInfo {
	t.Helper()
	info, err := buildinfo.Read(bytes.NewReader(program))
	must(t, err)
	return info
}
