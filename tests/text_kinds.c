// What a file is read as, by its name, its beginning and the options; and no file or option is lost without a
// word.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "fixture.h"
#include <cmocka.h>
#include <mm/base/arena.h>
#include <mm/base/text.h>
#include <mm/data/text_source.h>
#include <mm/files/publish.h>
#include <stdio.h>
#include <string.h>

static mm_error error;

// Each document of the inputs as "[text]", or what is wrong.
static const char *read_all(const char *const *inputs, int count, const mm_text_options *options) {
    static mm_text found;
    mm_text_source *source;
    mm_text_clear(&found);
    mm_text_add(&found, "", 0);
    mm_status status = mm_text_open(inputs, count, options, &source, &error);
    bool more = true;
    while (!status && more) {
        const char *text;
        size_t size;
        bool ends;
        status = mm_text_next_piece(source, SIZE_MAX, &text, &size, &ends, &more, &error);
        if (!status && more) mm_text_format(&found, "[%.*s]", (int)size, text);
    }
    mm_text_close(source);
    return status ? error.text : found.data ? found.data : "";
}

// Of one file in the folder, which is removed again; `expected` is what it holds, or stands in what is wrong.
static void check(const char *folder, const char *name, const void *content, size_t size,
                  const mm_text_options *options, const char *expected) {
    char path[FIXTURE_PATH];
    fixture_rewrite(fixture_path(path, folder, name), content, size);
    const char *found = read_all((const char *[]){path}, 1, options);
    bool good = expected[0] == '[' ? !strcmp(found, expected) : strstr(found, expected) != NULL;
    if (!good) fail_msg("%s: found %s, expected %s", name, found, expected);
    unlink(path);
}

#define AS(content) content, sizeof content - 1
static const char object[] = "{\"text\": \"a\"}\n", broken[] = "{\"text\": \"a\"}\n{\n";
static const mm_text_options none, field = {.field = "text"}, skip = {.skip_bad = true},
                                   split = {.split = "%"};

static void names_say_what_a_file_is(void **state) {
    static const char *const lines[] = {"a.jsonl", "a.JSONL", "a.ndjson", "a.Ndjson", "a.json", "a.JSON"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        check(*state, lines[i], AS(object), &none, "[a]");
        check(*state, lines[i], AS(broken), &skip, "[a]");
        check(*state, lines[i], AS(object), &split, "--split");
    }
    check(*state, "a.TXT", AS(object), &none, "[{\"text\": \"a\"}\n]");
    check(*state, "README", AS(object), &none, "[{\"text\": \"a\"}\n]");
    check(*state, "a.TXT.GZ", AS("plain"), &none, "a.TXT.GZ: found no gzip");
}

static void a_json_file_is_what_it_begins_as(void **state) {
    check(*state, "a.json", AS("\xef\xbb\xbf \n\r\n\t{\"text\": \"a\"}"), &none, "[a]");
    check(*state, "a.json", AS(" [{\"text\": \"a\"}]"), &none, "jq -c '.[]'");
    check(*state, "a.json", AS("{\n\"text\": \"a\"\n}\n"), &none, "jq -c .");
    check(*state, "a.json", AS("words\n%\nmore"), &split, "[words][more]");
    check(*state, "a.json", AS("words"), &field, "line 1");
    check(*state, "a.json", AS(""), &none, "[]");
}

static void an_option_that_nothing_heeds_is_refused(void **state) {
    check(*state, "a.txt", AS("a"), &field, "--field: ");
    check(*state, "a.txt", AS("a"), &skip, "--skip-bad: ");
    check(*state, "a.jsonl", AS(object), &split, "--split: ");
    check(*state, "a.jsonl.gz", AS(object), &split, "--split: ");
    char text[FIXTURE_PATH], lines[FIXTURE_PATH];
    fixture_write(fixture_path(text, *state, "both.txt"), AS("b\n%\nc"));
    fixture_write(fixture_path(lines, *state, "both.jsonl"), AS(object));
    mm_text_options both = {.split = "%", .field = "text", .skip_bad = true};
    assert_string_equal(read_all((const char *[]){text, lines}, 2, &both), "[b][c][a]");
}

