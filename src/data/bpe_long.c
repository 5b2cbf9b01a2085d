// Words of any length: positions wait in one list for each rank, and the smallest rank that has any is worked
// off from left to right. So a word of equal letters, whatever its length, costs a few passes over it.
#include "bpe.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// Positions whose pair had this rank when they were noted; they may have changed since.
typedef struct waiting {
    uint32_t *positions; // they come from left to right, but for odd lists of merges
    size_t done, count, capacity;
    bool unsorted;
} waiting;

enum { END = -1 };

typedef struct long_word {
    const mm_bpe *bpe;
    int32_t *symbols;
    size_t n;
    uint64_t *left; // a bit for each symbol: has it not been merged into its left? Tokens are short, so are
                    // the gaps.
    waiting *ranks; // bpe->ranks of them
    int32_t *heap;  // ranks with positions waiting, the smallest first; each at most once
    int32_t heap_size;
    bool failed; // memory ran out
} long_word;

static bool is_left(const long_word *w, int32_t at) {
    return w->left[at / 64] >> at % 64 & 1;
}

// The symbol left that follows; END if there is none.
static int32_t next_of(const long_word *w, int32_t at) {
    size_t i = (size_t)at + 1, words = (w->n + 63) / 64;
    if (i >= w->n) return END;
    uint64_t bits = w->left[i / 64] & UINT64_MAX << i % 64;
    for (size_t word = i / 64;;) {
        if (bits) return (int32_t)(64 * word + (size_t)__builtin_ctzll(bits));
        if (++word == words) return END;
        bits = w->left[word];
    }
}

static int32_t previous_of(const long_word *w, int32_t at) {
    if (at == 0) return END;
    size_t i = (size_t)at - 1;
    uint64_t bits = w->left[i / 64] & UINT64_MAX >> (63 - i % 64);
    for (size_t word = i / 64;;) {
        if (bits) return (int32_t)(64 * word + 63 - (size_t)__builtin_clzll(bits));
        if (word == 0) return END;
        bits = w->left[--word];
    }
}

static void heap_push(long_word *w, int32_t rank) {
    int32_t at = w->heap_size++;
    while (at > 0 && w->heap[(at - 1) / 2] > rank) {
        w->heap[at] = w->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    w->heap[at] = rank;
}

static int32_t heap_pop(long_word *w) {
    int32_t top = w->heap[0], last = w->heap[--w->heap_size], at = 0;
    for (;;) {
        int32_t child = 2 * at + 1;
        if (child >= w->heap_size) break;
        if (child + 1 < w->heap_size && w->heap[child + 1] < w->heap[child]) child++;
        if (w->heap[child] >= last) break;
        w->heap[at] = w->heap[child];
        at = child;
    }
    w->heap[at] = last;
    return top;
}

// Notes the pair that begins at `at`, if it has a merge.
static void note(long_word *w, int32_t at) {
    int32_t next = next_of(w, at);
    if (next < 0) return;
    mm_bpe_merge merge = mm_bpe_find(w->bpe, w->symbols[at], w->symbols[next]);
    if (merge.rank < 0) return;
    waiting *list = &w->ranks[merge.rank];
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 16;
        uint32_t *positions = realloc(list->positions, capacity * sizeof *positions);
        if (!positions) {
            w->failed = true;
            return;
        }
        list->positions = positions;
        list->capacity = capacity;
    }
    if (list->count == list->done) heap_push(w, merge.rank);
    if (list->count > list->done && list->positions[list->count - 1] > (uint32_t)at) list->unsorted = true;
    list->positions[list->count++] = (uint32_t)at;
}

static int by_position(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// Merges the pair at `at` if it still has this rank.
static void merge_at(long_word *w, int32_t at, int32_t rank) {
    int32_t right = is_left(w, at) ? next_of(w, at) : END;
    if (right < 0) return;
    mm_bpe_merge merge = mm_bpe_find(w->bpe, w->symbols[at], w->symbols[right]);
    if (merge.rank != rank) return;
    w->symbols[at] = merge.made;
    w->left[right / 64] &= ~(UINT64_C(1) << right % 64);
    int32_t before = previous_of(w, at);
    if (before >= 0) note(w, before);
    note(w, at);
}

// Works off the positions of the smallest rank, until none is left or a smaller rank turns up.
static void work_off(long_word *w) {
    int32_t rank = heap_pop(w);
    waiting *list = &w->ranks[rank];
    while (list->done < list->count && !w->failed) {
        if (list->unsorted) {
            qsort(list->positions + list->done, list->count - list->done, sizeof *list->positions,
                  by_position);
            list->unsorted = false;
        }
        merge_at(w, (int32_t)list->positions[list->done++], rank);
        if (w->heap_size && w->heap[0] < rank && list->done < list->count) {
            heap_push(w, rank);
            return;
        }
    }
    free(list->positions);
    *list = (waiting){0};
}

static bool open_word(long_word *w, size_t n) {
    size_t ranks = (size_t)w->bpe->ranks + 1;
    w->n = n;
    w->left = calloc((n + 63) / 64, sizeof *w->left);
    w->heap = malloc(ranks * sizeof *w->heap);
    w->ranks = calloc(ranks, sizeof *w->ranks);
    if (!w->left || !w->heap || !w->ranks) return false;
    for (size_t i = 0; i < n; i++) w->left[i / 64] |= UINT64_C(1) << i % 64;
    return true;
}

static void close_word(long_word *w) {
    // Lists that were worked off are free. Looking through all would take longer than a word.
    for (int32_t i = 0; w->failed && w->ranks && i < w->bpe->ranks; i++) free(w->ranks[i].positions);
    free(w->ranks);
    free(w->left);
    free(w->heap);
}

mm_status mm_bpe_long_word(const mm_bpe *bpe, int32_t *symbols, size_t n, size_t *left, mm_error *error) {
    *left = n;
    if (n < 2) return MM_OK;
    if (n > INT32_MAX / 2)
        return mm_trouble(error,
                          "a word of %zu bytes: at most %d can be encoded as one; break it into lines or "
                          "documents",
                          n, INT32_MAX / 2);
    long_word w = {.bpe = bpe, .symbols = symbols};
    if (!open_word(&w, n)) w.failed = true;
    for (size_t i = 0; i < n && !w.failed; i++) note(&w, (int32_t)i);
    while (w.heap_size && !w.failed) work_off(&w);
    bool failed = w.failed;
    if (!failed) {
        size_t kept = 0;
        for (int32_t at = 0; at >= 0; at = next_of(&w, at)) symbols[kept++] = symbols[at];
        *left = kept;
    }
    close_word(&w);
    return failed ? mm_trouble(error, "no memory to encode a word of %zu bytes", n) : MM_OK;
}
