// A temporary folder for a test, files in it, and numbers to draw cases with.
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include <mm/base/hash.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

// fsync does nothing in tests with a fixture, which do not wait for the disk; one may have its own.
int fsync(int fd);

enum { FIXTURE_PATH = 512 };

// A new folder under $TMPDIR, else /tmp; the next two are for cmocka, with the path as *state.
int fixture_folder(void **state);
int fixture_remove(void **state);

// FOLDER/NAME in `out`, returned.
char *fixture_path(char out[FIXTURE_PATH], const char *folder, const char *name);
void fixture_write(const char *path, const void *data, size_t size);
// Another file in its place: emptying the old one would wait for the disk.
void fixture_rewrite(const char *path, const void *data, size_t size);
// The whole of a file; free() it.
char *fixture_read(const char *path, size_t *size);

// A new BGZF file of these bytes, in blocks of `block_bytes`; *hash (may be NULL) is theirs.
void fixture_bgzf(const char *path, int block_bytes, int level, const void *raw, size_t size, mm_hash *hash);

// The next number of a sequence for drawing cases: splitmix64.
uint64_t fixture_draw(uint64_t *state);

#endif
