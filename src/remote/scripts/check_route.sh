# Looks whether the local nginx can be told where traffic goes. Changes nothing.
#
# Data: ROUTE_DUMP (the command that prints nginx's whole configuration; may be empty) SUDO (commands behind sudo, one a
# line) DRAIN_TIMEOUT (seconds) BACKENDS (of the balancers that send traffic to this nginx; may be empty), and those of
# routed.sh and nginx.sh
# Answers: problem WHAT<tab>HELP | note WHAT<tab>HELP

# note WHAT [HELP]: something that costs, and stands in nobody's way.
note() {
    printf 'note %s\t%s\n' "$1" "${2-}"
}

check_include() {
    follow_include
    block="upstream app { include \"$ROUTE_FILE\"; }"
    if [ ! -f "$FILE" ]; then
        problem "$ROUTE_FILE is not there" "write into it, each on a line of its own: $(server_lines); and into nginx.conf: \`$block\`"
    elif [ ! -r "$FILE" ]; then
        problem "$ROUTE_FILE can't be read by $(id -un)" "it is a file of shipit's own: give it to $(id -un)"
    else
        check_lines
    fi
    check_directory
    find_master || problem "$WHY_NO_MASTER" "start nginx, or name its pid file: [hotswap] pid = \"…\""
    check_sudo "$SUDO" problem || return 0
    # Whoever prints it all has tested it.
    if ! dump; then
        nginx_command test "$ROUTE_TEST" || {
            EMERG=$(emerg "$SCRATCH/test")
            problem "the test of nginx's configuration fails${EMERG:+: $EMERG}" "see for yourself: $ROUTE_TEST"
        }
        return 0
    fi
    grep -qxF -e "# configuration file $ROUTE_FILE:" -e "# configuration file $FILE:" "$SCRATCH/dump" ||
        problem "nginx does not include $ROUTE_FILE" "add to nginx.conf: \`$block\`"
    check_settings
    check_kept_connections
}

