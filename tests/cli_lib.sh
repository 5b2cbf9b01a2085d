# shellcheck shell=bash
# For tests of the whole program: cli_NAME.sh MM sources this and works in a folder of its own, removed at the end.
set -u
mm=$1
case $mm in /*) ;; *) mm=$PWD/$mm ;; esac
folder=$(mktemp -d) || exit 2
end() {
    local left
    left=$(jobs -p)
    # shellcheck disable=SC2086
    [ -z "$left" ] || kill -KILL $left 2>/dev/null
    rm -rf "$folder"
}
trap end EXIT
cd "$folder" || exit 2
unset MM_DATA NO_COLOR
failed=0

fail() {
    printf 'FAILED: %s\n' "$*"
    failed=1
}

# run ARGUMENT...: out and err are the two streams, status the exit status.
run() {
    "$mm" "$@" >out 2>err </dev/null
    status=$?
}

# expect STATUS ARGUMENT...
expect() {
    local wanted=$1
    shift
    run "$@"
    [ "$status" = "$wanted" ] || fail "mm $*: exit $status, expected $wanted; stderr: $(head -c 600 err)"
}

# has FILE TEXT...: each stands in the file.
has() {
    local file=$1 text
    shift
    for text; do grep -qaF -- "$text" "$file" || fail "\"$text\" is not in $file: $(head -c 900 "$file")"; done
}

# trouble "TEXT|TEXT..." ARGUMENT...: exit 2, nothing on stdout, one line on stderr that names each TEXT. (A slow
# machine may say before that what it is reading.)
trouble() {
    local texts=$1 text
    shift
    expect 2 "$@"
    grep -av ' \.\.\.$' err >said
    [ "$(wc -l <said)" = 1 ] || fail "mm $*: expected one line on stderr, found: $(head -c 900 err)"
    [ -s out ] && fail "mm $*: expected nothing on stdout, found: $(head -c 300 out)"
    while IFS= read -r text; do has said "$text"; done < <(tr '|' '\n' <<<"$texts")
}

# What is in a folder, to compare before and after.
state_of() { (cd "$1" && find . \( -type f -exec cksum {} + \) -o \( -type l -printf '%p %l\n' \) | LC_ALL=C sort); }

# A text of COUNT lines of made-up words, drawn by a small generator from SEED.
make_text() {
    awk -v count="$1" -v seed="$2" 'BEGIN {
        split("ba do ki lu me no pa ri so tu ve wa xi ze", part, " ")
        state = seed
        for (line = 0; line < count; line++) {
            text = ""
            for (word = 0; word < 9; word++) {
                syllables = ""
                for (i = 0; i < 2; i++) {
                    state = (state * 1103 + 12345) % 65536
                    syllables = syllables part[1 + int(state / 256) % 14]
                }
                text = text (word ? " " : "") syllables
            }
            print text "."
        }
    }'
}

# wait_until COMMAND...: until it succeeds, at most a minute.
wait_until() {
    local tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ "$tries" -gt 6000 ] && return 1
        sleep 0.01
    done
}

# wait_for FILE TEXT: until it stands there.
wait_for() {
    wait_until grep -qsF -- "$2" "$1" && return
    fail "$1 never said \"$2\": $(head -c 600 "$1")"
    return 1
}

finish() {
    [ "$failed" = 0 ] && echo ok
    exit "$failed"
}

# turn FILE BYTE: one bit of a file.
turn() {
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    # shellcheck disable=SC2059
    printf "\\$(printf %03o $((byte ^ 4)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# damaged FILE ARGUMENT...: exit 2, or 1 as damage; the file is named.
damaged() {
    local file=$1
    shift
    run "$@"
    [ "$status" = 2 ] || { [ "$status" = 1 ] && grep -q -e '"kind": "damage"' -e '"repeats": false' out; } ||
        fail "$file damaged: mm $*: exit $status: $(head -c 400 out) $(head -c 400 err)"
    cat out err >said
    has said "$file"
}
