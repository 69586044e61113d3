# Stands on a host during a deploy: lock, lease and dead man's switch in one.
#
# Data: those of journal.sh but JOURNAL; STATE (its directory; empty on a balancer's host, where it is one of the login's own) SOCKET ASK (haproxy's, and the text of
# ask.sh) RUN (the deploy's word for itself) HOLDER (lines of `name value` about who deploys) LEASE GRACE BUSY PATIENCE (seconds)
# ATTACH (set: take over from an earlier guard of the same run)
#
# It hears lines on standard input:
#   beat                        shipit is there
#   arm KEY COMMANDS            if shipit is gone, send haproxy these commands
#   forget [KEY]                that, or all that is known, is settled
#   note KIND TIME FIELDS       the run has begun, or ended
#   end                         the deploy is over
# and says with `progress`:
#   held | holder NAME VALUE, and then busy | waits TEXT | broken | acts | acted | beat | armed KEY | put KEY | noted KIND [WHY NOT] | ended
#
# In STATE lie:
#   lock          locked while a guard stands; the kernel takes the lock back when the guard dies, however that is
#   holder        who holds it, for people
#   hold          a lock that a person took (`shipit lock take`)
#   broken        what could not be undone and waits for a person
#   journal       what guards did, and on hosts of the app what steps did (journal.sh)
#   reserve       room that is given back when the disk is full
#   guard/last    RUN of the guard that stood here last, unless it acted
#   guard/run     RUN, PID and start of the guard that stands. Its name changes to guard/closing before the guard goes, and to
#                 guard/acting before anything is undone: from then on every step of that run refuses to begin (fence.sh)
#   guard/undo/N  what undoes step N, put there by the step itself before it changes anything
#   guard/arms/K  the same for a balancer: haproxy's commands
#   guard/busy/P  process P was let in: `telling` until it has told what undoes it, then `working`

say() {
    progress "$*" 2>/dev/null
}

# take_lock: whether the lock is ours now. It is file descriptor 9, which no child may keep.
take_lock() {
    flock -n 9
}

# open_lock: the lock, or the end of this guard with the words why not.
open_lock() {
    [ -d "$GUARD" ] || (umask 077 && mkdir -p "$GUARD") 2>/dev/null || fail "$STATE can't be written by $(id -un)" "create it and give it to $(id -un)"
    command -v flock >/dev/null 2>&1 || fail "flock is not installed" "install it (on Debian: apt-get install util-linux)"
    command -v timeout >/dev/null 2>&1 || fail "timeout is not installed" "install it (on Debian: apt-get install coreutils)"
    (: >>"$STATE/lock") 2>/dev/null || fail "$STATE/lock can't be written by $(id -un)" "give it to $(id -un)"
    exec 9>>"$STATE/lock"
    ! { [ -n "$ATTACH" ] || stands_for_us; } || attach
    told=''
    now
    begin=$NOW seen=$NOW
    until take_lock; do
        now
        going || busy "$STATE/holder"
        if [ -z "$told" ] && leaves; then
            say "waits the guard of a deploy that was cut off puts back what that left"
            told=yes
        fi
        nap 0.2
    done
    [ ! -e "$STATE/hold" ] || busy "$STATE/hold"
}

# stands_for_us: whether a guard of this run stands whose word has not reached shipit: the line broke just then.
stands_for_us() {
    run=''
    read -r run _ 2>/dev/null <"$GUARD/run"
    [ "$run" = "$RUN" ]
}

# going: whether the guard that stands is about to go, because its shipit is gone. It is given a moment to notice that.
going() {
    [ "$((NOW - begin))" -lt "$((PATIENCE * 100))" ] || return 1
    # The lock is the last thing that one which goes lets go of.
    ! leaves || seen=$NOW
    [ "$((NOW - seen))" -lt 100 ]
}

