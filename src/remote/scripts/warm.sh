# Sends each instance requests of no user, so that the first users do not pay for cold caches.
#
# Data: INSTANCES (the URL is one to warm, and an instance may have several lines) REQUESTS WARM_TIMEOUT (seconds)

# One curl for all requests of a URL, each on a connection of its own: a server with several workers gives them to
# different ones. The last answer decides; the first ones may be slow or fail while the app warms up.
warm() {
    as_url "$URL"
    requests=''
    left=$REQUESTS
    while [ "$left" -gt 0 ]; do
        requests="$requests$URL_LINE${NL}output = /dev/null$NL"
        left=$((left - 1))
    done
    # curl's own code is that of its last request.
    answers=$(curl -q -g -sS --noproxy '*' --max-time "$WARM_TIMEOUT" -H 'Connection: close' -A shipit-warm \
        -w '%{http_code} %{time_total}\n' -K - 2>&1 <<END
$requests
END
    ) || {
        complaint "$answers"
        fail "instance $PORT gave no whole answer to $URL: $WHY"
    }
    last=${answers##*"$NL"}
    case $last in
        [1-4]??' '*) printf 'warmed %s %s\n' "$PORT" "${last#* }" ;;
        *) fail "instance $PORT still answers $URL with HTTP ${last%% *} at request $REQUESTS" ;;
    esac
}

each_instance warm
