# Asks haproxy's socket SOCKET on this host COMMANDS. WAY is the program that carries them; empty: find one.
#
# The first line of the answer is the way that was taken; what follows is haproxy's. Exit code 69 (EX_UNAVAILABLE):
# nothing works; standard error says why, a line for each way. Nobody hears of them if one works.
#
# Half-closing matters: the socket of haproxy's master waits for more commands until its peer has said the last one.

# Each waits 5 s at most; a worker answers within milliseconds.
with_python='
import socket, sys
try:
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(5)
    s.connect(sys.argv[1])
    s.sendall(sys.stdin.buffer.read())
    s.shutdown(socket.SHUT_WR)
    while True:
        part = s.recv(65536)
        if not part:
            break
        sys.stdout.buffer.write(part)
except OSError as fault:
    sys.exit(str(fault))
'
# shellcheck disable=SC2016 # The dollars are perl's.
with_perl='
alarm 5;
socket(S, PF_UNIX, SOCK_STREAM, 0) && connect(S, sockaddr_un($ARGV[0])) or die "$!\n";
local $/;
syswrite(S, scalar <STDIN>);
shutdown(S, 1);
print $part while sysread(S, $part, 65536);
'

ask() {
    way=$1
    line=$2
    shift 2
    case $way in
        sudo-*) set -- sudo -n ;;
    esac
    case ${way#sudo-} in
        socat) set -- "$@" socat -t 5 -T 5 - "UNIX-CONNECT:$SOCKET" ;;
        python3) set -- "$@" python3 -c "$with_python" "$SOCKET" ;;
        perl) set -- "$@" perl -MSocket -e "$with_perl" "$SOCKET" ;;
    esac
    printf '%s\n' "$line" | "$@"
}

find_way() {
    tried=''
    for way in socat python3 perl sudo-socat sudo-python3 sudo-perl; do
        program=${way%%-*}
        if ! command -v "$program" > /dev/null; then
            not_by "$program" 'not installed'
            if [ "$program" = sudo ]; then
                break
            fi
            continue
        fi
        # These characters mean something in an address of socat's.
        case $way:$SOCKET in
            *socat:*[!A-Za-z0-9/._@+=-]*)
                not_by "$way" 'does not take such a path'
                continue
                ;;
        esac
        said=$(ask "$way" 'show info' 2>&1)
        case $said in
            *'Version: '*)
                WAY=$way
                return 0
                ;;
        esac
        last=${said##*
}
        not_by "$way" "${last:-no answer}"
    done
    printf %s "$tried" >&2
    return 1
}

# not_by WAY WHY
not_by() {
    tried="$tried$1: $2
"
}

if [ -z "$WAY" ]; then
    find_way || exit 69
fi
echo "$WAY"
ask "$WAY" "$COMMANDS"
