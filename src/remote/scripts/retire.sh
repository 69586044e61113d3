# Runs on a host after a deploy: waits until an old release need not be kept warm any more and nothing is left on its instances, and
# stops them. A later deploy that needs the instances takes the token away, and with it the reason to go on.
#
# Data: LEFTOVER (abort or cut), and those of idle.sh. The first argument is the token.

# How often it is looked whether that is still wanted, in seconds.
LOOK=2

# Streams that may not be cut are waited for, but not for ever.
LONGEST=$((24 * 3600))

# What the frame of a session gives to other scripts.
progress() { :; }
own_locale() { if [ -n "$shipit_locale" ]; then LC_ALL=$shipit_locale; else unset LC_ALL; fi; }
shipit_locale=${LC_ALL-}
LC_ALL=C
export LC_ALL

wanted() {
    token='' until=''
    read -r token until _ 2>/dev/null <"$ROOT/.shipit/retire" || exit 0
    [ "$token" = "$1" ] || exit 0
}

wanted "$1"
now
while [ "$((NOW / 100))" -lt "$until" ]; do
    left=$((until - NOW / 100))
    [ "$left" -le "$LOOK" ] || left=$LOOK
    sleep "$left"
    wanted "$1"
    now
done
patience=$DRAIN_TIMEOUT
[ "$LEFTOVER" = cut ] || patience=$LONGEST
now
last=$((NOW + patience * 100))
until wait_until_free 0; do
    [ "$NOW" -lt "$last" ] || break
    sleep "$LOOK"
    wanted "$1"
done
if [ -n "$LEFT" ]; then
    printf '%s\n' "$LEFT"
    [ "$LEFTOVER" = cut ] || exit 1
fi
alone restart "$((STOP_TIMEOUT + 10))"
wanted "$1"
check_idle || fail "$WHY"
rm -f "$ROOT/.shipit/retire"
scratch
each_instance stop_instance
