// Settings: the table covers every member, values that do not fit are refused in words, run.json gives the
// bits back.
#include <mm/base/probe.h>
#include <mm/record/settings.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

static mm_status parse(mm_settings *settings, const char *key, const char *value, mm_error *error) {
    const mm_field *field = mm_settings_field(key);
    assert_non_null(field);
    char name[64];
    snprintf(name, sizeof name, "--%s", key);
    return mm_settings_parse(settings, field, name, value, error);
}

static void take(mm_settings *settings, const char *key, const char *value) {
    mm_error error;
    if (parse(settings, key, value, &error)) fail_msg("%s", error.text);
}

// Every member is 8 bytes, so fields at each multiple of 8 are all of them.
static void the_table_has_every_member_once(void **state) {
    (void)state;
    size_t count = 0;
    for (const mm_field *f = mm_settings_fields; f->key; f++, count++) {
        assert_int_equal(f->offset, 8 * count);
        assert_ptr_equal(mm_settings_field(f->key), f);
        assert_true((f->kind == MM_FIELD_CHOICE) == (f->choices != NULL));
    }
    assert_int_equal(8 * count, sizeof(mm_settings));
    assert_null(mm_settings_field("no_such"));
}

static bool is_among(const char *key, const char *list) {
    char word[64];
    snprintf(word, sizeof word, " %s ", key);
    return strstr(list, word) != NULL;
}

static void what_may_change_bits_and_what_may_be_given_on_resume(void **state) {
    (void)state;
    const char *never =
        " threads workers data val_data val_every sample_every prompt model out save_every keep trace ";
    const char *resume = " workers sample_every prompt steps save_every keep trace ";
    for (const mm_field *f = mm_settings_fields; f->key; f++) {
        if (f->changes_bits == is_among(f->key, never)) fail_msg("%s: changes_bits", f->key);
        if (f->on_resume != is_among(f->key, resume)) fail_msg("%s: on_resume", f->key);
    }
}

static void values_are_taken(void **state) {
    (void)state;
    mm_settings s = {0};
    take(&s, "steps", "1000000000");
    take(&s, "seed", "18446744073709551615");
    assert_true(s.steps == 1000000000 && s.seed == UINT64_MAX);
    take(&s, "seed", "0xFfffFFFFffffFFFF");
    assert_true(s.seed == UINT64_MAX);
    take(&s, "seed", "017");
    assert_true(s.seed == 17);
    take(&s, "dropout", "0.99999");
    take(&s, "lr", "3e-3");
    take(&s, "clip", "0");
    assert_true(s.dropout == 0.99999 && s.lr == 3e-3 && s.clip == 0);
    take(&s, "seed_policy", "sample");
    take(&s, "trace", "op");
    assert_true(s.seed_policy == 3 && s.trace == MM_LEVEL_OP);
    take(&s, "out", "a");
    take(&s, "out", "a place");
    assert_string_equal(s.out, "a place");
    mm_settings_free(&s);
    assert_null(s.out);
}

static void what_does_not_fit_is_refused_in_words(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"dropout", "1.5", "--dropout 1.5: expected a number from 0 up to but not including 1"},
        {"dropout", "1", "--dropout 1: expected a number from 0 up to but not including 1"},
        {"token_noise", "-0.1", "from 0 up to but not including 1"},
        {"beta1", "1", "not including 1"},
        {"lr", "0", "--lr 0: expected a number above 0"},
        {"lr", "nan", "a number above 0"},
        {"lr", "inf", "a number above 0"},
        {"clip", "1e999", "a finite number of at least 0"},
        {"lr", "1e-3x", "a number above 0"},
        {"lr", " 1", "a number above 0"},
        {"lr", "", "--lr: found an empty value, expected a number"},
        {"steps", "0", "--steps 0: expected a whole number from 1 to 1000000000"},
        {"steps", "1000000001", "from 1 to 1000000000"},
        {"steps", "99999999999999999999", "from 1 to 1000000000"},
        {"steps", "10.5", "a whole number"},
        {"steps", " 5", "a whole number"},
        {"steps", "5 ", "a whole number"},
        {"seed", "18446744073709551616", "from 0 to 2^64 - 1"},
        {"seed", "-1", "from 0 to 2^64 - 1"},
        {"seed", "0x", "from 0 to 2^64 - 1"},
        {"seed", "0x10000000000000000", "from 0 to 2^64 - 1"},
        {"seed_policy", "ranks", "--seed_policy ranks: expected rank, shared, hashed or sample"},
        {"order", "Shuffled", "expected shuffled or sequential"},
        {"data", "", "--data: found an empty value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mm_settings s = {0}, before = {0};
        mm_error error = {""};
        assert_int_equal(parse(&s, cases[i][0], cases[i][1], &error), MM_TROUBLE);
        if (!strstr(error.text, cases[i][2])) fail_msg("\"%s\" does not say \"%s\"", error.text, cases[i][2]);
        assert_memory_equal(&s, &before, sizeof s);
    }
}

