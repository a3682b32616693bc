package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/mastercard/mangos/attest/strictjson"
	"github.com/mastercard/mangos/runtime/fetch"
)

// PublicAPI is the address of github.com's API.
const PublicAPI = "https://api.github.com"

const (
	// maxAssets and maxAsset are GitHub's limits of a release: files, and bytes of one.
	maxAssets = 1000
	maxAsset  = 2<<30 - 1
	// releasesPerPage lets a page of releases, with their files, be shorter than
	// maxAnswer; maxPages bounds lists that do not end.
	releasesPerPage = 30
	assetsPerPage   = 100
	maxPages        = 100
)

// GitHubOptions say where a release page is.
type GitHubOptions struct {
	// Repository is OWNER/REPO, API the address of the API.
	Repository, API string
	// Uploads is where files are sent, SCHEME://HOST. Empty: the API's own host, or for
	// api.HOST uploads.HOST.
	Uploads string
	Token   string
	// Tag is the release's, empty for v and its version.
	Tag        string
	Prerelease bool
	// Notes begin the text of the release.
	Notes string
	// Transport is the way to the servers, nil for the usual one.
	Transport http.RoundTripper
}

// gitHub is a release page on a server that speaks GitHub's REST API. Files go into a
// draft, which nobody sees who may not write there, and which is published when it is
// complete. The draft is known by a line in its text that holds the manifest's sum.
type gitHub struct {
	o            GitHubOptions
	r            *Release
	web          *web
	api, uploads *url.URL

	// id is the release's on the page, 0 before it is known; upload where its files are
	// sent; assets what it has.
	id     int64
	upload *url.URL
	assets map[string]listedAsset
}

