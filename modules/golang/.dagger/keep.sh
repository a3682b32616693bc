# keep.sh STORE NAME FOLDER: puts a folder into the store, as STORE/NAME/files, with what
# lies in it and the digests beside it (sums.sh), STORE/NAME/sums. What lies there stays if
# it is as these say: others may read it. A power cut may have left something else under
# the name, and is no reason to wait for the disk: each call looks at what it keeps.
#
# What no call has kept for a month goes, and so does what a killed one left behind.
set -eu
# Another call may take away what find has just seen, which is no fault.
find "$1" -mindepth 1 -maxdepth 1 \( -name 'new.*' -mmin +1440 -o -mtime +30 \) -exec rm -rf {} + 2>/dev/null || :
new=$(mktemp -d "$1/new.XXXXXX")
trap 'rm -rf "$new"' EXIT
(sums "$3") >"$new/sums"
if [ -e "$1/$2" ]; then
	touch -c "$1/$2"
	cmp -s "$new/sums" "$1/$2/sums" && (sums "$1/$2/files") | cmp -s - "$new/sums" && exit
	mv -T "$1/$2" "$new/damaged" || :
fi
mkdir "$new/whole" "$new/whole/files"
cp -a "$3/." "$new/whole/files"
cp "$new/sums" "$new/whole/sums"
# Another call may have been first.
mv -T "$new/whole" "$1/$2" || [ -e "$1/$2" ]
