// Package step tells a person what a program is doing and how long it took.
package step

import (
	"fmt"
	"io"
	"time"
)

// Printer writes one line when a step begins and one when it has ended.
// The zero value is not usable; W must be set.
type Printer struct {
	// W receives the lines; usually standard error.
	W io.Writer
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Say prints one line.
func (p *Printer) Say(format string, args ...any) {
	fmt.Fprintf(p.W, "mangos: "+format+"\n", args...)
}

// Do announces what, runs f, and prints how long it took. What reads like
// "compile the engine". The error is f's own.
func (p *Printer) Do(what string, f func() error) error {
	now := p.Now
	if now == nil {
		now = time.Now
	}
	p.Say("%s ...", what)
	start := now()
	if err := f(); err != nil {
		return err
	}
	p.Say("%s: %.1f s", what, now().Sub(start).Seconds())
	return nil
}
