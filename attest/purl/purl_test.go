package purl

import "testing"

func TestPURL(t *testing.T) {
	for got, want := range map[string]string{
		Deb("debian-13", "attr", "1:2.4.47-2+b1", "amd64"):      "pkg:deb/debian/attr@1:2.4.47-2%2Bb1?arch=amd64&distro=debian-13",
		Deb("debian-13", "libstdc++6", "14.2.0-19", "source"):   "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=source&distro=debian-13",
		Deb("ubuntu-24.04", "dpkg", "1.22.6ubuntu6~x", "amd64"): "pkg:deb/ubuntu/dpkg@1.22.6ubuntu6~x?arch=amd64&distro=ubuntu-24.04",
		Golang("github.com/BurntSushi/toml", "v1.5.0"):          "pkg:golang/github.com/burntsushi/toml@v1.5.0",
		Golang("example.com/x", "v2.0.0+incompatible"):          "pkg:golang/example.com/x@v2.0.0%2Bincompatible",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
