#!/usr/bin/env bash
# Training from a model: where its texts end, its chat template, tokens that it has no weights for, and what becomes of
# the run when the model's folder changes or is gone. And what its generation_config.json says.
# shellcheck source=tests/cli_lib.sh
. "${0%/*}/cli_lib.sh"

make_text 400 7 >text.txt
{ for _ in $(seq 60); do make_text 1 7; echo %; done; } >short.txt
"$mm" tokenizer train --vocab-size 300 --out tokenizer.json text.txt >/dev/null || fail "tokenizer train"
"$mm" pack --tokenizer tokenizer.json --split % --out data short.txt >/dev/null || fail "pack"
small=(--seq-len 16 --batch 4 --micro-batch 1 --threads 2 --val-every 0 --dropout 0)
expect 0 train --data data "${small[@]}" --steps 2 --out first
cp -rL first/model base
rm base/state.json base/optimizer.safetensors

# copy NAME: base, to be changed.
copy() { rm -rf "$1" && cp -r base "$1"; }

# A model whose texts ended otherwise ends them as the data's documents do, and as it did before.
copy ended
sed -i 's/"eos_token_id": 2/"eos_token_id": 0/; s/"bos_token_id": 1/"bos_token_id": 0/' ended/config.json
expect 0 train --model ended --data data "${small[@]}" --steps 80 --lr 3e-3 --out tuned
has tuned/model/config.json '"eos_token_id": [2, 0]' '"bos_token_id": 1'
has tuned/model/tokenizer_config.json '"eos_token": "<|im_end|>"'
prompt="<|im_start|>$(make_text 1 7)"
expect 0 generate --model tuned/model --prompt "$prompt" --temperature 0 --max-tokens 20
has err "the model ended the document"
expect 0 export --dtype f32 --out exported tuned
tr -d ' \n' <exported/generation_config.json >said
has said '"eos_token_id":[2,0]'
copy ends
sed -i 's/"eos_token_id": 2/"eos_token_id": [7, 2, 9]/' ends/config.json
expect 0 train --model ends --data data "${small[@]}" --steps 1 --out ends-run
has ends-run/model/config.json '"eos_token_id": [2, 7, 9]'

# A run whose run.json knows nothing of the data's end, as older ones, ends its samples there all the same.
sampled=(--data data "${small[@]}" --schedule constant --lr 3e-3 --sample-every 1 --prompt "$prompt")
expect 0 train --model tuned/model "${sampled[@]}" --steps 2 --out samples
cp -r samples older
sed -i '/"eos_token_id"/s/: .*,/: 0,/' older/run.json
run inspect older
seal=$(grep -o 'its text gives [0-9a-f]*' err | grep -o '[0-9a-f]*$') || fail "no seal for run.json: $(cat err)"
sed -i "s/\"seal\": \"[0-9a-f]*\"/\"seal\": \"$seal\"/" older/run.json
expect 0 --resume samples --steps 3
expect 0 --resume older --steps 3
has older/samples.jsonl '{"step": 3, '
cmp -s older/samples.jsonl samples/samples.jsonl || fail "samples do not end at the data's end: $(cat older/samples.jsonl)"

# A longer sequence than the model had positions for is one that it has from here on.
copy narrow
sed -i 's/"max_position_embeddings": [0-9]*/"max_position_embeddings": 8/' narrow/config.json
expect 0 train --model narrow --data data "${small[@]}" --steps 1 --out widened
has widened/model/config.json '"max_position_embeddings": 16'

# The chat template goes along, whichever way the model has it, also when the run goes on without the model.
template='{% for m in messages %}{{ m["content"] }}é{% endfor %}'
copy chat
printf '%s\n' "$template" >chat/chat_template.jinja
written='"chat_template": "{% for m in messages %}{{ m[\"content\"] }}é{% endfor %}'
expect 0 train --model chat --data data "${small[@]}" --steps 4 --save-every 2 --out chats
has chats/model/tokenizer_config.json "$written\\n\""
rm -rf chats/checkpoints/step-000004 chat
expect 0 --resume chats
has chats/checkpoints/step-000004/tokenizer_config.json "$written\\n\""
copy chat
echo "{$written" >chat/tokenizer_config.json
rm chat/tokenizer.json
trouble 'chat/tokenizer_config.json|chat template|move it away' train --model chat --data data "${small[@]}" --steps 1 --out never
cp tokenizer.json chat
echo "{$written\"}" >chat/tokenizer_config.json
expect 0 train --model chat --data data "${small[@]}" --steps 1 --out chats-2
has chats-2/model/tokenizer_config.json "$written\""
echo "{\"chat_template\": [{\"name\": \"tools\", \"template\": \"x\"}, {\"name\": \"default\", ${written/chat_/}\"}]}" >chat/tokenizer_config.json
expect 0 train --model chat --data data "${small[@]}" --steps 1 --out chats-3
has chats-3/model/tokenizer_config.json "$written\""

