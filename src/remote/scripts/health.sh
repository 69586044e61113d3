# Waits until each instance is healthy: so many passes in a row, from one process, which is of the release.
#
# Data: ROOT RELEASE INSTANCES PASSES INTERVAL HEALTH_TIMEOUT DEADLINE (seconds) LOGS, and those of process.sh

# The first waits are short, because most of a fast app's boot would be waiting; they grow to the recipe's interval.
FIRST_WAIT=5

wait_for_health() {
    now
    begin=$NOW
    end=$((NOW + DEADLINE * 100))
    wait=$FIRST_WAIT
    tries=0
    passes=0
    holders=''
    while :; do
        tries=$((tries + 1))
        ask "$URL"
        judge
        [ "$passes" -lt "$PASSES" ] || break
        now
        [ "$NOW" -lt "$end" ] || gave_up
        [ "$passes" -gt 0 ] || progress "$PORT: $WHY"
        pause
    done
    now
    printf 'healthy %s %s\n' "$PORT" "$((NOW - begin))"
}

# Counts the answer, if it is a pass from the process that gave the passes before.
judge() {
    if ! passed; then
        passes=0
        return
    fi
    if [ "$passes" -gt 0 ] && alive "$holders"; then
        passes=$((passes + 1))
        return
    fi
    identify
    if [ "$RUNNING" = "$RELEASE" ]; then
        holders=$HOLDERS
        passes=1
        wait=$((INTERVAL / 10))
    else
        passes=0
        WHY="healthy, but runs ${RUNNING:-no release that can be told}${SEEN:+ ($SEEN)}"
    fi
}

pause() {
    nap "$((wait / 100)).$(printf %02d $((wait % 100)))"
    [ "$passes" -gt 0 ] || wait=$((wait * 3 / 2))
    [ "$wait" -le "$((INTERVAL / 10))" ] || wait=$((INTERVAL / 10))
}

gave_up() {
    if [ -n "$COMMAND" ]; then
        run_command 10 "$SCRATCH/$PORT.log" "$COMMAND"
        show_output "$SCRATCH/$PORT.log"
    fi
    case $WHY in
        *'no release that can be told'*)
            fail "instance $PORT is $WHY" "run shipit as the app's user, allow it sudo, or let the health page name the release: [health] release = \"header:X-Release\"" ;;
    esac
    fail "instance $PORT did not get healthy in ${DEADLINE}s: $WHY, from $URL, $tries tries"
}

HOLDERS='' RUNNING='' SEEN=''
scratch
each_instance wait_for_health
