package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mastercard/mangos/runtime/fetch"
)

// remote is a file of a repository that can be read from any byte on: it is
// fetched from where the first read begins.
type remote struct {
	ctx    context.Context
	source fetch.Source
	name   string
	size   int64

	at       int64
	download *fetch.Download
	// failure is why a read failed.
	failure error
}

func (r *remote) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	r.at = offset
	return offset, nil
}

func (r *remote) Read(p []byte) (int, error) {
	if r.at >= r.size {
		return 0, io.EOF
	}
	if r.download != nil && r.download.At() != r.at {
		r.Close()
	}
	if r.download == nil {
		d, err := fetch.NewDownloadFrom(r.ctx, r.source, r.name, r.at, patience)
		if err != nil {
			r.failure = err
			return 0, err
		}
		if d.Size() != r.size {
			_ = d.Close()
			r.failure = fmt.Errorf("%s: %w: it has %d bytes now, not %d", r.name, fetch.ErrChanged, d.Size(), r.size)
			return 0, r.failure
		}
		r.download = d
	}
	n, err := r.download.Read(p)
	r.at += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		r.failure = err
	}
	return n, err
}

func (r *remote) Close() {
	if r.download != nil {
		_ = r.download.Close()
		r.download = nil
	}
}
