#!/bin/sh
# A rolling deploy in bare shell: the floor that shipit is measured against.
#
#   rolling.sh RELEASE
#
# It takes the steps and the waits that a rolling deploy cannot do without, and nothing else: no lock, no journal, no
# undo, no checks beforehand. Hosts go one at a time, as with `max-in-flight = 1`. Each host has one ssh connection that
# all sessions share, and what can be done on the host in one session is done in one.
#
# The lab sets: SSH_CONFIG, CONTROL (a directory for ssh's sockets), APP (the directory to ship), FLEET (the fleet's
# directory), SOCKETS (that of haproxy's sockets), WEB (the hosts, as name=address), BALANCERS (names), PORTS.
set -eu

release=$1

on() {
    host=$1
    shift
    ssh -F "$SSH_CONFIG" -o ControlPath="$CONTROL/%C" "$host" "$@"
}

# Runs "$@ HOST" for all hosts at once, and fails if one of them failed.
everywhere() {
    jobs=
    for each in $hosts; do
        "$@" "$each" &
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

# Takes server $1 out of balancer $2, and waits until two looks in a row, 100 ms apart, find no request on it.
drain() {
    on "$2" sh -s -- "$SOCKETS/$2.sock" "$1" << 'END'
        set -eu
        haproxy() { echo "$1" | socat - "UNIX-CONNECT:$socket"; }
        # Columns of `show stat`: 3 qcur, 5 scur.
        busy() { haproxy 'show stat app 4 -1' | awk -F, -v server="$server" '$2 == server { print $3 + $5 }'; }
        socket=$1 server=$2 quiet=0
        answer=$(haproxy "set server app/$server state drain")
        [ -z "$answer" ] || { echo "$answer" >&2; exit 1; }
        while :; do
            if [ "$(busy)" = 0 ]; then quiet=$((quiet + 1)); else quiet=0; fi
            [ "$quiet" -lt 2 ] || exit 0
            sleep 0.1
        done
END
}

# Puts server $1 back into balancer $2, and waits until it is up.
ready() {
    on "$2" sh -s -- "$SOCKETS/$2.sock" "$1" << 'END'
        set -eu
        haproxy() { echo "$1" | socat - "UNIX-CONNECT:$socket"; }
        # Column 18 of `show stat`: status.
        status() { haproxy 'show stat app 4 -1' | awk -F, -v server="$server" '$2 == server { print $18 }'; }
        socket=$1 server=$2
        haproxy "set server app/$server state ready" > /dev/null
        until [ "$(status)" = UP ]; do sleep 0.1; done
END
}

# Switches host $1 with address $2 over: symlink, restart, health twice in a row from the new release, five warm requests.
switch() {
    # shellcheck disable=SC2086 # ports are words
    on "$1" sh -s -- "$FLEET" "$1" "$2" "$release" $PORTS << 'END'
        set -eu
        fleet=$1 host=$2 address=$3 release=$4
        shift 4
        cd "$fleet/hosts/$host/srv"
        ln -s "releases/$release" current.new
        mv -T current.new current

        jobs=
        for port; do
            "$fleet/bin/appctl" restart "$host" "$port" &
            jobs="$jobs $!"
        done
        for job in $jobs; do wait "$job"; done

        for port; do
            passes=0
            while [ "$passes" -lt 2 ]; do
                if [ "$(curl -fs -m 2 "http://$address:$port/health")" = "$release" ]; then
                    passes=$((passes + 1))
                else
                    passes=0
                    sleep 0.1
                fi
            done
        done

        jobs=
        for port; do
            page=http://$address:$port/
            curl -fs "$page" "$page" "$page" "$page" "$page" > /dev/null &
            jobs="$jobs $!"
        done
        for job in $jobs; do wait "$job"; done
END
}

names=
for pair in $WEB; do names="$names ${pair%=*}"; done

hosts="$names $BALANCERS"
everywhere connect
trap 'hosts="$names $BALANCERS"; everywhere disconnect' EXIT

hosts=$names
everywhere stage

hosts=$BALANCERS
for pair in $WEB; do
    web=${pair%=*}
    everywhere drain "$web"
    switch "$web" "${pair#*=}"
    everywhere ready "$web"
    # The time in which errors of the new release would show, before the next host follows.
    sleep 1
done
