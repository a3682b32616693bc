# fetch.sh VERSION DIR: puts the Go toolchain of that version into DIR.
set -eu
export GOMODCACHE=/tmp/fetch GOFLAGS=-modcacherw GOTOOLCHAIN=local
module=golang.org/toolchain@v0.0.1-go$1.linux-amd64
cd /tmp
go mod download "$module"
mv "$GOMODCACHE/$module" "$2"
rm -rf "$GOMODCACHE"
cd "$2"
# The toolchain's own tests are a third of its files.
find . -type d -name testdata -prune -exec rm -rf {} +
find . -name '*_test.go' -exec rm -f {} +
# What a module cannot carry: a program's mode, and a go.mod below its top.
find . -name _go.mod -exec sh -c 'mv "$1" "${1%/*}/go.mod"' sh {} \;
chmod 755 bin/* pkg/tool/*/*
