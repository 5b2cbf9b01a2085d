// Words of any length: positions wait in one list for each rank, and the smallest rank that has any is worked
// off from left to right. So a word of equal letters, whatever its length, costs a few passes over it.
//
// Of a word that goes on, the beginning is merged as far as what follows cannot change it. Its last symbol
// may be merged with what follows at some rank at the earliest; before a pair of a larger rank is merged, the
// symbol is given up, with all that would have become of it. (Of equal ranks the left pair comes first, so
// that one is sure.) Then the symbol before it is the last, and what stands behind it is the symbol given up
// or a token made since, at no smaller rank. No merge goes over the end of what is left, so what follows is
// merged on its own.
#include "bpe_tail.h"

#include <stdlib.h>

// Positions whose pair had this rank when they were noted; they may have changed since.
typedef struct mm_bpe_waiting {
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
    waiting *ranks; // the room's, bpe->ranks of them
    int32_t *heap;  // the room's: ranks with positions waiting, the smallest first; each at most once
    int32_t heap_size;
    bool failed; // memory ran out

    const mm_bpe_tail *tail; // NULL: the word ends with the symbols
    int32_t last;            // symbol
    int32_t open;            // the smallest rank with which it may be merged with what follows
    int32_t behind, since;   // the symbol given up last, and the largest rank of one that was
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

static void look_behind(long_word *w) {
    w->open = INT32_MAX;
    if (!w->tail || !w->n) return;
    w->last = previous_of(w, (int32_t)w->n);
    w->open = mm_bpe_tail_rank(w->tail, w->bpe, w->symbols[w->last], w->behind, w->since);
}

// Before a pair of this rank is merged: gives up what may have been merged with what follows.
static void give_up(long_word *w, int32_t rank) {
    while (w->open < rank) {
        w->behind = w->symbols[w->last];
        if (w->open > w->since) w->since = w->open;
        w->left[w->last / 64] &= ~(UINT64_C(1) << w->last % 64);
        w->n = (size_t)w->last;
        look_behind(w);
    }
}

// Merges the pair at `at` if it still has this rank.
static void merge_at(long_word *w, int32_t at, int32_t rank) {
    int32_t right = is_left(w, at) ? next_of(w, at) : END;
    if (right < 0) return;
    mm_bpe_merge merge = mm_bpe_find(w->bpe, w->symbols[at], w->symbols[right]);
    if (merge.rank != rank) return;
    w->symbols[at] = merge.made;
    w->left[right / 64] &= ~(UINT64_C(1) << right % 64);
    if (right == w->last) look_behind(w);
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
        give_up(w, rank);
        merge_at(w, (int32_t)list->positions[list->done++], rank);
        if (w->heap_size && w->heap[0] < rank && list->done < list->count) {
            heap_push(w, rank);
            return;
        }
    }
    free(list->positions);
    *list = (waiting){0};
}

static bool make_room(mm_bpe_room *room, int32_t ranks) {
    if (!room->ranks) room->ranks = calloc((size_t)ranks + 1, sizeof *room->ranks);
    if (!room->heap) room->heap = malloc(((size_t)ranks + 1) * sizeof *room->heap);
    return room->ranks && room->heap;
}

void mm_bpe_room_free(mm_bpe_room *room) {
    free(room->ranks);
    free(room->heap);
    *room = (mm_bpe_room){0};
}

static bool open_word(long_word *w, mm_bpe_room *room, size_t n) {
    w->n = n;
    w->left = calloc((n + 63) / 64, sizeof *w->left);
    if (!w->left || !make_room(room, w->bpe->ranks)) return false;
    w->ranks = room->ranks;
    w->heap = room->heap;
    for (size_t i = 0; i < n; i++) w->left[i / 64] |= UINT64_C(1) << i % 64;
    return true;
}

static void close_word(long_word *w, mm_bpe_room *room) {
    // Lists that were worked off are free. Looking through all would take longer than a word.
    for (int32_t i = 0; w->failed && w->ranks && i < w->bpe->ranks; i++) free(w->ranks[i].positions);
    if (w->failed) mm_bpe_room_free(room);
    free(w->left);
}

static mm_status encode(long_word *w, mm_bpe_room *room, size_t n, size_t *left, mm_error *error) {
    *left = 0;
    if (n > INT32_MAX / 2)
        return mm_trouble(error,
                          "a word of %zu bytes: at most %d can be encoded as one; break it into lines or "
                          "documents",
                          n, INT32_MAX / 2);
    w->last = w->behind = w->since = END;
    w->failed = !open_word(w, room, n);
    if (!w->failed) look_behind(w);
    for (size_t i = 0; i < n && !w->failed; i++) note(w, (int32_t)i);
    while (w->heap_size && !w->failed) work_off(w);
    bool failed = w->failed;
    if (!failed) give_up(w, INT32_MAX);
    for (int32_t at = 0; !failed && w->n && at >= 0; at = next_of(w, at))
        w->symbols[(*left)++] = w->symbols[at];
    close_word(w, room);
    return failed ? mm_trouble(error, "encoding a word of %zu bytes: out of memory", n) : MM_OK;
}

mm_status mm_bpe_long_word(const mm_bpe *bpe, mm_bpe_room *room, int32_t *symbols, size_t n, size_t *left,
                           mm_error *error) {
    long_word w = {.bpe = bpe, .symbols = symbols};
    *left = n;
    return n < 2 ? MM_OK : encode(&w, room, n, left, error);
}

mm_status mm_bpe_beginning(const mm_bpe *bpe, const mm_bpe_tail *tail, mm_bpe_room *room, int32_t *symbols,
                           size_t n, size_t *left, size_t *merged, mm_error *error) {
    long_word w = {.bpe = bpe, .symbols = symbols, .tail = tail};
    *left = *merged = 0;
    mm_status status = n ? encode(&w, room, n, left, error) : MM_OK;
    if (status == MM_OK) *merged = w.n;
    return status;
}
