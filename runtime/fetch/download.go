package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Patience says how long a slow or broken source is put up with.
type Patience struct {
	// Window is the time of waiting in which at least Least bytes must come;
	// where they do not the source is asked anew.
	Window time.Duration
	Least  int64
	// Total is how much waiting for less than that it takes to give up.
	Total time.Duration
	// Pause is the time before the source is asked again; it doubles each time,
	// up to Window.
	Pause time.Duration
}

// DefaultPatience suits lines from 2 kB/s on.
var DefaultPatience = Patience{Window: 30 * time.Second, Least: 64 << 10, Total: 10 * time.Minute, Pause: time.Second}

var (
	// ErrSlow: the source gives too little.
	ErrSlow = errors.New("next to nothing comes")
	// ErrBroken: the source ended before the file's end.
	ErrBroken = errors.New("it breaks off")
)

// A Download reads a file of a source, and goes on where it was when the source
// breaks off. It is one file throughout: one that changes is ErrChanged. Only the
// time that it waits for the source counts, not what its reader takes.
type Download struct {
	ctx      context.Context
	source   Source
	name     string
	patience Patience

	stream  *Stream
	attempt context.Context
	cancel  context.CancelCauseFunc
	waited  time.Duration // in this window
	got     int64         // in this window
	bad     time.Duration // since enough came
	pause   time.Duration

	known   bool
	size    int64
	version string
	at      int64
	again   int64
}

// NewDownload opens a file.
func NewDownload(ctx context.Context, source Source, name string, p Patience) (*Download, error) {
	return NewDownloadFrom(ctx, source, name, 0, p)
}

// NewDownloadFrom opens a file from a byte on.
func NewDownloadFrom(ctx context.Context, source Source, name string, from int64, p Patience) (*Download, error) {
	d := &Download{ctx: ctx, source: source, name: name, patience: p, pause: p.Pause, cancel: func(error) {}, at: from}
	if err := d.keepOpening(d.open()); err != nil {
		return nil, err
	}
	return d, nil
}

// Size is the file's size in bytes, -1 if the source does not say.
func (d *Download) Size() int64 { return d.size }

// At is the byte that is read next.
func (d *Download) At() int64 { return d.at }

// Again is how many bytes were fetched more than once.
func (d *Download) Again() int64 { return d.again }

// Close lets go of the source.
func (d *Download) Close() error {
	d.cancel(nil)
	if d.stream == nil {
		return nil
	}
	err := d.stream.Close()
	d.stream = nil
	return err
}

// Read reads on.
func (d *Download) Read(p []byte) (int, error) {
	for {
		var n int
		err := d.wait(func() (err error) { n, err = d.stream.Read(p); return err })
		d.at += int64(n)
		d.got += int64(n)
		if err == nil {
			err = d.judge()
		}
		if errors.Is(err, io.EOF) && (d.size < 0 || d.at == d.size) {
			return n, io.EOF
		}
		if err != nil {
			err = d.keepOpening(err)
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// wait does something that waits for the source, for one window at most.
func (d *Download) wait(do func() error) error {
	begin := time.Now()
	timer := time.AfterFunc(d.patience.Window, func() { d.cancel(ErrSlow) })
	err := do()
	timer.Stop()
	d.waited += time.Since(begin)
	if cause := context.Cause(d.attempt); err != nil && cause != nil {
		return cause
	}
	return err
}

// judge looks at the end of each window whether enough came.
func (d *Download) judge() error {
	if d.got >= d.patience.Least {
		d.waited, d.got, d.bad, d.pause = 0, 0, 0, d.patience.Pause
		return nil
	}
	if d.waited > d.patience.Window {
		return ErrSlow
	}
	return nil
}

// keepOpening opens the file where it was left, why being the reason that this
// is needed, until that works or patience is over.
func (d *Download) keepOpening(why error) error {
	for why != nil {
		_ = d.Close()
		d.bad, d.waited, d.got = d.bad+d.waited+d.pause, 0, 0
		if errors.Is(why, io.EOF) || errors.Is(why, io.ErrUnexpectedEOF) {
			why = ErrBroken
		}
		if err := context.Cause(d.ctx); err != nil {
			return fmt.Errorf("fetch %s from %s: %w", d.name, d.source, err)
		}
		if errors.Is(why, ErrSource) || errors.Is(why, ErrChanged) || d.bad > d.patience.Total {
			return fmt.Errorf("fetch %s from %s: %w", d.name, d.source, why)
		}
		select {
		case <-time.After(d.pause):
		case <-d.ctx.Done():
		}
		d.pause = min(2*d.pause, d.patience.Window)
		why = d.open()
	}
	return nil
}

// open opens the file where it was left.
func (d *Download) open() error {
	d.attempt, d.cancel = context.WithCancelCause(d.ctx)
	return d.wait(func() error {
		stream, err := d.source.Open(d.attempt, d.name, d.at)
		if err != nil {
			return err
		}
		d.stream = stream
		if d.known && (stream.Size != d.size || stream.Version != d.version) {
			return ErrChanged
		}
		d.known, d.size, d.version = true, stream.Size, stream.Version
		// A source that cannot begin later begins at the beginning.
		skipped, err := io.CopyN(io.Discard, stream, d.at-stream.From)
		d.again += skipped
		return err
	})
}

// Size returns a file's size in bytes, -1 if the source does not say. Nothing is
// read but what is on its way already.
func Size(ctx context.Context, source Source, name string, p Patience) (int64, error) {
	d, err := NewDownload(ctx, source, name, p)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	return d.Size(), nil
}

// All reads a small file.
func All(ctx context.Context, source Source, name string, limit int64, p Patience) ([]byte, error) {
	d, err := NewDownload(ctx, source, name, p)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	raw, err := io.ReadAll(io.LimitReader(d, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = fmt.Errorf("fetch %s from %s: %w: it has more than %d bytes", name, source, ErrSource, limit)
	}
	return raw, err
}
