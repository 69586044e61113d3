# Makes a release's directory: unpacked aside, linked to shared/, sealed last, and renamed into place complete.
#
# Data: ROOT RELEASE FINGERPRINT ORIGIN KIND FORMAT URL COMMIT LINKED_DIRS LINKED_FILES

release=$ROOT/releases/$RELEASE
staging=$ROOT/releases/.staging-$RELEASE
cache=$ROOT/.shipit/cache

# try WHAT COMMAND…: fails with what could not be done if the command fails.
try() {
    what=$1
    shift
    "$@" >&2 || give_up "$what"
}

# give_up WHAT [HELP]: leaves nothing half made behind. On a full disk that is also what frees it.
give_up() {
    why=''
    free=$(df -Pk "$ROOT" | awk 'END { print $4 }')
    [ "${free:-1}" -gt 64 ] || why=": the disk of $ROOT is full"
    rm -rf "$staging" "$cache"/.part.*
    fail "$1$why" "${2-}"
}

fetch_url() {
    [ ! -f "$cache/$FINGERPRINT" ] || return 0
    part=$cache/.part.$FINGERPRINT.$$
    curl -fsSL --proto '=http,https' --retry 2 -o "$part" -- "$URL" >&2 || give_up "the archive could not be fetched"
    sum=$(sha256sum <"$part")
    [ "${sum%% *}" = "$FINGERPRINT" ] ||
        give_up "the archive has the sha256 ${sum%% *}, and the recipe says $FINGERPRINT" "someone changed the archive, or the recipe is of another one"
    try 'the archive could not be kept' mv -f "$part" "$cache/$FINGERPRINT"
}

unpack_archive() {
    case $FORMAT in
        tar) how=--no-same-owner ;;
        gz) how=-z ;;
        bz2) how=-j ;;
        xz) how=-J ;;
        zst) how=--zstd ;;
    esac
    try 'the archive could not be unpacked' tar -x "$how" --no-same-owner -f "$cache/$FINGERPRINT" -C "$staging"
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
    if ! git -C "$ROOT/repo" cat-file -e "$COMMIT^{commit}" 2>/dev/null; then
        progress "fetching"
        try 'the repository has another address now, which could not be set' git -C "$ROOT/repo" remote set-url origin "$URL"
        try 'the repository could not be fetched' git -C "$ROOT/repo" fetch --quiet --prune origin
    fi
    git -C "$ROOT/repo" cat-file -e "$COMMIT^{commit}" 2>/dev/null ||
        give_up "the repository does not have commit $COMMIT" "push it, or see whether the hosts fetch from the same place as you do"
}

unpack_git() {
    try 'the commit could not be written out' git -C "$ROOT/repo" archive --format=tar -o "$ROOT/.shipit/part.$RELEASE.tar" "$COMMIT"
    tar -x -f "$ROOT/.shipit/part.$RELEASE.tar" -C "$staging" >&2
    code=$?
    rm -f "$ROOT/.shipit/part.$RELEASE.tar"
    [ "$code" = 0 ] || give_up 'the commit could not be unpacked'
    printf '%s\n' "$COMMIT" >"$staging/REVISION"
}

# link PATH: lets the release's PATH be the one of shared/.
link() {
    case $1 in
        */*) try "the release has a file in the way of $1" mkdir -p "$staging/${1%/*}" ;;
    esac
    rm -rf "${staging:?}/$1"
    try "$1 could not be linked" ln -s "$ROOT/shared/$1" "$staging/$1"
}

link_shared() {
    while read -r dir; do
        [ -n "$dir" ] || continue
        try "shared/$dir could not be made" mkdir -p "$ROOT/shared/$dir"
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

if [ -f "$release/.shipit-release" ]; then
    printf 'said already there\n'
    exit 0
fi
[ ! -e "$release" ] || fail "$release is there, but is no complete release" "move it away"
mkdir -p "$ROOT/releases" "$ROOT/shared" "$cache" || fail "$ROOT can't be written"
rm -rf "$staging"
try "$staging could not be made" mkdir "$staging"
case $KIND in
    git) fetch_git && unpack_git ;;
    url) fetch_url && unpack_archive ;;
    archive) unpack_archive ;;
esac
[ -n "$(ls -A "$staging")" ] || give_up 'the release is empty'
link_shared
printf '%s %s\n' "$FINGERPRINT" "$ORIGIN" >"$staging/.shipit-release" || give_up 'the release could not be sealed'
# The seal says "complete", so the disk must have all of it before the name does.
sync -f "$staging" 2>/dev/null || sync
try "$release could not be put in place" mv "$staging" "$release"
printf 'said %s files\n' "$(find "$release/" -type f | wc -l | tr -d ' ')"
