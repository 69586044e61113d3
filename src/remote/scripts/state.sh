# find_state: where a guard of a balancer keeps what it knows. Whoever may use the socket by this login meets there.
find_state() {
    if [ -z "$STATE" ]; then
        STATE=$HOME/.shipit/haproxy$(printf %s "$SOCKET" | tr -c 'A-Za-z0-9.-' '_')
    fi
    GUARD=$STATE/guard
}
