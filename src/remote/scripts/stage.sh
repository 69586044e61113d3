# Makes a release's directory: unpacked aside, linked to shared/, sealed last, and renamed into place complete.
#
# Data: ROOT RELEASE FINGERPRINT ORIGIN KIND FORMAT URL COMMIT LINKED_DIRS LINKED_FILES

release=$ROOT/releases/$RELEASE
staging=$ROOT/releases/.staging-$RELEASE.$$
cache=$ROOT/.shipit/cache
archive=$cache/$FINGERPRINT

# try WHAT COMMAND…: fails with what could not be done if the command fails.
try() {
    what=$1
    shift
    # A command that goes on in the background, as git's may, must not keep our lock.
    "$@" >&2 9>&- || give_up "$what"
}

# give_up WHAT [HELP]: leaves nothing half made behind. On a full disk that is also what frees it.
give_up() {
    why=''
    ! disk_is_full || why=": the disk of $ROOT is full"
    rm -rf "$staging" "$staging.failed" "$cache"/.part.*
    fail "$1$why" "${2-}"
}

disk_is_full() {
    # Blocks, their size and inodes that are free, and all inodes: some file systems count none.
    free=$(stat -f -c '%a %S %d %c' "$ROOT") || return 1
    # shellcheck disable=SC2086 # four numbers
    set -- $free
    [ "$(($1 * $2))" -lt 65536 ] || { [ "$3" = 0 ] && [ "$4" != 0 ]; }
}

fetch_url() {
    [ ! -f "$archive" ] || return 0
    part=$cache/.part.$FINGERPRINT.$$
    as_url "$URL"
    curl -gfsSL --proto '=http,https' --retry 2 --connect-timeout 20 --speed-limit 1 --speed-time 60 -o "$part" -K - >&2 <<END ||
$URL_LINE
END
        give_up "the archive could not be fetched"
    sha256 "$part" || SUM='unknown sum'
    [ "$SUM" = "$FINGERPRINT" ] ||
        give_up "the archive has the sha256 $SUM, and the recipe says $FINGERPRINT" "someone changed the archive, or the recipe is of another one"
    try 'the archive could not be kept' mv -f "$part" "$archive"
}

unpack_archive() {
    [ -f "$archive" ] || give_up "the archive $archive is not there" "deploy again: it is sent again"
    case $FORMAT in
        tar) how=-o ;;
        gz) how=-z ;;
        bz2) how=-j ;;
        xz) how=-J ;;
        zst) how=--zstd ;;
    esac
    tar -x "$how" -o -f "$archive" -C "$staging" >&2 || archive_is_bad
}

# A power cut can damage the kept archive, and then the next deploy must get another one.
archive_is_bad() {
    sha256 "$archive" || SUM=''
    [ "$SUM" = "$FINGERPRINT" ] || {
        rm -f "$archive"
        give_up 'the archive was damaged on the disk, and is removed' "deploy again: it comes anew"
    }
    give_up 'the archive could not be unpacked'
}

# A mirror of the repository stays on the host, so only what is new is fetched. It never asks for a password.
fetch_git() {
    export GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND="${GIT_SSH_COMMAND:-ssh -o BatchMode=yes}"
    if [ ! -d "$ROOT/repo" ]; then
        progress "cloning"
        rm -rf "$ROOT/.shipit/repo.part"
        try 'the repository could not be cloned' git clone --quiet --mirror -- "$URL" "$ROOT/.shipit/repo.part"
        try 'the repository could not be kept' mv "$ROOT/.shipit/repo.part" "$ROOT/repo"
    fi
    has_commit || {
        progress "fetching"
        # What a killed git left: no other one of ours is at work here.
        find "$ROOT/repo" -name '*.lock' -type f -exec rm -f {} +
        try 'the address of the repository could not be set' git -C "$ROOT/repo" config remote.origin.url "$URL"
        try 'the repository could not be fetched' git -C "$ROOT/repo" -c gc.autoDetach=false fetch --quiet --prune origin
    }
    # No branch or tag leads there any more, but most servers give it by its name.
    has_commit || git -C "$ROOT/repo" fetch --quiet origin "$COMMIT" >&2 9>&-
    has_commit ||
        give_up "the repository does not have commit $COMMIT" "push it, or see whether the hosts fetch from the same place as you do"
}

