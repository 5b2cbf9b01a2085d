#!/usr/bin/env bash
# A run killed at a random moment goes on and ends in the same files as one left alone, on any number of workers. Two
# processes on one run, and options that would change the run, are refused.
# kill.sh MM [COUNT [SEED]]: COUNT kills that hit, spread over the run, at least 80 of 100 after the first checkpoint.
here=$(cd "${0%/*}" && pwd)
# shellcheck source=tests/cli_lib.sh
. "$here/cli_lib.sh"
# shellcheck source=tests/kill_lib.sh
. "$here/kill_lib.sh"
count=${2:-25}
seed=${3:-$((EPOCHSECONDS % 100000))}
echo "seed $seed"
exec {never}<> <(:) # reading from it waits

steps=14
make_data
command=(--data data --seq-len 16 --batch 4 --micro-batch 1 --ranks 4 --workers 2 --dropout 0.2 --token-noise 0.1
    --schedule constant --steps $steps --val-data data --val-every 7 --save-every 2 --keep 2)

# nap MICROSECONDS
nap() {
    local text
    printf -v text '%d.%06d' $(($1 / 1000000)) $(($1 % 1000000))
    read -r -t "$text" -u "$never"
}

now() { microseconds=${EPOCHREALTIME//[!0-9]/}; } # whatever the locale's point

# start COMMAND...: in the background, as $pid.
start() {
    "$mm" "$@" >/dev/null 2>&1 </dev/null &
    pid=$!
}

rows() {
    local lines=()
    [ -e "$1/metrics.jsonl" ] && mapfile -t lines <"$1/metrics.jsonl"
    row_count=${#lines[@]}
}

# wait_rows RUN COUNT: until the run has written so many steps.
wait_rows() {
    local left=20000
    for (( ; left > 0; left--)); do
        rows "$1"
        [ "$row_count" -ge "$2" ] && return
        nap 3000
    done
    fail "$1: no step $2 after a minute"
}

# kill_now: $killed says whether it was still running.
kill_now() {
    kill -9 "$pid"
    { wait "$pid"; } 2>/dev/null
    killed=$(($? == 137))
}

# The run left alone, and its pace.
now && began=$microseconds
start "${command[@]}" --out alone
wait_rows alone 1
now && first_row=$((microseconds - began))
wait "$pid" || fail "the run left alone failed"
now && pace=$(((microseconds - began - first_row) / (steps - 1)))

has_checkpoint() {
    local names=("$1"/checkpoints/step-*)
    [ -e "${names[0]}" ]
}

# kill_at RUN STEP late|early: somewhere after the row of that step was written; at step 0 before the first.
kill_at() {
    if [ "$2" = 0 ]; then
        draw "$first_row"
    else
        wait_rows "$1" "$2"
        draw "$pace"
    fi
    # A kill that counts as late is not one within the first checkpoint's save.
    while [ "$3" = late ] && ! has_checkpoint "$1"; do nap 1000; done
    nap "$drawn"
    kill_now
}

late=0
declare -A at_step
kill_one() {
    local run=run-$1 step when=late
    # One in eight before the first checkpoint; the others take turns through the quarters of what comes after it.
    if (($1 % 8 == 0)); then
        draw 3 && step=$drawn when=early
    else
        draw $(((steps - 2) / 4 + 1)) && step=$((2 + drawn + ($1 % 4) * (steps - 2) / 4))
    fi
    start "${command[@]}" --out "$run"
    kill_at "$run" "$step" "$when"
    ((killed)) || return 1
    has_checkpoint "$run" && late=$((late + 1))
    rows "$run" && at_step[$row_count]=$((${at_step[$row_count]:-0} + 1))
    # One in four is killed a second time while it goes on.
    draw 4
    if [ "$drawn" = 0 ] && [ -e "$run/run.json" ]; then
        start --resume "$run"
        draw "$first_row" && nap $((drawn * 2))
        kill_now
    fi
    draw 5
    if [ "$drawn" = 0 ]; then go_on "$run"; else go_on "$run" --workers "$drawn"; fi
    same_end alone "$run" "kill $1 after $row_count rows, seed $first_seed"
    rm -rf "$run"
}

first_seed=$seed
hits=0 tries=0
while ((hits < count && tries < 3 * count && !failed)); do
    kill_one "$hits" && hits=$((hits + 1))
    rm -rf "run-$hits"
    tries=$((tries + 1))
done
((hits == count)) || fail "only $hits of $tries kills hit a run"
((late * 100 >= count * 80)) || fail "only $late of $hits kills came after the first checkpoint"
spread=
for ((i = 0; i <= steps; i++)); do spread+=" ${at_step[$i]:-0}"; done
echo "$hits kills, $late after the first checkpoint; by steps done:$spread"

# Two processes on one run.
start "${command[@]}" --out both
wait_rows both 3
kill -STOP "$pid"
trouble 'both|another process' --resume both
trouble 'both' "${command[@]}" --out both
kill -CONT "$pid"
wait "$pid" || fail "the first of two processes failed"
same_end alone both "a run that a second process was refused on"

# What may not be given, and what may.
start "${command[@]}" --out half
wait_rows half 3
kill_now
state_of half >before
while read -r option value; do
    trouble "--$option|--resume half" --resume half "--$option" "$value"
done <<'END'
threads 3
ranks 2
data data
val-data data
val-every 3
preset small
model alone/model
batch 8
micro-batch 2
seq-len 8
packing document
seed 1
seed-policy hashed
dropout 0
token-noise 0
order sequential
lr 1
schedule minimind
warmup 3
weight-decay 0
beta1 0.5
beta2 0.5
eps 1
clip 0
END
trouble '--out|--resume half' --resume half --out other
state_of half | cmp -s - before || fail "a refused option changed the run"
go_on half --workers 3 --save-every 3 --keep 0 --steps $steps
cmp -s alone/metrics.jsonl half/metrics.jsonl || fail "other metrics with other --save-every and --keep"
cmp -s alone/model/model.safetensors half/model/model.safetensors || fail "another model with other --save-every"

# A trace that goes on at another level, stops or begins in the middle moves no bit of the rest.
for levels in 'step off' 'off step' 'step op' 'layer step'; do
    start "${command[@]}" --trace "${levels% *}" --out levels
    wait_rows levels 5
    kill_now
    go_on levels --trace "${levels#* }"
    cmp -s alone/metrics.jsonl levels/metrics.jsonl || fail "--trace $levels: other metrics"
    cmp -s alone/model/model.safetensors levels/model/model.safetensors || fail "--trace $levels: another model"
    expect 0 inspect levels
    rm -rf levels
done
finish
