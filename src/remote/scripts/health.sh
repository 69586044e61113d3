# Waits until each instance is healthy: so many passes in a row, from one process, which is of the release.
#
# Data: ROOT RELEASE (empty: any will do) INSTANCES PASSES INTERVAL (milliseconds) DEADLINE (seconds) ENVIRONMENT COMMAND_PORT (prints the log), and
# those of process.sh

# The first waits are short, because most of a fast app's boot would be waiting; they grow to the recipe's interval.
FIRST_WAIT=2

# While nothing listens the app does not notice a look, so the waits are a part of what was waited so far, and no longer than
# LONGEST_LOOK: who boots in 3 seconds is seen within 40 ms, and who takes a minute costs the host less.
LOOKS=150
LONGEST_LOOK=20

# Seconds beyond the deadline, besides the time-out of one answer, that an instance which passes gets for the rest of its
# passes. The step's own limit is above that.
GRACE=10

wait_for_health() {
    # The surveys of this instance are its own.
    INSTANCES=$PORT$TAB$ADDRESS
    now
    first=$NOW
    end=$((NOW + DEADLINE * 100))
    late=$((end + HEALTH_TIMEOUT * 100 + GRACE * 100))
    wait=$FIRST_WAIT
    tries=0
    passes=0
    holders='' said=''
    while :; do
        tries=$((tries + 1))
        check
        [ "$passes" -lt "$PASSES" ] || break
        now
        # One that passes already is let finish: on a host that is short of time it is the checks that take so long.
        [ "$NOW" -lt "$end" ] || { [ "$passes" -gt 0 ] && [ "$NOW" -lt "$late" ]; } || gave_up
        guarded || guard_acts
        if [ "$passes" = 0 ] && [ "$WHY" != "$said" ]; then
            progress "$PORT: $WHY"
            said=$WHY
        fi
        pause
    done
    now
    printf 'healthy %s %s\n' "$PORT" "$((NOW - first))"
}

# One request. It counts if it is a pass from the process that gave the passes before, or from one of the release.
check() {
    most=$((INTERVAL / 10))
    if [ "$PROOF" = process ] && { [ "$passes" = 0 ] || ! alive "$holders"; }; then
        find_sockets
        # While nothing listens there is nobody to ask, and that is most of a slow app's boot.
        if [ -z "$SOCKETS" ]; then
            passes=0
            WHY="nothing listens on port $PORT"
            now
            look=$(((NOW - first) / LOOKS + 2))
            [ "$look" -le "$LONGEST_LOOK" ] || look=$LONGEST_LOOK
            [ "$most" -le "$look" ] || most=$look
            return
        fi
    fi
    ask "$URL"
    if ! passed; then
        passes=0
        return
    fi
    if [ "$PROOF" = process ]; then
        if [ "$passes" -gt 0 ] && alive "$holders"; then
            passes=$((passes + 1))
            WHY="passes $passes of $PASSES times"
            return
        fi
        explain_sockets
        identify
        # Where processes are hidden, that they are the same ones can only be seen like this.
        [ "$HOLDERS" = "$holders" ] || passes=0
        holders=$HOLDERS
    fi
    if [ "$RUNNING" = "$RELEASE" ] || [ -z "$RELEASE" ]; then
        passes=$((passes + 1))
        WHY="passes $passes of $PASSES times"
        wait=$most
    else
        passes=0
        WHY="healthy, but runs ${RUNNING:-no release that can be told}${SEEN:+ ($SEEN)}"
    fi
}

pause() {
    fraction=$((wait % 100))
    [ "$fraction" -ge 10 ] || fraction=0$fraction
    nap "$((wait / 100)).$fraction"
    [ "$passes" -gt 0 ] || wait=$((wait * 3 / 2))
    [ "$wait" -le "$most" ] || wait=$most
}

# way_to_tell: what makes known which release an app runs that is healthy.
way_to_tell() {
    where=body
    [ "$PROOF" != header ] || where="header $HEADER"
    [ "$PROOF" = process ] || {
        printf '%s' "let the $where of the health page hold the release's id, such as $RELEASE, or a path with it"
        return
    }
    way='let the app stay in the directory that it is started in, which is to be current'
    ! is_hidden || way="run shipit as the app's user, allow it sudo"
    printf '%s' "$way, or let the health page name the release: [health] release = \"header:X-Release\""
}

gave_up() {
    if [ -n "$COMMAND" ]; then
        scratch
        ENVIRONMENT="$ENVIRONMENT${NL}export SHIPIT_PORT=$PORT"
        run_command 10 log
        show_output log
    fi
    case $WHY in
        *'no release that can be told'*)
            fail "instance $PORT is $WHY" "$(way_to_tell)" ;;
    esac
    # Without the app's own words this is hard to mend.
    advice=''
    [ -n "$COMMAND" ] || advice="to see the app's own words here, give the recipe a command that prints them: [app] logs = \"sudo -n journalctl -n 20 -u app@{port}\""
    fail "instance $PORT did not get healthy in ${DEADLINE}s: $WHY, from $URL, $tries tries" "$advice"
}

SEEN='' RUNNING=''
each_instance wait_for_health
