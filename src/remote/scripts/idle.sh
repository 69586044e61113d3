# Instances that get no traffic: that it is so, what is left on them, and their end.
#
# Data: IDLE (their ports, split by spaces) DRAIN_TIMEOUT STOP_TIMEOUT (seconds) ENVIRONMENT COMMAND_PORT, and those of process.sh,
# routed.sh and connections.sh

# check_idle: fails if nginx may send traffic to one of them, and says so in WHY.
check_idle() {
    WHY=''
    routes=$(look_at_routes)
    case $routes in
        *' up'*) ;;
        *) WHY='it can not be told where nginx sends traffic' ;;
    esac
    if [ "$ROUTE_FORM" = include ] && [ -e "$PLACE.shipit-before" ]; then
        WHY="nginx may not have taken up $FILE yet"
    fi
    for port in $IDLE; do
        case "$NL$routes$NL" in
            *"${NL}route $port up$NL"*) WHY="nginx sends traffic to instance $port" ;;
        esac
    done
    [ -z "$WHY" ]
}

# wait_until_free SECONDS: waits until no connection is left on them, twice in a row. Fails after that time; LEFT says what is left.
wait_until_free() {
    now
    end=$((NOW + $1 * 100))
    clear=0
    said=''
    while :; do
        LEFT=$(count_open "$IDLE" | sort -n | awk '{ printf "%s%d connection%s left on %s", sep, $2, ($2 == 1 ? "" : "s"), $1; sep = ", " }')
        if [ -z "$LEFT" ]; then
            clear=$((clear + 1))
            [ "$clear" -lt 2 ] || return 0
        else
            clear=0
            [ "$LEFT" = "$said" ] || progress "$LEFT"
            said=$LEFT
            now
            [ "$NOW" -lt "$end" ] || return 1
            guarded || guard_acts
        fi
        nap 0.1
    done
}

# stop_instance: has the instance PORT stopped, and waits until nothing listens there any more.
stop_instance() {
    INSTANCES=$PORT$TAB$ADDRESS
    ENVIRONMENT="$ENVIRONMENT${NL}export SHIPIT_PORT=$PORT"
    run_command "$STOP_TIMEOUT" "stop-$PORT"
    if [ "$CODE" != 0 ]; then
        show_output "stop-$PORT"
        [ -z "$LATE" ] || fail "the stop of instance $PORT took longer than ${STOP_TIMEOUT}s"
        printf 'code %s\n' "$CODE"
        fail "the stop of instance $PORT failed"
    fi
    now
    end=$((NOW + STOP_TIMEOUT * 100))
    while find_sockets && [ -n "$SOCKETS" ]; do
        now
        [ "$NOW" -lt "$end" ] || fail "instance $PORT still listens ${STOP_TIMEOUT}s after it was stopped" "let the stop command end it, and what starts it again"
        nap 0.1
    done
}
