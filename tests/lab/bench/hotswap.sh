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

# Switches host $1 with address $2 over.
swap() {
    # shellcheck disable=SC2086 # ports are words
    on "$1" sh -s -- "$FLEET" "$1" "$2" "$release" $PORTS < "${0%/*}/swap.sh"
}

everywhere connect
trap 'everywhere disconnect' EXIT
everywhere stage
everywhere swap
