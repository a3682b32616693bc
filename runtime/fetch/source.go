// Package fetch reads files of a flat folder, on a file system or a web server,
// and goes on where it was when the server breaks off.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"
)

var (
	// ErrSource: a file cannot be fetched from where it should be, and
	// trying again is of no use.
	ErrSource = errors.New("the source does not give it")
	// ErrChanged: a file is not the one any more that was being fetched.
	ErrChanged = errors.New("the file changed while it was fetched")
)

// A Source is a flat folder with the files of releases.
type Source interface {
	// Open opens a file from a byte on. Errors that trying again does not help
	// wrap ErrSource.
	Open(ctx context.Context, name string, from int64) (*Stream, error)
	String() string
}

// A Stream is an open file of a Source.
type Stream struct {
	io.ReadCloser
	// From is the byte it begins with: 0 where the source cannot begin later.
	From int64
	// Size is the whole file's, -1 if unknown.
	Size int64
	// Version is the same as long as the content is; empty if unknown.
	Version string
}

// ValidName says whether a name is one that files of a source have.
func ValidName(name string) bool { return fileName.MatchString(name) }

var fileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+~^-]{0,200}$`)

// NewSource returns the source at a URL (http, https) or in a folder. proxy is an
// HTTP proxy on the way; nil for what the environment says.
func NewSource(place string, proxy *url.URL) (Source, error) {
	if !strings.Contains(place, "://") {
		root, err := os.OpenRoot(place)
		if err != nil {
			return nil, fmt.Errorf("open source: %w", err)
		}
		return folder{root}, nil
	}
	base, err := url.Parse(strings.TrimSuffix(place, "/"))
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("open source: %q is neither a folder nor the address of one (https://HOST/PATH)", place)
	}
	return &server{base: base, client: NewClient(proxy)}, nil
}

// folder is a Source on a file system. No name leads out of it.
type folder struct{ root *os.Root }

func (f folder) String() string { return f.root.Name() }

func (f folder) Open(_ context.Context, name string, from int64) (*Stream, error) {
	if !ValidName(name) {
		return nil, fmt.Errorf("%w: %q is no name of a file in it", ErrSource, name)
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", name)
	}
	if err == nil {
		_, err = file.Seek(from, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	return &Stream{ReadCloser: file, From: from, Size: info.Size()}, nil
}

// server is a Source on a web server.
type server struct {
	base   *url.URL
	client *http.Client
}

func (s *server) String() string { return s.base.Redacted() }

const (
	connectTime = 15 * time.Second
	answerTime  = 30 * time.Second
	// A connection waits that long for the next file, and so many do.
	idleTime = time.Minute
	maxIdle  = 16
	// maxRedirects is enough for release pages, which redirect once or twice.
	maxRedirects = 10
)

// NewClient returns a client that waits for nothing for ever, keeps few connections
// that it does not use, wherever it was sent, and that no redirect leads from https to
// http. proxy is as for NewSource.
func NewClient(proxy *url.URL) *http.Client {
	choose := http.ProxyFromEnvironment
	if proxy != nil {
		choose = http.ProxyURL(proxy)
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 choose,
			DialContext:           (&net.Dialer{Timeout: connectTime}).DialContext,
			TLSHandshakeTimeout:   connectTime,
			ResponseHeaderTimeout: answerTime,
			IdleConnTimeout:       idleTime,
			MaxIdleConns:          maxIdle,
			ForceAttemptHTTP2:     true,
			// A release is compressed already, and its bytes are what is signed.
			DisableCompression: true,
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			switch {
			case len(via) >= maxRedirects:
				return fmt.Errorf("%w: more than %d redirects", ErrSource, maxRedirects)
			case via[0].URL.Scheme == "https" && req.URL.Scheme != "https":
				return fmt.Errorf("%w: it redirects from https to %s", ErrSource, req.URL.Scheme)
			}
			return nil
		},
	}
}

func (s *server) Open(ctx context.Context, name string, from int64) (*Stream, error) {
	if !ValidName(name) {
		return nil, fmt.Errorf("%w: %q is no name of a file in it", ErrSource, name)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base.JoinPath(name).String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	rsp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	stream, err := OpenResponse(rsp, from)
	if err != nil {
		rsp.Body.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return stream, nil
}

// OpenResponse makes a stream of the answer to a request for a file from a byte
// on. The caller closes the body where it fails.
func OpenResponse(rsp *http.Response, from int64) (*Stream, error) {
	s := &Stream{ReadCloser: rsp.Body, Size: rsp.ContentLength, Version: rsp.Header.Get("ETag")}
	if s.Version == "" {
		s.Version = rsp.Header.Get("Last-Modified")
	}
	switch code := rsp.StatusCode; {
	case code == http.StatusOK:
		return s, nil
	case code == http.StatusPartialContent && from > 0:
		var last int64
		if _, err := fmt.Sscanf(rsp.Header.Get("Content-Range"), "bytes %d-%d/%d", &s.From, &last, &s.Size); err != nil || s.From != from || s.Size <= from {
			return nil, fmt.Errorf("%w: asked for bytes from %d on, the server gives %.60q", ErrSource, from, rsp.Header.Get("Content-Range"))
		}
		return s, nil
	case code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout:
		return nil, fmt.Errorf("the server answers %s", rsp.Status)
	default:
		return nil, fmt.Errorf("%w: the server answers %.60q", ErrSource, rsp.Status)
	}
}
