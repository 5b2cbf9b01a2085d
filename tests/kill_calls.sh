#!/usr/bin/env bash
# A run killed before any of its calls that change the disk, or in the middle of a write, goes on and ends in the same
# files as one left alone. kill_calls.sh MM MM-FAULTY [WRITES [SEED]]: every call, and WRITES of the writes.
here=$(cd "${0%/*}" && pwd)
faulty=$(realpath "$2")
# shellcheck source=tests/cli_lib.sh
. "$here/cli_lib.sh"
# shellcheck source=tests/kill_lib.sh
. "$here/kill_lib.sh"
samples=${3:-15}
seed=${4:-$((EPOCHSECONDS % 100000))}
echo "seed $seed"
make_data
small=(--seq-len 8 --batch 2 --micro-batch 1 --ranks 2 --workers 1 --steps 2 --save-every 1 --keep 1)

# count_calls STEP LEAST: $calls and $writes from the step on, of a run of $command.
count_calls() {
    MM_FAULT=count-calls:step=$1 "$faulty" "${command[@]}" --out counted 2>err >/dev/null
    read -r calls _ writes _ < <(tail -n 1 err)
    [ "${writes:-0}" -gt 0 ] && [ "${calls:-0}" -gt "$2" ] || fail "$calls calls, $writes writes: more than $2 expected: $(tail -n 1 err)"
    same_end "$reference" counted "a run whose calls are counted"
    rm -rf counted
}

# kill_in FAULT CALL
kill_in() {
    { MM_FAULT=$1:call=$2 "$faulty" "${command[@]}" --out run >/dev/null 2>&1; } 2>/dev/null
    [ $? = 137 ] || fail "$1 $2: the run was not killed"
    go_on run
    same_end "$reference" run "$1 $2"
    rm -rf run
}

# Every call of a run that saves twice, and some of its writes.
reference=alone command=(--data data "${small[@]}")
expect 0 "${command[@]}" --out alone
count_calls 0 20
for ((call = 1; call <= calls; call++)); do kill_in kill-call "$call"; done
for ((i = 0; i < samples; i++)); do
    draw "$writes"
    kill_in kill-write $((drawn + 1))
done
echo "$calls calls, $samples of $writes writes"

# A text that is packed first: every call before step 1.
reference=packed command=(--data text.txt --model alone/model "${small[@]}")
expect 0 "${command[@]}" --out packed
count_calls 1 0 && later=$calls
count_calls 0 20
[ $((calls - later)) -ge 5 ] || fail "only $((calls - later)) calls before step 1"
for ((call = 1; call <= calls - later; call++)); do kill_in kill-call "$call"; done
echo "$((calls - later)) calls before step 1"
finish
