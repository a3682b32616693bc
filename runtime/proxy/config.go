// Package proxy shows the newest release of a repository as the flat folder that
// systemd-sysupdate expects: the release's own SHA256SUMS and signature, byte for
// byte, and the files that they list.
//
// Nobody needs to trust it: what it passes on is checked by whoever asked. It can
// only refuse: what is not signed, expired, or older than it may be.
package proxy

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"time"

	"github.com/mastercard/mangos/attest/strictjson"
)

// ErrConfig: the configuration is not what it should be.
var ErrConfig = errors.New("unusable configuration")

// Config is the configuration file, JSON.
type Config struct {
	// Repositories by the first part of their path: /NAME/FILE.
	Repositories map[string]RepositoryConfig `json:"repositories"`
	// Fresh is how long an answer of a repository counts as new, Stale how long
	// it is given when the repository does not answer. Durations as "10m".
	Fresh Duration `json:"fresh"`
	Stale Duration `json:"stale"`
}

// RepositoryConfig says where a repository is, and what it may give.
type RepositoryConfig struct {
	// GitHub is "OWNER/REPO" on a server that speaks GitHub's API; Folder the
	// address of a flat folder, or a local one. One of the two.
	GitHub string `json:"github"`
	Folder string `json:"folder"`
	// API is the address of the API, for GitHub Enterprise.
	API string `json:"api"`
	// TokenFile holds a token for the API.
	TokenFile string `json:"tokenFile"`
	// Prereleases says whether releases count that are marked so. Drafts never do.
	Prereleases bool `json:"prereleases"`
	// KeyFile holds the release key that must have signed, empty to leave that
	// to whoever asks.
	KeyFile string `json:"keyFile"`
	// MinimumVersion is the oldest version to give.
	MinimumVersion string `json:"minimumVersion"`
}

// Duration is a time.Duration, in text.
type Duration time.Duration

// UnmarshalText reads what time.ParseDuration does, from one second to a year.
func (d *Duration) UnmarshalText(text []byte) error {
	n, err := time.ParseDuration(string(text))
	if err != nil || n < time.Second || n > 366*24*time.Hour {
		return fmt.Errorf("duration %.40q: want one from 1s to a year, as \"10m\"", text)
	}
	*d = Duration(n)
	return nil
}

const (
	publicAPI    = "https://api.github.com"
	defaultFresh = Duration(10 * time.Minute)
	defaultStale = Duration(7 * 24 * time.Hour)
)

var (
	repositoryName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	ownerAndRepo   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$`)
)

// reserved are paths of our own.
var reserved = map[string]bool{"healthz": true, "metrics": true}

// ReadConfig reads the configuration file. Errors wrap ErrConfig.
func ReadConfig(path string) (*Config, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	c, err := ParseConfig(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// ParseConfig reads the content of a configuration file. Errors wrap ErrConfig.
func ParseConfig(raw []byte) (*Config, error) {
	c := &Config{Fresh: defaultFresh, Stale: defaultStale}
	if err := strictjson.UnmarshalKnown(raw, c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if len(c.Repositories) == 0 || c.Stale < c.Fresh {
		return nil, fmt.Errorf("%w: no repository, or \"stale\" is less than \"fresh\"", ErrConfig)
	}
	for name, r := range c.Repositories {
		if !repositoryName.MatchString(name) || reserved[name] {
			return nil, fmt.Errorf("%w: %.80q is no name of a repository", ErrConfig, name)
		}
		if r.API == "" {
			r.API = publicAPI
		}
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("%w: repository %s: %w", ErrConfig, name, err)
		}
		c.Repositories[name] = r
	}
	return c, nil
}

func (r RepositoryConfig) check() error {
	api, err := url.Parse(r.API)
	switch {
	case (r.GitHub == "") == (r.Folder == ""):
		return errors.New("want one of \"github\" and \"folder\"")
	case r.GitHub != "" && !ownerAndRepo.MatchString(r.GitHub):
		return fmt.Errorf("%.80q is not OWNER/REPO", r.GitHub)
	case err != nil || api.Scheme != "https" && api.Scheme != "http" || api.Host == "" || api.User != nil || api.RawQuery != "":
		return fmt.Errorf("%.80q is no address of an API", r.API)
	case r.TokenFile != "" && api.Scheme != "https" && !loopback(api.Hostname()):
		return errors.New("a token needs https")
	}
	return nil
}