# leaves: whether the guard that stands has noticed it.
leaves() {
    [ -e "$GUARD/leaving" ] || [ -e "$GUARD/acting" ]
}

# busy FILE: tells who holds the lock.
busy() {
    while IFS= read -r line; do
        say "holder $line"
    done 2>/dev/null <"$1"
    say busy
    exit 0
}

# attach: the line to shipit broke and is there again. The guard that stood before goes as soon as it sees that; if it has begun to
# act it is too late.
attach() {
    printf '' >"$GUARD/attach"
    now
    end=$((NOW + (LEASE + GRACE) * 100))
    until take_lock; do
        now
        [ ! -e "$GUARD/acting" ] || gone_before
        [ "$NOW" -lt "$end" ] || gone_before
        nap 0.1
    done
    rm -f "$GUARD/attach"
    last=''
    read -r last 2>/dev/null <"$GUARD/last"
    [ "$last" = "$RUN" ] || gone_before
    # One that went because nothing was to be undone has left nothing to take over.
    [ -e "$GUARD/run" ] || ATTACH=''
}

gone_before() {
    say acted
    exit 0
}

# stand: from here on the steps of this run may act, and nobody else's.
stand() {
    # Of this shell: `$$` is the one around it.
    read -r pid _ </proc/self/stat
    started "$pid"
    sign || { give_room "$STATE" && sign; } || fail "$GUARD can't be written" "is the disk full?"
    [ ! -e "$GUARD/leaving" ] || rm -f "$GUARD/leaving"
    keep_journal
    [ -d "$STATE/reserve" ] || set_room_aside 2>/dev/null
}

# sign: writes down who stands here.
sign() {
    { [ -d "$GUARD/undo" ] && [ -d "$GUARD/busy" ] && [ -d "$GUARD/arms" ]; } ||
        (umask 077 && mkdir -p "$GUARD/undo" "$GUARD/busy" "$GUARD/arms") || return 1
    printf '%s\n' "$HOLDER" >"$STATE/holder" &&
        printf '%s\n' "$RUN" >"$GUARD/last" &&
        printf '%s %s %s\n' "$RUN" "$pid" "$STARTED" >"$GUARD/run"
} 2>/dev/null

# set_room_aside: a full disk must not stop a rollback, nor a guard. What they write are some scripts of 20 KB each and a few
# words: half a MiB, and 64 files. Random bytes, which no file system makes small.
set_room_aside() {
    set -- "$STATE/reserve.new"
    rm -rf "$1"
    if (umask 077 && mkdir "$1") && dd if=/dev/urandom of="$1/room" bs=65536 count=8; then
        one=0
        while [ "$one" -lt 64 ] && printf '' >"$1/$one"; do one=$((one + 1)); done
        mv "$1" "$STATE/reserve"
    fi
    rm -rf "$1"
}

# settle: what a guard that died has left. Servers that it drained are put back. What it knew about this host is of no use any
# more: who deploys next looks at the host as it is.
settle() {
    for one in "$GUARD/closing" "$GUARD/acting" "$GUARD/attach" "$GUARD/run" "$GUARD"/undo/* "$GUARD"/busy/*; do
        [ ! -e "$one" ] || rm -rf "$one"
    done
    put_servers_back
}

# put_servers_back: sends the balancers what was armed. What does not work stays, for the next guard.
put_servers_back() {
    for arm in "$GUARD"/arms/*; do
        [ -f "$arm" ] || continue
        IFS= read -r COMMANDS <"$arm"
        if why=$(send 4>&1); then
            rm -f "$arm"
            say "put ${arm##*/}"
            record guard result=put "why=put ${arm##*/} back into its balancer"
        else
            BROKEN="${arm##*/} could not be put back into its balancer: ${why##*"$NL"}"
        fi
    done
}

