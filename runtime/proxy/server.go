package proxy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mastercard/mangos/runtime/fetch"
	"github.com/mastercard/mangos/runtime/release"
)

const (
	// maxRequests are served at once; more are told to come again.
	maxRequests = 1500
	// writeTime is how long a client may take for one piece of an answer.
	writeTime = 60 * time.Second
)

// Server answers requests for /REPOSITORY/FILE.
type Server struct {
	repositories map[string]*repository
	now          func() time.Time
	log          *slog.Logger
	count        counters
	slots        chan struct{}
	writeTime    time.Duration
}

// counters are what /metrics shows.
type counters struct {
	requests  [6]atomic.Int64 // by the first digit of the status
	bytes     atomic.Int64
	refreshed atomic.Int64
	failed    atomic.Int64
	stale     atomic.Int64
}

// New makes a server. cache is a folder for what outlives it, "" for none; now is
// the clock.
func New(c *Config, cache string, now func() time.Time, log *slog.Logger) (*Server, error) {
	s := &Server{repositories: map[string]*repository{}, now: now, log: log, slots: make(chan struct{}, maxRequests), writeTime: writeTime}
	if cache != "" {
		if err := os.MkdirAll(cache, 0o700); err != nil {
			return nil, err
		}
	}
	for name, rc := range c.Repositories {
		r, err := newRepository(name, rc, time.Duration(c.Fresh), time.Duration(c.Stale), cache, now, log, &s.count)
		if err != nil {
			return nil, err
		}
		s.repositories[name] = r
	}
	return s, nil
}

// HTTP is a server with this handler that waits for no client for ever.
func (s *Server) HTTP() *http.Server {
	return &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
}

// ServeHTTP answers a request, with a status in any case.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := s.now()
	a := &answer{ResponseWriter: w, control: http.NewResponseController(w), patience: s.writeTime}
	s.serve(a, r)
	a.finish()
	s.count.requests[min(a.status/100, 5)].Add(1)
	s.count.bytes.Add(a.sent)
	s.log.Debug("request", "method", r.Method, "path", r.URL.Path, "status", a.status, "bytes", a.sent, "duration", s.now().Sub(begin))
}

func (s *Server) serve(a *answer, r *http.Request) {
	a.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		a.Header().Set("Allow", "GET, HEAD")
		a.fail(http.StatusMethodNotAllowed, "only GET and HEAD")
		return
	}
	// A page in a browser must not reach us by a name that it chose.
	if !localName(r.Host) {
		a.fail(http.StatusMisdirectedRequest, "ask for localhost")
		return
	}
	switch r.URL.Path {
	case "/healthz":
		a.text("ok\n")
		return
	case "/metrics":
		a.text(s.metrics())
		return
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		a.Header().Set("Retry-After", "1")
		a.fail(http.StatusServiceUnavailable, "too many requests at once")
		return
	}
	name, file, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	repo := s.repositories[name]
	if !ok || repo == nil || !fetch.ValidName(file) {
		a.fail(http.StatusNotFound, "want /REPOSITORY/FILE of a repository in the configuration")
		return
	}
	s.file(a, r, repo, file)
}

func (s *Server) file(a *answer, r *http.Request, repo *repository, name string) {
	// Each of several ranges would be a request to the repository: the whole file is
	// an answer, too (RFC 9110, 14.2).
	if strings.Contains(r.Header.Get("Range"), ",") {
		r.Header.Del("Range")
	}
	snap, age, err := repo.get(r.Context())
	if err != nil {
		a.failed(err, repo)
		return
	}
	if age > 0 {
		a.Header().Set("Warning", `110 - "Response is Stale"`)
		a.Header().Set("Age", strconv.FormatInt(int64(age.Seconds()), 10))
	}
	a.Header().Set("Content-Type", "application/octet-stream")
	a.Header().Set("Cache-Control", "no-cache")
	switch name {
	case release.SumsFile:
		a.bytes(r, snap.Sums)
		return
	case release.SignatureFile:
		a.bytes(r, snap.Signature)
		return
	}
	sum, listed := snap.listed[name]
	if !listed {
		a.fail(http.StatusNotFound, fmt.Sprintf("%s is not listed in the release's %s", name, release.SumsFile))
		return
	}
	file, there := asset{Size: -1}, true
	if snap.Assets != nil {
		if file, there = snap.Assets[name]; !there {
			a.fail(http.StatusNotFound, name+" is listed in the manifest, and the repository does not have it")
			return
		}
	}
	a.mark(sum)
	pass(a, r, repo, snap, name, file)
}

