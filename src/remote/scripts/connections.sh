# Counts the connections to instances.
#
# Data: ROUTE_PORTS, and for each instance ROUTE_WATCH_PORT: `unix PATH`, or `tcp` and the forms that its address and port
# have in /proc/net/tcp, and with a `=` in front, as ss prints them; one without an address is of any

# count_open PORTS: prints PORT COUNT for each instance that has connections.
#
# Either end of one counts: that of an app in a container is not to be seen from here, nginx's is. A connection with both
# ends here is one.
count_open() {
    watched='' filter=''
    for port in $1; do
        of WATCH "$port"
        case $VALUE in
            tcp\ *)
                watched="$watched$port ${VALUE#tcp }$NL"
                for form in $VALUE; do
                    case $form in
                        =*) filter="$filter${filter:+ or }sport = :${form##*:} or dport = :${form##*:}" ;;
                    esac
                done
                ;;
            unix\ *) count_unix "$port" "${VALUE#unix }" ;;
        esac
    done
    [ -n "$watched" ] || return 0
    established | SHIPIT_WATCH=$watched awk '
        BEGIN {
            lines = split(ENVIRON["SHIPIT_WATCH"], line, "\n")
            for (i = 1; i <= lines; i++) {
                parts = split(line[i], part, " ")
                for (j = 2; j <= parts; j++) port_of[part[j]] = part[1]
            }
        }
        function find(end) {
            if (end in port_of) return port_of[end]
            match(end, /:[^:]*$/)
            end = substr(end, 1, end ~ /^=/) substr(end, RSTART)
            return end in port_of ? port_of[end] : ""
        }
        # An IPv4 address in the form of IPv6, and the name of an interface, do not count.
        function plain(end) {
            sub(/^0000000000000000FFFF0000/, "", end)
            if (sub(/^\[::ffff:/, "", end)) sub(/\]/, "", end)
            sub(/%[^:\]]*/, "", end)
            return end
        }
        $1 ~ /:$/ {
            if ($4 != "01") next
            here = plain($2)
            there = plain($3)
        }
        $1 !~ /:$/ {
            if ($3 !~ /:/) next
            here = "=" plain($3)
            there = "=" plain($4)
        }
        {
            port = find(here)
            if (port == "") port = find(there)
            if (port == "") next
            pair = (here "" < there "") ? here " " there : there " " here
            if (!(pair in seen)) {
                seen[pair] = 1
                open[port]++
            }
        }
        END {
            for (port in open) print port, open[port]
        }'
}

# established: prints the connections: those to the ports in question alone, as the kernel tells ss; or all, from its tables.
established() {
    # shellcheck disable=SC2086 # words of its language
    ss -H -t -n state established $filter 2>/dev/null || cat /proc/net/tcp /proc/net/tcp6 2>/dev/null
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
