# keepfiles.sh STORE FOLDER: puts each file of a folder into the store, as STORE/DIGEST,
# unless it lies there whole, and prints the digest and the name of each.
set -eu
digest() { sha256sum <"$1" | cut -c 1-64; }
for f in "$2"/*; do
	sum=$(digest "$f")
	if [ ! -e "$1/$sum" ] || [ "$(digest "$1/$sum")" != "$sum" ]; then
		new=$(mktemp "$1/new.XXXXXX")
		cp -p "$f" "$new"
		mv "$new" "$1/$sum"
	fi
	echo "$sum ${f##*/}"
done
