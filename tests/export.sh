#!/usr/bin/env bash
# Models of others and for others: shards, other types, mm export, and what mm eval says of them.
# shellcheck source=tests/cli_lib.sh
. "${0%/*}/cli_lib.sh"

make_text 300 7 >text.txt
make_text 40 8 >held.txt
expect 0 tokenizer train --vocab-size 300 --out tokenizer.json text.txt
expect 0 pack --tokenizer tokenizer.json --split % --out data text.txt
expect 0 pack --tokenizer tokenizer.json --out held held.txt
expect 0 train --data data --steps 4 --batch 8 --micro-batch 2 --threads 4 --seq-len 32 --save-every 2 --out run
weights=run/model/model.safetensors

# The tensors of a file, one a line, as its header has them.
header=$(od -An -tu8 -N 8 $weights | tr -d ' ')
tail -c +9 $weights | head -c "$header" |
    grep -oE '"[^"]+": \{"dtype": "F32", "shape": \[[0-9, ]+\], "data_offsets": \[[0-9]+, [0-9]+\]\}' >entries
tensors=$(wc -l <entries)
[ "$tensors" = 46 ] || fail "the header lists $tensors tensors"

little_endian() {
    local i
    for ((i = 0; i < 8; i++)); do
        # shellcheck disable=SC2059
        printf "\\$(printf %03o $(($1 >> 8 * i & 255)))"
    done
}

# shard FIRST LAST FILE [NAME]: a file of these tensors of the checkpoint, one of them under another name.
shard() {
    local text begin end
    begin=$(sed -n "$1s/.*data_offsets\": \[\([0-9]*\).*/\1/p" entries)
    end=$(sed -n "$2s/.*, \([0-9]*\)\]}/\1/p" entries)
    text="{$(sed -n "$1,$2p" entries | awk -v base="$begin" -v name="${4:-}" '{
        match($0, /data_offsets": \[.*/)
        split(substr($0, RSTART + 16), offset, /[^0-9]+/)
        line = substr($0, 1, RSTART - 1) "data_offsets\": [" offset[1] - base ", " offset[2] - base "]}"
        if (name) sub(/^"[^"]*"/, "\"" name "\"", line)
        printf "%s%s", (NR > 1 ? ", " : ""), line
    }')}"
    {
        little_endian ${#text}
        printf %s "$text"
        tail -c +$((9 + header + begin)) $weights | head -c $((end - begin))
    } >"$3"
}

# index FOLDER: what a sharded folder of one.safetensors and two.safetensors says, with further members.
index() {
    local map
    map=$(sed -n '1,20s/: {.*/: "one.safetensors"/p; 21,$s/: {.*/: "two.safetensors"/p' entries | paste -sd ,)
    printf '{"metadata": {"total_size": 1}, "weight_map": {%s%s}}' "$map" "${2:-}" >"$1/model.safetensors.index.json"
}

mkdir shards
cp run/model/config.json run/model/tokenizer.json shards
shard 1 20 shards/one.safetensors
shard 21 46 shards/two.safetensors
index shards

# Shards are the model: for eval, generate, train, inspect and export.
greedy=(--prompt bado --temperature 0 --max-tokens 12 --json)
for model in run/model shards; do
    expect 0 eval --model $model --data held --json
    cp out "eval-${model%/*}"
    expect 0 generate --model $model "${greedy[@]}"
    cp out "text-${model%/*}"
    expect 0 train --model $model --data data --steps 2 --batch 8 --threads 4 --seq-len 32 --out "from-${model%/*}"
    expect 0 export --out "export-${model%/*}" $model
done
for part in eval text; do cmp -s $part-run $part-shards || fail "shards give another $part"; done
cmp -s from-run/metrics.jsonl from-shards/metrics.jsonl || fail "training from shards has other losses"
expect 0 inspect shards
has out "46 tensors" "F32" "in 2 shards"
expect 0 inspect shards --json
has out '"name": "model.norm.weight"'

# What an index may not say, and what a model may not hold.
cp -r shards bad
for name in ../one.safetensors /etc/x.safetensors; do
    sed "s|one.safetensors|$name|" shards/model.safetensors.index.json >bad/model.safetensors.index.json
    trouble "bad/model.safetensors.index.json|model.embed_tokens.weight|$name|without folders" eval --model bad --data held
