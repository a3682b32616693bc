package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	patience.Pause = time.Millisecond // nobody needs to wait for a server of a test
	os.Exit(m.Run())
}

// options are those of a publisher who does not wait.
func options(tries int) Options {
	o := DefaultOptions()
	o.Tries, o.Pause = tries, time.Millisecond
	return o
}

// A world is a place of a kind, and the tests' look at it.
type world struct {
	// open opens the place over a transport.
	open func(t *testing.T, r *Release, transport http.RoundTripper) Destination
	// shown is what everybody sees, nil if there is nothing.
	shown func() map[string][]byte
	// arrived are the names of the files that arrived, in their order.
	arrived func() []string
}

// worlds are the places on web servers.
var worlds = map[string]func(t *testing.T) *world{
	"github":             func(t *testing.T) *world { return newPageWorld(t, true) },
	"github, no digests": func(t *testing.T) *world { return newPageWorld(t, false) },
	"put":                func(t *testing.T) *world { return newStoreWorld(t) },
}

// check looks whether the release is there, and each of its files was sent once, in order.
func (w *world) check(t *testing.T, r *Release, files map[string][]byte) {
	t.Helper()
	shown := w.shown()
	if len(shown) != len(files) {
		t.Errorf("%d files are there, want %d", len(shown), len(files))
	}
	for name, content := range files {
		if !bytes.Equal(shown[name], content) {
			t.Errorf("%s: %d bytes are there, want %d", name, len(shown[name]), len(content))
		}
	}
	var names []string
	for _, f := range r.Files {
		names = append(names, f.Name)
	}
	if got := w.arrived(); !slices.Equal(got, names) {
		t.Errorf("arrived: %q, want %q", got, names)
	}
}

func TestPublish(t *testing.T) {
	files := smallRelease(t)
	r := opened(t, files)
	for name, newWorld := range worlds {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			dry := options(1)
			dry.DryRun = true
			var changes breaker
			result, err := Publish(t.Context(), r, w.open(t, r, &changes), dry)
			if err != nil || result.Result != Dry || result.Files[0].Outcome != Would || len(w.arrived()) > 0 || changes.changes > 0 {
				t.Fatalf("dry run: %+v, %v, %d changes", result, err, changes.changes)
			}
			result, err = Publish(t.Context(), r, w.open(t, r, nil), options(1))
			if err != nil || result.Result != Published || result.Address == "" || result.Files[len(result.Files)-1].Outcome != Sent {
				t.Fatalf("%+v, %v", result, err)
			}
			w.check(t, r, files)
			for _, o := range []Options{options(1), dry} {
				result, err = Publish(t.Context(), r, w.open(t, r, &changes), o)
				if err != nil || result.Result != Already || result.Files[0].Outcome != There || changes.changes > 0 {
					t.Fatalf("again: %+v, %v, %d changes", result, err, changes.changes)
				}
			}
			w.check(t, r, files)
		})
	}
}

// A breaker breaks a connection, once.
type breaker struct {
	// at is the request to break, the first is 1; after it was answered, if after.
	at    int
	after bool
	// cut is after how many bytes of what is sent it breaks; 0 for before.
	cut int64

	requests, changes int
	broken            bool
}

var errCut = errors.New("the cable is out")

func (b *breaker) RoundTrip(req *http.Request) (*http.Response, error) {
	b.requests++
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		b.changes++
	}
	if b.requests != b.at {
		return http.DefaultTransport.RoundTrip(req)
	}
	b.broken = true
	switch {
	case b.cut > 0 && req.ContentLength > b.cut:
		req.Body = &cutOff{req.Body, b.cut}
		rsp, err := http.DefaultTransport.RoundTrip(req)
		if err == nil {
			rsp.Body.Close()
		}
		return nil, errCut
	case b.after:
		rsp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		_, _ = io.Copy(io.Discard, rsp.Body)
		rsp.Body.Close()
	case req.Body != nil:
		req.Body.Close()
	}
	return nil, errCut
}

type cutOff struct {
	io.ReadCloser
	left int64
}

func (c *cutOff) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, errCut
	}
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// Wherever it breaks off, before a request or after it, it goes on: when it is started
// again, and by itself.
func TestBreaksOff(t *testing.T) {
	files := smallRelease(t)
	r := opened(t, files)
	for name, newWorld := range worlds {
		t.Run(name, func(t *testing.T) {
			var count breaker
			w := newWorld(t)
			if _, err := Publish(t.Context(), r, w.open(t, r, &count), options(1)); err != nil {
				t.Fatal(err)
			}
			for at := 1; at <= count.requests; at++ {
				for _, after := range []bool{false, true} {
					t.Run(fmt.Sprintf("request %d, after %v", at, after), func(t *testing.T) {
						w := newWorld(t)
						breakOff(t, w, r, &breaker{at: at, after: after})
						w.check(t, r, files)
						w = newWorld(t)
						b := &breaker{at: at, after: after}
						if _, err := Publish(t.Context(), r, w.open(t, r, b), options(3)); err != nil || !b.broken {
							t.Errorf("by itself: %v", err)
						}
						w.check(t, r, files)
					})
				}
			}
		})
	}
}

