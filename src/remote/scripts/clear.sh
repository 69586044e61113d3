# Waits until nothing is left on instances that get no traffic, so that a release can be booted in them: an earlier one may still
# serve streams there.
#
# Data: LEFTOVER (abort or cut), and those of idle.sh

check_idle || fail "$WHY" "see who else deploys"
if ! wait_until_free "$DRAIN_TIMEOUT"; then
    [ "$LEFTOVER" = cut ] ||
        fail "$LEFT after ${DRAIN_TIMEOUT}s" "wait for their end: the release that ran before still serves them; with \`[drain] leftover = \"cut\"\` they are ended"
    printf 'said %s: cut off when it is restarted\n' "$LEFT"
fi
