# Looks whether a guard could stand at haproxy's socket on this host. Changes nothing.
#
# Data: SOCKET ASK (see guard.sh) STATE (empty)
# Answers, besides the common ones: problem WHAT<tab>HELP

# check_tool NAME PACKAGE
check_tool() {
    command -v "$1" >/dev/null 2>&1 || problem "$1 is not installed" "install it (on Debian: apt-get install $2)"
}

check_state() {
    nearest_directory "$STATE"
    [ -w "$NEAREST" ] || problem "$NEAREST can't be written by $(id -un)" "give it to $(id -un): the guard keeps what it knows in $STATE"
    check_writable "$STATE/lock" "$GUARD"
}

find_state
check_tool flock util-linux
check_tool timeout coreutils
check_state
look_for_way || problem "$NO_WAY" "$NO_WAY_HELP"
