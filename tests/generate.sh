#!/usr/bin/env bash
# mm generate and samples during training, as a user sees them: the same text for every worker, build and way to give
# the prompt; what ends a text; what is refused; and that samples move no bit of a run.
# shellcheck source=tests/cli_lib.sh
. "${0%/*}/cli_lib.sh"

make_text 400 7 >text.txt
"$mm" tokenizer train --vocab-size 300 --out tokenizer.json text.txt >/dev/null || fail "tokenizer train"
"$mm" pack --tokenizer tokenizer.json --split % --out data text.txt >/dev/null || fail "pack"
small=(--data data --seq-len 16 --batch 8 --micro-batch 1 --threads 4 --val-every 0 --lr 0.01 --warmup 0)
expect 0 train "${small[@]}" --steps 12 --out run --save-every 5
greedy=(generate --model run/model --temperature 0 --max-tokens 40 --prompt 'bado kilu')

# ids FILE: the list of ids of a result.
ids() { sed 's/.*"ids": \[\(.*\)\].*/\1/' "$1" | tr -d ','; }

# The result: prompt and text apart, ids of both; on standard output the text alone.
expect 0 "${greedy[@]}" --json
cp out greedy.json
has greedy.json '{"prompt": "bado kilu", "text": "' '"ids": ['
ids greedy.json >all
printf 'bado kilu' | "$mm" tokenizer encode --tokenizer tokenizer.json >encoded
count=$(wc -w <encoded)
[ "$(cut -d ' ' -f "-$count" all)" = "$(cat encoded)" ] || fail "ids do not begin with the prompt's: $(cat all encoded)"
[ "$(wc -w <all)" = $((count + 40)) ] || fail "expected $count ids and 40, found $(wc -w <all)"
expect 0 "${greedy[@]}"
has err "40 tokens made" "--max-tokens ended it"
cut -d ' ' -f "$((count + 1))-" all | "$mm" tokenizer decode --tokenizer tokenizer.json >decoded
cmp -s out decoded || fail "stdout is not the text: $(head -c 300 out) / $(head -c 300 decoded)"

# The same for every team and build.
for workers in 1 2 3; do
    expect 0 "${greedy[@]}" --json --workers $workers
    cmp -s out greedy.json || fail "$workers workers say something else"
done
sampled=(generate --model run/model --max-tokens 40 --prompt 'bado kilu' --json)
expect 0 "${sampled[@]}"
cp out sampled.json
cmp -s sampled.json greedy.json && fail "sampling is greedy"
for isa in baseline x86-64-v3 x86-64-v4; do
    MM_ISA=$isa run "${sampled[@]}" --workers 2
    [ "$status" = 2 ] && grep -q "$isa" err && continue # not for this CPU
    cmp -s out sampled.json || fail "MM_ISA=$isa says something else: $(head -c 300 err)"
done

# The choice of tokens.
expect 0 "${sampled[@]}" --temperature 0.8 --top-k 40 --top-p 0.95 --seed 1337
cmp -s out sampled.json || fail "the defaults are not those of the help"
expect 0 "${sampled[@]}" --seed 0x539
cmp -s out sampled.json || fail "0x539 is not 1337"
expect 0 "${sampled[@]}" --seed 1338
cmp -s out sampled.json && fail "another seed says the same"
expect 0 "${sampled[@]}" --top-k 1 --temperature 2
cmp -s out greedy.json || fail "top-k 1 is not greedy"
expect 0 "${sampled[@]}" --top-k 0 --top-p 0
cmp -s out greedy.json || fail "top-p 0 is not greedy"

# The prompt from standard input, its last newline apart; any bytes.
printf 'bado kilu\n' | "$mm" "${greedy[@]:0:7}" --json >out 2>err || fail "from standard input: $(head -c 300 err)"
cmp -s out greedy.json || fail "standard input is not --prompt"
printf 'b\377\303(\000\355\240\200' | "$mm" "${greedy[@]:0:7}" --json >out 2>err || fail "odd bytes: $(head -c 300 err)"
iconv -f UTF-8 -t UTF-8 out >/dev/null || fail "the JSON is not UTF-8"

# What ends a text. The third token of the greedy text becomes the eos of a copy: it ends where that comes first.
cp -rL run/model copy
third=$(cut -d ' ' -f $((count + 3)) all)
first=$(cut -d ' ' -f "$((count + 1))-" all | tr ' ' '\n' | grep -nxm 1 "$third" | cut -d: -f1)
sed -i "s/\"eos_token_id\": [0-9]*/\"eos_token_id\": $third/" copy/config.json
expect 0 generate --model copy --temperature 0 --max-tokens 40 --prompt 'bado kilu' --json
[ "$(ids out)" = "$(cut -d ' ' -f "-$((count + first - 1))" all)" ] || fail "eos did not end it: $(ids out)"
has err "ended the document"
sed -i "s/\"max_position_embeddings\": [0-9]*/\"max_position_embeddings\": $((count + 2))/; s/\"eos_token_id\": [0-9]*/\"eos_token_id\": 2/" copy/config.json
expect 0 generate --model copy --temperature 0 --max-tokens 40 --prompt 'bado kilu' --json
[ "$(ids out)" = "$(cut -d ' ' -f "-$((count + 2))" all)" ] || fail "the positions did not end it: $(ids out)"
has err "$((count + 2)) positions are full" "max_position_embeddings"
trouble "positions|max_position_embeddings|shorten" generate --model copy --prompt "$(make_text 3 4)"

