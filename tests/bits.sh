#!/bin/sh
# The same bits on any number of workers and ranks, every GEMM kernel and every build of the kernels; other bits where
# dropout, noise, seed or policy say so. Usage: bits.sh PATH-OF-MM
set -eu
mm=$1
dir=$(mktemp -d "${TMPDIR:-/tmp}/mm-bits-XXXXXX")
trap 'rm -rf "$dir"' EXIT
passed=0

# A text of made-up words, the same on every machine.
awk 'BEGIN { x = 7; for (d = 0; d < 60; d++) { for (i = 0; i < 40; i++) { w = "";
    x = (x * 16807) % 2147483647; n = 1 + x % 4
    for (j = 0; j < n; j++) { x = (x * 16807) % 2147483647; w = w substr("lomirasetunkavedo", 1 + 2 * (x % 8), 2) }
    printf "%s ", w } print "\n%" } }' >"$dir/words.txt"
"$mm" tokenizer train --vocab-size 300 --out "$dir/tokenizer.json" "$dir/words.txt" 2>/dev/null >&2
"$mm" pack --tokenizer "$dir/tokenizer.json" --split % --out "$dir/data" "$dir/words.txt" 2>/dev/null >&2

# Trains under a name with more options and prints the hash of the model.
train() {
    name=$1
    shift
    "$mm" --data "$dir/data" --steps 3 --seq-len 21 --batch 8 --micro-batch 1 --out "$dir/$name" "$@" \
        >"$dir/$name.out" 2>&1 || { echo "FAILED: $name: $*"; cat "$dir/$name.out"; exit 1; }
    cksum <"$dir/$name/model/model.safetensors"
}

same() {
    test "$2" = "$3" || { echo "FAILED: $1: other bits"; exit 1; }
    passed=$((passed + 1))
}

differ() {
    test "$2" != "$3" || { echo "FAILED: $1: the same bits"; exit 1; }
    passed=$((passed + 1))
}

everything="--dropout 0.2 --token-noise 0.1 --ranks 4"
base=$(train base $everything --workers 1)
same 'a run repeats' "$base" "$(train again $everything --workers 1)"
for w in 2 3 5 8; do same "$w workers" "$base" "$(train "workers$w" $everything --workers $w)"; done
same 'threads only name ranks' "$base" "$(train threads $everything --threads 3)"
same 'no trace' "$base" "$(train untraced $everything --trace off)"
same 'full trace' "$base" "$(train traced $everything --trace op)"

plain=$(train plain --dropout 0 --ranks 1)
for r in 2 4 8; do same "$r ranks, dropout 0" "$plain" "$(train "ranks$r" --dropout 0 --ranks $r)"; done
sampled=$(train sampled --dropout 0.2 --token-noise 0.1 --seed-policy sample --ranks 1)
for r in 2 4 8; do
    same "$r ranks, policy sample" "$sampled" \
        "$(train "sampled$r" --dropout 0.2 --token-noise 0.1 --seed-policy sample --ranks $r)"
done
for isa in baseline x86-64-v3 x86-64-v4; do
    if bits=$(MM_ISA=$isa train "isa-$isa" $everything); then
        same "kernels built for $isa" "$base" "$bits"
    else
        grep -q 'this CPU runs at most' "$dir/isa-$isa.out" || { echo "FAILED: $isa: $bits"; exit 1; }
        echo "skipped: $(tail -n 1 "$dir/isa-$isa.out")"
    fi
done
for kernel in 0 3 6 7 8; do
    if bits=$(BLIS_ARCH_TYPE=$kernel train "blis$kernel" $everything); then
        same "BLIS_ARCH_TYPE=$kernel" "$base" "$bits"
    else
        grep -q 'BLIS_ARCH_TYPE' "$dir/blis$kernel.out" || { echo "FAILED: BLIS $kernel: $bits"; exit 1; }
        echo "skipped: BLIS_ARCH_TYPE=$kernel: $(tail -n 1 "$dir/blis$kernel.out")"
    fi
done
same 'BLIS_ARCH_TYPE empty counts as unset' "$base" "$(BLIS_ARCH_TYPE= train blis-empty $everything)"

differ 'dropout changes the bits' "$plain" "$(train drop --dropout 0.1 --ranks 1)"
differ 'token noise changes the bits' "$plain" "$(train noise --dropout 0 --token-noise 0.1 --ranks 1)"
differ 'the seed changes the bits' "$base" "$(train seed $everything --seed 1338)"
for policy in shared hashed sample; do
    differ "policy $policy changes the bits" "$base" "$(train "$policy" $everything --seed-policy $policy)"
done
differ 'the order changes the bits' "$base" "$(train order $everything --order sequential)"
echo "$passed comparisons hold"