done
index bad ', "other": "three.safetensors"'
trouble "bad/three.safetensors|no such file" generate --model bad --prompt x
index bad ', "other": "two.safetensors"'
trouble 'bad/model.safetensors.index.json|"other"|two.safetensors' export --out never bad
index bad
shard 21 45 bad/two.safetensors
trouble "bad/model.safetensors.index.json|model.norm.weight|two.safetensors" train --model bad --data data --steps 1 --out never
cp shards/two.safetensors bad
sed -i 's/"qwen3"/"llama"/' bad/config.json
trouble "bad/|model.layers.0.self_attn.q_norm.weight|does not have" eval --model bad --data held
cp shards/config.json bad
sed 's/"tie_word_embeddings": true/"tie_word_embeddings": false/' shards/config.json >bad/config.json
trouble "bad/|has no tensor lm_head.weight|tie_word_embeddings" eval --model bad --data held
cp shards/config.json bad
# A model that was saved without its head has names without "model.".
cp -rL run/model bare
rm bare/state.json
LC_ALL=C sed 's/"model\.\([^"]*\)"/"\1"      /g' run/model/model.safetensors >bare/model.safetensors
expect 0 inspect bare --json
grep -q '"model\.' out && fail "the names of bare have their prefix still"
expect 0 eval --model bare --data held --json
cmp -s out eval-run || fail "names without model. give another loss"
expect 0 export --dtype f32 --out clothed bare
cmp -s clothed/model.safetensors run/model/model.safetensors || fail "names without model. are exported otherwise"
rm -r bare clothed
mkdir unweighted
cp shards/config.json shards/tokenizer.json unweighted
touch unweighted/pytorch_model.bin
trouble "unweighted/model.safetensors: no such file|unweighted/model.safetensors.index.json|save_pretrained" eval --model unweighted --data held
trouble "unweighted/config.json: found a file, expected a model's folder" generate --model unweighted/config.json --prompt x

# Tied embeddings may stand there twice, if they are the same.
index bad ', "lm_head.weight": "head.safetensors"'
shard 1 1 bad/head.safetensors lm_head.weight
expect 0 eval --model bad --data held --json
cmp -s out eval-run || fail "a second embedding gives another loss"
turn bad/head.safetensors 4000
trouble "bad/head.safetensors|lm_head.weight|tie_word_embeddings" eval --model bad --data held

# Exports: the same bytes in F32, from a run, its newest checkpoint, shards; to narrower types and back.
cmp -s export-run/model.safetensors $weights || fail "an F32 export has other bytes than the checkpoint"
cmp -s export-shards/model.safetensors $weights || fail "an export of shards has other bytes"
expect 0 export --out deep/er/whole run
has out "deep/er/whole" "46 tensors" "f32"
diff -r deep/er/whole export-run >said || fail "a run is not its newest checkpoint: $(cat said)"
expect 0 export --out first run/checkpoints/step-000002
cmp -s first/model.safetensors $weights && fail "an older checkpoint is the newest"
for file in tokenizer.json tokenizer_config.json; do cmp -s run/model/$file export-run/$file || fail "$file was not copied"; done
has export-run/generation_config.json '"eos_token_id": [2]' '"bos_token_id": 1' '"pad_token_id": 0'
has export-run/tokenizer_config.json '"tokenizer_class": "PreTrainedTokenizerFast"' '"eos_token": "<|im_end|>"'
for type in bf16 f16; do
    expect 0 export --dtype $type --out $type --json run
    has out "\"dtype\": \"$type\"" '"tensors": 46' '"parameters": '
    expect 0 inspect $type
    has out "${type^^}"
    expect 0 export --out wide-$type $type
    expect 0 export --dtype $type --out again-$type wide-$type
    cmp -s $type/model.safetensors again-$type/model.safetensors || fail "$type to f32 and back moved a number"
    expect 0 eval --model $type --data held --json
    cp out loss
    expect 0 eval --model wide-$type --data held --json
    cmp -s out loss || fail "$type is not what it is as f32"
    cmp -s out eval-run && fail "$type has the loss of f32 to the bit"
    # Weights rounded to 8 and 11 bits: measured 6.5e-5 and 7.0e-6 off.
    case $type in bf16) off=2e-4 ;; f16) off=3e-5 ;; esac
    awk -F '[:,]' -v off=$off 'NR == FNR {a = $2; next} {d = a / $2 - 1; exit !(d < off && d > -off)}' loss eval-run ||
        fail "$type: $(cat loss), of f32: $(cat eval-run)"
