// JSON: what is not JSON is refused with its place, what is written reads back to the bit.
#include <mm/files/json.h>
#include <mm/files/publish.h>

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t draws = 1337; // state of `draw`

static uint64_t draw(void) {
    draws = draws * 6364136223846793005u + 1442695040888963407u;
    return (draws ^ draws >> 31) * 0x9e3779b97f4a7c15u;
}

static mm_json_document *parse(const char *text) {
    mm_error error;
    mm_json_document *document;
    if (mm_json_parse(text, strlen(text), "doc", &document, &error) != MM_OK) fail_msg("%s", error.text);
    return document;
}

static void refuse_n(const char *text, size_t size, const char *word) {
    mm_error error;
    mm_json_document *document;
    assert_int_equal(mm_json_parse(text, size, "doc", &document, &error), MM_TROUBLE);
    assert_null(document);
    if (strncmp(error.text, "doc: line ", 10) != 0 || !strstr(error.text, word) || strchr(error.text, '\n')) {
        fail_msg("\"%s\" is not \"doc: line ...\" with \"%s\"", error.text, word);
    }
}

static void refuse(const char *text, const char *word) {
    refuse_n(text, strlen(text), word);
}

static void values_are_read(void **state) {
    (void)state;
    size_t size;
    mm_json_document *d = parse("{\"z\": [1, -2.5, \"a\\u0000b\", null], \"a\": {\"t\": true, \"f\": false}, "
                                "\"\xc3\xa9\": \"\\ud83d\\ude00\"}");
    const mm_json *root = mm_json_root(d), *z = mm_json_get(root, "z"), *a = mm_json_get(root, "a");
    assert_string_equal(mm_json_name(d), "doc");
    assert_int_equal(mm_json_kind_of(root), MM_JSON_OBJECT);
    assert_int_equal(mm_json_size(root), 3);
    assert_int_equal(mm_json_size(z), 4);
    assert_int_equal(mm_json_integer(mm_json_at(z, 0)), 1);
    assert_true(mm_json_number(mm_json_at(z, 0)) == 1.0 && mm_json_number(mm_json_at(z, 1)) == -2.5);
    assert_memory_equal(mm_json_string(mm_json_at(z, 2), &size), "a\0b", 4);
    assert_int_equal(size, 3);
    assert_int_equal(mm_json_kind_of(mm_json_at(z, 3)), MM_JSON_NULL);
    assert_non_null(mm_json_at(z, 3));
    assert_true(mm_json_true(mm_json_get(a, "t")));
    assert_false(mm_json_true(mm_json_get(a, "f")));
    assert_int_equal(mm_json_kind_of(mm_json_get(a, "f")), MM_JSON_BOOL);
    assert_string_equal(mm_json_string(mm_json_get(root, "\xc3\xa9"), NULL), "\xf0\x9f\x98\x80");
    mm_json_free(d);
}

static void wrong_kinds_give_nothing(void **state) {
    (void)state;
    size_t size = 7;
    mm_json_document *d = parse("[1, \"x\"]");
    const mm_json *root = mm_json_root(d), *text = mm_json_at(root, 1);
    assert_null(mm_json_get(root, "x"));
    assert_null(mm_json_get(NULL, "x"));
    assert_null(mm_json_at(root, 2));
    assert_null(mm_json_at(text, 0));
    assert_null(mm_json_at(NULL, 0));
    assert_null(mm_json_string(root, &size));
    assert_int_equal(size, 0);
    assert_int_equal(mm_json_size(text), 0);
    assert_int_equal(mm_json_size(NULL), 0);
    assert_int_equal(mm_json_integer(text), 0);
    assert_true(mm_json_number(NULL) == 0);
    assert_false(mm_json_true(NULL));
    assert_null(mm_json_first(root));
    assert_null(mm_json_first(NULL));
    assert_int_equal(mm_json_kind_of(NULL), MM_JSON_NULL);
    mm_json_free(d);
    mm_json_free(NULL);
}

