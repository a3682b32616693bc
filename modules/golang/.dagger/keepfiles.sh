# keepfiles.sh STORE FOLDER: puts each file of a folder into the store, as STORE/DIGEST,
# unless it lies there whole, and prints the digest and the name of each. The store is that
# of keep.sh, which empties it of what no call has kept for long.
set -eu
digest() { sha256sum <"$1" | cut -c 1-64; }
for f in "$2"/*; do
	sum=$(digest "$f")
	if [ -e "$1/$sum" ] && touch -c "$1/$sum" && [ "$(digest "$1/$sum")" = "$sum" ]; then
		echo "$sum ${f##*/}"
		continue
	fi
	new=$(mktemp "$1/new.XXXXXX")
	cp -p "$f" "$new"
	touch "$new"
	mv "$new" "$1/$sum"
	echo "$sum ${f##*/}"
done
