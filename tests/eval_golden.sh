#!/bin/sh
# The loss of mm eval against PyTorch's in float64 (golden/eval.py): of a Llama model made of integer arithmetic, and of
# the preset tiny, a Qwen3 model, after three steps. Tolerance 2e-6: float32 leaves less than 1e-7 of a loss of 6.
# Losses and norms of 20 steps of mm train against PyTorch's (golden/train.txt, by golden/compare_run.py): warm-up, ranks,
# a batch's mean, clip, AdamW and its decay as PyTorch has them.
# Usage: eval_golden.sh MM [FOLDER]   with a new FOLDER, models and data stay there, for golden/eval.py.
set -eu
mm=$1
export LC_ALL=C
dir=${2:-}
if [ -n "$dir" ]; then
    mkdir "$dir"
else
    dir=$(mktemp -d "${TMPDIR:-/tmp}/mm-golden-XXXXXX")
    trap 'rm -rf "$dir"' EXIT
fi
# shellcheck source=tests/golden_lib.sh
. "${0%/*}/golden_lib.sh"

make_text >"$dir/text.txt"
make_model
{
    "$mm" tokenizer train --vocab-size 300 --out "$dir/tokenizer.json" "$dir/text.txt"
    "$mm" pack --tokenizer "$dir/tokenizer.json" --split % --out "$dir/data" "$dir/text.txt"
    "$mm" train --data "$dir/data" --steps 3 --ranks 2 --batch 4 --micro-batch 1 --seq-len 16 --out "$dir/tiny"
    "$mm" train --model "$dir/llama" --data "$dir/data" --steps 20 --ranks 2 --batch 4 --micro-batch 1 --seq-len 64 \
        --dropout 0 --order sequential --schedule constant --lr 3e-3 --warmup 5 --clip 0.25 --weight-decay 0.1 --out "$dir/run"
} >"$dir/output" 2>&1 || { cat "$dir/output"; exit 1; }

failed=0
# expect MODEL LOSS
expect() {
    "$mm" eval --model "$dir/$1" --data "$dir/data" --seq-len 64 --json >"$dir/eval" 2>"$dir/output" || { cat "$dir/output"; exit 1; }
    awk -F '[:,]' -v model="$1" -v expected="$2" '{
        off = $2 - expected
        printf "%s: loss %s, %.1e from %s\n", model, $2, off, expected
        exit !(off <= 2e-6 && off >= -2e-6)
    }' "$dir/eval" || { echo "FAILED: $1"; failed=1; }
}
expect llama 5.739571419
expect tiny/model 5.614656518

# PyTorch's own float32 is up to 5.9e-8 of a loss and 1.2e-7 of a norm off its float64: four times that.
sed 's/.*"loss": \([^,]*\),.*"grad_norm": \([^,]*\),.*/\1 \2/' "$dir/run/metrics.jsonl" | paste -d ' ' - "${0%/*}/golden/train.txt" | awk '
    function off(a, b) { return a > b ? a / b - 1 : b / a - 1 }
    { loss = off($1, $3); norm = off($2, $4); rows++ }
    loss > worst_loss { worst_loss = loss }
    norm > worst_norm { worst_norm = norm }
    NF != 4 || !(loss <= 2.4e-7 && norm <= 5e-7) { printf "FAILED: step %d of training: %s\n", NR, $0; bad = 1 }
    END { printf "training: losses within %.1e, norms within %.1e\n", worst_loss, worst_norm; exit bad || rows != 20 }' || failed=1
exit "$failed"
