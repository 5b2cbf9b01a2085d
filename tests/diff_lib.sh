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

