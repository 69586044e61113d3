# What nginx does: its processes, its commands, its words.
#
# Data: ROUTE_TEST ROUTE_RELOAD (commands) ROUTE_PID ROUTE_LOG (paths), and those of routed.sh

# A configuration test resolves names and reads certificates; a reload sends a signal. Neither takes longer than this.
COMMAND_TIMEOUT=20

# nginx_command NAME COMMAND: runs a command of the user's; its output goes to $SCRATCH/NAME. The lock stays with us.
nginx_command() {
    limited "$COMMAND_TIMEOUT" sh -c "$2" </dev/null >"$SCRATCH/$1" 2>&1 9>&-
}

# emerg FILE: the last line of nginx's that says why it gave up, without its stamp. `still could not bind()` comes last
# and says nothing of what.
emerg() {
    sed -n 's/^.*\[emerg\] *//p' "$1" | sed 's/^[0-9]*#[0-9]*: //' | grep -v '^still could not bind' | tail -n 1
}

# find_master: sets MASTER to the process that the pid file names, and fails if that is no nginx.
find_master() {
    MASTER='' WHY_NO_MASTER=''
    if ! { read -r MASTER <"$ROUTE_PID"; } 2>/dev/null; then
        WHY_NO_MASTER="$ROUTE_PID can't be read"
        return 1
    fi
    case $MASTER in
        '' | *[!0-9]*) MASTER='' WHY_NO_MASTER="$ROUTE_PID holds no process id" ;;
        *)
            title "$MASTER"
            case $TITLE in
                *': master process'*) return 0 ;;
                '') WHY_NO_MASTER="$ROUTE_PID names process $MASTER, which is gone or may not be looked at" ;;
                *) WHY_NO_MASTER="$ROUTE_PID names process $MASTER, which is no nginx with workers" ;;
            esac
            ;;
    esac
    return 1
}

# title PID: sets TITLE to what the process calls itself; empty if it is gone.
title() {
    TITLE=''
    { IFS= read -r TITLE <"/proc/$1/cmdline"; } 2>/dev/null || :
}

# workers: sets WORKERS to the processes of the master that take connections, as PID.START. Those that only end what they
# have say so in their titles.
workers() {
    WORKERS=''
    find_master || return 0
    children "$MASTER"
    for worker in $CHILDREN; do
        title "$worker"
        case $TITLE in
            *': worker process') ! started "$worker" || WORKERS="$WORKERS $worker.$STARTED" ;;
        esac
    done
}

# children PID: sets CHILDREN to the processes that this one has started: by proc(5)'s list, which may lack some if one ends just
# then, so it is read until it is the same twice; and on kernels that have none, by a walk through all processes.
children() {
    list=/proc/$1/task/$1/children
    if [ -r "$list" ]; then
        CHILDREN='' before=none
        until [ "$before" = "$CHILDREN" ]; do
            before=$CHILDREN
            { IFS= read -r CHILDREN <"$list"; } 2>/dev/null || :
        done
    else
        CHILDREN=$(cat /proc/[0-9]*/stat 2>/dev/null | awk -v parent="$1" '
            {
                pid = $1
                sub(/.*\) /, "")
                if ($2 == parent) print pid
            }')
    fi
}

# is_worker PID.START: whether this process still takes connections.
is_worker() {
    started "${1%.*}" && [ "$STARTED" = "${1#*.}" ] || return 1
    title "${1%.*}"
    case $TITLE in
        *': worker process') return 0 ;;
    esac
    return 1
}

# applied OLD: whether there are workers, and none of the OLD ones is among them.
applied() {
    # The old ones first, one by one: that takes no walk through all processes.
    for worker in $1; do
        ! is_worker "$worker" || return 1
    done
    workers
    [ -n "$WORKERS" ] || return 1
    for worker in $WORKERS; do
        case " $1 " in
            *" $worker "*) return 1 ;;
        esac
    done
}

# log_size: sets LOG_FROM to where the error log ends now, so that only what comes after is read.
log_size() {
    LOG_FROM=$(($( (wc -c <"$ROUTE_LOG") 2>/dev/null) + 1))
}

# log_says: what nginx wrote into its error log since log_size, as far as it may be read; sets EMERG.
log_says() {
    tail -c "+$LOG_FROM" "$ROUTE_LOG" >"$SCRATCH/log" 2>/dev/null || :
    EMERG=$(emerg "$SCRATCH/log")
}

# reload_and_wait: has nginx read its configuration anew and waits until it is applied. Sets WHY if it was not, and
# GAVE_UP if nginx says that it never will be.
#
# The command's success is only "signal sent". nginx tries for some seconds to get a port that another program has, then
# goes on with the old workers, and says so in its log only.
reload_and_wait() {
    WHY='' EMERG='' GAVE_UP=''
    workers
    old=$WORKERS
    log_size
    now
    began=$NOW
    if ! nginx_command reload "$ROUTE_RELOAD"; then
        EMERG=$(emerg "$SCRATCH/reload")
        WHY="the reload of nginx failed${EMERG:+: $EMERG}"
        tail -n 20 "$SCRATCH/reload" >&2
        return 1
    fi
    while ! applied "$old"; do
        now
        # It takes nginx some seconds to give up.
        if { [ "$((NOW - began))" -ge 50 ] && gave_up; } || [ "$((NOW - began))" -ge "$((APPLY_TIMEOUT * 100))" ]; then
            log_says
            WHY="nginx did not apply its configuration${EMERG:+: $EMERG}"
            [ -r "$ROUTE_LOG" ] || WHY="$WHY, and $ROUTE_LOG, which would say why, can't be read"
            grep '\[emerg\]' "$SCRATCH/log" | tail -n 5 >&2
            return 1
        fi
        poll
    done
    now
    TOOK=$((NOW - began))
}

# gave_up: whether nginx's log says that it goes on with what it had.
gave_up() {
    tail -c "+$LOG_FROM" "$ROUTE_LOG" 2>/dev/null | grep -q '\[emerg\].*still could not bind()' || return 1
    GAVE_UP=yes
}

# poll: waits for a tenth of the time since `began`, at least 20 ms and at most 200.
poll() {
    now
    wait=$(((NOW - began) / 10))
    [ "$wait" -ge 2 ] || wait=2
    [ "$wait" -le 20 ] || wait=20
    if [ "$wait" -ge 10 ]; then nap "0.$wait"; else nap "0.0$wait"; fi
}

# settled: whether nginx runs what the include says. It does not if a run of ours was cut off between the rename and the
# end of the reload, or if the oldest worker is older than the file. The second is no exact science (two seconds, because
# files have theirs in whole ones, and a worker that died was replaced by one with the old configuration).
settled() {
    [ ! -e "$PLACE.shipit-before" ] || return 1
    workers
    [ -n "$WORKERS" ] || return 1
    changed=$(stat -c %Y "$FILE" 2>/dev/null) || return 0
    now
    age=$(($(date +%s) - changed))
    for worker in $WORKERS; do
        [ "$(((NOW - ${worker#*.}) / 100))" -le "$((age + 2))" ] || return 1
    done
}
