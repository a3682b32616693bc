# take.sh KEPT TO: copies a kept folder out of the store, and wants what lies in it to be as
# it was put there (sums.sh).
set -eu
fail() {
	echo "kept folder ${1##*/} $2: call again; if that does not help, empty the cache (ci/dagger engine prune)" >&2
	exit 1
}
[ -e "$1/files" ] && [ -e "$1/sums" ] || fail "$1" "is gone from the store"
cp -a "$1/files" "$2"
chmod 755 "$2"
found=$(mktemp)
(sums "$2") >"$found"
cmp -s "$1/sums" "$found" && rm "$found" && exit
diff "$1/sums" "$found" | grep '^[<>]' | head -n 20 >&2
rm "$found"
fail "$1" "is damaged: it was put there as the lines with <, and is as those with >"
