# Points current at a release and restarts the instances that do not run it yet.
#
# Data: ROOT RELEASE (empty: back to what was there before the first one) RESTART_TIMEOUT (seconds) ENVIRONMENT COMMAND_PORT,
# and those of process.sh

# The target of a current that no deploy of ours made, such as Capistrano's. It is all that can be gone back to.
FOREIGN=$ROOT/.shipit/foreign

switch() {
    [ -f "$ROOT/releases/$RELEASE/.shipit-release" ] || fail "$ROOT/releases/$RELEASE is not a complete release"
    before=$(readlink "$ROOT/current")
    [ "$before" != "releases/$RELEASE" ] || return 0
    if [ -n "$before" ] && [ ! -f "$ROOT/releases/${before##*/}/.shipit-release" ]; then
        printf '%s\n' "$before" >"$FOREIGN" || fail "$FOREIGN can't be written"
    elif [ -e "$FOREIGN" ]; then
        rm -f "$FOREIGN"
    fi
    point_at "releases/$RELEASE"
}

# One rename, so that current names a release at every moment. mv needs -T for that, or it would move the link *into* the
# release that current points at; perl stands in on hosts whose mv has no -T.
point_at() {
    [ ! -e "$ROOT/current" ] || [ -L "$ROOT/current" ] ||
        fail "$ROOT/current is not a symbolic link" "move it away: shipit points it at a release"
    new=$ROOT/.shipit/current.$$
    ln -s "$1" "$new" || fail "no link can be made in $ROOT/.shipit"
    mv -T -f "$new" "$ROOT/current" 2>/dev/null || perl -e 'rename $ARGV[0], $ARGV[1] or die "$!\n"' "$new" "$ROOT/current" >&2
    [ "$(readlink "$ROOT/current")" = "$1" ] || {
        rm -f "$new"
        fail "$ROOT/current could not be switched to $1"
    }
}

go_back() {
    target=''
    [ ! -f "$FOREIGN" ] || read -r target <"$FOREIGN"
    if [ -z "$target" ] || ! (cd "$ROOT" && cd "$target") 2>/dev/null; then
        rm -f "$ROOT/current" || fail "$ROOT/current can't be removed"
        printf 'said current taken away\n'
        exit 0
    fi
    [ "$(readlink "$ROOT/current")" = "$target" ] || point_at "$target"
    RELEASE=${target##*/}
}

# An instance that runs the release and is healthy is left alone: then this script ran before.
runs_it_well() {
    is_noted "$PORT" || return 1
    identify
    [ "$PROOF" != process ] || [ "$RUNNING" = "$RELEASE" ] || return 1
    ask "$URL"
    [ "$RUNNING" = "$RELEASE" ] && passed
}

# any_is_noted: whether a restart on the release was begun for one of INSTANCES. If not, none runs it, and nobody has to look.
any_is_noted() {
    while IFS=$TAB read -r port _; do
        ! is_noted "$port" || return 0
    done <<END
$INSTANCES
END
    return 1
}

restart() {
    ! runs_it_well || return 0
    cd "$ROOT/current/" || fail "$ROOT/current can't be entered"
    note_sockets
    ENVIRONMENT="$ENVIRONMENT${NL}export SHIPIT_PORT=$PORT"
    run_command "$RESTART_TIMEOUT" "$PORT"
    [ "$CODE" != 0 ] || return 0
    show_output "$PORT"
    [ -z "$LATE" ] || fail "the restart of instance $PORT took longer than ${RESTART_TIMEOUT}s"
    printf 'code %s\n' "$CODE"
    fail "the restart of instance $PORT failed"
}

fence
[ -d "$ROOT/.shipit" ] || mkdir -p "$ROOT/.shipit" || fail "$ROOT can't be written"
alone restart "$((RESTART_TIMEOUT + 10))"
supersede
scratch
if [ -n "$RELEASE" ]; then
    switch
else
    go_back
fi
if [ "$PROOF" = process ]; then
    find_sockets
    ! any_is_noted || explain_sockets
fi
each_instance restart