# send: whether haproxy took COMMANDS: then it says nothing, besides the way that ask.sh took. Why not goes to standard output. What
# the program on the way says beside that (perl of a locale, sudo of a host's name) is no answer.
send() {
    # shellcheck disable=SC2086 # as words: blank lines do not count
    told=$(eval "$ASK" 2>&4) && set -- $told && [ $# = 1 ] && return
    case $told in
        *"$NL"*) printf '%s\n' "${told#*"$NL"}" ;;
    esac
    return 1
}

# hear: carries out the lines, until there are no more or none came in the time of the lease. `read` can't be told to give up, so
# each line is another process's to wait for.
hear() {
    # shellcheck disable=SC2016 # for the other shell
    while line=$(exec 9>&- && exec timeout "$LEASE" sh -c 'IFS= read -r line && printf %s "$line"' <&3); do
        case $line in
            beat) say beat ;;
            'arm '*)
                line=${line#arm }
                key=${line%% *}
                line=${line#* }
                printf '%s\n' "$line" >"$GUARD/arms/.$key" && mv -f "$GUARD/arms/.$key" "$GUARD/arms/$key" &&
                    say "armed $key"
                ;;
            'forget '*) rm -f "$GUARD/arms/${line#forget }" ;;
            forget) rm -rf "$GUARD/undo"/* ;;
            'note '*) note "${line#note }" ;;
            end)
                say ended
                quit
                ;;
        esac
        [ -z "$told_to_go" ] || return 0
    done
}

# note KIND TIME FIELDS: a record about the run as a whole. FIELDS are NAME=VALUE, split by tabs; with `bad=ID FINGERPRINT WHO` in them,
# somebody has gone back from that release.
note() {
    kind=${1%% *} fields=${1#* }
    JOURNAL_TIME=${fields%% *}
    set -f
    IFS=$JOURNAL_SPLIT
    # shellcheck disable=SC2086 # a word for each field
    set -- ${fields#* }
    unset IFS
    set +f
    record "$kind" "$@"
    why=''
    for one; do
        case $one in
            bad=*) mark_bad "${one#bad=}" || why=" $STATE/bad can't be written" ;;
        esac
    done
    JOURNAL_TIME=''
    say "noted $kind$why"
}

# mark_bad ID FINGERPRINT WHO: a release is named once; the first who went back from it said so first.
mark_bad() {
    ! grep -q "^${1%% *} " "$STATE/bad" 2>/dev/null || return 0
    set -- "$1" "${1#* }"
    set -- "${1%% *} ${2%% *} $JOURNAL_TIME ${2#* }"
    append_bad "$1" || { give_room "$STATE" && append_bad "$1"; }
}

append_bad() {
    printf '%s\n' "$1" >>"$STATE/bad"
} 2>/dev/null

# quit: takes all away that says that a guard stands.
quit() {
    rm -rf "$GUARD/run" "$GUARD/closing" "$GUARD/acting" "$GUARD/leaving" "$GUARD/undo"/* "$GUARD/busy"/* "$STATE/holder"
    exit 0
}

# wait_for_attach: a line that breaks may be there again in a moment. Fails where nothing is to be undone, so that nobody has to wait.
wait_for_attach() {
    printf '' 2>/dev/null >"$GUARD/leaving"
    now
    end=$((NOW + GRACE * 100))
    while armed; do
        [ ! -e "$GUARD/attach" ] || exit 0
        now
        [ "$NOW" -lt "$end" ] || return 0
        nap 0.1
    done
    return 1
}

# armed: whether there is anything to undo.
armed() {
    for one in "$GUARD"/undo/* "$GUARD"/arms/*; do
        [ ! -f "$one" ] || return 0
    done
    return 1
}

# wait_for_steps: until no step changes anything any more. They see that this guard acts, and those that wait give up.
wait_for_steps() {
    now
    end=$((NOW + BUSY * 100))
    while :; do
        alive=''
        for one in "$GUARD"/busy/*; do
            [ -f "$one" ] || continue
            if runs "${one##*/}"; then alive=yes; else rm -f "$one"; fi
        done
        now
        [ -n "$alive" ] && [ "$NOW" -lt "$end" ] || return 0
        nap 0.1
    done
}

