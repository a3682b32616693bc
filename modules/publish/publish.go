// Package publish puts a release where devices and people fetch it: on a release page
// that speaks GitHub's API, onto a web server, or into a folder.
//
// It sends the files, then the manifest, and its signature last, reading each back before
// the next stage, so that a release shows itself only when all of it is there. It can be
// broken off anywhere and started again: what is there already is not sent again. What is
// there with another content stays, and is an error.
package publish

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mastercard/mangos/runtime/fetch"
)

var (
	// ErrRelease: the release must not be published.
	ErrRelease = errors.New("not to be published")
	// ErrTaken: something else is there already. It is never overwritten.
	ErrTaken = errors.New("something else is there already")
	// ErrPlace: a place for releases cannot be what was said, or does not do what it must.
	ErrPlace = errors.New("unusable place")
	// ErrBroken: it broke off; started again it goes on.
	ErrBroken = errors.New("it broke off, and goes on when it is started again")
)

// A Limit is a place's wish to be left alone for a while.
type Limit struct{ Until time.Time }

func (l *Limit) Error() string {
	return "its rate limit is reached until " + l.Until.UTC().Format(time.RFC3339)
}

// A Destination is a place for one release. Nothing of it ever overwrites. Errors that
// trying again may help wrap ErrBroken or are a *Limit. As a source it gives the files
// that Find saw last.
type Destination interface {
	fetch.Source
	// Find looks for what is there of the release, and in particular of some of its
	// files. It changes nothing.
	Find(ctx context.Context, files []File) (*Found, error)
	// Prepare makes the place, where Find said that there is none.
	Prepare(ctx context.Context) error
	// Send puts a file there that Find did not see, or saw broken.
	Send(ctx context.Context, f File) error
	// Finish shows the release to everybody.
	Finish(ctx context.Context) error
}

// Found is what is at a place of a release.
type Found struct {
	// Prepared: the place is made. Published: everybody sees it, and it is never changed.
	Prepared, Published bool
	Files               map[string]Present
	// Address is where people find it.
	Address string
}

// Present is a file that is there.
type Present struct {
	Size int64 // -1: not known
	// Sum is its SHA-256, nil where it is to be read to know.
	Sum *[sha256.Size]byte
	// Broken: its upload broke off.
	Broken bool
	// Version changes with the content; empty if nothing does.
	Version string
}

// Options say how to publish.
type Options struct {
	// DryRun looks and changes nothing.
	DryRun bool
	// Wait is the time to wait altogether where a rate limit is reached.
	Wait time.Duration
	// Tries is how often to try before giving up when nothing goes forward, Pause the
	// time between; it doubles.
	Tries int
	Pause time.Duration
	// Tell is called with what happens, a line each.
	Tell func(line string)
	// Now and Sleep are the clock's.
	Now   func() time.Time
	Sleep func(context.Context, time.Duration) error
}

// DefaultOptions are those of a publisher who has some time.
func DefaultOptions() Options {
	return Options{Wait: 10 * time.Minute, Tries: 4, Pause: 2 * time.Second, Tell: func(string) {}, Now: time.Now, Sleep: sleep}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// What became of a release and of its files.
const (
	Published = "published" // now
	Already   = "already-published"
	Dry       = "dry-run"

	Sent  = "sent"
	There = "there" // before
	Would = "to-send"
)

// A Result is what was done.
type Result struct {
	Release string    `json:"release"`
	Place   string    `json:"place"`
	Result  string    `json:"result"`
	Address string    `json:"address"`
	Files   []Outcome `json:"files"`
}

// An Outcome is what became of a file.
type Outcome struct {
	Name    string `json:"name"`
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256"`
	Outcome string `json:"outcome"`
}

// Publish publishes the release. Errors wrap ErrRelease, ErrTaken, ErrPlace or ErrBroken,
// or are the context's.
func Publish(ctx context.Context, r *Release, to Destination, o Options) (*Result, error) {
	p := &publication{r: r, to: to, o: o, known: map[string]string{}, sent: map[string]bool{}, result: Dry}
	if err := p.persist(ctx); err != nil {
		return nil, fmt.Errorf("publish %s to %s: %w", r, to, err)
	}
	result := &Result{Release: r.String(), Place: to.String(), Result: p.result, Address: p.address}
	for _, f := range r.Files {
		outcome := There
		switch {
		case p.sent[f.Name]:
			outcome = Sent
		case p.result == Dry && p.lacks(f):
			outcome = Would
		}
		result.Files = append(result.Files, Outcome{f.Name, f.Size, fmt.Sprintf("%x", f.Sum), outcome})
	}
	return result, nil
}

// publication is one under way.
type publication struct {
	r  *Release
	to Destination
	o  Options

	// found is what was seen last; known the versions of files that were read and are
	// right; sent what was sent.
	found *Found
	known map[string]string
	sent  map[string]bool

	result, address string
}

// persist begins anew as long as that may help: each beginning goes on where the last
// one was.
func (p *publication) persist(ctx context.Context) error {
	waited, tries, pause := time.Duration(0), 0, p.o.Pause
	for {
		before := len(p.sent)
		err := p.once(ctx)
		if len(p.sent) > before {
			tries, pause = 0, p.o.Pause
		}
		var limit *Limit
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", ErrBroken, context.Cause(ctx))
		case errors.As(err, &limit):
			d := max(limit.Until.Sub(p.o.Now()), 0)
			if waited += d; waited > p.o.Wait {
				return fmt.Errorf("%w: %w", ErrBroken, err)
			}
			p.tell("%v; waiting", limit)
			err = p.o.Sleep(ctx, d)
		case errors.Is(err, ErrBroken):
			if tries++; tries >= p.o.Tries {
				return err
			}
			p.tell("%v; trying again in %s", err, pause)
			err = p.o.Sleep(ctx, pause)
			pause *= 2
		}
		if err != nil {
			return err
		}
	}
}

