package firmware

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, root, path, text string) {
	t.Helper()
	full := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

const vars = "sys/firmware/efi/efivars/"

func TestFlag(t *testing.T) {
	for _, c := range []struct {
		raw  string
		want bool
		err  error
	}{
		{"\x06\x00\x00\x00\x01", true, nil},
		{"\x06\x00\x00\x00\x00", false, nil},
		{"\x06\x00\x00\x00\x02", false, ErrMalformed},
		{"\x06\x00\x00\x00", false, ErrMalformed},
		{"\x06\x00\x00\x00\x01\x00", false, ErrMalformed},
		{"\x01", false, ErrMalformed},
	} {
		root := t.TempDir()
		write(t, root, vars+"SecureBoot-"+GlobalVariable, c.raw)
		got, err := Flag(root, "SecureBoot")
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("Flag(%q) = %v, %v; want %v, %v", c.raw, got, err, c.want, c.err)
		}
	}
}

func TestFlagThatIsNotSet(t *testing.T) {
	root := t.TempDir()
	if _, err := Flag(root, "SecureBoot"); !errors.Is(err, ErrNoVariables) {
		t.Errorf("no efivarfs: %v", err)
	}
	if IsSet(root, "SecureBoot", GlobalVariable) {
		t.Error("set without efivarfs")
	}
	write(t, root, vars+"Other-"+GlobalVariable, "\x06\x00\x00\x00\x01")
	write(t, root, vars+"Short-"+GlobalVariable, "\x06\x00\x00")
	if _, err := Flag(root, "SecureBoot"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another variable only: %v", err)
	}
	if IsSet(root, "SecureBoot", GlobalVariable) || !IsSet(root, "Other", GlobalVariable) || !IsSet(root, "Short", GlobalVariable) {
		t.Error("IsSet is wrong")
	}
}

func TestVariableTooLarge(t *testing.T) {
	root := t.TempDir()
	write(t, root, vars+"Big-"+LoaderVariable, strings.Repeat("x", maxVariable+1))
	if _, err := ReadVariable(root, "Big", LoaderVariable); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

func TestProductUUID(t *testing.T) {
	for raw, want := range map[string]string{
		"5D1F6A0C-8E0B-4C8D-9C44-2B7B0C8A1E10\n": "5d1f6a0c-8e0b-4c8d-9c44-2b7b0c8a1e10",
		"\n":                                     "",
		"":                                       "",
		"00000000-0000-0000-0000-000000000000\n": "",
		"FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF\n": "",
		"11111111-1111-1111-1111-111111111111\n": "",
		"03000200-0400-0500-0006-000700080009\n": "",
		"Not Settable\n":                         "",
		"Not Present\n":                          "",
		"5D1F6A0C-8E0B-4C8D-9C44-2B7B0C8A1E1\n":  "",
		"5D1F6A0C-8E0B-4C8D-9C44-2B7B0C8A1E10 x": "",
		"5D1F6A0C-8E0B-4C8D-9C442B7B-0C8A1E10\n": "",
	} {
		root := t.TempDir()
		write(t, root, "sys/class/dmi/id/product_uuid", raw)
		got, err := ProductUUID(root)
		if got != want || (want == "") != errors.Is(err, ErrNoIdentity) {
			t.Errorf("%q: got %q, %v; want %q", raw, got, err, want)
		}
	}
	if _, err := ProductUUID(t.TempDir()); !errors.Is(err, ErrNoIdentity) {
		t.Errorf("no DMI: %v", err)
	}
}

func TestPlaceholdersInBothByteOrders(t *testing.T) {
	for _, id := range []string{"03000200-0400-0500-0006-000700080009", "00020003-0004-0005-0006-000700080009"} {
		if _, err := checkUUID(id); !errors.Is(err, ErrNoIdentity) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func FuzzVariable(f *testing.F) {
	f.Add([]byte("\x06\x00\x00\x00\x01"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := parseVariable(raw)
		if err != nil {
			return
		}
		if len(v.Data)+4 != len(raw) {
			t.Fatalf("%d bytes gave %d bytes of data", len(raw), len(v.Data))
		}
		if on, err := parseFlag("x", v.Data); err == nil && on != (v.Data[0] == 1) {
			t.Fatal("flag and data disagree")
		}
	})
}

func FuzzUUID(f *testing.F) {
	f.Add("5D1F6A0C-8E0B-4C8D-9C44-2B7B0C8A1E10\n")
	f.Add("03000200-0400-0500-0006-000700080009")
	f.Fuzz(func(t *testing.T, raw string) {
		text, err := checkUUID(raw)
		if err != nil {
			return
		}
		again, err := checkUUID(text)
		if err != nil || again != text {
			t.Fatalf("%q accepted as %q, which gives %q, %v", raw, text, again, err)
		}
	})
}

func TestSetAndRemoveVariable(t *testing.T) {
	root := t.TempDir()
	write(t, root, vars+"Other-"+GlobalVariable, "\x06\x00\x00\x00\x01")
	for _, data := range []string{"a longer one", "short"} {
		if err := SetVariable(root, "Name", LoaderVariable, []byte(data)); err != nil {
			t.Fatal(err)
		}
		v, err := ReadVariable(root, "Name", LoaderVariable)
		if err != nil || string(v.Data) != data || v.Attributes != 7 {
			t.Fatalf("%+v, %v", v, err)
		}
	}
	for range 2 {
		if err := RemoveVariable(root, "Name", LoaderVariable); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ReadVariable(root, "Name", LoaderVariable); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after it was removed: %v", err)
	}
}
