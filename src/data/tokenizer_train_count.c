#include "tokenizer_train_count.h"

#include "bpe_hash.h"

#include <mm/base/utf8.h>
#include <stdlib.h>
#include <string.h>

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
    size_t slot = mm_table_text_hash(words->key, word, size) & words->slot_mask;
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
    if (!words->slots) mm_table_key(words->key);
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

mm_status mm_word_counts_add(mm_word_counts *words, const char *word, size_t size, uint64_t times,
                             mm_error *error) {
    bool good = words->count < UINT32_MAX - 1;
    if (good && (!words->slots || 2 * words->count > words->slot_mask)) good = widen_slots(words);
    if (good && words->count == words->capacity) good = widen_words(words);
    if (good) {
        size_t slot = slot_of(words, word, size);
        if (words->slots[slot]) {
            words->counts[words->slots[slot] - 1] += times;
            return MM_OK;
        }
        mm_text_add(&words->pool, word, size);
        good = !words->pool.failed;
        if (good) {
            words->ends[words->count] = words->pool.size;
            words->counts[words->count++] = times;
            words->slots[slot] = (uint32_t)words->count;
        }
    }
    return good ? MM_OK : mm_trouble(error, "counting %zu different words: out of memory", words->count);
}

mm_status mm_word_counter_begin(mm_word_counter *counter, const mm_pretokenizer *pretokenizer,
                                const mm_added_set *specials, mm_error *error) {
    // None of them is single_word, so nothing is matched.
    *counter = (mm_word_counter){.specials.set = specials};
    return mm_pretokenizer_state_new(pretokenizer, &counter->state, error);
}

void mm_word_counter_free(mm_word_counter *counter) {
    mm_pretokenizer_state_free(counter->state);
    mm_added_finder_free(&counter->specials);
    mm_word_counts_free(&counter->words);
    mm_text_free(&counter->repaired);
    *counter = (mm_word_counter){0};
}

static mm_status take_word(void *self, const char *word, size_t size, mm_error *error) {
    mm_word_counter *counter = self;
    return mm_word_counts_add(&counter->words, word, size, 1, error);
}

static mm_status take_part(void *self, const mm_added_token *token, const char *text, size_t size,
                           mm_error *error) {
    mm_word_counter *counter = self;
    return token ? MM_OK : mm_pretokenize(counter->state, text, size, take_word, counter, error);
}

mm_status mm_word_counter_add(mm_word_counter *counter, const char *text, size_t size, mm_error *error) {
    if (mm_utf8_valid(text, size) != size) {
        mm_text_clear(&counter->repaired);
        mm_utf8_repair(text, size, &counter->repaired);
        if (counter->repaired.failed) return mm_trouble(error, "a text of %zu bytes: out of memory", size);
        text = counter->repaired.data;
        size = counter->repaired.size;
    }
    return mm_added_split(&counter->specials, text, size, take_part, counter, error);
}

mm_status mm_word_counter_merge(mm_word_counter *counter, mm_word_counter *other, mm_error *error) {
    mm_status status = MM_OK;
    for (size_t i = 0; i < other->words.count && !status; i++) {
        size_t size;
        const char *word = word_at(&other->words, i, &size);
        status = mm_word_counts_add(&counter->words, word, size, other->words.counts[i], error);
    }
    mm_word_counts_free(&other->words);
    return status;
}
