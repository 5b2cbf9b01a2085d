#!/usr/bin/env bash
# Makes the seeds of the fuzz targets again, of text of our own: seeds.sh MM CORPUS. What a target's input is stands at the
# head of NAME.c. Files that a finding left in CORPUS keep their names, and stay.
set -eu
mm=$(realpath "$1") corpus=$(realpath -m "$2")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
ln -s "$mm" mm # run.json tells the command
mm=./mm

# seed TARGET NAME: standard input goes into it.
seed() {
    mkdir -p "$corpus/$1"
    cat >"$corpus/$1/$2"
}
divider() { printf '\n%%%%\n'; }
# octal \NNN escapes of a number of that many bytes, the lowest first.
number() {
    local bytes=$1 value=$2
    while [ "$bytes" -gt 0 ]; do
        printf '%b' "\\0$(printf '%o' $((value & 255)))"
        value=$((value >> 8)) bytes=$((bytes - 1))
    done
}
numbers() {
    local bytes=$1 value
    shift
    for value in "$@"; do number "$bytes" "$value"; done
}

# --- what mm itself writes
cat >text.jsonl <<'END'
{"text": "The quick brown fox jumps over the lazy dog; the dog sleeps in the sun, and the fox runs on."}
{"text": ""}
{"text": "Over the river \u4e2d\u6587 and down, 12345 times."}
END
"$mm" tokenizer train --vocab-size 270 --out tokenizer.json text.jsonl >/dev/null 2>&1
"$mm" pack --tokenizer tokenizer.json --out data text.jsonl >/dev/null 2>&1
cat >model.json <<'END'
{"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 270, "hidden_size": 4, "num_hidden_layers": 1,
 "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 2, "intermediate_size": 8, "hidden_act": "silu",
 "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"},
 "tie_word_embeddings": true, "attention_bias": false, "max_position_embeddings": 2048, "use_sliding_window": false,
 "bos_token_id": 1, "eos_token_id": [2], "pad_token_id": null}
END
"$mm" --data data --threads 2 --micro-batch 1 --batch 2 --seq-len 8 --steps 3 --save-every 2 --trace layer --out run \
    >/dev/null 2>&1
state=$(echo run/checkpoints/step-*2/state.json)

# --- config
seed config qwen3 <model.json
seed config llama <<'END'
{"model_type": "llama", "vocab_size": 100, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
 "intermediate_size": 16, "mlp_bias": false, "pretraining_tp": 1, "rope_scaling": null, "rope_theta": 1e4,
 "layer_types": ["full_attention", "full_attention"], "partial_rotary_factor": 1.0, "head_dim": null}
END

{
    cat model.json
    divider
    printf '%s' '{"eos_token_id": [2, 5], "do_sample": true, "temperature": 0.7, "top_k": 20, "top_p": 0.9, "repetition_penalty": 1.1,
 "max_new_tokens": 64, "num_beams": 1, "typical_p": 1.0, "suppress_tokens": null, "min_p": 0.1}'
} | seed config generation

# --- safetensors
{
    printf '\1\0'
    printf '%s' '{"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}, '
    printf '%s' '"b": {"dtype": "BF16", "shape": [2], "data_offsets": [8, 12]}, '
    printf '%s' '"c": {"dtype": "F16", "shape": [], "data_offsets": [12, 14]}, '
    printf '%s' '"d": {"dtype": "I8", "shape": [1, 1, 1, 1, 2], "data_offsets": [14, 16]}}'
    divider
    printf '0123456789abcdef'
} | seed safetensors built
printf '\3\10{"a": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}}' | seed safetensors filled
{
    printf '\0\0'
    number 8 64
    printf '%-64s' '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
    number 4 1065353216
} | seed safetensors whole

# --- tensor_files: two shards and their index, and one file
tensor() { printf '{"%s": {"dtype": "%s", "shape": [2], "data_offsets": [0, %d]}}' "$@"; }
{
    printf '\11{"metadata": {"total_size": 12}, "weight_map": {"a": "model-00001-of-00003.safetensors", "b": "model-00002-of-00003.safetensors"}}'
    divider
    tensor a F32 8
    divider
    printf '01234567'
    divider
    tensor b BF16 4
    divider
    printf '0123'
} | seed tensor_files shards
{
    printf '\0'
    tensor c F16 4
    divider
    printf '0123'
} | seed tensor_files single

