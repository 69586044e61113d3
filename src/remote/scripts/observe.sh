# Looks at a host: what is on it, what runs, and what stands in the way of a deploy. Changes nothing.
#
# Data: ROOT DIGEST LINKED_FILES SUDO SUDO_LOGS TOOLS NEED_KB NEED_INODES PURPOSE MEMORY (whether it counts), and those of process.sh and routed.sh
# Answers, besides the common ones:
#   current ID | confirmed ID | bad ID FINGERPRINT TIME WHO | release ID FINGERPRINT ORIGIN | instance PORT RELEASE HEALTHY |
#   route PORT up|down | cached | warm SECONDS | memory PORT KB | available KB | problem WHAT<tab>HELP |
#   note WHAT<tab>HELP

look_at_current() {
    if [ -L "$ROOT/current" ]; then
        target=$(readlink "$ROOT/current")
        printf 'current %s\n' "${target##*/}"
        [ -d "$ROOT/current/" ] || problem "$ROOT/current points at $target, which is not there"
    elif [ -e "$ROOT/current" ]; then
        problem "$ROOT/current is not a symbolic link" "move it away: shipit points it at a release"
    fi
}

look_at_releases() {
    for seal in "$ROOT"/releases/*/.shipit-release; do
        [ -f "$seal" ] || continue
        release=${seal%/.shipit-release}
        read -r fingerprint origin <"$seal"
        printf 'release %s %s %s\n' "${release##*/}" "$fingerprint" "$origin"
    done
}

look_at_history() {
    [ ! -f "$ROOT/.shipit/confirmed" ] || awk '
        { last[NR % 100] = $0 }
        END { for (n = NR > 100 ? NR - 99 : 1; n <= NR; n++) print "confirmed", last[n % 100] }' "$ROOT/.shipit/confirmed"
    [ ! -f "$ROOT/.shipit/bad" ] || sed 's/^/bad /' "$ROOT/.shipit/bad"
}

# What a guard could not undo stands there until a deploy is confirmed.
look_at_broken() {
    read -r run what 2>/dev/null <"$ROOT/.shipit/broken" || return 0
    printf 'note the guard of %s could not put everything back: %s\tlook at it; the next deploy or rollback that is confirmed ends this note\n' "$run" "$what"
}

look_at_instance() {
    ask_unless_passing
    identify
    healthy=no
    ! passed || healthy=yes
    [ -z "$MEMORY" ] || look_at_memory
    # More than one release on a port goes as one word.
    # shellcheck disable=SC2086
    set -- ${RUNNING:--}
    IFS=,
    printf 'instance %s %s %s\n' "$PORT" "$*" "$healthy"
}

# What the processes of the instance have in memory; those that were forked from one share some of it, which counts twice here.
look_at_memory() {
    set --
    while read -r port holder _; do
        [ "$port" != "$PORT" ] || set -- "$@" "/proc/${holder%.*}/status"
    done <<END
$LISTENERS
END
    [ $# = 0 ] || awk -v port="$PORT" '$1 == "VmRSS:" { sum += $2 } END { if (sum) printf "memory %s %d\n", port, sum }' "$@" 2>/dev/null
}

# How much longer the old release is kept warm. That a process of the host sees to it is only true for this boot.
look_at_warm() {
    read -r token until _ 2>/dev/null <"$ROOT/.shipit/retire" || return 0
    this_boot
    [ "${token%%.*}" = "$BOOT" ] || return 0
    now
    left=$((until - NOW / 100))
    [ "$left" -le 0 ] || printf 'warm %s\n' "$left"
}

look_at_disk() {
    nearest_directory "$ROOT"
    if [ ! -w "$NEAREST" ]; then
        problem "$NEAREST can't be written by $(id -un)" "create $ROOT and give it to $(id -un)"
        return
    fi
    for part in releases shared repo .shipit .shipit/lock .shipit/guard; do
        check_writable "$ROOT/$part"
    done
    # Blocks, their size and inodes that are free, and all inodes: some file systems count none.
    # shellcheck disable=SC2046 # four numbers
    set -- $(stat -f -c '%a %S %d %c' "$NEAREST" 2>/dev/null)
    [ $# = 4 ] || return 0
    free=$(($1 * $2 / 1024))
    [ "$free" -ge "$NEED_KB" ] ||
        problem "$((free / 1024)) MB free on the disk of $NEAREST, and a deploy needs $((NEED_KB / 1024 + 1)) MB" \
            "free some space there, or lower \`keep\` in the recipe"
    [ "$3" -ge "$NEED_INODES" ] || [ "$4" = 0 ] ||
        problem "$3 inodes free on the disk of $NEAREST, and the release needs $NEED_INODES" "remove files there"
}

look_at_links() {
    while read -r file; do
        [ -z "$file" ] || [ -e "$ROOT/shared/$file" ] ||
            problem "the linked file $ROOT/shared/$file is missing" "put it there; releases only link to it"
    done <<END
$LINKED_FILES
END
}

look_at_tools() {
    for tool in $TOOLS; do
        command -v "$tool" >/dev/null 2>&1 && continue
        case $tool in
            awk) package=mawk ;;
            flock) package=util-linux ;;
            sha256sum | timeout) package=coreutils ;;
            xz) package=xz-utils ;;
            *) package=$tool ;;
        esac
        problem "$tool is not installed" "install it (on Debian: apt-get install $package)"
    done
}

look_at_current
look_at_releases
look_at_history
look_at_broken
look_at_routes
look_at_warm
[ -z "$MEMORY" ] || awk '$1 == "MemAvailable:" { print "available", $2 }' /proc/meminfo
[ -z "$DIGEST" ] || [ ! -f "$ROOT/.shipit/cache/$DIGEST" ] || printf 'cached\n'
if [ "$PURPOSE" = deploy ]; then
    look_at_disk
    look_at_links
    look_at_tools
    check_sudo "$SUDO" problem
    # Without it a failure comes without the app's own words, and that is no reason to refuse a deploy.
    check_sudo "$SUDO_LOGS" note
fi
LISTENERS='' PASSING=''
[ "$PROOF" != process ] || { survey; ask_listeners; }
each_instance look_at_instance
