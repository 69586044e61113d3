# Sends the local nginx's traffic to some instances and to no other, and waits until nothing is left on the others.
#
# Data: ROUTE_TO (ports, split by spaces) ROUTE_DRAIN (those whose connections are waited for) APPLY_TIMEOUT DRAIN_TIMEOUT (seconds) LEFTOVER (abort or cut), and those of
# routed.sh, nginx.sh and connections.sh
#
# Beside the include lie, as hidden files that no wildcard in nginx.conf finds: `.NAME.shipit-lock`, and while a change is
# not applied yet `.NAME.shipit-before` with what was in it.

# How long another run on the same include may hold the lock: two reloads and two tests, well counted.
LOCK_WAIT=90

check_ports() {
    [ -n "$ROUTE_FORM" ] || fail "the recipe has no [hotswap]" "add it: it says how the local nginx is told where traffic goes"
    [ -n "$ROUTE_TO" ] || fail "nobody would get traffic" "route to at least one instance"
    for port in $ROUTE_TO; do
        case " $ROUTE_PORTS " in
            *" $port "*) ;;
            *) fail "$port is no instance of the recipe" ;;
        esac
    done
    OUT='' DRAIN=''
    for port in $ROUTE_PORTS; do
        case " $ROUTE_TO " in
            *" $port "*) continue ;;
        esac
        OUT="$OUT $port"
        case " $ROUTE_DRAIN " in
            *" $port "*) DRAIN="$DRAIN $port" ;;
        esac
    done
}

# Only one changes a routing at a time. While it drains it holds nobody up: somebody may want to take it back.
lock() {
    command -v flock >/dev/null 2>&1 || return 0
    (: >>"$PLACE.shipit-lock") 2>/dev/null || [ -r "$PLACE.shipit-lock" ] || not_writable
    exec 9<"$PLACE.shipit-lock"
    now
    began=$NOW told=''
    until flock -n 9; do
        now
        [ "$((NOW - began))" -lt "$((LOCK_WAIT * 100))" ] || fail "another run changes the routing, and did not end in ${LOCK_WAIT}s" "see what hangs: fuser $PLACE.shipit-lock"
        [ -n "$told" ] || progress "waiting for another run that changes the routing"
        told=yes
        poll
    done
}

unlock() {
    exec 9<&-
}

not_writable() {
    fail "${PLACE%/*} can't be written by $(id -un)" "shipit renames files there: give the directory to $(id -un)"
}

# --- By an include file

# read_include: checks that the include is as we left it.
read_include() {
    follow_include
    block="upstream app { include \"$ROUTE_FILE\"; }"
    [ -e "$FILE" ] || fail "$ROUTE_FILE is not there" "write into it, each on a line of its own: $(server_lines); and into nginx.conf: \`$block\`"
    { [ -f "$FILE" ] && [ -r "$FILE" ]; } || fail "$ROUTE_FILE can't be read by $(id -un)" "it is a file of shipit's own: give it to $(id -un)"
    include_file "$FILE" "$ROUTE_TO" >"$SCRATCH/wanted" 2>"$SCRATCH/odd" || fail "$ROUTE_FILE could not be taken apart"
    while read -r state odd; do
        [ "$state" != odd ] || fail "somebody else changed $ROUTE_FILE: $odd" \
            "put other directives beside the include, in nginx.conf; this file holds comments and, each on a line of its own, $(server_lines)"
    done <"$SCRATCH/odd"
}

# put FILE: makes the include what FILE holds, by one rename, with the mode that it had. With `as-it-was` the copy keeps its
# time as well, so that nobody takes it for something new.
put() {
    new=$PLACE.shipit-new
    { [ ! -e "$new" ] && [ ! -L "$new" ]; } || rm -f "$new"
    if [ "${2-}" = as-it-was ]; then
        cp -p "$1" "$new" 2>/dev/null || return 1
    else
        cp -p "$FILE" "$new" 2>/dev/null && { [ -w "$new" ] || chmod u+w "$new"; } && cat "$1" >"$new" || return 1
    fi
    # Its bytes must be there before its name is. Which of the two a power cut leaves is the same: nginx starts with it.
    sync "$new" 2>/dev/null || :
    mv -f "$new" "$FILE"
}

# put_back: the bytes of before. For when nginx never learnt of the new ones.
put_back() {
    put "$PLACE.shipit-before" as-it-was || fail "$WHY; and $FILE could not be put back" "do it by hand: cp $PLACE.shipit-before $FILE"
}

