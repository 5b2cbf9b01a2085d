// tokenizer.json files that mm does not support are refused by name, odd ones give the library's ids, and
// broken or hostile ones do no harm.
#include "../src/data/bpe_tail.h"
#include "../src/data/bpe_vocab.h"
#include "../src/data/tokenizer_utf8.h"
#include "fixture.h"

#include <mm/base/text.h>
#include <mm/data/tokenizer.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
        {"\\\\s+|", "(?i:ss)|", "ss, st, ff, fi and fl"},
        {"\\\\s+|", "(?i:(?:F)I)|", "\"I\" at byte 9: ss, st, ff, fi and fl"},
        {"\\\\s+|", "(?i:s{2})|", "\"{2}\" at byte 5: ss, st, ff, fi and fl"},
        {"\\\\s+|", "(?i:f{1}l)|", "ss, st, ff, fi and fl"},
        {"\\\\s+|", "(?i:(a|\\\\x73)t)|", "ss, st, ff, fi and fl"},
        {"\\\\s+|", "(?i)a|(b)st|", "ss, st, ff, fi and fl"},
        {"\\\\s+|", "(?i:\u00df)|", "beyond ASCII"},
        {"\\\\s+|", "(?i:[a\\\\x{df}])|", "\"\\x{df}\" at byte 6: a character beyond ASCII"},
        {"\\\\s+|", "(?i:a(b)[^\\\\u00e9])|", "beyond ASCII"},
        {"\\\\s+|", "(?i:[\\\\p{Lu}])|", "\\p{Lu}"},
        {"\\\\s+|", "(?i:[^\\\\p{Ll}])|", "\\p{Ll}"},
        {"\\\\s+|", "(?i)[\\\\p{Lt}]|", "\\p{Lt}"},
        {"\\\\s+|", "(?i:\\\\p{Lu})|", "\\p{Lu}"},
        {"\\\\s+|", "(?i:[\\\\P{L}])|", "\\P{L}"},
        {"\\\\s+|", "(?i:[\\\\p{M}])|", "\\p{M}"},
        {"\\\\s+|", "(?i:[\\\\p{L}-9])|", "invalid range"},
        {"\\\\s+|", "(?i:[\\\\p{Greek}])|", "\\p{Greek}"},
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

// --- ids of odd files; the numbers are those of tokenizers 0.23

// A byte-level model whose symbol of byte b has the id b, but for the byte `without`; `more` follows in the
// vocabulary.
static void write_bytes(mm_text *json, int without, const char *more, const char *merges, const char *added,
                        const char *normalizer, const char *pattern) {
    mm_text_clear(json);
    mm_text_format(json,
                   "{\"added_tokens\": [%s], \"normalizer\": %s, \"pre_tokenizer\": {\"type\": \"Sequence\", "
                   "\"pretokenizers\": [%s{\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
                   "\"use_regex\": false}]}, \"decoder\": {\"type\": \"ByteLevel\"}, \"model\": {\"type\": "
                   "\"BPE\", \"merges\": [%s], \"vocab\": {",
                   added, normalizer, pattern, merges);
    for (int byte = 0; byte < 256; byte++) {
        char symbol[2];
        size_t size = mm_byte_symbol((unsigned char)byte, symbol);
        bool escaped = byte == '"' || byte == '\\';
        if (byte != without)
            mm_text_format(json, "%s\"%s%.*s\": %d", byte ? ", " : "", escaped ? "\\" : "", (int)size, symbol,
                           byte);
    }
    mm_text_format(json, "%s}}}", more);
    assert_false(json->failed);
}

#define STRIPPING(id, content, left, right)                                                                  \
    "{\"id\": " #id ", \"content\": \"" content "\", \"single_word\": false, \"lstrip\": " #left             \
    ", \"rstrip\": " #right ", \"normalized\": false, \"special\": false}"
#define SPLIT(pattern)                                                                                       \
    "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"" pattern                                              \
    "\"}, \"behavior\": \"Isolated\", \"invert\": false}, "

