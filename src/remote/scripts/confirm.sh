# Reads back that the host runs the release, notes that it was confirmed, and removes old releases.
#
# Data: ROOT RELEASE KEEP DIGEST, and those of process.sh

check() {
    ask "$URL"
    identify
    [ "$RUNNING" = "$RELEASE" ] || fail "instance $PORT runs ${RUNNING:-no release that can be told}, not $RELEASE"
    passed || fail "instance $PORT is not healthy any more: $WHY"
}

note_confirmed() {
    [ "$(tail -n 1 "$ROOT/.shipit/confirmed" 2>/dev/null)" = "$RELEASE" ] ||
        printf '%s\n' "$RELEASE" >>"$ROOT/.shipit/confirmed" || fail "$ROOT/.shipit/confirmed can't be written"
}

# What stays: the newest KEEP, what current names, what runs, and the release that was confirmed before this one. Newest by
# id: an id is a time, and file dates are whatever an archive says.
prune() {
    set --
    for seal in "$ROOT"/releases/*/.shipit-release; do
        id=${seal%/.shipit-release}
        id=${id##*/}
        case $id in
            *[!0-9a-f-]*) ;;
            *) [ ! -f "$seal" ] || set -- "$@" "$id" ;;
        esac
    done
    removed=0
    if [ $# -gt "$KEEP" ]; then
        [ -n "$PROCESSES" ] || find_processes
        keep=" $(readlink "$ROOT/current") $(tail -n 2 "$ROOT/.shipit/confirmed" | tr '\n' ' ') $PROCESSES"
        while [ $# -gt "$KEEP" ]; do
            case $keep in
                *[\ /:]"$1 "*) ;;
                *) mv "$ROOT/releases/$1" "$ROOT/releases/.trash-$1" && removed=$((removed + 1)) ;;
            esac
            shift
        done
    fi
    [ "$removed" = 0 ] || printf 'said %s old releases removed\n' "$removed"
}

# Takes away what is of no use any more: pruned releases, what a crash left half made, archives of other releases.
sweep() {
    set -- "$ROOT/releases"
    for dir in cache once; do
        [ ! -d "$ROOT/.shipit/$dir" ] || set -- "$@" "$ROOT/.shipit/$dir"
    done
    find "$@" -mindepth 1 -maxdepth 1 \( \
        -path '*/releases/.trash-*' -o -path '*/releases/.staging-*' -mmin +1440 -o \
        -path '*/.shipit/cache/*' ! -name "${DIGEST:-none}" -mmin +60 -o \
        -path '*/.shipit/once/*' -mtime +90 \) -exec rm -rf {} +
}

fence
PROCESSES=''
[ "$PROOF" != process ] || survey
each_instance check || exit 1
note_confirmed
# From here on nobody takes it back.
settled
{ prune && sweep; } 2>/dev/null || printf 'said old releases could not all be removed\n'
