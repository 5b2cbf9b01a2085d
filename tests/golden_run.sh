#!/bin/sh
# The golden run: a text, a model and a dataset made of integer arithmetic, then small training runs of every operation,
# dropout, token noise, every seed policy and both packings. Prints a hash for each run and one of all.
# Usage: golden_run.sh GOLDEN MM [LAUNCHER]   MM is the program, which LAUNCHER (an emulator) starts if it is given.
# GOLDEN is a file of the hashes expected, or - to print them only. On purpose other bits, so another version of streams
# or arithmetic (`mm` writes both to run.json), are committed with: golden_run.sh - build/tools/mm >tests/golden/run.txt
set -eu
golden=$1 mm=$2 launcher=${3:-}
export LC_ALL=C
dir=$(mktemp -d "${TMPDIR:-/tmp}/mm-golden-XXXXXX")
trap 'rm -rf "$dir"' EXIT

# shellcheck source=tests/golden_lib.sh
. "${0%/*}/golden_lib.sh"

# hash NAME: a line for what comes in.
hash() {
    echo "$(sha256sum | cut -d ' ' -f 1)  $1" | tee -a "$dir/hashes"
}

# mm, quiet unless it fails.
quiet() {
    "$@" >"$dir/output" 2>&1 || {
        status=$?
        cat "$dir/output"
        echo "FAILED: exit $status: $*"
        exit 1
    }
}

# train NAME OPTIONS...
train() {
    name=$1
    shift
    quiet $launcher "$mm" train --data "$dir/data" --workers 2 --save-every 0 --out "$dir/$name" "$@"
    for file in metrics.jsonl model/model.safetensors model/optimizer.safetensors; do
        hash "$name/${file##*/}" <"$dir/$name/$file"
    done
}

make_text >"$dir/text.txt"
hash text.txt <"$dir/text.txt"
make_model
hash llama/model.safetensors <"$dir/llama/model.safetensors"
quiet $launcher "$mm" tokenizer train --vocab-size 300 --out "$dir/tokenizer.json" "$dir/text.txt"
hash tokenizer.json <"$dir/tokenizer.json"
quiet $launcher "$mm" pack --tokenizer "$dir/tokenizer.json" --split % --out "$dir/data" "$dir/text.txt"
zcat "$dir/data/tokens-00000.gz" | hash data/tokens

# The preset tiny with each policy; then our model: leaves of more than 256 rows and sequences longer than one tile of
# attention, and a clip that bites.
small='--steps 3 --ranks 2 --batch 4 --micro-batch 1 --seq-len 16 --dropout 0.2 --token-noise 0.1'
for policy in rank shared hashed sample; do train "policy-$policy" $small --seed-policy $policy; done
train documents $small --packing document --order sequential --schedule constant
train long --model "$dir/llama" --steps 4 --ranks 2 --batch 4 --micro-batch 2 --seq-len 150 --dropout 0.1 --lr 1e-2 \
    --clip 0.25 --weight-decay 0.1
train many-steps --model "$dir/llama" --steps 40 --ranks 1 --batch 4 --micro-batch 4 --seq-len 20 --dropout 0 --warmup 5
$launcher "$mm" eval --model "$dir/many-steps/model" --data "$dir/data" --seq-len 64 --json >"$dir/eval" 2>"$dir/output" ||
    { cat "$dir/output"; echo 'FAILED: eval'; exit 1; }
sed 's/, "bits_per_byte": [^}]*//' "$dir/eval" | hash many-steps/eval # the loss, without what follows from it
total=$(sha256sum <"$dir/hashes" | cut -d ' ' -f 1)
echo "$total  total"
echo "$total  total" >>"$dir/hashes"

[ "$golden" = - ] && exit 0
if ! cmp -s "$golden" "$dir/hashes"; then
    echo "FAILED: other bits than $golden (< expected, > found):"
    diff "$golden" "$dir/hashes" | grep '^[<>]' || true
    exit 1
fi
echo "every hash is that of $golden"
