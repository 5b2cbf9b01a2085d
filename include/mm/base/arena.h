// One block of memory that is handed out front to back and freed as a whole. The same layout code runs twice:
// over a measuring arena, which only counts, and over a real one of that size.
#ifndef MM_BASE_ARENA_H
#define MM_BASE_ARENA_H

#include <mm/base/status.h>
#include <stdbool.h>
#include <stddef.h>

enum { MM_ARENA_ALIGNMENT = 64 }; // bytes: a cache line, and an AVX-512 register

// Not thread safe; own one for each worker.
typedef struct mm_arena {
    unsigned char *base; // NULL in a measuring arena
    size_t size;         // bytes
    size_t used;         // bytes handed out
} mm_arena;

// A measuring arena: mm_arena_take returns NULL and `used` says what a real one needs; PTRDIFF_MAX where that
// is more than any process can address, which mm_arena_open refuses.
mm_arena mm_arena_measure(void);

// Maps `size` bytes of zeros (huge pages where the system gives them). MM_TROUBLE if memory is not to be had.
MM_CHECKED mm_status mm_arena_open(mm_arena *arena, size_t size, mm_error *error);
// Gives the memory back: all that was taken from it is gone. The arena is {0} then; closing {0} or a
// measuring arena frees nothing.
void mm_arena_close(mm_arena *arena);
// What stays resident of an arena of `size` bytes that is used to its end: whole huge pages where the system
// gives them, else whole pages.
size_t mm_arena_resident(size_t size);

// `count` objects of `bytes` each, aligned to MM_ARENA_ALIGNMENT, zeros. Asserts that it fits: sizes were
// measured before. NULL from a measuring arena.
void *mm_arena_take(mm_arena *arena, size_t count, size_t bytes);

// Bytes that this process may still take: the smallest of what the kernel says is available (swap included)
// and what the control groups' limits and mm_memory_limit leave beside what it has already; infinity where
// nothing is said. Pages come when they are touched, so what is planned in several pieces is to be compared
// as a whole.
double mm_memory_available(void);
// A bound of the user's for all that this process takes, in bytes. Before other threads are started.
void mm_memory_limit(double bytes);
// Is it that bound which leaves the least?
bool mm_memory_is_limited(void);

#endif
