// tokenizer.json files that mm does not support are refused by name, and broken ones do no harm.
#include "fixture.h"

#include <mm/base/text.h>
#include <mm/data/tokenizer.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static mm_error error;

// Small, but with everything in it.
static const char whole[] =
    "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null, \"added_tokens\": [{\"id\": 4, "
    "\"content\": "
    "\"<s>\", \"single_word\": true, \"lstrip\": false, \"rstrip\": true, \"normalized\": false, "
    "\"special\": true}], "
    "\"normalizer\": null, \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": "
    "\"Split\", "
    "\"pattern\": {\"Regex\": \"\\\\s+|\\\\p{L}{2}\"}, \"behavior\": \"Isolated\", \"invert\": false}, "
    "{\"type\": "
    "\"ByteLevel\", \"add_prefix_space\": true, \"use_regex\": false}]}, \"post_processor\": {\"type\": "
    "\"ByteLevel\"}, "
    "\"decoder\": {\"type\": \"ByteLevel\"}, \"model\": {\"type\": \"BPE\", \"dropout\": null, "
    "\"unk_token\": null, "
    "\"continuing_subword_prefix\": \"\", \"end_of_word_suffix\": null, \"byte_fallback\": false, "
    "\"ignore_merges\": "
    "false, \"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2, \"\\u0120\": 3}, \"merges\": [[\"a\", \"b\"]]}}";

// `whole` with the first `old` replaced; free() it.
static char *changed(const char *old, const char *fresh) {
    const char *at = strstr(whole, old);
    if (!at) fail_msg("no %s", old);
    size_t before = (size_t)(at - whole), size = sizeof whole + strlen(fresh);
    char *text = malloc(size);
    assert_non_null(text);
    snprintf(text, size, "%.*s%s%s", (int)before, whole, fresh, at + strlen(old));
    return text;
}

static mm_status open_text(const char *text, size_t size) {
    mm_tokenizer *tokenizer;
    mm_status status = mm_tokenizer_parse(text, size, "file", &tokenizer, &error);
    assert_true((status == MM_OK) == (tokenizer != NULL));
    if (status != MM_OK) {
        if (strncmp(error.text, "file", 4) || strchr(error.text, '\n')) fail_msg("%s", error.text);
        return status;
    }
    // What opens must also work.
    mm_encoder *encoder;
    mm_ids ids = {0};
    mm_text back = {0};
    assert_int_equal(mm_encoder_new(tokenizer, &encoder, &error), MM_OK);
    (void)!mm_encode(encoder, "ab <s> ba\xc3\xa9\xff", 12, false, &ids, &error);
    (void)!mm_decode(tokenizer, ids.data, ids.size, false, &back, &error);
    mm_text_free(&back);
    mm_ids_free(&ids);
    mm_encoder_free(encoder);
    mm_tokenizer_close(tokenizer);
    return status;
}

