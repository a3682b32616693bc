package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/mastercard/mangos/attest/strictjson"
	"github.com/mastercard/mangos/runtime/fetch"
	"github.com/mastercard/mangos/runtime/release"
	"github.com/mastercard/mangos/runtime/version"
)

// A backend is a place where releases are. Source reads the files of a snapshot.
type backend interface {
	// latest asks for the newest release. Where the repository says that old,
	// which may be nil, is still it, old is returned with a new time.
	latest(ctx context.Context, old *snapshot) (*snapshot, error)
	source(s *snapshot) fetch.Source
}

// limited says that the repository wants to be left alone for a while.
type limited struct{ until time.Time }

func (l *limited) Error() string {
	return "the repository's rate limit is reached until " + l.until.UTC().Format(time.RFC3339)
}

// patience with a repository: a client waits meanwhile.
var patience = fetch.Patience{Window: 15 * time.Second, Least: 16 << 10, Total: 30 * time.Second, Pause: 500 * time.Millisecond}

// readManifest reads manifest and signature.
func readManifest(ctx context.Context, from fetch.Source, s *snapshot) (err error) {
	if s.Sums, err = fetch.All(ctx, from, release.SumsFile, release.MaxSums, patience); err != nil {
		return err
	}
	s.Signature, err = fetch.All(ctx, from, release.SignatureFile, release.MaxSignature, patience)
	return err
}

// gitHub is a repository on a server that speaks GitHub's REST API.
type gitHub struct {
	client      *http.Client
	api         *url.URL
	name        string // OWNER/REPO
	token       string
	prereleases bool
	now         func() time.Time
}

const (
	// A release has more than a hundred files, and of each the list has some 1.8 kB:
	// that many of them are shorter than maxPage.
	perPage = 30
	// Of a long list the newest releases are enough: those are listed first.
	maxPages = 20
	maxPage  = 8 << 20 // bytes
	maxList  = 2 * maxPage
)

// A listed release, as far as it is of interest. Digests are not: they may be null,
// and the manifest has better ones.
type listedRelease struct {
	Tag        string `json:"tag_name"`
	Draft      bool   `json:"draft"`
	Prerelease bool   `json:"prerelease"`
	Assets     []struct {
		ID       int64  `json:"id"`
		Name     string `json:"name"`
		State    string `json:"state"`
		Size     int64  `json:"size"`
		URL      string `json:"url"`
		Download string `json:"browser_download_url"`
		Updated  string `json:"updated_at"`
	} `json:"assets"`
}

func (g *gitHub) latest(ctx context.Context, old *snapshot) (*snapshot, error) {
	var all []listedRelease
	next := &snapshot{Assets: map[string]asset{}, Fetched: g.now()}
	size := 0
	for page := 1; page <= maxPages && size < maxList; page++ {
		etag := ""
		if page == 1 && old != nil {
			etag = old.ETag
		}
		list, err := g.page(ctx, page, etag)
		if errors.Is(err, errUnchanged) {
			same := *old
			same.Fetched = next.Fetched
			return &same, nil
		}
		if err != nil {
			return nil, err
		}
		if page == 1 {
			next.ETag = list.etag
		}
		size += list.size
		if all = append(all, list.releases...); !list.more {
			break
		}
	}
	if err := g.choose(all, next); err != nil {
		return nil, err
	}
	return next, readManifest(ctx, g.source(next), next)
}

var errUnchanged = errors.New("not modified")

// nextPage is in the header Link where there is another page. Its address is made
// by us, so that the server cannot lead elsewhere.
var nextPage = regexp.MustCompile(`rel="?next"?`)

// A listPage is a page of the list of releases.
type listPage struct {
	releases []listedRelease
	size     int // in bytes
	more     bool
	etag     string
}