static void options_of_json_lines_make_standard_input_of_that_kind(void **state) {
    char path[FIXTURE_PATH];
    fixture_write(fixture_path(path, *state, "input"), AS(broken));
    static const char *const expected[] = {"[{\"text\": \"a\"}\n{\n]", "standard input line 2", "[a]"};
    const mm_text_options *options[] = {&none, &field, &skip};
    for (int i = 0; i < 3; i++) {
        assert_non_null(freopen(path, "rb", stdin));
        const char *found = read_all((const char *[]){"-"}, 1, options[i]);
        if (i == 1 ? !strstr(found, expected[i]) : strcmp(found, expected[i]) != 0) fail_msg("%s", found);
    }
}

static void marks_of_unicode_are_no_text(void **state) {
    check(*state, "a.txt", AS("\xef\xbb\xbfone"), &none, "[one]");
    check(*state, "a.txt", AS("\xef\xbb\xbf"), &none, "[]");
    check(*state, "a.txt", AS("\xef\xbb"), &none, "[\xef\xbb]");
    check(*state, "a.txt", AS("\xef\xbb\xbf%\none\xef\xbb\xbf\n%\n"), &split, "[][one\xef\xbb\xbf]");
    check(*state, "a.jsonl", AS("\xef\xbb\xbf{\"text\": \"a\"}\n"), &none, "[a]");
    // Bytes are the file's.
    check(*state, "a.jsonl", AS("\xef\xbb\xbf{\"text\": \"a\"}\n{\n"), &none, "line 2 (byte 17)");
    check(*state, "a.txt", AS("\xff\xfeo\0n\0"), &none,
          "a.txt: found UTF-16, expected UTF-8; iconv -f UTF-16");
    check(*state, "a.txt", AS("\xfe\xff\0o\0n"), &none, "iconv -f UTF-16");
    check(*state, "a.jsonl", AS("\xff\xfe{\0"), &none, "iconv -f UTF-16");
    check(*state, "a.txt", AS("\xff\xfe"), &none, "iconv -f UTF-16");
    check(*state, "a.txt", AS("\xff\xfe\0\0o\0\0\0"), &none, "iconv -f UTF-32");
    check(*state, "a.txt", AS("\xff\xfa"), &none, "[\xff\xfa]");
}

static void what_folders_hold_beside_text_is_counted(void **state) {
    static const char *const names[] = {"b.txt", "a.TXT", "c.md", "d.text", "e.json", "f.ndjson", "g.zip"};
    char base[FIXTURE_PATH], path[FIXTURE_PATH];
    fixture_path(base, *state, "folder");
    assert_int_equal(mm_make_folders(base, &error), MM_OK);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        fixture_write(fixture_path(path, base, names[i]), AS(object));
    // What would not be read may be broken; what would be may not.
    assert_int_equal(symlink("nowhere", fixture_path(path, base, "link")), 0);
    const char *const inputs[] = {base};
    assert_string_equal(read_all(inputs, 1, &none), "[{\"text\": \"a\"}\n][{\"text\": \"a\"}\n][a]");
    mm_text_source *source;
    const char *first;
    assert_int_equal(mm_text_open(inputs, 1, &none, &source, &error), MM_OK);
    assert_int_equal(mm_text_others(source, &first), 5);
    assert_non_null(strstr(first, "/folder/c.md"));
    mm_text_close(source);
    assert_int_equal(symlink("nowhere", fixture_path(path, base, "link.txt")), 0);
    if (!strstr(read_all(inputs, 1, &none), "link.txt: cannot look at it")) fail_msg("%s", error.text);
}

