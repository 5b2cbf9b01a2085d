#!/usr/bin/env bash
# Training as a user does it: header, progress, what a run leaves, going on with it, evaluating it, and everything that
# can be wrong before it starts.
# shellcheck source=tests/cli_lib.sh
. "${0%/*}/cli_lib.sh"

make_text 400 7 >text.txt
{ make_text 60 8; echo %; make_text 60 9; echo %; make_text 20 10; } >split.txt
"$mm" tokenizer train --vocab-size 300 --out tokenizer.json text.txt >/dev/null || fail "tokenizer train"
"$mm" pack --tokenizer tokenizer.json --split % --val-share 0.3 --out data split.txt >/dev/null || fail "pack"
small=(--seq-len 16 --batch 8 --micro-batch 1 --threads 4)

# A run in a pipe: the header says what it is, lines are plain, the end says what to do next.
expect 0 train --data data "${small[@]}" --workers 3 --steps 4 --val-every 2 --out run
has err "tiny (qwen3)" "parameters" "vocabulary 300" "tokens" "documents" "4 ranks on 3 workers" "8 sequences in 8 leaves" \
    "GEMM" "policy rank" "memory" "ln(300) = 5.70" "step    1/4" "step    4/4" "100%" "loss" "val" "norm" "lr" "tok/s"
# Progress is standard error's, the result standard output's.
has out "done: step 4" "model    run/model" "eval --model run/model --data data/val --seq-len 16" "inspect run"
[ "$(wc -l <out)" = 4 ] || fail "train wrote more than its result to stdout: $(head -c 600 out)"
grep -q $'[\r\033]' err && fail "a pipe got escape sequences"
for file in run.json metrics.jsonl timing.jsonl trace.jsonl.gz checkpoints/step-000004/state.json model/config.json \
    model/model.safetensors model/tokenizer.json checkpoints/step-000004/optimizer.safetensors; do
    [ -s "run/$file" ] || fail "the run has no $file"
done
[ "$(wc -l <run/metrics.jsonl)" = 4 ] || fail "metrics.jsonl has $(wc -l <run/metrics.jsonl) lines"
cmp -s run/model/tokenizer.json tokenizer.json || fail "the tokenizer was not copied byte for byte"
find run -name '*.tmp-*' | grep -q . && fail "the run holds a temporary"

# What is not given: the same on every machine, but for workers, which are no more than usable cores.
expect 0 --data data --seq-len 8 --steps 1 --out plain
has plain/run.json '"threads": 8,' '"ranks": 8,' '"batch": 32,' '"micro_batch": 4,' '"packing": "window",' '"seed": 1337,' \
    '"seed_policy": "rank",' '"dropout": 0.1,' '"token_noise": 0.0,' '"order": "shuffled",' '"lr": 0.003,' '"schedule": "minimind",' \
    '"warmup": 20,' '"weight_decay": 0.01,' '"beta1": 0.9,' '"beta2": 0.999,' '"eps": 1e-08,' '"clip": 1.0,' '"preset": "tiny",' \
    '"val_every": 50,' '"save_every": 100,' '"keep": 3,' '"sample_every": 0,' '"trace": "step"'
cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)
[ -z "$cpu" ] || has plain/run.json "\"cpu\": \"$cpu\","
expect 0 --data data --model plain/model --steps 1 --ranks 3 --out thirds
has thirds/run.json '"threads": 3,' '"batch": 48,' '"seq_len": 256,' '"lr": 0.0005,' '"warmup": 0,'
first_core=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')
taskset -c "$first_core" "$mm" --data data "${small[@]}" --steps 1 --out one >out 2>err </dev/null || fail "on one core: $(tail -n 1 err)"
has err "4 ranks on 1 worker (1 core)"

# The same again with other workers: the same bits.
expect 0 --data data "${small[@]}" --workers 1 --steps 4 --val-every 2 --out again
cmp -s run/metrics.jsonl again/metrics.jsonl || fail "metrics differ between 3 workers and 1"
cmp -s run/model/model.safetensors again/model/model.safetensors || fail "models differ between 3 workers and 1"

