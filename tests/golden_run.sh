#!/bin/sh
# The golden run: a text, a model and a dataset made of integer arithmetic, then small training runs of every operation,
# dropout, token noise, every seed policy and both packings. Prints a hash for each run and one of all.
# Usage: golden_run.sh GOLDEN MM [LAUNCHER]   MM is the program, which LAUNCHER (an emulator) starts if it is given.
# GOLDEN is a file of the hashes expected, or - to print them only. On purpose other bits, so another version of streams
# or arithmetic (`mm` writes both to run.json), are committed with: golden_run.sh - build/tools/mm >tests/golden/run.txt
set -eu
golden=$1 mm=$2 launcher=${3:-}
export LC_ALL=C
dir=$(mktemp -d "${TMPDIR:-/tmp}/mm-golden-XXXXXX")
trap 'rm -rf "$dir"' EXIT

# Sentences of made-up words, some in letters beyond ASCII, with numbers and marks; a line of % ends a document.
make_text() {
    awk 'function draw(n) { x = x * 16807 % 2147483647; return x % n }
    BEGIN {
        x = 11
        parts = split("lo mi ra se tun ka ve do \303\251l \303\237e \346\234\250 the a", part, " ")
        marks = split(". , ; ! ? \342\200\224", mark, " ")
        for (document = 0; document < 40; document++) {
            words = 3 + draw(80)
            for (i = 0; i < words; i++) {
                word = ""
                for (j = draw(4); j >= 0; j--) word = word part[1 + draw(parts)]
                if (draw(12) == 0) word = draw(3000)
                printf "%s%s%s", word, draw(7) ? "" : mark[1 + draw(marks)], draw(15) ? " " : "\n"
            }
            print "\n%"
        }
    }'
}

# Bytes from lines of octal escapes.
write_bytes() {
    while IFS= read -r line; do printf '%b' "$line"; done
}

