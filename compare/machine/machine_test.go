package machine

import (
	"errors"
	"strings"
	"testing"
)

func TestThis(t *testing.T) {
	f := This()
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	if f.Cores < 1 || f.Architecture == "" || !strings.HasPrefix(f.Kernel, "Linux ") {
		t.Errorf("%+v", f)
	}
	text, err := f.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Parse(text); err != nil || again != f {
		t.Errorf("read again: %+v, %v", again, err)
	}
	if len(f.List()) != 6 {
		t.Errorf("%d facts", len(f.List()))
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		`{"cpu": "\u001b[31m"}`, `{"cpu": "a\nb"}`, `{"cores": -1}`, `{"cores": 10000000}`, `{"serial": "x"}`, `{"cpu": 1}`,
		`{"cpu": "` + strings.Repeat("x", 300) + `"}`, `{"cpu": "a", "cpu": "b"}`, "{", strings.Repeat(" ", 100<<10) + "{}",
	} {
		if _, err := Parse([]byte(text)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.60s: %v", text, err)
		}
	}
}

func TestCleanIsFitForAStatement(t *testing.T) {
	f := Facts{CPU: "a\x1b[31m\xffb", Path: strings.Repeat("ä", 200)}.clean()
	if err := f.Check(); err != nil || f.CPU != "a[31mb" {
		t.Errorf("%q: %v", f.CPU, err)
	}
}

// FuzzParse: what is read is fit for a statement, and the same when it is written
// and read again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"cpu": "a processor", "architecture": "amd64", "cores": 2, "kernel": "Linux 6.1", "path": "/src"}`))
	f.Add([]byte(`{"distribution": "\u202e", "cores": -1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		facts, err := Parse(data)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		if len(data) > maxSize || facts.Check() != nil {
			t.Errorf("%d bytes are read as %+v", len(data), facts)
		}
		text, err := facts.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Parse(text); err != nil || again != facts {
			t.Errorf("read again: %+v, %v", again, err)
		}
	})
}
