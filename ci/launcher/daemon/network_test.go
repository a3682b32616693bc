package daemon

import (
	"net/netip"
	"slices"
	"testing"
)

const routes = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	0002000A	00000000	0001	0	0	0	00FFFFFF	0	0	0
mangosabcdef0	0000500A	00000000	0001	0	0	0	0000FFFF	0	0	0
tun0	0000400A	00000000	0001	0	0	0	0000C0FF	0	0	0
bad	zz	00000000	0001	0	0	0	0000C0FF	0	0	0
`

func TestParseRoutes(t *testing.T) {
	got := parseRoutes(routes, "mangosabcdef0")
	want := []netip.Prefix{netip.MustParsePrefix("10.0.2.0/24"), netip.MustParsePrefix("10.64.0.0/10")}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPickNetwork(t *testing.T) {
	used := []netip.Prefix{netip.MustParsePrefix("10.64.0.0/16"), netip.MustParsePrefix("10.65.7.0/24")}
	if got, err := pickNetwork(used, 64); err != nil || got != "10.66.0.0/16" {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := pickNetwork(used, 63); err != nil || got != "10.127.0.0/16" {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := pickNetwork([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, 0); err == nil {
		t.Errorf("got %s", got)
	}
}

func FuzzParseRoutes(f *testing.F) {
	f.Add(routes)
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range parseRoutes(text, "x") {
			if !p.IsValid() || p.Bits() == 0 {
				t.Errorf("%q became %v", text, p)
			}
		}
	})
}