static void the_unsupported_is_named(void **state) {
    (void)state;
    static const struct {
        const char *old, *fresh, *named;
    } cases[] = {
        {"\"1.0\"", "\"2.0\"", "version \"2.0\""},
        {"\"truncation\": null", "\"truncation\": {\"max_length\": 5}", "truncation"},
        {"\"padding\": null", "\"padding\": {\"strategy\": \"BatchLongest\"}", "padding"},
        {"\"normalizer\": null", "\"normalizer\": {\"type\": \"Lowercase\"}", "normalizer Lowercase"},
        {"\"normalizer\": null", "\"normalizer\": {\"type\": \"NFKC\"}", "normalizer NFKC"},
        {"{\"type\": \"ByteLevel\"}", "{\"type\": \"Alien\"}", "post_processor Alien"},
        {"\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": {\"type\": \"Metaspace\"}",
         "decoder Metaspace"},
        {"\"type\": \"BPE\"", "\"type\": \"Unigram\"", "model type Unigram"},
        {"\"dropout\": null", "\"dropout\": 0.1", "dropout"},
        {"\"unk_token\": null", "\"unk_token\": \"a\"", "unk_token"},
        {"\"byte_fallback\": false", "\"byte_fallback\": true", "byte_fallback"},
        {"\"continuing_subword_prefix\": \"\"", "\"continuing_subword_prefix\": \"##\"", "##"},
        {"\"end_of_word_suffix\": null", "\"end_of_word_suffix\": \"</w>\"", "</w>"},
        {"\"type\": \"Split\"", "\"type\": \"Whitespace\"", "Whitespace"},
        {"\"Isolated\"", "\"Sideways\"", "Sideways"},
        {"\"invert\": false", "\"invert\": 1", "invert"},
        {"\"Regex\"", "\"Glob\"", "pattern"},
        {"\\\\s+|", "\\\\b+|", "\\b"},
        {"\\\\s+|", "\\\\h|", "\\h"},
        {"\\\\s+|", "[a-z&&[^b]]|", "&&"},
        {"\\\\s+|", "[[:alpha:]]|", "class within a class"},
        {"\\\\s+|", "a(?i)b|", "(?i)"},
        {"\\\\s+|", "(?<name>a)|", "group"},
        {"\\\\s+|", "(|", "pattern"},
        {"\\\\s+|", "\\\\p{Nope}|", "\\p{Nope}"},
        {"\\\\p{L}{2}", "a{2}+", "{2}+"},
        {"\"single_word\": true", "\"single_word\": 1", "single_word"},
        {"\"id\": 4", "\"id\": 5", "<s>"},
        {"\"id\": 4", "\"id\": 1", "<s>"},
        {"\"id\": 4", "\"id\": 99999999", "id"},
        {"\"b\": 1", "\"b\": 0", "id 0"},
        {"\"b\": 1", "\"b\": -1", "\"b\""},
        {"\"b\": 1", "\"b\": 2147483647", "\"b\""},
        {"\"b\": 1", "\"b\": 1.5", "\"b\""},
        {"\"b\": 1", "\"a\": 1", "duplicate"},
        {"[\"a\", \"b\"]", "[\"a\", \"z\"]", "merge 0"},
        {"[\"a\", \"b\"]", "[\"b\", \"a\"]", "merge 0"},
        {"[\"a\", \"b\"]", "\"a b c\"", "merge 0"},
        {"[\"a\", \"b\"]", "7", "merge 0"},
        {"\"\\u0120\"", "\"\\ud800\"", "file"},
    };
    assert_int_equal(open_text(whole, sizeof whole - 1), MM_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = changed(cases[i].old, cases[i].fresh);
        mm_status status = open_text(text, strlen(text));
        if (status != MM_TROUBLE || !strstr(error.text, cases[i].named))
            fail_msg("case %zu, %s: status %d, \"%s\" does not name %s", i, cases[i].fresh, status,
                     error.text, cases[i].named);
        free(text);
    }
}

static void other_spellings_are_read(void **state) {
    (void)state;
    static const struct {
        const char *old, *fresh;
    } cases[] = {{"[\"a\", \"b\"]", "\"#version: 0.2\", \"a b\""},
                 {"\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}"},
                 {"\"normalizer\": null",
                  "\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}]}"},
                 {"\"continuing_subword_prefix\": \"\", ", ""},
                 {"\"type\": \"BPE\", ", ""},
                 {"\"add_prefix_space\": true, \"use_regex\": false", "\"trim_offsets\": true"},
                 {"{\"type\": \"ByteLevel\"}, ", "{\"type\": \"Sequence\", \"processors\": [{\"type\": "
                                                 "\"TemplateProcessing\"}, {\"type\": \"ByteLevel\"}]}, "}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = changed(cases[i].old, cases[i].fresh);
        if (open_text(text, strlen(text)) != MM_OK) fail_msg("%s: %s", cases[i].fresh, error.text);
        free(text);
    }
}

// (a+)+b tries every way to divide the letters where no b follows.
static void a_pattern_that_goes_back_without_end_is_trouble(void **state) {
    (void)state;
    enum { LETTERS = 5000 };
    static const char *const patterns[] = {"\"(?:a+)+[cd]\"", "\"(?:a|aa)*?[cd]\"", "\"a*a*a*a*a*[cd]\""};
    char letters[LETTERS];
    memset(letters, 'a', sizeof letters);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        char *text = changed("\"\\\\s+|\\\\p{L}{2}\"", patterns[i]);
        mm_tokenizer *tokenizer;
        mm_encoder *encoder;
        mm_ids ids = {0};
        if (mm_tokenizer_parse(text, strlen(text), "file", &tokenizer, &error)) fail_msg("%s", error.text);
        assert_int_equal(mm_encoder_new(tokenizer, &encoder, &error), MM_OK);
        assert_int_equal(mm_encode(encoder, letters, sizeof letters, false, &ids, &error), MM_TROUBLE);
        if (strncmp(error.text, "file: its pattern", 17)) fail_msg("%s", error.text);
        mm_ids_free(&ids);
        mm_encoder_free(encoder);
        mm_tokenizer_close(tokenizer);
        free(text);
    }
}