# A tokenizer may know a token that the model has no weights for; a text may not hold it.
copy padded
sed -i 's/"added_tokens": \[/&{"id": 300, "content": "<pad>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},/' padded/tokenizer.json
expect 0 eval --model base --data text.txt --json
cp out eval-base
expect 0 eval --model padded --data text.txt --json
cmp -s out eval-base || fail "a token that no text has changes the loss: $(cat out)"
expect 0 train --model padded --data text.txt --val-data text.txt "${small[@]}" --val-every 1 --token-noise 0.5 --steps 2 --out padded-run
echo 'ba do <pad> ki' >pad.txt
trouble 'pad.txt holds token 300 (<pad>)|padded has a vocabulary of 300' eval --model padded --data pad.txt
trouble 'token 300 (<pad>)|padded has a vocabulary of 300' train --model padded --data pad.txt "${small[@]}" --steps 1 --out never
trouble 'token 300 (<pad>)|padded has a vocabulary of 300' train --model padded --data text.txt --val-data pad.txt "${small[@]}" --val-every 1 --steps 1 --out never
prompts='the prompt holds token 300 (<pad>) of |tokenizer.json|vocabulary of 300'
trouble "$prompts" train --model padded --data text.txt "${small[@]}" --steps 1 --sample-every 1 --prompt 'ba <pad>' --out never
trouble "$prompts" generate --model padded --prompt 'ba <pad>'
[ -e never ] && fail "a refused start left its run"
expect 0 train --model padded --data text.txt "${small[@]}" --schedule constant --steps 2 --out padded-on
cp padded-on/run.json before
trouble "$prompts" --resume padded-on --steps 4 --sample-every 1 --prompt 'ba <pad>'
cmp -s padded-on/run.json before || fail "a refused prompt is in run.json"

# Training and validation data mark their documents alike.
mkdir other-marks
cp tokenizer.json other-marks
echo '{"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"}' >other-marks/tokenizer_config.json
expect 0 pack --tokenizer other-marks --split % --out other-data short.txt
trouble 'documents of |data begin and end with tokens 1 and 2|other-data with 0 and 2' train --data data --val-data other-data "${small[@]}" --val-every 1 --steps 1 --out never

# A run has the model that it began with, whatever becomes of the folder.
copy changing
expect 0 train --model changing --data data "${small[@]}" --steps 6 --save-every 2 --out whole
cp -r whole again
rm -rf again/checkpoints/step-00000[46]
sed -i 's/1e-06/0.1/; s/1000000.0/10000.0/' changing/config.json
cmp -s changing/config.json base/config.json && fail "config.json has other numbers than this test expects"
expect 0 --resume again
cmp -s again/metrics.jsonl whole/metrics.jsonl || fail "another config.json in the model's folder changed the run"
cmp -s again/model/config.json whole/model/config.json || fail "the checkpoint has the changed config.json"
rm -r changing
rm -rf again/checkpoints/step-00000[46]
expect 0 --resume again
cmp -s again/model/model.safetensors whole/model/model.safetensors || fail "without the model's folder the run has other weights"
rm -rf again/checkpoints/step-*  again/model
trouble 'changing' --resume again

# What generation_config.json says holds unless the command line says something else.
generate=(generate --prompt "${prompt%% *} ${prompt%% *}" --json --model)
rm -rf base says
cp -rL tuned/model base
rm base/state.json
copy says
expect 0 "${generate[@]}" base --temperature 0 --repetition-penalty 50 --max-tokens 12
cp out penalised
expect 0 "${generate[@]}" base --temperature 0 --max-tokens 12
cp out greedy
cmp -s greedy penalised && fail "a repetition penalty of 50 changes nothing"
echo '{"do_sample": false, "repetition_penalty": 50, "max_new_tokens": 12, "typical_p": 1.0, "num_beams": 1, "min_p": null, "bad_words_ids": []}' >says/generation_config.json
expect 0 "${generate[@]}" says
cmp -s out penalised || fail "generation_config.json is not followed: $(cat out err)"
expect 0 "${generate[@]}" says --repetition-penalty 1
cmp -s out greedy || fail "the command line does not come before generation_config.json"
expect 0 "${generate[@]}" base --temperature 0.6 --top-k 20 --top-p 0.9 --max-tokens 12
cp out drawn
echo '{"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.9, "max_new_tokens": 12}' >says/generation_config.json
expect 0 "${generate[@]}" says
cmp -s out drawn || fail "temperature, top_k and top_p of generation_config.json are not taken"
echo '{"do_sample": false, "temperature": 0.6, "max_new_tokens": 12}' >says/generation_config.json
expect 0 "${generate[@]}" says --top-k 20 --top-p 0.9
cmp -s out drawn || fail "do_sample false comes before --top-k"
for setting in '"top_k": -1|--top-k 20' '"top_p": 1.5|--top-p 0.9' '"temperature": "hot"|--temperature 0.6'; do
    echo "{\"max_new_tokens\": 12, ${setting%|*}}" >says/generation_config.json
    trouble "says/generation_config.json|${setting%%:*}|give --" "${generate[@]}" says --seed 1337
done
for setting in '"suppress_tokens": [5]' '"encoder_no_repeat_ngram_size": 1' '"num_beams": 2' '"min_new_tokens": 4' '"no_repeat_ngram_size": 3'; do
    echo "{$setting}" >says/generation_config.json
    trouble "says/generation_config.json|${setting%%:*}|take it out" "${generate[@]}" says --temperature 0
    expect 0 eval --model says --data text.txt
done
echo '{"min_p": 0.1}' >says/generation_config.json
trouble 'says/generation_config.json|"min_p"|--temperature 0' "${generate[@]}" says
expect 0 "${generate[@]}" says --temperature 0 --max-tokens 12
cmp -s out greedy || fail "min_p changes greedy text"
echo '{"top_k": -1, "top_p": 7}' >says/generation_config.json
expect 0 "${generate[@]}" says --temperature 0 --max-tokens 12
cmp -s out greedy || fail "numbers that say nothing at temperature 0 change the text"

finish
