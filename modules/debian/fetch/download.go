package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// stall is how long a server may send nothing.
const stall = 60 * time.Second

var defaultClient = &http.Client{
	Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: stall,
		MaxIdleConnsPerHost:   16,
		// The bytes are what is locked, not what they unpack to.
		DisableCompression: true,
	},
}

// answer is an error that a server gave: there is no use in asking it again.
type answer struct{ status int }

func (a answer) Error() string {
	return fmt.Sprintf("the server says %d %s", a.status, http.StatusText(a.status))
}

// absent says that the server does not have the file. A refusal says nothing of that.
func (a answer) absent() bool {
	return a.status == http.StatusNotFound || a.status == http.StatusGone
}

// refusal is the error of a response without the file: an answer where there is no
// use in asking again.
func refusal(resp *http.Response) error {
	code := resp.StatusCode
	if code >= 400 && code < 500 && code != http.StatusTooManyRequests && code != http.StatusRequestTimeout {
		return answer{code}
	}
	return fmt.Errorf("the server says %s", resp.Status)
}

// download fills partial with the checked content of file, from the first server
// that has it.
func (f *Fetcher) download(ctx context.Context, file File, partial *os.File, meter *meter) error {
	mirrors := f.Mirrors[file.Archive]
	bases, err := f.bases(file.Archive)
	if err != nil {
		return err
	}
	// A file is gone when every mirror says that it has none; what one has that is
	// dead, or refuses to answer, is not known.
	var failures []string
	gone := true
	for i, base := range bases {
		err := f.from(ctx, base+file.Path, file, partial, meter)
		if err == nil {
			return nil
		}
		if errors.Is(err, ErrMismatch) || ctx.Err() != nil {
			return err
		}
		var a answer
		if (!errors.As(err, &a) || !a.absent()) && (i < len(mirrors) || len(mirrors) == 0) {
			gone = false
		}
		failures = append(failures, fmt.Sprintf("%s: %v", redact(base+file.Path), err))
	}
	if !gone {
		return fmt.Errorf("%w: %s", ErrUnreachable, strings.Join(failures, "; "))
	}
	return fmt.Errorf("%w: %s: %s", ErrGone, dropped(failures[:len(mirrors)], failures[len(mirrors):]), wayOut)
}

// wayOut is what a person does when a locked file is gone.
const wayOut = "refresh the lock: ci/dagger call lock -o debian.lock.json (by hand: debian lock)"

// dropped tells where a file was looked for in vain.
func dropped(mirrors, homes []string) string {
	where := "there is no mirror"
	if len(mirrors) > 0 {
		where = "the mirror dropped it (" + strings.Join(mirrors, "; ") + ")"
	}
	if len(homes) == 0 {
		return where + ", and no permanent home was named"
	}
	return where + ", and its permanent home cannot be reached or does not have it (" + strings.Join(homes, "; ") + ")"
}

// Asked says in words, without addresses, where a file of an archive was looked for
// when it is gone ([ErrGone]).
func (f *Fetcher) Asked(archive string) string {
	switch mirrors, homes := len(f.Mirrors[archive]), len(f.Homes[archive]); {
	case homes == 0:
		return "no mirror has it, and no permanent home was asked"
	case mirrors == 0:
		return "its permanent home does not have it"
	}
	return "no mirror has it, and its permanent home cannot be reached or does not have it"
}

// bases returns the servers of an archive, in the order in which they are asked.
func (f *Fetcher) bases(archive string) ([]string, error) {
	bases := append(append([]string{}, f.Mirrors[archive]...), f.Homes[archive]...)
	if len(bases) == 0 {
		return nil, fmt.Errorf("archive %s has neither a mirror nor a permanent home: give --mirror %s=URL", archive, archive)
	}
	return bases, nil
}

// from tries one URL, several times when the network or the server fails.
func (f *Fetcher) from(ctx context.Context, url string, file File, partial *os.File, meter *meter) error {
	return f.retry(ctx, func(attempt int) error {
		err := f.attempt(ctx, url, file, partial)
		if again(ctx, attempt, err) {
			meter.note(fmt.Sprintf("%s: attempt %d of %d: %v", file.Name, attempt, attempts, err))
		}
		return err
	})
}

// again says whether there is use in another attempt after one that ended with err.
func again(ctx context.Context, attempt int, err error) bool {
	var a answer
	return err != nil && !errors.As(err, &a) && !errors.Is(err, ErrMismatch) && attempt < attempts && ctx.Err() == nil
}

// retry calls try with the attempt's number, several times when the network or the
// server fails, with longer and longer pauses.
func (f *Fetcher) retry(ctx context.Context, try func(attempt int) error) error {
	pause := f.Backoff
	if pause == 0 {
		pause = 500 * time.Millisecond
	}
	for attempt := 1; ; attempt++ {
		err := try(attempt)
		if !again(ctx, attempt, err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause *= 2
		}
	}
}

