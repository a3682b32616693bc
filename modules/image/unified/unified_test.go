package unified

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/verity"
)

func TestTryOutMark(t *testing.T) {
	release := []byte("ID=mangos\nPRETTY_NAME=\"mangos 1\"\nIMAGE_VERSION=1\n")
	marked, err := MarkTryOut(release)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(marked), string(release)) || !strings.Contains(string(marked), `PRETTY_NAME="mangos 1 (TRY-OUT`) {
		t.Errorf("%s", marked)
	}
	if got, had := UnmarkTryOut(marked); !had || string(got) != string(release) {
		t.Errorf("%q, %v", got, had)
	}
	if got, had := UnmarkTryOut(release); had || string(got) != string(release) {
		t.Errorf("%q, %v", got, had)
	}
	if _, err := MarkTryOut(marked); !errors.Is(err, ErrParts) {
		t.Errorf("marked twice: %v", err)
	}
	// Only what the mark put there may be taken off.
	forged := strings.Replace(string(marked), "(TRY-OUT", "init (TRY-OUT", 1)
	if _, had := UnmarkTryOut([]byte(forged)); had {
		t.Error("a changed title passes for the mark")
	}
	for _, bad := range []string{"ID=mangos\n", "PRETTY_NAME=\"x\"", "PRETTY_NAME=\"$x\"\n"} {
		if _, err := MarkTryOut([]byte(bad)); !errors.Is(err, ErrParts) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCommandLine(t *testing.T) {
	root := verity.RootHash{0xab}
	line, err := CommandLine(root, "quiet panic=10")
	if err != nil || line != "roothash="+root.String()+" quiet panic=10" {
		t.Errorf("%q, %v", line, err)
	}
	for _, bad := range []string{"", " quiet", "quiet\n", "a\tb", "a\nb", "größe", "roothash=00", strings.Repeat("x", 2000)} {
		if _, err := CommandLine(root, bad); !errors.Is(err, ErrParts) {
			t.Errorf("%.30q: %v", bad, err)
		}
	}
}

func FuzzUnmarkTryOut(f *testing.F) {
	marked, err := MarkTryOut([]byte("PRETTY_NAME=x\n"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(marked)
	f.Add([]byte(TryOutMark))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, had := UnmarkTryOut(b)
		if !had {
			return
		}
		if again, err := MarkTryOut(got); err != nil || string(again) != string(b) {
			t.Errorf("%q does not come back: %q, %v", b, again, err)
		}
	})
}

func FuzzReadExpected(f *testing.F) {
	f.Add([]byte(`{"name": "mangos", "version": "1", "pcr": 11, "bank": "sha256", "phases": [{"phase": "enter-initrd", "value": "00", "policy": "01"}]}`))
	f.Add([]byte(`{"name": "a", "Name": "b"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := ReadExpected(text)
		if err != nil {
			return
		}
		text, err = e.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ReadExpected(text); err != nil || !reflect.DeepEqual(again, e) {
			t.Fatalf("%s is read as %+v, %v", text, again, err)
		}
	})
}