# Standard streams that are closed lend their numbers to no file of the run, and are no place to write to.
"$mm" --data data "${small[@]}" --workers 1 --steps 4 --val-every 2 --out mute <&- >&- 2>&-
[ $? = 2 ] || fail "a result that nobody takes: not exit 2"
[ -s mute/lock ] && fail "what was to be said landed in the lock: $(head -c 300 mute/lock)"
cmp -s run/metrics.jsonl mute/metrics.jsonl || fail "closed streams: other metrics: $(head -c 300 mute/metrics.jsonl)"
expect 0 verify mute
"$mm" seeds >&- 2>err
[ $? = 2 ] || fail "a closed standard output: not exit 2"
has err "standard output: cannot write to it"
"$mm" tokenizer encode --tokenizer tokenizer.json <&- >out 2>err
[ $? = 2 ] || fail "a closed standard input: not exit 2"
has err "standard input: cannot read it"

# --profile says where the time went, all of it, and moves no bit.
expect 0 --data data "${small[@]}" --workers 3 --steps 4 --val-every 2 --out profiled --profile --trace op
cmp -s run/metrics.jsonl profiled/metrics.jsonl || fail "metrics differ with --profile"
has err "where the time went" "on 3 workers" "attention" "adamw" "trace" "validation" "checkpoint" "GF/s" \
    "of the steps: inside GEMM"
awk '/^  (forward|backward|step) / { seen++; sub(/%.*/, ""); sum += $NF } END { exit !(seen == 3 && sum > 99.9 && sum < 100.1) }' err ||
    fail "forward, backward and step are not all of the steps: $(cat err)"

# What is to be done next takes the run's validation loss again, to the bit.
val_loss() { tail -n 1 "$1/metrics.jsonl" | grep -o '"val_loss": [0-9.e-]*' | cut -d' ' -f2; }
next() { # RUN [WORDS]
    grep -oF "eval --model $1/model --data data/val --seq-len 16$2" out >next || fail "what is next: $(cat out)"
    # shellcheck disable=SC2046
    expect 0 $(cat next) --json
    has out "\"loss\": $(val_loss "$1"),"
}
expect 0 --resume run
next run ""
expect 0 --data data "${small[@]}" --steps 2 --packing document --out papers
next papers " --packing document"
has out '"bits_per_byte": null'
trouble '--logits with --packing document' eval --model run/model --data data/val --packing document --logits x.safetensors

# Runs are numbered, found by $MM_DATA, and nothing is overwritten.
MM_DATA=data expect 0 "${small[@]}" --steps 1
MM_DATA=data expect 0 "${small[@]}" --steps 1
[ -f runs/0001/run.json ] || fail "no runs/0001"
[ -f runs/0002/run.json ] || fail "runs are not numbered: $(ls runs)"
rm -r runs/0001
PMI_SIZE=4 MM_DATA=data expect 0 "${small[@]}" --steps 1
has err "warning: 4 processes were started (PMI_SIZE)" "--ranks 4"
[ -f runs/0003/run.json ] || fail "a later run has a smaller number: $(ls runs)"
trouble 'data: exists and holds|name another --out' --data data --out data
grep -q -- --resume err && fail "a dataset is taken for a run: $(cat err)"
state_of run >before
trouble 'run|exists|--resume' --data data "${small[@]}" --steps 1 --out run
state_of run | cmp -s - before || fail "a refused run changed what was there"

# More masks than a stream has numbers.
trouble '--seq-len 1048576 with --micro-batch 64|4 heads|2^46|--dropout 0' --data data --seq-len 1048576 --micro-batch 64 \
    --batch 64 --threads 1 --out masks

