// Command proxy (mangos-sd-gh-proxy) shows the newest release of a release page as
// the flat folder that systemd-sysupdate fetches from: /REPOSITORY/FILE, and
// /healthz and /metrics beside them. It serves the sockets that systemd hands over,
// or one that it is told, and only on the loopback device.
//
//	mangos-sd-gh-proxy                             as a socket-activated service
//	mangos-sd-gh-proxy --listen 127.0.0.1:8000     by hand
//	mangos-sd-gh-proxy --check-config              is the configuration good?
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/runtime/journal"
	"github.com/mastercard/mangos/runtime/proxy"
	"github.com/mastercard/mangos/runtime/service"
)

const name = "mangos-sd-gh-proxy"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		stop()
		os.Exit(1)
	}
}

type options struct {
	config, cache, listen string
	grace                 time.Duration
	check, debug          bool
}

func newCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:           name,
		Short:         "Show a release page as the folder that systemd-sysupdate fetches from",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := proxy.ReadConfig(o.config)
			if err != nil {
				return err
			}
			if o.check {
				return check(cmd, o.config, config)
			}
			return run(cmd.Context(), config, o)
		},
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "/etc/mangos/proxy.json", "configuration file")
	f.StringVar(&o.cache, "cache", os.Getenv("CACHE_DIRECTORY"), "folder for what is kept over a restart; none if empty")
	f.StringVar(&o.listen, "listen", "", "loopback address to listen on, where systemd hands over no socket")
	f.DurationVar(&o.grace, "grace", 20*time.Second, "how long requests in flight go on when asked to stop")
	f.BoolVar(&o.check, "check-config", false, "check the configuration and the files that it names, and end")
	f.BoolVar(&o.debug, "debug", false, "log each request")
	return cmd
}

// check opens what the configuration names, and asks nobody.
func check(cmd *cobra.Command, path string, config *proxy.Config) error {
	if _, err := proxy.New(config, "", time.Now, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: good, %d repositories\n", path, len(config.Repositories))
	return nil
}

func run(ctx context.Context, config *proxy.Config, o options) error {
	listeners, err := listeners(o.listen)
	if err != nil {
		return err
	}
	log := newLog(o.debug)
	server, err := proxy.New(config, o.cache, time.Now, log)
	if err != nil {
		return err
	}
	for _, l := range listeners {
		log.Info("listening", "address", l.Addr())
	}
	return serve(ctx, server, listeners, o.grace, log)
}

// newLog logs to the journal if that is where standard error goes, otherwise there.
func newLog(debug bool) *slog.Logger {
	level, socket := slog.LevelInfo, ""
	if debug {
		level = slog.LevelDebug
	}
	if service.Journaled(os.Stderr) {
		socket = journal.Socket
	}
	return slog.New(journal.New(socket, name, level, os.Stderr))
}

// listeners are systemd's sockets, or one at the address. All are on the loopback
// device: an address that others reach is refused, whoever opened it.
func listeners(address string) ([]net.Listener, error) {
	all, err := service.Listeners()
	if err != nil {
		return nil, err
	}
	switch {
	case len(all) > 0 && address != "":
		return nil, errors.New("systemd hands over sockets, and --listen names another one: which?")
	case len(all) == 0 && address == "":
		return nil, errors.New("no socket from systemd, and no --listen")
	case address != "":
		if err := onLoopback(address); err != nil {
			return nil, err
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	for _, l := range all {
		if err := onLoopback(l.Addr().String()); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func onLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen on %.80q: want IP:PORT", address)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("listen on %.80q: only on the loopback device, as 127.0.0.1:8000", address)
	}
	return nil
}
