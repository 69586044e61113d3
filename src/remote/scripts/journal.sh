# The journal of a host: one line a record, the oldest first, for people and for `shipit runs`, `logs` and `resume`.
#
# Data: JOURNAL (the file) JOURNAL_RUN (empty: nothing is recorded) JOURNAL_TIME (now, by the clock of whoever sent the script or the note,
# which is one for all hosts; empty: by the host's own); for a step, JOURNAL_STEP, JOURNAL_RELEASE and
# JOURNAL_UNDO (set: it takes another step back)
#
# A line is SUM, TIME in UTC, RUN, KIND and any number of NAME=VALUE, split by tabs. SUM is that of the rest of the line, so
# that one that was cut off by a crash or changed by hand is known as such.

JOURNAL_SPLIT='	'

# record KIND [NAME=VALUE]…: adds a record. That it can't is no reason to fail: a full disk must not keep a host from going back.
record() {
    [ -n "${JOURNAL_RUN-}" ] || return 0
    journal_line=${JOURNAL_TIME:-$(date -u +%Y-%m-%dT%H:%M:%SZ)}$JOURNAL_SPLIT$JOURNAL_RUN
    for journal_field in "$@"; do
        case $journal_field in
            *[[:cntrl:]]*) journal_field=$(printf '%s' "$journal_field" | tr '\001-\037\177' ' ') ;;
        esac
        journal_line=$journal_line$JOURNAL_SPLIT$journal_field
    done
    # One write: whoever else adds a line at this moment adds it before or after, not between.
    { printf '%s\n' "$journal_line" | LC_ALL=C awk '
        BEGIN { for (n = 1; n < 256; n++) code[sprintf("%c", n)] = n }
        {
            line = substr($0, 1, 2000)
            sum = 0
            for (n = 1; n <= length(line); n++) sum = (sum * 131 + code[substr(line, n, 1)]) % 2147483647
            printf "%d\t%s\n", sum, line
        }' >>"$JOURNAL"; } 2>/dev/null || :
}

# begin_step: from here on the step takes its time.
begin_step() {
    read -r JOURNAL_BEGAN _ </proc/uptime
}

# end_step RESULT [WHY]: records what came of it.
end_step() {
    read -r journal_now _ </proc/uptime
    took=$((${journal_now%.*}${journal_now#*.} - ${JOURNAL_BEGAN%.*}${JOURNAL_BEGAN#*.}))
    record step "do=$JOURNAL_STEP" ${JOURNAL_UNDO:+undo=yes} ${JOURNAL_RELEASE:+"release=$JOURNAL_RELEASE"} "result=$1" "took=$((took / 100)).$((took % 100 / 10))" ${2:+"why=$2"}
}

# leave_step CODE: records the end of a step whose script ended with CODE, and ends so. With 1 it has said why, and fail has noted it.
leave_step() {
    case $1 in
        0) end_step ok ;;
        1) ;;
        *) end_step failed "the script ended with code $1" ;;
    esac
    exit "$1"
}

# keep_journal: keeps the journal within bounds, and lets the next record begin on a line of its own.
keep_journal() {
    [ -d "${JOURNAL%/*}" ] || mkdir -p "${JOURNAL%/*}" 2>/dev/null || return 0
    [ -s "$JOURNAL" ] || return 0
    [ -z "$(tail -c 1 "$JOURNAL")" ] || printf '\n' >>"$JOURNAL"
    [ "$(wc -l <"$JOURNAL")" -gt 1200 ] || return 0
    tail -n 1000 "$JOURNAL" >"$JOURNAL.new" && mv -f "$JOURNAL.new" "$JOURNAL"
}
