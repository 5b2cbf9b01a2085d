#!/usr/bin/env bash
# mm diff: the same runs, runs that part for every kind of reason, and damaged runs. diff.sh MM
here=$(cd "${0%/*}" && pwd)
# shellcheck source=tests/cli_lib.sh
. "$here/cli_lib.sh"
# shellcheck source=tests/diff_lib.sh
. "$here/diff_lib.sh"
make_data
train base

# --- the same
train again
same base again
train one --workers 1
same base one "workers"
for level in layer op off; do
    train "$level" --trace "$level"
    same base "$level" "trace"
done
same layer op
same op off
same off off
if "$here/on_cpu.sh" 'avx2 fma' true; then BLIS_ARCH_TYPE=3 train kernel && same base kernel; fi
MM_ISA=baseline train isa
same base isa "build.kernels"
train plain4 --dropout 0
train plain2 --dropout 0 --ranks 2
train plain8 --dropout 0 --ranks 8 --trace op
same plain4 plain2 "ranks"
same plain8 plain2
train sample4 --seed-policy sample
train sample1 --seed-policy sample --ranks 1
same sample4 sample1
cp -r data elsewhere
train moved --data elsewhere
same base moved "data"

# --- configuration
train dropout --dropout 0.3
parts configuration 1 "forward pass of the embedding_dropout on rank 0|--dropout 0.3 (run A: 0.2)|repeats" base dropout
parts configuration 1 "embedding_dropout on rank 0|--dropout 0.2 (run A: 0.3)" dropout op
parts configuration 1 "in the forward pass (its loss) on rank 0|--dropout 0.3" base dropout --no-replay
train ranks --ranks 2
parts configuration 1 "on rank 1 (leaf 2)|--ranks 2 (run A: 4)" base ranks
train lr --lr 0.001
parts configuration 1 "in the update of model.embed_tokens|--lr 0.001 (run A: 0.003)" base lr
parts configuration 1 "--lr 0.001" off lr
train betas --trace off --beta1 0.8
parts configuration 1 "in the update of the first moment of model.embed_tokens|--beta1 0.8 (run A: 0.9)" off betas
parts configuration 2 "in the update of|--beta1 0.8 (run A: 0.9)" off betas --no-replay # their first checkpoint
copy off && rm -r B/checkpoints/step-000002
parts configuration 3 "in the forward pass|--beta1 0.8" B betas --no-replay # where it shows in the loss
train order --order sequential
parts configuration 1 "in the inputs that were read|--order sequential (run A: shuffled)" base order
train noise --token-noise 0.1
parts configuration 1 "in the inputs|--token-noise 0.1 (run A: 0)" base noise
train micro --micro-batch 2
parts configuration 1 "--micro-batch 2 (run A: 1)" base micro
train eps --eps 1e-6
parts configuration 1 "in the update|--eps 1e-06" base eps
train schedule --schedule constant --warmup 2
parts configuration 1 "in the update|--warmup 2 (run A: 20)" base schedule
cp -r base/model/ model && sed -i 's/"rope_theta": 1000000.0/"rope_theta": 10000.0/' model/config.json
train from --model base/model
train theta --model model
parts configuration 1 "in the forward pass of layer 0's rope on rank 0 (leaf 0)|model.rope_theta 10000 (run A: 1000000)" from theta
grep '"key": "command"' out >line
has line '"may_change_bits": false' ' --model base/model' ' --model model' ' --out from' ' --out theta'

# --- seeds, weights, data
train shared --seed-policy shared
parts seed 1 "embedding_dropout on rank 1 (leaf 2)|dropout masks from another seed|--seed-policy shared (run A: rank)" base shared
train seed --seed 1338
parts weights 1 "model.embed_tokens.weight|--seed 1338 (run A: 1337)" base seed
parts weights 1 "model.embed_tokens.weight|--model" base from
sed '5,300s/^../zu/' words.txt >other.txt && run pack --tokenizer tokenizer.json --out other other.txt
train from-other --data other
parts data 1 "run B read other data: data.xxh128|they differ first in document 0, token" base from-other
cp -r data from-other/data # which is not what run.json names
parts data 1 "they differ first in document 0, token" base from-other
rm -r from-other/data
rm -r other
parts data 1 "the data of run B are gone" base from-other

# The one that is there is run again, and stands for both.
cp -r data other && copy base && train base-other --data other
rm -r other && record '/"step":3,.*"leaf":5.*"op":"loss"/s/"xxh128":".../"xxh128":"000/'
parts hardware 3 "run A's step 3 repeats, run B's step 3 does not repeat on this machine." base-other B
! grep -q "could not be run again" out || fail "one sentence says both: $(cat out)"

