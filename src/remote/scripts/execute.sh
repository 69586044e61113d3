# Runs a command that somebody typed; what it prints is the answer.
#
# Data: COMMAND ENVIRONMENT TIMEOUT (seconds)

scratch
printf '%s\n' "$ENVIRONMENT" >"$SCRATCH/env"
printf '%s\n' "$COMMAND" >"$SCRATCH/command"
own_locale
# shellcheck disable=SC2016 # for the other shell
limited "$TIMEOUT" sh -c '. "$1"; exec sh "$2"' sh "$SCRATCH/env" "$SCRATCH/command"