# A model that no preset is: llama, with biases, an output of its own, three query heads on one key/value head.
# Weights are +-2^-7 to 2^-5: three bytes drawn, then sign and exponent. Norms are 1 to 1.992.
make_model() {
    mkdir "$dir/llama"
    cat >"$dir/llama/config.json" <<END
{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 300, "hidden_size": 48,
 "num_hidden_layers": 2, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 16, "intermediate_size": 80,
 "attention_bias": true, "tie_word_embeddings": false, "hidden_act": "silu", "rms_norm_eps": 1e-05,
 "rope_theta": 10000.0, "max_position_embeddings": 512, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
END
    awk 'function draw(n) { x = x * 16807 % 2147483647; return x % n }
    function byte(value) { bytes = bytes sprintf("\\0%03o", value); if (length(bytes) > 400) flush() }
    function flush() { if (bytes != "") print bytes; bytes = "" }
    function tensor(name, rows, columns) {
        names[count] = name; sizes[count] = rows * (columns ? columns : 1)
        shapes[count++] = columns ? rows "," columns : rows
    }
    BEGIN {
        x = 13
        count = offset = 0
        tensor("model.embed_tokens.weight", 300, 48)
        for (layer = 0; layer < 2; layer++) {
            at = "model.layers." layer "."
            tensor(at "input_layernorm.weight", 48)
            tensor(at "self_attn.q_proj.weight", 48, 48); tensor(at "self_attn.q_proj.bias", 48)
            tensor(at "self_attn.k_proj.weight", 16, 48); tensor(at "self_attn.k_proj.bias", 16)
            tensor(at "self_attn.v_proj.weight", 16, 48); tensor(at "self_attn.v_proj.bias", 16)
            tensor(at "self_attn.o_proj.weight", 48, 48); tensor(at "self_attn.o_proj.bias", 48)
            tensor(at "post_attention_layernorm.weight", 48)
            tensor(at "mlp.gate_proj.weight", 80, 48); tensor(at "mlp.up_proj.weight", 80, 48)
            tensor(at "mlp.down_proj.weight", 48, 80)
        }
        tensor("model.norm.weight", 48)
        tensor("lm_head.weight", 300, 48)
        for (i = 0; i < count; i++) {
            header = header (i ? "," : "{") "\"" names[i] "\":{\"dtype\":\"F32\",\"shape\":[" shapes[i] "],"
            header = header "\"data_offsets\":[" offset "," offset + 4 * sizes[i] "]}"
            offset += 4 * sizes[i]
        }
        header = header "}"
        while (length(header) % 8) header = header " "
        for (i = 0; i < 8; i++) byte(int(length(header) / 256 ^ i) % 256)
        flush()
        print header
        for (i = 0; i < count; i++) {
            norm = names[i] ~ /norm/
            for (j = 0; j < sizes[i]; j++) {
                byte(draw(256)); byte(draw(256))
                if (norm) { byte(128 + draw(127)); byte(63) }
                else { byte(draw(256)); byte(60 + 128 * draw(2)) }
            }
        }
        flush()
    }' | write_bytes >"$dir/llama/model.safetensors"
}

# hash NAME: a line for what comes in.
hash() {
    echo "$(sha256sum | cut -d ' ' -f 1)  $1" | tee -a "$dir/hashes"
}

# mm, quiet unless it fails.
quiet() {
    "$@" >"$dir/output" 2>&1 || {
        status=$?
        cat "$dir/output"
        echo "FAILED: exit $status: $*"
        exit 1
    }
}

# train NAME OPTIONS...
train() {
    name=$1
    shift
    quiet $launcher "$mm" train --data "$dir/data" --workers 2 --save-every 0 --out "$dir/$name" "$@"
    for file in metrics.jsonl model/model.safetensors model/optimizer.safetensors; do
        hash "$name/${file##*/}" <"$dir/$name/$file"
    done
}

make_text >"$dir/text.txt"
hash text.txt <"$dir/text.txt"
make_model
hash llama/model.safetensors <"$dir/llama/model.safetensors"
quiet $launcher "$mm" tokenizer train --vocab-size 300 --out "$dir/tokenizer.json" "$dir/text.txt"
hash tokenizer.json <"$dir/tokenizer.json"
quiet $launcher "$mm" pack --tokenizer "$dir/tokenizer.json" --split % --out "$dir/data" "$dir/text.txt"
zcat "$dir/data/tokens-00000.gz" | hash data/tokens

# The preset tiny with each policy; then our model: leaves of more than 256 rows and sequences longer than one tile of
# attention, and a clip that bites.
small='--steps 3 --ranks 2 --batch 4 --micro-batch 1 --seq-len 16 --dropout 0.2 --token-noise 0.1'
for policy in rank shared hashed sample; do train "policy-$policy" $small --seed-policy $policy; done
train documents $small --packing document --order sequential --schedule constant
train long --model "$dir/llama" --steps 4 --ranks 2 --batch 4 --micro-batch 2 --seq-len 150 --dropout 0.1 --lr 1e-2 \
    --clip 0.25 --weight-decay 0.1
train many-steps --model "$dir/llama" --steps 40 --ranks 1 --batch 4 --micro-batch 4 --seq-len 20 --dropout 0 --warmup 5
$launcher "$mm" eval --model "$dir/many-steps/model" --data "$dir/data" --seq-len 64 --json >"$dir/eval" 2>"$dir/output" ||
    { cat "$dir/output"; echo 'FAILED: eval'; exit 1; }
hash many-steps/eval <"$dir/eval"
total=$(sha256sum <"$dir/hashes" | cut -d ' ' -f 1)
echo "$total  total"
echo "$total  total" >>"$dir/hashes"

[ "$golden" = - ] && exit 0
if ! cmp -s "$golden" "$dir/hashes"; then
    echo "FAILED: other bits than $golden (< expected, > found):"
    diff "$golden" "$dir/hashes" | grep '^[<>]' || true
    exit 1
fi
echo "every hash is that of $golden"