// attempt asks url for what partial lacks, and checks the whole.
func (f *Fetcher) attempt(ctx context.Context, url string, file File, partial *os.File) error {
	have, err := partial.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if have >= file.Size {
		have = 0
	}
	body, resumed, err := f.get(ctx, url, have)
	if err != nil {
		return err
	}
	defer body.Close()
	if !resumed {
		have = 0
	}
	if err := partial.Truncate(have); err != nil {
		return err
	}
	if _, err := partial.Seek(have, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(partial, io.LimitReader(body, file.Size-have+1)); err != nil {
		return err
	}
	if _, err := partial.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h := sha256.New()
	size, err := io.Copy(h, partial)
	if err != nil {
		return err
	}
	sum := hex.EncodeToString(h.Sum(nil))
	if size == file.Size && sum == file.SHA256 {
		return nil
	}
	if err := partial.Truncate(0); err != nil {
		return err
	}
	if resumed {
		return fmt.Errorf("a resumed download does not add up, starting again")
	}
	return fmt.Errorf("%w: %s: expected %d bytes with SHA-256 %s, got %s from %s",
		ErrMismatch, file.Name, file.Size, file.SHA256, gotten(size, file.Size, sum), redact(url))
}

func gotten(size, want int64, sum string) string {
	if size > want {
		return fmt.Sprintf("more than %d bytes", want)
	}
	return fmt.Sprintf("%d bytes with SHA-256 %s", size, sum)
}

// get asks for url from the byte offset on. The body fails when nothing arrives
// for too long.
func (f *Fetcher) get(ctx context.Context, url string, offset int64) (body io.ReadCloser, resumed bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		cancel()
		return nil, false, err
	}
	if offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	resp, err := f.client().Do(req)
	if err != nil {
		cancel()
		return nil, false, bare(err)
	}
	w := &watched{ReadCloser: resp.Body, cancel: cancel, timer: time.AfterFunc(stall, cancel)}
	switch {
	case resp.StatusCode == http.StatusOK:
		return w, false, nil
	case resp.StatusCode == http.StatusPartialContent && offset > 0 &&
		strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", offset)):
		return w, true, nil
	}
	w.Close()
	if code := resp.StatusCode; offset > 0 && code != http.StatusNotFound && code < 500 {
		// No ranges there, or none for this file: ask for the whole.
		return f.get(ctx, url, 0)
	}
	return nil, false, refusal(resp)
}

func (f *Fetcher) client() *http.Client {
	if f.Client != nil {
		return f.Client
	}
	return defaultClient
}

// Get reads a small file whose digest is not known: a Release and its signature.
// At most limit bytes are read.
func (f *Fetcher) Get(ctx context.Context, archive, path string, limit int64) ([]byte, error) {
	bases, err := f.bases(archive)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", path, err)
	}
	var failures []string
	for _, base := range bases {
		body, _, err := f.get(ctx, base+path, 0)
		if err != nil {
			failures = append(failures, fmt.Sprintf("%s: %v", redact(base+path), err))
			continue
		}
		data, err := io.ReadAll(io.LimitReader(body, limit+1))
		body.Close()
		if err == nil && int64(len(data)) > limit {
			err = fmt.Errorf("larger than %d bytes", limit)
		}
		if err == nil {
			return data, nil
		}
		failures = append(failures, fmt.Sprintf("%s: %v", redact(base+path), err))
	}
	return nil, fmt.Errorf("fetch %s: %w: %s", path, ErrUnreachable, strings.Join(failures, "; "))
}

// Exists reports whether a server of the archive has the file at path. It does not
// when each says that there is none. Whatever else a server says instead of having it
// is an error: one that limits its callers or wants a password would otherwise have a
// file taken for absent, and an older one put in its place.
func (f *Fetcher) Exists(ctx context.Context, archive, path string) (bool, error) {
	bases, err := f.bases(archive)
	if err != nil {
		return false, err
	}
	var failure error
	for _, base := range bases {
		err := f.retry(ctx, func(int) error { return f.head(ctx, base+path) })
		if err == nil {
			return true, nil
		}
		var a answer
		if !errors.As(err, &a) || !a.absent() {
			failure = fmt.Errorf("%s: %w", redact(base+path), err)
		}
	}
	return false, failure
}

// head asks whether a file is at url.
func (f *Fetcher) head(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return err
	}
	resp, err := f.client().Do(req)
	if err != nil {
		return bare(err)
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return refusal(resp)
}

// watched is a body that is given up when it stalls.
type watched struct {
	io.ReadCloser
	cancel context.CancelFunc
	timer  *time.Timer
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.timer.Reset(stall)
	return n, err
}

func (w *watched) Close() error {
	w.timer.Stop()
	defer w.cancel()
	return w.ReadCloser.Close()
}

// bare takes the method and URL, which messages name anyway, off a client's
// error.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// redact hides a password in a URL.
func redact(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "a URL that cannot be read"
	}
	return u.Redacted()
}