var (
	ownerAndRepo = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$`)
	// tagName has no slash, because it is part of a path, and nothing that git refuses.
	tagName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_+-]*(\.[A-Za-z0-9_+-]+)*$`)
	// assetName is what GitHub does not rename.
	assetName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*[A-Za-z0-9_+-]$`)
)

// NewGitHub returns the page of a release on a server that speaks GitHub's API. Errors
// wrap ErrPlace.
func NewGitHub(r *Release, o GitHubOptions) (Destination, error) {
	if o.Tag == "" {
		o.Tag = "v" + r.Version
	}
	switch {
	case !ownerAndRepo.MatchString(o.Repository):
		return nil, fmt.Errorf("%w: %.100q is not OWNER/REPO", ErrPlace, o.Repository)
	case !tagName.MatchString(o.Tag) || strings.HasSuffix(o.Tag, ".lock") || len(o.Tag) > 200:
		return nil, fmt.Errorf("%w: %.100q is no tag; name one with --tag", ErrPlace, o.Tag)
	case len(r.Files) > maxAssets:
		return nil, fmt.Errorf("%w: the release has %d files, GitHub takes at most %d", ErrPlace, len(r.Files), maxAssets)
	}
	for _, f := range r.Files {
		switch {
		case !assetName.MatchString(f.Name):
			return nil, fmt.Errorf("%w: GitHub would rename %s; give the release a version without ~ and ^", ErrPlace, f.Name)
		case f.Size < 1 || f.Size > maxAsset:
			return nil, fmt.Errorf("%w: %s has %d bytes, GitHub takes 1 to %d", ErrPlace, f.Name, f.Size, maxAsset)
		}
	}
	g := &gitHub{o: o, r: r}
	var err error
	if g.api, err = parseBase(o.API, o.Token); err != nil {
		return nil, err
	}
	if g.uploads, err = parseBase(uploadsOf(g.api, o.Uploads), o.Token); err != nil {
		return nil, err
	}
	g.web = newWeb(o.Token, []string{originOf(g.api), originOf(g.uploads)}, o.Transport)
	return g, nil
}

// uploadsOf is where files for an API are sent, if nothing else is said.
func uploadsOf(api *url.URL, said string) string {
	if said != "" {
		return said
	}
	if host, ok := strings.CutPrefix(api.Host, "api."); ok {
		return api.Scheme + "://uploads." + host
	}
	return api.Scheme + "://" + api.Host
}

func (g *gitHub) String() string {
	return "release " + g.o.Tag + " of " + g.o.Repository + " at " + g.api.Host
}

// mark is the line in the text of our draft.
func (g *gitHub) mark() string { return fmt.Sprintf("SHA256SUMS sha256:%x", g.r.manifest().Sum) }

// A listedRelease is a release as the API tells of it.
type listedRelease struct {
	ID        int64  `json:"id"`
	Tag       string `json:"tag_name"`
	Draft     bool   `json:"draft"`
	Body      string `json:"body"`
	UploadURL string `json:"upload_url"`
	Page      string `json:"html_url"`
}

// A listedAsset is a file of a release.
type listedAsset struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	State string `json:"state"`
	Size  int64  `json:"size"`
	// Digest is null with older servers, and for older files.
	Digest string `json:"digest"`
}

func (g *gitHub) Find(ctx context.Context, _ []File) (*Found, error) {
	on, err := g.release(ctx)
	if err != nil {
		return nil, err
	}
	if on == nil {
		g.id, g.assets = 0, nil
		return &Found{}, nil
	}
	if err := g.take(on); err != nil {
		return nil, err
	}
	if g.assets, err = g.list(ctx, on.ID); err != nil {
		return nil, err
	}
	found := &Found{Prepared: true, Published: !on.Draft, Files: map[string]Present{}, Address: on.Page}
	var names []string
	for name, a := range g.assets {
		names = append(names, name)
		present := Present{Size: a.Size, Broken: a.State != "uploaded", Version: strconv.FormatInt(a.ID, 10)}
		if text, ok := strings.CutPrefix(a.Digest, "sha256:"); ok {
			sum, err := hex.DecodeString(text)
			if err != nil || len(sum) != sha256.Size {
				return nil, fmt.Errorf("%w: %s tells the digest %.100q", ErrPlace, g.api.Host, a.Digest)
			}
			present.Sum = (*[sha256.Size]byte)(sum)
		}
		found.Files[name] = present
	}
	return found, unexpected(names, g.r)
}

// take remembers which release it is.
func (g *gitHub) take(on *listedRelease) error {
	address, _, _ := strings.Cut(on.UploadURL, "{")
	upload, err := url.Parse(address)
	switch {
	case on.Tag != g.o.Tag || on.ID <= 0:
		return fmt.Errorf("%w: %s tells of another release, %.100q", ErrPlace, g.api.Host, on.Tag)
	case err != nil || originOf(upload) != originOf(g.uploads):
		return fmt.Errorf("%w: %s wants files to be sent to %.100q, and not to %s; if that is right, say so with --uploads",
			ErrPlace, g.api.Host, address, g.uploads.Host)
	}
	g.id, g.upload = on.ID, upload
	return nil
}

// release finds the release with the tag: the published one or our draft, nil if there is
// neither.
func (g *gitHub) release(ctx context.Context) (*listedRelease, error) {
	if on, err := g.get(ctx, "tags", g.o.Tag); err != nil || on != nil && !on.Draft {
		return on, err
	}
	if g.id != 0 { // the list may be behind
		if on, err := g.get(ctx, strconv.FormatInt(g.id, 10)); err != nil || on != nil {
			return on, err
		}
	}
	drafts, err := g.drafts(ctx)
	switch {
	case err != nil || len(drafts) == 0:
		return nil, err
	case len(drafts) > 1:
		return nil, fmt.Errorf("%w: %d drafts with the tag %s; delete them on the page", ErrTaken, len(drafts), g.o.Tag)
	case !strings.Contains(drafts[0].Body, g.mark()):
		return nil, fmt.Errorf("%w: a draft with the tag %s that was not made for this release; delete it on the page, or choose another tag", ErrTaken, g.o.Tag)
	}
	return &drafts[0], nil
}

// nextPage is in the header Link where there is another page.
var nextPage = regexp.MustCompile(`rel="?next"?`)

// drafts lists the drafts with the tag. Only the list has drafts.
func (g *gitHub) drafts(ctx context.Context) (found []listedRelease, err error) {
	for page := 1; page <= maxPages; page++ {
		var list []listedRelease
		more, err := g.page(ctx, &list, page, releasesPerPage, "releases")
		if err != nil {
			return nil, err
		}
		for _, r := range list {
			if r.Draft && r.Tag == g.o.Tag {
				found = append(found, r)
			}
		}
		if !more {
			return found, nil
		}
	}
	return nil, fmt.Errorf("%w: %s lists more than %d releases, and drafts cannot be told from them", ErrPlace, g.api.Host, maxPages*releasesPerPage)
}

// list returns the files of a release.
func (g *gitHub) list(ctx context.Context, id int64) (map[string]listedAsset, error) {
	all := map[string]listedAsset{}
	for page := 1; page <= maxAssets/assetsPerPage+1; page++ {
		var list []listedAsset
		more, err := g.page(ctx, &list, page, assetsPerPage, "releases", strconv.FormatInt(id, 10), "assets")
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			if _, twice := all[a.Name]; twice || a.ID <= 0 || a.Size < 0 {
				return nil, fmt.Errorf("%w: %s lists %.100q twice, or without a number", ErrPlace, g.api.Host, a.Name)
			}
			all[a.Name] = a
		}
		if !more {
			return all, nil
		}
	}
	return nil, fmt.Errorf("%w: %s lists more files than a release can have", ErrPlace, g.api.Host)
}

// Prepare makes the draft.
func (g *gitHub) Prepare(ctx context.Context) error {
	if g.o.Token == "" {
		return fmt.Errorf("%w: publishing on %s needs a token", ErrPlace, g.api.Host)
	}
	text := g.o.Notes
	if text != "" {
		text = strings.TrimRight(text, "\n") + "\n\n"
	}
	var on listedRelease
	if err := g.change(ctx, http.MethodPost, http.StatusCreated, map[string]any{
		"tag_name": g.o.Tag, "name": g.r.String(), "body": text + g.mark() + "\n", "draft": true, "prerelease": g.o.Prerelease,
	}, &on, "releases"); err != nil {
		return err
	}
	if !on.Draft {
		return fmt.Errorf("%w: %s made a release, and no draft", ErrPlace, g.api.Host)
	}
	return g.take(&on)
}

// Send uploads a file into the draft. What is left of a broken upload is removed first.
func (g *gitHub) Send(ctx context.Context, f File) error {
	if left, ok := g.assets[f.Name]; ok {
		if err := g.remove(ctx, left); err != nil {
			return err
		}
	}
	u := *g.upload
	u.RawQuery = url.Values{"name": {f.Name}}.Encode()
	rsp, text, err := g.web.do(ctx, request{method: http.MethodPost, url: &u, file: &f,
		header: header("application/octet-stream")})
	if err != nil {
		return err
	}
	if rsp.StatusCode != http.StatusCreated {
		why, taken := message(text)
		if taken {
			return fmt.Errorf("%w: %s is there meanwhile", ErrBroken, f.Name)
		}
		return refusal(&u, rsp, why)
	}
	var a listedAsset
	if err := strictjson.Unmarshal(text, &a); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrBroken, u.Host, err)
	}
	if a.Name != f.Name {
		return fmt.Errorf("%w: %s calls %s %.100q; delete the draft on the page", ErrPlace, u.Host, f.Name, a.Name)
	}
	return nil
}

// remove removes what is left of a broken upload, and nothing else.
func (g *gitHub) remove(ctx context.Context, left listedAsset) error {
	if left.State == "uploaded" {
		return fmt.Errorf("%w: %s", ErrTaken, left.Name)
	}
	u := g.path("releases", "assets", strconv.FormatInt(left.ID, 10))
	rsp, text, err := g.web.do(ctx, request{method: http.MethodDelete, url: u, header: header("")})
	if err != nil {
		return err
	}
	if rsp.StatusCode != http.StatusNoContent && rsp.StatusCode != http.StatusNotFound {
		why, _ := message(text)
		return refusal(u, rsp, why)
	}
	return nil
}

// Finish publishes the draft.
func (g *gitHub) Finish(ctx context.Context) error {
	var on listedRelease
	if err := g.change(ctx, http.MethodPatch, http.StatusOK, map[string]any{"draft": false, "prerelease": g.o.Prerelease},
		&on, "releases", strconv.FormatInt(g.id, 10)); err != nil {
		return err
	}
	if on.Draft {
		return fmt.Errorf("%w: %s leaves it a draft", ErrPlace, g.api.Host)
	}
	return nil
}

// Open reads a file of the release back. The API redirects to where it is stored.
func (g *gitHub) Open(ctx context.Context, name string, from int64) (*fetch.Stream, error) {
	a, ok := g.assets[name]
	if !ok {
		return nil, fmt.Errorf("%w: it has no %s", fetch.ErrSource, name)
	}
	return g.web.stream(ctx, g.path("releases", "assets", strconv.FormatInt(a.ID, 10)), from)
}

func (g *gitHub) path(parts ...string) *url.URL {
	return g.api.JoinPath(append([]string{"repos", g.o.Repository}, parts...)...)
}

func header(content string) http.Header {
	h := http.Header{"Accept": {"application/vnd.github+json"}, "X-Github-Api-Version": {"2022-11-28"}}
	if content != "" {
		h.Set("Content-Type", content)
	}
	return h
}

// get asks for a release; nil: it is not there.
func (g *gitHub) get(ctx context.Context, parts ...string) (*listedRelease, error) {
	var on listedRelease
	_, err := g.ask(ctx, g.path(append([]string{"releases"}, parts...)...), &on)
	if errors.Is(err, errNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &on, nil
}

// page asks for a page of a list, and reports whether there are more.
func (g *gitHub) page(ctx context.Context, into any, page, perPage int, parts ...string) (more bool, err error) {
	u := g.path(parts...)
	u.RawQuery = url.Values{"per_page": {strconv.Itoa(perPage)}, "page": {strconv.Itoa(page)}}.Encode()
	rsp, err := g.ask(ctx, u, into)
	if errors.Is(err, errNone) {
		return false, fmt.Errorf("%w: %s has no %s, or does not show it to who has this token", ErrPlace, g.api.Host, g.o.Repository)
	}
	if err != nil {
		return false, err
	}
	return nextPage.MatchString(strings.Join(rsp.Header["Link"], ",")), nil
}

// errNone: what was asked for is not there.
var errNone = errors.New("not there")

func (g *gitHub) ask(ctx context.Context, u *url.URL, into any) (*http.Response, error) {
	rsp, text, err := g.web.do(ctx, request{method: http.MethodGet, url: u, header: header("")})
	if err != nil {
		return nil, err
	}
	switch rsp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, errNone
	default:
		why, _ := message(text)
		return nil, refusal(u, rsp, why)
	}
	if err := strictjson.Unmarshal(text, into); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrPlace, u.Host, err)
	}
	return rsp, nil
}

// change sends JSON and reads the answer.
func (g *gitHub) change(ctx context.Context, method string, want int, body map[string]any, into any, parts ...string) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	u := g.path(parts...)
	rsp, answer, err := g.web.do(ctx, request{method: method, url: u, text: text, header: header("application/json")})
	if err != nil {
		return err
	}
	if rsp.StatusCode != want {
		why, taken := message(answer)
		if taken {
			return fmt.Errorf("%w: the tag %s", ErrTaken, g.o.Tag)
		}
		if rsp.StatusCode == http.StatusNotFound {
			why = "may who has this token write there? " + why
		}
		return refusal(u, rsp, why)
	}
	if err := strictjson.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrPlace, u.Host, err)
	}
	return nil
}

// message reads why the API refuses, and whether because something is there already.
func message(text []byte) (why string, taken bool) {
	var m struct {
		Message string `json:"message"`
		Errors  []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if strictjson.Unmarshal(text, &m) != nil || m.Message == "" {
		return "", false
	}
	why = fmt.Sprintf("%.200q", m.Message)
	for i, e := range m.Errors {
		taken = taken || e.Code == "already_exists"
		if i < 3 {
			why += fmt.Sprintf(", %.100q", e.Code+" "+e.Message)
		}
	}
	return why, taken
}