# never_applied WORKERS: whether nginx has given up both times and WORKERS are still there.
never_applied() {
    workers
    [ "$gave_up_before$GAVE_UP" = yesyes ] && [ -n "$1" ] && [ "$WORKERS" = "$1" ]
}

# put_back_and_reload WORKERS: the same for when it may have. Sets ALSO to what went wrong with that. WORKERS are those
# that ran what is put back now, empty if nobody knows: where nginx never took up anything else, they still do.
put_back_and_reload() {
    put_back
    reason=$WHY gave_up_before=$GAVE_UP
    if reload_and_wait || never_applied "$1"; then
        ALSO=''
        rm -f "$PLACE.shipit-before"
    else
        # The file is left: the next run then knows that it can't trust what runs.
        ALSO="; with the old one it is the same: $WHY"
    fi
    WHY=$reason
}

test_configuration() {
    nginx_command test "$ROUTE_TEST" || {
        EMERG=$(emerg "$SCRATCH/test")
        tail -n 20 "$SCRATCH/test" >&2
        return 1
    }
}

change_include() {
    TOOK=0
    if cmp -s "$FILE" "$SCRATCH/wanted"; then
        ! settled || return 0
        find_master || fail "$WHY_NO_MASTER" "start nginx, or name its pid file: [hotswap] pid = \"…\""
        # The file says what it should, but who knows what runs.
        test_configuration || fail "nginx refuses its configuration${EMERG:+: $EMERG}"
        reload_and_wait || fail "$WHY"
        rm -f "$PLACE.shipit-before"
        return 0
    fi
    find_master || fail "$WHY_NO_MASTER" "start nginx, or name its pid file: [hotswap] pid = \"…\""
    running=''
    ! settled || running=$WORKERS
    # A second name for what is there now, which is about to lose the first.
    ln "$FILE" "$PLACE.shipit-before" 2>/dev/null ||
        { cp -p "$FILE" "$PLACE.shipit-new" && mv -f "$PLACE.shipit-new" "$PLACE.shipit-before"; } 2>/dev/null || not_writable
    if ! put "$SCRATCH/wanted"; then
        rm -f "$PLACE.shipit-before" "$PLACE.shipit-new"
        not_writable
    fi
    if ! test_configuration; then
        WHY="nginx refuses its configuration${EMERG:+: $EMERG}"
        put_back
        rm -f "$PLACE.shipit-before"
        test_configuration 2>/dev/null || fail "$WHY" "this has nothing to do with the routing, which is as it was: mend nginx's configuration"
        fail "$WHY" "the routing is as it was"
    fi
    if ! reload_and_wait; then
        put_back_and_reload "$running"
        fail "$WHY" "mend that; the routing is as it was$ALSO"
    fi
    # What was in it is kept until the drain is over: it may be wanted again.
    mv -f "$PLACE.shipit-before" "$SCRATCH/before" || rm -f "$PLACE.shipit-before"
}

# --- By links

read_links() {
    for port in $ROUTE_PORTS; do
        link_target "$port"
        of LINK "$port"
        link=$VALUE
        if [ -z "$TARGET" ]; then
            [ ! -e "$link" ] || fail "$link is no symbolic link" "move it away: shipit points it at the socket of an instance"
            continue
        fi
        leads_to_an_instance || fail "somebody else changed $link: it points at $TARGET, which is no instance's socket" "remove it, and shipit makes it anew"
    done
    for port in $ROUTE_TO; do
        of SOCKET "$port"
        [ -S "$VALUE" ] || fail "nothing listens on $VALUE, so instance $port can't get traffic"
    done
}

# Each link of an instance that is out leads to one that is in, in turn. nginx follows a link whenever it connects, so
# that takes effect at once.
change_links() {
    turn=$ROUTE_TO
    for port in $ROUTE_PORTS; do
        aim=$port
        case " $OUT " in
            *" $port "*)
                aim=${turn%% *}
                turn="${turn#* } $aim"
                [ "$turn" != "$aim $aim" ] || turn=$aim
                ;;
        esac
        link_target "$port"
        of SOCKET "$aim"
        [ "$TARGET" != "$VALUE" ] || continue
        point "$port" "$VALUE"
        MOVED="$MOVED $port"
    done
}

# point PORT SOCKET: makes the link by one rename.
point() {
    of LINK "$1"
    new=${VALUE%/*}/.${VALUE##*/}.shipit-new
    rm -f "$new"
    { ln -s "$2" "$new" && mv -f "$new" "$VALUE"; } 2>/dev/null ||
        fail "the link $VALUE can't be made by $(id -un)" "give its directory to $(id -un)"
}