// pass passes a file on. http.ServeContent knows about ranges and conditions; the
// file is fetched from where it wants it.
func pass(a *answer, r *http.Request, repo *repository, snap *snapshot, name string, file asset) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	body := &remote{ctx: ctx, source: repo.backend.source(snap), name: name, size: file.Size}
	defer body.Close()
	if body.size < 0 {
		d, err := fetch.NewDownload(ctx, body.source, name, patience)
		if err != nil {
			a.failed(err, repo)
			return
		}
		if body.size, body.download = d.Size(), d; d.Size() < 0 {
			a.fail(http.StatusBadGateway, "the server does not say how large "+name+" is")
			return
		}
	}
	http.ServeContent(a, r, "", time.Time{}, body)
	if body.failure != nil {
		a.failed(body.failure, repo)
	}
}

// metrics is in Prometheus' text form.
func (s *Server) metrics() string {
	var b strings.Builder
	for class := 1; class < len(s.count.requests); class++ {
		fmt.Fprintf(&b, "mangos_proxy_requests_total{status=\"%dxx\"} %d\n", class, s.count.requests[class].Load())
	}
	for _, c := range []struct {
		name string
		n    int64
	}{
		{"sent_bytes_total", s.count.bytes.Load()},
		{"refreshes_total{result=\"good\"}", s.count.refreshed.Load()},
		{"refreshes_total{result=\"failed\"}", s.count.failed.Load()},
		{"stale_answers_total", s.count.stale.Load()},
		{"requests_in_flight", int64(len(s.slots))},
	} {
		fmt.Fprintf(&b, "mangos_proxy_%s %d\n", c.name, c.n)
	}
	return b.String()
}

// answer is an answer of which nothing is sent before there is something to send:
// so what fails at the first byte still becomes a status.
type answer struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration // with a client that takes nothing
	status   int
	begun    bool
	sent     int64
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.begin()
	// A client that takes nothing for a while is gone.
	_ = a.control.SetWriteDeadline(time.Now().Add(a.patience))
	n, err := a.ResponseWriter.Write(p)
	a.sent += int64(n)
	return n, err
}

func (a *answer) begin() {
	if a.begun {
		return
	}
	a.begun = true
	if a.status == 0 {
		a.status = http.StatusOK
	}
	a.ResponseWriter.WriteHeader(a.status)
}

func (a *answer) finish() { a.begin() }

// fail answers with a status and a sentence. An answer that has begun has promised its
// length: net/http hangs up, which tells the client that it is cut off.
func (a *answer) fail(status int, sentence string) {
	if a.begun {
		return
	}
	for _, name := range []string{"Content-Length", "Content-Range", "Accept-Ranges", "ETag", "Warning", "Age"} {
		a.Header().Del(name)
	}
	a.status = 0
	a.Header().Set("Cache-Control", "no-store")
	http.Error(a, sentence, status)
}

// failed finds the status for an error.
func (a *answer) failed(err error, repo *repository) {
	status := http.StatusBadGateway
	var wait *limited
	var network net.Error
	switch {
	case errors.As(err, &wait):
		status = http.StatusServiceUnavailable
		seconds := math.Ceil(max(wait.until.Sub(repo.now()), time.Second).Seconds())
		a.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	case errors.Is(err, ErrRefused):
		status = http.StatusForbidden
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, fetch.ErrSlow), errors.As(err, &network) && network.Timeout():
		status = http.StatusGatewayTimeout
	}
	if status == http.StatusBadGateway || status == http.StatusGatewayTimeout {
		a.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(repo.wait().Seconds()))))
	}
	a.fail(status, printable(err.Error()))
}

// bytes answers with what is at hand.
func (a *answer) bytes(r *http.Request, content []byte) {
	a.mark(sha256.Sum256(content))
	http.ServeContent(a, r, "", time.Time{}, bytes.NewReader(content))
}

// mark names the content, so that who has it need not get it again.
func (a *answer) mark(sum [sha256.Size]byte) { a.Header().Set("ETag", fmt.Sprintf(`"%x"`, sum[:16])) }

func (a *answer) text(s string) {
	a.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = a.Write([]byte(s))
}

// printable leaves the printable ASCII of what may come from outside.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '?'
		}
		return r
	}, s)
}

// clean leaves what a time consists of.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("0123456789TZ:-", r) {
			return r
		}
		return -1
	}, s)
}

// localName says whether a Host header names this machine.
func localName(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	return loopback(strings.Trim(name, "[]"))
}

func loopback(name string) bool {
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}