# What is refused.
rm copy/tokenizer.json
trouble "copy/tokenizer.json|expected" generate --model copy --prompt x
trouble "empty|<|im_start|>" generate --model run/model --prompt ""
trouble "--model" generate --prompt x
trouble "missing" generate --model missing --prompt x
trouble "--temperature -1" generate --model run/model --prompt x --temperature -1
trouble "--top-p 1.5" generate --model run/model --prompt x --top-p 1.5
trouble "--max-tokens 0" generate --model run/model --prompt x --max-tokens 0

# Weights that are not numbers: exit 3, the logit named. The file's last number becomes NaN.
cp -rL run/model spoilt
rm spoilt/state.json
printf '\377\377\377\377' | dd of=spoilt/model.safetensors bs=1 seek=$(($(stat -c %s spoilt/model.safetensors) - 4)) conv=notrunc 2>/dev/null
expect 3 generate --model spoilt --prompt x --temperature 0
has err "logit of token" "finite"
[ -s out ] && fail "spoilt weights made text: $(head -c 100 out)"

# Ctrl-C: what has been made is there, exit 130. A reader who has enough ends it without a word.
sed 's/"eos_token_id": [0-9]*/"eos_token_id": null/' run/model/config.json >copy/config.json
cp tokenizer.json copy
"$mm" generate --model copy --prompt 'bado' --max-tokens 30000 >out 2>err &
child=$!
wait_until test -s out
kill -TERM $child
wait $child
[ $? = 130 ] || fail "stopped: exit $?, expected 130"
has err "stopping" "stopped after"
[ -s out ] || fail "nothing had been made"
for _ in $(seq 9000); do printf 'bado kilu '; done >long
rm err # what an earlier one said is waited for no more
"$mm" generate --model copy --max-tokens 1 <long >out 2>err &
child=$!
wait_for err "reading the model"
kill -TERM $child
wait $child
[ $? = 130 ] || fail "stopped in the prompt: exit $?, expected 130: $(cat err)"
has err "stopping" "stopped in the prompt"
[ -s out ] && fail "stopped in the prompt, but made: $(head -c 100 out)"
"$mm" generate --model copy --prompt 'bado' --max-tokens 30000 2>err | head -c 50 >out
[ "$(wc -c <out)" = 50 ] || fail "head got $(wc -c <out) bytes"
[ "$(grep -cv ' \.\.\.$' err)" = 0 ] || fail "a closed pipe was complained of: $(head -c 300 err)"

# Samples during training: in the run and on the terminal, and the run's bits are the same.
expect 0 train "${small[@]}" --steps 12 --save-every 5 --sample-every 5 --prompt 'bado' --out sampled
has err "at 5 " "at 10 " "at 12 " "bado"
cmp -s run/metrics.jsonl sampled/metrics.jsonl || fail "samples moved a loss"
cmp -s run/model/model.safetensors sampled/model/model.safetensors || fail "samples moved the weights"
cp sampled/samples.jsonl whole
[ "$(sed 's/, "text.*//' whole)" = '{"step": 5, "prompt": "bado"
{"step": 10, "prompt": "bado"
{"step": 12, "prompt": "bado"' ] || fail "samples.jsonl: $(cat whole)"
expect 0 train "${small[@]}" --steps 12 --workers 1 --sample-every 5 --prompt 'bado' --out alone
cmp -s alone/samples.jsonl whole || fail "samples depend on the workers"
expect 0 train "${small[@]}" --steps 3 --sample-every 2 --out begins
has begins/samples.jsonl '{"step": 2, "prompt": "", "text": "'
trouble '--prompt|--sample-every' train "${small[@]}" --steps 3 --prompt x --out never

# A run that goes on from step 5 loses what was sampled after it, and samples it again.
rm -rf sampled/checkpoints/step-00001*
ln -sfn checkpoints/step-000005 sampled/model
printf '{"step": 1' >>sampled/samples.jsonl
expect 0 --resume sampled
cmp -s sampled/samples.jsonl whole || fail "a run that went on has other samples: $(cat sampled/samples.jsonl)"
rm -rf sampled/checkpoints/step-00001*
ln -sfn checkpoints/step-000005 sampled/model
expect 0 --resume sampled --sample-every 0
[ "$(cat sampled/samples.jsonl)" = "$(head -n 1 whole)" ] || fail "samples of steps to come stayed: $(cat sampled/samples.jsonl)"
rm -rf sampled/checkpoints/step-00001*
ln -sfn checkpoints/step-000005 sampled/model
expect 0 --resume sampled --sample-every 12 --prompt 'kilu'
has sampled/samples.jsonl '{"step": 12, "prompt": "kilu"'

# A checkpoint whose weights were changed is none.
cp -rL run/model damaged
printf x | dd of=damaged/model.safetensors bs=1 seek=$(($(wc -c <damaged/model.safetensors) - 99)) conv=notrunc status=none
text='damaged/model.safetensors|XXH3-128|the weights are damaged'
trouble "$text" generate --model damaged --prompt bado
trouble "$text" eval --model damaged --data data
trouble "$text" train "${small[@]}" --model damaged --steps 1 --out never
echo '{"epoch": 3}' >damaged/state.json # another program's
expect 0 eval --model damaged --data data
expect 0 inspect damaged
finish
