# Which release runs: answered by the processes, not by the symlink.
#
# Data: ROOT INSTANCES (PORT ADDRESS URL, split by tabs) PROOF HEADER HEALTH_TIMEOUT (seconds)

TAB='	'

# survey: sets LISTENERS to the processes of releases that listen on the ports of INSTANCES, as lines of
# `PORT PID.START RELEASE`. One survey serves all instances: a walk through /proc costs the same for all ports as for one.
survey() {
    find_sockets
    explain_sockets
}

# explain_sockets: the rest of a survey, of SOCKETS as they were found a moment ago: what is not there any more explains none.
explain_sockets() {
    LISTENERS='' PROCESSES=''
    [ -n "$SOCKETS" ] || return 0
    find_listeners
    # Processes of other users are hidden from us, but perhaps not from sudo. Root sees all.
    if unexplained && [ -n "$HIDDEN" ] && command -v sudo >/dev/null 2>&1 && sudo -n -l sh >/dev/null 2>&1; then
        find_listeners sudo -n
        HIDDEN=''
    fi
}

# find_sockets: sets SOCKETS to the sockets that listen where INSTANCES say, words of `PORT:INODE`, and HIDDEN to the ports of
# those whose processes we may not look at, because they are another user's.
#
# The kernel answers ss for listening sockets alone. Its tables in /proc hold all connections besides, and to read them is a walk
# through all that there could be: several milliseconds on a machine with much memory.
find_sockets() {
    filter=''
    while IFS=$TAB read -r port _; do
        filter="$filter${filter:+ or }sport = :$port"
    done <<END
$INSTANCES
END
    # shellcheck disable=SC2086 # words of its language
    if told=$(ss -H -l -t -n -e $filter 2>/dev/null); then
        sockets_by_ss
    else
        sockets_by_tables
    fi
}

# sockets_by_ss: the same from what ss has TOLD, lines of `LISTEN 0 128 ADDRESS:PORT 0.0.0.0:* uid:1000 ino:1234 …`; root's have no uid.
sockets_by_ss() {
    SOCKETS='' HIDDEN='' me=''
    while read -r _ _ _ where _ facts; do
        [ -n "$where" ] || continue
        port=${where##*:}
        where=${where%:*}
        is_wanted "$port" "${where%%\%*}" || continue
        inode=${facts#*ino:}
        SOCKETS="$SOCKETS$port:${inode%% *} "
        [ -n "$me" ] || who_looks
        uid=0
        case " $facts" in
            *' uid:'*)
                uid=${facts#*uid:}
                uid=${uid%% *}
                ;;
        esac
        [ "$me" = 0 ] || [ "$uid" = "$me" ] || HIDDEN="$HIDDEN $port"
    done <<END
$told
END
}

# who_looks: sets me to the user as whom we look.
who_looks() {
    while read -r name _ me _; do
        [ "$name" != Uid: ] || return 0
    done </proc/self/status
}

# is_wanted PORT WHERE: whether a socket that listens there is one of INSTANCES: on their address, or on any. Where that is a name,
# every address of the port may be meant.
is_wanted() {
    while IFS=$TAB read -r one address _; do
        [ "$one" = "$1" ] || continue
        case $address in
            ::1) places='[::1] [::] *' ;;
            [0-9]*.*.*.*) places="$address [::ffff:$address] 0.0.0.0 [::] *" ;;
            *) return 0 ;;
        esac
        case " $places " in
            *" $2 "*) return 0 ;;
        esac
    done <<END
$INSTANCES
END
    return 1
}

