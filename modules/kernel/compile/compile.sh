#!/bin/sh
# Compiles Linux from a Debian source package.
#
#   compile.sh SOURCES CONFIG WORK OUT [CHECK...]
#
# SOURCES  folder with the source package's files (.dsc and what it names)
# CONFIG   folder with the configuration's fragments (*.config)
# WORK     folder to work in; it must not exist, and is gone afterwards
# OUT      folder that gets vmlinux, System.map, bzImage, config, release and
#          insert-sys-cert (the kernel's own tool, to compare ours with)
# CHECK    command that gets the configuration as its last argument, and stops
#          the work when it fails
#
# The result depends on SOURCES, CONFIG and the tools, and on nothing else: not
# on WORK, the clock, the user, the host or the number of processors. The time
# in the kernel is that of the source package's newest changelog entry.
#
# This script is small and separate so that no change of a program makes the
# kernel compile again.
set -eu
umask 022
export LC_ALL=C TZ=UTC

here=$(cd "$(dirname "$0")" && pwd)
sources=$(cd "$1" && pwd)
config=$(cd "$2" && pwd)
mkdir "$3"
work=$(cd "$3" && pwd)
mkdir -p "$4"
out=$(cd "$4" && pwd)
shift 4
trap 'rm -rf "$work"' EXIT

dsc=$(ls "$sources"/*.dsc)
test -f "$dsc" || { echo "compile.sh: want one .dsc in $sources, found: $dsc" >&2; exit 1; }
dpkg-source -x "$dsc" "$work/source" >"$work/unpack.log" 2>&1 || { cat "$work/unpack.log" >&2; exit 1; }
cd "$work/source"

date=$(sed -n 's/^ -- .*>  //p' debian/changelog | head -n 1)
test -n "$date" || { echo "compile.sh: the changelog of $dsc has no date" >&2; exit 1; }
KBUILD_BUILD_TIMESTAMP=$(date -u -d "$date" '+%a %b %e %H:%M:%S UTC %Y')
export KBUILD_BUILD_TIMESTAMP KBUILD_BUILD_VERSION=1 KBUILD_BUILD_USER=mangos KBUILD_BUILD_HOST=mangos

build() {
    make -s -j"$(nproc)" ARCH=x86_64 O="$work/build" \
        KCFLAGS="-ffile-prefix-map=$work=." KAFLAGS="-ffile-prefix-map=$work=." \
        ZSTD="sh $here/compress.sh" "$@"
}
cat "$config"/*.config >"$work/all.config"
build KCONFIG_ALLCONFIG="$work/all.config" allnoconfig
cp "$work/build/.config" "$out/config"
test $# -eq 0 || "$@" "$out/config"

build vmlinux bzImage
cd "$work/build"
cp vmlinux System.map arch/x86/boot/bzImage scripts/insert-sys-cert "$out/"
cp include/config/kernel.release "$out/release"