# inspect
expect 0 inspect run
has out "4 of 4" "loss" "val" "after step 4" "qwen3, 4 layers" "policy rank"
expect 0 inspect run --json
has out '"kind": "run"' '"steps_done": 4' '"checkpoints": [4]' '"seed_policy"'
expect 0 inspect run/model
has out "after step 4" "tensors" "F32" "vocabulary 300"
expect 0 inspect run/model --json
has out '"kind": "checkpoint"' '"step": 4' '"config": {'
expect 0 inspect run/model/model.safetensors
has out "model.embed_tokens.weight" "300 x 128"

# eval
expect 0 eval --model run/model --data data/val --seq-len 16 --json
has out '"loss": ' '"perplexity": ' '"tokens": '
cp out loss.json
expect 0 eval --model run/model --data data/val --seq-len 16 --json --workers 1
cmp -s out loss.json || fail "eval depends on the workers"
expect 0 eval --model run/model --data data/val
has out "loss" "perplexity"
make_text 5 12 >held.txt
expect 0 eval --model run/model --data held.txt
has out "loss"
mkdir nameless
cp run/model/config.json run/model/model.safetensors nameless
expect 0 eval --model nameless --data data/val
trouble 'held.txt|tokenizer.json' eval --model nameless --data held.txt
trouble 'missing' eval --model missing --data data
trouble 'missing' eval --model run/model --data missing

# Data of another tokenizer of the same size mean nothing to a model.
tr a-m n-z <text.txt >rotated.txt
"$mm" tokenizer train --vocab-size 300 --out other.json rotated.txt >/dev/null || fail "tokenizer train"
"$mm" pack --tokenizer other.json --out foreign text.txt >/dev/null || fail "pack"
trouble 'run/model/tokenizer.json|foreign|vocabulary' eval --model run/model --data foreign
trouble 'run/checkpoints/step-000004/tokenizer.json|foreign|vocabulary' --model run/model --data foreign --steps 1 --out x
expect 0 eval --model nameless --data foreign

# From a model, and from a text.
expect 0 --data data --model run/model "${small[@]}" --steps 1 --out further
has err "run/checkpoints/step-000004"
expect 0 --data text.txt "${small[@]}" --model run/model --steps 1 --out fromtext
[ -s fromtext/model/model.safetensors ] || fail "a run from a text has no model"

# --resume: what may be given, and what may not.
state_of run >before
expect 0 --resume run
has out "at its end" "eval --model run/model --data data/val"
state_of run | cmp -s - before || fail "resuming a run at its end changed it"

# It needs no data for that. What was brought back to it stays; only what a kill kept its last save from doing is done.
cp -r data fleeting
expect 0 --data fleeting --val-every 0 "${small[@]}" --steps 3 --save-every 1 --keep 2 --out ended
rm -r fleeting
cp -r ended/checkpoints/step-000002 ended/checkpoints/.step-000002.tmp-1-0
ln -sfn checkpoints/step-000002 ended/model
cp -r ended/checkpoints/step-000002 ended/checkpoints/step-000001
expect 0 --resume ended
has out "at its end" "inspect ended"
grep -qF "mm eval" out && fail "a run whose data are gone names them to evaluate on: $(cat out)"
names=$(find ended/checkpoints -mindepth 1 -maxdepth 1 -printf '%f\n' | LC_ALL=C sort | xargs)
[ "$names" = "step-000001 step-000002 step-000003" ] || fail "resuming a run at its end left $names"
[ "$(readlink ended/model)" = checkpoints/step-000003 ] || fail "resuming a run at its end left model at $(readlink ended/model)"
mv ended/checkpoints checkpoints-elsewhere
ln -s ../checkpoints-elsewhere ended/checkpoints
state_of checkpoints-elsewhere >before
trouble 'ended/checkpoints: found a link' --resume ended
state_of checkpoints-elsewhere | cmp -s - before || fail "resuming a run at its end removed checkpoints through a link"
rm ended/checkpoints
mv checkpoints-elsewhere ended/checkpoints
turn ended/checkpoints/step-000003/model.safetensors 5000
trouble 'step-000003/model.safetensors|the checkpoint is damaged' --resume ended
trouble '--lr|--resume|--memory-limit, --profile' --resume run --lr 1
trouble '--steps|constant' --resume run --steps 9
trouble 'missing' --resume missing
trouble 'data|run.json' --resume data
expect 0 --data data "${small[@]}" --schedule constant --val-every 2 --steps 2 --out grow
expect 0 --resume grow --steps 4 --workers 2
expect 0 --data data "${small[@]}" --schedule constant --val-every 2 --steps 4 --out whole
cmp -s grow/metrics.jsonl whole/metrics.jsonl || fail "2 and 2 steps are not 4: metrics"
cmp -s grow/model/model.safetensors whole/model/model.safetensors || fail "2 and 2 steps are not 4: model"