// breakOff publishes, is broken off, and is started again.
func breakOff(t *testing.T, w *world, r *Release, b *breaker) {
	t.Helper()
	_, err := Publish(t.Context(), r, w.open(t, r, b), options(1))
	// What is read back is read on where it broke.
	if !b.broken || !errors.Is(err, ErrBroken) && (err != nil || b.cut > 0) {
		t.Errorf("%v, want that it broke off", err)
	}
	if _, err := Publish(t.Context(), r, w.open(t, r, nil), options(10)); err != nil {
		t.Errorf("started again: %v", err)
	}
}

// An upload that breaks off after some bytes leaves what a server makes of that.
func TestUploadBreaksOff(t *testing.T) {
	files := smallRelease(t)
	r := opened(t, files)
	for name, newWorld := range worlds {
		t.Run(name, func(t *testing.T) {
			var sizes uploads
			w := newWorld(t)
			if _, err := Publish(t.Context(), r, w.open(t, r, &sizes), options(1)); err != nil {
				t.Fatal(err)
			}
			if len(sizes.sizes) != len(r.Files) {
				t.Fatalf("%d uploads", len(sizes.sizes))
			}
			for at, size := range sizes.sizes {
				for _, cut := range []int64{1, size / 2, size - 1} {
					if cut < 1 || cut >= size {
						continue
					}
					t.Run(fmt.Sprintf("request %d, byte %d", at, cut), func(t *testing.T) {
						w := newWorld(t)
						breakOff(t, w, r, &breaker{at: at, cut: cut})
						w.check(t, r, files)
					})
				}
			}
		})
	}
}

// uploads counts requests, and remembers which of them send how much of a file.
type uploads struct {
	requests int
	sizes    map[int]int64
}

func (u *uploads) RoundTrip(req *http.Request) (*http.Response, error) {
	u.requests++
	if u.sizes == nil {
		u.sizes = map[int]int64{}
	}
	if req.Header.Get("Content-Type") == "application/octet-stream" {
		u.sizes[u.requests] = req.ContentLength
	}
	return http.DefaultTransport.RoundTrip(req)
}

// It gives up when nothing goes forward, and not as long as something does.
func TestGivesUp(t *testing.T) {
	r := opened(t, smallRelease(t))
	w := newStoreWorld(t)
	tries := 0
	down := roundTripper(func(*http.Request) (*http.Response, error) { tries++; return nil, errCut })
	o := options(4)
	var pauses []time.Duration
	o.Sleep = func(_ context.Context, d time.Duration) error { pauses = append(pauses, d); return nil }
	_, err := Publish(t.Context(), r, w.open(t, r, down), o)
	if !errors.Is(err, ErrBroken) || tries != 4 || !slices.Equal(pauses, []time.Duration{time.Millisecond, 2 * time.Millisecond, 4 * time.Millisecond}) {
		t.Errorf("%v after %d tries, pauses %v", err, tries, pauses)
	}
	// Each upload but the last of a try breaks.
	puts := 0
	flaky := roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.Method == http.MethodPut {
			if puts++; puts%2 == 0 {
				req.Body.Close()
				return nil, errCut
			}
		}
		return http.DefaultTransport.RoundTrip(req)
	})
	if _, err := Publish(t.Context(), r, w.open(t, r, flaky), options(2)); err != nil {
		t.Errorf("with every second upload broken: %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Whoever stops it is told that it goes on.
func TestStops(t *testing.T) {
	r := opened(t, smallRelease(t))
	w := newStoreWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	stopping := roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.Method == http.MethodPut {
			cancel()
		}
		return http.DefaultTransport.RoundTrip(req)
	})
	_, err := Publish(ctx, r, w.open(t, r, stopping), options(3))
	if !errors.Is(err, ErrBroken) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A server that takes nothing is not waited for.
func TestStalls(t *testing.T) {
	usual := stall
	stall = 50 * time.Millisecond
	defer func() { stall = usual }()
	r := opened(t, smallRelease(t))
	w := newStoreWorld(t)
	full := roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.Method != http.MethodPut {
			return http.DefaultTransport.RoundTrip(req)
		}
		defer req.Body.Close()
		if _, err := req.Body.Read([]byte{0}); err != nil {
			return nil, err
		}
		<-req.Context().Done()
		return nil, req.Context().Err()
	})
	_, err := Publish(t.Context(), r, w.open(t, r, full), options(1))
	if !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "takes nothing any more") {
		t.Errorf("%v", err)
	}
}

// A file that changes while it is sent is not published, and what was sent of it is not
// a file.
func TestChangesWhileSent(t *testing.T) {
	for name, newWorld := range worlds {
		r := opened(t, smallRelease(t))
		r.Files[0].open = func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(bytes.Repeat([]byte{1}, int(r.Files[0].Size)))), nil
		}
		w := newWorld(t)
		_, err := Publish(t.Context(), r, w.open(t, r, nil), options(3))
		if !errors.Is(err, ErrRelease) || len(w.arrived()) > 0 {
			t.Errorf("%s: %v, arrived %q", name, err, w.arrived())
		}
	}
}