# A reload closes the connections that a balancer keeps to nginx, and with them a request that is on its way on one. They
# are few, and none if nobody keeps any.
check_kept_connections() {
    [ -n "$BACKENDS" ] || return 0
    kept=$(SHIPIT_FILES=$ROUTE_FILE$NL$FILE awk '
        function token(word) {
            if (word == "{") {
                depth++
                if (first == "upstream") {
                    upstream = value
                    upstream_depth = depth
                } else if (first == "server" && upstream == "") {
                    servers++
                    server_depth = depth
                }
            } else if (word == "}") {
                if (depth == upstream_depth) upstream_depth = upstream = ""
                if (depth == server_depth) server_depth = ""
                depth--
            } else if (word == ";") {
                if (upstream != "" && first == "include" && (value in file)) ours[upstream] = 1
                if (first == "keepalive_timeout") {
                    if (server_depth == "") everywhere = value
                    else own[servers] = value
                }
                if (server_depth != "" && first == "listen" && !(servers in listens)) listens[servers] = value
                if (server_depth != "" && first ~ /_pass$/) passes[servers] = passes[servers] " " value
            } else {
                if (first == "") first = word
                else if (value == "") value = word
                return
            }
            first = value = ""
        }
        BEGIN {
            files = split(ENVIRON["SHIPIT_FILES"], line, "\n")
            for (i = 1; i <= files; i++) file[line[i]] = 1
        }
        function flush() {
            if (begun) token(word)
            word = begun = ""
        }
        # nginx takes a word in quotes, a brace after a dollar, and whatever follows a backslash, as one.
        function read(text,    c) {
            while (text != "") {
                if (quote == "" && match(text, /^[ \t\r]+/)) {
                    flush()
                    text = substr(text, RLENGTH + 1)
                    continue
                }
                if (match(text, /^[A-Za-z0-9_.:\/~^*=,+-]+/)) {
                    begun = 1
                    word = word substr(text, 1, RLENGTH)
                    text = substr(text, RLENGTH + 1)
                    continue
                }
                c = substr(text, 1, 1)
                text = substr(text, 2)
                if (c == "\\") {
                    begun = 1
                    word = word substr(text, 1, 1)
                    text = substr(text, 2)
                } else if (quote != "") {
                    if (c == quote) quote = ""
                    else word = word c
                } else if (!begun && (c == "\"" || c == "\047")) {
                    begun = 1
                    quote = c
                } else if (!begun && c == "#") {
                    return
                } else if (c == ";" || c == "}" && word !~ /\$\{[^}]*$/ || c == "{" && word !~ /\$$/) {
                    flush()
                    token(c)
                } else {
                    begun = 1
                    word = word c
                }
            }
            if (quote == "") flush()
        }
        /^# configuration file / { depth = 0; server_depth = upstream_depth = upstream = first = value = quote = word = begun = "" }
        { read($0) }
        END {
            for (i = 1; i <= servers; i++) {
                goals = split(passes[i], goal, " ")
                mine = 0
                for (j = 1; j <= goals; j++) {
                    sub(/^[a-z]+:\/\//, "", goal[j])
                    sub(/[\/:].*/, "", goal[j])
                    if (goal[j] in ours) mine = 1
                }
                timeout = (i in own) ? own[i] : everywhere
                if (mine && timeout !~ /^0[a-z]*$/) {
                    printf "%s%s", separator, (i in listens) ? "the server that listens on " listens[i] : "a server"
                    separator = ", "
                }
            }
        }' "$SCRATCH/dump")
    [ -z "$kept" ] ||
        note "each reload of nginx closes the connections that haproxy keeps to it, and may lose a request that is on its way on one" \
            "in nginx, for $kept: \`keepalive_timeout 0;\`; or, which can't be seen from here, in haproxy: \`option http-server-close\` in backend $BACKENDS"
}

is_second() {
    case " $ROUTE_SECOND " in
        *" $1 "*) return 0 ;;
    esac
    return 1
}

# What a deploy that was cut off leaves, until the next: in the states that were seen.
check_unrouted() {
    [ -f "$SCRATCH/states" ] || return 0
    first_is_up=no second_is_up=no
    while read -r port state _; do
        [ "$state" = up ] || continue
        if is_second "$port"; then second_is_up=yes; else first_is_up=yes; fi
    done <"$SCRATCH/states"
    while read -r port state _; do
        [ "$state" = down ] || continue
        # Of two sets one is idle.
        if is_second "$port"; then mine=$second_is_up other=$first_is_up; else mine=$first_is_up other=$second_is_up; fi
        [ "$mine" = yes ] || [ "$other" = no ] || continue
        note "nginx sends nothing to instance $port: a deploy was cut off, or one is under way" "the next deploy puts it in again"
    done <"$SCRATCH/states"
}

check_lines() {
    include_file "$FILE" >"$SCRATCH/states"
    while IFS= read -r odd; do
        case $odd in
            odd\ *) problem "$ROUTE_FILE is not as it has to be: ${odd#odd }" "it holds comments and, each on a line of its own, $(server_lines)" ;;
            *\ bare)
                of SERVER "${odd%% *}"
                problem "\`server $VALUE\` in $ROUTE_FILE has no max_fails=0: nginx takes both instances out for 10 s when each is restarted once" \
                    "write \`server $VALUE max_fails=0;\`"
                ;;
        esac
    done <"$SCRATCH/states"
}

