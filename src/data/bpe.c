#include "bpe.h"

#include <stdlib.h>
#include <string.h>

// Up to this many symbols the best pair is found by looking at all of them: quadratic, but without memory.
enum { SHORT_WORD = 128 };

bool mm_bpe_make(mm_bpe *bpe, size_t count) {
    size_t slots = 16;
    while (slots < 2 * count) slots *= 2;
    *bpe = (mm_bpe){.mask = slots - 1};
    mm_table_key(bpe->key);
    bpe->keys = malloc(slots * sizeof *bpe->keys);
    bpe->merges = malloc(slots * sizeof *bpe->merges);
    if (!bpe->keys || !bpe->merges) {
        mm_bpe_free(bpe);
        return false;
    }
    memset(bpe->keys, 0xff, slots * sizeof *bpe->keys);
    return true;
}

void mm_bpe_free(mm_bpe *bpe) {
    free(bpe->keys);
    free(bpe->merges);
    *bpe = (mm_bpe){0};
}

void mm_bpe_add(mm_bpe *bpe, int32_t first, int32_t second, int32_t rank, int32_t made) {
    uint64_t key = mm_pair_key(first, second);
    size_t slot = mm_table_hash(bpe->key, key) & bpe->mask;
    while (bpe->keys[slot] != UINT64_MAX && bpe->keys[slot] != key) slot = (slot + 1) & bpe->mask;
    bpe->keys[slot] = key;
    bpe->merges[slot] = (mm_bpe_merge){rank, made};
    if (rank >= bpe->ranks) bpe->ranks = rank + 1;
}

static void look_up(const mm_bpe *bpe, const int32_t *symbols, size_t at, int32_t *ranks, int32_t *made) {
    mm_bpe_merge merge = mm_bpe_find(bpe, symbols[at], symbols[at + 1]);
    ranks[at] = merge.rank < 0 ? INT32_MAX : merge.rank; // so that the smallest is the best
    made[at] = merge.made;
}

static size_t short_word(const mm_bpe *bpe, int32_t *symbols, size_t n) {
    int32_t ranks[SHORT_WORD], made[SHORT_WORD];
    for (size_t i = 0; i + 1 < n; i++) look_up(bpe, symbols, i, ranks, made);
    while (n > 1) {
        // Two loops: the compiler makes the first one wide, and the second ends early.
        int32_t least = INT32_MAX;
        for (size_t i = 0; i < n - 1; i++) least = ranks[i] < least ? ranks[i] : least;
        if (least == INT32_MAX) break;
        size_t best = 0;
        while (ranks[best] != least) best++;
        symbols[best] = made[best];
        n--;
        for (size_t i = best + 1; i < n; i++) symbols[i] = symbols[i + 1];
        for (size_t i = best + 1; i + 1 < n; i++) ranks[i] = ranks[i + 1];
        for (size_t i = best + 1; i + 1 < n; i++) made[i] = made[i + 1];
        for (size_t i = best ? best - 1 : 0; i <= best && i + 1 < n; i++)
            look_up(bpe, symbols, i, ranks, made);
    }
    return n;
}

mm_status mm_bpe_word(const mm_bpe *bpe, mm_bpe_room *room, int32_t *symbols, size_t n, size_t *left,
                      mm_error *error) {
    if (n > SHORT_WORD) return mm_bpe_long_word(bpe, room, symbols, n, left, error);
    *left = short_word(bpe, symbols, n);
    return MM_OK;
}
