# shellcheck shell=sh
# What golden tests are made of: a text and a model, out of integer arithmetic, the same on every machine. To be sourced;
# $dir is a folder of the caller's.
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
