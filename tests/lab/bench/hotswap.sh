#!/bin/sh
# A hot-swap in bare shell: the floor that shipit is measured against.
#
#   hotswap.sh RELEASE
#
# It takes the steps and the waits that a hot-swap cannot do without, and nothing else: no lock, no journal, no undo, no
# checks beforehand. All hosts go at once, the instances of each one after the other. Each host has one ssh connection that
# all sessions share, and all of the swap is one session.
#
# The lab sets: SSH_CONFIG, CONTROL (a directory for ssh's sockets), APP (the directory to ship), FLEET (the fleet's
# directory), WEB (the hosts, as name=address), PORTS.
set -eu

release=$1

on() {
    host=$1
    shift
    ssh -F "$SSH_CONFIG" -o ControlPath="$CONTROL/%C" "$host" "$@"
}

# Runs "$@ HOST=ADDRESS" for all hosts at once, and fails if one of them failed.
everywhere() {
    jobs=
    for each in $WEB; do
        "$@" "${each%=*}" "${each#*=}" &
        jobs="$jobs $!"
    done
    for job in $jobs; do wait "$job"; done
}

connect() { on "$1" -o ControlMaster=yes -fN; }

disconnect() { on "$1" -O exit 2> /dev/null || :; }

stage() {
    tar -C "$APP" -c . | on "$1" "
        set -eu
        mkdir -p '$FLEET/hosts/$1/srv/releases'
        cd '$FLEET/hosts/$1/srv/releases'
        mkdir '$release.part'
        tar -x -C '$release.part'
        mv '$release.part' '$release'"
}

# Switches host $1 with address $2 over: for each instance out of the local nginx, the connections' end, restart, health
# twice in a row from the new release, five warm requests, and in again with the move that takes the next one out.
swap() {
    # shellcheck disable=SC2086 # ports are words
    on "$1" sh -s -- "$FLEET" "$1" "$2" "$release" $PORTS << 'END'
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
END
}

everywhere connect
trap 'everywhere disconnect' EXIT
everywhere stage
everywhere swap