static void members_keep_their_order(void **state) {
    (void)state;
    mm_text text = {0};
    mm_text_add_string(&text, "{");
    for (int i = 0; i < 1000; i++) mm_text_format(&text, "%s\"k%d\":%d", i ? "," : "", i * 7919 % 1000, i);
    mm_text_add_string(&text, "}");
    mm_json_document *d = parse(text.data);
    int64_t count = 0;
    for (const void *i = mm_json_first(mm_json_root(d)); i; i = mm_json_next(mm_json_root(d), i)) {
        char key[20];
        size_t size;
        snprintf(key, sizeof key, "k%lld", (long long)(count * 7919 % 1000));
        assert_string_equal(mm_json_key(i, &size), key);
        assert_int_equal(size, strlen(key));
        assert_int_equal(mm_json_integer(mm_json_value(i)), count);
        count++;
    }
    assert_int_equal(count, 1000);
    mm_json_free(d);
    mm_text_free(&text);
}

static void what_is_not_json_is_refused(void **state) {
    (void)state;
    refuse("", "expected");
    refuse(" \n ", "line 2");
    refuse("{\"a\": 1,\n \"b\": }", "line 2, column 7");
    refuse("{\"a\": 1", "cut");
    refuse("[1, 2", "cut");
    refuse("\"abc", "cut");
    refuse("[1] 2", "nothing after the first value");
    refuse("{\"a\": 1, \"a\": 2}", "each key once");
    refuse("[01]", "expected");
    refuse("[+1]", "expected");
    refuse("[NaN]", "expected");
    refuse("[1.]", "expected");
    refuse("['a']", "expected");
    refuse("[1,]", "expected");
    refuse("{a: 1}", "expected");
    refuse("[1] // comment", "expected");
    refuse("[\"\t\"]", "expected");
    refuse("[\"\n\"]", "expected");
    refuse("[\"\\x41\"]", "expected");
    refuse("\xef\xbb\xbf[]", "expected"); // a byte order mark is not JSON
    refuse_n("[\"a\0b\"]", 7, "expected");
    refuse_n("[1]\0", 4, "expected");
    refuse("{\"a\\u0000b\": 1}", "no NUL");
}

// As transformers writes a length that has no bound. What must be whole is refused.
static void whole_numbers_beyond_64_bits_are_the_nearest_number(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double number;
    } cases[] = {{"1000000000000000019884624838656", 1e30},
                 {"9223372036854775808", 0x1p63},
                 {"-9223372036854775809", -0x1p63},
                 {"18446744073709551615", 0x1p64},
                 {"99999999999999999999", 1e20},
                 {"18446744073709551615.5e1", 0x1.4p67}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mm_text text = {0};
        int64_t whole;
        mm_error error;
        mm_text_format(&text, "{\"a\": \"\\\"%s\", \"n\": [%s,-9223372036854775808], \"b\": %s}",
                       cases[i].text, cases[i].text, cases[i].text);
        mm_json_document *d = parse(text.data);
        const mm_json *root = mm_json_root(d), *list = mm_json_get(root, "n");
        assert_int_equal(mm_json_kind_of(mm_json_at(list, 0)), MM_JSON_REAL);
        assert_true(mm_json_number(mm_json_at(list, 0)) == cases[i].number);
        assert_true(mm_json_number(mm_json_get(root, "b")) == cases[i].number);
        assert_true(mm_json_integer(mm_json_at(list, 1)) == INT64_MIN);
        assert_int_equal(strlen(mm_json_string(mm_json_get(root, "a"), NULL)), strlen(cases[i].text) + 1);
        assert_int_equal(mm_json_need_integer(d, root, "b", INT64_MIN, INT64_MAX, &whole, &error),
                         MM_TROUBLE);
        mm_json_free(d);
        mm_text_free(&text);
    }
}

