# Functions that every script of shipit has. Plain POSIX sh: dash, busybox sh and bash all run it.
#
# A script answers on standard output, one word and its values a line:
#   said TEXT     a few words on what was seen or done
#   fail TEXT     why it did not work; the script then ends with code 1
#   help TEXT     what to do about that
# What commands print goes to standard error, and is shown when something fails.

# fail WHAT [HELP]: gives up.
fail() {
    printf 'fail %s\n' "$1"
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

# run_command SECONDS OUTPUT COMMAND: runs a command of the user's. Its output goes to a file, not to ours: a daemon that
# it leaves behind would hold our output open, and the session would wait for it.
run_command() {
    limited "$1" sh -c "$3" </dev/null >"$2" 2>&1
}

# show_output FILE: the end of what a command printed, for people.
show_output() {
    tail -n 40 "$1" >&2
}

# scratch: sets SCRATCH to a directory of our own, which is gone at the end.
scratch() {
    SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/shipit.XXXXXX") || fail "no temporary directory can be made in ${TMPDIR:-/tmp}"
    trap 'rm -rf "$SCRATCH"' EXIT
}
