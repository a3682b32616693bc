package tool

import (
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

func TestEnvironmentIsFixed(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "5")
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	t.Setenv("TZ", "Asia/Tokyo")
	t.Setenv("SECRET", "x")
	out, err := Command{Name: "env", Epoch: 77}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"SOURCE_DATE_EPOCH=77\n", "LC_ALL=C.UTF-8\n", "TZ=UTC\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is missing in %s", want, out)
		}
	}
	if strings.Contains(string(out), "SECRET") {
		t.Errorf("%s", out)
	}
}

func TestFailureSaysWhy(t *testing.T) {
	_, err := Command{Name: "sh", Args: []string{"-c", `printf 'no \033[31mdisk\n' >&2; exit 3`}}.Run(t.Context())
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(err.Error(), "disk") || strings.Contains(err.Error(), "\033") {
		t.Errorf("%q", err)
	}
	if _, err := (Command{Name: "no-such-tool"}).Run(t.Context()); !errors.Is(err, exec.ErrNotFound) {
		t.Error(err)
	}
}

// An input that cannot be written to its end must not look complete.
func TestFeedFailure(t *testing.T) {
	cut := errors.New("cut off")
	_, err := Command{Name: "cat", Feed: func(w io.Writer) error {
		io.WriteString(w, "half")
		return cut
	}}.Run(t.Context())
	if !errors.Is(err, cut) {
		t.Error(err)
	}
	out, err := Command{Name: "cat", Feed: func(w io.Writer) error { _, err := io.WriteString(w, "all"); return err }}.Run(t.Context())
	if string(out) != "all" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
}
