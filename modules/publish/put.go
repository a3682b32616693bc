package publish

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/mastercard/mangos/runtime/fetch"
)

// put is a folder on a web server that takes files by PUT: WebDAV, or a store of objects.
type put struct {
	r    *Release
	base *url.URL
	web  *web
}

// NewPut returns the folder at an address, into which files are put under their names,
// with "If-None-Match: *", so that a server that knows it does not overwrite what came
// there since it was looked for. transport is the way there, nil for the usual one.
// Errors wrap ErrPlace.
func NewPut(r *Release, address, token string, transport http.RoundTripper) (Destination, error) {
	base, err := parseBase(address, token)
	if err != nil {
		return nil, err
	}
	return &put{r: r, base: base, web: newWeb(token, []string{originOf(base)}, transport)}, nil
}

func (p *put) String() string { return p.base.Redacted() }

// Find asks for each of the files, and for the signature: whoever reads the release sees
// it when that is there. What else is in the folder it does not see.
func (p *put) Find(ctx context.Context, files []File) (*Found, error) {
	found := &Found{Prepared: true, Files: map[string]Present{}, Address: p.String()}
	last := p.r.signature()
	if len(files) == 0 || files[len(files)-1].Name != last.Name {
		files = append(files[:len(files):len(files)], last)
	}
	for _, f := range files {
		u := p.base.JoinPath(f.Name)
		rsp, _, err := p.web.do(ctx, request{method: http.MethodHead, url: u})
		if err != nil {
			return nil, err
		}
		switch rsp.StatusCode {
		case http.StatusOK:
			found.Files[f.Name] = Present{Size: rsp.ContentLength, Version: rsp.Header.Get("ETag")}
		case http.StatusNotFound, http.StatusGone:
		default:
			return nil, refusal(u, rsp, "is "+f.Name+" there?")
		}
	}
	_, found.Published = found.Files[last.Name]
	return found, nil
}

// Prepare does nothing: the folder is there.
func (p *put) Prepare(context.Context) error { return nil }

// Send puts a file where none is.
func (p *put) Send(ctx context.Context, f File) error {
	u := p.base.JoinPath(f.Name)
	rsp, _, err := p.web.do(ctx, request{method: http.MethodPut, url: u, file: &f,
		header: http.Header{"If-None-Match": {"*"}, "Content-Type": {"application/octet-stream"}}})
	if err != nil {
		return err
	}
	switch rsp.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent:
		return nil
	case http.StatusPreconditionFailed, http.StatusConflict:
		return fmt.Errorf("%w: %s: somebody else puts files there", ErrBroken, p.base.Host)
	}
	return refusal(u, rsp, "does it take PUT with If-None-Match?")
}

// Finish does nothing: with the signature the release is there.
func (p *put) Finish(context.Context) error { return nil }

func (p *put) Open(ctx context.Context, name string, from int64) (*fetch.Stream, error) {
	return p.web.stream(ctx, p.base.JoinPath(name), from)
}
