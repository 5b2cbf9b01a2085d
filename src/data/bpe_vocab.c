#include "bpe_vocab.h"

#include "bpe_hash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

uint64_t mm_word_hash(const char *text, size_t size) {
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t hash = size * odd;
    for (; size >= 8; text += 8, size -= 8) {
        uint64_t eight;
        memcpy(&eight, text, 8);
        hash = (hash ^ eight) * odd;
        hash ^= hash >> 32;
    }
    uint64_t rest = 0;
    for (size_t i = 0; i < size; i++) rest |= (uint64_t)(unsigned char)text[i] << (8 * i);
    hash = (hash ^ rest) * odd;
    hash ^= hash >> 29;
    hash *= UINT64_C(0xbf58476d1ce4e5b9);
    return hash ^ hash >> 32;
}

void mm_table_key(uint64_t key[2]) {
    static const uint64_t fixed[2] = {UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xbf58476d1ce4e5b9)};
    if (getrandom(key, sizeof fixed, GRND_NONBLOCK) != (ssize_t)sizeof fixed)
        memcpy(key, fixed, sizeof fixed);
    key[0] |= 1;
    key[1] |= 1;
}

uint64_t mm_table_text_hash(const uint64_t key[2], const char *text, size_t size) {
    uint64_t hash = key[1] ^ size, eight;
    for (; size >= sizeof eight; text += sizeof eight, size -= sizeof eight) {
        memcpy(&eight, text, sizeof eight);
        hash = mm_table_fold(hash ^ eight, key[0]);
    }
    eight = 0;
    for (size_t i = 0; i < size; i++) eight |= (uint64_t)(unsigned char)text[i] << (8 * i);
    return mm_table_fold(mm_table_fold(hash ^ eight, key[0]), key[1]);
}

bool mm_vocab_make(mm_vocab *vocab, size_t count, int32_t limit) {
    *vocab = (mm_vocab){.limit = limit};
    size_t slots = 16;
    while (slots < 2 * count) slots *= 2;
    vocab->slot_mask = slots - 1;
    mm_table_key(vocab->key);
    vocab->starts = calloc((size_t)limit + 1, sizeof *vocab->starts);
    vocab->sizes = calloc((size_t)limit + 1, sizeof *vocab->sizes);
    vocab->present = calloc((size_t)limit + 1, sizeof *vocab->present);
    vocab->slots = malloc(slots * sizeof *vocab->slots);
    if (!vocab->starts || !vocab->sizes || !vocab->present || !vocab->slots) {
        mm_vocab_free(vocab);
        return false;
    }
    for (size_t i = 0; i < slots; i++) vocab->slots[i] = -1;
    return true;
}

void mm_vocab_free(mm_vocab *vocab) {
    mm_text_free(&vocab->pool);
    free(vocab->starts);
    free(vocab->sizes);
    free(vocab->present);
    free(vocab->slots);
    *vocab = (mm_vocab){0};
}

// The slot that holds the text, or the empty one where it would go.
static size_t slot_of(const mm_vocab *vocab, const char *text, size_t size) {
    size_t slot = mm_table_text_hash(vocab->key, text, size) & vocab->slot_mask;
    for (;; slot = (slot + 1) & vocab->slot_mask) {
        int32_t id = vocab->slots[slot];
        if (id < 0) return slot;
        if (vocab->sizes[id] == size && !memcmp(vocab->pool.data + vocab->starts[id], text, size))
            return slot;
    }
}

mm_vocab_added mm_vocab_add(mm_vocab *vocab, const char *text, size_t size, int32_t id) {
    assert(id >= 0 && id < vocab->limit && (size_t)vocab->count < vocab->slot_mask);
    if (vocab->present[id]) return MM_VOCAB_SAME_ID;
    // The pool's data is never NULL below, even for an empty first token.
    if (!vocab->pool.data) mm_text_add(&vocab->pool, "", 1);
    if (vocab->pool.failed) return MM_VOCAB_ADDED;
    size_t slot = slot_of(vocab, text, size);
    if (vocab->slots[slot] >= 0) return MM_VOCAB_SAME_TEXT;
    size_t start = vocab->pool.size;
    mm_text_add(&vocab->pool, text, size);
    if (vocab->pool.failed) return MM_VOCAB_ADDED;
    vocab->starts[id] = start;
    vocab->sizes[id] = (uint32_t)size;
    vocab->present[id] = true;
    vocab->slots[slot] = id;
    vocab->count++;
    return MM_VOCAB_ADDED;
}

int32_t mm_vocab_find(const mm_vocab *vocab, const char *text, size_t size) {
    return vocab->slots[slot_of(vocab, text, size)];
}

const char *mm_vocab_text(const mm_vocab *vocab, int32_t id, size_t *size) {
    if (id < 0 || id >= vocab->limit || !vocab->present[id]) return NULL;
    *size = vocab->sizes[id];
    return vocab->pool.data + vocab->starts[id];
}