# sockets_by_tables: the same where there is no ss. The format is proc(5)'s: addresses in hexadecimal, each 32-bit group in the
# host's byte order, and 0A for LISTEN.
sockets_by_tables() {
    wanted=''
    while IFS=$TAB read -r port address _; do
        wanted="$wanted $port=$address"
    done <<END
$INSTANCES
END
    tables=/proc/net/tcp
    [ ! -r /proc/net/tcp6 ] || tables="$tables /proc/net/tcp6"
    # shellcheck disable=SC2086 # one or two words
    found=$(awk -v wanted="$wanted" '
        BEGIN {
            # Ours, as the user who looks.
            while ((getline line <"/proc/self/status") > 0)
                if (split(line, field) > 2 && field[1] == "Uid:") me = field[3]
            zero = "00000000"
            any6 = zero zero zero zero
            count = split(wanted, pair, " ")
            for (n = 1; n <= count; n++) {
                split(pair[n], want, "=")
                port = sprintf("%04X", want[1])
                name[port] = want[1]
                if (want[2] == "::1")
                    addresses[port] = " " any6 " " zero zero zero "01000000 "
                else if (split(want[2], part, ".") == 4) {
                    hex = sprintf("%02X%02X%02X%02X", part[4], part[3], part[2], part[1])
                    addresses[port] = " " zero " " any6 " " hex " " zero zero "FFFF0000" hex " "
                }
            }
        }
        $4 == "0A" {
            split($2, at, ":")
            if (at[2] in name && (!(at[2] in addresses) || index(addresses[at[2]], " " at[1] " "))) {
                printf "%s:%s ", name[at[2]], $10
                if (me != 0 && $8 != me) hidden = hidden " " name[at[2]]
            }
        }
        END { printf "\n%s", hidden }' $tables)
    SOCKETS=${found%%"$NL"*}
    HIDDEN=''
    [ "$SOCKETS" = "$found" ] || HIDDEN=${found#*"$NL"}
}

# own_sockets: sets OWN to the inodes of SOCKETS that are of the instance PORT.
own_sockets() {
    OWN=''
    for socket in $SOCKETS; do
        [ "${socket%:*}" != "$PORT" ] || OWN="$OWN ${socket#*:}"
    done
}

# this_boot: sets BOOT to the kernel's name for this boot of the host.
this_boot() {
    read -r BOOT </proc/sys/kernel/random/boot_id
}

# note_sockets: notes, before the instance PORT is restarted on RELEASE, that it is, and which sockets (if they were found) are not the new process's.
note_sockets() {
    own_sockets
    this_boot
    [ -d "$ROOT/.shipit/sockets" ] || mkdir -p "$ROOT/.shipit/sockets"
    printf '%s %s%s\n' "$BOOT" "$RELEASE" "$OWN" >"$ROOT/.shipit/sockets/$PORT" || fail "$ROOT/.shipit/sockets/$PORT can't be written"
}

# is_noted PORT: whether a restart of the instance on RELEASE was begun, and no other since.
is_noted() {
    read -r _ release _ 2>/dev/null <"$ROOT/.shipit/sockets/$1" && [ "$release" = "$RELEASE" ]
}

# by_socket: where the process is another user's, its socket tells. One that was not there before the restart was opened by
# a process that began after current was switched, as were all after a reboot. Sets RUNNING and HOLDERS.
by_socket() {
    is_hidden || return 1
    boot='' release='' others=''
    read -r boot release others 2>/dev/null <"$ROOT/.shipit/sockets/$PORT" || return 1
    this_boot
    if [ "$boot" != "$BOOT" ]; then
        [ "$(readlink "$ROOT/current")" = "releases/$release" ] || return 1
        others=''
    fi
    own_sockets
    for inode in $OWN; do
        case " $others " in
            *" $inode "*) return 1 ;;
        esac
    done
    RUNNING=$release HOLDERS="socket$OWN"
}

# find_processes COMMAND…: sets PROCESSES to the processes whose executable is, or that work, in a release below ROOT,
# words of `PID:RELEASE`.
find_processes() {
    PROCESSES=$(
        releases=$(cd "$ROOT/releases" 2>/dev/null && pwd -P) || exit
        # Where processes are hidden, only a shell that sudo starts finds their names.
        look='cd /proc && exec ls -ln [0-9]*/cwd [0-9]*/exe'
        if [ $# = 0 ]; then eval "$look"; else "$@" sh -c "$look"; fi 2>/dev/null | awk -v releases="$releases/" '
            {
                arrow = index($0, " -> ")
                if (!arrow) next
                target = substr($0, arrow + 4)
                if (index(target, releases) != 1) next
                id = substr(target, length(releases) + 1)
                sub(/ \(deleted\)$/, "", id)
                sub(/\/.*/, "", id)
                if (id ~ / / || !match($0, /[0-9]+\/(cwd|exe) -> /)) next
                split(substr($0, RSTART), path, /[\/ ]/)
                if (path[2] == "exe") exe[path[1]] = id
                else if (!(path[1] in exe)) cwd[path[1]] = id
            }
            END {
                for (pid in cwd) if (!(pid in exe)) printf "%s:%s ", pid, cwd[pid]
                for (pid in exe) printf "%s:%s ", pid, exe[pid]
            }'
    )
}

# find_listeners COMMAND…: sets LISTENERS to those of the processes that have one of SOCKETS open.
find_listeners() {
    find_processes "$@"
    [ -n "$PROCESSES" ] || return 0
    # With a file besides the directories, ls says which of them it is in, even for one.
    set -- "$@" ls -ln /dev/null
    for process in $PROCESSES; do
        set -- "$@" "/proc/${process%%:*}/fd"
    done
    found=$("$@" 2>/dev/null | awk -v sockets="$SOCKETS" -v processes="$PROCESSES" '
        BEGIN {
            count = split(sockets, words, " ")
            for (n = 1; n <= count; n++) {
                split(words[n], pair, ":")
                port["socket:[" pair[2] "]"] = pair[1]
            }
            count = split(processes, words, " ")
            for (n = 1; n <= count; n++) {
                split(words[n], pair, ":")
                release[pair[1]] = pair[2]
            }
        }
        /^\/proc\// { split($0, path, "/") }
        $NF in port && !seen[port[$NF] " " path[3]]++ { print port[$NF], path[3], release[path[3]] }')
    LISTENERS=''
    while read -r port pid id; do
        [ -n "$pid" ] || continue
        started "$pid" || STARTED=hidden
        LISTENERS="$LISTENERS$port $pid.$STARTED $id$NL"
    done <<END
$found
END
}

# unexplained: whether a socket is not known to be of a process of a release.
unexplained() {
    for socket in $SOCKETS; do
        case $NL$LISTENERS in
            *"$NL${socket%:*} "*) ;;
            *) return 0 ;;
        esac
    done
    return 1
}

# alive HOLDERS: whether all these processes, of which there must be one, are still the same ones.
alive() {
    [ -n "$1" ] || return 1
    for one in $1; do
        started "${one%.*}" && [ "$STARTED" = "${one#*.}" ] || return 1
    done
}

# identify: for the instance PORT sets RUNNING to the releases of its processes (one word each), HOLDERS to these processes
# as PID.START, and SEEN to why there is none. After survey, or, where the recipe takes the app's word for it, after ask.
identify() {
    [ "$PROOF" = process ] || return 0
    RUNNING='' HOLDERS='' SEEN=''
    while read -r port holder id; do
        [ "$port" = "$PORT" ] || continue
        HOLDERS="$HOLDERS $holder"
        case " $RUNNING " in
            *" $id "*) ;;
            *) RUNNING="${RUNNING:+$RUNNING }$id" ;;
        esac
    done <<END
