# fence stands in front of every script that changes something: it refuses unless the guard of this deploy stands on the host, and tells
# it what undoes the script before anything is changed. All of this happens in the process that acts, so there is no moment in
# which the guard believes that nobody does.
#
# Data: ROOT RUN (empty: nobody guards) STEP (three digits, so that names sort) UNDO (a script, with what it does in words as its first line; empty: nothing to undo) BACK (the step
# that is taken back, on the way back)

fence() {
    [ -n "${RUN-}" ] || return 0
    # First this, then the look: the guard first lets nobody in any more, and then looks who is busy.
    in_room "$ROOT/.shipit/guard/busy/$$" telling
    guarded || guard_acts
    # On the way back: what came after the step that is taken back now has been undone, and is not to be undone again.
    for one in "$ROOT/.shipit/guard/undo"/*; do
        [ -z "${BACK-}" ] || [ ! -f "$one" ] || [ "${one##*/}" -le "$BACK" ] || rm -f "$one"
    done
    [ -z "${UNDO-}" ] || tell_undo
    in_room "$ROOT/.shipit/guard/busy/$$" working
}

# tell_undo: has the guard know what undoes this step.
tell_undo() {
    set -- "$ROOT/.shipit/guard/undo"
    { in_room "$1/.$STEP" "$UNDO" && mv -f "$1/.$STEP" "$1/$STEP"; } || fail "$1 can't be written" "is the disk full?"
}

# in_room FILE TEXT: writes it, on a full disk into the room that was set aside for that.
in_room() {
    printf '%s' "$2" 2>/dev/null >"$1" || { give_room "$ROOT/.shipit" && printf '%s' "$2" 2>/dev/null >"$1"; }
}

# give_room STATE: gives back the room that the guard has set aside there. Fails if there is none.
give_room() {
    [ -d "$1/reserve" ] && rm -rf "$1/reserve"
}

# guarded: whether the guard of this deploy stands and does not act. A script that waits asks again and again.
guarded() {
    [ -n "${RUN-}" ] || return 0
    run=''
    read -r run pid start 2>/dev/null <"$ROOT/.shipit/guard/run" || return 1
    [ "$run" = "$RUN" ] && started "$pid" && [ "$STARTED" = "$start" ]
}

# guard_acts: gives up; once another guard of this deploy stands, shipit may try again.
guard_acts() {
    echo unguarded
    fail "the guard of this deploy does not stand on this host any more" "\`shipit status\` shows what it has left"
}

# settled: there is nothing to take back any more.
settled() {
    set -- "$ROOT/.shipit/broken"
    [ -z "${RUN-}" ] || set -- "$@" "$ROOT/.shipit/guard/undo"/*
    rm -f "$@"
}
