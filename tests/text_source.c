// Documents come out of files as the formats say, whole and in order, whatever the size of the pieces that
// are read.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "fixture.h"
#include <cmocka.h>
#include <mm/base/text.h>
#include <mm/data/text_source.h>
#include <mm/files/bgzf.h>
#include <mm/files/publish.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static mm_status next_whole(mm_text_source *source, const char **text, size_t *size, bool *more,
                            mm_error *error) {
    bool ends;
    return mm_text_next_piece(source, SIZE_MAX, text, size, &ends, more, error);
}

static mm_text_source *open_all(const char *const *inputs, int count, const char *split, const char *field) {
    mm_error error;
    mm_text_source *source;
    if (mm_text_open(inputs, count, &(mm_text_options){.split = split, .field = field}, &source, &error))
        fail_msg("%s", error.text);
    return source;
}

// What is left, each document as "[text]", taken in pieces that may be cut at `most` bytes; how many pieces.
static int take_pieces(mm_text_source *source, size_t most, mm_text *out) {
    mm_text_clear(out);
    int pieces = 0;
    for (bool within = false, ends;; within = !ends, pieces++) {
        mm_error error;
        const char *text;
        size_t size;
        bool more;
        if (mm_text_next_piece(source, most, &text, &size, &ends, &more, &error)) fail_msg("%s", error.text);
        if (!more) {
            assert_false(within);
            break;
        }
        if (!within) mm_text_add_string(out, "[");
        mm_text_add(out, text, size);
        if (ends) mm_text_add_string(out, "]");
    }
    assert_false(out->failed);
    return pieces;
}

static void take_all(mm_text_source *source, mm_text *out) {
    take_pieces(source, SIZE_MAX, out);
}

// Whole, then in pieces of `most` bytes; returns how many those were.
static int check_cut(const char *folder, const char *name, const char *content, size_t size,
                     const char *split, size_t most, const char *expected) {
    char path[FIXTURE_PATH];
    fixture_write(fixture_path(path, folder, name), content, size);
    mm_text_source *source = open_all((const char *[]){path}, 1, split, NULL);
    mm_text found = {0};
    int pieces = 0;
    for (int pass = 0; pass < 2; pass++) {
        pieces = take_pieces(source, pass ? most : SIZE_MAX, &found);
        assert_string_equal(found.data ? found.data : "", expected);
        assert_int_equal(mm_text_rewind(source, NULL), MM_OK);
    }
    mm_text_free(&found);
    mm_text_close(source);
    return pieces;
}

static void check_file(const char *folder, const char *name, const char *content, size_t size,
                       const char *split, const char *expected) {
    check_cut(folder, name, content, size, split, SIZE_MAX, expected);
}

