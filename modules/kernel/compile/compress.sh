#!/bin/sh
# Stands in for zstd when the kernel's build compresses the payload of the
# bzImage (make ZSTD=...): what it appends gives the payload room for a later
# step that compresses it in parts. zstd's frame ends by itself; the boot
# wrapper ignores what follows it.
set -eu
zstd --single-thread "$@"
head -c 131072 /dev/zero
