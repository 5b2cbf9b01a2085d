// tokenizer.json apart from its model: what stands around it, and the added tokens.
#include "tokenizer_private.h"

#include "normalize.h"
#include "tokenizer_utf8.h"

#include <stdlib.h>
#include <string.h>

static const char *type_of(const mm_json *value) {
    const char *type = mm_json_string(mm_json_get(value, "type"), NULL);
    return type ? type : "without a type";
}

// A component that may be one of `known` or a Sequence (its list under `list`) of them.
static mm_status check_component(const mm_tokenizer *t, const mm_json *value, const char *component,
                                 const char *list, const char *const *known, mm_error *error) {
    if (mm_json_kind_of(value) == MM_JSON_NULL) return MM_OK;
    const char *type = type_of(value);
    for (const char *const *k = known; *k; k++)
        if (!strcmp(type, *k)) return MM_OK;
    const mm_json *inner = mm_json_get(value, list);
    if (strcmp(type, "Sequence") || mm_json_kind_of(inner) != MM_JSON_ARRAY) {
        mm_text names = {0};
        for (const char *const *k = known; *k; k++) mm_text_format(&names, "%s, ", *k);
        mm_status status = mm_trouble(error, "%s: %s %s is not supported (%snull and a Sequence of them are)",
                                      t->name, component, type, names.data ? names.data : "");
        mm_text_free(&names);
        return status;
    }
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < mm_json_size(inner); i++)
        status = check_component(t, mm_json_at(inner, i), component, list, known, error);
    return status;
}

// None of these changes the ids, since no special tokens are added to a text.
static const char *const POST_PROCESSORS[] = {"ByteLevel", "TemplateProcessing", "RobertaProcessing",
                                              "BertProcessing", NULL};
static const char *const DECODERS[] = {"ByteLevel", NULL};
static const char *const NORMALIZERS[] = {"NFC", NULL};

// Of a checked component: a list counts only where the type is Sequence.
static bool has_normalizer(const mm_json *value) {
    const mm_json *inner = mm_json_get(value, "normalizers");
    if (mm_json_kind_of(value) == MM_JSON_NULL) return false;
    if (strcmp(type_of(value), "Sequence")) return true;
    for (size_t i = 0; i < mm_json_size(inner); i++)
        if (has_normalizer(mm_json_at(inner, i))) return true;
    return false;
}

static mm_status check_surroundings(const mm_tokenizer *t, const mm_json *root, mm_error *error) {
    const mm_json *version = mm_json_get(root, "version");
    const char *text = mm_json_string(version, NULL);
    if (version && (!text || strcmp(text, "1.0")))
        return mm_trouble(error, "%s: version \"%s\" of tokenizer.json; 1.0 is supported", t->name,
                          text ? text : "(not a string)");
    static const char *const cutting[] = {"truncation", "padding"};
    for (int i = 0; i < 2; i++)
        if (mm_json_kind_of(mm_json_get(root, cutting[i])) != MM_JSON_NULL)
            return mm_trouble(error, "%s: \"%s\" is set, which would change the ids; set it to null", t->name,
                              cutting[i]);
    mm_status status =
        check_component(t, mm_json_get(root, "normalizer"), "normalizer", "normalizers", NORMALIZERS, error);
    if (status == MM_OK)
        status = check_component(t, mm_json_get(root, "post_processor"), "post_processor", "processors",
                                 POST_PROCESSORS, error);
    if (status == MM_OK)
        status = check_component(t, mm_json_get(root, "decoder"), "decoder", "decoders", DECODERS, error);
    return status;
}

// Every token's bytes: a model's token is written in the byte alphabet where the decoder says so, and merging
// makes it whether it is an added token, too, or not. One that is only added is found in text as it stands,
// so its bytes are its content: the library undoes the byte alphabet there, too, and so gives back a broken
// character for an added "\u00e9".
static mm_status make_bytes(mm_tokenizer *t, bool byte_level, mm_error *error) {
    t->byte_starts = calloc((size_t)t->vocab.limit + 1, sizeof *t->byte_starts);
    mm_text_add(&t->bytes, "", 1); // so that its data is never NULL
    for (int32_t id = 0; t->byte_starts && id < t->vocab.limit; id++) {
        size_t size;
        const char *text = mm_vocab_text(&t->vocab, id, &size);
        t->byte_starts[id] = t->bytes.size;
        bool as_it_is = text && (!byte_level || !(t->flags[id] & MM_TOKEN_IN_MODEL));
        if (as_it_is || (text && !mm_symbols_to_bytes(text, size, &t->bytes)))
            mm_text_add(&t->bytes, text, size);
        t->byte_starts[id + 1] = t->bytes.size;
    }
    if (!t->byte_starts || t->bytes.failed)
        return mm_trouble(error, "%s: out of memory for its tokens", t->name);
    return MM_OK;
}

