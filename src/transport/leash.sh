# shellcheck shell=sh
# Holds the ssh processes of one run in its process group, and ends them when the run ends.
#
# $1 is the control directory, $2 the one for what is sent. Standard input is a pipe from shipit: a line with a pid ends that process, the line
# `end` says that the run ends in order, and the pipe's end says that shipit is gone, however it went.
trap '' HUP INT QUIT TERM PIPE
tidy=
while read -r word; do
  case $word in
  end) tidy=yes ;;
  *) kill -TERM "$word" 2>/dev/null ;;
  esac
done
# The whole group: ssh and the commands that it reaches jump hosts by. The trap keeps this shell.
kill -TERM 0
[ "$tidy" ] || sleep 1
rm -rf -- "$@"
gone=$?
[ "$tidy" ] || kill -KILL 0
exit "$gone"