static const struct odd_file {
    const char *name;
    int without;
    const char *more, *merges, *added, *normalizer, *pattern;
    const char *text;
    int times;       // the text is written one after another
    const char *ids; // of one time
} odd_files[] = {
    {"merges go over a byte without a symbol", 'x', ", \"ab\": 256", "[\"a\", \"b\"]", "", "null", "", "axb",
     60, "256"},
    {"an added token is the model's, too", -1, ", \"\u0120t\": 256", "[\"\u0120\", \"t\"]",
     STRIPPING(256, "\\u0120t", false, false), "null", "", "a t", 60, "97 256"},
    {"superscripts are \\w", -1, ", \"\u00c2\u00b2\": 256, \"m\u00c2\u00b2\": 257",
     "[\"\u00c2\", \"\u00b2\"], [\"m\", \"\u00c2\u00b2\"]", "", "null", SPLIT("\\\\w+|[^\\\\w\\\\s]+"),
     "5 m\u00b2", 1, "53 32 257"},
    {"superscripts are not \\W", -1, ", \"\u00c2\u00b2\": 256, \"m\u00c2\u00b2\": 257",
     "[\"\u00c2\", \"\u00b2\"], [\"m\", \"\u00c2\u00b2\"]", "", "null", SPLIT("\\\\W"), "5 m\u00b2", 1,
     "53 32 257"},
    {"superscripts are not [\\w]", -1, ", \"\u00c2\u00b2\": 256, \"m\u00c2\u00b2\": 257",
     "[\"\u00c2\", \"\u00b2\"], [\"m\", \"\u00c2\u00b2\"]", "", "null", SPLIT("[\\\\w]+"), "5 m\u00b2", 1,
     "53 32 109 256"},
    {"a token within blanks that were taken", -1, "", "",
     STRIPPING(256, "<x>", false, true) ", " STRIPPING(257, "\\t", true, false), "null", "", "a<x>\tb", 1,
     "97 256 98"},
    {"each token takes the blanks", -1, "", "",
     STRIPPING(256, "<x>", false, true) ", " STRIPPING(257, "\\t", true, true), "null", "", "a<x>\t\t\t b", 2,
     "97 256 98"},
    {"a token of blanks that were taken, but that takes none", -1, "", "",
     STRIPPING(256, "<x>", false, true) ", " STRIPPING(257, "\\t", false, false), "null", "", "a<x>\t \t b",
     1, "97 256 257 32 257 32 98"},
    {"NFC with a list that is not its own", -1, "", "", "", "{\"type\": \"NFC\", \"normalizers\": []}", "",
     "e\u0301", 1, "195 169"},
    {"what folds to a letter is of a class of letters", -1, ", \"a\u00cd\": 256", "[\"a\", \"\u00cd\"]", "",
     "null", SPLIT("(?i:[\\\\p{L}]+)"), "a\u0345", 1, "256 133"},
    {"what folds to a letter is not outside of a class of letters", -1, ", \"a\u00cd\": 256",
     "[\"a\", \"\u00cd\"]", "", "null", SPLIT("(?i)[^\\\\r\\\\n\\\\p{L}\\\\p{N}]"), "a\u0345", 1, "256 133"},
    {"letters in any case", -1, ", \"'S\": 256", "[\"'\", \"S\"]", "", "null",
     SPLIT("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+"), "a'S'sab", 1,
     "97 256 39 115 97 98"},
    {"no normalizer in a list", -1, "", "", "", "{\"type\": \"Sequence\", \"normalizers\": []}", "",
     "e\u0301", 1, "101 204 129"},
};