static void numbers_out_of_range_are_refused(void **state) {
    (void)state;
    mm_json_document *d = parse("[9223372036854775807, -9223372036854775808, 1e308, 4.9e-324]");
    assert_true(mm_json_integer(mm_json_at(mm_json_root(d), 0)) == INT64_MAX);
    assert_true(mm_json_integer(mm_json_at(mm_json_root(d), 1)) == INT64_MIN);
    assert_true(mm_json_number(mm_json_at(mm_json_root(d), 3)) == 0x1p-1074);
    mm_json_free(d);
    refuse("[1e309]", "64 bits");
    refuse("[-1e99999]", "64 bits");
}

static void text_that_is_not_unicode_is_refused(void **state) {
    (void)state;
    refuse("[\"\\ud800\"]", "expected");        // a high surrogate alone
    refuse("[\"\\udc00\"]", "expected");        // a low one
    refuse("[\"\\ud800\\ud800\"]", "expected"); // two high ones
    refuse("[\"\\ud800x\"]", "expected");
    refuse("[\"\\u12\"]", "expected");
    refuse("[\"\x80\"]", "UTF-8");
    refuse("[\"\xc0\xaf\"]", "UTF-8");         // longer than need be
    refuse("[\"\xe2\x82\"]", "UTF-8");         // cut
    refuse("[\"\xed\xa0\x80\"]", "UTF-8");     // a surrogate
    refuse("[\"\xf4\x90\x80\x80\"]", "UTF-8"); // above U+10FFFF
    refuse("\xff", "UTF-8");
}

// Lines are indented no further than people can see.
static void deep_values_do_not_grow(void **state) {
    (void)state;
    enum { DEEP = 1000, WIDE = 1000 };
    mm_text text = {0}, out = {0};
    for (int i = 0; i < DEEP; i++) mm_text_add_string(&text, "[");
    for (int i = 0; i < WIDE; i++) mm_text_add_string(&text, "1,");
    mm_text_add_string(&text, "1");
    for (int i = 0; i < DEEP; i++) mm_text_add_string(&text, "]");
    mm_json_document *d = parse(text.data);
    mm_json_writer w = mm_json_writer_on(&out, 2);
    mm_json_put_value(&w, mm_json_root(d));
    assert_true(!out.failed && out.size < 40 * text.size);
    mm_json_free(d);
    mm_text_free(&text);
    mm_text_free(&out);
}