static double draw_number(const mm_field *f, uint64_t *draws) {
    switch (fixture_draw(draws) % 4) {
    case 0:
        return f->least;
    case 1:
        return f->most;
    default:
        break;
    }
    double most = f->most < 1e6 ? f->most : 1e6;
    double x = (double)(fixture_draw(draws) >> 11) * 0x1p-53;
    return fmax(f->least, x * most);
}

static void draw_field(mm_settings *s, const mm_field *f, uint64_t *draws) {
    void *slot = (char *)s + f->offset;
    char text[32];
    int64_t choices = 0;
    while (f->choices && f->choices[choices]) choices++;
    switch (f->kind) {
    case MM_FIELD_INTEGER:
        *(int64_t *)slot = (int64_t)f->least +
                           (int64_t)(fixture_draw(draws) % (uint64_t)((int64_t)(f->most - f->least) + 1));
        return;
    case MM_FIELD_SEED:
        *(uint64_t *)slot = fixture_draw(draws) >> fixture_draw(draws) % 64;
        return;
    case MM_FIELD_NUMBER:
        *(double *)slot = draw_number(f, draws);
        return;
    case MM_FIELD_CHOICE:
        *(int64_t *)slot = (int64_t)(fixture_draw(draws) % (uint64_t)choices);
        return;
    case MM_FIELD_STRING:
        break;
    }
    snprintf(text, sizeof text, "a \"path\"\\ %llx", (unsigned long long)fixture_draw(draws));
    *(char **)slot = fixture_draw(draws) % 4 ? strdup(text) : NULL;
}

static char *write_settings(const mm_settings *s) {
    mm_text text = {0};
    mm_json_writer w = mm_json_writer_on(&text, 0);
    mm_json_open_object(&w);
    mm_settings_write(s, &w);
    mm_json_close(&w);
    assert_false(text.failed);
    return text.data;
}

static mm_status read_settings(const char *text, mm_settings *out, mm_error *error) {
    mm_json_document *document;
    mm_status status = mm_json_parse(text, strlen(text), "run.json", &document, error);
    if (status) return status;
    status = mm_settings_read(out, document, mm_json_root(document), error);
    mm_json_free(document);
    return status;
}

static void assert_same(const mm_settings *a, const mm_settings *b) {
    for (const mm_field *f = mm_settings_fields; f->key; f++) {
        const void *x = (const char *)a + f->offset, *y = (const char *)b + f->offset;
        if (f->kind != MM_FIELD_STRING) {
            if (memcmp(x, y, 8) != 0) fail_msg("%s is other bits", f->key);
            continue;
        }
        const char *s = *(char *const *)x, *t = *(char *const *)y;
        if (!s != !t || (s && strcmp(s, t) != 0))
            fail_msg("%s: %s and %s", f->key, s ? s : "null", t ? t : "null");
    }
}

static void run_json_gives_the_bits_back(void **state) {
    (void)state;
    uint64_t draws = 1337;
    print_message("seed %llu\n", (unsigned long long)draws);
    for (int i = 0; i < 500; i++) {
        mm_settings s = {0}, again = {0};
        mm_error error;
        for (const mm_field *f = mm_settings_fields; f->key; f++) draw_field(&s, f, &draws);
        char *text = write_settings(&s);
        if (read_settings(text, &again, &error)) fail_msg("%s", error.text);
        assert_same(&s, &again);
        free(text);
        mm_settings_free(&s);
        mm_settings_free(&again);
    }
}

static void seeds_are_integers_as_far_as_json_holds_them(void **state) {
    (void)state;
    static const struct {
        uint64_t seed;
        const char *text;
    } cases[] = {{0, "\"seed\": 0,"},
                 {1337, "\"seed\": 1337,"},
                 {1ULL << 53, "\"seed\": 9007199254740992,"},
                 {(1ULL << 53) + 1, "\"seed\": \"0x0020000000000001\","},
                 {UINT64_MAX, "\"seed\": \"0xffffffffffffffff\","}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t draws = 1;
        mm_settings s = {0};
        for (const mm_field *f = mm_settings_fields; f->key; f++) draw_field(&s, f, &draws);
        s.seed = cases[i].seed;
        char *text = write_settings(&s);
        mm_settings_free(&s);
        if (!strstr(text, cases[i].text)) fail_msg("%s: not in %s", cases[i].text, text);
        mm_settings read;
        assert_int_equal(read_settings(text, &read, NULL), MM_OK);
        assert_true(read.seed == cases[i].seed);
        mm_settings_free(&read);
        // Without 0x, as runs once had it, it is hexadecimal too.
        char *sign = strstr(text, "\"0x");
        if (sign) memmove(sign + 1, sign + 3, strlen(sign + 3) + 1);
        assert_int_equal(read_settings(text, &read, NULL), MM_OK);
        assert_true(read.seed == cases[i].seed);
        mm_settings_free(&read);
        free(text);
    }
}

