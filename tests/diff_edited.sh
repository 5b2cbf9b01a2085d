#!/usr/bin/env bash
# mm diff and mm verify of traces whose records were renamed, moved or given away, with sums that are right, and of a
# run that is still being trained. diff_edited.sh MM
here=$(cd "${0%/*}" && pwd)
# shellcheck source=tests/cli_lib.sh
. "$here/cli_lib.sh"
# shellcheck source=tests/diff_lib.sh
. "$here/diff_lib.sh"
make_data
train base
train layer --trace layer

# edited RUN TEXT SED: an edit of the trace is damage to diff, either way round, and to verify, which say TEXT.
edited() {
    local run=$1 text=$2
    copy "$run"
    zcat "$run/trace.jsonl.gz" | sed "$3" >lines
    zcat "$run/trace.jsonl.gz" | cmp -s - lines && fail "nothing is edited by $3"
    { grep '"format"' lines | gzip; for step in 1 2 3 4; do grep "\"step\":$step," lines | gzip; done; } >B/trace.jsonl.gz
    damaged "$text" diff "$run" B --json --no-replay
    damaged "$text" diff B "$run" --json --no-replay
    damaged "$text" verify B --json
}
edited base 'B/trace.jsonl.gz line ' '/"step":3,.*"op":"merge"/{s/layers.0/layers.9/;s/"xxh128":".../"xxh128":"000/}'
edited base 'B/trace.jsonl.gz line 18: ' '18s/"rank":2/"rank":1/'
edited base 'B/trace.jsonl.gz line 21: ' '21s/"leaf":4/"leaf":5/'
edited base 'B/trace.jsonl.gz line 22: ' '22s/"positions"/"inputs"/'
edited base 'B/trace.jsonl.gz line ' '/"step":2,.*"op":"gradient"/s/"node":\[1,3\]/"node":[0,3]/'
edited base 'B/trace.jsonl.gz line ' '/"step":2,.*"op":"gradient"/s/"rank":3/"rank":2/'
edited base 'B/trace.jsonl.gz line ' '/"step":4,.*"op":"adamw"/s/exp_avg_sq\.model\.norm/exp_avg.model.norm/'
edited base 'B/trace.jsonl.gz line ' '/"step":2,.*"op":"norm"/{p;s/"op":"norm"/"op":"mean"/}'
edited layer 'B/trace.jsonl.gz line ' '/"step":2,.*"op":"layer"/s/"rank":1/"rank":0/'
edited layer 'B/trace.jsonl.gz' '/"step":2,.*"leaf":3,.*"layer":1,/s/"op":"layer"/"op":"lawyer"/'
# A record of the passes that has no partner is a difference.
copy layer && zcat layer/trace.jsonl.gz | sed '/"step":2,.*"leaf":3,.*"op":"layer"/s/"layer":1,/"layer":8,/' | gzip >B/trace.jsonl.gz
expect 1 diff layer B --no-replay --json
has out '"same": false' '"first": {"step": 2, "rank": 1, "leaf": 3, "layer": 1, "operation": "layer"'
expect 1 diff B layer --no-replay --json

# So is one that was deleted, whichever run lacks it; nothing is guessed from what is left.
train op --trace op --steps 1
# lacks LEAF SED: B lacks the embedding's record of that leaf, and has an edit elsewhere; diff names the run without it.
lacks() {
    local line
    copy op
    line=$(zcat op/trace.jsonl.gz | grep -n -m 1 "\"leaf\":$1,.*\"op\":\"embedding\"" | cut -d: -f1)
    zcat op/trace.jsonl.gz | sed "${line}d;$2" | gzip >B/trace.jsonl.gz
    expect 1 diff op B --json
    has out '"same": false' '"kind": "hardware"' "$3" "this machine repeats run A but not run B"
    expect 1 diff B op --json
    has out '"same": false' '"kind": "hardware"' "this machine repeats run B but not run A"
    expect 1 verify B --json
    has out '"repeats": false'
}
other='s/"xxh128":".../"xxh128":"000/'
lacks 3 '' "run B's trace has no record of it"
has out '"leaf": 3, "layer": null, "operation": "embedding", "pass": "forward"'
expect 1 verify B --json
has out "of which the trace has no record"
expect 1 diff B op --json
has out "run A's trace has no record of it" '"leaf": 3, "layer": null, "operation": "embedding", "pass": "forward"'
lacks 0 "/\"leaf\":6,.*\"layer\":1,\"op\":\"gate_up_proj\".*up_proj/$other" "run B's trace has no record of it"
lacks 5 "/\"leaf\":2,.*\"op\":\"embedding_dropout\"/$other" "its inputs agree, its output does not"

# --- beyond the last step of run.json
train off --trace off --warmup 0
copy off && sed -n '4s/"step": 4/"step": 5/p' off/metrics.jsonl >>B/metrics.jsonl
beyond="B/metrics.jsonl: goes on to step 5, expected the 4 steps of run.json"
damaged "$beyond" verify B --json
damaged "$beyond" diff off B --json
rm -rf A && cp -r B A && sed -i '5s/"loss": ./"loss": 9/' B/metrics.jsonl
damaged "A/metrics.jsonl: goes on to step 5" diff A B --json
train short --warmup 0
copy short && { zcat short/trace.jsonl.gz; zcat short/trace.jsonl.gz | sed -n 's/"step":4/"step":5/p'; } | gzip >B/trace.jsonl.gz
damaged "B/trace.jsonl.gz: goes on to step 5, expected the 4 steps of run.json" verify B --json
damaged "B/trace.jsonl.gz: goes on to step 5" diff B short --json
copy off && cp -r B/checkpoints/step-00000{4,6}
sed -i 's/"step": 4/"step": 6/; s/"position": 32/"position": 48/' B/checkpoints/step-000006/state.json
damaged "B/checkpoints/step-000006: goes beyond the 4 steps of run.json" verify B --from 6 --json

# --- a zero byte
copy base && zcat base/trace.jsonl.gz | sed '40s/model/mo\x00el/' | gzip >B/trace.jsonl.gz
trouble "B/trace.jsonl.gz line 40|zero byte" diff base B
trouble "B/trace.jsonl.gz line 40|zero byte" verify B

# --- a run that is being trained: stopped within a step, it holds its lock
"$mm" --data data --steps 100000 --seq-len 21 --batch 8 --micro-batch 1 --ranks 4 --save-every 2 --keep 1 --out live \
    >log 2>&1 &
trainer=$!
wait_until test -e live/model
kill -STOP $trainer
trouble "live: is being trained; compare it when it ends" diff base live
trouble "live: is being trained; compare it when it ends" diff live base
trouble "live: is being trained; compare it when it ends" verify live
kill -KILL $trainer
wait $trainer 2>/dev/null
expect 1 diff base live --no-replay
! grep -q "being trained" out err || fail "a killed run is taken for one that is trained"
# Others who compare, and whatever holds a shared lock, are no trainer; nor must the lock be there, or be writable.
exec 9<base/lock && flock -s 9
expect 0 diff base base
exec 9<&-
chmod 444 base/lock && chmod 555 base
expect 0 verify base --steps 1
chmod 755 base && rm base/lock
expect 0 diff base base
finish
