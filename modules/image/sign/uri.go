package sign

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/mastercard/mangos/modules/image/tool"
)

const scheme = "pkcs11:"

// uri is a PKCS#11 URI (RFC 7512), with the PIN kept apart: what is given to a
// program as an argument can be read by everybody on the machine, and stands in
// the program's complaints.
type uri struct{ text, pin string }

// parseURI reads a URI. Its PIN may stand in it as pin-value, or in a file that
// pin-source names (file:PATH). Errors never repeat the text.
func parseURI(text string) (uri, error) {
	path, query, _ := strings.Cut(strings.TrimPrefix(text, scheme), "?")
	for _, r := range text {
		if r <= ' ' || r > '~' {
			return uri{}, fmt.Errorf("the PKCS#11 URI holds %q, which must be written as %%XX: %w", r, ErrKey)
		}
	}
	if path == "" {
		return uri{}, fmt.Errorf("the PKCS#11 URI names no object: %w", ErrKey)
	}
	for _, a := range strings.Split(path, ";") {
		if strings.HasPrefix(a, "pin-") {
			return uri{}, fmt.Errorf("the PKCS#11 URI has its PIN before the question mark; it belongs behind: %w", ErrKey)
		}
	}
	u := uri{text: scheme + path}
	var kept []string
	pins := 0
	for _, a := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(a, "=")
		switch name {
		case "":
			continue
		case "pin-value":
			pin, err := url.PathUnescape(value)
			if err != nil || pin == "" {
				return uri{}, fmt.Errorf("the PKCS#11 URI has an empty or malformed pin-value: %w", ErrKey)
			}
			u.pin = pin
			pins++
			continue
		case "pin-source":
			if !strings.HasPrefix(value, "file:/") {
				return uri{}, fmt.Errorf("the PKCS#11 URI has a pin-source that is not file:/PATH: %w", ErrKey)
			}
			pins++
		case "module-name", "module-path":
		default:
			// It may be what follows an "&" of the PIN.
			return uri{}, fmt.Errorf("the PKCS#11 URI has an unknown attribute behind its question mark (is an & in the PIN written as %%26?): %w", ErrKey)
		}
		kept = append(kept, a)
	}
	if pins > 1 {
		return uri{}, fmt.Errorf("the PKCS#11 URI gives its PIN twice: %w", ErrKey)
	}
	if u.pin != "" {
		kept = append(kept, "pin-source=file:"+tool.SecretPath)
	}
	if len(kept) > 0 {
		u.text += "?" + strings.Join(kept, "&")
	}
	return u, nil
}