// Each key in turn is left out, or given a value of another kind.
static void a_settings_object_that_is_not_whole_is_refused(void **state) {
    (void)state;
    uint64_t draws = 1;
    mm_settings s = {0}, out;
    for (const mm_field *f = mm_settings_fields; f->key; f++) draw_field(&s, f, &draws);
    char *whole = write_settings(&s);
    mm_settings_free(&s);
    for (const mm_field *f = mm_settings_fields; f->key; f++) {
        for (int renamed = 0; renamed < 2; renamed++) {
            char key[64];
            mm_text changed = {0};
            snprintf(key, sizeof key, "\"%s\": ", f->key);
            char *at = strstr(whole, key);
            assert_non_null(at);
            const char *rest = at + strcspn(at, ",}");
            mm_text_add(&changed, whole, (size_t)(at - whole));
            mm_text_format(&changed, renamed ? "\"other\": 1%s" : "\"%s\": [true]%s", renamed ? rest : f->key,
                           rest);
            assert_false(changed.failed);
            const char *text = changed.data;
            mm_error error = {""};
            bool optional = renamed && f->kind == MM_FIELD_STRING;
            mm_status status = read_settings(text, &out, &error);
            if (status != (optional ? MM_OK : MM_TROUBLE)) fail_msg("%s: %s", f->key, text);
            if (status && !strstr(error.text, f->key))
                fail_msg("\"%s\" does not name %s", error.text, f->key);
            if (!status) mm_settings_free(&out);
            mm_text_free(&changed);
        }
    }
    free(whole);
}

// Of every kind, strings that are not there among them.
static void a_field_is_taken_and_says_whether_it_was_another(void **state) {
    (void)state;
    uint64_t draws = 1;
    mm_settings a = {0}, b = {0};
    for (const mm_field *f = mm_settings_fields; f->key; f++) draw_field(&a, f, &draws);
    const mm_settings none = {0}, *const from[] = {&a, &a, &none, &none};
    for (int i = 0; i < 4; i++) {
        for (const mm_field *f = mm_settings_fields; f->key; f++) {
            bool changed = false, equal = memcmp((const char *)from[i] + f->offset, (char *)&b + f->offset,
                                                 sizeof(int64_t)) == 0;
            bool expected = f->kind == MM_FIELD_STRING ? i % 2 == 0 : !equal;
            assert_int_equal(mm_settings_take(&b, f, from[i], &changed, NULL), MM_OK);
            if (changed != expected) fail_msg("%s, time %d: changed %d", f->key, i, changed);
        }
        char *x = write_settings(from[i]), *y = write_settings(&b);
        assert_string_equal(x, y);
        free(x);
        free(y);
    }
    mm_settings_free(&a);
    mm_settings_free(&b);
}

static void strings_that_are_not_utf8_are_refused_by_option(void **state) {
    (void)state;
    static char good[] = "d\303\244t", bad[] = "dat\377", cut[] = "dat\303";
    mm_settings s = {.data = good, .prompt = good};
    mm_error error;
    assert_int_equal(mm_settings_check_text(&s, &error), MM_OK);
    s.val_data = bad;
    assert_int_equal(mm_settings_check_text(&s, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "(--val-data): found bytes that are not UTF-8"));
    s.val_data = cut;
    assert_int_equal(mm_settings_check_text(&s, &error), MM_TROUBLE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_has_every_member_once),
        cmocka_unit_test(what_may_change_bits_and_what_may_be_given_on_resume),
        cmocka_unit_test(values_are_taken),
        cmocka_unit_test(what_does_not_fit_is_refused_in_words),
        cmocka_unit_test(run_json_gives_the_bits_back),
        cmocka_unit_test(seeds_are_integers_as_far_as_json_holds_them),
        cmocka_unit_test(a_settings_object_that_is_not_whole_is_refused),
        cmocka_unit_test(a_field_is_taken_and_says_whether_it_was_another),
        cmocka_unit_test(strings_that_are_not_utf8_are_refused_by_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