{
    printf '\11{"metadata": {}, "weight_map": {"a": "model-00001-of-00003.safetensors", "b": "model-00002-of-00003.safetensors"}}'
    for name in a a; do
        divider
        tensor $name F16 4
        divider
        printf '0123'
    done
} | seed tensor_files twice
{
    printf '\10{"weight_map": {"a": "model-00001-of-00003.safetensors"}}'
    divider
    printf '{"a": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}, "b": {"dtype": "F16", "shape": [1], "data_offsets": [2, 4]}}'
    divider
    printf '0123'
} | seed tensor_files not-in-the-index

# --- metrics: the mode is the step that is kept
{
    printf '\2'
    cat run/metrics.jsonl
    divider
    printf '{"step": 1, "seconds": 0.5, "tokens_per_second": 90.5, "resident_bytes": 4096.0}\n'
    printf '{"step": 2, "seconds": 0.5, "tokens_per_second": null, "resident_bytes": 4096.0, "nonfinite": ["tokens_per_second"]}\n'
    divider
    printf '{"step": 2, "prompt": "The", "text": " fox"}\n{"step": 4, "prompt": "The", "text": "\\u0000"}\n'
} | seed metrics run
{
    printf '\1'
    printf '{"step": 1, "loss": null, "lr": 0.1, "grad_norm": null, "tokens": 8, "val_loss": 1.5, "nonfinite": ["loss", "grad_norm"]}\n'
} | seed metrics nonfinite

# --- run.json and state.json
{ printf '\0'; cat run/run.json; } | seed run run
{
    printf '\0'
    grep -v '"seal"' run/run.json | sed '$d' | sed '$s/}$/},/'
    program='"build": {"version": "x", "compiler": "y", "type": "release", "kernels": "z"},
 "gemm": {"kernel": "k", "version": ""}, "machine": {"cpu": "c", "cores": 1, "system": "s"}}'
    printf '"continued": [{"after": 2, %s, {"after": 3, %s],\n' "$program" "$program"
    grep '"seal"' run/run.json
    echo '}'
} | seed run continued
{
    printf '\2'
    cat "$state"
    divider
    printf 'weights'
    divider
    printf 'moments'
} | seed run state

# --- trace: of a step's records, those of its first leaf and its end
lines() { gzip -dc run/trace.jsonl.gz | awk '/"format"/ || ++seen[$1] < 12' FS=,; }
{ printf '\1'; lines; } | seed trace lines
{ printf '\22'; lines | gzip -nc; } | seed trace members
{
    printf '\5{"format":"mm-trace","version":1,"level":"step","after":4}\n'
    printf '{"step":5,"pass":"backward","leaf":0,"node":[1,0],"rank":0,"layer":2,"op":"merge","io":"in","tensor":"a","shape":[2,3],"xxh128":"%032d"}\n' 7
    printf '{"format":"mm-trace","version":1,"level":"off","after":5}\n'
} | seed trace headers

# --- diff: runs of one step, of a model that has few numbers
mkdir small
cat >small/config.json <<'END'
{"model_type": "qwen3", "vocab_size": 270, "hidden_size": 2, "num_hidden_layers": 1, "num_attention_heads": 1,
 "num_key_value_heads": 1, "head_dim": 2, "intermediate_size": 1, "hidden_act": "silu", "rms_norm_eps": 1e-06,
 "rope_theta": 1000000.0, "tie_word_embeddings": true, "attention_bias": false, "max_position_embeddings": 64,
 "bos_token_id": 1, "eos_token_id": 2}