# Tries what a change does, with the bytes that are there and their time.
check_directory() {
    directory=${PLACE%/*}
    if [ ! -w "$directory" ]; then
        problem "$directory can't be written by $(id -un)" "shipit renames files there: give the directory to $(id -un)"
        return
    fi
    [ -r "$FILE" ] || return 0
    # A run that changes it right now has proved that it can be changed.
    if command -v flock >/dev/null 2>&1; then
        (: >>"$PLACE.shipit-lock") 2>/dev/null || [ -r "$PLACE.shipit-lock" ] || return 0
        exec 9<"$PLACE.shipit-lock"
        flock -n 9 || return 0
    fi
    if ! cp -p "$FILE" "$PLACE.shipit-new" 2>/dev/null || ! mv -f "$PLACE.shipit-new" "$FILE" 2>/dev/null; then
        problem "$FILE can't be replaced by $(id -un)" "give the file and its directory to $(id -un)"
    fi
    [ ! -e "$PLACE.shipit-new" ] || rm -f "$PLACE.shipit-new" 2>/dev/null
    exec 9<&-
}

check_links() {
    link_states >"$SCRATCH/states"
    # shellcheck disable=SC2086 # ports, those of the first set before those of the second
    set -- $ROUTE_PORTS
    for port in $ROUTE_PORTS; do
        link_target "$port"
        of LINK "$port"
        link=$VALUE
        # The second set gets nothing at first.
        if is_second "$port"; then
            of SOCKET "$1"
            shift
        else
            of SOCKET "$port"
        fi
        goal=$VALUE
        [ -w "${link%/*}" ] || problem "${link%/*} can't be written by $(id -un)" "shipit makes links there: give the directory to $(id -un)"
        [ -n "$TARGET" ] || [ ! -e "$link" ] || problem "$link is no symbolic link" "move it away: shipit points it at $goal"
        [ -e "$link" ] || leads_to_an_instance || problem "$link leads nowhere" "point it at the app: ln -sfn $goal $link"
    done
    dump || return 0
    check_settings
    for port in $ROUTE_PORTS; do
        of LINK "$port"
        SHIPIT_LINK=$VALUE awk '
            function token(word) {
                if (word == "{") {
                    depth++
                    if (first == "upstream") inside = depth
                } else if (word == "}") {
                    if (depth == inside) {
                        if (mine && keeps) pooled = 1
                        inside = mine = keeps = 0
                    }
                    depth--
                } else if (word == ";") {
                    if (inside && first == "keepalive") keeps = 1
                    if (inside && first == "server" && value == "unix:" ENVIRON["SHIPIT_LINK"]) {
                        mine = found = 1
                        if (!safe) bare = 1
                    }
                } else {
                    if (first == "") first = word
                    else if (value == "") value = word
                    if (word == "max_fails=0") safe = 1
                    return
                }
                first = value = ""
                safe = 0
            }
            {
                sub(/(^|[ \t])#.*/, "")
                gsub(/[;{}]/, " & ")
                gsub(/"/, "")
                for (i = 1; i <= NF; i++) token($i)
            }
            END { print (found ? "" : "missing"), (bare ? "bare" : ""), (pooled ? "pooled" : "") }' "$SCRATCH/dump" >"$SCRATCH/found"
        read -r found <"$SCRATCH/found" || :
        server="server unix:$VALUE max_fails=0;"
        case $found in
            *missing*) problem "nginx does not know $VALUE" "add to nginx.conf: \`upstream app { $server }\` with such a line for each instance" ;;
        esac
        case $found in
            *bare*) problem "\`server unix:$VALUE\` has no max_fails=0: nginx takes instances out for 10 s when each is restarted once" "write \`$server\`" ;;
        esac
        case $found in
            *pooled*) problem "the upstream of $VALUE has keepalive: its pool would go on using an instance that is out" "take \`keepalive\` out of that upstream" ;;
        esac
    done
}

# dump: the configuration that is on disk, all files of it; fails if it can't be had.
dump() {
    [ -n "$ROUTE_DUMP" ] || return 1
    case $ROUTE_DUMP in
        sudo\ *) eval "sudo -n -l -- ${ROUTE_DUMP#sudo -n }" >/dev/null 2>&1 || return 1 ;;
    esac
    nginx_command dump "$ROUTE_DUMP"
}

# What makes a reload lose requests, or a request run twice.
check_settings() {
    settings=$(awk '
        { sub(/#.*/, "") }
        $1 == "worker_shutdown_timeout" && cut == "" {
            time = $2
            sub(/;.*/, "", time)
            unit = 1
            if (time ~ /ms$/) unit = 0.001
            else if (time ~ /m$/) unit = 60
            else if (time ~ /h$/) unit = 3600
            cut = int(time * unit)
        }
        /proxy_next_upstream.*non_idempotent/ { twice = "twice" }
        END { print cut, twice }' "$SCRATCH/dump")
    cut=${settings%% *}
    if [ -n "$cut" ] && [ "$cut" -lt "$DRAIN_TIMEOUT" ]; then
        problem "nginx's worker_shutdown_timeout cuts requests after ${cut}s, and the recipe lets them take ${DRAIN_TIMEOUT}s" \
            "write \`worker_shutdown_timeout ${DRAIN_TIMEOUT}s;\`, or leave it away"
    fi
    case $settings in
        *twice) problem "nginx may send a POST to two instances: proxy_next_upstream has non_idempotent" "take that word away" ;;
    esac
}

scratch
case $ROUTE_FORM in
    include) check_include ;;
    links) check_links ;;
esac
check_unrouted
exit 0
