#!/usr/bin/env bash
# What a run says it will take is what it takes; a run that cannot fit is refused, with settings that do fit.
# memory.sh MM PEAK: the second is tests/peak.c.
# shellcheck source=tests/cli_lib.sh
. "${0%/*}/cli_lib.sh"
peak=$2
case $peak in /*) ;; *) peak=$OLDPWD/$peak ;; esac

make_text 600 7 >text.txt
make_text 40 8 >val.txt
"$mm" tokenizer train --vocab-size 300 --out tokenizer.json text.txt >/dev/null || fail "tokenizer train"
"$mm" pack --tokenizer tokenizer.json --out data text.txt >/dev/null || fail "pack"
"$mm" pack --tokenizer tokenizer.json --out val val.txt >/dev/null || fail "pack"
export MM_DATA=$PWD/data
unset MALLOC_PERTURB_ # meson's: it would touch memory that nobody uses

# Beside its 5%: what libraries and the system's huge pages take, which differs between systems by a few MiB.
allowance=4096

# measure NAME ARGUMENT...: KiB planned and measured, in `planned` and `measured`; they must agree.
measure() {
    local name=$1
    shift
    rm -rf run
    "$peak" peak.txt "$mm" train --steps 2 --seed 3 "$@" --out run >out 2>err </dev/null || fail "$name: $(head -c 600 err)"
    measured=$(<peak.txt)
    planned=$(awk '/^ *memory/ { print int($2 * ($3 == "GiB" ? 1048576 : 1024)) }' err)
    awk -v p="$planned" -v m="$measured" -v a=$allowance 'BEGIN { d = p - m; exit (d < 0 ? -d : d) <= 0.05 * m + a ? 0 : 1 }' ||
        fail "$name: $planned KiB planned, $measured KiB measured"
}

measure "the default" --workers 2
measure "one worker" --workers 1
measure "more workers than leaves" --workers 5 --ranks 1 --batch 2 --micro-batch 1
measure "more workers than a leaf has heads" --workers 12 --ranks 1 --batch 1 --micro-batch 1
measure "validation" --workers 2 --val-data val --val-every 1
measure "samples and checkpoints" --workers 2 --sample-every 1 --save-every 1
measure "samples from a prompt" --workers 2 --sample-every 1 --prompt "once upon a time there was"
measure "no trace" --workers 2 --trace off
measure "all of the trace" --workers 2 --trace op --seq-len 64
measure "documents" --workers 2 --packing document --seq-len 64

# With ranks grow the trees' levels, 8 MiB of buffer each here, and little else.
few=(--workers 2 --micro-batch 1 --seq-len 16 --trace off)
measure "8 ranks" "${few[@]}" --ranks 8 --batch 8
eight=$measured
measure "256 ranks" "${few[@]}" --ranks 256 --batch 256
[ $((measured - eight)) -le $((5 * 8192 + allowance)) ] || fail "from 8 to 256 ranks memory grew from $eight to $measured KiB"

# With the length grow activations, and not with its square.
long=(--workers 1 --ranks 1 --batch 1 --micro-batch 1)
measure "256 tokens" "${long[@]}" --seq-len 256
short=$measured
measure "512 tokens" "${long[@]}" --seq-len 512
middle=$measured
measure "1024 tokens" "${long[@]}" --seq-len 1024
[ $((measured - middle)) -le $((2 * (middle - short) + allowance)) ] || fail "256, 512, 1024 tokens: $short, $middle, $measured KiB"

# Refused: nothing is made, and every setting that is offered trains under that limit.
limit=80M
trouble "memory: the run needs|80 MiB are available|--workers 1 needs|gives the same bits|--micro-batch 2 needs|--seq-len 128 needs" \
    train --workers 2 --memory-limit $limit --steps 1 --out refused
[ ! -e refused ] || fail "a refused run left its folder"
sed 's/.*available; //' said | tr ';' '\n' >offers
while read -r -a words; do
    offered=()
    for word in "${words[@]}"; do
        [ "$word" = needs ] && break
        offered+=("$word")
    done
    # shellcheck disable=SC2094
    expect 0 train --workers 2 --memory-limit $limit --steps 1 "${offered[@]}" --out "offer${offered[-1]}" </dev/null
done <offers
[ "$(wc -l <offers)" = 3 ] || fail "expected three offers: $(cat said)"
trouble "no --workers, --micro-batch or --seq-len would fit|weights, moments and gradients alone take" \
    train --memory-limit 30M --steps 1 --out refused
trouble "--memory-limit 5x: expected a number and its unit" train --memory-limit 5x

# Sizes that no process can address, each of which is within its bounds.
mkdir huge
cat >huge/config.json <<'END'
{"model_type": "llama", "vocab_size": 300, "hidden_size": 1024, "num_hidden_layers": 256, "num_attention_heads": 8,
 "intermediate_size": 16777216, "bos_token_id": 1, "eos_token_id": 2}
END
trouble "memory: the run needs" train --model huge --batch 65536 --micro-batch 65536 --ranks 1 --seq-len 1048576 --dropout 0 --out refused
# What config.json says of sizes is not believed before the weights are seen.
trouble "huge/model.safetensors|no such file" eval --model huge --data data

# A run that goes on changes its workers alone.
expect 0 train --workers 2 --steps 1 --schedule constant --out on
before=$(state_of on)
trouble "memory: the run needs|--workers 1 needs" train --resume on --workers 2 --memory-limit $limit --steps 2
grep -q -e --seq-len -e --micro-batch said && fail "settings are offered that a run cannot change: $(cat said)"
[ "$(state_of on)" = "$before" ] || fail "a refused run was changed"
finish
