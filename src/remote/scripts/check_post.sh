# Looks whether a guard could stand at haproxy's socket on this host. Changes nothing.
#
# Data: SOCKET ASK (see guard.sh) STATE (empty)
# Answers, besides the common ones: problem WHAT<tab>HELP

# check_tool NAME PACKAGE
check_tool() {
    command -v "$1" >/dev/null 2>&1 || problem "$1 is not installed" "install it (on Debian: apt-get install $2)"
}

# The nearest directory that is there: where STATE would be made.
check_state() {
    place=$STATE
    while [ ! -d "$place" ]; do
        place=${place%/*}
        [ -n "$place" ] || place=/
    done
    [ -w "$place" ] || problem "$place can't be written by $(id -un)" "give it to $(id -un): the guard keeps what it knows in $STATE"
    for part in "$STATE/lock" "$GUARD"; do
        [ ! -e "$part" ] || [ -w "$part" ] || problem "$part can't be written by $(id -un)" "give it to $(id -un)"
    done
}

find_state
check_tool flock util-linux
check_tool timeout coreutils
check_state
look_for_way || problem "$NO_WAY" "$NO_WAY_HELP"
