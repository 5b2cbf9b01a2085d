#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
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

uint64_t fixture_draw(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
