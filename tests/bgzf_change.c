// A BGZF file that changes while it is read: other data written over it is refused and spoils no other block,
// another file in its place does not matter.
#include "fixture.h"

#include <fcntl.h>
#include <mm/files/bgzf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BYTES = 100, BLOCK = 40 };

static mm_error error;

static void good(mm_status status) {
    if (status != MM_OK) fail_msg("%s", error.text);
}

// Stored, not deflated: files of other letters have the same layout.
static void write_letters(const char *path, int letter) {
    unsigned char data[BYTES];
    memset(data, letter, sizeof data);
    unlink(path);
    fixture_bgzf(path, BLOCK, 0, data, sizeof data, NULL);
}

typedef struct reader {
    char path[FIXTURE_PATH];
    mm_bgzf *file;
    mm_bgzf_cursor *cursor;
    unsigned char out[BYTES];
} reader;

// Opens a file of the letter a and reads its first block.
static void begin(reader *r, const char *folder) {
    write_letters(fixture_path(r->path, folder, "letters.gz"), 'a');
    good(mm_bgzf_open(r->path, BLOCK, &r->file, &error));
    good(mm_bgzf_cursor_new(r->file, &r->cursor, &error));
    good(mm_bgzf_read(r->cursor, 0, r->out, BLOCK, &error));
}

static void end(reader *r) {
    mm_bgzf_cursor_free(r->cursor);
    mm_bgzf_close(r->file);
}

static void data_written_over_it_is_refused(void **state) {
    reader r;
    char other[FIXTURE_PATH];
    size_t size;
    begin(&r, *state);
    write_letters(fixture_path(other, *state, "other.gz"), 'b');
    char *bytes = fixture_read(other, &size);
    int fd = open(r.path, O_WRONLY);
    assert_int_equal(pwrite(fd, bytes, size, 0), (ssize_t)size);
    close(fd);
    free(bytes);
    assert_int_equal(mm_bgzf_read(r.cursor, BLOCK, r.out, BLOCK, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, r.path));
    assert_non_null(strstr(error.text, "when the file was opened"));
    end(&r);
}

static void another_file_in_its_place_does_not_matter(void **state) {
    reader r;
    begin(&r, *state);
    write_letters(r.path, 'b');
    good(mm_bgzf_read(r.cursor, 0, r.out, BYTES, &error));
    for (int i = 0; i < BYTES; i++) assert_int_equal(r.out[i], 'a');
    end(&r);
}

// What a cursor holds is not taken for another block's, nor for its own, after a read that failed.
static void a_failed_read_leaves_nothing_behind(void **state) {
    reader r;
    size_t size;
    begin(&r, *state);
    unsigned char *bytes = (unsigned char *)fixture_read(r.path, &size);
    off_t at = (off_t)bytes[16] + 1 + 30; // in the second block's data
    int fd = open(r.path, O_WRONLY);
    assert_int_equal(pwrite(fd, "b", 1, at), 1);
    for (int times = 0; times < 2; times++) {
        assert_int_equal(mm_bgzf_read(r.cursor, BLOCK, r.out, BLOCK, &error), MM_TROUBLE);
        good(mm_bgzf_read(r.cursor, 0, r.out, BLOCK, &error));
        for (int i = 0; i < BLOCK; i++) assert_int_equal(r.out[i], 'a');
    }
    close(fd);
    free(bytes);
    end(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(data_written_over_it_is_refused, fixture_folder, fixture_remove),
        cmocka_unit_test_setup_teardown(a_failed_read_leaves_nothing_behind, fixture_folder, fixture_remove),
        cmocka_unit_test_setup_teardown(another_file_in_its_place_does_not_matter, fixture_folder,
                                        fixture_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