END
at=0
weight() { # NAME SHAPE NUMBERS
    printf '%s"%s": {"dtype": "BF16", "shape": [%s], "data_offsets": [%d, %d]}' "$before" "$1" "$2" $at $((at + 2 * $3))
    at=$((at + 2 * $3)) before=', '
}
{
    before='{' layer=model.layers.0
    weight model.embed_tokens.weight 270,2 540
    for name in q k v o; do weight $layer.self_attn.${name}_proj.weight 2,2 4; done
    for name in input_layernorm self_attn.q_norm self_attn.k_norm post_attention_layernorm; do weight $layer.$name.weight 2 2; done
    for name in gate up; do weight $layer.mlp.${name}_proj.weight 1,2 2; done
    weight $layer.mlp.down_proj.weight 2,1 2
    weight model.norm.weight 2 2
    printf '}'
} >header
{
    number 8 "$(wc -c <header)"
    cat header
    # BF16 from 1/128 to 1.8
    for ((i = 0; i < at / 2; i++)); do number 2 $((0x3c00 + i * 37 % 1000)); done
} >small/model.safetensors
small_run() { # NAME OPTION...
    "$mm" --model small --data data --seq-len 4 --micro-batch 1 --dropout 0 --out "$@" >/dev/null 2>&1 || true
}
of_run() { # NAME, in three pieces
    cat "$1/run.json"
    divider
    cat "$1/metrics.jsonl"
    divider
    gzip -dc "$1/trace.jsonl.gz"
}
tensors() { # FILE, in two pieces
    local size
    size=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    tail -c +9 "$1" | head -c "$size"
    divider
    tail -c +$((9 + size)) "$1"
}
small_run saved --threads 1 --batch 1 --steps 1
{
    printf '\34'
    of_run saved
    divider
    divider
    divider
    for file in state config tokenizer; do
        divider
        cat saved/model/$file.json
    done
    for file in model optimizer; do
        divider
        tensors saved/model/$file.safetensors
    done
} | seed diff saved
small_run one --threads 2 --batch 2 --steps 1 --save-every 0 --trace layer
small_run two --threads 2 --batch 2 --steps 1 --save-every 0 --trace layer --seed 2
{
    printf '\30'
    of_run one
    divider
    of_run two
} | seed diff two-seeds
small_run one-rank --threads 1 --batch 2 --steps 1 --save-every 0
{
    printf '\10'
    of_run one
    divider
    of_run one-rank
} | seed diff levels-and-ranks
small_run spoiled --threads 1 --batch 1 --steps 3 --save-every 0 --clip 0 --lr 1e30
{
    printf '\30'
    of_run spoiled
} | seed diff not-finite

# --- text
{ printf '\1\2'; cat text.jsonl; } | seed text jsonl
{ printf '\33\1{"t": "one"}\r\n \n{"t": 2}\n{"u": "\\ud83d\\ude00"}\n{"t": "\\u0000", "t2": [1, {"a": null}]}'; } | seed text gzip-bad-lines
printf '\6\4one\ntwo\n--\n--\nthree  \n\n four\n--' | seed text split
printf '\0\1a long   line of words, 中文 and more\n\n  of them\n' | seed text whole
{ printf '\40\4'; printf 'some text in a member' | gzip -nc; printf 'and another' | gzip -nc; } | seed text members
{ printf '\41\4'; gzip -nc <text.jsonl; } | seed text members-jsonl

# --- bgzf
printf '\1\0\0\0What stands in a block.' | seed bgzf built
{ printf '\3\20\0\1'; head -c 2100 /dev/zero | tr '\0' a; } | seed bgzf flipped
{ printf '\0\0\0\0'; cat data/documents-00000.gz; } | seed bgzf documents
{ printf '\2\0\1\4'; cat data/tokens-00000.gz; } | seed bgzf tokens

