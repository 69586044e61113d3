# look_for_way: sets WAY to how haproxy's SOCKET is asked from here, by ASK, the text of ask.sh. Fails with NO_WAY and NO_WAY_HELP to say:
# then a guard here could not put anything back.
look_for_way() {
    # shellcheck disable=SC2034 # for ASK
    COMMANDS='show info'
    if told=$(WAY='' && eval "$ASK" 2>&1); then
        WAY=${told%%"$NL"*}
        return 0
    fi
    NO_WAY="a guard has no way to haproxy's socket $SOCKET: $(printf %s "$told" | tr '\n' ';' | sed 's/;/; /g')"
    NO_WAY_HELP="install socat, python3 or perl, and let $(id -un) use the socket"
    return 1
}