# --- length
train long --schedule constant --steps 4
train longer --schedule constant --steps 6
expect 1 diff long longer
has out "The runs are equal to step 4, where A ends; B goes on to step 6."
expect 1 diff --json longer long
has out '"same": false' '"first": null' "equal to step 4, where B ends"

# --- changed
copy base && record '/"step":3,.*"leaf":5.*"op":"loss"/s/"xxh128":".../"xxh128":"000/'
expect 1 diff base B
has out "part at step 3, in the forward pass (its loss) on rank 2 (leaf 5)" "this machine repeats run A but not run B"
expect 1 diff base B --json
has out '"kind": "hardware"' '"first": {"step": 3, "rank": 2, "leaf": 5, "layer": null, "operation": "loss", "pass": "forward"'
expect 1 diff base B --no-replay --json
has out '"kind": "hardware"'
copy base && record '/"step":4,.*"op":"merge".*norm.weight/s/"xxh128":".../"xxh128":"000/'
expect 1 diff base B --no-replay --json
has out '"kind": "reduction"' '"step": 4' '"operation": "merge"'

copy base && record '/"step":3,.*"op":"adamw".*"exp_avg.model.norm.weight"/s/"xxh128":".../"xxh128":"000/'
expect 1 diff base B --no-replay --json
has out '"kind": "optimizer"' '"step": 3' '"operation": "adamw"'

# The last update, behind which the schedule ends.
back() { rm -r B/checkpoints/step-000004 B/model && ln -s checkpoints/step-000002 B/model; }
train last --warmup 0
copy last && back && record '/"step":4,.*"op":"adamw".*"exp_avg.model.norm.weight"/s/"xxh128":".../"xxh128":"000/'
parts hardware 4 "the update differs in one tensor alone|this machine repeats run A but not run B" last B
parts hardware 4 "the update differs in one tensor alone|this machine repeats run B but not run A" B last

# Guesses that would take more than seconds are not made.
train many --ranks 1 --batch 256 --steps 1
copy many && record '/"op":"gradient".*embed_tokens/s/"xxh128":".../"xxh128":"000/'
"$mm" diff many B --json >out 2>err
status=$?
[ "$status" = 1 ] || fail "diff of 256 leaves: exit $status: $(cat err)"
has out '"kind": "hardware"' "its gradient does not, in 1 of 46 tensors" "this machine repeats run A but not run B"

# --- another program
copy base && reseal '/"build": {/,/}/s/"version": "[^"]*"/"version": "other"/'
same base B build.version
record '/"step":3,.*"leaf":5.*"op":"loss"/s/"xxh128":".../"xxh128":"000/'
parts code 3 "another program made run B: build.version other" base B
parts code 3 "build.version other" base B --no-replay
copy base && reseal '/"build": {/,/}/s/"version": "[^"]*"/"version": "other"/'
rm -rf other && mv B other && copy base && record '/"step":3,.*"leaf":5.*"op":"loss"/s/"xxh128":".../"xxh128":"000/'
parts hardware 3 "this machine repeats run A but not run B" other B # which this program made
rm -r other

# --- steps without records
train one-step --steps 1
train one-step-lr --steps 1 --lr 0.001
parts configuration 1 "in the update of model.embed_tokens|--lr 0.001" one-step one-step-lr
has out '{"step": 1, "loss": 0.0, "parameters_max_abs": 0.0'
parts configuration 1 "in the learning rate|--lr 0.001" off lr --no-replay
still=(--lr 1e-30 --schedule constant) # moves no weight, so the optimizer state alone can differ
train moments --trace off "${still[@]}"
train moments8 --trace off "${still[@]}" --beta1 0.8
parts configuration 2 "in the optimizer state of the checkpoint|--beta1 0.8" moments moments8 --no-replay
parts configuration 1 "in the update of the first moment|--beta1 0.8" moments moments8
# other_moments STEP: B's optimizer state of that step is another run's.
other_moments() { rm -r "B/checkpoints/step-00000$1" && cp -r "moments8/checkpoints/step-00000$1" B/checkpoints; }
for step in 2 4; do
    copy moments && other_moments $step
    parts hardware $step "in the optimizer state of the checkpoint|this machine repeats run A but not run B" moments B
    parts hardware $step "in the optimizer state of the checkpoint|this machine repeats run B but not run A" B moments
done
train half --steps 2 "${still[@]}"
expect 0 --resume half --steps 4 --trace off
copy half && same half B
other_moments 4
parts hardware 4 "in the optimizer state of the checkpoint|this machine repeats run A but not run B" half B

# --- validation
for level in step off; do
    train "val-$level" --val-data data --trace $level
    copy "val-$level" && same "val-$level" B
