package proxytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// This half of the page lets releases be made. What nobody may do to releases is an error
// of the test: to change a published one, to remove a whole file, to publish a part.

// serveRelease answers what is about one release, or changes one, and tells whether the
// request was such.
func (p *Page) serveRelease(w http.ResponseWriter, r *http.Request) bool {
	rest := strings.TrimPrefix(r.URL.Path, releases)
	release, assets := p.find(strings.TrimSuffix(rest, "/assets"))
	switch {
	case r.Method == http.MethodPost && rest == "":
		p.create(w, r)
	case r.Method == http.MethodDelete:
		p.remove(w, r)
	case release == nil:
		return false
	case r.Method == http.MethodPatch:
		p.publish(w, r, release)
	case strings.HasSuffix(rest, "/assets"):
		number, first, last := p.part(r, len(assets))
		if last < len(assets) {
			w.Header().Set("Link", fmt.Sprintf(`<http://evil.example/?page=%d>; rel="next"`, number+1))
		}
		_, _ = w.Write(p.encode(assets[first:last]))
	default:
		_, _ = w.Write(p.encode(p.describe(release)))
	}
	return true
}

// find finds a release by "/tags/TAG", where drafts are not, or by "/ID".
func (p *Page) find(path string) (*Release, []map[string]any) {
	for i := range p.Releases {
		r := &p.Releases[i]
		p.describe(r) // gives it its number
		if path == "/tags/"+r.Tag && !r.Draft || path == fmt.Sprintf("/%d", r.id) {
			return r, p.assets(r)
		}
	}
	return nil, nil
}

// asset finds a file by its number.
func (p *Page) asset(id string) (*Release, string) {
	for i := range p.Releases {
		for name := range p.Releases[i].Files {
			if fmt.Sprint(assetID(&p.Releases[i], name)) == id {
				return &p.Releases[i], name
			}
		}
	}
	return nil, ""
}

func (p *Page) create(w http.ResponseWriter, r *http.Request) {
	var made struct {
		Tag        string `json:"tag_name"`
		Body       string `json:"body"`
		Draft      bool   `json:"draft"`
		Prerelease bool   `json:"prerelease"`
	}
	if err := json.NewDecoder(r.Body).Decode(&made); err != nil || !made.Draft {
		p.t.Errorf("a release is made that is no draft: %+v, %v", made, err)
	}
	p.Releases = slices.Insert(p.Releases, 0, Release{Tag: made.Tag, Body: made.Body, Draft: true, Prerelease: made.Prerelease, Files: map[string][]byte{}})
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(p.encode(p.describe(&p.Releases[0])))
}

func (p *Page) publish(w http.ResponseWriter, r *http.Request, release *Release) {
	var to struct{ Draft *bool }
	if err := json.NewDecoder(r.Body).Decode(&to); err != nil || to.Draft == nil || *to.Draft || !release.Draft {
		p.t.Errorf("release %s is changed", release.Tag)
	}
	if other, _ := p.find("/tags/" + release.Tag); other != nil {
		p.refuse(w)
		return
	}
	for _, name := range []string{"SHA256SUMS", "SHA256SUMS.gpg"} {
		if release.Files[name] == nil || len(release.Broken) > 0 {
			p.t.Errorf("release %s is published with %d files broken, or without %s", release.Tag, len(release.Broken), name)
		}
	}
	for line := range bytes.Lines(release.Files["SHA256SUMS"]) {
		if name := string(bytes.TrimSpace(line[66:])); release.Files[name] == nil {
			p.t.Errorf("release %s is published without %s", release.Tag, name)
		}
	}
	release.Draft = false
	_, _ = w.Write(p.encode(p.describe(release)))
}

func (p *Page) remove(w http.ResponseWriter, r *http.Request) {
	release, name := p.asset(strings.TrimPrefix(r.URL.Path, private))
	if release == nil {
		http.NotFound(w, r)
		return
	}
	if !release.Draft || !release.Broken[name] {
		p.t.Errorf("%s of release %s is removed", name, release.Tag)
	}
	delete(release.Files, name)
	delete(release.Broken, name)
	w.WriteHeader(http.StatusNoContent)
}

// refuse says that something is there already.
func (p *Page) refuse(w http.ResponseWriter) {
	w.WriteHeader(http.StatusUnprocessableEntity)
	_, _ = w.Write(p.encode(map[string]any{"message": "Validation Failed", "errors": []any{map[string]string{"resource": "ReleaseAsset", "code": "already_exists", "field": "name"}}}))
}

// renamed is what stands in a name for what GitHub does not take.
var renamed = regexp.MustCompile(`[^A-Za-z0-9._+-]`)

// serveUploads takes files. Of an upload that breaks off a name without content is left.
func (p *Page) serveUploads(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(r.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	release, _ := p.find(strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, releases), "/assets"))
	if r.Header.Get("Authorization") != "Bearer "+p.Token || release == nil || r.Method != http.MethodPost {
		http.Error(w, `{"message": "Not Found"}`, http.StatusNotFound)
		return
	}
	name := renamed.ReplaceAllString(r.URL.Query().Get("name"), ".")
	if r.ContentLength <= 0 {
		http.Error(w, `{"message": "Bad Content-Length: "}`, http.StatusBadRequest)
		return
	}
	if !release.Draft {
		p.t.Errorf("%s is sent to release %s, which is published", name, release.Tag)
	}
	if release.Files[name] != nil {
		p.refuse(w)
		return
	}
	if err != nil {
		if release.Broken == nil {
			release.Broken = map[string]bool{}
		}
		release.Files[name], release.Broken[name] = []byte{}, true
		return
	}
	release.Files[name] = content
	p.Sent = append(p.Sent, name)
	_, assets := p.find(fmt.Sprintf("/%d", release.id))
	w.WriteHeader(http.StatusCreated)
	for _, a := range assets {
		if a["name"] == name {
			_, _ = w.Write(p.encode(a))
		}
	}
}
