# Runs a task of the recipe.
#
# Data: ROOT RELEASE NAME DIRECTORY COMMAND ENVIRONMENT TIMEOUT (seconds) ONCE (yes, or empty)

marker=$ROOT/.shipit/once/$RELEASE.$NAME

look_at_marker() {
    [ -f "$marker" ] || return 0
    if [ "$(cat "$marker")" = 'done' ]; then
        printf 'said ran before\n'
        exit 0
    fi
    fail "task $NAME was cut off when it ran for this release before, so nobody knows what it did" "$SEE"
}

fence
SEE="see what it did, then remove $marker to let it run again"
if [ -n "$ONCE" ]; then
    alone "task-$NAME" 1
    look_at_marker
fi
cd "$DIRECTORY" || fail "$DIRECTORY can't be entered"
scratch
if [ -n "$ONCE" ]; then
    mkdir -p "${marker%/*}"
    printf started >"$marker" || fail "$marker can't be written"
fi
run_command "$TIMEOUT" task
if [ "$CODE" = 0 ]; then
    [ -z "$ONCE" ] || printf 'done' >"$marker" || fail "task $NAME is done, but $marker can't be written"
    cat "$SCRATCH/task.out" >&2
    # The last line is most often the one that says what was done.
    last=$(tail -n 1 "$SCRATCH/task.out" | cut -c 1-100)
    [ -z "$last" ] || printf 'said %s\n' "$last"
    exit 0
fi
show_output task
# One that was stopped midway may have done anything; one that came to its end by itself may run again.
help=''
case $LATE$CODE in
    yes* | 129 | 13[0-9] | 14[0-9] | 15[0-9]) [ -z "$ONCE" ] || help=$SEE ;;
    *) [ -z "$ONCE" ] || rm -f "$marker" ;;
esac
[ -z "$LATE" ] || fail "task $NAME took longer than ${TIMEOUT}s" "$help"
printf 'code %s\n' "$CODE"
fail "task $NAME failed" "$help"
