# takefile.sh STORE DIGEST TO: copies a kept file out of the store, and wants it to have its
# digest.
set -eu
cp -p "$1/$2" "$3"
[ "$(sha256sum <"$3" | cut -c 1-64)" = "$2" ] || {
	echo "kept file $2 is damaged" >&2
	exit 1
}
