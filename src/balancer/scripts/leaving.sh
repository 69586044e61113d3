# Prints the haproxy processes of this host that are on their way out: of the pids in OLD those that are there still,
# and the other workers of the master whose worker PID is. They finish the requests that they had at a reload.
#
# Prints `blind` if the worker PID can't be seen, so that nothing can be said: it runs in a container of its own, or
# /proc shows this login only its own processes.

name() {
    name=
    read -r name 2> /dev/null < "/proc/$1/comm"
    case $name in
        haproxy*) return 0 ;;
    esac
    return 1
}

parent() {
    parent=
    while read -r key value; do
        if [ "$key" = PPid: ]; then
            parent=$value
            break
        fi
    done 2> /dev/null < "/proc/$1/status"
}

if ! name "$PID"; then
    echo blind
    exit 0
fi
for old in $OLD; do
    if name "$old"; then
        echo "$old"
    fi
done
parent "$PID"
master=$parent
# Without a master the parent is init, which has children that are none of our haproxy's.
if [ -n "$master" ] && [ "$master" -gt 1 ] && name "$master"; then
    for process in /proc/[0-9]*; do
        pid=${process#/proc/}
        if [ "$pid" != "$PID" ] && name "$pid"; then
            parent "$pid"
            if [ "$parent" = "$master" ]; then
                echo "$pid"
            fi
        fi
    done
fi