# What was given for the rest of a run holds for it when it goes on once more, but for its workers.
cp -r grow given
trouble '--prompt without --sample-every' --resume given --steps 6 --prompt ba
expect 0 --resume given --steps 6 --trace layer --sample-every 2 --prompt ba --keep 1 --save-every 3 --workers 1
has given/run.json '"steps": 6,' '"trace": "layer"' '"sample_every": 2,' '"prompt": "ba"' '"keep": 1,' '"save_every": 3,' \
    '"workers": 2,'
expect 0 --resume given --steps 8
[ "$(grep -c '"prompt": "ba"' given/samples.jsonl)" = 2 ] || fail "samples of a run that went on twice: $(cat given/samples.jsonl)"
zcat given/trace.jsonl.gz | grep -q '^{"step": *8,.*"layer": *1,' || fail "the trace's level was forgotten"
expect 0 --resume given --steps 9 --sample-every 0
expect 0 --resume given --steps 10
[ "$(wc -l <given/samples.jsonl)" = 2 ] || fail "samples that were to end go on"
expect 0 verify given

# The end may be laid where the run is, not before it.
cp -r grow brief
sed -i 4d brief/metrics.jsonl && rm -r brief/checkpoints/step-000004 && ln -sfn checkpoints/step-000002 brief/model
state_of brief >before
trouble '--steps 1|brief|step 2|at least 2' --resume brief --steps 1
trouble '--steps 3|grow|step 4|at least 4' --resume grow --steps 3
state_of brief | cmp -s - before || fail "a refused --steps changed the run"
expect 0 --resume brief --steps 2
has out "ends at step 2 now"
grep -qF '"steps": 2,' brief/run.json || fail "the run's new end is not kept: $(grep steps brief/run.json)"
[ "$(wc -l <brief/metrics.jsonl)" = 2 ] || fail "a run that ends at step 2 has $(wc -l <brief/metrics.jsonl) rows"
expect 0 --resume brief
has out "at its end (step 2); nothing was changed"
expect 0 verify brief

# A run that has saved does not begin again where its checkpoints were removed; one that has not says so.
cp -r grow emptied
rm -r emptied/checkpoints/step-*
state_of emptied >before
trouble 'emptied/checkpoints: holds no checkpoint|the run has saved|remove|emptied/model' --resume emptied
state_of emptied | cmp -s - before || fail "a run without checkpoints was changed"
rm emptied/model
expect 0 --resume emptied
has err "begins again" "step    1/4"
cmp -s grow/metrics.jsonl emptied/metrics.jsonl || fail "a run that began again has other metrics"

# Another run's checkpoint of the same shapes and step is not gone on with: the trace knows the run's own.
expect 0 --data data "${small[@]}" --schedule constant --val-every 2 --steps 2 --seed 7 --out foster
rm -r brief/checkpoints/step-000002
cp -r foster/checkpoints/step-000002 brief/checkpoints
state_of brief >before
trouble 'brief/checkpoints/step-000002: tensor|trace|another run|remove its folder' --resume brief --steps 3
state_of brief | cmp -s - before || fail "a run with another's checkpoint was changed"
rm brief/trace.jsonl.gz
expect 0 --resume brief --steps 3 --trace off