static void a_split_line_ends_a_document(void **state) {
    static const struct {
        const char *content, *split, *expected;
    } cases[] = {
        {"one\ntwo\n", NULL, "[one\ntwo\n]"},
        {"", NULL, "[]"},
        {"no newline", NULL, "[no newline]"},
        {"", "%", ""},
        {"a\n%\nb\n%\nc\n", "%", "[a][b][c\n]"},
        {"a\n%\nb", "%", "[a][b]"},
        {"a\n%\nb\n%\n", "%", "[a][b]"},
        {"a\n%\nb\n%", "%", "[a][b]"},
        {"a\n%\n%\nb\n", "%", "[a][][b\n]"},
        {"a\n%\n\n%\nb\n", "%", "[a][][b\n]"},
        {"a\n\n%\nb\n", "%", "[a\n][b\n]"},
        {"%\na\n", "%", "[][a\n]"},
        {"a\n %\n%%\n% \nb\n", "%", "[a\n %\n%%\n% \nb\n]"},
        {"a\r\n%\r\nb\r\n%\nc", "%", "[a][b\r][c]"},
        {"a\n%\r\n%\r\n\r\n%\r\nb\r\n%\r\n", "%", "[a][][][b]"},
        {"a\r\n\r\nb\r\n", "", "[a][b\r\n]"},
        {"a\n%\r", "%", "[a\n%\r]"},
        {"%\r\r\n%\r\n", "%", "[%\r]"},
        {"a\n%\r\nb", "%\r", "[a][b]"},
        {"a\nb\n\nc\n", "", "[a\nb][c\n]"},
        {"a\n---\nb\n", "---", "[a][b\n]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_file(*state, "case.txt", cases[i].content, strlen(cases[i].content), cases[i].split,
                   cases[i].expected);
}

// The rule, said with lines: a split line, of either line end, ends what was gathered; the rest is a document
// if there is any.
static void naive_split(const char *content, size_t size, const char *split, mm_text *out) {
    mm_text_clear(out);
    size_t begin = 0, at = 0;
    while (at < size) {
        const char *newline = memchr(content + at, '\n', size - at);
        size_t line = newline ? (size_t)(newline - content) - at : size - at,
               next = at + line + (newline != NULL);
        bool both = newline && line == strlen(split) + 1 && newline[-1] == '\r';
        if (line == strlen(split) + both && memcmp(content + at, split, line - both) == 0) {
            size_t end = at > begin ? at - 1 : begin;
            mm_text_add_string(out, "[");
            mm_text_add(out, content + begin,
                        end - begin - (both && end > begin && content[end - 1] == '\r'));
            mm_text_add_string(out, "]");
            begin = next;
        }
        at = next;
    }
    if (begin == size) return;
    mm_text_add_string(out, "[");
    mm_text_add(out, content + begin, size - begin);
    mm_text_add_string(out, "]");
}

static void drawn_texts_split_as_a_model_of_lines_does(void **state) {
    uint64_t seed = 20240611;
    print_message("seed %llu\n", (unsigned long long)seed);
    mm_text expected = {0};
    int pieces = 0, documents = 0;
    for (int i = 0; i < 1200; i++) {
        char content[24];
        const char *split = i % 2 ? "%" : "";
        size_t size = fixture_draw(&seed) % sizeof content;
        for (size_t c = 0; c < size; c++) content[c] = "%%\n\n\na\r\r"[fixture_draw(&seed) % 8];
        naive_split(content, size, split, &expected);
        pieces += check_cut(*state, "drawn.txt", content, size, split, 1 + fixture_draw(&seed) % 6,
                            expected.data ? expected.data : "");
        for (size_t c = 0; c < expected.size; c++) documents += expected.data[c] == ']';
    }
    assert_true(pieces > documents + 1200 / 10); // some were cut
    mm_text_free(&expected);
}

// Documents of up to 2.5 MB, so that they and their split lines cross the borders of what is read at once.
static void documents_are_whole_across_pieces(void **state) {
    uint64_t seed = 77;
    print_message("seed %llu\n", (unsigned long long)seed);
    mm_text content = {0}, expected = {0};
    for (int d = 0; d < 12; d++) {
        size_t size = (size_t)1 << fixture_draw(&seed) % 21;
        size += fixture_draw(&seed) % (size + 1);
        for (size_t i = 0; i < size; i += 50)
            mm_text_format(&content, "%-49llx\n", (unsigned long long)fixture_draw(&seed));
        if (d < 11) mm_text_add_string(&content, "%\n");
    }
    naive_split(content.data, content.size, "%", &expected);
    check_file(*state, "large.txt", content.data, content.size, "%", expected.data);
    mm_text_free(&content);
    mm_text_free(&expected);
}

static void jsonl_gives_a_field_of_each_line(void **state) {
    static const char lines[] =
        "{\"text\": \"one\"}\n\n{\"id\": 3, \"text\": \"t\\u00fcr\\n\"}\r\n \t\n{\"text\": \"\"}\n"
        "{\"text\": \"last\"}";
    check_file(*state, "case.jsonl", lines, sizeof lines - 1, NULL, "[one][t\xc3\xbcr\n][][last]");

    char path[FIXTURE_PATH];
    static const char other[] = "{\"text\": \"no\", \"body\": \"a\\u0000b\"}\n";
    fixture_write(fixture_path(path, *state, "other.jsonl"), other, sizeof other - 1);
    mm_text_source *source = open_all((const char *[]){path}, 1, NULL, "body");
    const char *text;
    size_t size;
    bool more;
    assert_int_equal(next_whole(source, &text, &size, &more, NULL), MM_OK);
    assert_true(more);
    assert_int_equal(size, 3);
    assert_memory_equal(text, "a\0b", 3);
    mm_text_close(source);
}

static void a_long_jsonl_line_is_one_document(void **state) {
    enum { LONG = 6000000 };
    mm_text line = {0};
    mm_text_add_string(&line, "{\"text\": \"");
    for (int i = 0; i < LONG / 10; i++) mm_text_add_string(&line, "0123456789");
    mm_text_add_string(&line, "\"}\n{\"text\": \"after\"}\n");
    char path[FIXTURE_PATH];
    fixture_write(fixture_path(path, *state, "long.jsonl"), line.data, line.size);
    mm_text_free(&line);
    mm_text_source *source = open_all((const char *[]){path}, 1, NULL, NULL);
    const char *text;
    size_t size;
    bool more;
    assert_int_equal(next_whole(source, &text, &size, &more, NULL), MM_OK);
    assert_int_equal(size, LONG);
    for (size_t i = 0; i < size; i++)
        if (text[i] != (char)('0' + i % 10)) fail_msg("byte %zu", i);
    assert_int_equal(next_whole(source, &text, &size, &more, NULL), MM_OK);
    assert_true(more && size == 5 && memcmp(text, "after", 5) == 0);
    mm_text_close(source);
}

static void a_bad_line_is_named_by_file_line_and_byte(void **state) {
    static const struct {
        const char *line, *says;
    } bad[] = {
        {"{\"text\": \"x\"", "bad.jsonl"},        {"[1, 2]", "array"},
        {"{\"body\": \"x\"}", "\"text\""},        {"{\"text\": 7}", "\"text\""},
        {"{\"text\": \"\\ud800\"}", "bad.jsonl"}, {"{\"text\": \"\xff\"}", "bad.jsonl"},
        {"{\"text\": \"x\"} {}", "bad.jsonl"},    {"text", "bad.jsonl"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char path[FIXTURE_PATH], content[200];
        snprintf(content, sizeof content, "{\"text\": \"good\"}\n\n%s\n", bad[i].line);
        fixture_write(fixture_path(path, *state, "bad.jsonl"), content, strlen(content));
        mm_text_source *source = open_all((const char *[]){path}, 1, NULL, NULL);
        const char *text;
        size_t size;
        bool more;
        mm_error error;
        assert_int_equal(next_whole(source, &text, &size, &more, &error), MM_OK);
        assert_int_equal(next_whole(source, &text, &size, &more, &error), MM_TROUBLE);
        assert_non_null(strstr(error.text, "bad.jsonl line 3 (byte 18)"));
        assert_non_null(strstr(error.text, bad[i].says));
        mm_text_close(source);
    }
}

static void write_gz(const char *path, const char *content) {
    unsigned char *packed = NULL;
    size_t size = 0, half = strlen(content) / 2;
    assert_int_equal(mm_gzip_member(content, half, 6, &packed, &size, NULL), MM_OK);
    assert_int_equal(mm_gzip_member(content + half, strlen(content) - half, 6, &packed, &size, NULL), MM_OK);
    fixture_write(path, packed, size);
    free(packed);
}

static void bad_lines_can_be_left_out(void **state) {
    static const char lines[] =
        "{\"text\": \"a\"}\nno\n[]\n{\"text\": 1}\n{\"text\": \"b\"}\n{\"text\": \"\\ud800\"}\n\xff";
    char path[FIXTURE_PATH];
    fixture_write(fixture_path(path, *state, "bad.jsonl"), lines, sizeof lines - 1);
    mm_error error;
    mm_text_source *source;
    const char *const inputs[] = {path}, *first;
    assert_int_equal(mm_text_open(inputs, 1, &(mm_text_options){.skip_bad = true}, &source, &error), MM_OK);
    for (int twice = 0; twice < 2; twice++) {
        mm_text found = {0};
        take_all(source, &found);
        assert_string_equal(found.data, "[a][b]");
        assert_int_equal(mm_text_bad(source, &first), 5);
        assert_non_null(strstr(first, "bad.jsonl line 2 (byte 14)"));
        mm_text_free(&found);
        assert_int_equal(mm_text_rewind(source, &error), MM_OK);
    }
    mm_text_close(source);
}

static void a_file_that_changes_is_noticed(void **state) {
    char path[FIXTURE_PATH];
    fixture_write(fixture_path(path, *state, "changes.jsonl"), "{\"text\": \"a\"}\n", 14);
    mm_text_source *source = open_all((const char *[]){path}, 1, NULL, NULL);
    mm_error error;
    const char *text;
    size_t size;
    bool more;
    assert_int_equal(next_whole(source, &text, &size, &more, &error), MM_OK);
    FILE *file = fopen(path, "ab");
    assert_non_null(file);
    fputs("{\"text\": \"b\"}\n", file);
    fclose(file);
    mm_status status;
    do status = next_whole(source, &text, &size, &more, &error);
    while (!status && more);
    assert_int_equal(status, MM_TROUBLE);
    assert_non_null(strstr(error.text, "changed while it was read"));
    mm_text_close(source);
}

static void folders_are_read_in_order_of_names_and_gz_is_read(void **state) {
    char base[FIXTURE_PATH], path[FIXTURE_PATH];
    fixture_path(base, *state, "texts");
    assert_int_equal(mm_make_folders(fixture_path(path, base, "b/deep"), NULL), MM_OK);
    fixture_write(fixture_path(path, base, "c.txt"), "c", 1);
    fixture_write(fixture_path(path, base, "a.jsonl"), "{\"text\": \"a1\"}\n{\"text\": \"a2\"}\n", 30);
    fixture_write(fixture_path(path, base, "picture.png"), "x", 1);
    fixture_write(fixture_path(path, base, ".hidden.txt"), "x", 1);
    fixture_write(fixture_path(path, base, "b/z.txt"), "bz", 2);
    write_gz(fixture_path(path, base, "b/deep/x.txt.gz"), "zipped text");
    write_gz(fixture_path(path, base, "b/y.jsonl.gz"), "{\"text\": \"y1\"}\n{\"text\": \"y2\"}\n");
    char plain[FIXTURE_PATH];
    fixture_write(fixture_path(plain, *state, "README"), "named", 5);

    mm_text_source *source = open_all((const char *[]){plain, base}, 2, NULL, NULL);
    mm_text found = {0};
    take_all(source, &found);
    assert_string_equal(found.data, "[named][a1][a2][zipped text][y1][y2][bz][c]");
    uint64_t done, total;
    mm_text_progress(source, &done, &total);
    assert_true(total > 0);
    assert_int_equal(done, total);
    mm_text_free(&found);
    mm_text_close(source);
}

static void refuse(const char *const *inputs, int count, const char *split, const char *says) {
    mm_error error;
    mm_text_source *source;
    assert_int_equal(mm_text_open(inputs, count, &(mm_text_options){.split = split}, &source, &error),
                     MM_TROUBLE);
    assert_null(source);
    if (!strstr(error.text, says)) fail_msg("\"%s\" does not say \"%s\"", error.text, says);
}

static void what_cannot_be_read_is_refused_before_anything_is(void **state) {
    char good[FIXTURE_PATH], path[FIXTURE_PATH];
    fixture_write(fixture_path(good, *state, "good.txt"), "x", 1);
    fixture_path(path, *state, "missing.txt");
    refuse((const char *[]){good, path}, 2, NULL, "missing.txt");
    fixture_write(fixture_path(path, *state, "data.parquet"), "x", 1);
    refuse((const char *[]){good, path}, 2, NULL, ".parquet");
    fixture_write(fixture_path(path, *state, "DATA.ZIP"), "x", 1);
    refuse((const char *[]){good, path}, 2, NULL, ".zip");
    fixture_write(fixture_path(path, *state, "data.tar.gz"), "x", 1);
    refuse((const char *[]){path}, 1, NULL, ".tar.gz");
    assert_int_equal(mm_make_folders(fixture_path(path, *state, "nothing"), NULL), MM_OK);
    refuse((const char *[]){good, path}, 2, NULL, "nothing");
    fixture_write(fixture_path(path, *state, "nothing/a.md"), "x", 1);
    fixture_path(path, *state, "nothing");
    refuse((const char *[]){path}, 1, NULL, "1 of other endings");
    refuse((const char *[]){good, ""}, 2, NULL, "\"\": an input without a name");
    refuse((const char *[]){"-", good, "-"}, 3, NULL, "twice");
    refuse(NULL, 0, NULL, "no input");
    refuse((const char *[]){good}, 1, "%\n", "newline");
    assert_int_equal(symlink(".", fixture_path(path, *state, "nothing/loop")), 0);
    fixture_path(path, *state, "nothing");
    refuse((const char *[]){path}, 1, NULL, "deep");
}

// Every folder has two links to the next: few of them, and no loop, but more ways than anybody could walk.
static void folders_and_what_is_no_file_in_them_are_bounded(void **state) {
    enum { LEVELS = 24 };
    char path[FIXTURE_PATH], base[FIXTURE_PATH], name[64], target[64];
    for (int i = 0; i < LEVELS; i++) {
        snprintf(name, sizeof name, "d%d", i);
        assert_int_equal(mkdir(fixture_path(path, *state, name), 0777), 0);
        snprintf(target, sizeof target, "../d%d", i + 1);
        for (int way = 0; way < 2 && i + 1 < LEVELS; way++) {
            snprintf(name, sizeof name, "d%d/%c", i, 'a' + way);
            assert_int_equal(symlink(target, fixture_path(path, *state, name)), 0);
        }
    }
    refuse((const char *[]){fixture_path(base, *state, "d0")}, 1, NULL, "more than");
    snprintf(name, sizeof name, "d%d/pipe.txt", LEVELS - 1);
    assert_int_equal(mkfifo(fixture_path(path, *state, name), 0666), 0);
    snprintf(name, sizeof name, "d%d", LEVELS - 1);
    refuse((const char *[]){fixture_path(base, *state, name)}, 1, NULL, "pipe or device");
    volatile sig_atomic_t stop = 1;
    mm_error error;
    mm_text_source *source;
    const char *const inputs[] = {base};
    assert_int_equal(mm_text_open(inputs, 1, &(mm_text_options){.stop = &stop}, &source, &error),
                     MM_INTERRUPTED);
}

// By its name it is gzip: what does not begin so is damaged, and no text.
static void a_gz_file_that_is_none_is_refused(void **state) {
    static const struct {
        const char *text;
        size_t size;
    } cases[] = {{"plain", 5}, {"", 0}, {"\x1e\x8b\x08", 3}, {"(\xb5/\xfd", 4}};
    char path[FIXTURE_PATH];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unlink(fixture_path(path, *state, "a.txt.gz"));
        fixture_write(path, cases[i].text, cases[i].size);
        mm_text_source *source = open_all((const char *[]){path}, 1, NULL, NULL);
        const char *text;
        size_t size;
        bool ends, more;
        mm_error error;
        assert_int_equal(mm_text_next_piece(source, SIZE_MAX, &text, &size, &ends, &more, &error),
                         MM_TROUBLE);
        assert_non_null(strstr(error.text, "a.txt.gz: found no gzip member"));
        mm_text_close(source);
    }
}

static void standard_input_is_text_that_is_read_once(void **state) {
    char path[FIXTURE_PATH];
    fixture_write(fixture_path(path, *state, "input"), "a\n%\nb\n", 6);
    assert_non_null(freopen(path, "rb", stdin));
    mm_text_source *source = open_all((const char *[]){"-"}, 1, "%", NULL);
    assert_false(mm_text_can_rewind(source));
    mm_text found = {0};
    take_all(source, &found);
    assert_string_equal(found.data, "[a][b\n]");
    mm_error error;
    assert_int_equal(mm_text_rewind(source, &error), MM_TROUBLE);
    mm_text_free(&found);
    mm_text_close(source);
}

// 48 MB of one letter in some 50 kB of gzip: as one line or one document they would have to be held whole.
static void text_that_is_packed_too_tightly_is_refused(void **state) {
    enum { BYTES = 48 << 20 };
    static const char *const names[] = {"tight.txt.gz", "tight.jsonl.gz"};
    char path[FIXTURE_PATH], *letters = malloc(BYTES);
    unsigned char *member = NULL;
    size_t member_size = 0, size;
    mm_error error;
    assert_non_null(letters);
    memset(letters, 'a', BYTES);
    assert_int_equal(mm_gzip_member(letters, BYTES, 6, &member, &member_size, &error), MM_OK);
    for (int i = 0; i < 2; i++) {
        const char *text;
        bool more;
        fixture_write(fixture_path(path, *state, names[i]), member, member_size);
        mm_text_source *source = open_all((const char *[]){path}, 1, NULL, NULL);
        assert_int_equal(next_whole(source, &text, &size, &more, &error), MM_TROUBLE);
        if (!strstr(error.text, names[i]) || !strstr(error.text, "packed as tightly"))
            fail_msg("%s", error.text);
        mm_text_close(source);
    }
    // Not packed, the same text is a document.
    fixture_write(fixture_path(path, *state, "wide.txt"), letters, BYTES);
    mm_text_source *source = open_all((const char *[]){path}, 1, NULL, NULL);
    const char *text;
    bool more;
    assert_int_equal(next_whole(source, &text, &size, &more, &error), MM_OK);
    assert_int_equal(size, BYTES);
    mm_text_close(source);
    free(member);
    free(letters);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_split_line_ends_a_document),
        cmocka_unit_test(drawn_texts_split_as_a_model_of_lines_does),
        cmocka_unit_test(documents_are_whole_across_pieces),
        cmocka_unit_test(jsonl_gives_a_field_of_each_line),
        cmocka_unit_test(a_long_jsonl_line_is_one_document),
        cmocka_unit_test(a_bad_line_is_named_by_file_line_and_byte),
        cmocka_unit_test(bad_lines_can_be_left_out),
        cmocka_unit_test(text_that_is_packed_too_tightly_is_refused),
        cmocka_unit_test(a_file_that_changes_is_noticed),
        cmocka_unit_test(folders_are_read_in_order_of_names_and_gz_is_read),
        cmocka_unit_test(what_cannot_be_read_is_refused_before_anything_is),
        cmocka_unit_test_setup_teardown(folders_and_what_is_no_file_in_them_are_bounded, fixture_folder,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(a_gz_file_that_is_none_is_refused, fixture_folder, fixture_remove),
        cmocka_unit_test(standard_input_is_text_that_is_read_once),
    };
    return cmocka_run_group_tests(tests, fixture_folder, fixture_remove);
}
