# Which instances the local nginx sends traffic to, as its include file or its links say.
#
# Data: ROUTE_FORM (include, links, or empty) ROUTE_PORTS (of all instances, split by spaces) ROUTE_SECOND (of those, the second
# set) ROUTE_FILE (of the form include), and for each instance ROUTE_SERVER_PORT (its address in the include) or ROUTE_LINK_PORT and ROUTE_SOCKET_PORT
# Answers: route PORT up|down

# server_lines: prints what the include holds, for people; the idle set gets no traffic: the second one, unless the include says so of the first.
server_lines() {
    live=first
    [ ! -r "$FILE" ] || live=$(live_set)
    lines=''
    for port in $ROUTE_PORTS; do
        of SERVER "$port"
        out=' down'
        [ "$(set_of "$port")" != "$live" ] || out=''
        lines="$lines${lines:+ }\`server $VALUE max_fails=0$out;\`"
    done
    printf '%s' "$lines"
}

# live_set: prints which set of instances the include sends traffic to; where that is both or none, the first.
live_set() {
    include_file "$FILE" | {
        live=first
        while read -r port state _; do
            [ "$state" != up ] || live=$(set_of "$port")
            [ "$state $live" != 'up first' ] || break
        done
        echo "$live"
    }
}

set_of() {
    case " $ROUTE_SECOND " in
        *" $1 "*) echo second ;;
        *) echo first ;;
    esac
}

# of NAME PORT: sets VALUE to what ROUTE_NAME_PORT holds.
of() {
    eval "VALUE=\${ROUTE_$1_$2-}"
}

# An include path that is a link stays one: what is replaced is the file that it names.
follow_include() {
    FILE=$ROUTE_FILE
    [ ! -L "$FILE" ] || FILE=$(readlink -f "$FILE")
    PLACE=${FILE%/*}/.${FILE##*/}
}

# include_file FILE [PORTS]: reads the include. Without PORTS it prints
#   PORT up|down    for each instance that is in it, with the word bare behind where it lacks max_fails=0
#   odd TEXT        for what is not as it has to be
# With PORTS, those to be routed, it prints the file as it has to be, and changes nothing but the word down; what is odd goes to
# standard error then.
include_file() {
    servers=''
    for port in $ROUTE_PORTS; do
        of SERVER "$port"
        servers="$servers$port $VALUE
"
    done
    SHIPIT_SERVERS=$servers SHIPIT_TO=${2-} awk '
        BEGIN {
            to = ENVIRON["SHIPIT_TO"]
            lines = split(ENVIRON["SHIPIT_SERVERS"], line, "\n")
            for (i = 1; i <= lines; i++) {
                space = index(line[i], " ")
                if (space) port_of[substr(line[i], space + 1)] = substr(line[i], 1, space - 1)
            }
        }
        function odd(why) {
            gsub(/^[ \t]+|[ \t\r]+$/, "", why)
            if (to == "") print "odd " why
            else print "odd " why >"/dev/stderr"
        }
        /^[ \t\r]*(#.*)?$/ {
            if (to != "") print
            next
        }
        {
            if ($0 !~ /^[ \t]*server[ \t]+[^;#{}]+;[ \t\r]*(#.*)?$/) {
                odd("line " NR " is `" $0 "`")
                next
            }
            semicolon = index($0, ";")
            head = substr($0, 1, semicolon - 1)
            tail = substr($0, semicolon)
            words = split(head, word, /[ \t]+/)
            first = word[1] == "" ? 2 : 1
            port = port_of[word[first + 1]]
            if (port == "") {
                odd("line " NR " is `" $0 "`, which is no instance of the recipe")
                next
            }
            if (port in state) {
                odd("line " NR " is `" $0 "`, which is there twice")
                next
            }
            state[port] = "up"
            safe = 0
            for (i = first + 2; i <= words; i++) {
                if (word[i] == "down") state[port] = "down"
                if (word[i] == "max_fails=0") safe = 1
            }
            if (to == "") {
                print port, state[port] (safe ? "" : " bare")
                next
            }
            head = head " "
            while (match(head, /[ \t]+down[ \t]/)) head = substr(head, 1, RSTART - 1) substr(head, RSTART + RLENGTH - 1)
            head = substr(head, 1, length(head) - 1)
            if (!index(" " to " ", " " port " ")) {
                sub(/[ \t]+$/, "", head)
                head = head " down"
            }
            print head tail
        }
        END {
            for (i = 1; i <= lines; i++) {
                space = index(line[i], " ")
                if (space && !(substr(line[i], 1, space - 1) in state))
                    odd("there is no line for `" substr(line[i], space + 1) "`")
            }
        }' "$1"
}

# link_target PORT: sets TARGET to what the link of the instance names, from the root; empty if there is no link.
link_target() {
    of LINK "$1"
    TARGET=''
    [ -L "$VALUE" ] || return 0
    TARGET=$(readlink "$VALUE")
    case $TARGET in
        /*) ;;
        *) TARGET=${VALUE%/*}/$TARGET ;;
    esac
}

# leads_to_an_instance: whether TARGET is where an instance listens when it runs; before the first deploy none does.
leads_to_an_instance() {
    for one in $ROUTE_PORTS; do
        of SOCKET "$one"
        [ "$TARGET" != "$VALUE" ] || return 0
    done
    return 1
}

# An instance is routed if any of the links leads to it.
link_states() {
    targets=''
    for port in $ROUTE_PORTS; do
        link_target "$port"
        targets="$targets$TARGET
"
    done
    for port in $ROUTE_PORTS; do
        of SOCKET "$port"
        state=down
        while IFS= read -r target; do
            [ "$target" != "$VALUE" ] || state=up
        done <<END
$targets
END
        printf '%s %s\n' "$port" "$state"
    done
}

# look_at_routes: prints the answers; nothing if it can't be told.
look_at_routes() {
    case $ROUTE_FORM in
        include)
            follow_include
            [ -r "$FILE" ] || return 0
            while read -r port state _; do
                case $state in
                    up | down) printf 'route %s %s\n' "$port" "$state" ;;
                esac
            done <<END
$(include_file "$FILE")
END
            ;;
        links) link_states | sed 's/^/route /' ;;
    esac
}
