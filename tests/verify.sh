#!/usr/bin/env bash
# mm verify: runs that repeat, at every level and from every checkpoint, and runs that do not. verify.sh MM
here=$(cd "${0%/*}" && pwd)
# shellcheck source=tests/cli_lib.sh
. "$here/cli_lib.sh"
# shellcheck source=tests/diff_lib.sh
. "$here/diff_lib.sh"
# LLVM 14's leak checker crashes now and then over the thread-local storage of OpenMP's threads.
export LSAN_OPTIONS=${LSAN_OPTIONS:+$LSAN_OPTIONS:}use_tls=0
make_data

for level in off step layer op; do
    train "$level" --trace "$level" --token-noise 0.1
    expect 0 verify "$level"
    has out "steps 1 to 4 repeat to the bit"
    case $level in
        off) has out "records of 0 of these 4 steps" ;;
        *) ! grep -q "records of" out || fail "trace $level: $(cat out)" ;;
    esac
done
expect 0 verify step --json
has out '{"repeats": true, "from": 1, "to": 4, "traced": 4, "first": null, "what": null}'
expect 0 verify step --from 2
has out "steps 3 to 4 repeat"
expect 0 verify step --from 3 --json
has out '"from": 3, "to": 4'
expect 0 verify step --from 3 --steps 1
expect 0 verify step --steps 1
has out "1 repeat"
trouble "ends at step 4|nothing after it" verify step --from 4
for workers in 1 3; do
    train workers --workers $workers --seed-policy hashed
    expect 0 verify workers
    rm -r workers
done
haswell='' && "$here/on_cpu.sh" 'avx2 fma' true && haswell=3
BLIS_ARCH_TYPE=$haswell MM_ISA=baseline train other
expect 0 verify other
train from --model step/model
expect 0 verify from
mkdir packed && make_text 60 9 >text.txt
run --data text.txt --steps 2 --seq-len 21 --batch 8 --micro-batch 1 --out packed/run
mv packed elsewhere
expect 0 verify elsewhere/run

# A run that was killed has a step in its trace that metrics.jsonl does not have yet.
copy step && sed -i '$d' B/metrics.jsonl && rm -r B/checkpoints/step-000004 && ln -sfn checkpoints/step-000002 B/model
expect 0 verify B

# Killed after its last line, it lacks a checkpoint.
copy step && rm -r B/checkpoints/step-000004 && ln -sfn checkpoints/step-000002 B/model
expect 0 verify B
has out "steps 1 to 4 repeat to the bit" "stopped before its last checkpoint: mm --resume B makes it."
expect 0 verify step
! grep -q "stopped" out || fail "a whole run: $(cat out)"

# The trace was off for the first two steps.
train late --trace off --schedule constant --steps 2
"$mm" --resume late --steps 4 --trace step >log 2>&1 || fail "late: $(tail -n 1 log)"
expect 0 verify late
has out "steps 1 to 4 repeat to the bit" "records of 2 of these 4 steps"
expect 0 verify late --json
has out '"to": 4, "traced": 2, "first"'

# --- a record that does not repeat, and what follows it is not run
copy op && record '/"step":3,"pass":"backward","leaf":6,.*"layer":1,"op":"gate_up_proj".*up_proj/s/"xxh128":".../"xxh128":"000/'
expect 1 verify B
has out "steps 1 to 2 repeat to the bit" \
    "step 3 does not repeat: the first difference is in the backward pass of layer 1's up_proj on rank 3 (leaf 6)"
expect 1 verify B --json
has out '"first": {"step": 3, "rank": 3, "leaf": 6, "layer": 1, "operation": "gate_up_proj", "pass": "backward", "tensor": "up_proj.weight"}'
expect 0 verify B --steps 2
copy step && record '/"step":1,.*"op":"adamw".*exp_avg_sq.model.norm/s/"xxh128":".../"xxh128":"000/'
expect 1 verify B
has out "step 1 does not repeat: the first difference is in the update of the second moment of model.norm"
copy step && sed -i '2s/"loss": 5/"loss": 4/' B/metrics.jsonl
expect 1 verify B
has out "1 repeat" "step 2 does not repeat: metrics.jsonl has loss 4."
make_text 60 9 >val.txt
run pack --tokenizer tokenizer.json --out val-data val.txt
train val --val-data val-data --val-every 2
expect 0 verify val
copy val && sed -i '4s/"val_loss": 5/"val_loss": 4/' B/metrics.jsonl
expect 0 verify B --steps 3
expect 1 verify B
has out "step 4 does not repeat: metrics.jsonl has val_loss 4."
copy val && sed -i '4s/, "val_loss": [^,}]*//' B/metrics.jsonl
expect 1 verify B
has out "B/metrics.jsonl: step 4 has no val_loss, expected one by --val-every 2 of run.json; it was changed"
damaged "B/metrics.jsonl: step 4 has no val_loss" diff val B --json
damaged "B/metrics.jsonl: step 4 has no val_loss" diff B B --json
copy off && sed -i '4s/}$/, "val_loss": 4.0}/' B/metrics.jsonl
expect 1 verify B
has out "the run has no validation"
copy off && sed -i '4s/"lr": 0/"lr": 1/' B/metrics.jsonl
expect 1 verify B
has out "metrics.jsonl has lr 1."

# --- damage
copy step && turn B/checkpoints/step-000002/model.safetensors 100000
damaged step-000002/model.safetensors verify B --json
damaged step-000002/model.safetensors verify B --from 2 --json
copy step && head -c 9000 step/trace.jsonl.gz >B/trace.jsonl.gz
damaged trace.jsonl.gz verify B --json
copy step && sed -i 's/"seed": 1337/"seed": 1338/' B/run.json
damaged run.json verify B --json

copy off && rm -r B/checkpoints/step-000004 && cp -r B/checkpoints/step-00000{2,4}
damaged step-000004 verify B --json
train lr --trace off --token-noise 0.1 --lr 0.001
copy off && rm -r B/checkpoints/step-000004 && cp -r lr/checkpoints/step-000004 B/checkpoints
damaged "is not the one that this machine makes by step 4" verify B --json
grep "^mm: " err && fail "said twice"
copy step && rm B/model && cp -r step/model/ B/model
damaged "B/model: found no link, as a copy that follows links leaves it; remove it" verify B --json
damaged "B/model: found no link" diff step B --json
rm -r B/model && expect 0 --resume B && expect 0 verify B

# --- cannot
mv data gone
trouble "data" verify step
trouble "nowhere" verify nowhere
finish
