#include "tokenizer_train_write.h"

#include <mm/files/json.h>

const char *const mm_trained_specials[MM_TRAINED_SPECIALS] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};

static void write_added_tokens(mm_json_writer *w) {
    mm_json_put_key(w, "added_tokens");
    mm_json_open_array(w);
    for (int id = 0; id < MM_TRAINED_SPECIALS; id++) {
        mm_json_open_object(w);
        mm_json_pair_integer(w, "id", id);
        mm_json_pair_string(w, "content", mm_trained_specials[id]);
        mm_json_pair_bool(w, "single_word", false);
        mm_json_pair_bool(w, "lstrip", false);
        mm_json_pair_bool(w, "rstrip", false);
        mm_json_pair_bool(w, "normalized", false);
        mm_json_pair_bool(w, "special", true);
        mm_json_close(w);
    }
    mm_json_close(w);
}

// The library names the same settings in pre_tokenizer and decoder.
static void write_byte_level(mm_json_writer *w, const char *key) {
    mm_json_put_key(w, key);
    mm_json_open_object(w);
    mm_json_pair_string(w, "type", "ByteLevel");
    mm_json_pair_bool(w, "add_prefix_space", false);
    mm_json_pair_bool(w, "trim_offsets", true);
    mm_json_pair_bool(w, "use_regex", true);
    mm_json_close(w);
}

static void write_model(mm_json_writer *w, const mm_vocab *vocab, const mm_learned_merge *merges,
                        size_t count) {
    mm_json_put_key(w, "model");
    mm_json_open_object(w);
    mm_json_pair_string(w, "type", "BPE");
    mm_json_pair_string(w, "dropout", NULL);
    mm_json_pair_string(w, "unk_token", NULL);
    mm_json_pair_string(w, "continuing_subword_prefix", NULL);
    mm_json_pair_string(w, "end_of_word_suffix", NULL);
    mm_json_pair_bool(w, "fuse_unk", false);
    mm_json_pair_bool(w, "byte_fallback", false);
    mm_json_pair_bool(w, "ignore_merges", false);
    mm_json_put_key(w, "vocab");
    mm_json_open_object(w);
    size_t size;
    for (int32_t id = 0; id < vocab->count; id++) {
        const char *text = mm_vocab_text(vocab, id, &size);
        mm_json_put_key_n(w, text, size);
        mm_json_put_integer(w, id);
    }
    mm_json_close(w);
    mm_json_put_key(w, "merges");
    mm_json_open_array(w);
    for (size_t i = 0; i < count; i++) {
        mm_json_open_inline_array(w);
        const char *first = mm_vocab_text(vocab, merges[i].first, &size);
        mm_json_put_string_n(w, first, size);
        const char *second = mm_vocab_text(vocab, merges[i].second, &size);
        mm_json_put_string_n(w, second, size);
        mm_json_close(w);
    }
    mm_json_close(w);
    mm_json_close(w);
}

mm_status mm_trained_write(const mm_vocab *vocab, const mm_learned_merge *merges, size_t count, mm_text *out,
                           mm_error *error) {
    mm_json_writer w = mm_json_writer_on(out, 2);
    mm_json_open_object(&w);
    mm_json_pair_string(&w, "version", "1.0");
    mm_json_pair_string(&w, "truncation", NULL);
    mm_json_pair_string(&w, "padding", NULL);
    write_added_tokens(&w);
    mm_json_pair_string(&w, "normalizer", NULL);
    write_byte_level(&w, "pre_tokenizer");
    mm_json_pair_string(&w, "post_processor", NULL);
    write_byte_level(&w, "decoder");
    write_model(&w, vocab, merges, count);
    mm_json_close(&w);
    mm_text_add_string(out, "\n");
    return out->failed ? mm_trouble(error, "a tokenizer.json of %d tokens: out of memory", vocab->limit)
                       : MM_OK;
}
