# keep.sh STORE NAME FOLDER: puts a folder into the store, as STORE/NAME/files, with the
# digests of its files beside it, STORE/NAME/sums. What lies there stays if it has these
# digests: others may read it. A power cut may have left something else under the name.
set -eu
sums() { cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum; }
new=$(mktemp -d "$1/new.XXXXXX")
trap 'rm -rf "$new"' EXIT
(sums "$3") >"$new/sums"
if [ -e "$1/$2" ]; then
	cmp -s "$new/sums" "$1/$2/sums" && (sums "$1/$2/files") | cmp -s - "$new/sums" && exit
	mv -T "$1/$2" "$new/damaged" || :
fi
mkdir "$new/whole" "$new/whole/files"
cp -a "$3/." "$new/whole/files"
cp "$new/sums" "$new/whole/sums"
# Another call may have been first.
mv -T "$new/whole" "$1/$2" || [ -e "$1/$2" ]
