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
    bool sorted;
} waiting;

enum { END = -1, GONE = -2 };

typedef struct long_word {
    const mm_bpe *bpe;
    int32_t *symbols;
    int32_t *next, *previous; // linked list of the symbols left; next is GONE for one merged into its left
    waiting *ranks;           // bpe->ranks of them
    int32_t *heap;            // ranks with positions waiting, the smallest first; each at most once
    int32_t heap_size;
    bool failed; // memory ran out
} long_word;

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
    int32_t next = w->next[at];
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
    if (list->count > list->done && list->positions[list->count - 1] > (uint32_t)at) list->sorted = false;
    list->positions[list->count++] = (uint32_t)at;
}

static int by_position(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// Merges the pair at `at` if it still has this rank.
static void merge_at(long_word *w, int32_t at, int32_t rank) {
    int32_t right = w->next[at];
    if (right < 0) return;
    mm_bpe_merge merge = mm_bpe_find(w->bpe, w->symbols[at], w->symbols[right]);
    if (merge.rank != rank) return;
    int32_t after = w->next[right];
    w->symbols[at] = merge.made;
    w->next[at] = after;
    w->next[right] = GONE;
    if (after >= 0) w->previous[after] = at;
    if (w->previous[at] >= 0) note(w, w->previous[at]);
    note(w, at);
}

// Works off the positions of the smallest rank, until none is left or a smaller rank turns up.
static void work_off(long_word *w) {
    int32_t rank = heap_pop(w);
    waiting *list = &w->ranks[rank];
    while (list->done < list->count && !w->failed) {
        if (!list->sorted) {
            qsort(list->positions + list->done, list->count - list->done, sizeof *list->positions,
                  by_position);
            list->sorted = true;
        }
        merge_at(w, (int32_t)list->positions[list->done++], rank);
        if (w->heap_size && w->heap[0] < rank && list->done < list->count) {
            heap_push(w, rank);
            return;
        }
    }
    free(list->positions);
    *list = (waiting){.sorted = true};
}

static bool open_word(long_word *w, size_t n) {
    size_t ranks = (size_t)w->bpe->ranks + 1;
    w->next = malloc(n * sizeof *w->next);
    w->previous = malloc(n * sizeof *w->previous);
    w->heap = malloc(ranks * sizeof *w->heap);
    w->ranks = calloc(ranks, sizeof *w->ranks);
    if (!w->next || !w->previous || !w->heap || !w->ranks) return false;
    for (size_t i = 0; i < ranks; i++) w->ranks[i].sorted = true;
    for (size_t i = 0; i < n; i++) {
        w->next[i] = i + 1 < n ? (int32_t)i + 1 : END;
        w->previous[i] = (int32_t)i - 1;
    }
    return true;
}

static void close_word(long_word *w) {
    for (int32_t i = 0; w->ranks && i < w->bpe->ranks; i++) free(w->ranks[i].positions);
    free(w->ranks);
    free(w->next);
    free(w->previous);
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
        for (int32_t at = 0; at >= 0; at = w.next[at]) symbols[kept++] = symbols[at];
        *left = kept;
    }
    close_word(&w);
    return failed ? mm_trouble(error, "no memory to encode a word of %zu bytes", n) : MM_OK;
}
