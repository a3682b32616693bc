package recovery

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	form := regexp.MustCompile(`^([cbdefghijklnrtuv]{8}-){7}[cbdefghijklnrtuv]{8}$`)
	a, b := New(), New()
	if !form.MatchString(string(a)) || a == b {
		t.Errorf("%q, %q", a, b)
	}
}

func TestEncode(t *testing.T) {
	raw := make([]byte, size)
	for i := range raw {
		raw[i] = byte(i * 8)
	}
	// Each nibble n is the n-th letter, the high one first.
	if got := encode(raw); !strings.HasPrefix(string(got), "cccjbcbj-dcdjecej-") {
		t.Errorf("%s", got)
	}
}

func TestParse(t *testing.T) {
	k := New()
	plain := strings.ReplaceAll(string(k), "-", "")
	for _, text := range []string{string(k), plain, strings.ToUpper(string(k)), " " + strings.ReplaceAll(string(k), "-", " ") + "\n"} {
		if got, err := Parse(text); got != k || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", plain[1:], plain + "c", "a" + plain[1:], plain[:63] + "é"} {
		if _, err := Parse(text); !errors.Is(err, ErrKey) || strings.Contains(err.Error(), plain[:8]) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestQRFitsTheScreen(t *testing.T) {
	lines, err := New().QR()
	if err != nil || len(lines) != 21 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	for _, line := range lines {
		if len([]rune(line)) != 41 {
			t.Errorf("%d characters", len([]rune(line)))
		}
	}
	// The quiet zone is light.
	if strings.Trim(lines[0], "█") != "" || strings.Trim(lines[1], "█") != "" {
		t.Error("no quiet zone")
	}
}

// Another program reads the key from what is on the screen.
func TestQRIsReadByOthers(t *testing.T) {
	program, err := exec.LookPath("zbarimg")
	if err != nil {
		t.Skip("no zbarimg here: the QR code is not read back")
	}
	k := New()
	lines, err := k.QR()
	if err != nil {
		t.Fatal(err)
	}
	// A bitmap of 8x8 dots a module.
	var rows []string
	for _, line := range lines {
		var upper, lower strings.Builder
		for _, r := range line {
			upper.WriteString(strings.Repeat(map[rune]string{'█': "0 ", '▀': "0 ", '▄': "1 ", ' ': "1 "}[r], 8))
			lower.WriteString(strings.Repeat(map[rune]string{'█': "0 ", '▀': "1 ", '▄': "0 ", ' ': "1 "}[r], 8))
		}
		for range 8 {
			rows = append(rows, upper.String())
		}
		for range 8 {
			rows = append(rows, lower.String())
		}
	}
	path := filepath.Join(t.TempDir(), "code.pbm")
	if err := os.WriteFile(path, []byte("P1\n328 336\n"+strings.Join(rows, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, "--raw", "-q", path).Output()
	if err != nil || strings.TrimSpace(string(out)) != string(k) {
		t.Errorf("read %q, %v; want %q", out, err, k)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(string(New()))
	f.Add("ſ")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := Parse(string(k)); again != k || err != nil {
			t.Fatalf("%q gave %q, which gives %q, %v", text, k, again, err)
		}
	})
}