static void odd_files_give_the_librarys_ids(void **state) {
    (void)state;
    int wrong = 0;
    mm_text json = {0}, text = {0}, printed = {0}, expected = {0};
    for (size_t i = 0; i < sizeof odd_files / sizeof *odd_files; i++) {
        const struct odd_file *f = &odd_files[i];
        mm_tokenizer *tokenizer;
        mm_encoder *encoder;
        mm_ids ids = {0};
        write_bytes(&json, f->without, f->more, f->merges, f->added, f->normalizer, f->pattern);
        if (mm_tokenizer_parse(json.data, json.size, f->name, &tokenizer, &error)) fail_msg("%s", error.text);
        assert_int_equal(mm_encoder_new(tokenizer, &encoder, &error), MM_OK);
        mm_text_clear(&text);
        mm_text_clear(&expected);
        mm_text_clear(&printed);
        for (int n = 0; n < f->times; n++) mm_text_add_string(&text, f->text);
        for (int n = 0; n < f->times; n++) mm_text_format(&expected, " %s", f->ids);
        assert_int_equal(mm_encode(encoder, text.data, text.size, false, &ids, &error), MM_OK);
        for (size_t n = 0; n < ids.size; n++) mm_text_format(&printed, " %d", ids.data[n]);
        if (strcmp(printed.data, expected.data))
            print_error("%s: found%s, expected%s\n", f->name, printed.data, expected.data), wrong++;
        mm_ids_free(&ids);
        mm_encoder_free(encoder);
        mm_tokenizer_close(tokenizer);
    }
    mm_text_free(&json);
    mm_text_free(&text);
    mm_text_free(&printed);
    mm_text_free(&expected);
    assert_int_equal(wrong, 0);
}

