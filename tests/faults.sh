#!/usr/bin/env bash
# Faults planted in a run, each of which mm diff and mm verify must name: step, place and cause.
# faults.sh MM MM-FAULTY PICK [SEED]: steps, ranks, leaves, layers, tensors and bits are drawn from the seed.
here=$(cd "${0%/*}" && pwd)
faulty=$(realpath "$2") pick=$(realpath "$3")
# shellcheck source=tests/cli_lib.sh
. "$here/cli_lib.sh"
# shellcheck source=tests/kill_lib.sh
. "$here/kill_lib.sh"
seed=${4:-$((EPOCHSECONDS % 100000))}
echo "seed $seed"

# 8 leaves on 4 ranks; checkpoints after steps 2, 4, 6; down_proj has 448 columns, more than a chunk of GEMM.
ranks=4 each=2 layers=4
command=(--data data --seq-len 16 --batch 8 --micro-batch 1 --ranks $ranks --workers 2 --dropout 0.2 --steps 6
    --save-every 2 --keep 0 --clip 0.5)
make_data

# faulty FAULT ARGUMENT...: mm-faulty, under mm's name.
faulty() {
    { (
        export MM_FAULT=$1
        shift
        exec -a "$mm" "$faulty" "$@" >out 2>err </dev/null
    ); } 2>/dev/null
    status=$?
}

