package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/runtime/fetch"
)

const (
	// refreshTime bounds one look at a repository.
	refreshTime = 2 * time.Minute
	// retryPause is how long a repository is left alone after it failed.
	retryPause = 30 * time.Second
)

// A repository gives the newest snapshot that it may, and remembers it.
type repository struct {
	name    string
	backend backend
	rules   rules
	fresh   time.Duration
	stale   time.Duration
	path    string // where the snapshot is kept; "" for nowhere
	now     func() time.Time
	log     *slog.Logger
	count   *counters

	group singleflight.Group
	mu    sync.Mutex
	// last is what was good last, failure why the try after it failed, and until
	// when there is no other.
	last    *snapshot
	failure error
	until   time.Time
}

// newRepository opens a repository. cache is a folder that is there, or "".
func newRepository(name string, c RepositoryConfig, fresh, stale time.Duration, cache string, now func() time.Time, log *slog.Logger, count *counters) (*repository, error) {
	r := &repository{
		name: name, fresh: fresh, stale: stale, now: now, count: count, log: log.With("repository", name),
		rules: rules{minimum: c.MinimumVersion},
	}
	var err error
	if c.KeyFile != "" {
		if r.rules.key, err = os.ReadFile(c.KeyFile); err != nil {
			return nil, fmt.Errorf("repository %s: %w", name, err)
		}
		if _, err := keys.ReleaseFingerprint(r.rules.key); err != nil {
			return nil, fmt.Errorf("repository %s: %s: %w: not a release key (%w)", name, c.KeyFile, ErrConfig, err)
		}
	}
	if r.backend, err = newBackend(c, now); err != nil {
		return nil, fmt.Errorf("repository %s: %w", name, err)
	}
	if cache != "" {
		r.path = filepath.Join(cache, name+".json")
		if kept := load(r.path); kept != nil && kept.Fetched.Before(now().Add(time.Minute)) && kept.check(r.rules, now()) == nil {
			r.last = kept
		}
	}
	return r, nil
}

func newBackend(c RepositoryConfig, now func() time.Time) (backend, error) {
	if c.Folder != "" {
		source, err := fetch.NewSource(c.Folder, nil)
		return &flat{files: source, now: now}, err
	}
	api, err := url.Parse(c.API)
	if err != nil {
		return nil, err
	}
	g := &gitHub{client: fetch.NewClient(nil), api: api, name: c.GitHub, prereleases: c.Prereleases, now: now}
	if c.TokenFile != "" {
		if g.token, err = readToken(c.TokenFile); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// readToken reads a token: one word.
func readToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(raw))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s: %w: it does not hold a token", path, ErrConfig)
	}
	return token, nil
}

// get returns a snapshot, and for how long it has been out of date: 0 where the
// repository confirmed it lately. Clients that ask at once wait for one look.
func (r *repository) get(ctx context.Context) (*snapshot, time.Duration, error) {
	if s := r.freshOne(); s != nil {
		return r.allowed(s, 0)
	}
	result := r.group.DoChan("", func() (any, error) {
		// Whoever asked first may hang up: the others still wait.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTime)
		defer cancel()
		r.refresh(ctx)
		return nil, nil
	})
	select {
	case <-result:
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	r.mu.Lock()
	s, failure := r.last, r.failure
	r.mu.Unlock()
	age := time.Duration(0)
	if s != nil {
		age = r.now().Sub(s.Fetched)
	}
	switch {
	case failure == nil && s != nil:
		return r.allowed(s, 0)
	case s == nil || age > r.stale || errors.Is(failure, ErrRefused):
		return nil, 0, failure
	}
	r.count.stale.Add(1)
	return r.allowed(s, age)
}

// allowed refuses a snapshot that expired since it was fetched.
func (r *repository) allowed(s *snapshot, age time.Duration) (*snapshot, time.Duration, error) {
	if err := s.checkExpiry(r.now()); err != nil {
		return nil, 0, err
	}
	return s, age, nil
}

func (r *repository) freshOne() *snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last != nil && r.failure == nil && r.now().Sub(r.last.Fetched) < r.fresh {
		return r.last
	}
	return nil
}

// refresh looks at the repository, unless it is to be left alone.
func (r *repository) refresh(ctx context.Context) {
	r.mu.Lock()
	old, now := r.last, r.now()
	quiet := now.Before(r.until)
	r.mu.Unlock()
	if quiet || r.freshOne() != nil {
		return
	}
	next, err := r.backend.latest(ctx, old)
	if err == nil {
		err = next.check(r.rules, r.now())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failure, r.until = err, time.Time{}
	if err == nil {
		r.count.refreshed.Add(1)
		if old == nil || old.Tag != next.Tag || string(old.Sums) != string(next.Sums) {
			r.log.Info("new release", "tag", next.Tag)
		}
		r.last = next
		if r.path != "" {
			if err := next.save(r.path); err != nil {
				r.log.Warn("the answer cannot be kept", "error", err)
			}
		}
		return
	}
	r.count.failed.Add(1)
	r.until = r.now().Add(retryPause)
	var wait *limited
	if errors.As(err, &wait) {
		r.until = wait.until
	}
	r.log.Warn("the repository was looked at in vain", "error", err)
}

// wait is how long whoever asked should wait before asking again.
func (r *repository) wait() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(r.until.Sub(r.now()), time.Second)
}