done
has bf16/config.json '"torch_dtype": "bfloat16"' '"dtype": "bfloat16"'
has f16/config.json '"torch_dtype": "float16"'

# What stands beside another's model goes with it.
cp -r shards theirs
echo '{"eos_token": "<|endoftext|>", "chat_template": "x"}' >theirs/tokenizer_config.json
echo '{"eos_token_id": [2, 7], "top_k": 20}' >theirs/generation_config.json
expect 0 export --dtype bf16 --out kept theirs
for file in tokenizer_config.json generation_config.json; do cmp -s theirs/$file kept/$file || fail "$file is another"; done
has kept/config.json '"eos_token_id": [2, 7]'

# A token's text is given to be typed only where no shell and no terminal takes it for something else.
mkdir typed
cp run/model/config.json typed
for token in "<|im'; touch owned #|>" '<|im\\u001b[31m|>' '<|im start|>' '<|im;start|>'; do
    sed "s/<|im_start|>/$token/g" run/model/tokenizer.json >typed/tokenizer.json
    trouble "the prompt is empty|token 1 of the tokenizer|some text" generate --model typed --prompt ""
    grep -qF -e --prompt -e im err && fail "the text of token $token is shown: $(cat err)"
done
sed "s/<|im_start|>/<s>/g" run/model/tokenizer.json >typed/tokenizer.json
trouble "--prompt '<s>' begins a document" generate --model typed --prompt ""
rm -r typed

# What has a file's name is that file, or is refused.
cp -r shards named
mkfifo named/model.safetensors
trouble "named/model.safetensors|pipe" eval --model named --data held
rm named/model.safetensors
echo '[]' >named/generation_config.json
trouble "named/generation_config.json|an array|an object" eval --model named --data held
rm named/generation_config.json
ln -s nowhere named/generation_config.json
trouble "named/generation_config.json|No such file" export --out never named
rm -r named

# inspect shows models that mm cannot run, and says so; what is no model's config.json is refused.
for model in run/model shards bf16; do
    expect 0 inspect $model
    grep -q "cannot run" out && fail "$model: $(cat out)"
    expect 0 inspect $model --json
    has out '"cannot_run": null'
done
cp -r shards shown
for change in '"model_type": "qwen3"|"model_type": "gpt\\nholds\\u009b2J"|gpt holds 2J, 4 layers|model_type "gpt holds 2J"; expected' \
    '"vocab_size": 300|"vocab_size": 301|vocabulary 301|model.embed_tokens.weight is F32 [300, 128]' \
    '"num_hidden_layers": 4|"num_hidden_layers": null|qwen3, ? layers|num_hidden_layers' \
    '"hidden_act": "silu"|"hidden_act": "gelu"|qwen3, 4 layers|hidden_act'; do
    IFS='|' read -r from to shape reason <<<"$change"
    sed "s/$from/$to/" shards/config.json >shown/config.json
    expect 0 inspect shown
    has out "$shape" "mm cannot run it: shown/" "$reason"
    [ "$(wc -l <out)" = 5 ] || fail "inspect shown: $(cat out)"
    expect 0 inspect shown --json
    has out '"cannot_run": "shown/'
    run eval --model shown --data held
    [ "$(sed 's/^mm: //' err)" = "$("$mm" inspect shown | sed -n 's/^mm cannot run it: //p')" ] ||
        fail "eval gives another reason: $(cat err)"
done
for text in 42 '[]' null '"qwen3"'; do
    echo "$text" >shown/config.json
    trouble "shown/config.json|expected an object" inspect shown
    trouble "shown/config.json|expected an object" inspect shown --json
done
for change in 'hidden_size": 128|hidden_size": "big"' 'num_hidden_layers": 4|num_hidden_layers": 4.0' \
    'model_type": "qwen3"|model_type": ["qwen3"]' 'head_dim": 32|head_dim": {}' 'vocab_size": 300|vocab_size": true'; do
    sed "s/${change%|*}/${change#*|}/" shards/config.json >shown/config.json
    trouble "shown/config.json|\"${change%%\"*}\"|expected" inspect shown
    trouble "shown/config.json|\"${change%%\"*}\"|expected" inspect shown --json
