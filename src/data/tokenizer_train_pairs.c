#include "tokenizer_train_pairs.h"

#include "bpe_hash.h"

#include <stdlib.h>
#include <string.h>

void mm_pairs_free(mm_pairs *p) {
    for (size_t i = 0; i < p->count; i++) free(p->pairs[i].words);
    free(p->pairs);
    free(p->slots);
    free(p->queue);
    free(p->grown);
    *p = (mm_pairs){0};
}

// Makes room for one more element; the old array stays where memory is out.
static void *room(mm_pairs *p, void *array, size_t count, size_t *capacity, size_t element) {
    if (count < *capacity) return array;
    size_t wider = *capacity ? *capacity + *capacity / 2 + 1 : 256;
    void *moved = realloc(array, wider * element);
    if (!moved) {
        p->failed = true;
        return array;
    }
    *capacity = wider;
    return moved;
}

static size_t slot_of(const mm_pairs *p, uint64_t key) {
    size_t slot = (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & p->slot_mask;
    while (p->slots[slot] && p->pairs[p->slots[slot] - 1].key != key) slot = (slot + 1) & p->slot_mask;
    return slot;
}

static void widen_slots(mm_pairs *p) {
    size_t slots = p->slots ? 2 * (p->slot_mask + 1) : 1024;
    uint32_t *fresh = calloc(slots, sizeof *fresh);
    if (!fresh) {
        p->failed = true;
        return;
    }
    free(p->slots);
    p->slots = fresh;
    p->slot_mask = slots - 1;
    for (size_t i = 0; i < p->count; i++) p->slots[slot_of(p, p->pairs[i].key)] = (uint32_t)i + 1;
}

// The pair of that key, made if there is none; NULL if memory is out.
static mm_pair *pair_of(mm_pairs *p, uint64_t key) {
    if (!p->slots || 2 * p->count > p->slot_mask) widen_slots(p);
    if (p->failed) return NULL;
    size_t slot = slot_of(p, key);
    if (p->slots[slot]) return &p->pairs[p->slots[slot] - 1];
    p->pairs = room(p, p->pairs, p->count, &p->capacity, sizeof *p->pairs);
    if (p->count == UINT32_MAX - 1) p->failed = true;
    if (p->failed) return NULL;
    p->pairs[p->count] = (mm_pair){.key = key};
    p->slots[slot] = (uint32_t)p->count + 1;
    return &p->pairs[p->count++];
}

void mm_pairs_more(mm_pairs *p, int32_t first, int32_t second, int64_t times, uint32_t word) {
    mm_pair *pair = pair_of(p, mm_pair_key(first, second));
    if (!pair) return;
    pair->count += times;
    if (!pair->grown) {
        p->grown = room(p, p->grown, p->grown_count, &p->grown_capacity, sizeof *p->grown);
        if (p->failed) return;
        p->grown[p->grown_count++] = (uint32_t)(pair - p->pairs);
        pair->grown = true;
    }
    if (pair->word_count && pair->words[pair->word_count - 1] == word) return;
    if (pair->word_count == pair->word_capacity) {
        size_t wider = pair->word_capacity ? 2 * (size_t)pair->word_capacity : 4;
        uint32_t *words = wider < UINT32_MAX ? realloc(pair->words, wider * sizeof *words) : NULL;
        if (!words) {
            p->failed = true;
            return;
        }
        pair->words = words;
        pair->word_capacity = (uint32_t)wider;
    }
    pair->words[pair->word_count++] = word;
}

void mm_pairs_less(mm_pairs *p, int32_t first, int32_t second, int64_t times) {
    mm_pair *pair = pair_of(p, mm_pair_key(first, second));
    if (pair) pair->count -= times;
}

static bool before(const mm_pair_entry *a, const mm_pair_entry *b) {
    return a->count != b->count ? a->count > b->count : a->key < b->key;
}

static void push(mm_pairs *p, uint32_t index) {
    p->queue = room(p, p->queue, p->queue_size, &p->queue_capacity, sizeof *p->queue);
    if (p->failed) return;
    mm_pair_entry entry = {p->pairs[index].count, p->pairs[index].key, index};
    size_t at = p->queue_size++;
    for (; at > 0 && before(&entry, &p->queue[(at - 1) / 2]); at = (at - 1) / 2)
        p->queue[at] = p->queue[(at - 1) / 2];
    p->queue[at] = entry;
}

static mm_pair_entry pop(mm_pairs *p) {
    mm_pair_entry top = p->queue[0], last = p->queue[--p->queue_size];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= p->queue_size) break;
        if (child + 1 < p->queue_size && before(&p->queue[child + 1], &p->queue[child])) child++;
        if (!before(&p->queue[child], &last)) break;
        p->queue[at] = p->queue[child];
        at = child;
    }
    p->queue[at] = last;
    return top;
}

void mm_pairs_settle(mm_pairs *p) {
    for (size_t i = 0; i < p->grown_count; i++) {
        mm_pair *pair = &p->pairs[p->grown[i]];
        pair->grown = false;
        if (pair->count > 0) push(p, p->grown[i]);
    }
    p->grown_count = 0;
}

mm_pair *mm_pairs_take(mm_pairs *p) {
    while (p->queue_size && !p->failed) {
        mm_pair_entry top = pop(p);
        mm_pair *pair = &p->pairs[top.pair];
        if (pair->count <= 0) continue;
        if (pair->count == top.count) return pair;
        // Fewer than it was: it waits at its new place. (Where it grew, a newer entry stood before this one.)
        if (pair->count < top.count) push(p, top.pair);
    }
    return NULL;
}
