// What the fuzz targets share: a folder to put hostile files into, BGZF and gzip around what was made up,
// hashes and seals made right, so that an input reaches what lies behind them, and a meter of memory. Failing
// means abort().
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <mm/base/hash.h>
#include <mm/base/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FUZZ_PATH = 512 };

// libFuzzer calls it with each input.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Prints file, line and what should hold, and aborts.
#define fuzz_assert(holds) ((holds) ? (void)0 : fuzz_failed(__FILE__, __LINE__, #holds))
_Noreturn void fuzz_failed(const char *file, int line, const char *what);

// An input in pieces, divided by lines of "%%". A piece that is not there is NULL and 0.
typedef struct fuzz_piece {
    const char *data;
    size_t size;
} fuzz_piece;
void fuzz_split(const uint8_t *data, size_t size, fuzz_piece *pieces, int count);
// The next piece of `*rest`, which is NULL behind the last.
fuzz_piece fuzz_next(fuzz_piece *rest);

// NAME in the process's own folder under $TMPDIR, else /tmp, which is made at the first call. In `out`,
// returned.
char *fuzz_path(char out[FUZZ_PATH], const char *name);
// Files there. A NULL piece removes the file.
void fuzz_put(const char *name, fuzz_piece piece);
void fuzz_put_bgzf(const char *name, fuzz_piece raw, size_t block_bytes);
void fuzz_put_gzip(const char *name, fuzz_piece raw);
// A safetensors file of this header, whose length is put before it, and data; returns the file's hash.
mm_hash fuzz_put_safetensors(const char *name, fuzz_piece header, fuzz_piece data);

// A copy with room for a NUL; free() it.
char *fuzz_copy(fuzz_piece piece);
// Puts the hash in place of the 32 bytes behind the nth "KEY": " of the text, if they are there.
void fuzz_set_hash(char *text, size_t size, const char *key, int nth, mm_hash hash);
// The same for the seal of run.json and state.json, over the whole text.
void fuzz_seal(char *text, size_t size);

// Trouble came with one line that names `name`.
void fuzz_said(mm_status status, const mm_error *error, const char *name);

// Bytes that are allocated from now on, at their highest until fuzz_memory_end, must stay below `constant`
// and `factor` for each byte of the files that were put since the end before.
void fuzz_memory_begin(void);
void fuzz_memory_end(size_t constant, size_t factor);

// The next number of a sequence for drawing cases: splitmix64.
uint64_t fuzz_draw(uint64_t *state);

#endif