static void a_line_without_the_field_says_what_it_has(void **state) {
    check(*state, "a.jsonl", AS("{\"id\": 1, \"bo\\ndy\": \"x\"}"), &none,
          "line 1 (byte 0): found no \"text\" but \"id\", \"bo dy\", expected a string there; mm pack "
          "--field NAME");
    check(*state, "a.jsonl", AS("{}"), &none, "found no \"text\" but an empty object");
#define TEN_E "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
    check(*state, "a.jsonl", AS("{\"x" TEN_E TEN_E TEN_E "\": 1}"), &none,
          "\"x" TEN_E "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\", expected");
    char many[4000], *end = many;
    for (int i = 0; i < 30; i++) end += sprintf(end, "%c\"%d%099d\": 1", i ? ',' : '{', i, 0);
    end += sprintf(end, "}");
    check(*state, "a.jsonl", many, (size_t)(end - many), &none, "000\", ..., expected");
    assert_true(strlen(error.text) < 700);
    check(*state, "a.jsonl", AS("{\"text\": \"a\", \"score\": nan}"), &none,
          "--skip-bad leaves bad lines out");
}

// Python writes what JSON has no number for.
static void what_is_no_number_spoils_no_text(void **state) {
    static const char *const lines[] = {
        "{\"score\": NaN, \"text\": \"a\"}",
        "{\"text\": \"a\", \"more\": [-Infinity,Infinity, 1e999,-1e400 , 12, 1.5e-3], \"x\": {\"y\": NaN}}",
        "{\"text\": \"a\", \"id\": 1000000000000000000000000000000, \"score\": NaN}",
        "{\"NaN\": \"\\\"NaN\", \"text\": \"a\", \"score\": NaN}",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        check(*state, "a.jsonl", lines[i], strlen(lines[i]), &none, "[a]");
    check(*state, "a.jsonl", AS("{\"text\": \"NaN 1e999 \\\\\", \"score\": NaN}"), &none, "[NaN 1e999 \\]");
    check(*state, "a.jsonl", AS("{\"text\": NaN}"), &none,
          "\"text\": found null, or a number that JSON does not have (NaN), expected a string");
    check(*state, "a.jsonl", AS("{\"text\": \"a\", \"x\": NaNa}"), &none, "line 1");
    check(*state, "a.jsonl", AS("{\"text\": \"a\", \"x\": 1NaN}"), &none, "line 1");
}

// A line that takes more memory than there is was not written wrong.
static void want_of_memory_is_no_bad_line(void **state) {
    enum { OBJECTS = 90000, EACH = 40 };
    mm_text line = {0};
    char path[FIXTURE_PATH];
    mm_text_add_string(&line, "{\"text\": \"a\", \"more\": [0");
    for (int i = 0; i < OBJECTS; i++) mm_text_format(&line, ", {\"a\": %*d}", EACH, i);
    mm_text_add_string(&line, "]}\n");
    fixture_write(fixture_path(path, *state, "large.jsonl"), line.data, line.size);
    mm_text_free(&line);
    const char *const inputs[] = {path};
    assert_string_equal(read_all(inputs, 1, &skip), "[a]");
    mm_memory_limit(1);
    const char *found = read_all(inputs, 1, &skip);
    mm_memory_limit(1e18);
    if (!strstr(found, "out of memory for its")) fail_msg("%s", found);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_say_what_a_file_is),
        cmocka_unit_test(a_json_file_is_what_it_begins_as),
        cmocka_unit_test(an_option_that_nothing_heeds_is_refused),
        cmocka_unit_test(options_of_json_lines_make_standard_input_of_that_kind),
        cmocka_unit_test(marks_of_unicode_are_no_text),
        cmocka_unit_test(what_folders_hold_beside_text_is_counted),
        cmocka_unit_test(a_line_without_the_field_says_what_it_has),
        cmocka_unit_test(what_is_no_number_spoils_no_text),
        cmocka_unit_test(want_of_memory_is_no_bad_line),
    };
    return cmocka_run_group_tests(tests, fixture_folder, fixture_remove);
}