has_commit() {
    git -C "$ROOT/repo" cat-file -e "$COMMIT^{commit}" 2>/dev/null
}

unpack_git() {
    # A pipe has its last command's result only.
    { git -C "$ROOT/repo" archive --format=tar "$COMMIT" || : >"$staging.failed"; } | tar -x -o -f - -C "$staging" >&2 ||
        give_up 'the commit could not be unpacked'
    [ ! -e "$staging.failed" ] || give_up 'the commit could not be written out'
}

# own_file NAME TEXT: writes a file of ours into the release, whatever the release has there: a link would lead elsewhere.
own_file() {
    { [ ! -e "$staging/$1" ] && [ ! -L "$staging/$1" ]; } || rm -rf "${staging:?}/$1"
    printf '%s\n' "$2" >"$staging/$1" || give_up "$1 could not be written"
}

# link PATH: lets the release's PATH be the one of shared/.
link() {
    # Through a link we would remove what lies in its target.
    above=$staging
    rest=$1
    while [ "$rest" != "${rest#*/}" ]; do
        above=$above/${rest%%/*}
        rest=${rest#*/}
        [ ! -L "$above" ] || give_up "the release has a link in the way of $1" "remove ${above#"$staging/"} from it, or from the linked paths"
    done
    case $1 in
        */*) [ -d "$above" ] || try "the release has a file in the way of $1" mkdir -p "$above" ;;
    esac
    rm -rf "${staging:?}/$1"
    try "$1 could not be linked" ln -s "$ROOT/shared/$1" "$staging/$1"
}

link_shared() {
    while read -r dir; do
        [ -n "$dir" ] || continue
        [ -d "$ROOT/shared/$dir" ] || try "shared/$dir could not be made" mkdir -p "$ROOT/shared/$dir"
        link "$dir"
    done <<END
$LINKED_DIRS
END
    while read -r file; do
        [ -n "$file" ] || continue
        [ -e "$ROOT/shared/$file" ] || give_up "the linked file $ROOT/shared/$file is missing" "put it there; releases only link to it"
        link "$file"
    done <<END
$LINKED_FILES
END
}

# The seal says "complete", so the disk must have all of it before the name does. A few files are written out one by one:
# the file system as a whole may hold much that is not ours, and waiting for that takes seconds on a busy host.
write_out() {
    [ "$files" -gt 50 ] || ! find "$staging" \( -type f -o -type d \) -exec sync {} + 2>/dev/null || return 0
    sync -f "$staging" 2>/dev/null || sync
}

is_filled() {
    for entry in "$staging"/* "$staging"/.[!.]* "$staging"/..?*; do
        { [ ! -e "$entry" ] && [ ! -L "$entry" ]; } || return 0
    done
    return 1
}

already_there() {
    [ -f "$release/.shipit-release" ] || return 0
    printf 'said already there\n'
    exit 0
}

fence
already_there
[ -d "$ROOT/releases" ] && [ -d "$ROOT/shared" ] && [ -d "$cache" ] ||
    mkdir -p "$ROOT/releases" "$ROOT/shared" "$cache" || fail "$ROOT can't be written"
alone stage 600
already_there
[ ! -e "$release" ] || fail "$release is there, but is no complete release" "move it away"
for left in "$ROOT/releases/.staging-$RELEASE".*; do
    [ ! -e "$left" ] || rm -rf "$left"
done
try "$staging could not be made" mkdir "$staging"
case $KIND in
    git) fetch_git && unpack_git ;;
    url) fetch_url && unpack_archive ;;
    archive) unpack_archive ;;
esac
is_filled || give_up 'the release is empty'
link_shared
[ "$KIND" != git ] || own_file REVISION "$COMMIT"
own_file .shipit-release "$FINGERPRINT $ORIGIN"
files=$(($(find "$staging/" -type f | wc -l)))
write_out
try "$release could not be put in place" mv "$staging" "$release"
printf 'said %s files\n' "$files"
