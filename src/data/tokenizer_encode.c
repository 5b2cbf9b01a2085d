// Text to ids.
#include "tokenizer_private.h"

#include "bpe_tail.h"
#include "normalize.h"
#include "tokenizer_utf8.h"

#include <mm/base/arena.h>
#include <mm/base/utf8.h>
#include <stdlib.h>
#include <string.h>

// Words that came before, with their ids: a text's words are mostly the same few. A word has two places; the
// newer one goes first and pushes the other out. What is found never depends on what is in it.
enum { CACHE_BYTES = 27, CACHE_IDS = 8, CACHE_SETS = 1 << 15, CACHE_WAYS = 2 };

typedef struct cached_word {
    uint32_t tag; // of the hash; the bytes decide
    uint8_t size; // 0: empty
    int8_t count;
    char bytes[CACHE_BYTES - 1];
    int32_t ids[CACHE_IDS];
} cached_word;

_Static_assert(sizeof(cached_word) == 64, "a cache line");

// Bytes of a word that are merged at a time.
enum { WINDOW = 1 << 18 };

struct mm_encoder {
    const mm_tokenizer *tokenizer;
    mm_pretokenizer_state *words;
    mm_matcher *matcher;
    mm_added_finder added, normalized;
    mm_arena pages;     // of the cache, huge ones if there are: words fall all over it
    cached_word *cache; // CACHE_SETS * CACHE_WAYS
    int32_t *symbols;   // of the word at hand
    size_t symbol_room;
    mm_bpe_room room;
    mm_bpe_tail tail; // made for the first word that is longer than a window
    mm_text spelling; // of the word at hand, as the vocabulary writes it
    mm_text repaired; // the text, where it was not UTF-8
    bool was_repaired;
    mm_nfc nfc;
    bool plain;
    mm_ids *ids; // the caller's
};

void mm_ids_free(mm_ids *ids) {
    free(ids->data);
    *ids = (mm_ids){0};
}

mm_status mm_ids_reserve(mm_ids *ids, size_t more, mm_error *error) {
    if (more <= ids->capacity - ids->size) return MM_OK;
    size_t capacity = 2 * ids->capacity + more + 64;
    int32_t *data = realloc(ids->data, capacity * sizeof *data);
    if (!data) return mm_trouble(error, "%zu ids: out of memory", capacity);
    ids->data = data;
    ids->capacity = capacity;
    return MM_OK;
}

mm_status mm_ids_add(mm_ids *ids, const int32_t *more, size_t count, mm_error *error) {
    mm_status status = mm_ids_reserve(ids, count, error);
    if (status != MM_OK) return status;
    for (size_t i = 0; i < count; i++) ids->data[ids->size + i] = more[i];
    ids->size += count;
    return MM_OK;
}

mm_status mm_encoder_new(const mm_tokenizer *tokenizer, mm_encoder **encoder, mm_error *error) {
    *encoder = NULL;
    mm_encoder *made = calloc(1, sizeof *made);
    if (!made) return mm_trouble(error, "encoding with %s: out of memory", tokenizer->name);
    made->tokenizer = tokenizer;
    made->matcher = mm_matcher_new();
    const mm_pattern *word = tokenizer->word_character;
    made->added = (mm_added_finder){.set = &tokenizer->added, .word = word, .matcher = made->matcher};
    made->normalized =
        (mm_added_finder){.set = &tokenizer->normalized, .word = word, .matcher = made->matcher};
    mm_status status = mm_pretokenizer_state_new(tokenizer->pretokenizer, &made->words, error);
    if (status == MM_OK && !made->matcher)
        status = mm_trouble(error, "encoding with %s: out of memory", tokenizer->name);
    const size_t words = (size_t)CACHE_SETS * CACHE_WAYS;
    if (status == MM_OK) status = mm_arena_open(&made->pages, words * sizeof *made->cache, error);
    if (status == MM_OK) made->cache = mm_arena_take(&made->pages, words, sizeof *made->cache);
    if (status != MM_OK) {
        mm_encoder_free(made);
        return status;
    }
    *encoder = made;
    return MM_OK;
}

void mm_encoder_free(mm_encoder *encoder) {
    if (!encoder) return;
    mm_pretokenizer_state_free(encoder->words);
    mm_matcher_free(encoder->matcher);
    mm_added_finder_free(&encoder->added);
    mm_added_finder_free(&encoder->normalized);
    mm_arena_close(&encoder->pages);
    free(encoder->symbols);
    mm_bpe_room_free(&encoder->room);
    mm_bpe_tail_free(&encoder->tail);
    mm_text_free(&encoder->spelling);
    mm_text_free(&encoder->repaired);
    mm_nfc_free(&encoder->nfc);
    free(encoder);
}

