#include <mm/base/arena.h>

#include "limit.h"
#include <assert.h>
#include <errno.h>
#include <mm/base/text.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const size_t huge_page = (size_t)2 << 20;

static size_t round_up(size_t size, size_t unit) {
    return (size + unit - 1) / unit * unit;
}

// What is mapped for an arena of `size` bytes.
static size_t mapped_size(size_t size) {
    return round_up(size ? size : 1, huge_page);
}

// The size of a measuring arena, and what it says of more than any process can address.
static const size_t measuring = SIZE_MAX, beyond_all = PTRDIFF_MAX;

mm_arena mm_arena_measure(void) {
    return (mm_arena){.size = measuring};
}

// `size` bytes, a multiple of a huge page, beginning at a multiple of it; NULL with errno.
static unsigned char *map_aligned(size_t size) {
    unsigned char *whole =
        mmap(NULL, size + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (whole == MAP_FAILED) return NULL;
    size_t before = round_up((uintptr_t)whole, huge_page) - (uintptr_t)whole;
    if (before) munmap(whole, before);
    if (before < huge_page) munmap(whole + before + size, huge_page - before);
    madvise(whole + before, size, MADV_HUGEPAGE); // a wish: without huge pages it is slower, not wrong
    return whole + before;
}

mm_status mm_arena_open(mm_arena *arena, size_t size, mm_error *error) {
    *arena = (mm_arena){0};
    static const char way_out[] =
        "a smaller model, micro-batch or sequence length, fewer tokens to make or fewer workers need less";
    char needed[MM_SIZE_TEXT], left[MM_SIZE_TEXT], reason[MM_ERRNO_TEXT];
    mm_size_print((double)size, needed);
    if (size > PTRDIFF_MAX - 2 * huge_page)
        return mm_trouble(error, "memory: %s needed, which no process can address; %s", needed, way_out);
    double available = mm_limits_memory();
    if ((double)size > available)
        return mm_trouble(error, "memory: %s needed, but %s available; %s", needed,
                          mm_size_print(available, left), way_out);
    arena->base = map_aligned(mapped_size(size));
    if (!arena->base)
        return mm_trouble(error, "memory: cannot map %s: %s; %s", needed, mm_errno_text(errno, reason),
                          way_out);
    arena->size = size;
    return MM_OK;
}

void mm_arena_close(mm_arena *arena) {
    if (arena->base) munmap(arena->base, mapped_size(arena->size));
    *arena = (mm_arena){0};
}

void *mm_arena_take(mm_arena *arena, size_t count, size_t bytes) {
    size_t size, begin = round_up(arena->used, MM_ARENA_ALIGNMENT);
    bool fits =
        !__builtin_mul_overflow(count, bytes, &size) && size <= beyond_all && begin <= beyond_all - size;
    if (arena->size == measuring) {
        arena->used = fits ? begin + size : beyond_all;
        return NULL;
    }
    assert(fits && arena->base && begin + size <= arena->size && "an arena is too small");
    arena->used = begin + size;
    return arena->base + begin;
}

double mm_memory_available(void) {
    return mm_limits_memory();
}

bool mm_memory_is_limited(void) {
    return mm_limits_memory_is_set();
}

void mm_memory_limit(double bytes) {
    mm_limits_set_memory(bytes);
}

static bool gives_huge_pages(void) {
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    if (!file) return false;
    char line[128];
    bool gives = fgets(line, sizeof line, file) && !strstr(line, "[never]");
    fclose(file);
    return gives;
}

size_t mm_arena_resident(size_t size) {
    return round_up(size, gives_huge_pages() ? huge_page : (size_t)sysconf(_SC_PAGESIZE));
}
