# sums FOLDER prints what lies in a folder: kind, mode, owner and name of each entry, where
# a link leads to, and the digest of each file.
sums() {
	cd "$1"
	find . -mindepth 1 -print0 | LC_ALL=C sort -z | xargs -0r stat -c '%f %u:%g %N'
	find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum
}
