// Command extension keeps watch over what this machine merges into /usr and /etc.
//
//	extension admit                 looks into what the gate handed over
//	extension required              is every extension there that this machine must have
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

var errUsage = errors.New("usage: extension admit | required | check confext|sysext")

func main() {
	work, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "extension:", err)
		os.Exit(2)
	}
	say := console.Open("/")
	checker, err := extension.NewChecker("/", say.Say)
	if err == nil {
		err = work(context.Background(), checker)
	}
	if err != nil {
		say.Say(console.Warning, "%v", err)
		os.Exit(1)
	}
}

type work func(context.Context, *extension.Checker) error

func parse(args []string) (work, error) {
	switch {
	case len(args) == 1 && args[0] == "admit":
		return admit, nil
	case len(args) == 1 && args[0] == "required":
		return required, nil
	case len(args) == 2 && args[0] == "check":
		if class := extension.Class(args[1]); class == extension.Confext || class == extension.Sysext {
			return func(_ context.Context, c *extension.Checker) error { return c.Check(class) }, nil
		}
	}
	return nil, errUsage
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
	return withStore(ctx, func(s extension.Store) error { return checker.Admit(ctx, s) })
}

func required(ctx context.Context, checker *extension.Checker) error {
	return withStore(ctx, checker.Required)
}

func withStore(ctx context.Context, do func(extension.Store) error) error {
	device, err := tpm.Open(ctx, "/")
	if err != nil {
		return err
	}
	defer device.Close()
	return do(extension.TPMStore{TPM: device})
}
