#include "bpe_tail.h"

#include <stdlib.h>
#include <string.h>

static bool filled(const mm_bpe *bpe, size_t slot, int32_t *first, int32_t *second) {
    *first = mm_pair_first(bpe->keys[slot]);
    *second = mm_pair_second(bpe->keys[slot]);
    return bpe->keys[slot] != UINT64_MAX;
}

static int32_t larger(int32_t a, int32_t b) {
    return a > b ? a : b;
}

static int by_latest(const void *a, const void *b) {
    const mm_bpe_tail_pair *x = a, *y = b;
    return (x->latest < y->latest) - (x->latest > y->latest);
}

static void list_pairs(mm_bpe_tail *tail, const mm_bpe *bpe) {
    int32_t first, second;
    for (size_t slot = 0; slot <= bpe->mask; slot++)
        if (filled(bpe, slot, &first, &second)) tail->starts[first + 1]++;
    for (int32_t i = 0; i < tail->limit; i++) tail->starts[i + 1] += tail->starts[i];
    // starts[first] walks to its end, which is where the next one's begin: then all move up by one.
    for (size_t slot = 0; slot <= bpe->mask; slot++)
        if (filled(bpe, slot, &first, &second))
            tail->pairs[tail->starts[first]++] =
                (mm_bpe_tail_pair){tail->latest[second], bpe->merges[slot].rank};
    memmove(tail->starts + 1, tail->starts, (size_t)tail->limit * sizeof *tail->starts);
    tail->starts[0] = 0;
    for (int32_t i = 0; i < tail->limit; i++) {
        size_t start = tail->starts[i], end = tail->starts[i + 1];
        qsort(tail->pairs + start, end - start, sizeof *tail->pairs, by_latest);
        for (size_t j = start + 1; j < end; j++)
            if (tail->pairs[j - 1].least < tail->pairs[j].least)
                tail->pairs[j].least = tail->pairs[j - 1].least;
    }
}

// A token may be made in several ways; what its parts take counts too. As many passes as tokens are deep, but
// for odd lists: there every rank may be the one.
static void find_latest(mm_bpe_tail *tail, const mm_bpe *bpe) {
    enum { PASSES = 100 };
    int32_t first, second;
    memset(tail->latest, 0xff, (size_t)tail->limit * sizeof *tail->latest);
    bool changed = true;
    for (int pass = 0; pass < PASSES && changed; pass++) {
        changed = false;
        for (size_t slot = 0; slot <= bpe->mask; slot++) {
            if (!filled(bpe, slot, &first, &second)) continue;
            int32_t parts = larger(tail->latest[first], tail->latest[second]);
            int32_t rank = larger(parts, bpe->merges[slot].rank),
                    *made = &tail->latest[bpe->merges[slot].made];
            changed |= rank > *made;
            *made = larger(rank, *made);
        }
    }
    for (int32_t i = 0; changed && i < tail->limit; i++) tail->latest[i] = INT32_MAX;
}

bool mm_bpe_tail_make(mm_bpe_tail *tail, const mm_bpe *bpe) {
    int32_t limit = 0, first, second;
    size_t count = 0;
    for (size_t slot = 0; slot <= bpe->mask; slot++) {
        if (!filled(bpe, slot, &first, &second)) continue;
        limit = larger(limit, larger(larger(first, second), bpe->merges[slot].made) + 1);
        count++;
    }
    *tail = (mm_bpe_tail){.limit = limit};
    tail->starts = calloc((size_t)limit + 1, sizeof *tail->starts);
    tail->pairs = malloc((count + 1) * sizeof *tail->pairs);
    tail->latest = malloc(((size_t)limit + 1) * sizeof *tail->latest);
    if (!tail->starts || !tail->pairs || !tail->latest) {
        mm_bpe_tail_free(tail);
        return false;
    }
    find_latest(tail, bpe);
    list_pairs(tail, bpe);
    return true;
}

void mm_bpe_tail_free(mm_bpe_tail *tail) {
    free(tail->starts);
    free(tail->pairs);
    free(tail->latest);
    *tail = (mm_bpe_tail){0};
}

int32_t mm_bpe_tail_rank(const mm_bpe_tail *tail, const mm_bpe *bpe, int32_t last, int32_t behind,
                         int32_t since) {
    int32_t direct = mm_bpe_find(bpe, last, behind).rank, least = direct < 0 ? INT32_MAX : direct;
    if (last >= tail->limit) return least;
    size_t start = tail->starts[last], low = start, high = tail->starts[last + 1];
    while (low < high) { // to the first pair whose second token is made too early
        size_t middle = low + (high - low) / 2;
        if (tail->pairs[middle].latest >= since) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > start && tail->pairs[low - 1].least < least ? tail->pairs[low - 1].least : least;
}
