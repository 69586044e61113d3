# Takes an archive from standard input and keeps it in the cache, under its sha256.
#
# Data: ROOT DIGEST

fence
cache=$ROOT/.shipit/cache
part=$cache/.part.$DIGEST.$$
[ -d "$cache" ] || mkdir -p "$cache" || fail "$cache can't be made"
trap '[ ! -e "$part" ] || rm -f "$part"' EXIT
cat >"$part" || fail "the archive could not be written: is the disk of $ROOT full?"
sha256 "$part" || fail "the archive could not be read back"
[ "$SUM" = "$DIGEST" ] || fail "the archive arrived as $SUM, not as $DIGEST"
mv -f "$part" "$cache/$DIGEST" || fail "$cache/$DIGEST could not be written"
