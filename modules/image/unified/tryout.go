package unified

import (
	"bytes"
	"fmt"
	"strings"
)

// TryOutMark is the line that ends the os-release section of an image signed
// with try-out keys. The line before it gives the boot menu a title that says
// so: of two lines for a variable the last counts.
const TryOutMark = "MANGOS_TRY_OUT=yes\n"

const tryOutTitle = " (TRY-OUT KEYS, UNFIT FOR USE)"

// MarkTryOut returns os-release with the mark of a try-out build.
func MarkTryOut(release []byte) ([]byte, error) {
	if bytes.Contains(release, []byte(TryOutMark)) {
		return nil, fmt.Errorf("mark try-out build: os-release has the mark already: %w", ErrParts)
	}
	mark, err := tryOutLines(release)
	if err != nil {
		return nil, err
	}
	return append(bytes.Clone(release), mark...), nil
}

// UnmarkTryOut returns os-release without the mark, and whether it had one.
func UnmarkTryOut(release []byte) ([]byte, bool) {
	body, ok := bytes.CutSuffix(release, []byte(TryOutMark))
	if !ok {
		return release, false
	}
	i := bytes.LastIndexByte(bytes.TrimSuffix(body, []byte("\n")), '\n')
	original := body[:i+1]
	if mark, err := tryOutLines(original); err != nil || string(body[i+1:])+TryOutMark != mark {
		return release, false
	}
	return original, true
}

func tryOutLines(release []byte) (string, error) {
	title := ""
	for _, line := range strings.Split(string(release), "\n") {
		if v, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			title = strings.Trim(v, `"'`)
		}
	}
	if title == "" || strings.ContainsAny(title, "\"$`\\") || !bytes.HasSuffix(release, []byte("\n")) {
		return "", fmt.Errorf("mark try-out build: os-release has no plain PRETTY_NAME: %w", ErrParts)
	}
	return "PRETTY_NAME=\"" + title + tryOutTitle + "\"\n" + TryOutMark, nil
}
