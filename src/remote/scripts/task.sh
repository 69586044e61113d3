# Runs a task of the recipe.
#
# Data: ROOT RELEASE NAME DIRECTORY COMMAND TIMEOUT (seconds) ONCE (yes, or empty); its environment is exported before

marker=$ROOT/.shipit/once/$RELEASE.$NAME
scratch
if [ -n "$ONCE" ] && [ -f "$marker" ]; then
    if [ "$(cat "$marker")" = 'done' ]; then
        printf 'said ran before\n'
        exit 0
    fi
    fail "task $NAME was cut off when it ran for this release before, so nobody knows what it did" \
        "see for yourself, then remove $marker to let it run again"
fi
cd "$DIRECTORY" || fail "$DIRECTORY can't be entered"
if [ -n "$ONCE" ]; then
    mkdir -p "${marker%/*}"
    printf started >"$marker" || fail "$marker can't be written"
fi
run_command "$TIMEOUT" "$SCRATCH/out" "$COMMAND"
code=$?
if [ "$code" = 0 ]; then
    [ -z "$ONCE" ] || printf 'done' >"$marker"
    cat "$SCRATCH/out" >&2
    exit 0
fi
# It ran to its end, so it is known what it did, and it may run again.
[ -z "$ONCE" ] || rm -f "$marker"
show_output "$SCRATCH/out"
printf 'code %s\n' "$code"
[ "$code" != 124 ] || fail "task $NAME took longer than ${TIMEOUT}s"
fail "task $NAME failed"