# The same tokens, packed with a tokenizer that has another token special: token noise would draw other ids.
cp -r data noisy
expect 0 --data noisy "${small[@]}" --schedule constant --token-noise 0.2 --steps 1 --out noise
rm -r noisy
sed '0,/"special": true/s//"special": false/' tokenizer.json >plainer.json
"$mm" pack --tokenizer plainer.json --split % --val-share 0.3 --out noisy split.txt >/dev/null || fail "pack"
cmp -s data/tokens-00000.gz noisy/tokens-00000.gz || fail "a token that is not special moved the others"
trouble 'noisy|--data|a tokenizer of hash|run.json|bring the old data back' --resume noise --steps 2

# Wrong input: named, exit 2, nothing made.
trouble 'nowhere|(--data)' --data nowhere --steps 1 --out x
MM_DATA=nosuch trouble 'nosuch|(MM_DATA)' --steps 1 --out x
mkdir -p locked/dataset.json
trouble 'locked' --data locked --steps 1 --out x
: >empty.txt
trouble 'text' --data empty.txt --steps 1 --out x
trouble 'hugest|tiny|small|minimind-3' --data data --preset hugest --steps 1 --out x
trouble 'missing' --data data --model missing --steps 1 --out x
mkdir broken
cp run/model/config.json broken
head -c 1000 run/model/model.safetensors >broken/model.safetensors
trouble 'broken/model.safetensors' --data data --model broken --steps 1 --out x
cp -r nameless sliding
sed -i 's/"hidden_act": "silu"/"hidden_act": "gelu"/' sliding/config.json
trouble 'hidden_act|silu' --data data --model sliding --steps 1 --out x
trouble 'text.txt' --data data "${small[@]}" --steps 1 --out text.txt
trouble '--val-every' --data data/val "${small[@]}" --val-every 2 --steps 1 --out x
[ -n "$(ls -A x 2>/dev/null)" ] && fail "a refused run left x: $(ls -A x)"

# What run.json could not name is refused by its option. A run may be moved there.
odd=$'dat\xff'
cp -r data "$odd"
printf "%s\n" * >before
trouble '(--data)|not UTF-8' --data "$odd" "${small[@]}" --steps 1 --out odd
trouble '(--val-data)|not UTF-8' --data data --val-data "$odd/val" "${small[@]}" --steps 1 --out odd
trouble '(--out)|not UTF-8' --data data "${small[@]}" --steps 1 --out "odd-$odd"
trouble '(--prompt)|not UTF-8' --data data "${small[@]}" --steps 1 --sample-every 1 --prompt "$odd" --out odd
trouble '(--prompt)|not UTF-8' --resume grow --steps 5 --sample-every 1 --prompt "$odd"
printf "%s\n" * | cmp -s - before || fail "a refused name left something: $(printf "%s\n" * | diff before -)"
cp -r grow "odd-$odd"
expect 0 --resume "odd-$odd" --steps 5