// Which of the two a text holds would be chance.
static void added_tokens_of_one_normal_form_are_refused(void **state) {
    (void)state;
#define NORMALIZED(id, content)                                                                              \
    "{\"id\": " #id ", \"content\": \"" content "\", \"single_word\": false, \"lstrip\": false, "            \
    "\"rstrip\": false, \"normalized\": true, \"special\": false}"
    mm_text json = {0};
    for (int nfc = 0; nfc < 2; nfc++) {
        write_bytes(&json, -1, "", "", NORMALIZED(256, "xe\u0301") ", " NORMALIZED(257, "x\u00e9"),
                    nfc ? "{\"type\": \"NFC\"}" : "null", "");
        mm_status status = open_text(json.data, json.size);
        if (status != (nfc ? MM_TROUBLE : MM_OK)) fail_msg("status %d, %s", status, error.text);
    }
    if (!strstr(error.text, "256") || !strstr(error.text, "257")) fail_msg("%s", error.text);
    mm_text_free(&json);
#undef NORMALIZED
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

// Each letter that a group goes over is kept, to go back to.
static void a_pattern_that_keeps_too_much_is_trouble(void **state) {
    (void)state;
    static const size_t sizes[] = {200000, 4000000};
    char *text = changed("\"\\\\s+|\\\\p{L}{2}\"", "\"(?:a|b)+\""), *letters = malloc(sizes[1]);
    assert_non_null(letters);
    memset(letters, 'a', sizes[1]);
    mm_tokenizer *tokenizer;
    mm_encoder *encoder;
    mm_ids ids = {0};
    if (mm_tokenizer_parse(text, strlen(text), "file", &tokenizer, &error)) fail_msg("%s", error.text);
    assert_int_equal(mm_encoder_new(tokenizer, &encoder, &error), MM_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(mm_encode(encoder, letters, sizes[i], false, &ids, &error), i ? MM_TROUBLE : MM_OK);
    if (!strstr(error.text, "heap limit")) fail_msg("%s", error.text);
    mm_ids_free(&ids);
    mm_encoder_free(encoder);
    mm_tokenizer_close(tokenizer);
    free(letters);
    free(text);
}

// --- what was made to lie in one place of a table under a hash that all know is spread

enum { ITEMS = 1000, SLOTS = 2048, LONGEST_RUN = 200 }; // of random places 30 or so follow one another

// Of filled slots that follow one another.
static void expect_spread(const bool *filled) {
    size_t count = 0, run = 0, longest = 0;
    for (size_t slot = 0; slot < SLOTS; slot++) {
        run = filled[slot] ? run + 1 : 0;
        count += filled[slot];
        if (run > longest) longest = run;
    }
    assert_int_equal(count, ITEMS);
    print_message("at most %zu follow one another\n", longest);
    assert_in_range(longest, 1, LONGEST_RUN);
}

static void tokens_made_to_collide_are_spread(void **state) {
    (void)state;
    mm_vocab vocab;
    char token[32];
    bool filled[SLOTS];
    assert_true(mm_vocab_make(&vocab, ITEMS, ITEMS));
    assert_int_equal(vocab.slot_mask, SLOTS - 1);
    for (int i = 0; vocab.count < ITEMS; i++) {
        size_t size = (size_t)snprintf(token, sizeof token, "token%d", i);
        if (mm_word_hash(token, size) % SLOTS) continue;
        assert_int_equal(mm_vocab_add(&vocab, token, size, vocab.count), MM_VOCAB_ADDED);
        assert_int_equal(mm_vocab_find(&vocab, token, size), vocab.count - 1);
    }
    for (size_t slot = 0; slot < SLOTS; slot++) filled[slot] = vocab.slots[slot] >= 0;
    expect_spread(filled);
    mm_vocab_free(&vocab);
}

// 100 first tokens by 10 second ones, whose products' bits are 0 where a table of this size would look.
static void merges_made_to_collide_are_spread(void **state) {
    (void)state;
    enum { SECONDS = 10 };
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
    mm_bpe bpe;
    bool filled[SLOTS];
    int32_t seconds[SECONDS];
    assert_true(mm_bpe_make(&bpe, ITEMS));
    assert_int_equal(bpe.mask, SLOTS - 1);
    for (int32_t token = 0, count = 0; count < SECONDS; token++)
        if (((uint64_t)token * odd >> 32) % SLOTS == 0) seconds[count++] = token;
    for (int32_t first = 0, rank = 0; rank < ITEMS; first++) {
        if (((uint64_t)first * (uint32_t)odd) % SLOTS) continue;
        for (int i = 0; i < SECONDS; i++, rank++) {
            mm_bpe_add(&bpe, first, seconds[i], rank, 0);
            assert_int_equal(mm_bpe_find(&bpe, first, seconds[i]).rank, rank);
        }
    }
    for (size_t slot = 0; slot < SLOTS; slot++) filled[slot] = bpe.keys[slot] != UINT64_MAX;
    expect_spread(filled);
    mm_bpe_free(&bpe);
}

// What a long word needs for each rank is made once, not for each word.
static void long_words_share_their_room(void **state) {
    (void)state;
    enum { LETTERS = 300, RANKS = 8 };
    mm_bpe bpe;
    mm_bpe_room room = {0};
    assert_true(mm_bpe_make(&bpe, RANKS));
    for (int32_t rank = 0; rank < RANKS; rank++) mm_bpe_add(&bpe, rank, rank, rank, rank + 1);
    for (int word = 0; word < 3; word++) {
        int32_t symbols[LETTERS] = {0};
        const mm_bpe_room before = room;
        size_t left;
        assert_int_equal(mm_bpe_word(&bpe, &room, symbols, LETTERS, &left, &error), MM_OK);
        // 300 is 256 + 32 + 8 + 4.
        static const int32_t expected[] = {8, 5, 3, 2};
        assert_int_equal(left, 4);
        assert_memory_equal(symbols, expected, sizeof expected);
        if (word) assert_true(room.ranks == before.ranks && room.heap == before.heap);
    }
    mm_bpe_room_free(&room);
    mm_bpe_free(&bpe);
}

// What may be merged over the end of a window is asked for each symbol given up: looking at all pairs of it
// would take minutes.
static void many_pairs_of_a_token_take_no_time(void **state) {
    (void)state;
    enum { PAIRS = 100000, ASKED = 300000, SECONDS = 10 };
    mm_bpe bpe;
    mm_bpe_tail tail;
    assert_true(mm_bpe_make(&bpe, 2 * PAIRS));
    // Token 0 goes before tokens that two others make; the later they are made, the earlier it does.
    for (int32_t i = 0; i < PAIRS; i++) {
        mm_bpe_add(&bpe, 1, 2 + i, PAIRS + i, 2 + PAIRS + i);
        mm_bpe_add(&bpe, 0, 2 + PAIRS + i, PAIRS - 1 - i, 2 + 2 * PAIRS);
    }
    assert_true(mm_bpe_tail_make(&tail, &bpe));
    clock_t start = clock();
    for (int32_t i = 0; i < ASKED; i++) {
        int32_t since = PAIRS + i % (PAIRS + 1), second = 2 + PAIRS + i % PAIRS;
        assert_int_equal(mm_bpe_tail_rank(&tail, &bpe, 0, 1, since), since < 2 * PAIRS ? 0 : INT32_MAX);
        assert_int_equal(mm_bpe_tail_rank(&tail, &bpe, 0, second, 2 * PAIRS), PAIRS - 1 - i % PAIRS);
    }
    assert_true(clock() - start < SECONDS * CLOCKS_PER_SEC);
    mm_bpe_tail_free(&tail);
    mm_bpe_free(&bpe);
}

// --- added tokens

// Writes the bytes' model with these added tokens, their ids from 256 on.
static mm_tokenizer *with_added(char tokens[][16], int count, mm_encoder **encoder) {
    mm_text json = {0}, added = {0};
    mm_tokenizer *tokenizer;
    for (int i = 0; i < count; i++)
        mm_text_format(&added,
                       "%s{\"id\": %d, \"content\": \"%s\", \"single_word\": false, \"lstrip\": false, "
                       "\"rstrip\": false, \"normalized\": false, \"special\": true}",
                       i ? ", " : "", 256 + i, tokens[i]);
    write_bytes(&json, -1, "", "", added.data, "null", "");
    if (mm_tokenizer_parse(json.data, json.size, "added", &tokenizer, &error)) fail_msg("%s", error.text);
    assert_int_equal(mm_encoder_new(tokenizer, encoder, &error), MM_OK);
    mm_text_free(&json);
    mm_text_free(&added);
    return tokenizer;
}

// Two letters or more that none of the tokens before are.
static void draw_token(char tokens[][16], int at, uint64_t *draws) {
    for (bool fresh = false; !fresh;) {
        size_t size = 2 + fixture_draw(draws) % 13;
        for (size_t i = 0; i < size; i++) tokens[at][i] = (char)('a' + fixture_draw(draws) % 2);
        tokens[at][size] = 0;
        fresh = true;
        for (int i = 0; i < at; i++) fresh = fresh && strcmp(tokens[i], tokens[at]);
    }
}

static void the_longest_added_token_is_taken_first(void **state) {
    (void)state;
    enum { TOKENS = 40, LETTERS = 50000, ROUNDS = 5 };
    uint64_t draws = 20261126;
    print_message("seed %llu\n", (unsigned long long)draws);
    static char text[LETTERS];
    for (int round = 0; round < ROUNDS; round++) {
        char tokens[TOKENS][16];
        mm_encoder *encoder;
        mm_ids ids = {0};
        for (int i = 0; i < TOKENS; i++) draw_token(tokens, i, &draws);
        mm_tokenizer *tokenizer = with_added(tokens, TOKENS, &encoder);
        for (int i = 0; i < LETTERS; i++)
            text[i] = (char)('a' + (fixture_draw(&draws) % 8 < (unsigned)round));
        assert_int_equal(mm_encode(encoder, text, LETTERS, false, &ids, &error), MM_OK);
        size_t at = 0;
        for (size_t n = 0; n < ids.size; n++) {
            size_t longest = 1;
            int32_t expected = text[at];
            for (int i = 0; i < TOKENS; i++) {
                size_t size = strlen(tokens[i]);
                if (size <= longest || size > LETTERS - at || memcmp(tokens[i], text + at, size)) continue;
                longest = size;
                expected = 256 + i;
            }
            assert_int_equal(ids.data[n], expected);
            at += longest;
        }
        assert_int_equal(at, LETTERS);
        mm_ids_free(&ids);
        mm_encoder_free(encoder);
        mm_tokenizer_close(tokenizer);
    }
}

// Each place of the text may begin the token, as far as its last letter; each blank may be the one that takes
// the others. In the square of the length either would take minutes.
static void added_tokens_are_found_in_linear_time(void **state) {
    (void)state;
    enum { TOKEN = 50000, LETTERS = 2000000, SECONDS = 20 };
    char *text = malloc(LETTERS), *long_token = malloc(TOKEN + 2);
    assert_true(text && long_token);
    memset(long_token, 'a', TOKEN);
    memcpy(long_token + TOKEN, "b", 2);
    clock_t start = clock();
    for (int blanks = 0; blanks < 2; blanks++) {
        mm_text json = {0}, added = {0};
        mm_tokenizer *tokenizer;
        mm_encoder *encoder;
        mm_ids ids = {0};
        mm_text_format(
            &added,
            "{\"id\": 256, \"content\": \"%s\", \"single_word\": false, \"lstrip\": false, \"rstrip\": "
            "%s, \"normalized\": false, \"special\": false}",
            blanks ? "\\t" : long_token, blanks ? "true" : "false");
        write_bytes(&json, -1, "", "", added.data, "null", SPLIT("a"));
        if (mm_tokenizer_parse(json.data, json.size, "linear", &tokenizer, &error))
            fail_msg("%s", error.text);
        assert_int_equal(mm_encoder_new(tokenizer, &encoder, &error), MM_OK);
        memset(text, blanks ? '\t' : 'a', LETTERS);
        assert_int_equal(mm_encode(encoder, text, LETTERS, false, &ids, &error), MM_OK);
        assert_int_equal(ids.size, LETTERS);
        for (size_t i = 0; i < ids.size; i++) assert_int_equal(ids.data[i], blanks ? 256 : 'a');
        mm_ids_free(&ids);
        mm_encoder_free(encoder);
        mm_tokenizer_close(tokenizer);
        mm_text_free(&json);
        mm_text_free(&added);
    }
    assert_true(clock() - start < SECONDS * CLOCKS_PER_SEC);
    free(text);
    free(long_token);
}

static void added_tokens_of_too_many_bytes_are_refused(void **state) {
    (void)state;
    enum { BYTES = (1 << 24) + 1 };
    char *token = malloc(BYTES + 1), *fresh;
    assert_non_null(token);
    memset(token, 'a', BYTES);
    token[BYTES] = 0;
    fresh = changed("<s>", token);
    assert_int_equal(open_text(fresh, strlen(fresh)), MM_TROUBLE);
    if (!strstr(error.text, "16777217 bytes")) fail_msg("%s", error.text);
    free(fresh);
    free(token);
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
        cmocka_unit_test(odd_files_give_the_librarys_ids),
        cmocka_unit_test(added_tokens_of_one_normal_form_are_refused),
        cmocka_unit_test(a_pattern_that_goes_back_without_end_is_trouble),
        cmocka_unit_test(a_pattern_that_keeps_too_much_is_trouble),
        cmocka_unit_test(tokens_made_to_collide_are_spread),
        cmocka_unit_test(merges_made_to_collide_are_spread),
        cmocka_unit_test(long_words_share_their_room),
        cmocka_unit_test(many_pairs_of_a_token_take_no_time),
        cmocka_unit_test(the_longest_added_token_is_taken_first),
        cmocka_unit_test(added_tokens_are_found_in_linear_time),
        cmocka_unit_test(added_tokens_of_too_many_bytes_are_refused),
        cmocka_unit_test(a_cut_or_changed_file_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