// The word as one token, if the model takes whole words first; else -1. An added token that is also the
// model's is not to be had by writing it where added tokens are plain text.
static mm_status whole_word(mm_encoder *e, const char *word, size_t size, int32_t *id, mm_error *error) {
    const mm_tokenizer *t = e->tokenizer;
    *id = -1;
    if (!t->ignore_merges) return MM_OK;
    if (mm_pretokenizer_byte_level(t->pretokenizer)) {
        mm_text_clear(&e->spelling);
        for (size_t i = 0; i < size; i++) {
            char symbol[2];
            size_t bytes = mm_byte_symbol((unsigned char)word[i], symbol);
            mm_text_add(&e->spelling, symbol, bytes);
        }
        if (e->spelling.failed) return mm_trouble(error, "a word of %zu bytes: out of memory", size);
        word = e->spelling.data;
        size = e->spelling.size;
    }
    int32_t found = mm_vocab_find(&t->vocab, word, size);
    if (found < 0 || !(t->flags[found] & MM_TOKEN_IN_MODEL)) return MM_OK;
    if (!e->plain || !(t->flags[found] & MM_TOKEN_ADDED)) *id = found;
    return MM_OK;
}

// The symbol that `text` begins with, and its width; -1 if the vocabulary lacks it.
static int32_t symbol_at(const mm_tokenizer *t, const char *text, size_t *width) {
    bool byte_level = mm_pretokenizer_byte_level(t->pretokenizer);
    *width = byte_level ? 1 : mm_utf8_width((unsigned char)*text);
    int32_t id = byte_level ? t->byte_ids[(unsigned char)*text] : mm_vocab_find(&t->vocab, text, *width);
    return id >= 0 && t->flags[id] & MM_TOKEN_IN_MODEL ? id : -1;
}

// The word's symbols before any merge; what the vocabulary lacks is left out, as the library does without an
// unknown token.
static mm_status spell(mm_encoder *e, const char *word, size_t size, size_t *count, mm_error *error) {
    if (size > e->symbol_room) {
        size_t room = size < 1024 ? 1024 : size;
        int32_t *symbols = realloc(e->symbols, room * sizeof *symbols);
        if (!symbols) return mm_trouble(error, "a word of %zu bytes: out of memory", size);
        e->symbols = symbols;
        e->symbol_room = room;
    }
    *count = 0;
    for (size_t i = 0, width; i < size; i += width) {
        int32_t id = symbol_at(e->tokenizer, word + i, &width);
        if (id >= 0) e->symbols[(*count)++] = id;
    }
    return MM_OK;
}

static void remember(cached_word *set, uint32_t tag, const char *word, size_t size, const int32_t *ids,
                     size_t count) {
    set[1] = set[0];
    set[0].tag = tag;
    set[0].size = (uint8_t)size;
    set[0].count = (int8_t)count;
    memcpy(set[0].bytes, word, size);
    memcpy(set[0].ids, ids, count * sizeof *ids);
}

// The places of a word that is short enough, and what else is needed to look there.
typedef struct cache_place {
    cached_word *set; // NULL: the word is too long
    uint32_t tag;
} cache_place;

static cache_place place_of(const mm_encoder *e, const char *word, size_t size) {
    if (size >= CACHE_BYTES) return (cache_place){0};
    uint64_t hash = mm_word_hash(word, size);
    return (cache_place){&e->cache[(hash & (CACHE_SETS - 1)) * CACHE_WAYS], (uint32_t)(hash >> 32)};
}

static const cached_word *find(cache_place at, const char *word, size_t size) {
    for (int way = 0; at.set && way < CACHE_WAYS; way++) {
        const cached_word *c = &at.set[way];
        if (c->tag == at.tag && c->size == size && !memcmp(c->bytes, word, size)) return c;
    }
    return NULL;
}

// Puts the ids from `first` on into the cache.
static void keep(const mm_encoder *e, cache_place at, const char *word, size_t size, size_t first) {
    size_t count = e->ids->size - first;
    if (at.set && count && count <= CACHE_IDS)
        remember(at.set, at.tag, word, size, e->ids->data + first, count);
}

static mm_status merge_whole(mm_encoder *e, const char *word, size_t size, mm_error *error) {
    size_t count = 0;
    mm_status status = spell(e, word, size, &count, error);
    if (status == MM_OK) status = mm_bpe_word(&e->tokenizer->bpe, &e->room, e->symbols, count, &count, error);
    return status == MM_OK ? mm_ids_add(e->ids, e->symbols, count, error) : status;
}

// Merges what it can of a word's first bytes, a window; *used are done.
static mm_status merge_beginning(mm_encoder *e, const char *word, size_t window, size_t *used,
                                 mm_error *error) {
    const mm_tokenizer *t = e->tokenizer;
    size_t count = 0, left = 0, merged = 0, width;
    mm_status status = spell(e, word, window, &count, error);
    if (status == MM_OK)
        status = mm_bpe_beginning(&t->bpe, &e->tail, &e->room, e->symbols, count, &left, &merged, error);
    if (status == MM_OK) status = mm_ids_add(e->ids, e->symbols, left, error);
    *used = count ? 0 : window;
    for (; merged; *used += width) merged -= symbol_at(t, word + *used, &width) >= 0;
    return status;
}

