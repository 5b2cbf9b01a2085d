// What a tokenizer.json means, not how it is written, decides whether two are the same and what a token's
// bytes are.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mm/data/tokenizer.h>
#include <string.h>

static mm_error error;

#define ADDED(id, content)                                                                                   \
    "[{\"id\": " #id ", \"content\": \"" content "\", \"single_word\": false, \"lstrip\": false, "           \
    "\"rstrip\": false, \"normalized\": false, \"special\": false}]"
#define DIGITS(individual) "{\"type\": \"Digits\", \"individual_digits\": " #individual "}"
#define SPLIT(kind, pattern, behavior)                                                                       \
    "{\"type\": \"Split\", \"pattern\": {\"" kind "\": \"" pattern "\"}, \"behavior\": \"" behavior          \
    "\", \"invert\": false}"
#define BYTES(prefix) "{\"type\": \"ByteLevel\", \"add_prefix_space\": " #prefix ", \"use_regex\": false}"
#define ALONE(one) "{\"type\": \"Sequence\", \"pretokenizers\": [" one "]}"
#define IN_TURN(one, two) ALONE(one ", " two)

// A small tokenizer; NULL: null.
static mm_tokenizer *tokenizer_with(const char *pre, const char *normalizer, const char *model,
                                    const char *others, const char *added, const char *vocab,
                                    const char *merges) {
    mm_text json = {0};
    mm_tokenizer *tokenizer;
    mm_text_format(&json,
                   "{\"pre_tokenizer\": %s, \"normalizer\": %s, \"added_tokens\": %s, %s \"decoder\": "
                   "{\"type\": \"ByteLevel\"}, \"model\": {%s \"vocab\": {%s}, \"merges\": [%s]}}",
                   pre ? pre : "null", normalizer ? normalizer : "null", added ? added : "[]",
                   others ? others : "", model ? model : "", vocab, merges);
    if (mm_tokenizer_parse(json.data, json.size, "file", &tokenizer, &error)) fail_msg("%s", error.text);
    mm_text_free(&json);
    return tokenizer;
}

static mm_tokenizer *tokenizer_of(const char *pre, const char *normalizer, const char *model,
                                  const char *others, const char *added) {
    return tokenizer_with(pre, normalizer, model, others, added,
                          "\"h\": 0, \"i\": 1, \"\u0120\": 2, \"\u0120h\": 3, \"\u0120hi\": 4, \"\u00e9\": 5",
                          "\"\u0120 h\", \"\u0120h i\"");
}

static mm_tokenizer *of_model(const char *vocab, const char *merges) {
    return tokenizer_with(NULL, NULL, NULL, NULL, NULL, vocab, merges);
}

static void check(mm_tokenizer *a, mm_tokenizer *b, const char *expected) {
    const char *what;
    bool same = mm_tokenizer_same(a, b, &what);
    if (same != !expected || (expected && strcmp(what, expected)))
        fail_msg("found %s, expected %s", what ? what : "the same", expected ? expected : "the same");
    mm_tokenizer_close(a);
    mm_tokenizer_close(b);
}

static void what_changes_ids_differs(void **state) {
    (void)state;
    static const char *const pre[] = {
        NULL,
        BYTES(false),
        BYTES(true),
        "{\"type\": \"ByteLevel\", \"add_prefix_space\": false}",
        IN_TURN(DIGITS(true), BYTES(false)),
        IN_TURN(DIGITS(false), BYTES(false)),
        IN_TURN(SPLIT("Regex", "\\\\p{N}", "Removed"), BYTES(false)),
        IN_TURN(SPLIT("String", "\\\\p{N}", "Isolated"), BYTES(false)),
    };
    enum { COUNT = sizeof pre / sizeof *pre };
    for (int i = 0; i < COUNT; i++)
        for (int j = 0; j < COUNT; j++)
            check(tokenizer_of(pre[i], NULL, NULL, NULL, NULL), tokenizer_of(pre[j], NULL, NULL, NULL, NULL),
                  i == j ? NULL : "pre-tokenizer");
    mm_tokenizer *nfc = tokenizer_of(NULL, "{\"type\": \"NFC\"}", NULL, NULL, NULL);
    check(nfc, tokenizer_of(NULL, NULL, NULL, NULL, NULL), "normalizer");
    mm_tokenizer *ignores = tokenizer_of(NULL, NULL, "\"ignore_merges\": true,", NULL, NULL);
    check(tokenizer_of(NULL, NULL, NULL, NULL, NULL), ignores, "ignore_merges");
}

