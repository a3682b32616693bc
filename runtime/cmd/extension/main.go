// Command extension keeps watch over what this machine merges into /usr and /etc.
//
//	extension admit                 looks into what the gate handed over
//	extension required              is every extension there that the policy requires
//	extension check confext|sysext  before a merge: is anything there that was not admitted
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/mastercard/mangos/runtime/console"
	"github.com/mastercard/mangos/runtime/extension"
	"github.com/mastercard/mangos/runtime/tpm"
)

func main() {
	say := console.Open("/")
	if err := run(context.Background(), os.Args[1:], say); err != nil {
		say.Say(console.Warning, "%v", err)
		fmt.Fprintln(os.Stderr, "extension:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, say *console.Console) error {
	checker, err := extension.NewChecker("/", say.Say)
	if err != nil {
		return err
	}
	switch {
	case len(args) == 1 && args[0] == "admit":
		return admit(ctx, checker)
	case len(args) == 1 && args[0] == "required":
		return checker.Required()
	case len(args) == 2 && args[0] == "check" && (args[1] == string(extension.Confext) || args[1] == string(extension.Sysext)):
		return checker.Check(extension.Class(args[1]))
	}
	return errors.New("usage: extension admit | required | check confext|sysext")
}

// admit needs the TPM only where there is something to admit.
func admit(ctx context.Context, checker *extension.Checker) error {
	pending, err := checker.Pending()
	if err != nil {
		return fmt.Errorf("look into the inbox: %w", err)
	}
	if !pending {
		return nil
	}
	device, err := tpm.Open(ctx, "/")
	if err != nil {
		return err
	}
	defer device.Close()
	return checker.Admit(ctx, extension.TPMStore{TPM: device})
}
