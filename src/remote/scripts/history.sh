# Prints the journal, the oldest record first.
#
# Data: ROOT RECORDS (at most so many, the newest)

[ ! -f "$ROOT/.shipit/journal" ] || tail -n "$RECORDS" "$ROOT/.shipit/journal"
