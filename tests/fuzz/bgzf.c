// BGZF at random, and the same file as a stream of gzip members. An input is a mode and a file, or what goes
// into its blocks.
#include "fuzz.h"

#include <mm/files/bgzf.h>
#include <mm/files/publish.h>
#include <stdlib.h>
#include <string.h>

enum { BUILT = 1, FLIPPED = 2, SMALL_BLOCK = 1000, MEMORY = 1 << 20, MOST_RAW = 1 << 22 };
static const char name[] = "bgzf.gz";

// Everything in pieces of drawn sizes; NULL if it is damaged. What is beyond MOST_RAW is left out.
static const char *read_stream(const char *path, uint64_t *draws, size_t *size) {
    static char all[MOST_RAW]; // made once: to make it for each input takes most of the time
    mm_error error;
    mm_gzin *in;
    *size = 0;
    mm_status status = mm_gzin_open(path, &in, &error);
    for (size_t got = 1; !status && got && *size < MOST_RAW;) {
        size_t piece = 1 + fuzz_draw(draws) % 70000;
        status =
            mm_gzin_read(in, all + *size, piece < MOST_RAW - *size ? piece : MOST_RAW - *size, &got, &error);
        if (!status) *size += got;
    }
    if (!status) status = mm_gzin_unchanged(in, &error);
    mm_gzin_close(in);
    if (!status) return all;
    fuzz_said(status, &error, name);
    return NULL;
}

// Ranges of the whole read as the whole does; NULL if it is damaged.
static char *read_blocks(const mm_bgzf *file, uint64_t *draws, mm_error *error) {
    size_t size = (size_t)mm_bgzf_raw_bytes(file);
    char *all = malloc(size + 1), *part = malloc(size + 1);
    mm_bgzf_cursor *cursor;
    fuzz_assert(all && part && mm_bgzf_cursor_new(file, &cursor, error) == MM_OK);
    mm_status status = mm_bgzf_read(cursor, 0, all, size, error);
    for (int i = 0; i < 8 && !status; i++) {
        size_t first = fuzz_draw(draws) % (size + 1), count = fuzz_draw(draws) % (size - first + 1);
        fuzz_assert(mm_bgzf_read(cursor, first, part, count, error) == MM_OK);
        fuzz_assert(memcmp(part, all + first, count) == 0);
    }
    if (status) fuzz_said(status, error, name);
    mm_bgzf_cursor_free(cursor);
    free(part);
    if (!status) return all;
    free(all);
    return NULL;
}

static void read_both(const char *path, int block_bytes, uint64_t draws) {
    mm_error error;
    mm_bgzf *file;
    size_t size;
    const char *stream = read_stream(path, &draws, &size);
    char *blocks = NULL;
    mm_status status = mm_bgzf_open(path, block_bytes, &file, &error);
    if (status) {
        fuzz_said(status, &error, name);
    } else if (mm_bgzf_raw_bytes(file) < MOST_RAW) {
        blocks = read_blocks(file, &draws, &error);
        // Every BGZF file is a gzip file, with the same bytes in it.
        if (blocks)
            fuzz_assert(stream && size == mm_bgzf_raw_bytes(file) && memcmp(stream, blocks, size) == 0);
    }
    if (!status) mm_bgzf_close(file);
    free(blocks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[FUZZ_PATH];
    if (size < 4) return 0;
    unsigned mode = data[0];
    fuzz_piece rest = {(const char *)data + 4, size - 4};
    if (mode & BUILT)
        fuzz_put_bgzf(name, rest, SMALL_BLOCK);
    else
        fuzz_put(name, rest);
    if (mode & FLIPPED) {
        char *bytes;
        size_t whole;
        fuzz_assert(mm_read_file(fuzz_path(path, name), SIZE_MAX, &bytes, &whole, NULL) == MM_OK);
        if (whole) bytes[(data[1] | data[2] << 8) % whole] ^= (char)data[3];
        fuzz_put(name, (fuzz_piece){bytes, whole});
        free(bytes);
    }
    uint64_t draws = mm_hash_bytes(data, size).low;
    fuzz_memory_begin();
    read_both(fuzz_path(path, name), mode & BUILT ? SMALL_BLOCK : 64000, draws);
    fuzz_memory_end(MEMORY + 2 * (size_t)MOST_RAW, 16);
    return 0;
}
