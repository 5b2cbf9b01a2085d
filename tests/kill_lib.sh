# shellcheck shell=bash
# For tests that kill runs, behind cli_lib.sh: data, comparing two runs, drawing numbers.

# draw N: a number below N into $drawn, from the state in $seed.
draw() {
    seed=$(((seed * 1103515245 + 12345) & 0x7fffffff))
    drawn=$(((seed >> 8) % $1))
}

make_data() {
    make_text 120 7 >text.txt
    "$mm" tokenizer train --vocab-size 300 --out tokenizer.json text.txt >/dev/null 2>&1 || fail "tokenizer train"
    "$mm" pack --tokenizer tokenizer.json --out data text.txt >/dev/null 2>&1 || fail "pack"
}

# same_end REFERENCE RUN WHAT: the files of two runs at their end, and nothing else in the second.
same_end() {
    local last file
    last=$(readlink "$1/model")
    [ "$(readlink "$2/model")" = "$last" ] || fail "$3: model leads to $(readlink "$2/model"), expected $last"
    for file in metrics.jsonl model/model.safetensors "$last/optimizer.safetensors" "$last/state.json"; do
        cmp -s "$1/$file" "$2/$file" || fail "$3: other $file"
    done
    cmp -s <(zcat "$1/trace.jsonl.gz") <(zcat "$2/trace.jsonl.gz") || fail "$3: another trace"
    [ "$(wc -l <"$1/timing.jsonl")" = "$(wc -l <"$2/timing.jsonl")" ] || fail "$3: timing.jsonl has other steps"
    cmp -s <(names_in "$1") <(names_in "$2") ||
        fail "$3: other files: $(diff <(names_in "$1") <(names_in "$2") | grep '^[<>]' | tr '\n' ' ')"
}

names_in() { (cd "$1" && find . | LC_ALL=C sort); }

# go_on RUN OPTION...: to its end. A run that has no run.json yet starts again by its first command, $command. One that was
# killed at its end, before its last save removed the oldest checkpoint, keeps that; here it goes, for same_end.
go_on() {
    local run=$1 keep saved
    shift
    if [ -e "$run/run.json" ]; then
        run --resume "$run" "$@"
    else
        run "${command[@]}" --out "$run"
    fi
    [ "$status" = 0 ] || fail "$run: going on: exit $status: $(tail -n 1 err)"
    keep=$(sed -n 's/^ *"keep": \([0-9]*\),$/\1/p' "$run/run.json")
    saved=("$run"/checkpoints/step-*)
    if grep -qF 'at its end' out && ((keep && ${#saved[@]} == keep + 1)); then rm -r "${saved[0]}"; fi
}