$LISTENERS
END
    [ -z "$RUNNING" ] || return 0
    ! by_socket || return 0
    if is_hidden; then
        SEEN="the process that listens there is another user's, and may not be looked at"
    else
        case " $SOCKETS" in
            *" $PORT:"*) SEEN='the process that listens there works in no release that can be seen' ;;
            *) SEEN='nothing listens there' ;;
        esac
    fi
}

# is_hidden: whether the process of the instance PORT is another user's, which we may not look at.
is_hidden() {
    case "$HIDDEN " in
        *" $PORT "*) return 0 ;;
    esac
    return 1
}

# ask URL: one request to a health page. Sets STATUS (000 without a whole answer), WHY, and, where the recipe takes the
# app's word for it, RUNNING.
ask() {
    as_url "$1"
    set -- -w '\n%{http_code}'
    case $PROOF in
        header) set -- -D - -o /dev/null "$@" ;;
        process) set -- -o /dev/null "$@" ;;
    esac
    # Nothing of the user's .curlrc, and a `[` in the address is one.
    answer=$(curl -q -g -sS --noproxy '*' --max-time "$HEALTH_TIMEOUT" "$@" -K - 2>&1 <<END
$URL_LINE
END
    ) || answer="$answer$NL"
    STATUS=${answer##*"$NL"}
    if [ -z "$STATUS" ]; then
        STATUS=000
        complaint "$answer"
    else
        WHY="HTTP $STATUS"
    fi
    case $PROOF in
        header) find_release "$HEADER" ;;
        body) find_release '' ;;
    esac
}

