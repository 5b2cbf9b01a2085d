# shellcheck shell=bash
# For tests of mm diff and mm verify: sourced after cli_lib.sh. Data, small runs, and damage to them.

make_data() {
    make_text 300 5 >words.txt
    run tokenizer train --vocab-size 300 --out tokenizer.json words.txt
    run pack --tokenizer tokenizer.json --out data words.txt
}

# train NAME OPTION...: a small run of 4 steps with checkpoints of steps 2 and 4.
train() {
    local name=$1
    shift
    "$mm" --data data --steps 4 --seq-len 21 --batch 8 --micro-batch 1 --ranks 4 --dropout 0.2 --save-every 2 \
        --out "$name" "$@" >log 2>&1 || fail "train $name: $(tail -n 1 log)"
}

# A copy of a run, to be damaged.
copy() {
    rm -rf B
    cp -r "$1" B
}

# same A B TEXT...: exit 0; each text is in the sentence or the table.
same() {
    local a=$1 b=$2
    shift 2
    expect 0 diff "$a" "$b"
    has out "The runs are the same to the bit, up to step 4" "$@"
    expect 0 diff --json "$a" "$b"
    has out '"same": true' '"first": null' '"cause": null' '"distance": []'
}

# parts KIND STEP "TEXT|TEXT..." A B [OPTION...]: exit 1, with the cause and, in the sentence, each text.
parts() {
    local kind=$1 step=$2 texts=$3
    shift 3
    expect 1 diff "$@"
    [ "$step" = - ] || has out "The runs part at step $step,"
    while IFS= read -r text; do has out "$text"; done < <(tr '|' '\n' <<<"$texts")
    expect 1 diff --json "$@"
    has out '"same": false' "\"cause\": {\"kind\": \"$kind\", \"what\": "
    [ "$step" = - ] || has out "\"first\": {\"step\": $step, "
}

# B's trace, changed by sed.
record() { zcat B/trace.jsonl.gz | sed "$1" | gzip >B/changed.gz && mv B/changed.gz B/trace.jsonl.gz; }

# reseal PROGRAM: B/run.json changed by sed, and sealed as if mm had written it.
reseal() {
    sed -i "$1" B/run.json
    run diff base B
    local seal
    seal=$(grep -o 'its text gives [0-9a-f]*' err | grep -o '[0-9a-f]*$') || fail "no seal for $1: $(cat err)"
    sed -i "s/\"seal\": \"[0-9a-f]*\"/\"seal\": \"$seal\"/" B/run.json
}
