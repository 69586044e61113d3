# Adds a record about a run as a whole to the journal, and marks releases that somebody went back from.
#
# Data: ROOT KIND (began or ended) FIELDS (NAME=VALUE, one a line) BAD (ID FINGERPRINT, one a line) WHO, and those of journal.sh

# A release is named once: the first who went back from it said so first.
mark_bad() {
    while read -r id fingerprint; do
        [ -n "$id" ] || continue
        ! grep -q "^$id " "$ROOT/.shipit/bad" 2>/dev/null || continue
        printf '%s %s %s %s\n' "$id" "$fingerprint" "$JOURNAL_TIME" "$WHO" >>"$ROOT/.shipit/bad" ||
            fail "$ROOT/.shipit/bad can't be written"
    done <<END
$BAD
END
}

[ "$KIND" != began ] || keep_journal
set -f
IFS=$NL
# shellcheck disable=SC2086 # a word for each line
set -- $FIELDS
unset IFS
set +f
record "$KIND" "$@"
mark_bad
