//go:build linux

package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// result is what --json writes.
type result struct {
	Machine machine  `json:"machine"`
	Commit  string   `json:"commit"`
	Figures []figure `json:"figures"`
}

// figure is what was measured of one thing.
type figure struct {
	Name string `json:"name"`
	// Unit is "s", "us" or "bytes".
	Unit   string    `json:"unit"`
	Values []float64 `json:"values"`
	// Budget is what the median must not exceed; 0 is none.
	Budget float64 `json:"budget,omitempty"`
	Note   string  `json:"note,omitempty"`
}

func (f figure) median() float64 {
	v := slices.Sorted(slices.Values(f.Values))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

func (f figure) over() bool { return f.Budget > 0 && f.median() > f.Budget }

// String is the figure on a line: median, range, budget.
func (f figure) String() string {
	format := "%.2f s"
	scale := 1.0
	switch f.Unit {
	case "bytes":
		format, scale = "%.1f MiB", 1<<20
	case "us":
		format = "%.0f us"
	}
	value := func(v float64) string { return fmt.Sprintf(format, v/scale) }
	text := fmt.Sprintf("%-34s %10s", f.Name, value(f.median()))
	if len(f.Values) > 1 {
		text += fmt.Sprintf(" (%s to %s, %d runs)", value(slices.Min(f.Values)), value(slices.Max(f.Values)), len(f.Values))
	}
	if f.Budget > 0 {
		verdict := "within"
		if f.over() {
			verdict = "OVER"
		}
		text += fmt.Sprintf(", %s %s", verdict, value(f.Budget))
	}
	if f.Note != "" {
		text += ": " + f.Note
	}
	return text
}

// machine describes where the figures come from.
type machine struct {
	Processor  string `json:"processor"`
	Processors int    `json:"processors"`
	MemoryKiB  int64  `json:"memoryKiB"`
	Kernel     string `json:"kernel"`
	// Load is the load average of the last minute when the run began.
	Load string    `json:"load"`
	At   time.Time `json:"at"`
}

func (m machine) String() string {
	return fmt.Sprintf("%s: %d x %s, %.1f GiB, Linux %s, load %s",
		m.At.Format(time.RFC3339), m.Processors, m.Processor, float64(m.MemoryKiB)/(1<<20), m.Kernel, m.Load)
}

func describe() (machine, error) {
	m := machine{Processors: runtime.NumCPU(), At: time.Now().UTC().Truncate(time.Second)}
	var err error
	if m.Processor, err = field("/proc/cpuinfo", "model name"); err != nil {
		return m, err
	}
	memory, err := field("/proc/meminfo", "MemTotal")
	if err != nil {
		return m, err
	}
	if _, err := fmt.Sscanf(memory, "%d kB", &m.MemoryKiB); err != nil {
		return m, fmt.Errorf("read /proc/meminfo: %w", err)
	}
	for _, f := range []struct {
		path string
		to   *string
	}{{"/proc/sys/kernel/osrelease", &m.Kernel}, {"/proc/loadavg", &m.Load}} {
		text, err := os.ReadFile(f.path)
		if err != nil {
			return m, err
		}
		*f.to, _, _ = strings.Cut(strings.TrimSpace(string(text)), " ")
	}
	return m, nil
}

// field returns the value of the first line "name: value" of a file of /proc.
func field(path, name string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		key, value, found := strings.Cut(lines.Text(), ":")
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value), nil
		}
	}
	if err := lines.Err(); err != nil {
		return "", err
	}
	return "", fmt.Errorf("%s has no %q", path, name)
}