done
rm -r shown

# Files beside the weights are looked at before they are copied: JSON, and ids that the model has.
cp -r shards beside
cat >beside/tokenizer_config.json <<'END'
{"eos_token": "<|endoftext|>", "model_max_length": 1000000000000000019884624838656,
 "x": 0.100000000000000005551115123125782702e-1, "9\"99999999999999999999\\": "\\"}
END
expect 0 export --out length beside
cmp -s beside/tokenizer_config.json length/tokenizer_config.json || fail "a long number was changed"
rm -r length
for text in '{"eos_token": "<|endof' '[]' '42' 'x' ''; do
    printf %s "$text" >beside/tokenizer_config.json
    trouble "beside/tokenizer_config.json" export --out never beside
done
rm beside/tokenizer_config.json
echo '{"a": 1, "a": 2}' >beside/special_tokens_map.json # mm does not read it
expect 0 export --out as-it-is beside
cmp -s beside/special_tokens_map.json as-it-is/special_tokens_map.json || fail "a file that mm does not read was changed"
rm -r as-it-is beside/special_tokens_map.json
head -c 3000 shards/tokenizer.json >beside/tokenizer.json
trouble "beside/tokenizer.json" export --out never beside
sed 's/"BPE"/"Unigram"/' shards/tokenizer.json >beside/tokenizer.json # mm cannot read it, another program may
trouble "beside/tokenizer.json" export --out never beside # nor name its tokens in a tokenizer_config.json
echo '{}' >beside/tokenizer_config.json
expect 0 export --out unread beside
cmp -s beside/tokenizer.json unread/tokenizer.json || fail "a tokenizer that mm cannot read was not copied"
rm -r unread
more='{"id": 300, "content": "<more>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": '
sed "s/\"added_tokens\": \[/&${more}false},/" shards/tokenizer.json >beside/tokenizer.json
trouble "beside/tokenizer.json|300|config.json" export --out never beside
sed "s/\"added_tokens\": \[/&${more}true},/" shards/tokenizer.json >beside/tokenizer.json # as a fine-tuned model's
expect 0 export --out padded beside
rm -r padded
rm -r beside

# What is refused leaves nothing.
echo 'some text' >some.txt
before=$(ls -A)
trouble "bf16|already there" export --out bf16 run
trouble "--dtype f64|f32, bf16 or f16" export --dtype f64 --out never run
trouble "--out is missing" export run
trouble "missing|no such folder" export --out never missing
trouble "data/config.json" export --out never data
trouble "run/config.json|no such file|RUN/model" eval --model run --data held
trouble "run/config.json|no such file|RUN/model" eval --model run --data some.txt
cp -rL run/model loud
rm loud/state.json
size=$(stat -c %s loud/model.safetensors)
printf '\000\120\303\107' | dd of=loud/model.safetensors bs=1 seek=$((size - 4)) conv=notrunc 2>err # 1e5
trouble "loud|model.norm.weight|100000|65504|--dtype bf16" export --dtype f16 --out never loud
expect 0 export --dtype bf16 --out loud-bf16 loud
printf '\377\377\177\177' | dd of=loud/model.safetensors bs=1 seek=$((size - 4)) conv=notrunc 2>err # the largest float
trouble "loud|model.norm.weight|--dtype f32" export --dtype bf16 --out never loud
expect 0 export --out loud-f32 loud
printf '\000\000\300\177' | dd of=loud/model.safetensors bs=1 seek=$((size - 4)) conv=notrunc 2>err # NaN
expect 3 export --out never loud
has err "model.norm.weight" "nan" "spoilt"
rm -r loud loud-bf16 loud-f32
cp -rL run/model damaged
turn damaged/model.safetensors $((size - 4))
trouble "damaged/model.safetensors|XXH3-128" export --out never damaged
rm -r damaged
(
    trap '' XFSZ
    ulimit -f 600
    trouble "model.safetensors|too large" export --out never run
    trouble "logits.safetensors|too large" eval --model run/model --data held --logits never
    exit "$failed"
) || failed=1
[ "$(ls -A)" = "$before" ] || fail "what was refused left something: $(diff <(echo "$before") <(ls -A))"

