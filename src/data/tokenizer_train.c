#include <mm/data/tokenizer_train.h>

#include "bpe_vocab.h"
#include "pretokenize.h"
#include "tokenizer_added.h"
#include "tokenizer_train_merge.h"
#include "tokenizer_train_write.h"
#include "tokenizer_utf8.h"

#include <stdlib.h>
#include <string.h>

struct mm_tokenizer_trainer {
    mm_pretokenizer *pretokenizer;
    mm_pretokenizer_state *state;
    mm_matcher *matcher;
    mm_added_set specials;
    mm_word_counts words;
    mm_text repaired; // the document, where it was not UTF-8
};

void mm_word_counts_free(mm_word_counts *words) {
    mm_text_free(&words->pool);
    free(words->ends);
    free(words->counts);
    free(words->slots);
    *words = (mm_word_counts){0};
}

static const char *word_at(const mm_word_counts *words, size_t index, size_t *size) {
    size_t start = index ? words->ends[index - 1] : 0;
    *size = words->ends[index] - start;
    return words->pool.data + start;
}

// The slot that holds the word, or the empty one where it would go.
static size_t slot_of(const mm_word_counts *words, const char *word, size_t size) {
    size_t slot = mm_word_hash(word, size) & words->slot_mask;
    for (; words->slots[slot]; slot = (slot + 1) & words->slot_mask) {
        size_t other;
        const char *text = word_at(words, words->slots[slot] - 1, &other);
        if (other == size && !memcmp(text, word, size)) break;
    }
    return slot;
}

static bool widen_slots(mm_word_counts *words) {
    size_t slots = words->slots ? 2 * (words->slot_mask + 1) : 4096;
    uint32_t *fresh = calloc(slots, sizeof *fresh);
    if (!fresh) return false;
    free(words->slots);
    words->slots = fresh;
    words->slot_mask = slots - 1;
    for (size_t i = 0; i < words->count; i++) {
        size_t size;
        const char *text = word_at(words, i, &size);
        words->slots[slot_of(words, text, size)] = (uint32_t)i + 1;
    }
    return true;
}

static bool widen_words(mm_word_counts *words) {
    size_t capacity = words->capacity ? words->capacity + words->capacity / 2 : 4096;
    size_t *ends = realloc(words->ends, capacity * sizeof *ends);
    if (ends) words->ends = ends;
    uint64_t *counts = realloc(words->counts, capacity * sizeof *counts);
    if (counts) words->counts = counts;
    if (!ends || !counts) return false;
    words->capacity = capacity;
    return true;
}

mm_status mm_word_counts_add(mm_word_counts *words, const char *word, size_t size, mm_error *error) {
    bool good = words->count < UINT32_MAX - 1;
    if (good && (!words->slots || 2 * words->count > words->slot_mask)) good = widen_slots(words);
    if (good && words->count == words->capacity) good = widen_words(words);
    if (good) {
        size_t slot = slot_of(words, word, size);
        if (words->slots[slot]) {
            words->counts[words->slots[slot] - 1]++;
            return MM_OK;
        }
        mm_text_add(&words->pool, word, size);
        good = !words->pool.failed;
        if (good) {
            words->ends[words->count] = words->pool.size;
            words->counts[words->count++] = 1;
            words->slots[slot] = (uint32_t)words->count;
        }
    }
    return good ? MM_OK : mm_trouble(error, "no memory to count %zu different words", words->count);
}

static mm_status open_trainer(mm_tokenizer_trainer *t, mm_error *error) {
    mm_status status = mm_pretokenizer_gpt2(&t->pretokenizer, error);
    if (status == MM_OK) status = mm_pretokenizer_state_new(t->pretokenizer, &t->state, error);
    if (status != MM_OK) return status;
    t->matcher = mm_matcher_new();
    mm_added_token *tokens = calloc(MM_TRAINED_SPECIALS, sizeof *tokens);
    if (!t->matcher || !tokens) {
        free(tokens);
        return mm_trouble(error, "no memory to train a tokenizer");
    }
    for (int i = 0; i < MM_TRAINED_SPECIALS; i++) {
        const char *content = mm_trained_specials[i];
        tokens[i] = (mm_added_token){.content = content, .size = strlen(content), .id = i, .special = true};
    }
    mm_added_index(&t->specials, tokens, MM_TRAINED_SPECIALS);
    return MM_OK;
}

