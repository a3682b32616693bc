//go:build linux

package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestProxyFigures(t *testing.T) {
	ways := []way{
		{name: "directly", small: []float64{100, 200, 300}, large: []float64{1, 1, 1}},
		{name: "ours", small: []float64{200, 350, 600}, large: []float64{3, 3, 3}},
		{name: "nginx", small: []float64{150, 250, 350}, large: []float64{1, 1.8, 3}},
	}
	figures := proxyFigures(ways)
	for i, want := range []struct {
		median, budget float64
		over           bool
	}{{150, maxOverhead, false}, {50, 0, false}, {1, 0, false}, {3, 2, true}, {1.8, 0, false}} {
		f := figures[i]
		if f.median() != want.median || f.Budget != want.budget || f.over() != want.over {
			t.Errorf("%s: median %v, want %v", f, f.median(), want)
		}
	}
	if alone := proxyFigures(ways[:2]); len(alone) != 3 || alone[2].Budget != 0 {
		t.Errorf("without nginx: %v", alone)
	}
}

// An answer that is not the whole file is no measurement of it.
func TestFetch(t *testing.T) {
	s := httptest.NewServer(http.FileServer(http.Dir(".")))
	defer s.Close()
	for _, c := range []struct {
		name string
		size int64
	}{{"go.mod", 1}, {"none", 19}} {
		if _, err := fetch(t.Context(), s.Client(), s.URL+"/"+c.name, c.size); err == nil {
			t.Errorf("%s of %d bytes: no error", c.name, c.size)
		}
	}
}