// Of what merging makes: the model's tokens that are written in the byte alphabet.
static mm_status find_joined(mm_tokenizer *t, mm_error *error) {
    mm_text bytes = {0};
    for (int32_t id = 0; id < t->vocab.limit; id++) {
        if (!(t->flags[id] & MM_TOKEN_IN_MODEL)) continue;
        size_t size;
        const char *text = mm_vocab_text(&t->vocab, id, &size);
        mm_text_clear(&bytes);
        if (!mm_symbols_to_bytes(text, size, &bytes)) continue;
        for (size_t i = 0; i + 1 < bytes.size; i++) {
            unsigned pair = (unsigned)(unsigned char)bytes.data[i] << 8 | (unsigned char)bytes.data[i + 1];
            t->joined[pair / 8] |= (uint8_t)(1u << pair % 8);
        }
    }
    bool failed = bytes.failed;
    mm_text_free(&bytes);
    return failed ? mm_trouble(error, "%s: out of memory for its tokens", t->name) : MM_OK;
}

static mm_status read_root(mm_tokenizer *t, const mm_json_document *document, mm_error *error) {
    const mm_json *root = mm_json_root(document);
    if (mm_json_kind_of(root) != MM_JSON_OBJECT)
        return mm_trouble(error, "%s: not a tokenizer.json: found %s, expected an object", t->name,
                          mm_json_kind_name(mm_json_kind_of(root)));
    mm_status status = check_surroundings(t, root, error);
    t->nfc = status == MM_OK && has_normalizer(mm_json_get(root, "normalizer"));
    if (status == MM_OK)
        status = mm_pretokenizer_parse(mm_json_get(root, "pre_tokenizer"), t->name, &t->pretokenizer, error);
    if (status == MM_OK) status = mm_tokenizer_read_model(t, document, error);
    if (status == MM_OK) status = mm_tokenizer_read_added(t, mm_json_get(root, "added_tokens"), error);
    if (status != MM_OK) return status;
    bool decoder = mm_json_kind_of(mm_json_get(root, "decoder")) != MM_JSON_NULL;
    status = make_bytes(t, decoder || mm_pretokenizer_byte_level(t->pretokenizer), error);
    return status == MM_OK ? find_joined(t, error) : status;
}

mm_status mm_tokenizer_read_json(mm_tokenizer *t, mm_error *error) {
    mm_json_document *document;
    mm_status status = mm_json_parse(t->file, t->file_size, t->name, &document, error);
    if (status != MM_OK) return status;
    status = read_root(t, document, error);
    mm_json_free(document);
    return status;
}

static mm_status added_flag(const mm_tokenizer *t, const mm_json *value, const char *key, bool *flag,
                            mm_error *error) {
    const mm_json *member = mm_json_get(value, key);
    *flag = mm_json_true(member);
    if (mm_json_kind_of(member) != MM_JSON_BOOL)
        return mm_trouble(error, "%s: an added token's \"%s\" is %s, expected true or false", t->name, key,
                          mm_json_kind_name(mm_json_kind_of(member)));
    return MM_OK;
}

static mm_status read_added_token(mm_tokenizer *t, const mm_json *value, mm_added_token *token,
                                  mm_error *error) {
    *token = (mm_added_token){0};
    token->content = mm_json_string(mm_json_get(value, "content"), &token->size);
    if (!token->content)
        return mm_trouble(error, "%s: an added token has no \"content\"; " MM_TOKENIZER_AGAIN, t->name);
    static const char *const keys[] = {"special", "single_word", "lstrip", "rstrip", "normalized"};
    bool *flags[] = {&token->special, &token->single_word, &token->lstrip, &token->rstrip,
                     &token->normalized};
    for (int i = 0; i < 5; i++) {
        mm_status status = added_flag(t, value, keys[i], flags[i], error);
        if (status != MM_OK) return status;
    }
    const mm_json *id = mm_json_get(value, "id");
    int64_t number = mm_json_integer(id);
    if (mm_json_kind_of(id) != MM_JSON_INTEGER || number < 0 || number >= t->vocab.limit)
        return mm_trouble(error, "%s: added token \"%s\" has no id from 0 on; " MM_TOKENIZER_AGAIN, t->name,
                          token->content);
    token->id = (int32_t)number;
    return MM_OK;
}

