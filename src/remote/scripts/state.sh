# find_state: where a guard of a balancer keeps what it knows. Whoever may use the socket by this login meets there.
find_state() {
    if [ -z "$STATE" ]; then
        set -- "$(printf %s "$SOCKET" | cksum)"
        STATE=$HOME/.shipit/haproxy-${1%% *}
    fi
    GUARD=$STATE/guard
}
