# The lock of one host, for people.
#
# Data: STATE SOCKET (see guard.sh) ACTION (status, take or break) ID (whose lock is broken) HOLDER (of the lock that is taken)
# Answers, besides the common ones:
#   guard NAME VALUE | hold NAME VALUE   who holds it: a deploy, or a person
#   broken TEXT                          what a guard could not undo

# tell WORD FILE: the lines of a file, with a word in front.
tell() {
    while IFS= read -r line; do
        printf '%s %s\n' "$1" "$line"
    done 2>/dev/null <"$2"
}

# is_held: whether a guard stands. To find out is to take the lock for a moment, and then nobody does.
is_held() {
    [ -e "$STATE/lock" ] || return 1
    exec 9>>"$STATE/lock"
    if flock -n 9; then
        exec 9>&-
        return 1
    fi
    exec 9>&-
}

status() {
    [ ! -e "$STATE/hold" ] || tell hold "$STATE/hold"
    ! is_held || tell guard "$STATE/holder"
    [ ! -e "$STATE/broken" ] || tell broken "$STATE/broken"
}

take() {
    (umask 077 && mkdir -p "$STATE") || fail "$STATE can't be made by $(id -un)"
    [ ! -e "$STATE/hold" ] || fail "it is taken already" "\`shipit lock status\` shows by whom"
    ! is_held || fail "a deploy is under way" "wait for its end"
    { printf '%s\n' "$HOLDER" >"$STATE/hold.$$" && ln "$STATE/hold.$$" "$STATE/hold"; } || fail "$STATE/hold can't be written"
    rm -f "$STATE/hold.$$"
}

# owner FILE: sets OWNER to the run that a holder's file names.
owner() {
    OWNER=$(sed -n 's/^run //p' "$1" 2>/dev/null)
}

# A guard that is told to go does what it does when its shipit is gone: it undoes, and goes.
break_lock() {
    owner "$STATE/hold"
    if [ "$OWNER" = "$ID" ]; then
        rm -f "$STATE/hold" || fail "$STATE/hold can't be removed"
        printf 'said released\n'
    fi
    read -r run pid start 2>/dev/null <"$STATE/guard/run" || return 0
    [ "$run" = "$ID" ] || return 0
    { started "$pid" && [ "$STARTED" = "$start" ]; } || return 0
    kill "$pid" || fail "the guard can't be told to go"
    now
    end=$((NOW + 6000))
    while is_held; do
        now
        [ "$NOW" -lt "$end" ] || fail "the guard was told to go, and is still at work" "\`shipit lock status\` shows when it is through"
        nap 0.2
    done
    printf 'said its guard has put back what was to be put back\n'
}

find_state
case $ACTION in
    status) status ;;
    take) take ;;
    break) break_lock ;;
esac
