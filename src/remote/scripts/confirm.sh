# Reads back that the host runs the release, notes that it was confirmed, and removes old releases.
#
# Data: ROOT RELEASE KEEP REPLACES (ids, split by spaces) DIGEST, and those of process.sh

check() {
    ask_unless_passing
    identify
    [ "$RUNNING" = "$RELEASE" ] || fail "instance $PORT runs ${RUNNING:-no release that can be told}, not $RELEASE"
    passed || fail "instance $PORT is not healthy any more: $WHY"
}

note_confirmed() {
    [ "$(tail -n 1 "$ROOT/.shipit/confirmed" 2>/dev/null)" = "$RELEASE" ] ||
        printf '%s\n' "$RELEASE" >>"$ROOT/.shipit/confirmed"
}

# Whoever has it run well in spite of the mark has taken it back, for all that is made of the same.
unmark() {
    [ -f "$ROOT/.shipit/bad" ] || return 0
    grep -q -e "^$RELEASE " -e " $DIGEST " "$ROOT/.shipit/bad" || return 0
    grep -v -e "^$RELEASE " -e " $DIGEST " "$ROOT/.shipit/bad" >"$ROOT/.shipit/bad.new"
    mv -f "$ROOT/.shipit/bad.new" "$ROOT/.shipit/bad"
}

# is_bad ID: whether somebody went back from it.
is_bad() {
    case $BAD in
        *" $1 "*) return 0 ;;
    esac
    return 1
}

# confirmed_before: what a rollback from RELEASE would go to: the last confirmed one that is there and not bad.
confirmed_before() {
    found=''
    while read -r id; do
        [ "$id" = "$RELEASE" ] || is_bad "$id" || [ ! -f "$ROOT/releases/$id/.shipit-release" ] || found=$id
    done <"$ROOT/.shipit/confirmed"
    printf '%s' "$found"
}

# What stays: the newest KEEP, the bad ones being the oldest of all, what current names, what runs, what a rollback would go to,
# and what the deploy replaces: other hosts may not be confirmed, and then a rollback of them all goes there. Newest by id: an id is a time, and file dates are whatever an archive says.
prune() {
    BAD=''
    [ ! -f "$ROOT/.shipit/bad" ] || BAD=" $(cut -d ' ' -f 1 "$ROOT/.shipit/bad" | tr '\n' ' ')"
    set --
    good=''
    for seal in "$ROOT"/releases/*/.shipit-release; do
        id=${seal%/.shipit-release}
        id=${id##*/}
        case $id in
            *[!0-9a-f-]*) continue ;;
        esac
        [ -f "$seal" ] || continue
        if is_bad "$id"; then set -- "$@" "$id"; else good="$good $id"; fi
    done
    # shellcheck disable=SC2086 # ids
    set -- "$@" $good
    removed=0
    if [ $# -gt "$KEEP" ]; then
        [ -n "$PROCESSES" ] || find_processes
        keep=" $(readlink "$ROOT/current") $RELEASE $(confirmed_before) $REPLACES $PROCESSES"
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
PROCESSES='' PASSING=''
[ "$PROOF" != process ] || { survey; ask_listeners; }
each_instance check || exit 1
unmark
# On a full disk there may be room once old releases are gone.
noted=yes
note_confirmed 2>/dev/null || noted=''
# From here on nobody takes it back.
settled
{ prune && sweep; } 2>/dev/null || printf 'said old releases could not all be removed\n'
[ -n "$noted" ] || note_confirmed || fail "$ROOT/.shipit/confirmed can't be written"
