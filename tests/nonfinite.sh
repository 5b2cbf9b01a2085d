#!/usr/bin/env bash
# A run stops at the first number that is not finite with exit 3, names its place, keeps the last good checkpoint and
# leaves valid files. nonfinite.sh MM
# shellcheck source=tests/cli_lib.sh
. "${0%/*}/cli_lib.sh"

make_text 200 7 >text.txt
"$mm" tokenizer train --vocab-size 300 --out tokenizer.json text.txt >/dev/null 2>&1 || fail "tokenizer train"
"$mm" pack --tokenizer tokenizer.json --out data text.txt >/dev/null 2>&1 || fail "pack"
small=(--data data --seq-len 16 --batch 8 --micro-batch 1 --ranks 4 --warmup 0)

# stops TEXTS ARGUMENT...: exit 3, one last line on stderr that names each TEXT.
stops() {
    local texts=$1 text
    shift
    expect 3 "$@"
    tail -n 1 err >said
    while IFS= read -r text; do has said "$text"; done < <(tr '|' '\n' <<<"$texts")
}

# set_number FILE TENSOR INDEX OCTAL-BYTES: one float of a safetensors file.
set_number() {
    local header begin
    header=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    begin=$(head -c $((header + 8)) "$1" | tail -c +9 |
        sed 's/.*"'"$2"'" *: *{[^}]*"data_offsets" *: *\[ *\([0-9]*\).*/\1/')
    printf "$4" | dd of="$1" bs=1 seek=$((8 + header + begin + 4 * $3)) conv=notrunc status=none
}
nan='\000\000\300\177' inf='\000\000\200\177'

# Gradients: after an update that threw the weights far away. What came before is kept, and is gone on from.
stops 'step 2, rank 0, leaf 0|pass of |is nan|checkpoint of step 1|--model|--lr' \
    "${small[@]}" --lr 1e30 --clip 0 --steps 5 --save-every 1 --out far
[ "$(wc -l <far/metrics.jsonl)" = 2 ] || fail "the failed step has no row: $(cat far/metrics.jsonl)"
tail -n 1 far/metrics.jsonl >row
has row '{"step": 2, "loss": null' '"nonfinite": ["loss", "grad_norm"]}'
# A NaN's sign is the kernels': bits are promised of finite numbers.
expect 0 verify far
MM_ISA=baseline expect 3 train "${small[@]}" --lr 1e30 --clip 0 --steps 5 --save-every 1 --out far-baseline
expect 0 diff far far-baseline
has out "where both end at a number that is not finite"
expect 0 verify far-baseline
cp -r far forged && zcat far/trace.jsonl.gz | sed '/"step":2,.*"op":"batch"/s/"xxh128":".../"xxh128":"000/' | gzip >forged/trace.jsonl.gz
expect 1 diff far forged
has out "part at step 2, in the samples that were read"
grep -qi '[:,] *-\?nan\|inf[,}]' row && fail "not JSON: $(cat row)"
[ "$(ls far/checkpoints)" = step-000001 ] || fail "checkpoints: $(ls far/checkpoints)"
zcat far/trace.jsonl.gz >trace || fail "the trace is not whole"
has trace '{"step":2,"leaf":7,' '{"step":2,"pass":"backward","op":"merge"'
expect 0 inspect far
cp far/metrics.jsonl once
stops 'step 2, rank 0, leaf 0' --resume far --workers 1
cmp -s far/metrics.jsonl once || fail "a resumed run stopped with other metrics"
zcat far/trace.jsonl.gz | cmp -s - trace || fail "a resumed run stopped with another trace"
stops 'step 2, rank 0, leaf 0|checkpoint of step 1' "${small[@]}" --lr 1e30 --clip 0 --steps 5 --save-every 1 \
    --trace off --out untraced
cmp -s far/metrics.jsonl untraced/metrics.jsonl || fail "without a trace: other metrics"

# The update itself.
stops 'step 1, the update (adamw|model.embed_tokens.weight[|is |start again' "${small[@]}" --lr 1e39 --clip 0 --steps 5 \
    --out update
[ "$(wc -l <update/metrics.jsonl)" = 1 ] || fail "the step whose update failed has no row"
tail -n 1 update/metrics.jsonl >row
has row '"nonfinite": ["update"]}'
expect 0 verify update
expect 0 diff update update
has out "step 1, where both end at a number that is not finite"
for level in off step; do
    stops 'step 1, the update (adamw' "${small[@]}" --lr 1e39 --clip 0 --steps 5 --trace $level --out "again-$level"
    expect 0 diff update "again-$level"
    sed -i 's/, "nonfinite": \["update"\]//' "again-$level/metrics.jsonl"
    expect 1 diff update "again-$level"
    case $level in
        off) has out "step 1" "the update of parameters" ;;
        *) has out "their lines of step 1 differ" ;;
    esac
    expect 1 verify "again-$level"
    has out "spoiled updates"
done
[ -e update/checkpoints ] && fail "a checkpoint of numbers that are not finite"

# One weight of a model: by tensor, layer and place.
expect 0 "${small[@]}" --steps 1 --out good
for number in nan inf; do
    cp -rL good/model "$number"
    rm "$number/state.json" # a model, changed on purpose
    set_number "$number/model.safetensors" model.layers.2.mlp.up_proj.weight 387 "${!number}"
    stops "step 1, layer 2, before it: parameter model.layers.2.mlp.up_proj.weight[3, 3] is $number|--model|bring a whole model" \
        "${small[@]}" --model $number --steps 2 --out "run-$number"
    has "run-$number/metrics.jsonl" '"nonfinite": ["loss", "grad_norm"]'
done

# A finite weight that overflows in layer 1: every leaf meets it there, the first is named.
cp -rL good/model great
rm great/state.json
set_number great/model.safetensors model.layers.1.mlp.down_proj.weight 5 '\377\377\177\177'
set_number great/model.safetensors model.layers.1.mlp.up_proj.weight 5 '\377\377\177\177'
set_number great/model.safetensors model.layers.1.mlp.gate_proj.weight 5 '\377\377\177\177'
stops 'step 1, rank 0, leaf 0, layer 1, forward pass of ' "${small[@]}" --model great --steps 2 --out run-great
finish
