#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <mm/files/bgzf.h>
#include <mm/files/publish.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((weak)) int fsync(int fd) {
    (void)fd;
    return 0;
}

int fixture_folder(void **state) {
    const char *base = getenv("TMPDIR");
    char *path = malloc(FIXTURE_PATH);
    if (!path) return -1;
    snprintf(path, FIXTURE_PATH, "%s/mm-test-XXXXXX", base && *base ? base : "/tmp");
    *state = path;
    return mkdtemp(path) ? 0 : -1;
}

int fixture_remove(void **state) {
    mm_status status = mm_remove_folder(*state, NULL);
    free(*state);
    return status;
}

char *fixture_path(char out[FIXTURE_PATH], const char *folder, const char *name) {
    assert_true(snprintf(out, FIXTURE_PATH, "%s/%s", folder, name) < FIXTURE_PATH);
    return out;
}

void fixture_write(const char *path, const void *data, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

void fixture_rewrite(const char *path, const void *data, size_t size) {
    unlink(path);
    fixture_write(path, data, size);
}

char *fixture_read(const char *path, size_t *size) {
    char *data;
    mm_error error;
    mm_status status = mm_read_file(path, (size_t)1 << 30, &data, size, &error);
    if (status) fail_msg("%s", error.text);
    return data;
}

void fixture_bgzf(const char *path, int block_bytes, int level, const void *raw, size_t size, mm_hash *hash) {
    static unsigned char member[MM_BGZF_MEMBER_MAX];
    const unsigned char *data = raw;
    const size_t block = (size_t)block_bytes;
    mm_bgzf_writer *writer;
    mm_bgzf_deflater *deflater;
    uint64_t raw_bytes;
    assert_int_equal(mm_bgzf_create(path, block_bytes, &writer, NULL), MM_OK);
    assert_int_equal(mm_bgzf_deflater_new(level, &deflater, NULL), MM_OK);
    for (size_t at = 0; at < size; at += block) {
        size_t part = size - at < block ? size - at : block;
        size_t made = mm_bgzf_deflate(deflater, data + at, part, member);
        assert_int_equal(mm_bgzf_append(writer, data + at, part, member, made, NULL), MM_OK);
    }
    mm_bgzf_deflater_free(deflater);
    assert_int_equal(mm_bgzf_finish(writer, hash, &raw_bytes, NULL), MM_OK);
    assert_int_equal(raw_bytes, size);
}

uint64_t fixture_draw(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