// The inverse of an odd number modulo 2^64: each round doubles the bits that are right.
static uint64_t inverse(uint64_t odd) {
    uint64_t found = odd;
    for (int i = 0; i < 6; i++) found *= 2 - odd * found;
    return found;
}

static uint64_t unshift(uint64_t mixed, int shift) {
    uint64_t found = mixed;
    for (int i = 0; i < 64 / shift + 1; i++) found = mixed ^ found >> shift;
    return found;
}

// Eight bytes to which mm_word_hash gives this hash: each of its steps can be taken back.
static uint64_t word_of(uint64_t hash) {
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
    hash = unshift(hash, 32) * inverse(UINT64_C(0xbf58476d1ce4e5b9));
    hash = unshift(hash, 29) * inverse(odd);
    return unshift(hash, 32) * inverse(odd) ^ 8 * odd;
}

static bool is_plain(const char *word) {
    for (int i = 0; i < 8; i++)
        if (word[i] < '#' || word[i] > 'z' || word[i] == '\\') return false;
    return true;
}

// Without a limit, reading takes the square of their number: minutes for a file of some MB.
static void tokens_of_one_hash_are_refused(void **state) {
    (void)state;
    enum { TOKENS = 6000, LOW_BITS = 24 };
    mm_text text = {0};
    mm_text_add_string(&text, "{\"model\": {\"type\": \"BPE\", \"merges\": [], \"vocab\": {");
    for (uint64_t high = 0, found = 0; found < TOKENS; high++) {
        uint64_t word = word_of(high << LOW_BITS | 5);
        char bytes[8];
        memcpy(bytes, &word, 8);
        if (is_plain(bytes)) mm_text_format(&text, "%s\"%.8s\": %d", found ? ", " : "", bytes, (int)found);
        found += is_plain(bytes);
    }
    mm_text_add_string(&text, "}}}");
    assert_false(text.failed);
    assert_int_equal(open_text(text.data, text.size), MM_TROUBLE);
    if (!strstr(error.text, "tokens of one hash")) fail_msg("%s", error.text);
    mm_text_free(&text);
}

static void a_cut_or_changed_file_does_no_harm(void **state) {
    (void)state;
    for (size_t size = 0; size < sizeof whole - 1; size++)
        assert_int_equal(open_text(whole, size), MM_TROUBLE);
    uint64_t draws = 11;
    print_message("seed %llu\n", (unsigned long long)draws);
    char text[sizeof whole];
    for (size_t at = 0; at < sizeof whole - 1; at++) {
        memcpy(text, whole, sizeof whole);
        text[at] = (char)fixture_draw(&draws);
        (void)open_text(text, sizeof whole - 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_unsupported_is_named),
        cmocka_unit_test(other_spellings_are_read),
        cmocka_unit_test(a_pattern_that_goes_back_without_end_is_trouble),
        cmocka_unit_test(tokens_of_one_hash_are_refused),
        cmocka_unit_test(a_cut_or_changed_file_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