static void one_token_or_merge_makes_another(void **state) {
    (void)state;
    static const char *const vocab[] = {
        "\"a\": 0, \"b\": 1, \"c\": 2, \"ab\": 3, \"bc\": 4",
        "\"a\": 0, \"b\": 1, \"c\": 2, \"ab\": 3, \"ba\": 4",      // the last has another letter,
        "\"a\": 0, \"b\": 1, \"c\": 2, \"ab\": 3, \"b\u00e9\": 4", // another length,
        "\"a\": 0, \"b\": 1, \"c\": 2, \"ab\": 3, \"bc\": 5",      // another id,
        "\"a\": 0, \"b\": 1, \"c\": 2, \"ab\": 3",                 // is not there
        "\"b\": 0, \"a\": 1, \"c\": 2, \"ab\": 3, \"bc\": 4",      // two in each other's place
    };
    enum { COUNT = sizeof vocab / sizeof *vocab };
    for (int i = 0; i < COUNT; i++)
        for (int j = 0; j < COUNT; j++)
            check(of_model(vocab[i], ""), of_model(vocab[j], ""), i == j ? NULL : "vocabulary");
    static const char *const merges[] = {"", "\"a b\"", "\"b c\"", "\"a b\", \"b c\"", "\"b c\", \"a b\""};
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++)
            check(of_model(vocab[0], merges[i]), of_model(vocab[0], merges[j]), i == j ? NULL : "merges");
}

// Versions of the library write the same in other words.
static void what_changes_no_id_is_the_same(void **state) {
    (void)state;
    check(tokenizer_of(IN_TURN(DIGITS(true), BYTES(false)), NULL, NULL, NULL, NULL),
          tokenizer_of(IN_TURN(SPLIT("Regex", "\\\\p{N}", "Isolated"), ALONE(BYTES(false))), NULL, NULL, NULL,
                       NULL),
          NULL);
    check(tokenizer_of(BYTES(false), "{\"type\": \"Sequence\", \"normalizers\": []}",
                       "\"ignore_merges\": false, \"byte_fallback\": false, \"type\": \"BPE\",",
                       "\"version\": \"1.0\", \"truncation\": null, \"post_processor\": {\"type\": "
                       "\"ByteLevel\", \"trim_offsets\": false},",
                       NULL),
          tokenizer_of("{\"use_regex\": false, \"trim_offsets\": false, \"add_prefix_space\": false, "
                       "\"type\": \"ByteLevel\"}",
                       NULL, NULL, NULL, NULL),
          NULL);
}

static void decodes_as(const char *added, int32_t id, const char *expected) {
    mm_tokenizer *t = tokenizer_of(BYTES(false), NULL, NULL, NULL, added);
    mm_text text = {0};
    assert_int_equal(mm_decode(t, &id, 1, false, &text, &error), MM_OK);
    if (strcmp(text.data, expected)) fail_msg("%s: found %s, expected %s", added, text.data, expected);
    mm_text_free(&text);
    mm_tokenizer_close(t);
}

// As tokenizers 0.23 decodes them, but for an added token in letters of the byte alphabet that the model
// lacks: the text that it was found in is given back.
static void a_token_that_merging_makes_is_its_bytes_though_it_is_added(void **state) {
    (void)state;
    decodes_as("[]", 4, " hi");
    decodes_as(ADDED(4, "\\u0120hi"), 4, " hi");
    decodes_as(ADDED(5, "\\u00e9"), 5, "\xe9");
    decodes_as(ADDED(6, "<a \\u00e9>"), 6, "<a \u00e9>");
    decodes_as(ADDED(6, "\\u00e9h"), 6, "\u00e9h");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_changes_ids_differs),
        cmocka_unit_test(one_token_or_merge_makes_another),
        cmocka_unit_test(what_changes_no_id_is_the_same),
        cmocka_unit_test(a_token_that_merging_makes_is_its_bytes_though_it_is_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
