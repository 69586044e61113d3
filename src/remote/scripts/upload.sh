# Takes an archive from standard input and keeps it in the cache, under its sha256.
#
# The one script that gets its data as arguments, because its standard input is the archive: $1 is the root, $2 the sha256.
set -u
cache=$1/.shipit/cache
mkdir -p "$cache" || exit 1
part=$cache/.part.$2.$$
trap 'rm -f "$part"' EXIT
cat >"$part" || exit 1
sum=$(sha256sum <"$part") || exit 1
if [ "${sum%% *}" != "$2" ]; then
    echo "the archive arrived as ${sum%% *}, not as $2" >&2
    exit 1
fi
mv -f "$part" "$cache/$2" || exit 1
