# Sends each instance requests of no user, so that the first users do not pay for cold caches.
#
# Data: INSTANCES (the URL is one to warm, and an instance may have several lines) REQUESTS WARM_TIMEOUT (seconds)

# One curl for all requests of a URL, each on a connection of its own: a server with several workers gives them to
# different ones. The last answer decides; the first ones may be slow or fail while the app warms up.
warm() {
    set --
    left=$REQUESTS
    while [ "$left" -gt 0 ]; do
        set -- "$@" -o /dev/null "$URL"
        left=$((left - 1))
    done
    answers=$(curl -sS --noproxy '*' --max-time "$WARM_TIMEOUT" -H 'Connection: close' -A shipit-warm \
        -w '%{http_code} %{time_total}\n' "$@" 2>"$SCRATCH/why.$PORT")
    last=$(printf '%s\n' "$answers" | tail -n 1)
    case ${last%% *} in
        [1-4]??) printf 'warmed %s %s\n' "$PORT" "${last#* }" ;;
        000 | '') fail "instance $PORT gave no answer to $URL: $(sed -n '1s/^curl: ([0-9]*) //p' "$SCRATCH/why.$PORT")" ;;
        *) fail "instance $PORT answers $URL with HTTP ${last%% *}, $REQUESTS times" ;;
    esac
}

scratch
each_instance warm
