// What people read: growing text, error sentences, and durations.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <mm/base/clock.h>
#include <mm/base/status.h>
#include <mm/base/text.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void text_grows(void **state) {
    (void)state;
    mm_text text = {0};
    char expected[4000] = "";
    for (int i = 0; i < 200; i++) {
        mm_text_add_string(&text, "ab");
        mm_text_add(&text, "cd", 1);
        assert_true(text.size < text.capacity && text.data[text.size] == 0);
        mm_text_format(&text, "-%d-%s;", i, i % 50 ? "x" : "a longer piece of text than the others");
        char piece[100];
        snprintf(piece, sizeof piece, "abc-%d-%s;", i,
                 i % 50 ? "x" : "a longer piece of text than the others");
        strcat(expected, piece);
    }
    assert_false(text.failed);
    assert_string_equal(text.data, expected);
    assert_int_equal(text.size, strlen(expected));
    size_t capacity = text.capacity;
    mm_text_clear(&text);
    assert_true(text.size == 0 && text.data[0] == 0 && text.capacity == capacity);
    mm_text_add(&text, "a\0b", 3); // bytes may be NUL
    assert_true(text.size == 3 && !memcmp(text.data, "a\0b", 4));
    mm_text_free(&text);
    assert_true(!text.data && !text.size && !text.capacity);
}

static void nothing_added_stays_empty(void **state) {
    (void)state;
    mm_text text = {0};
    mm_text_add(&text, NULL, 0);
    mm_text_add_string(&text, "");
    mm_text_format(&text, "%s", "");
    mm_text_clear(&text);
    assert_true(!text.data && !text.size && !text.failed);
    mm_text_free(&text);
}

static void failing_to_grow_is_remembered(void **state) {
    (void)state;
    mm_text text = {0};
    mm_text_add_string(&text, "kept");
    mm_text_add(&text, "x", SIZE_MAX - 2); // never read: no memory is that large
    assert_true(text.failed);
    mm_text_add_string(&text, "lost");
    assert_string_equal(text.data, "kept");
    assert_true(text.failed && text.size == 4);
    mm_text_free(&text);
}

static void numbers_are_grouped(void **state) {
    (void)state;
    static const struct {
        long long number;
        const char *expected;
    } known[] = {{0, "0"},
                 {999, "999"},
                 {1000, "1,000"},
                 {21843, "21,843"},
                 {-1, "-1"},
                 {-999, "-999"},
                 {-123456, "-123,456"},
                 {1234567, "1,234,567"},
                 {100000, "100,000"},
                 {LLONG_MIN, "-9,223,372,036,854,775,808"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        mm_text text = {0};
        mm_text_add_grouped(&text, known[i].number);
        assert_string_equal(text.data, known[i].expected);
        mm_text_free(&text);
    }
}

static void durations_are_rounded_to_two_units(void **state) {
    (void)state;
    static const struct {
        double seconds;
        const char *expected;
    } known[] = {{0, "0.0s"},       {4.1, "4.1s"},       {59.94, "59.9s"},  {59.96, "1m00s"},
                 {72, "1m12s"},     {3599.4, "59m59s"},  {3599.6, "1h00m"}, {7500, "2h05m"},
                 {86369, "23h59m"}, {86399, "1d00h"},    {273600, "3d04h"}, {-3, "0.0s"},
                 {NAN, "0.0s"},     {1e300, "11574d02h"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char text[16];
        assert_string_equal(mm_clock_print(known[i].seconds, text), known[i].expected);
    }
}

static void clock_and_memory_are_measured(void **state) {
    (void)state;
    double before = mm_clock_seconds(), resident = mm_resident_bytes(), peak = mm_resident_peak_bytes();
    assert_true(before > 0 && mm_clock_seconds() >= before);
    // A program of this kind holds more than 100 kB and less than 100 GB.
    assert_true(resident > 1e5 && resident < 1e11 && peak > 1e5 && peak < 1e11);
}

static void sentences_are_one_line(void **state) {
    (void)state;
    mm_error error;
    errno = EBUSY;
    assert_int_equal(mm_fail(&error, MM_NONFINITE, "loss: %s at step %d", "nan", 3), MM_NONFINITE);
    assert_string_equal(error.text, "loss: nan at step 3");
    assert_int_equal(errno, EBUSY);
    assert_int_equal(mm_trouble(&error, "a\nb: %s", "c\r\nd"), MM_TROUBLE);
    assert_string_equal(error.text, "a b: c  d");
    assert_int_equal(mm_trouble(&error, "outer: %s", error.text), MM_TROUBLE); // may quote what it replaces
    assert_string_equal(error.text, "outer: a b: c  d");
    assert_int_equal(mm_trouble(&error, "\"%s\"", "\033[31m\t\177\303\251"), MM_TROUBLE); // a terminal's
    assert_string_equal(error.text, "\" [31m  \303\251\"");
    assert_int_equal(mm_fail(NULL, MM_DIFFERS, "%d", 1), MM_DIFFERS);
    errno = ENOENT;
    assert_int_equal(mm_trouble_errno(&error, "run.json", "open"), MM_TROUBLE);
    assert_string_equal(error.text, "run.json: cannot open: No such file or directory");
    assert_int_equal(errno, ENOENT);
    errno = ENOSPC;
    assert_int_equal(mm_trouble_errno(NULL, "x", "write"), MM_TROUBLE);
    assert_int_equal(errno, ENOSPC);
}

static void sentences_are_cut_to_fit(void **state) {
    (void)state;
    mm_error error;
    char *path = malloc(3001);
    assert_non_null(path);
    memset(path, 'p', 3000);
    path[3000] = 0;
    mm_trouble(&error, "%s", path);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows),
        cmocka_unit_test(nothing_added_stays_empty),
        cmocka_unit_test(failing_to_grow_is_remembered),
        cmocka_unit_test(numbers_are_grouped),
        cmocka_unit_test(durations_are_rounded_to_two_units),
        cmocka_unit_test(clock_and_memory_are_measured),
        cmocka_unit_test(sentences_are_one_line),
        cmocka_unit_test(sentences_are_cut_to_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
