package install

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/runtime/fetch"
	"github.com/mastercard/mangos/runtime/install/installtest"
	"github.com/mastercard/mangos/runtime/release"
)

// serve gives the release's files by how; the manifest always as it should be.
func (b *built) serve(t *testing.T, how http.HandlerFunc) fetch.Source {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		if strings.HasPrefix(name, release.SumsFile) {
			_, _ = w.Write(b.Files[name])
			return
		}
		how(w, r)
	}))
	t.Cleanup(s.Close)
	source, err := fetch.NewSource(s.URL+"/releases/download/v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// give answers with data from where the request wants it.
func give(w http.ResponseWriter, r *http.Request, data []byte) {
	from := 0
	if text, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok {
		from, _ = strconv.Atoi(strings.TrimSuffix(text, "-"))
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(data)-1, len(data)))
	}
	w.Header().Set("ETag", `"one"`)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)-from))
	if from > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	_, _ = w.Write(data[from:])
}

// hangUp closes the connection in the middle of an answer.
func hangUp(w http.ResponseWriter) { panic(http.ErrAbortHandler) }

func TestInstallFromServers(t *testing.T) {
	b := build(t, "1", nil)
	image := b.Files[b.Disk]
	half := len(image) / 2
	for _, c := range []struct {
		name string
		how  func(n int64, w http.ResponseWriter, r *http.Request) // n counts requests from 1
		want error
		// again bounds the bytes that are fetched more than once.
		again int64
	}{
		{"as it should be", func(_ int64, w http.ResponseWriter, r *http.Request) { give(w, r, image) }, nil, 0},
		{"through redirects", func(n int64, w http.ResponseWriter, r *http.Request) {
			if n < 4 {
				http.Redirect(w, r, fmt.Sprintf("/other/%d/%s", n, b.Disk), http.StatusFound)
				return
			}
			give(w, r, image)
		}, nil, 0},
		{"redirects without an end", func(n int64, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, fmt.Sprintf("/other/%d/%s", n, b.Disk), http.StatusFound)
		}, fetch.ErrSource, 0},
		{"gone at half, then back", func(n int64, w http.ResponseWriter, r *http.Request) {
			switch n {
			case 1:
				w.Header().Set("ETag", `"one"`)
				w.Header().Set("Content-Length", strconv.Itoa(len(image)))
				_, _ = w.Write(image[:half])
				hangUp(w)
			case 2:
				http.Error(w, "down", http.StatusServiceUnavailable)
			default:
				give(w, r, image)
			}
		}, nil, 0},
		{"gone at half, then without ranges", func(n int64, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"one"`)
			w.Header().Set("Content-Length", strconv.Itoa(len(image)))
			if n == 1 {
				_, _ = w.Write(image[:half])
				hangUp(w)
			}
			_, _ = w.Write(image)
		}, nil, int64(half)},
		{"gone for good", func(_ int64, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(image)))
			if r.Header.Get("Range") == "" {
				_, _ = w.Write(image[:half])
			}
			hangUp(w)
		}, fetch.ErrBroken, 0},
		{"changed in between", func(n int64, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				w.Header().Set("ETag", `"another"`)
				w.Header().Set("Content-Length", strconv.Itoa(len(image)))
				_, _ = w.Write(image[:half])
				hangUp(w)
			}
			give(w, r, image)
		}, fetch.ErrChanged, 0},
		{"another range than asked for", func(n int64, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				w.Header().Set("ETag", `"one"`)
				w.Header().Set("Content-Length", strconv.Itoa(len(image)))
				_, _ = w.Write(image[:half])
				hangUp(w)
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(image)-1, len(image)))
			w.WriteHeader(http.StatusPartialContent)
		}, fetch.ErrSource, 0},
		{"truncated", func(_ int64, w http.ResponseWriter, r *http.Request) { give(w, r, image[:half]) }, ErrImage, 0},
		{"an endless body", func(_ int64, w http.ResponseWriter, r *http.Request) {
			_, err := w.Write(image)
			for err == nil {
				_, err = w.Write(make([]byte, 64<<10))
			}
		}, ErrImage, 0},
		{"a slow drip", func(_ int64, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(image)))
			for i := 0; i < len(image) && r.Context().Err() == nil; i++ {
				_, _ = w.Write(image[i : i+1])
				w.(http.Flusher).Flush()
				time.Sleep(10 * time.Millisecond)
			}
		}, fetch.ErrSlow, 1 << 20},
		{"silence", func(_ int64, w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, fetch.ErrSlow, 0},
		{"not found", func(_ int64, w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, fetch.ErrSource, 0},
		{"down for good", func(_ int64, w http.ResponseWriter, r *http.Request) { http.Error(w, "down", http.StatusBadGateway) }, errAny, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var n atomic.Int64
			s := b.serve(t, func(w http.ResponseWriter, r *http.Request) { c.how(n.Add(1), w, r) })
			to := newTarget(t, targetSize, 512)
			r, err := find(t, s)
			if err != nil {
				t.Fatal(err)
			}
			var last Progress
			err = Install(t.Context(), Options{Source: s, Release: r, Target: to, Patience: installtest.Patience, Tell: func(p Progress) {
				if p.Stage == Writing {
					last = p
				}
			}})
			if c.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				b.installed(t, to)
			} else if err == nil || !errors.Is(c.want, errAny) && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if last.Again > c.again || c.want == nil && last.Again != c.again {
				t.Errorf("%d bytes were fetched again, want %d", last.Again, c.again)
			}
			if c.want != nil {
				if table, err := gpt.Current(to, to.Size()); err == nil && table.DiskID != gpt.DeriveGUID("old") {
					t.Error("the target is bootable")
				}
				b.verified(t, to)
			}
		})
	}
}

var errAny = errors.New("any error")
