# Looks at a host: what is on it, what runs, and what stands in the way of a deploy. Changes nothing.
#
# Data: ROOT INSTANCES PROOF HEADER HEALTH_TIMEOUT DIGEST LINKED_FILES SUDO NEED_KB PURPOSE
# Answers, besides the common ones:
#   current ID | release ID FINGERPRINT ORIGIN | instance PORT RELEASE HEALTHY | cached | problem WHAT<tab>HELP

problem() {
    printf 'problem %s\t%s\n' "$1" "${2-}"
}

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

look_at_instance() {
    ask "$URL"
    identify
    healthy=no
    ! passed || healthy=yes
    printf 'instance %s %s %s\n' "$PORT" "$(printf '%s' "${RUNNING:--}" | tr ' ' ,)" "$healthy"
}

# The nearest directory that is there: where ROOT would be made.
look_at_disk() {
    place=$ROOT
    while [ ! -d "$place" ]; do
        place=${place%/*}
        [ -n "$place" ] || place=/
    done
    if [ ! -w "$place" ]; then
        problem "$place can't be written by $(id -un)" "create $ROOT and give it to $(id -un)"
        return
    fi
    for part in releases shared .shipit; do
        [ ! -e "$ROOT/$part" ] || [ -w "$ROOT/$part" ] || problem "$ROOT/$part can't be written by $(id -un)" "give it to $(id -un)"
    done
    free=$(df -Pk "$place" | awk 'END { print $4 }')
    if [ "${free:-0}" -lt "$NEED_KB" ]; then
        problem "$((free / 1024)) MB free on the disk of $place, and the release needs $((NEED_KB / 1024 + 1)) MB" \
            "free some space there, or lower \`keep\` in the recipe"
    fi
    inodes=$(df -Pi "$place" 2>/dev/null | awk 'END { print $4 }')
    case $inodes in
        '' | - | *[!0-9]*) ;;
        *) [ "$inodes" -ge "$NEED_INODES" ] || [ "$inodes" -eq 0 ] ||
            problem "$inodes inodes free on the disk of $place, and the release needs $NEED_INODES" "remove files there" ;;
    esac
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
        command -v "$tool" >/dev/null 2>&1 || problem "$tool is not installed" "install it (on Debian: apt-get install ${tool%sum})"
    done
}

# Whether the commands that begin with sudo may be run without a password; sudo itself is asked. The words of a command
# come quoted.
look_at_sudo() {
    while read -r command; do
        [ -n "$command" ] || continue
        command -v sudo >/dev/null 2>&1 || {
            problem "the recipe uses sudo, which is not installed" "install sudo, or restart the app without it"
            return
        }
        eval "sudo -n -l -- $command" >/dev/null 2>&1 ||
            problem "$(id -un) may not run \`sudo -n $command\` without a password" \
                "allow it in sudoers: $(id -un) ALL=(root) NOPASSWD: $command"
    done <<END
$SUDO
END
}

scratch
look_at_current
look_at_releases
[ -z "$DIGEST" ] || [ ! -f "$ROOT/.shipit/cache/$DIGEST" ] || printf 'cached\n'
if [ "$PURPOSE" = deploy ]; then
    look_at_disk
    look_at_links
    look_at_tools
    look_at_sudo
fi
each_instance look_at_instance
