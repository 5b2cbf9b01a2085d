#!/usr/bin/env bash
# Instructions that stages take, counted by callgrind: a rise of more than 20% over the committed counts is a failure.
# Nothing depends on the machine or its load: one worker, the kernels of every x86-64, BLIS's haswell kernel (and once
# mm's own products), data made here. instructions.sh MM COUNTS; with --print instead of COUNTS: prints what is to be
# committed.
# shellcheck source=tests/cli_lib.sh
. "${0%/*}/cli_lib.sh"
counts=$2
case $counts in --print | /*) ;; *) counts=$OLDPWD/$counts ;; esac

skip() {
    echo "skipped: $*"
    exit 77
}
command -v valgrind >/dev/null || skip "valgrind is not installed"
for flag in avx2 fma; do grep -qw "$flag" /proc/cpuinfo || skip "this CPU lacks $flag"; done

# Each stage: its name, the program that was counted, and functions whose calls are its own.
stages='forward train block.c:layer_forward
backward train block.c:layer_backward
gemm train gemm.c:mm_gemm_run
gemm_own train_own gemm.c:mm_gemm_run
embedding train embedding.c:forward embedding.c:backward
norms train rmsnorm.c:forward rmsnorm.c:backward
rope train rope.c:forward rope.c:backward
attention_forward train attention.c:attention_forward
attention_backward train attention.c:attention_backward
swiglu_forward train swiglu.c:forward
swiglu_backward train swiglu.c:backward
dropout train dropout.c:apply
cross_entropy train cross_entropy.c:backward
tree_merge train reduce.c:mm_tree_add
gradient_norm train adamw.c:sum_squares
adamw train adamw.c:adamw
hashing train hash.c:mm_hasher_add hash.c:mm_hash_bytes
trace train trace.c:mm_trace_end_step
batch train batch.c:mm_batch_fill
initial_weights train parameters.c:mm_parameter_initial
checkpoint train save.c:mm_trainer_save
tokenizer_encode pack tokenizer_encode.c:mm_encode
pack pack pack.c:mm_pack'

export MM_ISA=baseline BLIS_ARCH_TYPE=3
unset MALLOC_PERTURB_ # meson's: it would count what malloc writes

counted() {
    local name=$1
    shift
    valgrind --quiet --tool=callgrind --callgrind-out-file="$name.calls" "$mm" "$@" >"$name.log" 2>&1 ||
        { echo "FAILED: mm $*: $(tail -n 3 "$name.log")" && exit 1; }
}

# What calls of each function took, with all below them, of callgrind's file: lines "COUNT FILE:FUNCTION". Its names are
# given once, as "(7) name", and then as "(7)"; a function has a number of its own in every source file. What the
# compiler appends to a name (.part.0) is cut off.
inclusive() {
    awk '
        function number(   id) {
            sub(/^[a-z]*=/, ""); id = $0; sub(/\).*/, ")", id)
            return id
        }
        function note(names, id) { if (length($0) > length(id)) names[id] = substr($0, length(id) + 2) }
        /^fl=/ { here = number(); note(files, here); next }
        /^(fi|fe|cfi|cfl)=/ { id = number(); note(files, id); next }
        /^fn=/ { id = number(); note(functions, id); file[id] = here; next }
        /^cfn=/ { callee = number(); note(functions, callee); next }
        /^calls=/ { getline; cost[callee] += $2; next }
        END {
            for (id in cost) {
                path = files[file[id]]; name = functions[id]
                sub(/.*\//, "", path); sub(/\..*/, "", name)
                print cost[id], path ":" name
            }
        }' "$1.calls"
}

count_stages() {
    local name program terms
    while read -r name program terms; do
        awk -v name="$name" -v terms="$terms" '
            BEGIN { n = split(terms, term, " ") }
            { for (i = 1; i <= n; i++) if ($2 == term[i]) { sum += $1; seen[i] = 1 } }
            END {
                for (i = 1; i <= n; i++) if (!seen[i]) { print name, "no calls of " term[i]; exit }
                printf "%s %d\n", name, sum
            }' "$program.inclusive"
    done <<<"$stages"
}

make_text 600 7 >text.txt
"$mm" tokenizer train --vocab-size 300 --out tokenizer.json text.txt >log 2>&1 || { cat log && exit 1; }
counted pack pack --tokenizer tokenizer.json --out data --workers 1 text.txt
settings='--preset tiny --seq-len 32 --micro-batch 2 --batch 4 --ranks 2 --workers 1 --steps 1 --val-every 0 --save-every 0'
# shellcheck disable=SC2086
counted train train --data data $settings --out run
# What valgrind shows of any CPU has AVX2 and no AVX-512, so that mm multiplies itself.
# shellcheck disable=SC2086
MM_ISA=x86-64-v3 BLIS_ARCH_TYPE='' counted train_own train --data data $settings --out own
for program in train train_own pack; do inclusive $program >$program.inclusive; done
count_stages >now

if [ "$counts" = --print ]; then
    cat now
    exit 0
fi
while read -r name number rest; do
    before=$(awk -v name="$name" '$1 == name { print $2 }' "$counts")
    if [ "$number" = no ]; then
        fail "$name: no $rest: was it renamed, or is the program built without -Ddebug=true?"
        continue
    elif [ -z "$before" ]; then
        fail "$name: $number instructions, and no count of it in $counts"
        continue
    elif [ $((number * 5)) -gt $((before * 6)) ]; then
        fail "$name: $number instructions, $before committed: more than 20% above"
    fi
    printf '%-20s %12s  committed %12s  %+6.1f%%\n' "$name" "$number" "$before" \
        "$(awk -v a="$number" -v b="$before" 'BEGIN { print 100 * (a / b - 1) }')"
done <now
[ "$failed" = 0 ] || echo "if it is meant: tests/instructions.sh MM --print >tests/instructions.txt"
finish