# A number of a list, or of all below N, into the variable.
draw_from() {
    local -n list=$2
    draw ${#list[@]}
    printf -v "$1" %s "${list[$drawn]}"
}
draw_below() {
    draw "$2"
    printf -v "$1" %s "$drawn"
}

# Where the next fault goes: any step behind the first checkpoint that is not the last, so that something follows.
draw_place() {
    draw_below step 3 && step=$((step + 3))
    draw_below rank $ranks
    draw_below leaf $each
    draw_below layer $layers
    draw_from tensor dense
    draw_below element 32
    draw_below bit 5 && bit=$((bit + 18)) # of the mantissa, so that the number stays finite
    other=$(((rank + 1 + element % (ranks - 1)) % ranks))
    name=${names[$tensor]}
}

# expect_place FILE PREFIX KEY=VALUE...: VALUE may be a pattern.
expect_place() {
    local file=$1 prefix=$2 pair value
    shift 2
    for pair; do
        value=$("$pick" "$file" "$prefix.${pair%%=*}")
        # shellcheck disable=SC2053
        [[ $value = ${pair#*=} ]] ||
            fail "$planted: $file: $prefix.${pair%%=*} is $value, expected ${pair#*=}: $("$pick" "$file" sentence what | head -n 1)"
    done
}

# named KIND WORDS KEY=VALUE...: diff of the clean run A and the faulty run B, and verify of B. WORDS is a regular
# expression of what the cause says. A run that this machine does not repeat had a fault of hardware.
named() {
    local kind=$1 words=$2 what
    shift 2
    expect 1 diff A B --json && mv out diff.json
    expect_place diff.json first "$@"
    expect_place diff.json cause "kind=$kind"
    what=$("$pick" diff.json cause.what)
    [[ $what =~ $words ]] || fail "$planted: the cause is \"$what\", expected words as \"$words\""
    expect 1 verify B --json && mv out verify.json
    expect_place verify.json first "$@"
    grep -q '"may_change_bits": true' diff.json && fail "$planted: the configurations differ"
    zcat B/trace.jsonl.gz | cat - B/run.json | grep -q -e faulty -e MM_FAULT -e "$planted" && fail "$planted: the run's files name it"
    count=$((count + 1))
    echo "$planted: $("$pick" diff.json sentence)"
}

# plant FAULT [OPTION...]: a whole run B with the fault; at level op A is the clean run of that level.
plant() {
    planted=$1
    shift
    rm -rf A B
    case "$*" in *op*) ln -s clean-op A ;; *) ln -s clean A ;; esac
    faulty "$planted" "${command[@]}" --out B "$@"
    [ "$status" = 0 ] || fail "$planted: exit $status: $(tail -n 1 err)"
}

# plant_resume FAULT: a clean run, killed in step 5, that goes on with the fault from the checkpoint of step 4.
plant_resume() {
    planted=$1
    rm -rf A B
    ln -s clean A
    faulty kill-step:step=5 "${command[@]}" --out B
    [ "$status" = 137 ] || fail "$planted: the run was not killed"
    faulty "$planted" --resume B
    [ "$status" = 0 ] || fail "$planted: exit $status: $(tail -n 1 err)"
}

count=0
expect 0 "${command[@]}" --out clean
expect 0 "${command[@]}" --out clean-op --trace op
mapfile -t names < <("$pick" clean/run.json $(seq -f 'initial.%.0f.tensor' 0 45) | grep -v null)
# Tensors with a gradient in every number.
dense=()
for i in "${!names[@]}"; do [[ ${names[$i]} == *norm* || ${names[$i]} == *down_proj* || ${names[$i]} == *v_proj* ]] && dense+=("$i"); done

# Without a fault the test build does what mm does.
planted='' && faulty none "${command[@]}" --out none
same_end clean none "mm-faulty without a fault"
expect 0 diff clean none

# --- streams
draw_place && plant "stream:step=$step,rank=$rank,leaf=-1,other=$other"
named seed "rank $rank of run B drew rank $other.s dropout masks" \
    step=$step rank=$rank leaf=$((rank * each)) operation=loss
draw_place && plant "stream:step=$step,rank=$rank,leaf=$leaf,other=$other" --trace op
named seed "rank $rank of run B drew rank $other.s dropout masks" \
    step=$step rank=$rank leaf=$((rank * each + leaf)) layer=null operation=embedding_dropout
draw_place && plant "shared-stream:step=$step"
named seed "every rank of run B drew rank 0.s dropout masks" \
    step=$step rank=1 leaf=$each operation=loss
draw_place && plant "mask-counter:step=$step,rank=$rank,leaf=$leaf" --trace op
named seed "leaf $((rank * each + leaf)) of run B drew .* by the counter of" \
    step=$step rank=$rank leaf=$((rank * each + leaf)) layer=null operation=embedding_dropout

# --- leaves and the tree
draw_place && plant "tokens-swapped:step=$step,rank=$rank,leaf=$leaf,other=$other,leaves_in_rank=$each"
first=$((rank < other ? rank : other))
named data "leaf $((first * each + leaf)) of run B holds the samples of leaf" \
    step=$step rank=$first leaf=$((first * each + leaf)) operation=batch tensor='@(positions|inputs)'
# Both with a worker, and so a buffer, for each leaf: a leaf that comes in another's place may wait longer than a tree that
# gets its leaves in order has buffers for.
draw_place && plant "leaves-swapped:step=$step,rank=$rank,leaf=$leaf,other=$other,leaves_in_rank=$each" --workers 8
first=$((rank < other ? rank : other))
named hardware "rank $first of run B added leaf .* in place of leaf $((first * each + leaf))" \
    step=$step rank=$first leaf=null pass=backward operation=gradient
draw_place && a=$((rank % 2)) b=$((2 + element % 2)) && plant "tree-order:step=$step,rank=$a,other=$b,leaves_in_rank=$each" \
    --workers 8
named hardware "run B added its ranks. gradients in another order" \
    step=$step rank=null leaf=null pass=backward operation=merge
draw_place && plant "stale-buffer:step=$step,rank=$rank,leaf=$leaf,leaves_in_rank=$each"
named hardware "buffer that was not cleared|inputs agree, its output does not" \
    step=$step rank=$rank leaf='*' pass=backward operation=gradient
draw_place && plant "stale-buffer:step=$step,rank=$rank,leaf=$leaf,leaves_in_rank=$each" --trace op
named hardware "buffer that was not cleared|inputs agree, its output does not" \
    step=$step rank=$rank leaf=$((rank * each + leaf)) pass=backward operation=lm_head

# --- bits
draw_place && plant "bit-weight:step=$step,tensor=$tensor,element=$element,bit=$bit"
named hardware "repeats run A but not run B" \
    step=$step rank=0 leaf=0 operation=loss
draw_place && plant "bit-weight:step=$step,tensor=$tensor,element=$element,bit=$bit" --trace op
at=$(cut -d. -f3 <<<"$name")
[[ $at == [0-9] ]] || at=null
named hardware "repeats run A but not run B" \
    step=$step rank=0 leaf=0 layer=$at pass=forward
draw_place && plant "bit-gradient:step=$step,rank=$rank,leaf=$leaf,leaves_in_rank=$each,tensor=$tensor,element=$element,bit=$bit"
named hardware "a changed number|was turned over" \
    step=$step rank=$rank pass=backward operation=gradient tensor=$name
draw_place && plant "bit-moment:step=$step,tensor=$tensor,element=$element,bit=$bit,other=$((element % 2))"
named hardware "a changed number|was turned over" \
    step=$step rank=null operation=adamw tensor="*$name"
draw_place && plant "bit-token:step=$step,rank=$rank,leaf=$leaf,leaves_in_rank=$each,element=$((1 + element % 15))"
named data "other tokens at the same place" \
    step=$step rank=$rank leaf=$((rank * each + leaf)) operation=batch tensor='@(inputs|targets)'

# --- arithmetic
draw_place && plant "eps:step=$step,rank=$rank,leaf=$leaf,layer=$layer" --trace op
named hardware "repeats run A but not run B" \
    step=$step rank=$rank leaf=$((rank * each + leaf)) layer=$layer pass=forward \
    operation=post_attention_layernorm tensor=norm
draw_place && plant "eps:step=$step,rank=$rank,leaf=$leaf,layer=$layer"
named hardware "repeats run A but not run B" \
    step=$step rank=$rank leaf=$((rank * each + leaf)) operation=loss
draw_place && plant "rope:step=$step,rank=$rank,leaf=$leaf" --trace op
named hardware "inputs agree, its output does not" \
    step=$step rank=$rank leaf=$((rank * each + leaf)) layer=0 pass=forward operation=rope
draw_place && plant "chunk:step=$step,rank=$rank,leaf=$leaf" --trace op
named hardware "inputs agree, its output does not" \
    step=$step rank=$rank leaf=$((rank * each + leaf)) layer=0 pass=forward operation=down_proj

# A number that is not finite, in one leaf: the run stops, and goes on from its last checkpoint where the fault is gone.
draw_place && planted="nan:step=$step,rank=$rank,leaf=$leaf,layer=$layer"
rm -rf B && faulty "$planted" "${command[@]}" --out B
[ "$status" = 3 ] || fail "$planted: exit $status: $(tail -n 1 err)"
has err "step $step, rank $rank, leaf $((rank * each + leaf)), layer $layer, forward pass of post_attention_layernorm: norm[0, 0] is nan"
[ "$(wc -l <B/metrics.jsonl)" = "$step" ] || fail "$planted: metrics.jsonl ends at $(tail -n 1 B/metrics.jsonl)"
rm -rf A && ln -s clean A
named hardware "repeats run A but not run B" step=$step rank=$rank leaf=$((rank * each + leaf)) operation=loss
expect 0 --resume B
same_end clean B "a run that had stopped at $planted"

# --- the update
draw_place && plant "no-clip:step=$step"
named hardware "did not clip the gradient" \
    step=$step rank=null leaf=null operation=adamw
draw_place && plant "schedule:step=$step"
named hardware "took the learning rate of the step before" \
    step=$step rank=null leaf=null operation='@(adamw|metrics)'

# --- going on
plant_resume state-lost
named hardware "had lost its optimizer state" \
    step=5 operation=adamw
plant_resume resume-step
named hardware "counted its updates one too few" \
    step=5 operation=adamw
plant_resume resume-position:other=8
named data "holds samples that stand 8 places later" \
    step=5 rank=0 leaf=0 operation=batch tensor=positions

# --- files that changed: damage, or refused, with the file named; never the same
planted=
copy() {
    rm -rf A B
    ln -s clean A
    cp -r clean B
}
# The same, counted.
damage() {
    damaged "$@"
    count=$((count + 1))
}
far=$((1000 + seed % 5000))
copy && turn B/checkpoints/step-000004/model.safetensors $((far * 40))
damage step-000004/model.safetensors diff A B --json
damage step-000004/model.safetensors verify B --from 4 --json
copy && rm -rf B/checkpoints/step-000006 && turn B/checkpoints/step-000004/optimizer.safetensors $((far * 80))
damage step-000004/optimizer.safetensors --resume B
damage step-000004/optimizer.safetensors diff A B --json

# An old checkpoint under a new name, as it is and with its state.json made to fit.
copy && rm -rf B/checkpoints/step-00000[46] && cp -r B/checkpoints/step-00000{2,4}
damage step-000004 --resume B
damage step-000004 diff A B --json
sed -i 's/"step": 2/"step": 4/; s/"position": 16/"position": 32/' B/checkpoints/step-000004/state.json
damage step-000004 --resume B
damage step-000004 diff A B --json

copy && head -c $((far * 2)) clean/trace.jsonl.gz >B/trace.jsonl.gz
damage trace.jsonl.gz diff A B --json
damage trace.jsonl.gz verify B --json
# A turned bit of the packed lines may leave the lines as they are: then the next too.
copy && at=$((far * 2))
while cmp -s <(zcat clean/trace.jsonl.gz) <(zcat B/trace.jsonl.gz 2>err); do turn B/trace.jsonl.gz $((at++)); done
damage trace.jsonl.gz diff A B --json
copy && sed -i 's/"seed": 1337/"seed": 1338/' B/run.json
damage run.json diff A B --json
copy && sed -i '4s/"loss": 5/"loss": 4/' B/metrics.jsonl
damage metrics.jsonl diff A B --json
damage metrics.jsonl verify B --json

# A bit of a shard: training, verifying and running again are refused.
rm -rf B && cp -r data other-data
expect 0 "${command[@]}" --data other-data --out B
turn other-data/tokens-00000.gz $((500 + seed % 1000))
damage tokens-00000.gz verify B --json
damage tokens-00000.gz "${command[@]}" --data other-data --out C
echo "$count answers"
finish
