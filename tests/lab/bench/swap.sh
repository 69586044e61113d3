#!/bin/sh
# Runs on a host of the lab: switches it over to a release, one instance after the other behind its nginx.
#
#   swap.sh FLEET HOST ADDRESS RELEASE PORT…
#
# For each instance: out of the local nginx, the connections' end, restart, health twice in a row from the new release, five warm
# requests, and in again with the move that takes the next one out. It takes the steps and the waits that this cannot do without.
set -eu
fleet=$1 host=$2 address=$3 release=$4
shift 4
ports=$*
nginx=$fleet/bin/nginxctl
include=$fleet/hosts/$host/app.upstream
master=$(cat "$fleet/hosts/$host/run/nginx.master")
# As /proc/net/tcp has it: each byte in hexadecimal, the last one first.
hex=$(echo "$address" | awk -F. '{ printf "%02X%02X%02X%02X", $4, $3, $2, $1 }')

# The workers that take connections.
workers() {
    # shellcheck disable=SC2013 # they are words
    for pid in $(cat "/proc/$master/task/$master/children"); do
        title=
        IFS= read -r title < "/proc/$pid/cmdline" || :
        case $title in *': worker process') echo "$pid" ;; esac
    done 2> /dev/null
}

# Routes to all instances but $1, and waits until nginx does so.
route_without() {
    for any in $ports; do
        down=
        [ "$any" != "$1" ] || down=' down'
        echo "server $address:$any max_fails=0$down;"
    done > "$include.new"
    mv "$include.new" "$include"
    "$nginx" "$host" -t 2> /dev/null
    old=$(workers)
    "$nginx" "$host" -s reload 2> /dev/null
    while :; do
        new=$(workers)
        same=
        for pid in $old; do
            case "
$new
" in *"
$pid
"*) same=yes ;; esac
        done
        [ -z "$new" ] || [ -n "$same" ] || break
        sleep 0.02
    done
}

# Waits until two looks in a row, 100 ms apart, find no connection to instance $1.
drained() {
    end=$hex:$(printf %04X "$1")
    quiet=0
    while :; do
        if awk -v end="$end" '$4 == "01" && ($2 == end || $3 == end) { found = 1 } END { exit found }' /proc/net/tcp; then
            quiet=$((quiet + 1))
            [ "$quiet" -lt 2 ] || break
            sleep 0.1
        else
            quiet=0
            sleep 0.02
        fi
    done
}

cd "$fleet/hosts/$host/srv"
for port; do
    route_without "$port"
    drained "$port"
    ln -s "releases/$release" current.new
    mv -T current.new current
    "$fleet/bin/appctl" restart "$host" "$port"
    passes=0
    until [ "$passes" = 2 ]; do
        if [ "$(curl -fs -m 2 "http://$address:$port/health")" = "$release" ]; then
            passes=$((passes + 1))
            [ "$passes" = 2 ] || sleep 0.1
        else
            passes=0
            sleep 0.1
        fi
    done
    page=http://$address:$port/
    curl -fs "$page" "$page" "$page" "$page" "$page" > /dev/null
done
route_without none
# The time in which errors of the new release would show.
sleep 1
