#!/bin/sh
# The init system of a lab fleet: one app process for each host and port.
#
#   appctl start|stop|restart HOST PORT
#
# `start` returns when the process exists, not when it is ready, like systemd's Type=simple. `stop` sends SIGTERM and
# waits, and kills what stays. A pid file holds the pid and the time at which the kernel started it, so that a later
# process with the same pid is never taken for the app.
set -eu

fail() {
    echo "appctl: $*" >&2
    exit 1
}

# The start time of process $1; nothing if it is gone or a zombie.
started() {
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    # The second field is the program's name in brackets and may hold blanks.
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    [ "$1" = Z ] || echo "${20}"
}

# The pid of the running instance; nothing if it does not run.
running() {
    [ -f "$pidfile" ] || return 0
    read -r pid start < "$pidfile" || return 0
    # One that ended before its start was looked up has none.
    [ -n "$start" ] || return 0
    [ "$(started "$pid")" != "$start" ] || echo "$pid"
}

# Whether the instance ends within $1 twentieths of a second.
ends() {
    tries=$1
    while [ -n "$(running)" ]; do
        [ "$tries" -gt 0 ] || return 1
        tries=$((tries - 1))
        sleep 0.05
    done
}

stop() {
    pid=$(running)
    [ -n "$pid" ] || return 0
    kill -TERM "$pid" 2>/dev/null || :
    if ! ends 200; then
        kill -KILL "$pid" 2>/dev/null || :
        ends 40 || fail "process $pid of $host:$port does not end"
    fi
    rm -f "$pidfile"
}

start() {
    [ -z "$(running)" ] || fail "$host:$port runs already"
    # The directory itself, not the symlink to it: then /proc/PID/cwd tells which release a process is of.
    release=$(cd "$root/srv/current" 2>/dev/null && pwd -P) || fail "$root/srv/current is missing"
    cd "$release"
    set -- --host "$host" --listen "$address:$port"
    [ ! -f "$root/sockets" ] || set -- "$@" --socket "$(cat "$root/sockets")/$host-$port.sock"
    setsid "$bin/lab" app "$@" < /dev/null >> "$root/log/app-$port.log" 2>&1 9>&- &
    echo "$! $(started $!)" > "$pidfile.new"
    mv "$pidfile.new" "$pidfile"
}

[ $# -eq 3 ] || fail 'usage: appctl start|stop|restart HOST PORT'
host=$2
port=$3
bin=$(cd "$(dirname "$0")" && pwd -P)
root=${bin%/bin}/hosts/$host
pidfile=$root/run/app-$port.pid
address=$(cat "$root/address" 2>/dev/null) || fail "there is no host $host"

# Two at a time on one instance would both start it.
exec 9> "$root/run/app-$port.lock"
flock 9

case $1 in
    start) start ;;
    stop) stop ;;
    restart)
        stop
        start
        ;;
    *) fail "there is no action $1" ;;
esac