# So also when its text had been packed by then; only a folder that was there before stays.
mkdir weightless ours
cp run/model/config.json run/model/tokenizer.json weightless
printf "%s\n" runs/* >before
trouble 'weightless' --data text.txt --model weightless "${small[@]}" --steps 1
printf "%s\n" runs/* | cmp -s - before || fail "a run that could not begin left $(echo runs/*)"
trouble 'weightless' --data text.txt --model weightless "${small[@]}" --steps 1 --out x
[ -e x ] && fail "a run that could not begin left x"
trouble 'weightless' --data data --model weightless "${small[@]}" --steps 1 --out ours
[ -d ours ] || fail "a run that could not begin removed a folder that is not its own"
# What had been packed goes from it, and what a start that was killed had packed is not the next one's data.
trouble 'weightless' --data text.txt --model weightless "${small[@]}" --steps 1 --out ours
[ "$(ls -A ours)" = lock ] && [ ! -s ours/lock ] || fail "a run that could not begin left $(ls -A ours) $(cat ours/lock)"
cp -r foreign ours/data
trouble 'ours: exists and holds data' --data data "${small[@]}" --steps 1 --out ours
[ -e ours/data/dataset.json ] || fail "a folder of another's was removed"
echo "text is packed into this run" >ours/lock
expect 0 --data "$PWD/ours/data" "${small[@]}" --steps 1 --out "$PWD/ours"
[ -e ours/data/dataset.json ] || fail "a run removed its own data"
mkdir theirs
cp -r ours/data theirs
echo "text is packed into this run" >theirs/lock
trouble 'weightless' --data "$PWD/theirs/data" --val-data text.txt --model weightless "${small[@]}" --steps 1 --out "$PWD/theirs"
[ -e theirs/data/dataset.json ] || fail "a run that could not begin removed the data that it was given"
expect 0 --data data "${small[@]}" --schedule constant --steps 1 --out theirs
[ -e theirs/data ] && fail "what a start that was killed had packed is in the next run"
[ -s theirs/lock ] && fail "the lock of a run without packed text says: $(cat theirs/lock)"
expect 0 --resume theirs --steps 2

# A run's data are where run.json says; those that were packed into it are where the run is.
cp -r foreign theirs/data
expect 0 --resume theirs --steps 3
expect 0 verify theirs
expect 0 --data text.txt --val-data split.txt "${small[@]}" --schedule constant --steps 1 --out packed
mv packed moved
expect 0 --resume moved --steps 2
has err "moved/data" "moved/val-data"

# interrupt PATTERN ARGUMENT...: Ctrl-C as soon as a path of that pattern is there.
interrupt() {
    local pattern=$1 work
    shift
    "$mm" "$@" >out 2>err </dev/null &
    work=$!
    while ! compgen -G "$pattern" >found && kill -0 "$work" 2>/dev/null; do sleep 0.02; done
    kill -INT "$work"
    wait "$work"
    status=$?
    [ "$status" = 130 ] || fail "mm $* interrupted: exit $status, expected 130; stderr: $(head -c 600 err)"
    compgen -G "$pattern" >found && fail "mm $* interrupted left $(cat found)"
}

# Ctrl-C while a text is packed leaves nothing.
for ((i = 0; i < 1500; i++)); do printf '%s\n' text.txt; done | xargs cat >long.txt
interrupt 'cut' --data long.txt "${small[@]}" --steps 1 --out cut
has err "long.txt" "packing" "nothing"
mkdir temporary
TMPDIR=$folder/temporary interrupt 'temporary/mm-eval-*' eval --model run/model --data long.txt
has err "long.txt" "packing" "nothing"
rm long.txt

# A file that may not grow: exit 2 with the file named, the checkpoint before it whole.
expect 0 --data data "${small[@]}" --schedule constant --steps 1 --out full
(
    ulimit -f 64
    "$mm" --resume full --steps 2 >out 2>err </dev/null
    [ $? = 2 ]
) || fail "saving beyond the file size limit: not exit 2: $(cat err)"
has err "full/"
[ -s full/checkpoints/step-000001/state.json ] || fail "the old checkpoint is gone"
[ -e full/checkpoints/step-000002 ] && fail "half a checkpoint is there"
expect 0 --resume full --steps 2
expect 0 --data data "${small[@]}" --schedule constant --steps 2 --out roomy
cmp -s full/model/model.safetensors roomy/model/model.safetensors || fail "what went on after a full disk differs"

# Ctrl-C where the save that it asks for fails is no interrupted run that is saved: exit 2, by the save's own sentence.
(
    ulimit -f 64
    exec "$mm" --data data "${small[@]}" --trace off --save-every 0 --steps 100000 --out unsaved >out 2>err </dev/null
) &
trainer=$!
wait_until test -s unsaved/metrics.jsonl
kill -INT "$trainer"
wait "$trainer"
[ $? = 2 ] || fail "Ctrl-C with a save that fails: not exit 2: $(tail -n 1 err)"
has err "unsaved/checkpoints/" "File too large" "ulimit -f"
grep -qF "saved; go on with" err && fail "Ctrl-C with a save that fails: $(tail -n 1 err)"
finish
