# Stops instances that get no traffic, once nothing is left on them: now, or by a process of the host's own that comes to it later.
#
# Data: AFTER (seconds) RETIRE (the script of that process) LEFTOVER (abort or cut), and those of idle.sh

# later: leaves the rest to a process that outlives this session. What it does can be read in a file, and so can what came of it.
later() {
    this_boot
    token=$BOOT.$$.$NOW
    # What is in it may be for no other user to read.
    (
        umask 077
        printf '%s\n' "$RETIRE" >"$ROOT/.shipit/retire.new.sh" &&
            mv -f "$ROOT/.shipit/retire.new.sh" "$ROOT/.shipit/retire.sh" &&
            printf '%s %s %s\n' "$token" "$((NOW / 100 + AFTER))" "$IDLE" >"$ROOT/.shipit/retire.new" &&
            mv -f "$ROOT/.shipit/retire.new" "$ROOT/.shipit/retire"
    ) || fail "$ROOT/.shipit can't be written"
    # A login shell that hangs up takes along what is in its session.
    set -- sh "$ROOT/.shipit/retire.sh" "$token"
    ! command -v setsid >/dev/null 2>&1 || set -- setsid "$@"
    (
        trap '' HUP
        own_locale
        cd / || exit
        exec "$@" </dev/null >"$ROOT/.shipit/retire.log" 2>&1 9>&-
    ) &
}

fence
[ -d "$ROOT/.shipit" ] || mkdir -p "$ROOT/.shipit" || fail "$ROOT can't be written"
check_idle || fail "$WHY" "see who else deploys, then stop what is not needed by hand"
if [ "$AFTER" = 0 ] && ! wait_until_free "$DRAIN_TIMEOUT" && [ "$LEFTOVER" = abort ]; then
    alone restart "$((STOP_TIMEOUT + 10))"
    now
    later
    printf 'said %s: stopped when they end\n' "$LEFT"
    exit 0
fi
alone restart "$((STOP_TIMEOUT + 10))"
now
if [ "$AFTER" != 0 ]; then
    later
    if ! wait_until_free 0; then
        [ "$LEFTOVER" = cut ] && fate='cut off when it is stopped' || fate='stopped when they end'
        printf 'said %s: %s\n' "$LEFT" "$fate"
    fi
    exit 0
fi
check_idle || fail "$WHY" "see who else deploys"
supersede
scratch
each_instance stop_instance || exit 1
[ -z "$LEFT" ] || printf 'said %s: cut off\n' "$LEFT"
