package publish

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mastercard/mangos/runtime/fetch"
)

const (
	// maxAnswer is the most bytes of an answer that are read.
	maxAnswer = 16 << 20
	// answerTime is how long a server may take to answer when it has all that was sent:
	// some store a file only then.
	answerTime = 2 * time.Minute
)

// stall is how long a server may take nothing of what is sent.
var stall = time.Minute

// web is a web server that takes files.
type web struct {
	client *http.Client
	now    func() time.Time
}

// newWeb returns one that gets the token only at the origins, each SCHEME://HOST, whatever
// redirects and answers say. The way there is what the environment says, or transport.
func newWeb(token string, origins []string, transport http.RoundTripper) *web {
	client := fetch.NewClient(nil)
	if t, ok := client.Transport.(*http.Transport); ok {
		t.ResponseHeaderTimeout = answerTime
	}
	if transport != nil {
		client.Transport = transport
	}
	client.Transport = &authorized{token: token, origins: origins, next: client.Transport}
	limited := client.CheckRedirect
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if m := via[0].Method; m != http.MethodGet && m != http.MethodHead {
			return http.ErrUseLastResponse // what changes something is for the place that was named
		}
		return limited(req, via)
	}
	return &web{client: client, now: time.Now}
}

// authorized adds the token to requests for its origins, and to no other.
type authorized struct {
	token   string
	origins []string
	next    http.RoundTripper
}

func (a *authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Del("Authorization")
	for _, origin := range a.origins {
		if a.token != "" && originOf(req.URL) == origin {
			req.Header.Set("Authorization", "Bearer "+a.token)
		}
	}
	return a.next.RoundTrip(req)
}

func originOf(u *url.URL) string { return strings.ToLower(u.Scheme + "://" + u.Host) }

// parseBase reads the address of a server. A token needs https, or this machine.
func parseBase(address, token string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(address, "/"))
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%w: %.100q is no address such as https://HOST/PATH", ErrPlace, address)
	case token != "" && u.Scheme != "https" && !loopback(u.Hostname()):
		return nil, fmt.Errorf("%w: %s: a token needs https", ErrPlace, u.Host)
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// ReadToken reads a token, one word, from a file.
func ReadToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%w: token: %w", ErrPlace, err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return "", fmt.Errorf("%w: token: %w", ErrPlace, err)
	}
	token := strings.TrimSpace(string(raw))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%w: %s does not hold a token, one word", ErrPlace, path)
	}
	return token, nil
}

// A request is one to a server.
type request struct {
	method string
	url    *url.URL
	header http.Header
	// text is sent, or file.
	text []byte
	file *File
}

// open sends a request and returns the answer, whose body the caller closes.
func (w *web) open(ctx context.Context, r request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url.String(), bytes.NewReader(r.text))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPlace, err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", "mangos-publish")
	var body *outgoing
	if r.file != nil {
		if body, err = newOutgoing(req, *r.file); err != nil {
			return nil, err
		}
		defer body.stop()
		req = body.req
	}
	rsp, err := w.client.Do(req)
	if err != nil {
		return nil, failure(ctx, r.url, err, body)
	}
	if until, reached := fetch.Limited(rsp, w.now()); reached {
		rsp.Body.Close()
		return nil, &Limit{until}
	}
	return rsp, nil
}

// stream opens a file to be read back from a byte on.
func (w *web) stream(ctx context.Context, u *url.URL, from int64) (*fetch.Stream, error) {
	h := http.Header{"Accept": {"application/octet-stream"}}
	if from > 0 {
		h.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	rsp, err := w.open(ctx, request{method: http.MethodGet, url: u, header: h})
	if errors.As(err, new(*Limit)) || errors.Is(err, ErrPlace) {
		return nil, fmt.Errorf("%w: %w", fetch.ErrSource, err) // nothing that a download waits for
	}
	if err != nil {
		return nil, err
	}
	s, err := fetch.OpenResponse(rsp, from)
	if err != nil {
		rsp.Body.Close()
	}
	return s, err
}

// do sends a request and reads the whole answer.
func (w *web) do(ctx context.Context, r request) (*http.Response, []byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	rsp, err := w.open(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	defer rsp.Body.Close()
	defer time.AfterFunc(answerTime, func() { cancel(errSlow) }).Stop()
	text, err := io.ReadAll(io.LimitReader(rsp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, nil, failure(ctx, r.url, err, nil)
	case len(text) > maxAnswer:
		return nil, nil, fmt.Errorf("%w: %s answers with more than %d bytes", ErrPlace, r.url.Host, maxAnswer)
	}
	return rsp, text, nil
}

// failure says of an error that no answer came with whether trying again may help. Where
// the client was led to is not told: such addresses hold signatures.
func failure(ctx context.Context, to *url.URL, err error, body *outgoing) error {
	var where *url.Error
	if errors.As(err, &where) {
		err = where.Err
	}
	var certificate *tls.CertificateVerificationError
	switch {
	case body != nil && body.reason() != nil:
		err = body.reason()
		if errors.Is(err, ErrRelease) {
			return err
		}
	case errors.Is(err, fetch.ErrSource), errors.As(err, &certificate):
		return fmt.Errorf("%w: %s: %w", ErrPlace, to.Host, err)
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	return fmt.Errorf("%w: %s: %w", ErrBroken, to.Host, err)
}

// refusal is the error that an answer is, whose status is not what it should be.
func refusal(to *url.URL, rsp *http.Response, why string) error {
	kind := ErrPlace
	switch rsp.StatusCode {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		http.StatusRequestTimeout, http.StatusTooEarly:
		kind = ErrBroken
	case http.StatusUnauthorized:
		why = "is there a token, and is it still valid? " + why
	}
	if why = strings.TrimSpace(why); why != "" {
		why = " (" + why + ")"
	}
	return fmt.Errorf("%w: %s answers %.60q%s", kind, to.Host, rsp.Status, why)
}

var (
	errStalled = errors.New("it takes nothing any more")
	errSlow    = errors.New("its answer does not end")
)

// outgoing is a file on its way. It is cut off where nobody takes anything of it.
type outgoing struct {
	io.ReadCloser
	req    *http.Request
	timer  *time.Timer
	failed atomic.Pointer[error]
}

func newOutgoing(req *http.Request, f File) (*outgoing, error) {
	from, err := f.Open()
	if err != nil {
		return nil, err
	}
	o := &outgoing{ReadCloser: from}
	ctx, cancel := context.WithCancelCause(req.Context())
	o.timer = time.AfterFunc(stall, func() {
		o.fail(errStalled)
		cancel(errStalled)
	})
	o.req = req.WithContext(ctx)
	o.req.Body, o.req.GetBody, o.req.ContentLength = o, nil, f.Size
	if f.Size == 0 {
		o.req.Body = http.NoBody
		_ = from.Close()
	}
	return o, nil
}

func (o *outgoing) Read(p []byte) (int, error) {
	o.timer.Reset(stall)
	n, err := o.ReadCloser.Read(p)
	if err != nil {
		o.timer.Stop() // all is sent, or nothing more will be
		if !errors.Is(err, io.EOF) {
			o.fail(err)
		}
	}
	return n, err
}

func (o *outgoing) fail(err error) { o.failed.CompareAndSwap(nil, &err) }

// reason is why it did not go on, nil where that is not known.
func (o *outgoing) reason() error {
	if err := o.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (o *outgoing) stop() { o.timer.Stop() }
