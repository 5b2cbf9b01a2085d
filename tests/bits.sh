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

# differ WHAT BITS NAME OPTIONS...: a run of that name and these options has others.
differ() {
    what=$1 bits=$2
    shift 2
    other=$(train "$@") || { echo "$other"; exit 1; }
    test "$bits" != "$other" || { echo "FAILED: $what: the same bits"; exit 1; }
    passed=$((passed + 1))
}

everything="--dropout 0.2 --token-noise 0.1 --ranks 4"
base=$(train base $everything --workers 1)
same 'a run repeats' "$base" "$(train again $everything --workers 1)"
for w in 2 3 5 8; do same "$w workers" "$base" "$(train "workers$w" $everything --workers $w)"; done
# One leaf of all rows, which every worker beyond the first shares; and three leaves, of which two are shared.
shared="--dropout 0.2 --trace op"
one=$(train one $shared --ranks 1 --micro-batch 8 --workers 1)
three=$(train three $shared --ranks 3 --batch 12 --micro-batch 4 --workers 1)
for w in 2 3 7; do
    same "a leaf of $w workers" "$one" "$(train "one$w" $shared --ranks 1 --micro-batch 8 --workers $w)"
    same "3 leaves of $w workers" "$three" \
        "$(train "three$w" $shared --ranks 3 --batch 12 --micro-batch 4 --workers $w)"
    for name in one three; do
        same "the trace of $name leaves, $w workers" "$(gzip -dc "$dir/$name/trace.jsonl.gz" | cksum)" \
            "$(gzip -dc "$dir/$name$w/trace.jsonl.gz" | cksum)"
    done
done
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
# on FLAGS WHAT: has this CPU, by the kernel's words, all of the flags? Says what is skipped where it has not.
on() {
    lacks=$("$(dirname "$0")/on_cpu.sh" "$1" true) && return 0
    test $? = 77 || { echo "FAILED: on_cpu.sh for $2"; exit 1; }
    echo "$lacks: $2"
    return 1
}

# ran NAME MEMBER VALUE: run.json says that the wished build or kernel did the work, not another in its place.
ran() {
    grep -qF "\"$2\": \"$3\"" "$dir/$1/run.json" || {
        echo "FAILED: $1: expected \"$2\": \"$3\" in run.json, found $(grep -F "\"$2\":" "$dir/$1/run.json")"
        exit 1
    }
}

avx2='avx2 fma bmi1 bmi2'
avx512="$avx2 avx512f avx512bw avx512cd avx512dq avx512vl"
while IFS=: read -r isa flags; do
    on "$flags" "kernels built for $isa" || continue
    bits=$(MM_ISA=$isa train "isa-$isa" $everything) || { echo "$bits"; exit 1; }
    ran "isa-$isa" kernels "$isa"
    same "kernels built for $isa" "$base" "$bits"
done <<END
baseline:
x86-64-v3:$avx2
x86-64-v4:$avx512
END
while IFS=: read -r number kernel flags; do
    on "$flags" "BLIS's kernel $kernel" || continue
    bits=$(BLIS_ARCH_TYPE=$number train "blis-$kernel" $everything) || { echo "$bits"; exit 1; }
    ran "blis-$kernel" kernel "$kernel"
    same "BLIS's kernel $kernel" "$base" "$bits"
done <<END
0:skx:$avx512
3:haswell:$avx2
6:zen3:$avx2
7:zen2:$avx2
8:zen:$avx2
END
same 'BLIS_ARCH_TYPE empty counts as unset' "$base" "$(BLIS_ARCH_TYPE= train blis-empty $everything)"

differ 'dropout changes the bits' "$plain" drop --dropout 0.1 --ranks 1
differ 'token noise changes the bits' "$plain" noise --dropout 0 --token-noise 0.1 --ranks 1
differ 'the seed changes the bits' "$base" seed $everything --seed 1338
for policy in shared hashed sample; do
    differ "policy $policy changes the bits" "$base" "$policy" $everything --seed-policy $policy
done
differ 'the order changes the bits' "$base" order $everything --order sequential
echo "$passed comparisons hold"