# Bits per byte: of the text that the data were made from.
bits() { sed 's/.*"bits_per_byte": \([^}]*\)}.*/\1/' "$1"; }
awk -F '[:,]' -v bits="$(bits eval-run)" -v bytes="$(stat -c %s held.txt)" '{
    expected = $2 * $6 / log(2) / bytes
    exit !(bits > 0 && bits / expected < 1 + 1e-12 && bits / expected > 1 - 1e-12)
}' eval-run || fail "bits per byte: $(cat eval-run)"
for workers in 1 3 8; do
    expect 0 eval --model run/model --data held --workers $workers --json --logits logits-$workers.safetensors
    cmp -s out eval-run || fail "$workers workers say another thing: $(cat out)"
    cmp -s logits-$workers.safetensors logits-1.safetensors || fail "$workers workers have other logits"
done
expect 0 eval --model run/model --data held.txt --json
[ "$(bits out)" = "$(bits eval-run)" ] || fail "a text is not the dataset made of it: $(cat out)"
expect 0 eval --model run/model --data held
has out "bits per byte"
sed -i 's/, "text_bytes": [0-9]*}/}/; /^  "text_bytes"/d' held/dataset.json
expect 0 eval --model run/model --data held --json
[ "$(bits out)" = null ] || fail "an old dataset knows its bytes: $(cat out)"
expect 0 eval --model run/model --data held
grep -q "bits per byte" out && fail "bits per byte of an unknown text"

# The logits in a file.
expect 0 inspect logits-1.safetensors
rows=$(sed 's/.*"tokens": \([0-9]*\).*/\1/' eval-run)
has out "I32  $rows " "F32  $rows x 300 "
trouble "logits-1.safetensors|already there" eval --model run/model --data held --logits logits-1.safetensors
trouble "none/|No such file" eval --model run/model --data held --logits none/logits.safetensors

# stop SIGNAL NAME ARGUMENT...: a command that is to make NAME gets the signal when it has begun to.
stop() {
    local signal=$1 name=$2
    shift 2
    "$mm" "$@" >out 2>err </dev/null &
    local work=$!
    wait_until compgen -G ".$name.tmp-*/*.safetensors" >found
    kill "-$signal" $work
    { wait $work; } 2>said
    status=$?
    [ -e "$name" ] && fail "mm $*: $signal left $name"
}

# Ctrl-C leaves nothing, a kill only what has a temporary's name. A large model of zeros is no large file.
make_text 2000 9 >long.txt
expect 0 pack --tokenizer tokenizer.json --out long long.txt
mkdir zeros
cat >zeros/config.json <<'END'
{"model_type": "llama", "vocab_size": 300000, "hidden_size": 512, "num_hidden_layers": 1, "num_attention_heads": 4,
 "intermediate_size": 8, "tie_word_embeddings": true}
END
at=0
text=
for tensor in embed_tokens:300000,512 norm:512 {layers.0.input_layernorm,layers.0.post_attention_layernorm}:512 \
    layers.0.self_attn.{q,k,v,o}_proj:512,512 layers.0.mlp.{gate,up}_proj:8,512 layers.0.mlp.down_proj:512,8; do
    shape=${tensor#*:}
    end=$((at + 4 * (${shape/,/*})))
    text+=", \"model.${tensor%:*}.weight\": {\"dtype\": \"F32\", \"shape\": [$shape], \"data_offsets\": [$at, $end]}"
    at=$end
done
{ little_endian $((${#text} + 1)); printf '{%s}' "${text:1}"; } >zeros/model.safetensors
truncate -s $((8 + ${#text} + 1 + at)) zeros/model.safetensors
for signal in INT KILL; do
    stop $signal stopped export --out stopped zeros
    [ $signal = KILL ] || { [ "$status" = 130 ] && has err "nothing was kept"; } || fail "export: Ctrl-C: exit $status: $(cat err)"
    [ $signal = KILL ] || ! compgen -G ".stopped.*" >found || fail "export: Ctrl-C left something"
    rm -rf .stopped.*
    stop $signal stopped eval --model run/model --data long --logits stopped
    [ $signal = KILL ] || { [ "$status" = 130 ] && has err "no loss was taken"; } || fail "eval: Ctrl-C: exit $status: $(cat err)"
    [ $signal = KILL ] || ! compgen -G ".stopped.*" >found || fail "eval: Ctrl-C left something"
    rm -rf .stopped.*
done
finish
