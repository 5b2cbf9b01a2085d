#!/usr/bin/env bash
# A disk that is full from some write on, an fsync that fails, and writes that are done in parts: exit 2 with the file
# named, nothing half written, old files whole; training goes on from there to the same end.
# disk_full.sh MM MM-FAULTY [EACH [SEED]]: EACH of the writes and of the fsyncs of every command, drawn from the seed.
here=$(cd "${0%/*}" && pwd)
faulty=$(realpath "$2")
# shellcheck source=tests/cli_lib.sh
. "$here/cli_lib.sh"
# shellcheck source=tests/kill_lib.sh
. "$here/kill_lib.sh"
each=${3:-6}
seed=${4:-$((EPOCHSECONDS % 100000))}
echo "seed $seed"
make_data
small=(--data data --seq-len 8 --batch 2 --micro-batch 1 --ranks 2 --workers 1 --steps 3 --save-every 1 --keep 2)

# planted FAULT ARGUMENT...
planted() {
    MM_FAULT=$1 "$faulty" "${@:2}" >out 2>err </dev/null
    status=$?
}

# refused FAULT CALL REASON ARGUMENT...: exit 2, a line that says where and why.
refused() {
    planted "$1:call=$2" "${@:4}"
    [ "$status" = 2 ] || fail "$1 at $2: mm ${*:4}: exit $status, expected 2: $(tail -n 2 err)"
    tail -n 1 err >said
    has said "mm: " "$3"
    # The folder that it is made in is `.`.
    grep -q -e made -e '^mm: \.: cannot fsync the folder' said || fail "$1 at $2: mm ${*:4}: not said where: $(cat said)"
    count=$((count + 1))
}

# strike CHECK ARGUMENT...: a command that makes `made`. After each fault CHECK, a function, looks at what is left.
strike() {
    local check=$1 total_writes total_syncs i
    shift
    planted count-calls "$@"
    [ "$status" = 0 ] || fail "mm $*: exit $status: $(tail -n 1 err)"
    read -r _ _ total_writes _ total_syncs _ < <(tail -n 1 err)
    [ "${total_writes:-0}" -gt 0 ] && [ "${total_syncs:-0}" -gt 0 ] || fail "mm $*: nothing was counted: $(tail -n 1 err)"
    rm -rf whole && mv made whole
    planted short-writes "$@"
    [ "$status" = 0 ] || fail "short writes: mm $*: exit $status: $(tail -n 1 err)"
    same_files whole made "short writes: mm $*"
    rm -rf made
    for ((i = 0; i < each; i++)); do
        draw "$total_writes"
        refused full-disk $((drawn + 1)) "No space left on device; free some space" "$@"
        "$check" "full-disk $((drawn + 1))"
        draw "$total_syncs"
        refused failed-fsync $((drawn + 1)) "Input/output error" "$@"
        "$check" "failed-fsync $((drawn + 1))"
    done
}

# Of runs only what no clock decides.
same_files() {
    if [ -e "$1/run.json" ]; then
        same_end "$1" "$2" "$3"
    else
        diff -r "$1" "$2" >/dev/null || fail "$3: $(diff -rq "$1" "$2" | head -n 2)"
    fi
}
# A folder whose fsync fails has the whole file already.
nothing_left() {
    [ -e made ] && ! { [[ $1 = failed-fsync* ]] && cmp -s whole made; } && fail "$1: something was made"
    find . -name '.*.tmp-*' | grep -q . && fail "$1: a temporary is left: $(find . -name '.*.tmp-*' | head -n 1)"
    rm -rf made
}
goes_on() {
    go_on made
    same_end whole made "after $1"
    rm -rf made
}

{ make_text 40 8; echo %; make_text 40 9; echo %; make_text 20 10; } >split.txt
count=0
command=("${small[@]}")
strike nothing_left tokenizer train --vocab-size 320 --out made text.txt
strike nothing_left pack --tokenizer tokenizer.json --split % --shard-tokens 500 --val-share 0.3 --out made split.txt
strike goes_on "${small[@]}" --out made

# What is made of a run, which `whole` is now.
mv whole trained
command=()
strike nothing_left export --dtype bf16 --out made trained
strike nothing_left eval --model trained/model --data data --workers 1 --logits made

# A checkpoint that cannot be saved leaves those before it, and what was there of a run.
expect 0 "${small[@]}" --steps 2 --out begun --schedule constant
state_of begun/checkpoints >before
cp -r begun made
planted full-disk:call=1 --resume made --steps 3
[ "$status" = 2 ] || fail "a full disk while going on: exit $status, expected 2"
state_of made/checkpoints | cmp -s - before || fail "a full disk while going on: the checkpoints changed"
echo "$count faults"
finish
