#!/usr/bin/env bash
# Files that change while they are read, and folders that may not be read or written: exit 2 with the file named, and
# what was there before is whole.
# shellcheck source=tests/cli_lib.sh
. "${0%/*}/cli_lib.sh"
umask 022 # others read what is made here

make_text 9000 7 >text.txt
"$mm" tokenizer train --vocab-size 300 --out tokenizer.json text.txt >/dev/null || fail "tokenizer train"
"$mm" pack --tokenizer tokenizer.json --out data text.txt >/dev/null || fail "pack"
small=(--seq-len 16 --batch 8 --micro-batch 1 --threads 2 --save-every 5)

# --- a dataset that changes under training: what is read before is as it was, a run goes on once it is whole again

ended() { ! kill -0 "$1" 2>/dev/null; }

# changes NAME TEXT: a run of $copy from which CHANGE, a function, takes something at step 5.
changes() {
    local name=$1
    rm -rf copy
    cp -r data copy
    "$mm" train --data copy "${small[@]}" --steps 100000 --out "$name" >out 2>err </dev/null &
    trainer=$!
    wait_until test -e "$name/checkpoints/step-000005"
    "$name" copy/tokens-00000.gz
    wait_until ended "$trainer"
    kill -KILL "$trainer" 2>/dev/null && fail "$name: training did not see it"
    wait "$trainer"
    [ $? = 2 ] || fail "$name: not exit 2: $(tail -n 2 err)"
    tail -n 1 err >said
    has said "copy/tokens-00000.gz" "$2"
    run inspect "$name"
    [ "$status" = 0 ] || fail "$name: the run is not whole: $(tail -n 1 err)"
}
cut_short() { truncate -s 1000 "$1"; }
overwritten() { dd if=/dev/zero of="$1" bs=1000 seek=1 count=100 conv=notrunc status=none; }
changes cut_short "it was cut"
changes overwritten "than when the file was opened"
rm -r copy
cp -r data copy
at=$(wc -l <cut_short/metrics.jsonl)
"$mm" --resume cut_short >out 2>err </dev/null &
trainer=$!
went_on() { [ "$(wc -l <cut_short/metrics.jsonl)" -gt $((at + 5)) ]; }
wait_until went_on
kill -INT "$trainer"
wait "$trainer"
[ $? = 130 ] || fail "a run does not go on with its dataset whole again: $(tail -n 1 err)"

# --- a trace that was cut: nothing of the run is cut back to the checkpoint before the run is known to go on
cp -r cut_short no_trace
truncate -s 100 no_trace/trace.jsonl.gz
rm -r "$(printf '%s\n' no_trace/checkpoints/step-* | tail -n 1)"
before=$(state_of no_trace)
trouble 'no_trace/trace.jsonl.gz' --resume no_trace --save-every 7
[ "$(state_of no_trace)" = "$before" ] || fail "a run that cannot go on was changed"

cp cut_short/trace.jsonl.gz no_trace
echo '{"step": 1, "text": ' >no_trace/samples.jsonl
before=$(state_of no_trace)
trouble 'no_trace/samples.jsonl line 1' --resume no_trace --save-every 7
[ "$(state_of no_trace)" = "$before" ] || fail "a run with damaged samples was changed"

# A pipe in a file's place would never answer.
cp -r cut_short pipes
checkpoint=$(printf '%s\n' pipes/checkpoints/step-* | tail -n 1)
rm "$checkpoint/optimizer.safetensors" pipes/metrics.jsonl
mkfifo "$checkpoint/optimizer.safetensors" pipes/metrics.jsonl
trouble "$checkpoint/optimizer.safetensors|pipe" inspect "$checkpoint"
trouble "pipes/metrics.jsonl|pipe" diff pipes pipes

# Nothing of a user's that lies where a run goes is taken for the run's.
mkdir project project/data
echo "once upon a time" >project/data/book.txt
before=$(state_of project)
trouble 'project: exists and holds data' train --data project/data/book.txt --out project --steps 1
trouble 'project: exists and holds data' train --data text.txt --out project --steps 1
[ "$(state_of project)" = "$before" ] || fail "a folder of the user's was changed"

# A run whose checkpoints cannot be seen does not begin again, and nothing is written or removed through a link.
cp -r cut_short unseen
mv unseen/checkpoints elsewhere
before=$(state_of unseen)
trouble 'unseen/checkpoints: no such folder' --resume unseen
ln -s ../nowhere unseen/checkpoints
trouble 'unseen/checkpoints: ' --resume unseen
ln -sfn ../elsewhere unseen/checkpoints
others=$(state_of elsewhere)
trouble 'unseen/checkpoints: found a link' --resume unseen
rm unseen/checkpoints
[ "$(state_of unseen)$(state_of elsewhere)" = "$before$others" ] || fail "a run without its checkpoints was changed"
for file in metrics.jsonl timing.jsonl samples.jsonl trace.jsonl.gz lock; do
    rm -rf led && cp -r cut_short led
    [ ! -e led/$file ] || mv led/$file "kept-$file"
    ln -s "../kept-$file" led/$file
    [ -e "kept-$file" ] || echo '{"step": 1, "prompt": "a", "text": "b"}' >"kept-$file"
    cp "kept-$file" copied
    trouble "led/$file: found a link" --resume led
    cmp -s copied "kept-$file" || fail "--resume wrote through the link $file"
done