# The links that this run moved, to where they led before.
point_back() {
    for port in $MOVED; do
        eval "old=\$BEFORE_$port"
        if [ -n "$old" ]; then
            point "$port" "$old"
        fi
    done
}

remember_links() {
    for port in $ROUTE_PORTS; do
        link_target "$port"
        eval "BEFORE_$port=\$TARGET"
    done
}

# --- Both

# still_ours: whether nobody else has changed the routing meanwhile.
still_ours() {
    case $ROUTE_FORM in
        include) cmp -s "$FILE" "$SCRATCH/wanted" ;;
        links) [ "$(link_states)" = "$WANTED_LINKS" ] ;;
    esac
}

# Before anything is changed: whether the end of the drain could be seen.
check_countable() {
    for port in $DRAIN; do
        countable "$port" ||
            fail "connections of instance $port can't be counted: its socket is not known as $socket" "have the app bind its socket by exactly this path"
    done
}

# drain: waits until the instances of DRAIN have no connections. Fails at the end of the time; LEFT says what is left.
#
# Two looks in a row, a tenth of a second apart: a worker that is about to connect may be between them.
drain() {
    now
    began=$NOW
    clear=0
    said=''
    while [ -n "$DRAIN" ]; do
        LEFT=$(count_open "$DRAIN")
        if [ -z "$LEFT" ]; then
            clear=$((clear + 1))
            [ "$clear" -lt 2 ] || break
            nap 0.1
            continue
        fi
        clear=0
        LEFT=$(printf '%s\n' "$LEFT" | sort -n | awk '{ printf "%s%d connection%s left on %s", sep, $2, ($2 == 1 ? "" : "s"), $1; sep = ", " }')
        [ "$LEFT" = "$said" ] || progress "$LEFT"
        said=$LEFT
        now
        [ "$((NOW - began))" -lt "$((DRAIN_TIMEOUT * 100))" ] || return 1
        guarded || guard_acts
        still_ours || fail "somebody else changed the routing during the drain: $LEFT" "see who else deploys"
        poll
    done
    now
    DRAINED=$((NOW - began))
}

# give_up_drain: puts the routing of before back, unless there was no other, or somebody else has changed it.
give_up_drain() {
    lock
    still_ours || fail "$WHY, and meanwhile somebody else changed the routing" "see who else deploys"
    case $ROUTE_FORM in
        include)
            [ -f "$SCRATCH/before" ] || fail "$WHY" "$HELP"
            cp -p "$SCRATCH/before" "$PLACE.shipit-before" || not_writable
            put_back_and_reload ''
            fail "$WHY" "traffic goes where it went before$ALSO; $HELP"
            ;;
        links)
            point_back
            fail "$WHY" "traffic goes where it went before; $HELP"
            ;;
    esac
}

# seconds HUNDREDTHS: as 1.2s.
seconds() {
    printf '%d.%ds' "$(($1 / 100))" "$(($1 % 100 / 10))"
}

fence
scratch
check_ports
MOVED='' TOOK=0 DRAINED=0
HELP="let \`[drain] timeout\` be as long as the longest request; with \`leftover = \"cut\"\` streams are ended"
case $ROUTE_FORM in
    include)
        follow_include
        [ -d "${PLACE%/*}" ] || fail "${ROUTE_FILE%/*} is not there" "make it and give it to $(id -un): install -d -o $(id -un) ${ROUTE_FILE%/*}"
        lock
        read_include
        check_countable
        change_include
        ;;
    links)
        of LINK "${ROUTE_PORTS%% *}"
        PLACE=${VALUE%/*}/.links
        [ -d "${PLACE%/*}" ] || fail "${PLACE%/*} is not there" "make it and give it to $(id -un)"
        lock
        read_links
        check_countable
        remember_links
        change_links
        WANTED_LINKS=$(link_states)
        ;;
esac
unlock
if [ "$TOOK" != 0 ]; then
    printf 'said applied in %s\n' "$(seconds "$TOOK")"
fi
if ! drain; then
    WHY="$LEFT after ${DRAIN_TIMEOUT}s"
    [ "$LEFTOVER" = cut ] || give_up_drain
    printf 'said %s: cut off when it is restarted\n' "$LEFT"
    exit 0
fi
[ -z "$DRAIN" ] || printf 'said drained in %s\n' "$(seconds "$DRAINED")"
