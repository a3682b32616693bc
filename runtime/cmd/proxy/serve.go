package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/mastercard/mangos/runtime/proxy"
	"github.com/mastercard/mangos/runtime/service"
)

// serve answers until ctx ends. Requests in flight may then go on for grace; who is
// connected for longer is cut off, which is not an error: whoever fetches takes it
// up again.
func serve(ctx context.Context, handler *proxy.Server, listeners []net.Listener, grace time.Duration, log *slog.Logger) error {
	server := handler.HTTP()
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { ended <- server.Serve(l) }()
	}
	if err := service.Notify(service.Ready); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	log.Info("stopping", "grace", grace)
	if err := service.Notify(service.Stopping); err != nil {
		log.Warn("systemd does not hear of it", "error", err)
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := server.Shutdown(limit)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("requests in flight are cut off")
		err = server.Close()
	}
	return err
}
