# Prints the journal, the oldest record first.
#
# Data: STATE SOCKET (see guard.sh) RECORDS (at most so many, the newest)

find_state
[ ! -f "$STATE/journal" ] || tail -n "$RECORDS" "$STATE/journal"