func (g *gitHub) page(ctx context.Context, page int, etag string) (*listPage, error) {
	u := g.api.JoinPath("repos", g.name, "releases")
	u.RawQuery = url.Values{"per_page": {strconv.Itoa(perPage)}, "page": {strconv.Itoa(page)}}.Encode()
	rsp, err := g.get(ctx, u.String(), "application/vnd.github+json", http.Header{"If-None-Match": {etag}})
	if err != nil {
		return nil, err
	}
	defer rsp.Body.Close()
	switch rsp.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		return nil, errUnchanged
	default:
		return nil, fmt.Errorf("%w: %s answers %.60q", ErrUpstream, g.api.Host, rsp.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(rsp.Body, maxPage+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxPage {
		return nil, fmt.Errorf("%w: a page of its list has more than %d bytes", ErrUpstream, maxPage)
	}
	list := &listPage{size: len(raw), more: nextPage.MatchString(rsp.Header.Get("Link")), etag: rsp.Header.Get("ETag")}
	if err := strictjson.Unmarshal(raw, &list.releases); err != nil {
		return nil, fmt.Errorf("%w: its list of releases: %w", ErrUpstream, err)
	}
	return list, nil
}

// get asks with the token. An answer that says that the rate limit is reached is
// a *limited.
func (g *gitHub) get(ctx context.Context, address, accept string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		if len(values) > 0 && values[0] != "" {
			req.Header[name] = values
		}
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	req.Header.Set("User-Agent", "mangos-sd-gh-proxy")
	// The client takes the token away when it is redirected to another host.
	if g.token != "" && req.URL.Host == g.api.Host {
		req.Header.Set("Authorization", "Bearer "+g.token)
	}
	rsp, err := g.client.Do(req)
	if err != nil {
		return nil, err
	}
	if until, reached := fetch.Limited(rsp, g.now()); reached {
		rsp.Body.Close()
		return nil, &limited{until}
	}
	return rsp, nil
}

// choose finds the newest release that is complete (the manifest and its signature
// are published last), and the files of it and of older ones, which a manifest
// may list, too.
func (g *gitHub) choose(all []listedRelease, s *snapshot) error {
	found := false
	from := map[string]string{} // the tag of the release that a file is from
	for _, r := range all {
		if r.Draft || r.Prerelease && !g.prereleases {
			continue
		}
		files := map[string]asset{}
		for _, a := range r.Assets {
			address := a.Download
			if g.token != "" {
				address = a.URL // where a token is needed
			}
			if a.State != "uploaded" || a.Size < 0 || !fetch.ValidName(a.Name) || !g.usable(address) {
				continue
			}
			files[a.Name] = asset{URL: address, Size: a.Size, Version: fmt.Sprintf(`"%d-%s"`, a.ID, clean(a.Updated))}
		}
		_, sums := files[release.SumsFile]
		_, signature := files[release.SignatureFile]
		complete := sums && signature
		if complete && (!found || version.Compare(tagVersion(r.Tag), tagVersion(s.Tag)) > 0) {
			s.Tag, found = r.Tag, true
			s.Assets[release.SumsFile], s.Assets[release.SignatureFile] = files[release.SumsFile], files[release.SignatureFile]
		}
		for name, a := range files {
			if name == release.SumsFile || name == release.SignatureFile {
				continue
			}
			if other, known := from[name]; !known || version.Compare(tagVersion(r.Tag), tagVersion(other)) > 0 {
				s.Assets[name], from[name] = a, r.Tag
			}
		}
	}
	if !found {
		return fmt.Errorf("%w: none of its %d releases has a %s and its signature", ErrUpstream, len(all), release.SumsFile)
	}
	return nil
}

// usable refuses addresses that are less safe than the API's.
func (g *gitHub) usable(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == g.api.Scheme && u.Scheme == "http")
}

func (g *gitHub) source(s *snapshot) fetch.Source { return assets{g, s} }

// assets are the files of a snapshot.
type assets struct {
	g *gitHub
	s *snapshot
}

func (a assets) String() string { return a.g.name }

func (a assets) Open(ctx context.Context, name string, from int64) (*fetch.Stream, error) {
	file, ok := a.s.Assets[name]
	if !ok {
		return nil, fmt.Errorf("%w: it has no %s", fetch.ErrSource, name)
	}
	header := http.Header{}
	if from > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	rsp, err := a.g.get(ctx, file.URL, "application/octet-stream", header)
	var wait *limited
	if errors.As(err, &wait) {
		return nil, fmt.Errorf("%w: %w", fetch.ErrSource, err) // waiting is for whoever asked
	}
	if err != nil {
		return nil, err
	}
	stream, err := fetch.OpenResponse(rsp, from)
	if err != nil {
		rsp.Body.Close()
	}
	return stream, err
}

// flat is a folder that is what we show already.
type flat struct {
	files fetch.Source
	now   func() time.Time
}

func (f *flat) latest(ctx context.Context, _ *snapshot) (*snapshot, error) {
	s := &snapshot{Fetched: f.now()}
	return s, readManifest(ctx, f.files, s)
}

func (f *flat) source(*snapshot) fetch.Source { return f.files }