# runs PID: whether the process does anything. One that has ended and that nobody has asked how (an sshd that hangs with its
# connection does not) has a pid all the same.
runs() {
    stat=''
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
    case ${stat##*) } in
        [ZX]*) return 1 ;;
    esac
}

# undo: what the steps have left to be undone, the last step first.
undo() {
    set --
    for one in "$GUARD"/undo/*; do
        [ ! -f "$one" ] || set -- "$one" "$@"
    done
    for one; do
        # Its first line says in words what it does.
        IFS= read -r step <"$one"
        step="step ${one##*/} (${step#"# "})"
        if sh "$one" >"$GUARD/said" 2>&1 9>&-; then
            if grep -qx left "$GUARD/said"; then
                record guard result=left "why=left $step as it is: the release is healthy"
            else
                record guard result=undone "why=undid $step"
            fi
            rm -f "$one"
        else
            why=$(sed -n 's/^fail //p' "$GUARD/said" | head -n 1)
            BROKEN="$step could not be undone: ${why:-see $GUARD/said}"
            return
        fi
    done
}

put_back() {
    # Servers first: that takes a moment, and a host that can't be helped must not keep them waiting.
    put_servers_back
    wait_for_steps
    undo
}

# close_fence: lets no further step begin, and waits for those that were let in and are about to tell what undoes them. That takes
# them milliseconds.
close_fence() {
    # By its name, which needs no room on a full disk.
    mv -f "$GUARD/run" "$GUARD/closing" 2>/dev/null
    now
    end=$((NOW + 500))
    while is_being_told && [ "$NOW" -lt "$end" ]; do
        nap 0.05
        now
    done
}

open_fence() {
    mv -f "$GUARD/closing" "$GUARD/run"
}

# is_being_told: whether a step is about to tell what undoes it.
is_being_told() {
    for one in "$GUARD"/busy/*; do
        word=''
        # There is no end of the line in it.
        { read -r word <"$one" || :; } 2>/dev/null
        [ "$word" != telling ] || ! runs "${one##*/}" || return 0
    done
    return 1
}

act() {
    mv -f "$GUARD/closing" "$GUARD/acting" 2>/dev/null
    rm -f "$GUARD/last"
    say acts
    told_to_go=''
    put_back
    # A login session that is ended tells every process in it to go, and what was at work for this guard did.
    if [ -n "$BROKEN" ] && [ -n "$told_to_go" ]; then
        BROKEN=''
        put_back
    fi
    if [ -n "$BROKEN" ]; then
        record guard result=failed "why=$BROKEN"
        printf '%s %s\n' "$RUN" "$BROKEN" >"$STATE/broken"
    fi
    quit
}

# Nothing but the end of the input ends a guard: neither does a terminal that is closed, nor a pipe that nobody reads.
trap '' HUP INT PIPE QUIT
told_to_go=''
trap 'told_to_go=yes' TERM
BROKEN=''
exec 3<&0
find_state
JOURNAL=$STATE/journal
open_lock
[ -z "$SOCKET" ] || look_for_way || fail "$NO_WAY" "$NO_WAY_HELP"
if [ -n "$ATTACH" ]; then
    stand
else
    settle
    stand
    if [ -n "$BROKEN" ]; then
        printf '%s %s\n' "$RUN" "$BROKEN" >"$STATE/broken"
    elif [ -n "$SOCKET" ]; then
        # All servers are back. Of a host that can only be said when it is confirmed.
        rm -f "$STATE/broken"
    fi
fi
say held
hear
if [ -n "$told_to_go" ]; then
    say broken
else
    # Once more if a step tells only now what undoes it.
    wait_for_attach || { close_fence && armed && open_fence && wait_for_attach; }
fi
close_fence
! armed || act
quit