# ask_listeners: after survey, sets PASSING to the ports of INSTANCES on which something listens, if all of these pass. One curl asks
# them all, since to start one costs a host more than anything else that a look does. If PASSING is empty, each has to be asked.
ask_listeners() {
    PASSING='' urls='' count=0
    while IFS=$TAB read -r port _ url; do
        case " $SOCKETS" in
            *" $port:"*) ;;
            *) continue ;;
        esac
        PASSING="$PASSING $port"
        count=$((count + 1))
        as_url "$url"
        urls="$urls$URL_LINE${NL}output = /dev/null$NL"
    done <<END
$INSTANCES
END
    answers=''
    [ "$count" -lt 2 ] ||
        answers=$(curl -q -g -sS --noproxy '*' --fail-early --max-time "$HEALTH_TIMEOUT" -w '%{http_code}\n' -K - 2>&1 <<END
$urls
END
        ) || answers=none
    for code in ${answers:-none}; do
        case $code in
            2??) ;;
            *) PASSING='' ;;
        esac
    done
}

# ask_unless_passing: what ask sets, for the instance PORT.
ask_unless_passing() {
    case " $PASSING " in
        *" $PORT "*) STATUS=200 WHY='HTTP 200' ;;
        *) ask "$URL" ;;
    esac
}

# complaint OUTPUT: sets WHY to what curl complained of last. For the usual cases there are shorter words than curl's.
complaint() {
    case $1 in
        *'curl: (7)'*) WHY='connection refused' ;;
        *'curl: (28)'*) WHY='no answer in time' ;;
        *'curl: (52)'*) WHY='closed without an answer' ;;
        *'curl: (56)'*) WHY='connection reset' ;;
        *'curl: ('*)
            WHY=${1##*curl: (}
            WHY=${WHY#*) }
            ;;
        *) WHY=${1:-no answer} ;;
    esac
    WHY=${WHY%%"$NL"*}
}

# find_release HEADER: sets RUNNING to the first release id in a header of the answer, or anywhere without a name.
find_release() {
    RUNNING=$(awk -v header="$1" '
        header == "" || tolower(substr($0, 1, length(header) + 1)) == tolower(header ":") {
            # Written out, because not every awk knows {8}.
            d = "[0-9][0-9]"
            if (match($0, d d d d "-" d d d "-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]")) {
                print substr($0, RSTART, RLENGTH)
                exit
            }
        }' <<END
$answer
END
    )
}

# passed: whether the last answer was a pass.
passed() {
    case $STATUS in
        2??) return 0 ;;
    esac
    return 1
}

# supersede: takes the reason away from a process that is to stop one of INSTANCES later. Under the lock that it takes for that.
supersede() {
    read -r _ _ ports 2>/dev/null <"$ROOT/.shipit/retire" || return 0
    while IFS=$TAB read -r port _; do
        case " $ports " in
            *" $port "*) rm -f "$ROOT/.shipit/retire" ;;
        esac
    done <<END
$INSTANCES
END
}

# each_instance FUNCTION: runs the function for each line of INSTANCES, all at once, with the
# instance's COMMAND_PORT, if there is one, as COMMAND. Fails if one of them failed.
each_instance() {
    pids=''
    # A here-document, not a pipe: the children must be ours to wait for.
    while IFS=$TAB read -r PORT ADDRESS URL; do
        [ -n "$PORT" ] || continue
        eval "COMMAND=\${COMMAND_$PORT-}"
        (
            trap - EXIT
            "$1"
        ) &
        pids="$pids $!"
    done <<END
$INSTANCES
END
    failed=0
    for pid in $pids; do
        wait "$pid" || failed=1
    done
    return "$failed"
}