# --- dataset: bos 1, eos 2 of the target's own small tokenizer
zero=$(printf '%032d' 0)
shard() { printf '{"tokens": "tokens-%05d.gz", "documents": "documents-%05d.gz", "tokens_xxh128": "%s", "documents_xxh128": "%s"}' "$1" "$1" "$zero" "$zero"; }
# manifest TOKEN-BYTES VOCABULARY SHARDS
manifest() {
    printf '{"format": "mm-dataset", "version": 1, "token_bytes": %d, "block_bytes": 64000, "vocab_size": %d, ' "$1" "$2"
    printf '"bos": 1, "eos": 2, "tokenizer_xxh128": "%s", "unicode": "15.0.0", "shards": [%s' "$zero" "$(shard 0)"
    [ "$3" = 1 ] || printf ', %s' "$(shard 1)"
    printf ']}'
}
{
    printf '\3\2'
    manifest 2 6 2
    divider
    numbers 2 1 3 4 2 1 2
    divider
    numbers 8 4 6
    divider
    numbers 2 1 5 2
    divider
    numbers 8 3
} | seed dataset two-shards
{
    printf '\17\3'
    manifest 4 65537 1
    divider
    numbers 4 1 65536 2
    divider
    numbers 8 3
} | seed dataset wide
{
    printf '\23\10'
    manifest 2 6 1 | sed 's/"shards"/"documents": 3, "tokens": 9, "text_bytes": 4, &/'
    divider
    numbers 2 1 3 2 1 4 2 1 5 2
    divider
    numbers 8 3 6 9
} | seed dataset counts
{
    printf '\10\4'
    cat data/dataset.json
    divider
    cat data/tokens-00000.gz
    divider
    cat data/documents-00000.gz
    divider
    divider
    divider
    cat data/tokenizer.json
} | seed dataset packed

# --- tokenizer: tokenizer.json, a text, tokenizer_config.json
small() { # PRE-TOKENIZER NORMALIZER MERGES MORE-OF-THE-MODEL
    printf '{"version": "1.0", "truncation": null, "padding": null, "added_tokens": ['
    printf '{"id": 0, "content": "<|endoftext|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}, '
    printf '{"id": 7, "content": "ab cd", "single_word": true, "lstrip": true, "rstrip": true, "normalized": true, "special": false}], '
    printf '"normalizer": %s, "pre_tokenizer": %s, "post_processor": null, "decoder": {"type": "ByteLevel"}, ' "$2" "$1"
    printf '"model": {"type": "BPE", "dropout": null, "unk_token": null%s, "vocab": ' "$4"
    printf '{"<|endoftext|>": 0, "a": 1, "b": 2, "c": 3, "\\u0120": 4, "ab": 5, "\\u0120ab": 6}, "merges": %s}}' "$3"
}
level() { printf '{"type": "ByteLevel", "add_prefix_space": %s, "trim_offsets": true, "use_regex": %s}' "$1" "$2"; }
split() { printf '{"type": "Split", "pattern": {"%s": "%s"}, "behavior": "%s", "invert": %s}' "$1" "$2" "$3" "$4"; }
of() { printf '{"type": "Sequence", "pretokenizers": [%s, %s]}' "$1" "$2"; }
cat tokenizer.json | seed tokenizer trained
{
    small "$(level false true)" null '["a b", "\u0120 ab"]' ''
    divider
    printf 'ab ab cd abc<|endoftext|> ab'
    divider
    printf '{"bos_token": "<|endoftext|>", "eos_token": {"content": "ab cd"}}'
} | seed tokenizer byte-level
{
    small "$(level false false)" '{"type": "NFC"}' '["a b", "b c", "ab c", "c a", "ca b", "b b"]' '' |
        sed 's/"\\u0120ab": 6/&, "bc": 8, "abc": 9, "ca": 10, "cab": 11, "bb": 12/'
    divider
    printf 'cabcabbbcabbcbacb'
} | seed tokenizer chains
llama="(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
{
    small "$(of "$(split Regex "$llama" Isolated false)" "$(level false false)")" '{"type": "NFC"}' '[["a", "b"], ["\u0120", "ab"]]' ', "ignore_merges": true'
    divider
    printf "it's 12345 ab\r\n\r\n  A\xcc\x81"
} | seed tokenizer llama-3
{
    small "$(of "$(split String "b" MergedWithNext true)" '{"type": "Digits", "individual_digits": true}')" \
        '{"type": "Sequence", "normalizers": []}' '[]' ', "fuse_unk": false, "byte_fallback": false'
    divider
    printf 'abab 123 b'
} | seed tokenizer split
for behavior in Removed MergedWithPrevious Contiguous; do
    small "$(split Regex '\\\\s+|[a-c]{2,}?(?=b)' "$behavior" false)" null '["a b"]' '' | seed tokenizer "split-$behavior"
done
