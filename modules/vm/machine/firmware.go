package machine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// SecureBoot is the state that the firmware's variables are in.
type SecureBoot int

const (
	// Enforcing has the organisation's certificate as PK, KEK and db, and Secure Boot on.
	Enforcing SecureBoot = iota
	// Disabled has the keys, but someone turned Secure Boot off in the firmware's menu.
	Disabled
	// SetupMode has no keys: whoever boots first may enrol theirs.
	SetupMode
)

// owner is the GUID that the enrolled certificates are filed under: any will do.
const owner = "6d616e67-6f73-4d41-8e47-4f5300000001"

// MakeVariables writes to out the variable store of a new machine in the state sb, from
// OVMF's empty store template. certificate (PEM) is enrolled as PK, KEK and db.
func MakeVariables(ctx context.Context, template, out, certificate string, sb SecureBoot) error {
	args := []string{"--input", template, "--output", out}
	switch sb {
	case Enforcing:
		args = append(args, "--set-pk", owner, certificate, "--add-kek", owner, certificate, "--add-db", owner, certificate, "--secure-boot")
	case Disabled:
		args = append(args, "--set-pk", owner, certificate, "--add-kek", owner, certificate, "--add-db", owner, certificate, "--set-false", "SecureBootEnable")
	case SetupMode:
		data, err := os.ReadFile(template)
		if err != nil {
			return fmt.Errorf("make firmware variables: %w", err)
		}
		if err := os.WriteFile(out, data, 0o600); err != nil {
			return fmt.Errorf("make firmware variables: %w", err)
		}
		return nil
	default:
		return fmt.Errorf("%w: secure boot state %d", ErrConfig, sb)
	}
	if output, err := exec.CommandContext(ctx, "virt-fw-vars", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("make firmware variables: virt-fw-vars: %w: %q", err, lastBytes(output, 400))
	}
	return nil
}

func lastBytes(b []byte, n int) []byte {
	return b[max(0, len(b)-n):]
}
