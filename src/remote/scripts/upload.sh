# Takes an archive from standard input and keeps it in the cache, under its sha256.
#
# Data: ROOT DIGEST

cache=$ROOT/.shipit/cache
part=$cache/.part.$DIGEST.$$
mkdir -p "$cache" || fail "$cache can't be made"
trap 'rm -f "$part"' EXIT
cat >"$part" || fail "the archive could not be written: is the disk of $ROOT full?"
sum=$(sha256sum <"$part") || fail "the archive could not be read back"
[ "${sum%% *}" = "$DIGEST" ] || fail "the archive arrived as ${sum%% *}, not as $DIGEST"
mv -f "$part" "$cache/$DIGEST" || fail "$cache/$DIGEST could not be written"