// Gives the token its place in the vocabulary. The library gives a token that the model lacks the next free
// id, whatever the file says; a file that says otherwise would mean two things.
static mm_status place_token(mm_tokenizer *t, mm_added_token *token, int32_t *next, mm_error *error) {
    int32_t id = mm_vocab_find(&t->vocab, token->content, token->size);
    bool fresh = id < 0;
    if (fresh) id = (*next)++;
    if (id != token->id)
        return mm_trouble(
            error,
            "%s: added token \"%s\" says id %d, but its place in the vocabulary is %d; " MM_TOKENIZER_AGAIN,
            t->name, token->content, token->id, id);
    if (fresh && mm_vocab_add(&t->vocab, token->content, token->size, id) != MM_VOCAB_ADDED)
        return mm_trouble(error,
                          "%s: added token \"%s\" has id %d, which is another token's; " MM_TOKENIZER_AGAIN,
                          t->name, token->content, id);
    if (t->flags[id] & MM_TOKEN_ADDED)
        return mm_trouble(error, "%s: added token \"%s\" is there twice; " MM_TOKENIZER_AGAIN, t->name,
                          token->content);
    t->flags[id] |= token->special ? MM_TOKEN_ADDED | MM_TOKEN_SPECIAL : MM_TOKEN_ADDED;
    return MM_OK;
}

// A token that is looked for in normalized text is itself normalized.
static mm_status normalize_contents(mm_tokenizer *t, mm_added_token *tokens, int count, mm_error *error) {
    mm_nfc nfc = {0};
    mm_status status = MM_OK;
    for (int i = 0; i < count && status == MM_OK; i++) {
        const char *text;
        status = mm_nfc_text(&nfc, tokens[i].content, tokens[i].size, &text, &tokens[i].size, error);
        if (status == MM_OK) mm_text_add(&t->contents, text, tokens[i].size);
    }
    mm_nfc_free(&nfc);
    if (status != MM_OK) return status;
    if (t->contents.failed) return mm_trouble(error, "%s: out of memory for its added tokens", t->name);
    size_t at = 0;
    for (int i = 0; i < count; at += tokens[i++].size) tokens[i].content = t->contents.data + at;
    return MM_OK;
}

static mm_status read_list(mm_tokenizer *t, const mm_json *list, mm_added_token *tokens[2], int counts[2],
                           mm_error *error) {
    int32_t next = t->vocab.count;
    for (size_t i = 0; i < mm_json_size(list); i++) {
        mm_added_token token;
        mm_status status = read_added_token(t, mm_json_at(list, i), &token, error);
        if (status == MM_OK && token.size) status = place_token(t, &token, &next, error);
        if (status != MM_OK) return status;
        if (token.size) tokens[token.normalized][counts[token.normalized]++] = token;
        if (token.single_word && !t->word_character)
            status = mm_pattern_word_character(&t->word_character, error);
        if (status != MM_OK) return status;
    }
    if (t->vocab.pool.failed) return mm_trouble(error, "%s: out of memory for its added tokens", t->name);
    // Now that the pool no longer moves.
    for (int set = 0; set < 2; set++) {
        for (int i = 0; i < counts[set]; i++)
            tokens[set][i].content = mm_vocab_text(&t->vocab, tokens[set][i].id, &tokens[set][i].size);
    }
    return t->nfc ? normalize_contents(t, tokens[1], counts[1], error) : MM_OK;
}

mm_status mm_tokenizer_read_added(mm_tokenizer *t, const mm_json *list, mm_error *error) {
    mm_json_kind kind = mm_json_kind_of(list);
    if (kind != MM_JSON_NULL && kind != MM_JSON_ARRAY)
        return mm_trouble(error, "%s: \"added_tokens\" is %s, expected a list", t->name,
                          mm_json_kind_name(kind));
    size_t count = mm_json_size(list) + 1;
    mm_added_token *tokens[2] = {malloc(count * sizeof **tokens), malloc(count * sizeof **tokens)};
    int counts[2] = {0, 0};
    mm_status status = MM_OK;
    if (!tokens[0] || !tokens[1])
        status = mm_trouble(error, "%s: out of memory for its added tokens", t->name);
    if (status == MM_OK && list) status = read_list(t, list, tokens, counts, error);
    if (status != MM_OK) {
        free(tokens[0]);
        free(tokens[1]);
        return status;
    }
    status = mm_added_index(&t->added, tokens[0], counts[0], t->name, error);
    mm_status second = mm_added_index(&t->normalized, tokens[1], counts[1], t->name, error);
    return status == MM_OK ? second : status;
}
