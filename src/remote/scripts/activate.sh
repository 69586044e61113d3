# Points current at a release and restarts the instances that do not run it yet.
#
# Data: ROOT RELEASE (empty: takes current away) INSTANCES RESTART_TIMEOUT, and those of process.sh

# One rename, so that current names a release at every moment. mv needs -T for that, or it would move the link *into* the
# release that current points at; perl stands in on hosts whose mv has no -T.
switch() {
    [ -f "$ROOT/releases/$RELEASE/.shipit-release" ] || fail "$ROOT/releases/$RELEASE is not a complete release"
    [ "$(readlink "$ROOT/current")" != "releases/$RELEASE" ] || return 0
    new=$ROOT/.shipit/current.$$
    mkdir -p "$ROOT/.shipit"
    rm -f "$new"
    ln -s "releases/$RELEASE" "$new" || fail "no link can be made in $ROOT/.shipit"
    mv -T -f "$new" "$ROOT/current" 2>/dev/null || perl -e 'rename $ARGV[0], $ARGV[1] or die "$!\n"' "$new" "$ROOT/current" >&2
    rm -f "$new"
    [ "$(readlink "$ROOT/current")" = "releases/$RELEASE" ] || fail "$ROOT/current could not be switched to $RELEASE"
}

# An instance that runs the release and is healthy is left alone: then this script ran before, or nothing had changed.
runs_it_well() {
    ask "$URL"
    identify
    [ "$RUNNING" = "$RELEASE" ] && passed
}

restart() {
    ! runs_it_well || return 0
    cd "$ROOT/current/" || fail "$ROOT/current can't be entered"
    export SHIPIT_PORT="$PORT"
    run_command "$RESTART_TIMEOUT" "$SCRATCH/$PORT.out" "$COMMAND"
    code=$?
    [ "$code" != 0 ] || return 0
    show_output "$SCRATCH/$PORT.out"
    printf 'code %s\n' "$code"
    case $code in
        124) fail "the restart of instance $PORT took longer than ${RESTART_TIMEOUT}s" ;;
        *) fail "the restart of instance $PORT failed" ;;
    esac
}

if [ -z "$RELEASE" ]; then
    rm -f "$ROOT/current"
    printf 'said current taken away\n'
    exit 0
fi
scratch
switch
each_instance restart
