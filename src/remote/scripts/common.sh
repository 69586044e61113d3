# Functions that every script of shipit has. Plain POSIX sh: dash, busybox sh and bash all run it.
#
# A script answers on standard output, one word and its values a line:
#   said TEXT     a few words on what was seen or done
#   fail TEXT     why it did not work; the script then ends with code 1
#   help TEXT     what to do about that
# What commands print goes to standard error, and is shown when something fails.
#
# The frame gives it two functions: progress TEXT, and own_locale, which takes the LC_ALL=C of our own commands back.

NL='
'

# fail WHAT [HELP]: gives up; in the journal of a step, too. An address is told without the secrets that may be in it: who logs in
# there, and the values of a query.
fail() {
    case $1 in
        *://*) what=$(printf '%s\n' "$1" | sed -e 's#://[^/@ ]*@#://***@#g' -e 's#\([?&][^=&? ]*=\)[^& ]*#\1***#g') ;;
        *) what=$1 ;;
    esac
    [ -z "${JOURNAL_STEP-}" ] || end_step failed "$what"
    printf 'fail %s\n' "$what"
    [ -z "${2-}" ] || printf 'help %s\n' "$2"
    exit 1
}

# nap SECONDS: sleeps for a fraction of a second where sleep can, else for a whole one.
nap() {
    sleep "$1" 2>/dev/null || sleep 1
}

# now: sets NOW to the host's uptime in hundredths of a second. No clock step changes it.
now() {
    read -r up _ </proc/uptime
    NOW=${up%.*}${up#*.}
}

# started PID: sets STARTED to when the process started, in clock ticks since boot: field 22 of proc(5)'s stat, counted
# after the name, in which there may be anything.
started() {
    stat='' line=''
    while IFS= read -r line; do
        stat=$stat$line
    done 2>/dev/null <"/proc/$1/stat" || return 1
    [ -n "$stat" ] || return 1
    # shellcheck disable=SC2086 # split into fields on purpose
    set -- ${stat##*) }
    STARTED=${20}
}

# limited SECONDS COMMAND…: runs the command for at most so long, where the host has timeout(1).
limited() {
    limit=$1
    shift
    if command -v timeout >/dev/null 2>&1; then
        timeout -k 5 "$limit" "$@"
    else
        "$@"
    fi
}

# run_command SECONDS NAME: runs COMMAND, which is the user's, after ENVIRONMENT, which exports what it is to find.
# Sets CODE, and LATE if it had to be stopped.
#
# Both reach it by files: arguments are for everyone on the host to read. Its output goes to a file, not to ours: a
# daemon that it leaves behind would hold our output open, and the session would wait for it; nor may it inherit our lock.
run_command() {
    printf '%s\n' "$ENVIRONMENT" >"$SCRATCH/$2.env"
    printf '%s\n' "$COMMAND" >"$SCRATCH/$2.sh"
    now
    begin=$NOW
    (
        own_locale
        # shellcheck disable=SC2016 # for the other shell
        limited "$1" sh -c '. "$1"; exec sh "$2"' sh "$SCRATCH/$2.env" "$SCRATCH/$2.sh"
    ) </dev/null >"$SCRATCH/$2.out" 2>&1 9>&-
    CODE=$?
    now
    LATE=''
    # Not every timeout says 124.
    [ "$CODE" = 0 ] || [ "$((NOW - begin))" -lt "$(($1 * 100))" ] || LATE=yes
}

# show_output NAME: the end of what a command printed, for people.
show_output() {
    tail -n 40 "$SCRATCH/$1.out" >&2
}

# as_url ADDRESS: sets URL_LINE to what names the address to `curl -K -`, on its standard input: arguments are for everyone on the host
# to read, and an address may hold a secret.
as_url() {
    URL_LINE='' rest=${1%%"$NL"*}
    while [ "$rest" != "${rest%%[\\\"]*}" ]; do
        plain=${rest%%[\\\"]*}
        rest=${rest#"$plain"}
        URL_LINE=$URL_LINE$plain\\${rest%"${rest#?}"}
        rest=${rest#?}
    done
    URL_LINE="url = \"$URL_LINE$rest\""
}

# sha256 FILE: sets SUM. openssl does it several times as fast as sha256sum, which counts with large archives.
sha256() {
    SUM=$(openssl dgst -sha256 -r <"$1" 2>/dev/null) || SUM=$(sha256sum <"$1") || return 1
    SUM=${SUM%% *}
}

# scratch: sets SCRATCH to a directory of our own, which is gone at the end.
scratch() {
    SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/shipit.XXXXXX") || fail "no temporary directory can be made in ${TMPDIR:-/tmp}"
    trap 'rm -rf "$SCRATCH"' EXIT
}

# alone NAME SECONDS: waits until no other script is in NAME, as one may be whose line to us broke. Where the host has
# flock(1); the lock is file descriptor 9 and ends with the script.
alone() {
    command -v flock >/dev/null 2>&1 || return 0
    lock=$ROOT/.shipit/$1.lock
    [ -w "$lock" ] || { mkdir -p "$ROOT/.shipit" && touch "$lock"; } || fail "$lock can't be written"
    exec 9>>"$lock"
    ! flock -n 9 || return 0
    progress "waiting for an earlier $1"
    limited "$2" flock 9 || fail "an earlier $1 still runs on this host" "wait for its end, or see what hangs: fuser $lock"
}

# problem WHAT [HELP]: something that stands in the way of a deploy.
problem() {
    printf 'problem %s\t%s\n' "$1" "${2-}"
}

# nearest_directory PATH: sets NEAREST to the nearest directory that is there: where PATH would be made.
nearest_directory() {
    NEAREST=$1
    while [ ! -d "$NEAREST" ]; do
        NEAREST=${NEAREST%/*}
        [ -n "$NEAREST" ] || NEAREST=/
    done
}

# check_writable PATH…: a problem for each that is there and can't be written.
check_writable() {
    for one; do
        [ ! -e "$one" ] || [ -w "$one" ] || problem "$one can't be written by $(id -un)" "give it to $(id -un)"
    done
}

# in_sudoers COMMAND ARGUMENT…: as a line of sudoers names it: by its whole path, without which sudo passes over that line, and with no
# quotes. The places are those of sudo's own path, and may not be in the login's.
in_sudoers() {
    program=$(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin && command -v "$1") || program=$1
    shift
    printf '%s' "$program${*:+ $*}" | sed 's/[\\,:=]/\\&/g'
}

# check_sudo COMMANDS WORD: whether each line of COMMANDS (`-u USER`, where there is one, `--`, and a command, its words quoted) may be
# run without a password; sudo itself is asked. Fails if one may not, and WORD says what that is: a `problem` or a `note`.
check_sudo() {
    allowed=0
    while read -r command; do
        [ -n "$command" ] || continue
        command -v sudo >/dev/null 2>&1 || {
            printf '%s the recipe uses sudo, which is not installed\tinstall sudo, or do without it\n' "$2"
            return 1
        }
        user=${command#-u }
        [ "$user" != "$command" ] && user=${user%% *} || user=root
        eval "sudo -n -l $command" >/dev/null 2>&1 && continue
        printf '%s %s\t%s\n' "$2" "$(id -un) may not run \`sudo -n ${command#-- }\` without a password" \
            "allow it in sudoers: $(id -un) ALL=($user) NOPASSWD: $(eval "in_sudoers ${command#*-- }")"
        allowed=1
    done <<END
$1
END
    return "$allowed"
}