func (p *publication) tell(format string, args ...any) { p.o.Tell(fmt.Sprintf(format, args...)) }

// once publishes what is missing.
func (p *publication) once(ctx context.Context) error {
	if err := p.look(ctx, p.r.Files); err != nil {
		return err
	}
	missing := p.missing(p.r.Files)
	switch {
	case p.found.Published && len(missing) > 0:
		return fmt.Errorf("%w: it is published without %s, and what is published is never changed; publish another version", ErrTaken, missing[0].Name)
	case p.found.Published:
		if p.result = Published; len(p.sent) == 0 {
			p.result = Already
		}
		return nil
	case p.o.DryRun:
		return nil
	case !p.found.Prepared:
		if err := p.to.Prepare(ctx); err != nil {
			return err
		}
		p.tell("made %s", p.to)
	}
	last := len(p.r.Files) - 2
	for _, stage := range [][]File{p.r.Files[:last], {p.r.manifest()}, {p.r.signature()}} {
		if err := p.send(ctx, p.missing(stage)); err != nil {
			return err
		}
	}
	if err := p.to.Finish(ctx); err != nil {
		return err
	}
	if err := p.look(ctx, []File{p.r.signature()}); err != nil {
		return err
	}
	if !p.found.Published {
		return fmt.Errorf("%w: all was sent, and it does not show itself as published", ErrBroken)
	}
	p.result = Published
	return nil
}

// lacks tells whether a file is not there, or not whole.
func (p *publication) lacks(f File) bool {
	present, ok := p.found.Files[f.Name]
	return !ok || present.Broken
}

func (p *publication) missing(files []File) (missing []File) {
	for _, f := range files {
		if p.lacks(f) {
			missing = append(missing, f)
		}
	}
	return missing
}

// send sends the files of a stage, and sees that all of them are there.
func (p *publication) send(ctx context.Context, files []File) error {
	if len(files) == 0 {
		return nil
	}
	for i, f := range files {
		p.tell("sending %s (%s), %d of %d", f.Name, megabytes(f.Size), i+1, len(files))
		if err := p.to.Send(ctx, f); err != nil {
			return fmt.Errorf("send %s: %w", f.Name, err)
		}
		p.sent[f.Name] = true
	}
	before := p.found
	if err := p.look(ctx, files); err != nil {
		return err
	}
	if missing := p.missing(files); len(missing) > 0 {
		return fmt.Errorf("%w: %s was taken, and is not there", ErrBroken, missing[0].Name)
	}
	for name, present := range before.Files {
		if _, ok := p.found.Files[name]; !ok {
			p.found.Files[name] = present
		}
	}
	return nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// look sees what is there, and that nothing else is there than should be.
func (p *publication) look(ctx context.Context, files []File) error {
	found, err := p.to.Find(ctx, files)
	if err != nil {
		return err
	}
	p.found, p.address = found, found.Address
	for _, f := range files {
		present, ok := found.Files[f.Name]
		if !ok || present.Broken || present.Version != "" && p.known[f.Name] == present.Version {
			continue
		}
		if err := p.compare(ctx, f, present); err != nil {
			return err
		}
		p.known[f.Name] = present.Version
	}
	return nil
}

// compare holds a file that is there against ours.
func (p *publication) compare(ctx context.Context, f File, there Present) error {
	if there.Size >= 0 && there.Size != f.Size {
		return fmt.Errorf("%w: %s with %d bytes, want %d", ErrTaken, f.Name, there.Size, f.Size)
	}
	if there.Sum == nil {
		p.tell("reading %s (%s), which is there", f.Name, megabytes(f.Size))
		sum, err := p.readBack(ctx, f)
		if err != nil {
			return err
		}
		there.Sum = &sum
	}
	if *there.Sum != f.Sum {
		return fmt.Errorf("%w: %s with SHA-256 %x, want %x", ErrTaken, f.Name, *there.Sum, f.Sum)
	}
	return nil
}

// patience with a place that files are read from.
var patience = fetch.Patience{Window: 30 * time.Second, Least: 64 << 10, Total: 2 * time.Minute, Pause: time.Second}

// readBack hashes what is there, of which it reads no more than ours has.
func (p *publication) readBack(ctx context.Context, f File) (sum [sha256.Size]byte, err error) {
	d, err := fetch.NewDownload(ctx, p.to, f.Name, patience)
	if err != nil {
		return sum, readError(err)
	}
	defer d.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(d, f.Size+1))
	if err != nil {
		return sum, readError(err)
	}
	if n != f.Size {
		return sum, fmt.Errorf("%w: %s, whose size is not %d bytes", ErrTaken, f.Name, f.Size)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// readError says of an error of reading whether trying again may help.
func readError(err error) error {
	if errors.As(err, new(*Limit)) || errors.Is(err, ErrPlace) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrBroken, err)
}

// unexpected returns an error that names one of the files that are there and not of the
// release, or nil.
func unexpected(names []string, r *Release) error {
	ours := map[string]bool{}
	for _, f := range r.Files {
		ours[f.Name] = true
	}
	var others []string
	for _, name := range names {
		if !ours[name] {
			others = append(others, fmt.Sprintf("%.100q", name))
		}
	}
	if len(others) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s, which is not of the release", ErrTaken, strings.Join(others[:min(len(others), 3)], ", "))
}
