# Which release runs: answered by the processes, not by the symlink.

# listening PORT ADDRESS: the inodes of the sockets that listen there. Without an address, any will do.
# The format is proc(5)'s: addresses in hexadecimal, each 32-bit group in the host's byte order, and 0A for LISTEN.
listening() {
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port="$1" -v address="$2" '
        BEGIN {
            wanted = sprintf("%04X", port)
            if (split(address, part, ".") == 4)
                hex = sprintf("%02X%02X%02X%02X", part[4], part[3], part[2], part[1])
            none4 = "00000000"
            none6 = none4 none4 none4 none4
        }
        $4 == "0A" {
            split($2, at, ":")
            if (at[2] != wanted) next
            if (address == "" || at[1] == none4 || at[1] == none6 || at[1] == hex ||
                at[1] == none4 none4 "FFFF0000" hex || (address == "::1" && at[1] == none4 none4 none4 "01000000"))
                print $10
        }'
}

# links COMMAND…: pid and release of each process that works in, or is an executable of, a release below $ROOT.
release_processes() {
    releases=$(cd "$ROOT/releases" 2>/dev/null && pwd -P) || return 0
    "$@" ls -ln /proc/[0-9]*/cwd /proc/[0-9]*/exe 2>/dev/null | awk -v releases="$releases/" '
        {
            arrow = index($0, " -> ")
            if (!arrow) next
            target = substr($0, arrow + 4)
            if (index(target, releases) != 1) next
            id = substr(target, length(releases) + 1)
            sub(/ \(deleted\)$/, "", id)
            sub(/\/.*/, "", id)
            match($0, /\/proc\/[0-9]+\//)
            print substr($0, RSTART + 6, RLENGTH - 7), id
        }' | sort -u
}

# holds PID INODES COMMAND…: whether the process has one of the sockets open.
holds() {
    pid=$1
    inodes=$2
    shift 2
    held=$("$@" ls -ln "/proc/$pid/fd" 2>/dev/null) || return 1
    for inode in $inodes; do
        case $held in
            *"socket:[$inode]"*) return 0 ;;
        esac
    done
    return 1
}

# started PID: when the process started, in clock ticks since boot; field 22 of proc(5)'s stat, counted after the name.
started() {
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
    # shellcheck disable=SC2086 # split into fields on purpose
    set -- ${stat##*) }
    printf '%s' "${20}"
}

# running PORT ADDRESS: sets RUNNING to the releases of the processes that listen there (one word each), HOLDERS to these
# processes as PID.START, and SEEN to why there is none.
running() {
    RUNNING='' HOLDERS='' SEEN=''
    inodes=$(listening "$1" "$2")
    if [ -z "$inodes" ]; then
        SEEN='nothing listens there'
        return 0
    fi
    # Processes of other users are hidden from us, but perhaps not from sudo.
    for way in env 'sudo -n'; do
        # shellcheck disable=SC2086 # two words on purpose
        found=$(release_processes $way)
        while read -r pid id; do
            [ -n "$pid" ] || continue
            # shellcheck disable=SC2086
            holds "$pid" "$inodes" $way || continue
            HOLDERS="$HOLDERS $pid.$(started "$pid")"
            case " $RUNNING " in
                *" $id "*) ;;
                *) RUNNING="${RUNNING:+$RUNNING }$id" ;;
            esac
        done <<END
$found
END
        [ -z "$RUNNING" ] || return 0
        command -v sudo >/dev/null 2>&1 || break
    done
    SEEN='the process that listens there is of no release, or may not be looked at'
}

# alive HOLDERS: whether all these processes are still the same ones.
alive() {
    for one in $1; do
        [ "$(started "${one%.*}")" = "${one#*.}" ] || return 1
    done
}

# ask URL: one request to a health page. Sets STATUS (000 without an answer), WHY, and, where the recipe takes the answer's
# word for it, RUNNING.
ask() {
    : >"$SCRATCH/$PORT.head"
    : >"$SCRATCH/$PORT.body"
    STATUS=$(curl -sS --noproxy '*' --max-time "$HEALTH_TIMEOUT" -o "$SCRATCH/$PORT.body" -D "$SCRATCH/$PORT.head" \
        -w '%{http_code}' -- "$1" 2>"$SCRATCH/$PORT.why")
    case $STATUS in
        000 | '') STATUS=000 WHY=$(sed -n '1s/^curl: ([0-9]*) //p' "$SCRATCH/$PORT.why") ;;
        *) WHY="HTTP $STATUS" ;;
    esac
    case $PROOF in
        header) RUNNING=$(tr -d '\r' <"$SCRATCH/$PORT.head" | find_release "$HEADER") ;;
        body) RUNNING=$(find_release '' <"$SCRATCH/$PORT.body") ;;
    esac
}

# find_release HEADER: the first release id in a header of that name, or anywhere without a name.
find_release() {
    awk -v header="$1" '
        header == "" || tolower(substr($0, 1, length(header) + 1)) == tolower(header ":") {
            # Written out, because not every awk knows {8}.
            d = "[0-9][0-9]"
            if (match($0, d d d d "-" d d d "-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]")) {
                print substr($0, RSTART, RLENGTH)
                exit
            }
        }'
}

# identify: sets RUNNING for the instance PORT at ADDRESS, by the proof that the recipe names. After ask.
identify() {
    [ "$PROOF" != process ] || running "$PORT" "$ADDRESS"
}

# passed: whether the last answer was a pass.
passed() {
    case $STATUS in
        2??) return 0 ;;
    esac
    return 1
}

# each_instance FUNCTION: runs the function for each line of INSTANCES (PORT ADDRESS URL, split by tabs), all at once, with the
# instance's COMMAND_PORT, if there is one, as COMMAND. Fails if one of them failed.
each_instance() {
    function=$1
    tab=$(printf '\t')
    pids=''
    # A here-document, not a pipe: the children must be ours to wait for.
    while IFS=$tab read -r PORT ADDRESS URL; do
        [ -n "$PORT" ] || continue
        eval "COMMAND=\${COMMAND_$PORT-}"
        [ "$ADDRESS" != - ] || ADDRESS=''
        (
            trap - EXIT
            "$function"
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
