package repository

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

// Bounds of what a web server can make us do.
const (
	webTimeout   = 60 * time.Second // of one file
	maxRedirects = 5
	maxHeader    = 64 << 10
)

// client follows redirects on the same server only: an answer from elsewhere is
// not what the reader asked for.
var client = &http.Client{
	Timeout: webTimeout,
	Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxHeader,
		ResponseHeaderTimeout: 20 * time.Second, TLSHandshakeTimeout: 10 * time.Second, DisableCompression: true,
		MaxIdleConnsPerHost: 8,
	},
	CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return fmt.Errorf("more than %d redirects", maxRedirects)
		}
		if first := via[0].URL; r.URL.Host != first.Host || r.URL.Scheme != first.Scheme {
			return fmt.Errorf("%w: redirected to another server", ErrUnsafe)
		}
		return nil
	},
}

// IsAddress tells whether a place is an address on a web server.
func IsAddress(place string) bool {
	return strings.HasPrefix(place, "http://") || strings.HasPrefix(place, "https://")
}

// At is the place of one organisation's evidence by its address, which ends in
// RELEASE/ORGANISATION. Nothing is asked of the server yet.
func At(address string) (*Folder, error) {
	at, err := parse(address)
	if err != nil {
		return nil, err
	}
	at.Path = path.Join("/", at.Path)
	above, organisation := path.Split(at.Path)
	release := path.Base(above)
	if organisation == "" || release == "/" {
		return nil, fmt.Errorf("%s: %w: the address of evidence ends in RELEASE/ORGANISATION", address, ErrPlace)
	}
	return onWeb(*at, release, organisation), nil
}

// parse accepts an address that files can lie below.
func parse(address string) (*url.URL, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("%q: %w: a base address has a host and a path, and nothing else", address, ErrPlace)
	}
	return base, nil
}

func onWeb(at url.URL, release, organisation string) *Folder {
	return &Folder{
		Release: release, Organisation: organisation, Place: at.String(),
		open: func(ctx context.Context, name string) (io.ReadCloser, error) { return get(ctx, at, name) },
	}
}

// findWeb names the places of the organisations below a base address. A web
// server is not asked for a list: only organisations that the reader knows
// count anyway.
func findWeb(ctx context.Context, place, release string, organisations []string) ([]*Folder, error) {
	base, err := parse(place)
	if err != nil {
		return nil, err
	}
	if release == "" {
		return nil, fmt.Errorf("%s: %w: for an address the release must be named (--release)", place, ErrPlace)
	}
	var list []*Folder
	for _, id := range organisations {
		at := *base
		at.Path = path.Join("/", base.Path, release, id)
		f := onWeb(at, release, id)
		found := false
		for _, name := range []string{Commitment, Build} {
			in, err := f.open(ctx, name)
			if err == nil {
				in.Close()
				found = true
				break
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		if found {
			list = append(list, f)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: %w for release %q", place, ErrEmpty, release)
	}
	return list, nil
}

// get opens a file of a web server.
func get(ctx context.Context, at url.URL, name string) (io.ReadCloser, error) {
	at.Path = strings.TrimSuffix(at.Path, "/") + "/" + name
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	switch answer.StatusCode {
	case http.StatusOK:
		return answer.Body, nil
	case http.StatusNotFound, http.StatusGone:
		answer.Body.Close()
		return nil, fmt.Errorf("get %s: %w", at.String(), fs.ErrNotExist)
	}
	answer.Body.Close()
	return nil, fmt.Errorf("get %s: the server answers %s", at.String(), answer.Status)
}