// By windows, so that a word of any length takes the memory of a window. A window that does not lead far
// becomes wider, so the time stays in proportion.
static mm_status merge(mm_encoder *e, const char *word, size_t size, mm_error *error) {
    const mm_tokenizer *t = e->tokenizer;
    size_t window = WINDOW, used;
    if (size > window && !e->tail.pairs && !mm_bpe_tail_make(&e->tail, &t->bpe))
        return mm_trouble(error, "a word of %zu bytes: out of memory", size);
    while (size > window) {
        size_t end = window;
        while (mm_utf8_continues(word[end])) end--;
        mm_status status = merge_beginning(e, word, end, &used, error);
        if (status != MM_OK) return status;
        if (used < window / 2) window *= 2;
        word += used;
        size -= used;
    }
    return merge_whole(e, word, size, error);
}

// A part of a word. It is merged as a word of the same bytes is, but for ignore_merges.
static mm_status encode_part(mm_encoder *e, const char *part, size_t size, mm_error *error) {
    if (size == 1 || e->tokenizer->ignore_merges) return merge(e, part, size, error);
    cache_place at = place_of(e, part, size);
    const cached_word *known = find(at, part, size);
    if (known) return mm_ids_add(e->ids, known->ids, (size_t)known->count, error);
    size_t first = e->ids->size;
    mm_status status = merge(e, part, size, error);
    if (status == MM_OK) keep(e, at, part, size, first);
    return status;
}

// No merge goes over two bytes that stand side by side in no token, so what is before and what is behind them
// are merged apart: the time is that of short words, and the memory. A byte without a symbol is left out, and
// then its neighbours stand side by side.
static mm_status encode_parts(mm_encoder *e, const char *word, size_t size, mm_error *error) {
    const mm_tokenizer *t = e->tokenizer;
    enum { SHORT = 128 };
    bool cut = size > SHORT && t->every_byte && mm_pretokenizer_byte_level(t->pretokenizer);
    if (!cut) return merge(e, word, size, error);
    for (size_t start = 0, end; start < size; start = end) {
        for (end = start + 1; end < size && mm_bytes_join(t, word[end - 1], word[end]);) end++;
        mm_status status = end - start == size ? merge(e, word, size, error)
                                               : encode_part(e, word + start, end - start, error);
        if (status != MM_OK) return status;
    }
    return MM_OK;
}

static mm_status take_word(void *self, const char *word, size_t size, mm_error *error) {
    mm_encoder *e = self;
    cache_place at = place_of(e, word, size);
    const cached_word *known = find(at, word, size);
    if (known) return mm_ids_add(e->ids, known->ids, (size_t)known->count, error);
    size_t first = e->ids->size;
    int32_t whole;
    mm_status status = whole_word(e, word, size, &whole, error);
    if (status == MM_OK)
        status = whole >= 0 ? mm_ids_add(e->ids, &whole, 1, error) : encode_parts(e, word, size, error);
    if (status == MM_OK) keep(e, at, word, size, first);
    return status;
}

static mm_status take_id(mm_encoder *e, const mm_added_token *token, mm_error *error) {
    return mm_ids_add(e->ids, &token->id, 1, error);
}

static mm_status take_normalized_part(void *self, const mm_added_token *token, const char *text, size_t size,
                                      mm_error *error) {
    mm_encoder *e = self;
    return token ? take_id(e, token, error) : mm_pretokenize(e->words, text, size, take_word, e, error);
}

static mm_status normalize(mm_encoder *e, const char **text, size_t *size, mm_error *error) {
    return e->tokenizer->nfc ? mm_nfc_text(&e->nfc, *text, *size, text, size, error) : MM_OK;
}

static mm_status take_part(void *self, const mm_added_token *token, const char *text, size_t size,
                           mm_error *error) {
    mm_encoder *e = self;
    if (token) return take_id(e, token, error);
    mm_status status = normalize(e, &text, &size, error);
    if (status != MM_OK) return status;
    return mm_added_split(&e->normalized, text, size, take_normalized_part, e, error);
}

mm_status mm_encode(mm_encoder *encoder, const char *text, size_t size, bool plain, mm_ids *ids,
                    mm_error *error) {
    const mm_tokenizer *t = encoder->tokenizer;
    encoder->ids = ids;
    // With ignore_merges a word may be another token when added tokens are plain text.
    if (encoder->plain != plain && t->ignore_merges)
        memset(encoder->cache, 0, (size_t)CACHE_SETS * CACHE_WAYS * sizeof *encoder->cache);
    encoder->plain = plain;
    encoder->was_repaired = mm_utf8_valid(text, size) != size;
    if (encoder->was_repaired) {
        mm_text_clear(&encoder->repaired);
        mm_utf8_repair(text, size, &encoder->repaired);
        if (encoder->repaired.failed) return mm_trouble(error, "a text of %zu bytes: out of memory", size);
        text = encoder->repaired.data;
        size = encoder->repaired.size;
    }
    if (plain) {
        mm_status status = normalize(encoder, &text, &size, error);
        if (status != MM_OK) return status;
        return mm_pretokenize(encoder->words, text, size, take_word, encoder, error);
    }
    return mm_added_split(&encoder->added, text, size, take_part, encoder, error);
}

bool mm_encoder_repaired(const mm_encoder *encoder) {
    return encoder->was_repaired;
}
