# Reads back that the host runs the release, notes that it was confirmed, and removes old releases.
#
# Data: ROOT RELEASE INSTANCES KEEP DIGEST, and those of process.sh

check() {
    ask "$URL"
    identify
    [ "$RUNNING" = "$RELEASE" ] || fail "instance $PORT runs ${RUNNING:-no release that can be told}, not $RELEASE"
    passed || fail "instance $PORT is not healthy any more: $WHY"
    printf '%s\n' "$RUNNING" >"$SCRATCH/$PORT.running"
}

note_confirmed() {
    [ "$(tail -n 1 "$ROOT/.shipit/confirmed" 2>/dev/null)" = "$RELEASE" ] ||
        printf '%s\n' "$RELEASE" >>"$ROOT/.shipit/confirmed" || fail "$ROOT/.shipit/confirmed can't be written"
}

# What stays: what current names, what runs, the release that was confirmed before this one, and the newest KEEP. Newest
# by id: an id is a time, and file dates are whatever an archive says.
prune() {
    keep=$(
        readlink "$ROOT/current" | sed 's|.*/||'
        release_processes env | cut -d ' ' -f 2
        tail -n 2 "$ROOT/.shipit/confirmed"
        ls_releases | sort -r | head -n "$KEEP"
    )
    removed=0
    for id in $(ls_releases); do
        printf '%s\n' "$keep" | grep -qx "$id" && continue
        mv "$ROOT/releases/$id" "$ROOT/releases/.trash-$id" && removed=$((removed + 1))
    done
    rm -rf "$ROOT"/releases/.trash-*
    find "$ROOT/releases" -maxdepth 1 -name '.staging-*' -mmin +1440 -exec rm -rf {} +
    [ ! -d "$ROOT/.shipit/cache" ] || find "$ROOT/.shipit/cache" -type f ! -name "${DIGEST:-none}" -mmin +60 -exec rm -f {} +
    [ ! -d "$ROOT/.shipit/once" ] || find "$ROOT/.shipit/once" -type f -mtime +90 -exec rm -f {} +
    [ "$removed" = 0 ] || printf 'said %s old releases removed\n' "$removed"
}

ls_releases() {
    for seal in "$ROOT"/releases/*/.shipit-release; do
        [ -f "$seal" ] || continue
        release=${seal%/.shipit-release}
        printf '%s\n' "${release##*/}"
    done
}

scratch
each_instance check || exit 1
note_confirmed
prune 2>/dev/null || printf 'said old releases could not all be removed\n'