# Another file in its place: a run keeps reading the one that it opened.
"$mm" train --data copy "${small[@]}" --steps 20 --out alone >/dev/null 2>&1 || fail "training"
"$mm" train --data copy "${small[@]}" --steps 20 --out replaced >out 2>err </dev/null &
trainer=$!
wait_until test -s replaced/metrics.jsonl
echo other >other && mv other copy/tokens-00000.gz
wait "$trainer"
[ $? = 0 ] || fail "a dataset replaced under a run: $(tail -n 1 err)"
cmp -s alone/metrics.jsonl replaced/metrics.jsonl || fail "a dataset replaced under a run moved it"
trouble 'copy/tokens-00000.gz' train --data copy "${small[@]}" --steps 1 --out never

# --- folders, by one who may not
left_out() {
    echo "skipped: $*"
    [ "$failed" = 0 ] && exit 77
    exit 1
}
if [ "$(id -u)" = 0 ]; then
    other=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    "${other[@]}" true 2>/dev/null || left_out "nobody else to be"
    chmod 755 "$folder"
    cp "$mm" "$folder/mm" && chmod 755 "$folder/mm" && mm=$folder/mm # wherever it lies, others may run this one
else
    other=()
fi
as_other() {
    "${other[@]}" "$mm" "$@" >out 2>err </dev/null
    status=$?
}
# may_not TEXT ARGUMENT...
may_not() {
    local text=$1
    shift
    as_other "$@"
    [ "$status" = 2 ] || fail "mm $*: exit $status, expected 2: $(cat err)"
    grep -v ' \.\.\.$' err >said
    [ "$(wc -l <said)" = 1 ] || fail "mm $*: expected one line on stderr, found: $(head -c 600 err)"
    has said "$text" "Permission denied"
}
"${other[@]}" test -x "$mm" || left_out "$mm is not for others"
mkdir closed closed/inner full
cp text.txt closed/inner
cp -r data closed
chmod 777 full
before=$(state_of closed; state_of full; state_of alone)
chmod 000 closed/inner
may_not closed/inner pack --tokenizer tokenizer.json --out full/set closed
may_not closed/inner tokenizer train --vocab-size 300 --out full/t.json closed
chmod 755 closed/inner
chmod 000 closed/inner/text.txt
may_not closed/inner/text.txt pack --tokenizer tokenizer.json --out full/set closed/inner
chmod 644 closed/inner/text.txt
chmod 000 closed/data
may_not closed/data train --data closed/data --out full/run "${small[@]}" --steps 1
may_not closed/data inspect closed/data
may_not closed/data eval --model alone/model --data closed/data
chmod 755 closed/data
chmod 000 closed/data/tokens-00000.gz
may_not closed/data/tokens-00000.gz train --data closed/data --out full/run "${small[@]}" --steps 1
chmod 644 closed/data/tokens-00000.gz
chmod 555 full
may_not full pack --tokenizer tokenizer.json --out full/set text.txt
may_not full tokenizer train --vocab-size 300 --out full/t.json text.txt
may_not full train --data data --out full/run "${small[@]}" --steps 1
chmod 755 full
# More workers than the system gives threads, of which a sanitizer's search for leaks would take one.
chmod 777 full
uid=$([ "$(id -u)" = 0 ] && echo 65534 || id -u)
others=$(ps -L --no-headers -U "$uid" | wc -l) # who count as well
(
    ulimit -u $((others + 20))
    export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
    as_other train --data data "${small[@]}" --steps 20 --workers 60 --out full/crowd
    [ "$status" = 0 ]
) || fail "60 workers where there are 20 threads: $(tail -n 1 err)"
has err "60 workers share" "ulimit -u"
cmp -s alone/metrics.jsonl full/crowd/metrics.jsonl || fail "fewer threads than workers moved a bit"
rm -rf full/crowd
chmod 755 full
# A run whose third step goes beyond its newest checkpoint, of which one file may not be written.
"$mm" train --data data "${small[@]}" --steps 3 --save-every 1 --sample-every 1 --schedule constant --out mine >out 2>err </dev/null ||
    fail "mine: $(tail -n 1 err)"
rm -r mine/checkpoints/step-000003
ln -sfn checkpoints/step-000002 mine/model
chmod -R a+rwX mine
run_before=$(state_of mine)
for file in metrics.jsonl timing.jsonl samples.jsonl trace.jsonl.gz; do
    chmod 444 mine/$file
    may_not mine/$file --resume mine --steps 4 --sample-every 1
    chmod 666 mine/$file
    [ "$(state_of mine)" = "$run_before" ] || fail "a run that cannot go on for $file was changed"
done
for folder in mine mine/checkpoints; do
    chmod 555 $folder
    may_not $folder --resume mine --steps 4
    chmod 777 $folder
    [ "$(state_of mine)" = "$run_before" ] || fail "a run that cannot go on for $folder was changed"
done
# A copy that follows links has a folder in the link's place, which no link can replace.
cp -rL mine copied-run
before_copied=$(state_of copied-run)
trouble 'copied-run/model: found no link' --resume copied-run --steps 4
[ "$(state_of copied-run)" = "$before_copied" ] || fail "a copied run that cannot go on was changed"
rm -r copied-run/model
expect 0 --resume copied-run --steps 4
as_other --resume mine --steps 4
[ "$status" = 0 ] || fail "a run of another's does not go on: $(tail -n 1 err)"
[ "$(state_of closed; state_of full; state_of alone)" = "$before" ] || fail "something was written"
finish
