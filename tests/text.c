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

// What a terminal obeys: C0 and C1, the latter in UTF-8 and bare, and what turns the direction of text.
static void terminals_obey_some_characters(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t length;
        bool obeyed;
    } known[] = {
        {"a", 1, false},
        {"\n", 1, false},
        {"\t", 1, false},
        {"\r", 1, true},
        {"\033[", 1, true},
        {"\177", 1, true},
        {"\302\200", 2, true},
        {"\302\233[", 2, true},
        {"\302\237", 2, true},
        {"\302\240", 2, false},
        {"\303\233", 2, false},         // U+00DB
        {"\342\200\252", 3, true},      // U+202A
        {"\342\200\256", 3, true},      // U+202E
        {"\342\200\257", 3, false},     // U+202F
        {"\342\201\245", 3, false},     // U+2065
        {"\342\201\246", 3, true},      // U+2066
        {"\342\201\251", 3, true},      // U+2069
        {"\342\233\204", 3, false},     // its second byte is no control character
        {"\360\237\230\200", 4, false}, // U+1F600
        {"\364\217\277\277", 4, false}, // U+10FFFF
        {"\233[", 1, true},             // bytes that are no UTF-8
        {"\240", 1, false},             //
        {"\377", 1, false},             //
        {"\300\233", 1, false},         // longer than it need be, and U+009B then
        {"\340\202\233", 1, false},     //
        {"\355\240\200", 1, false},     // a surrogate
        {"\364\220\200\200", 1, false}, // above U+10FFFF
        {"\342\200", 1, false},         // cut
        {"\302", 1, false},             //
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        // A copy of its own size, so that a sanitizer sees a byte read beyond it.
        size_t size = strlen(known[i].text);
        char *text = malloc(size);
        assert_non_null(text);
        memcpy(text, known[i].text, size);
        bool obeyed;
        size_t length = mm_text_character(text, size, &obeyed);
        if (length != known[i].length || obeyed != known[i].obeyed)
            fail_msg("case %zu: found %zu bytes, obeyed %d", i, length, obeyed);
        free(text);
    }
    bool obeyed;
    assert_true(mm_text_character("\0", 1, &obeyed) == 1 && obeyed);
}

static void a_name_is_one_line(void **state) {
    (void)state;
    mm_text text = {0};
    mm_text_flatten(&text, 0);
    mm_text_add_string(&text, "kept\n");
    size_t from = text.size;
    mm_text_add(&text, "a\nb\tc\0d\302\233e\233f\342\200\256g\303\251\342\200", 20);
    mm_text_flatten(&text, from);
    assert_string_equal(text.data, "kept\na b c d e f g\303\251\342 ");
    assert_int_equal(text.size, strlen(text.data));
    mm_text_flatten(&text, text.size);
    mm_text_free(&text);
}

// Of random bytes nothing is left that a terminal obeys, nor has any come about.
static void one_pass_is_enough(void **state) {
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        static const unsigned char often[] = {0xc2, 0xe2, 0x80, 0x81, 0x9b, 0xaa, 0xa6, 0xf0};
        char bytes[12];
        for (size_t i = 0; i < sizeof bytes; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i] = (char)(seed >> 30 ? often[seed >> 24 & 7] : seed >> 16);
        }
        size_t size = mm_text_line(bytes, sizeof bytes), length;
        for (size_t at = 0; at < size; at += length) {
            bool obeyed;
            length = mm_text_character(bytes + at, size - at, &obeyed);
            if (obeyed) fail_msg("round %d: byte %zu is obeyed", round, at);
        }
    }
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
    mm_trouble(&error, "%s", "a\302\2332J\233b\342\200\256c\342\201\246d\342\233\204");
    assert_string_equal(error.text, "a 2J b c d\342\233\204");
    assert_int_equal(mm_fail(NULL, MM_DIFFERS, "%d", 1), MM_DIFFERS);
    errno = ENOENT;
    assert_int_equal(mm_trouble_errno(&error, "run.json", "open"), MM_TROUBLE);
    assert_string_equal(error.text, "run.json: cannot open: No such file or directory");
    assert_int_equal(errno, ENOENT);
    errno = ENOSPC;
    assert_int_equal(mm_trouble_errno(NULL, "x", "write"), MM_TROUBLE);
    assert_int_equal(errno, ENOSPC);
    mm_trouble_errno(&error, "x", "write");
    assert_string_equal(
        error.text,
        "x: cannot write: No space left on device; free some space on that disk, or write to another one");
    mm_trouble_errno_then(&error, "x", "write", "go on");
    assert_string_equal(error.text, "x: cannot write: No space left on device; free some space, then go on");
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
    // Between characters: wherever the cut falls, none is left by half.
    for (size_t before = 0; before < 8; before++) {
        for (size_t i = before; i + 4 < 3000; i += 4) memcpy(path + i, "\360\237\230\200", 4);
        mm_trouble(&error, "%s", path);
        size_t size = strlen(error.text);
        assert_true(size > sizeof error.text - 5 && (size - before) % 4 == 0);
    }
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
        cmocka_unit_test(terminals_obey_some_characters),
        cmocka_unit_test(a_name_is_one_line),
        cmocka_unit_test(one_pass_is_enough),
        cmocka_unit_test(sentences_are_one_line),
        cmocka_unit_test(sentences_are_cut_to_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