static void deep_nesting_is_refused(void **state) {
    (void)state;
    enum { DEEP = 100000 };
    mm_json_document *d =
        parse("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    mm_json_free(d);
    char *text = malloc(5 * DEEP);
    assert_non_null(text);
    memset(text, '[', DEEP);
    refuse_n(text, DEEP, "no deeper nesting");
    for (int i = 0; i < DEEP; i++) memcpy(text + 5 * i, "{\"\":[", 5);
    refuse_n(text, 5 * DEEP, "no deeper nesting");
    free(text);
}

// A text of nothing but empty arrays would take 50 times its size, of empty strings 30 times; within a string
// they are text.
static void a_text_of_tiny_values_is_refused(void **state) {
    (void)state;
    static const char *const pieces[] = {"[],", "{},",     "[\"\\\"\", []],", "\"\",",
                                         "1,",  "\\\"[{,", "\"tokens\","};
    enum { PIECES = sizeof pieces / sizeof *pieces, STRING = PIECES - 2 };
    mm_text text = {0};
    mm_error error;
    mm_json_document *document;
    for (int i = 0; i < PIECES; i++) {
        bool string = i == STRING, good = i >= STRING;
        mm_text_clear(&text);
        mm_text_add_string(&text, string ? "[\"" : "[");
        while (text.size < 6 << 20) mm_text_add_string(&text, pieces[i]);
        mm_text_add_string(&text, string ? "\"]" : "0]");
        mm_status status = mm_json_parse(text.data, text.size, "a name", &document, &error);
        assert_int_equal(status, good ? MM_OK : MM_TROUBLE);
        if (!good && !strstr(error.text, "a name: found")) fail_msg("%s", error.text);
        mm_json_free(document);
    }
    mm_text_free(&text);
}

// Every cut and every change of one byte parses or is refused in one line; sanitizers watch the rest.
static void damage_never_crashes(void **state) {
    (void)state;
    static const char text[] = "{\"a\": [1, 2.5e3, true, \"\\u00e9\\n\xc3\xa9\"], \"b\": {\"c\": null}}";
    char copy[sizeof text];
    mm_json_document *d;
    mm_error error;
    for (size_t cut = 0; cut < sizeof text - 1; cut++) refuse_n(text, cut, "expected");
    for (size_t at = 0; at < sizeof text - 1; at++) {
        for (int value = 0; value < 256; value++) {
            memcpy(copy, text, sizeof text);
            copy[at] = (char)value;
            error.text[0] = '\0';
            mm_status status = mm_json_parse(copy, sizeof text - 1, "doc", &d, &error);
            assert_true(status == MM_OK ||
                        (strncmp(error.text, "doc: line ", 10) == 0 && !strchr(error.text, '\n')));
            mm_json_free(d);
        }
    }
}

static void assert_says(mm_status status, const mm_error *error, const char *text) {
    assert_int_equal(status, MM_TROUBLE);
    assert_string_equal(error->text, text);
}

static void needs_are_checked(void **state) {
    (void)state;
    mm_json_document *d =
        parse("{\"n\": 5, \"x\": 0.5, \"s\": \"abc\", \"nul\": \"a\\u0000\", \"o\": {}, \"b\": true,"
              "\"h\": \"0123456789abcdef0123456789abcdef\", \"k\": \"00000000deadbeef\"}");
    const mm_json *o = mm_json_root(d), *v;
    mm_error e;
    int64_t n = 0;
    double x = 0;
    const char *s;
    mm_hash h;
    uint64_t k;
    assert_int_equal(mm_json_need(d, o, "o", MM_JSON_OBJECT, &v, &e), MM_OK);
    assert_says(mm_json_need(d, o, "o", MM_JSON_ARRAY, &v, &e), &e,
                "doc: \"o\": found an object, expected an array");
    assert_null(v);
    assert_says(mm_json_need(d, o, "q", MM_JSON_ARRAY, &v, &e), &e,
                "doc: found no \"q\", expected an array there");
    assert_says(mm_json_need(d, mm_json_get(o, "s"), "q", MM_JSON_ARRAY, &v, &e), &e,
                "doc: found \"abc\", expected an object with \"q\"");
    assert_int_equal(mm_json_need_integer(d, o, "n", 5, 5, &n, &e), MM_OK);
    assert_int_equal(n, 5);
    assert_says(mm_json_need_integer(d, o, "n", 6, 9, &n, &e), &e,
                "doc: \"n\": found 5, expected an integer from 6 to 9");
    assert_says(mm_json_need_integer(d, o, "n", 1, 4, &n, &e), &e,
                "doc: \"n\": found 5, expected an integer from 1 to 4");
    assert_says(mm_json_need_integer(d, o, "x", 0, 9, &n, &e), &e,
                "doc: \"x\": found 0.5, expected an integer from 0 to 9");
    assert_int_equal(mm_json_need_number(d, o, "x", 0, 1, &x, &e), MM_OK);
    assert_true(x == 0.5);
    assert_int_equal(mm_json_need_number(d, o, "n", 0, 10, &x, &e), MM_OK);
    assert_true(x == 5);
    assert_says(mm_json_need_number(d, o, "x", 1, 2, &x, &e), &e,
                "doc: \"x\": found 0.5, expected a number from 1 to 2");
    assert_says(mm_json_need_number(d, o, "b", 0, 2, &x, &e), &e,
                "doc: \"b\": found true, expected a number from 0 to 2");
    assert_int_equal(mm_json_need_string(d, o, "s", &s, &e), MM_OK);
    assert_string_equal(s, "abc");
    assert_int_equal(mm_json_need_string(d, o, "nul", &s, &e), MM_TROUBLE);
    assert_null(s);
    assert_int_equal(mm_json_need_hash(d, o, "h", &h, &e), MM_OK);
    assert_true(h.high == 0x0123456789abcdef && h.low == h.high);
    assert_says(mm_json_need_hash(d, o, "s", &h, &e), &e,
                "doc: \"s\": found \"abc\", expected a string of 32 hex digits");
    assert_int_equal(mm_json_need_hash(d, o, "n", &h, &e), MM_TROUBLE);
    assert_int_equal(mm_json_need_hex64(d, o, "k", &k, &e), MM_OK);
    assert_true(k == 0xdeadbeef);
    assert_int_equal(mm_json_need_hex64(d, o, "h", &k, &e), MM_TROUBLE);
    assert_int_equal(mm_json_need_hex64(d, o, "none", &k, &e), MM_TROUBLE);
    mm_json_free(d);
}

static void files_are_read_within_a_limit(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    char root[PATH_MAX], path[PATH_MAX];
    mm_error error;
    mm_json_document *d;
    snprintf(root, sizeof root, "%s/mm-json-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(root));
    assert_int_equal(mm_path_join(path, sizeof path, root, "a.json", NULL), MM_OK);
    assert_int_equal(mm_publish_file(path, "[1, x]", 6, &error), MM_OK);
    assert_int_equal(mm_json_read(path, 6, &d, &error), MM_TROUBLE);
    assert_memory_equal(error.text, path, strlen(path));
    assert_non_null(strstr(error.text, "line 1, column 5"));
    assert_int_equal(mm_json_read(path, 5, &d, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "at most 5"));
    assert_int_equal(mm_publish_file(path, "[1, 2]", 6, &error), MM_OK);
    assert_int_equal(mm_json_read(path, 6, &d, &error), MM_OK);
    assert_int_equal(mm_json_size(mm_json_root(d)), 2);
    mm_json_free(d);
    assert_int_equal(mm_remove_folder(root, NULL), MM_OK);
}

static void write_sample(mm_json_writer *w) {
    mm_json_open_object(w);
    mm_json_pair_integer(w, "n", INT64_MIN);
    mm_json_put_key(w, "list");
    mm_json_open_array(w);
    mm_json_put_bool(w, true);
    mm_json_open_inline_object(w);
    mm_json_pair_string(w, "a", NULL);
    mm_json_put_key(w, "b");
    mm_json_open_array(w); // within a line, so on it
    mm_json_put_integer(w, 1);
    mm_json_put_integer(w, 2);
    mm_json_close(w);
    mm_json_close(w);
    mm_json_open_object(w);
    mm_json_close(w);
    mm_json_close(w);
    mm_json_put_key(w, "empty");
    mm_json_open_array(w);
    mm_json_close(w);
    mm_json_pair_bool(w, "no", false);
    mm_json_pair_hash(w, "hash", (mm_hash){.low = 2, .high = 1});
    mm_json_pair_hex64(w, "seed", UINT64_MAX);
    mm_json_close(w);
}

static void layout_is_fixed(void **state) {
    (void)state;
    mm_text text = {0};
    mm_json_writer w = mm_json_writer_on(&text, 0);
    write_sample(&w);
    assert_string_equal(text.data,
                        "{\"n\": -9223372036854775808, \"list\": [true, {\"a\": null, \"b\": [1, 2]}, {}], "
                        "\"empty\": [], \"no\": false, \"hash\": \"00000000000000010000000000000002\", "
                        "\"seed\": \"ffffffffffffffff\"}");
    mm_json_free(parse(text.data));
    mm_text_clear(&text);
    w = mm_json_writer_on(&text, 2);
    write_sample(&w);
    assert_string_equal(text.data, "{\n"
                                   "  \"n\": -9223372036854775808,\n"
                                   "  \"list\": [\n"
                                   "    true,\n"
                                   "    {\"a\": null, \"b\": [1, 2]},\n"
                                   "    {}\n"
                                   "  ],\n"
                                   "  \"empty\": [],\n"
                                   "  \"no\": false,\n"
                                   "  \"hash\": \"00000000000000010000000000000002\",\n"
                                   "  \"seed\": \"ffffffffffffffff\"\n"
                                   "}");
    mm_json_free(parse(text.data));
    mm_text_free(&text);
}

static void assert_written(const char *given, size_t size, const char *expected) {
    mm_text text = {0};
    mm_json_writer w = mm_json_writer_on(&text, 0);
    mm_json_put_string_n(&w, given, size);
    assert_string_equal(text.data, expected);
    mm_text_free(&text);
}

static void text_is_escaped(void **state) {
    (void)state;
    assert_written("", 0, "\"\"");
    assert_written("a\"b\\c/", 6, "\"a\\\"b\\\\c/\"");
    assert_written("\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"");
    assert_written("\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\"");
    assert_written("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    // As Rust's and Python's decoders replace: one U+FFFD for each maximal beginning of a sequence.
    assert_written("\x80", 1, "\"\xef\xbf\xbd\"");
    assert_written("a\xff\xfe z", 5, "\"a\xef\xbf\xbd\xef\xbf\xbd z\"");
    assert_written("\xe2\x82", 2, "\"\xef\xbf\xbd\"");
    assert_written("\xe2\x82x", 3, "\"\xef\xbf\xbdx\"");
    assert_written("\xf0\x9f\x98\xe2\x82\xac", 6, "\"\xef\xbf\xbd\xe2\x82\xac\"");
    assert_written("\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_written("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_written("\xf4\x90", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");
}

// Any bytes: the result parses, and what was valid comes back.
static void any_text_comes_back(void **state) {
    (void)state;
    printf("seed %llu\n", (unsigned long long)draws);
    mm_text text = {0};
    for (int i = 0; i < 20000; i++) {
        char bytes[12];
        size_t size = draw() % sizeof bytes, back, again;
        static const char likely[] = "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xed\xbf\xf4 \"\\\n";
        for (size_t b = 0; b < size; b++) {
            bytes[b] = draw() % 4 == 0 ? (char)(draw() >> 40) : likely[(draw() >> 40) % (sizeof likely)];
        }
        mm_text_clear(&text);
        mm_json_writer w = mm_json_writer_on(&text, 0);
        mm_json_open_object(&w);
        mm_json_put_key(&w, "k");
        mm_json_put_string_n(&w, bytes, size);
        mm_json_close(&w);
        mm_json_document *d = parse(text.data);
        const char *found = mm_json_string(mm_json_get(mm_json_root(d), "k"), &back);
        if (!strstr(text.data, "\xef\xbf\xbd")) {
            assert_int_equal(back, size);
            assert_memory_equal(found, bytes, size);
        }
        mm_text second = {0};
        w = mm_json_writer_on(&second, 0);
        mm_json_put_value(&w, mm_json_root(d));
        assert_string_equal(second.data, text.data);
        again = second.size;
        assert_int_equal(again, text.size);
        mm_text_free(&second);
        mm_json_free(d);
    }
    mm_text_free(&text);
}

static void number_is(const char *text, const char *expected) {
    assert_string_equal(text, expected);
}

static void numbers_are_short(void **state) {
    (void)state;
    mm_text text = {0};
    mm_json_writer w = mm_json_writer_on(&text, 0);
    static const struct {
        double value;
        const char *text;
    } doubles[] = {{0.1, "0.1"},
                   {1, "1.0"},
                   {-0.0, "-0.0"},
                   {1e20, "1e+20"},
                   {1e15, "1e+15"},
                   {100, "100.0"},
                   {1.0 / 3, "0.3333333333333333"},
                   {5e-324, "4.94065645841247e-324"},
                   {0.1 + 0.2, "0.30000000000000004"},
                   {NAN, "null"},
                   {INFINITY, "null"},
                   {-INFINITY, "null"}};
    for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++) {
        mm_text_clear(&text);
        mm_json_put_double(&w, doubles[i].value);
        number_is(text.data, doubles[i].text);
    }
    mm_text_free(&text);
}

// Over random bit patterns, and one by one around each power of two: the same bits, through Jansson too.
static void numbers_come_back_to_the_bit(void **state) {
    (void)state;
    printf("seed %llu\n", (unsigned long long)draws);
    mm_text text = {0};
    for (int i = 0; i < 60000; i++) {
        uint64_t bits = draw();
        if (i < 6138) bits = ((uint64_t)(i / 3 + 1) << 52) + (uint64_t)(i % 3) - 1;
        double value;
        memcpy(&value, &bits, sizeof value);
        mm_text_clear(&text);
        mm_json_writer w = mm_json_writer_on(&text, 0);
        mm_json_open_array(&w);
        mm_json_put_double(&w, value);
        mm_json_close(&w);
        mm_json_document *d = parse(text.data);
        const mm_json *first = mm_json_at(mm_json_root(d), 0);
        double back = mm_json_number(first);
        assert_int_equal(mm_json_kind_of(first), isfinite(value) ? MM_JSON_REAL : MM_JSON_NULL);
        if (isfinite(value)) assert_memory_equal(&back, &value, sizeof value);
        mm_json_free(d);
    }
    mm_text_free(&text);
}

static void values_are_copied_whole(void **state) {
    (void)state;
    mm_text text = {0};
    mm_json_document *d =
        parse("{\"b\":[1,2.50,[]],\"a\":{\"x\":[true,null],\"y\":{}},\"s\":\"\\u00e9\\u0000\"}");
    mm_json_writer w = mm_json_writer_on(&text, 1);
    mm_json_open_object(&w);
    mm_json_put_key(&w, "copy");
    mm_json_put_value(&w, mm_json_root(d));
    mm_json_pair_integer(&w, "n", 1);
    mm_json_close(&w);
    assert_string_equal(
        text.data, "{\n \"copy\": {\n  \"b\": [\n   1,\n   2.5,\n   []\n  ],\n  \"a\": {\n   \"x\": [true, "
                   "null],\n   \"y\": {}\n  },\n  \"s\": \"\xc3\xa9\\u0000\"\n },\n \"n\": 1\n}");
    mm_json_free(d);

    // Deeper than the writer's own levels.
    mm_text deep = {0};
    for (int i = 0; i < 1000; i++) mm_text_add_string(&deep, "[");
    for (int i = 0; i < 1000; i++) mm_text_add_string(&deep, "]");
    d = parse(deep.data);
    mm_text_clear(&text);
    w = mm_json_writer_on(&text, 0);
    mm_json_put_value(&w, mm_json_root(d));
    assert_string_equal(text.data, deep.data);
    mm_json_free(d);
    mm_text_free(&deep);
    mm_text_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(wrong_kinds_give_nothing),
        cmocka_unit_test(members_keep_their_order),
        cmocka_unit_test(what_is_not_json_is_refused),
        cmocka_unit_test(whole_numbers_beyond_64_bits_are_the_nearest_number),
        cmocka_unit_test(numbers_out_of_range_are_refused),
        cmocka_unit_test(text_that_is_not_unicode_is_refused),
        cmocka_unit_test(deep_values_do_not_grow),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(a_text_of_tiny_values_is_refused),
        cmocka_unit_test(damage_never_crashes),
        cmocka_unit_test(needs_are_checked),
        cmocka_unit_test(files_are_read_within_a_limit),
        cmocka_unit_test(layout_is_fixed),
        cmocka_unit_test(text_is_escaped),
        cmocka_unit_test(any_text_comes_back),
        cmocka_unit_test(numbers_are_short),
        cmocka_unit_test(numbers_come_back_to_the_bit),
        cmocka_unit_test(values_are_copied_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
