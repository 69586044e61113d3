# Counts the connections to instances.
#
# Data: ROUTE_PORTS, and for each instance ROUTE_WATCH_PORT: `unix PATH`, or `tcp` and the forms that its address and port
# have in /proc/net/tcp; one that begins with a colon is of any address

# count_open PORTS: prints PORT COUNT for each instance that has connections.
#
# Either end of one counts: that of an app in a container is not to be seen from here, nginx's is. A connection with both
# ends here is one.
count_open() {
    watched=''
    for port in $1; do
        of WATCH "$port"
        case $VALUE in
            tcp\ *) watched="$watched$port ${VALUE#tcp }
" ;;
            unix\ *) count_unix "$port" "${VALUE#unix }" ;;
        esac
    done
    [ -n "$watched" ] || return 0
    set -- /proc/net/tcp
    [ ! -r /proc/net/tcp6 ] || set -- "$@" /proc/net/tcp6
    SHIPIT_WATCH=$watched awk '
        BEGIN {
            lines = split(ENVIRON["SHIPIT_WATCH"], line, "\n")
            for (i = 1; i <= lines; i++) {
                parts = split(line[i], part, " ")
                for (j = 2; j <= parts; j++) port_of[part[j]] = part[1]
            }
        }
        function find(end) {
            if (end in port_of) return port_of[end]
            end = substr(end, index(end, ":"))
            return end in port_of ? port_of[end] : ""
        }
        $4 == "01" {
            # An IPv4 address in the form of IPv6.
            sub(/^0000000000000000FFFF0000/, "", $2)
            sub(/^0000000000000000FFFF0000/, "", $3)
            port = find($2)
            if (port == "") port = find($3)
            if (port == "") next
            pair = ($2 "" < $3 "") ? $2 " " $3 : $3 " " $2
            if (!(pair in seen)) {
                seen[pair] = 1
                open[port]++
            }
        }
        END {
            for (port in open) print port, open[port]
        }' "$@"
}

# count_unix PORT PATH: the same for a socket with that path, by /proc/net/unix: state 03 is connected.
count_unix() {
    SHIPIT_PATH=$2 awk -v port="$1" '
        $6 == "03" && sub(/^[^ ]+ +[^ ]+ +[^ ]+ +[^ ]+ +[^ ]+ +[^ ]+ +[0-9]+ /, "") && $0 == ENVIRON["SHIPIT_PATH"] { count++ }
        END {
            if (count) print port, count
        }' /proc/net/unix
}

# countable PORT: fails if there is a socket that answers, yet not by the path that it is counted by.
countable() {
    of WATCH "$1"
    case $VALUE in
        unix\ *) socket=${VALUE#unix } ;;
        *) return 0 ;;
    esac
    [ -S "$socket" ] || return 0
    ! SHIPIT_PATH=$socket awk '
        $6 == "01" && sub(/^[^ ]+ +[^ ]+ +[^ ]+ +[^ ]+ +[^ ]+ +[^ ]+ +[0-9]+ /, "") && $0 == ENVIRON["SHIPIT_PATH"] { found = 1 }
        END { exit !found }' /proc/net/unix || return 0
    # A dead one has left its file: nothing can be connected to it.
    curl -sI --max-time 2 --unix-socket "$socket" http://localhost/ >/dev/null 2>&1
    [ "$?" = 7 ]
}
