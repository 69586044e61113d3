#!/bin/sh
# nginx with the configuration of one host of a lab fleet:  nginxctl HOST [-t | -s reload]
set -eu
directory=$(cd "$(dirname "$0")/.." && pwd -P)/hosts/$1
shift
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
# `-e`: before it reads a configuration nginx opens its compiled-in log, and only root may write there.
exec nginx -e "$directory/log/nginx.log" -c "$directory/nginx.conf" "$@"