done
same val-step val-off
copy val-step && sed -i '4s/"val_loss": 5/"val_loss": 4/' B/metrics.jsonl
damaged B/metrics.jsonl diff val-step B --json
has out val-step/metrics.jsonl '"kind": "damage"'
copy val-off && sed -i '4s/"val_loss": 5/"val_loss": 4/' B/metrics.jsonl
parts unknown 4 "in the validation loss|this machine repeats both runs" val-off B
copy base && same val-step B # one of them was not validated

# --- stopped
# stopped TEXT: B is equal as far as it goes.
stopped() {
    for pair in "base B" "B base"; do
        # shellcheck disable=SC2086
        expect 1 diff $pair --json
        has out '"same": false' '"first": null' '"cause": null' "$1" "mm --resume B."
    done
}
copy base && back && stopped "The runs are equal to step 4, where"
has out "was stopped before its last checkpoint"
sed -i '$d' B/metrics.jsonl # its trace has step 4
stopped "The runs are equal to step 3, where" && has out "metrics end; it was stopped"
cp -r B stopped
expect 1 diff B stopped
has out "equal to step 3, where A's metrics end; it was stopped: mm --resume B, and B's metrics end"
expect 0 --resume B && same base B

# --- damage: never the same
size() { stat -c %s "$1"; }
while IFS= read -r file; do
    case $file in */lock | */timing.jsonl) continue ;; esac
    bytes=$(size "$file")
    for share in 3 5 8; do
        copy base && turn "B/${file#base/}" $((bytes * share / 10))
        damaged "$(basename "$file")" diff base B --json
    done
done < <(find base -type f)
for bytes in 0 100 5000 $(($(size base/trace.jsonl.gz) - 9)); do
    copy base && head -c "$bytes" base/trace.jsonl.gz >B/trace.jsonl.gz
    damaged trace.jsonl.gz diff base B --json
    damaged trace.jsonl.gz diff B base --json
done
# At the end of a step, and of its last record but one.
copy base && zcat base/trace.jsonl.gz | grep -v '"step":4,' | gzip >B/trace.jsonl.gz
damaged trace.jsonl.gz diff base B --json
copy base && zcat base/trace.jsonl.gz | sed '$d' | gzip >B/trace.jsonl.gz
damaged trace.jsonl.gz diff base B --json
copy base && rm B/trace.jsonl.gz
damaged trace.jsonl.gz diff base B --json
copy base && sed -i '$d' B/metrics.jsonl
damaged metrics.jsonl diff base B --json
copy base && back && sed -i '3,$d' B/metrics.jsonl
damaged "B/metrics.jsonl: ends before step 3, the trace goes on to step 4" diff base B --json
copy base && rm B/metrics.jsonl
damaged metrics.jsonl diff base B --json
copy base && rm -r B/checkpoints/step-000004
damaged B/model diff base B --json
copy base && rm -r B/checkpoints B/model
damaged step-000004 diff base B --json
copy base && rm -r B/checkpoints/step-000004 && cp -r B/checkpoints/step-00000{2,4}
damaged step-000004 diff base B --json
sed -i 's/"step": 2/"step": 4/; s/"position": 16/"position": 32/; s/"tokens": 336/"tokens": 672/' B/checkpoints/step-000004/state.json
damaged step-000004 diff base B --json
copy base && cp base/checkpoints/step-000002/model.safetensors B/checkpoints/step-000004
damaged step-000004/model.safetensors diff base B --json
copy base && sed -i 's/"seed": 1337/"seed": 1338/' B/run.json
damaged run.json diff base B --json
copy base && sed -i '3s/"loss": 5/"loss": 4/' B/metrics.jsonl
damaged metrics.jsonl diff base B --json
copy base && sed -i '3s/"grad_norm": /"grad_norm": 1/' B/metrics.jsonl
damaged B/metrics.jsonl diff base B --json
copy base && sed -i '3s/"tokens": 168/"tokens": 167/' B/metrics.jsonl
damaged B/metrics.jsonl diff base B --json
# The targets of eight leaves, each 2^61 more: 2^64 more together.
copy base && zcat base/trace.jsonl.gz | sed '/"step":3,.*"targets"/s/\[21\]/[2305843009213693973]/' | gzip >B/trace.jsonl.gz
damaged B/metrics.jsonl diff base B --json
copy betas && sed -i '1,2s/"tokens": 168/"tokens": 9223372036854775807/' B/metrics.jsonl
damaged B/metrics.jsonl diff betas B --json
copy base && sed -i '3s/"lr": 0/"lr": 1/' B/metrics.jsonl
damaged B/metrics.jsonl diff base B --json

# --- usage
trouble "nowhere" diff base nowhere
trouble "found too few names|RUN_A RUN_B" diff base
finish