mm_status mm_tokenizer_trainer_new(mm_tokenizer_trainer **trainer, mm_error *error) {
    *trainer = NULL;
    mm_tokenizer_trainer *made = calloc(1, sizeof *made);
    if (!made) return mm_trouble(error, "no memory to train a tokenizer");
    mm_status status = open_trainer(made, error);
    if (status != MM_OK) {
        mm_tokenizer_trainer_free(made);
        return status;
    }
    *trainer = made;
    return MM_OK;
}

void mm_tokenizer_trainer_free(mm_tokenizer_trainer *trainer) {
    if (!trainer) return;
    mm_pretokenizer_state_free(trainer->state);
    mm_pretokenizer_free(trainer->pretokenizer);
    mm_matcher_free(trainer->matcher);
    mm_added_free(&trainer->specials);
    mm_word_counts_free(&trainer->words);
    mm_text_free(&trainer->repaired);
    free(trainer);
}

static mm_status take_word(void *self, const char *word, size_t size, mm_error *error) {
    mm_tokenizer_trainer *t = self;
    return mm_word_counts_add(&t->words, word, size, error);
}

// What an encoder takes for a special token teaches nothing.
static mm_status take_part(void *self, const mm_added_token *token, const char *text, size_t size,
                           mm_error *error) {
    mm_tokenizer_trainer *t = self;
    return token ? MM_OK : mm_pretokenize(t->state, text, size, take_word, t, error);
}

mm_status mm_tokenizer_trainer_add(mm_tokenizer_trainer *trainer, const char *text, size_t size,
                                   mm_error *error) {
    if (mm_utf8_valid(text, size) != size) {
        mm_text_clear(&trainer->repaired);
        mm_utf8_repair(text, size, &trainer->repaired);
        if (trainer->repaired.failed) return mm_trouble(error, "no memory for a text of %zu bytes", size);
        text = trainer->repaired.data;
        size = trainer->repaired.size;
    }
    return mm_added_split(&trainer->specials, NULL, trainer->matcher, text, size, take_part, trainer, error);
}

// The special tokens, then the byte symbols in the order of their characters, as the library's trainer has
// them.
static void add_alphabet(mm_vocab *vocab, int32_t byte_ids[256]) {
    int32_t id = 0;
    for (; id < MM_TRAINED_SPECIALS; id++)
        (void)mm_vocab_add(vocab, mm_trained_specials[id], strlen(mm_trained_specials[id]), id);
    for (int byte = 0; byte < 256; byte++) {
        int32_t place = MM_TRAINED_SPECIALS;
        for (int other = 0; other < 256; other++)
            place += mm_byte_point((unsigned char)other) < mm_byte_point((unsigned char)byte);
        char symbol[2];
        size_t size = mm_byte_symbol((unsigned char)byte, symbol);
        (void)mm_vocab_add(vocab, symbol, size, place);
        byte_ids[byte] = place;
    }
}

mm_status mm_tokenizer_trainer_finish(mm_tokenizer_trainer *trainer, int vocab_size, mm_text *out,
                                      void (*progress)(void *self, long done, long wanted), void *self,
                                      mm_error *error) {
    if (vocab_size < MM_TRAINED_SPECIALS + 256)
        return mm_trouble(error,
                          "a vocabulary of %d: at least %d are needed (%d special tokens and 256 bytes)",
                          vocab_size, MM_TRAINED_SPECIALS + 256, MM_TRAINED_SPECIALS);
    mm_vocab vocab;
    if (!mm_vocab_make(&vocab, (size_t)vocab_size, vocab_size))
        return mm_trouble(error, "no memory for a vocabulary of %d", vocab_size);
    int32_t byte_ids[256];
    add_alphabet(&vocab, byte_ids);
    mm_learned_merge *merges = NULL;
    size_t count = 0;
    mm_status status = mm_learn_merges(&trainer->words, byte_ids, vocab_size, &vocab, &merges, &count,
                                       progress, self, error);
    if (status == MM_OK) status = mm_trained_write(&vocab, merges, count, out, error);
    free(merges);
    mm_vocab_free(&vocab);
    return status;
}
