// The tokenizer gives the library's ids, whatever is written in front of them; what it does not know it
// refuses by name.
#include "golden/tokenizer.h"
#include "fixture.h"

#include <mm/data/tokenizer.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static mm_error error;

static void good(mm_status status) {
    if (status != MM_OK) fail_msg("%s", error.text);
}

// A tokenizer.json with the golden model.
static void write_json(mm_text *json, const char *pre_tokenizer, const char *added,
                       const char *ignore_merges) {
    mm_text_clear(json);
    mm_text_format(
        json,
        "{\"version\": \"1.0\", \"added_tokens\": %s, \"normalizer\": null, \"pre_tokenizer\": %s, "
        "\"decoder\": {\"type\": \"ByteLevel\"}, \"model\": {\"type\": \"BPE\", \"ignore_merges\": %s, %s}}",
        added, pre_tokenizer, ignore_merges, golden_model);
    assert_false(json->failed);
}

static const struct golden_case *case_of(const char *name) {
    for (size_t i = 0; i < sizeof golden_cases / sizeof golden_cases[0]; i++)
        if (!strcmp(golden_cases[i].name, name)) return &golden_cases[i];
    fail_msg("no case %s", name);
    return NULL;
}

static mm_tokenizer *tokenizer_of(const struct golden_case *c) {
    mm_text json = {0};
    mm_tokenizer *tokenizer;
    write_json(&json, c->pre_tokenizer, c->added_tokens, c->ignore_merges);
    good(mm_tokenizer_parse(json.data, json.size, c->name, &tokenizer, &error));
    mm_text_free(&json);
    return tokenizer;
}

static void print_ids(mm_text *out, const mm_ids *ids) {
    mm_text_clear(out);
    mm_text_add(out, "", 1); // never NULL
    mm_text_clear(out);
    for (size_t i = 0; i < ids->size; i++) mm_text_format(out, i ? " %d" : "%d", ids->data[i]);
}

static void library_ids(void **state) {
    (void)state;
    mm_text printed = {0};
    for (size_t c = 0; c < sizeof golden_cases / sizeof golden_cases[0]; c++) {
        mm_tokenizer *tokenizer = tokenizer_of(&golden_cases[c]);
        mm_encoder *encoder;
        mm_ids ids = {0};
        good(mm_encoder_new(tokenizer, &encoder, &error));
        // The second time words come out of the encoder's memory.
        for (int t = 0; t < 2 * GOLDEN_TEXTS; t++) {
            const struct golden_text *text = &golden_texts[t % GOLDEN_TEXTS];
            ids.size = 0;
            good(mm_encode(encoder, text->text, text->size, false, &ids, &error));
            print_ids(&printed, &ids);
            if (strcmp(printed.data, golden_cases[c].ids[t % GOLDEN_TEXTS]))
                fail_msg("%s, text %d: %s, expected %s", golden_cases[c].name, t, printed.data,
                         golden_cases[c].ids[t % GOLDEN_TEXTS]);
        }
        mm_ids_free(&ids);
        mm_encoder_free(encoder);
        mm_tokenizer_close(tokenizer);
    }
    mm_text_free(&printed);
}

// Appends the UTF-8 of a code point that is not a surrogate.
static void add_point(mm_text *text, uint32_t p) {
    unsigned char c[4];
    size_t n = p < 0x80 ? 1 : p < 0x800 ? 2 : p < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; p >>= 6) c[i] = (unsigned char)(0x80 | (p & 0x3f));
    c[0] = (unsigned char)(n == 1 ? p : leads[n] | p);
    mm_text_add(text, c, n);
}

static void decoding_is_the_inverse(void **state) {
    (void)state;
    uint64_t draws = 7;
    print_message("seed %llu\n", (unsigned long long)draws);
    mm_tokenizer *tokenizer = tokenizer_of(case_of("Qwen"));
    mm_encoder *encoder;
    good(mm_encoder_new(tokenizer, &encoder, &error));
    mm_text text = {0}, back = {0};
    mm_ids ids = {0};
    static const char *const pieces[] = {"<|im_start|>", "the cat",      "\r\n", "  ",
                                         "'ll",          "\xe7\x8c\xab", "12",   "<|"};
    for (int round = 0; round < 2000; round++) {
        mm_text_clear(&text);
        for (uint64_t n = fixture_draw(&draws) % 20; n > 0; n--) {
            uint64_t d = fixture_draw(&draws);
            uint32_t limit = d & 1 ? 0x80 : d & 2 ? 0x3000 : 0x110000, point = (uint32_t)(d >> 20) % limit;
            if (d & 12) {
                mm_text_add_string(&text, pieces[(d >> 8) % 8]);
            } else if (point < 0xd800 || point > 0xdfff) {
                add_point(&text, point);
            }
        }
        ids.size = 0;
        mm_text_clear(&back);
        good(mm_encode(encoder, text.data, text.size, round & 1, &ids, &error));
        good(mm_decode(tokenizer, ids.data, ids.size, false, &back, &error));
        assert_int_equal(back.size, text.size);
        if (text.size) assert_memory_equal(back.data, text.data, text.size);
    }
    int32_t wrong[] = {GOLDEN_VOCAB, -1};
    for (int i = 0; i < 2; i++)
        assert_int_equal(mm_decode(tokenizer, &wrong[i], 1, false, &back, &error), MM_TROUBLE);
    mm_ids_free(&ids);
    mm_text_free(&text);
    mm_text_free(&back);
    mm_encoder_free(encoder);
    mm_tokenizer_close(tokenizer);
}

static void expect_ids(mm_encoder *encoder, const char *text, size_t size, bool plain, const char *as) {
    mm_ids a = {0}, b = {0};
    good(mm_encode(encoder, text, size, plain, &a, &error));
    good(mm_encode(encoder, as, strlen(as), plain, &b, &error));
    assert_int_equal(a.size, b.size);
    if (a.size) assert_memory_equal(a.data, b.data, a.size * sizeof *a.data);
    mm_ids_free(&a);
    mm_ids_free(&b);
}

// The cases are those of the Unicode standard's table 3-8 and of bytes.decode("utf-8", "replace").
static void broken_characters_become_replacements(void **state) {
    (void)state;
#define R "\xef\xbf\xbd"
    static const struct {
        const char *text, *as;
    } cases[] = {{"a\x80z", "a" R "z"},
                 {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", R R R R R R R R "A"},
                 {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", R R R R R R R R "A"},
                 {"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", R R R R R "A" R R "B"},
                 {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", R R R R "A"},
                 {"the cat \xe7\x8c", "the cat " R},
                 {"the cat \xf0\x9f\x91", "the cat " R},
                 {"eight letters \xff and more", "eight letters " R " and more"}};
#undef R
    mm_tokenizer *tokenizer = tokenizer_of(case_of("GPT-2"));
    mm_encoder *encoder;
    good(mm_encoder_new(tokenizer, &encoder, &error));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_ids(encoder, cases[i].text, strlen(cases[i].text), i & 1, cases[i].as);
    mm_encoder_free(encoder);
    mm_tokenizer_close(tokenizer);
}

static void plain_text_holds_no_added_tokens(void **state) {
    (void)state;
    const char *const cases[] = {"GPT-2", "bytes"};
    for (int c = 0; c < 2; c++) {
        mm_text json = {0};
        mm_tokenizer *tokenizer;
        // With ignore_merges and no pattern the whole text could be taken for the token.
        write_json(&json, case_of(cases[c])->pre_tokenizer, case_of(cases[c])->added_tokens, "true");
        good(mm_tokenizer_parse(json.data, json.size, "plain", &tokenizer, &error));
        mm_encoder *encoder;
        good(mm_encoder_new(tokenizer, &encoder, &error));
        for (int round = 0; round < 3; round++) {
            mm_ids ids = {0};
            bool plain = round != 1;
            good(mm_encode(encoder, "<|im_end|>", 10, plain, &ids, &error));
            assert_int_equal(ids.size == 1 && ids.data[0] == 2, !plain);
            for (size_t i = 0; plain && i < ids.size; i++)
                assert_false(mm_tokenizer_is_special(tokenizer, ids.data[i]));
            mm_ids_free(&ids);
        }
        mm_encoder_free(encoder);
        mm_tokenizer_close(tokenizer);
        mm_text_free(&json);
    }
}

// A long word is merged by another algorithm than a short one. Doubling "a" gives the same tokens as merging
// by hand: the pattern's words are cut where both must agree.
static void long_words(void **state) {
    (void)state;
    mm_tokenizer *tokenizer = tokenizer_of(case_of("bytes"));
    mm_encoder *encoder;
    good(mm_encoder_new(tokenizer, &encoder, &error));
    // No merge has a '#', so the word falls into parts which are words of their own.
    static const char part[] = "the cat's mill aaaaaaa M\xc3\xbchle 2112 \xe7\x8c\xab#";
    mm_text text = {0};
    mm_ids one = {0}, whole = {0};
    for (int i = 0; i < 2000; i++) mm_text_add_string(&text, part);
    good(mm_encode(encoder, part, sizeof part - 1, false, &one, &error));
    good(mm_encode(encoder, text.data, text.size, false, &whole, &error));
    assert_int_equal(whole.size, 2000 * one.size);
    for (size_t i = 0; i < whole.size; i++) assert_int_equal(whole.data[i], one.data[i % one.size]);

    // One letter, a million times, in every length's remainder: linear time, and the text comes back.
    for (size_t length = 1000000; length < 1000003; length++) {
        mm_text back = {0};
        char *letters = malloc(length);
        assert_non_null(letters);
        memset(letters, 'a', length);
        whole.size = 0;
        good(mm_encode(encoder, letters, length, false, &whole, &error));
        assert_true(whole.size < length / 3);
        good(mm_decode(tokenizer, whole.data, whole.size, false, &back, &error));
        assert_int_equal(back.size, length);
        assert_memory_equal(back.data, letters, length);
        free(letters);
        mm_text_free(&back);
    }
    mm_ids_free(&one);
    mm_ids_free(&whole);
    mm_text_free(&text);
    mm_encoder_free(encoder);
    mm_tokenizer_close(tokenizer);
}

// The ids of a text, printed, in a tokenizer of its own.
static void expect_small(mm_encoder *encoder, const char *text, bool plain, const char *expected) {
    mm_ids ids = {0};
    mm_text printed = {0};
    good(mm_encode(encoder, text, strlen(text), plain, &ids, &error));
    print_ids(&printed, &ids);
    assert_string_equal(printed.data, expected);
    mm_text_free(&printed);
    mm_ids_free(&ids);
}

static mm_tokenizer *small(const char *json, mm_encoder **encoder) {
    mm_tokenizer *tokenizer;
    good(mm_tokenizer_parse(json, strlen(json), "small", &tokenizer, &error));
    good(mm_encoder_new(tokenizer, encoder, &error));
    return tokenizer;
}

// --- words of several windows, against the plain algorithm

enum { LONG_SYMBOLS = 3, LONG_MERGES = 40, LONG_TOKENS = LONG_SYMBOLS + LONG_MERGES, LONG_WORD = 700000 };

typedef struct plain_bpe {
    int sizes[LONG_TOKENS];
    char texts[LONG_TOKENS][33];
    int count;
    int ranks[LONG_TOKENS][LONG_TOKENS], made[LONG_TOKENS][LONG_TOKENS]; // rank -1: no merge
} plain_bpe;

// Merges of tokens drawn, in the order that they are made in or, where `odd`, in another. Appends them to
// `json`.
static void draw_merges(plain_bpe *b, bool odd, uint64_t *draws, mm_text *json) {
    *b = (plain_bpe){.count = LONG_SYMBOLS};
    memset(b->ranks, 0xff, sizeof b->ranks);
    for (int i = 0; i < LONG_SYMBOLS; i++) b->texts[i][0] = (char)('a' + i), b->sizes[i] = 1;
    int pairs[LONG_MERGES][2];
    while (b->count < LONG_TOKENS) {
        int x = (int)(fixture_draw(draws) % (unsigned)b->count),
            y = (int)(fixture_draw(draws) % (unsigned)b->count);
        char *text = b->texts[b->count];
        if (b->sizes[x] + b->sizes[y] > 32) continue;
        memcpy(text, b->texts[x], (size_t)b->sizes[x]);
        memcpy(text + b->sizes[x], b->texts[y], (size_t)b->sizes[y] + 1);
        bool there = false;
        for (int i = 0; i < b->count; i++) there |= !strcmp(b->texts[i], text);
        if (there) continue;
        pairs[b->count - LONG_SYMBOLS][0] = x;
        pairs[b->count - LONG_SYMBOLS][1] = y;
        b->made[x][y] = b->count;
        b->sizes[b->count++] = b->sizes[x] + b->sizes[y];
    }
    for (int rank = 0; rank < LONG_MERGES; rank++) {
        const int *pair = pairs[odd ? rank * 7 % LONG_MERGES : rank];
        b->ranks[pair[0]][pair[1]] = rank;
        mm_text_format(json, "%s[\"%s\", \"%s\"]", rank ? ", " : "", b->texts[pair[0]], b->texts[pair[1]]);
    }
}

typedef struct plain_word {
    const plain_bpe *bpe;
    int *ids, *next, *previous; // a list; -1: merged away, no neighbour
    uint64_t *heap;             // rank << 32 | position, the smallest first
    size_t heap_size;
} plain_word;

static void plain_note(plain_word *w, int at) {
    if (at < 0 || w->next[at] < 0) return;
    int rank = w->bpe->ranks[w->ids[at]][w->ids[w->next[at]]];
    if (rank < 0) return;
    uint64_t key = (uint64_t)rank << 32 | (uint64_t)at;
    size_t i = w->heap_size++;
    for (; i > 0 && w->heap[(i - 1) / 2] > key; i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = key;
}

static uint64_t plain_pop(plain_word *w) {
    uint64_t top = w->heap[0], last = w->heap[--w->heap_size];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < w->heap_size; i = child) {
        child += child + 1 < w->heap_size && w->heap[child + 1] < w->heap[child];
        if (w->heap[child] >= last) break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = last;
    return top;
}

// The pair of the smallest rank, the leftmost of equals, over and over. Returns how many ids are left, in
// `ids`.
static size_t plain_merge(const plain_bpe *bpe, int *ids, int n) {
    size_t room = (size_t)n + 1, left = 0;
    plain_word w = {
        bpe, ids, malloc(room * sizeof(int)), malloc(room * sizeof(int)), malloc(3 * room * sizeof(uint64_t)),
        0};
    assert_true(w.next && w.previous && w.heap);
    for (int i = 0; i < n; i++) w.next[i] = i + 1 < n ? i + 1 : -1, w.previous[i] = i - 1;
    for (int i = 0; i < n; i++) plain_note(&w, i);
    while (w.heap_size) {
        uint64_t key = plain_pop(&w);
        int at = (int)(uint32_t)key, right = w.ids[at] < 0 ? -1 : w.next[at];
        if (right < 0 || bpe->ranks[ids[at]][ids[right]] != (int)(key >> 32)) continue;
        ids[at] = bpe->made[ids[at]][ids[right]];
        ids[right] = -1;
        w.next[at] = w.next[right];
        if (w.next[at] >= 0) w.previous[w.next[at]] = at;
        plain_note(&w, w.previous[at]);
        plain_note(&w, at);
    }
    for (int i = 0; i < n; i++)
        if (ids[i] >= 0) ids[left++] = ids[i];
    free(w.next);
    free(w.previous);
    free(w.heap);
    return left;
}

// A text that repeats itself, but for a letter here and there.
static void draw_word(char *text, uint64_t *draws) {
    int period = 1 + (int)(fixture_draw(draws) % 9);
    for (int i = 0; i < LONG_WORD; i++) {
        uint64_t draw = fixture_draw(draws);
        text[i] = i >= period && draw % 997 ? text[i - period] : (char)('a' + draw / 997 % LONG_SYMBOLS);
    }
}

static void words_of_several_windows(void **state) {
    (void)state;
    uint64_t draws = 20261124;
    print_message("seed %llu\n", (unsigned long long)draws);
    char *text = malloc(LONG_WORD);
    int *expected = malloc(LONG_WORD * sizeof *expected);
    assert_true(text && expected);
    for (int round = 0; round < 6; round++) {
        plain_bpe bpe;
        mm_text json = {0}, merges = {0};
        mm_ids ids = {0};
        mm_encoder *encoder;
        draw_merges(&bpe, round % 2, &draws, &merges);
        mm_text_add_string(&json, "{\"model\": {\"vocab\": {");
        for (int i = 0; i < LONG_TOKENS; i++)
            mm_text_format(&json, "%s\"%s\": %d", i ? ", " : "", bpe.texts[i], i);
        mm_text_format(&json, "}, \"merges\": [%s]}}", merges.data);
        mm_tokenizer *tokenizer = small(json.data, &encoder);
        draw_word(text, &draws);
        for (int i = 0; i < LONG_WORD; i++) expected[i] = text[i] - 'a';
        size_t count = plain_merge(&bpe, expected, LONG_WORD);
        good(mm_encode(encoder, text, LONG_WORD, false, &ids, &error));
        assert_int_equal(ids.size, count);
        assert_memory_equal(ids.data, expected, count * sizeof *expected);
        mm_encoder_free(encoder);
        mm_tokenizer_close(tokenizer);
        mm_ids_free(&ids);
        mm_text_free(&json);
        mm_text_free(&merges);
    }
    free(text);
    free(expected);
}

// A merge may stand before those that make its halves: it is then next as soon as it can be done.
static void merges_in_any_order(void **state) {
    (void)state;
    mm_encoder *encoder;
    mm_tokenizer *tokenizer =
        small("{\"model\": {\"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2, \"aba\": 3, \"#\": 4}, "
              "\"merges\": [\"ab a\", \"a b\"]}}",
              &encoder);
    expect_small(encoder, "abab", false, "3 1");
    mm_text text = {0};
    mm_ids ids = {0};
    for (int i = 0; i < 1000; i++) mm_text_add_string(&text, "abab#");
    good(mm_encode(encoder, text.data, text.size, false, &ids, &error));
    assert_int_equal(ids.size, 3000);
    static const int32_t expected[] = {3, 1, 4};
    for (size_t i = 0; i < ids.size; i++) assert_int_equal(ids.data[i], expected[i % 3]);
    mm_ids_free(&ids);
    mm_text_free(&text);
    mm_encoder_free(encoder);
    mm_tokenizer_close(tokenizer);
}

// Here a word is the model's token, but the added token is not recognised, since a letter touches it. What an
// encoder remembers of such a word must not serve where added tokens are plain text.
static void plain_text_is_not_remembered(void **state) {
    (void)state;
    mm_encoder *encoder;
    mm_tokenizer *tokenizer = small(
        "{\"added_tokens\": [{\"id\": 4, \"content\": \"<s>\", \"single_word\": true, \"lstrip\": false, "
        "\"rstrip\": false, \"normalized\": false, \"special\": true}], \"pre_tokenizer\": {\"type\": "
        "\"Split\", "
        "\"pattern\": {\"String\": \"<s>\"}, \"behavior\": \"Isolated\", \"invert\": false}, \"model\": "
        "{\"ignore_merges\": true, \"vocab\": {\"a\": 0, \"<\": 1, \"s\": 2, \">\": 3, \"<s>\": 4}, "
        "\"merges\": []}}",
        &encoder);
    expect_small(encoder, "a<s>", false, "0 4");
    expect_small(encoder, "a<s>", true, "0 1 2 3");
    expect_small(encoder, "a<s>", false, "0 4");
    mm_encoder_free(encoder);
    mm_tokenizer_close(tokenizer);
}

static void blanks_without_end(void **state) {
    (void)state;
    static const char *const cases[] = {"GPT-2", "Qwen", "lines"};
    size_t size = 300000;
    char *text = malloc(size);
    assert_non_null(text);
    for (int c = 0; c < 3; c++) {
        mm_tokenizer *tokenizer = tokenizer_of(case_of(cases[c]));
        mm_encoder *encoder;
        good(mm_encoder_new(tokenizer, &encoder, &error));
        mm_ids ids = {0};
        mm_text back = {0};
        memset(text, ' ', size);
        text[size / 2] = 'x';
        good(mm_encode(encoder, text, size, false, &ids, &error));
        good(mm_decode(tokenizer, ids.data, ids.size, false, &back, &error));
        assert_int_equal(back.size, size);
        assert_memory_equal(back.data, text, size);
        mm_ids_free(&ids);
        mm_text_free(&back);
        mm_encoder_free(encoder);
        mm_tokenizer_close(tokenizer);
    }
    free(text);
}

static void tokens_by_text_and_number(void **state) {
    (void)state;
    mm_tokenizer *tokenizer = tokenizer_of(case_of("GPT-2"));
    size_t size;
    assert_int_equal(mm_tokenizer_vocab(tokenizer), GOLDEN_VOCAB);
    assert_int_equal(mm_tokenizer_merges(tokenizer), GOLDEN_VOCAB - 259);
    assert_int_equal(mm_tokenizer_bos(tokenizer), 1);
    assert_int_equal(mm_tokenizer_eos(tokenizer), 2);
    assert_true(mm_tokenizer_is_special(tokenizer, 2) && !mm_tokenizer_is_special(tokenizer, 3));
    assert_int_equal(mm_tokenizer_id(tokenizer, "no such token"), -1);
    int32_t the = mm_tokenizer_id(tokenizer, "\xc4\xa0the");
    assert_true(the > 258);
    assert_memory_equal(mm_tokenizer_bytes(tokenizer, the, &size), " the", 4);
    assert_int_equal(size, 4);
    assert_memory_equal(mm_tokenizer_bytes(tokenizer, 1, &size), "<|im_start|>", 12);
    assert_null(mm_tokenizer_bytes(tokenizer, GOLDEN_VOCAB, &size));
    assert_null(mm_tokenizer_bytes(tokenizer, -1, &size));
    bool bytes[256] = {false};
    for (int32_t id = 3; id < 259; id++) {
        const char *b = mm_tokenizer_bytes(tokenizer, id, &size);
        assert_int_equal(size, 1);
        bytes[(unsigned char)*b] = true;
    }
    for (int byte = 0; byte < 256; byte++) assert_true(bytes[byte]);
    mm_text back = {0};
    int32_t ids[] = {1, the, 2};
    good(mm_decode(tokenizer, ids, 3, true, &back, &error));
    assert_string_equal(back.data, " the");
    mm_text_free(&back);
    mm_tokenizer_close(tokenizer);
}

static void bos_and_eos_of_the_configuration(void **state) {
    char path[FIXTURE_PATH];
    mm_text json = {0};
    mm_tokenizer *tokenizer;
    const struct golden_case *c = case_of("GPT-2");
    write_json(&json, c->pre_tokenizer, c->added_tokens, c->ignore_merges);
    fixture_write(fixture_path(path, *state, "tokenizer.json"), json.data, json.size);
    static const struct {
        const char *config;
        int32_t bos, eos; // -1: refused
    } cases[] = {
        {"{\"bos_token\": \"<|endoftext|>\", \"eos_token\": {\"content\": \"<|endoftext|>\"}}", 0, 0},
        {"{\"bos_token\": null, \"eos_token\": \"<|im_start|>\"}", 1, 1},
        {"{\"bos_token\": null, \"eos_token\": \"<|endoftext|>\"}", 0, 0},
        {"{\"eos_token\": null, \"bos_token\": null}", 2, 2},
        {"{\"eos_token\": null}", 1, 2},
        {"{}", 1, 2},
        {"{\"bos_token\": \"<none>\"}", -1, -1},
        {"{\"bos_token\": 3}", -1, -1},
        {"[]", -1, -1},
        {"{\"model_max_length\": 1000000000000000019884624838656}", 1, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char config[FIXTURE_PATH];
        fixture_write(fixture_path(config, *state, "tokenizer_config.json"), cases[i].config,
                      strlen(cases[i].config));
        mm_status status = mm_tokenizer_open(i & 1 ? path : *state, &tokenizer, &error);
        assert_int_equal(status, cases[i].bos < 0 ? MM_TROUBLE : MM_OK);
        if (status != MM_OK) {
            assert_non_null(
                strstr(error.text, cases[i].config[0] == '[' ? "expected an object" : "bos_token"));
            continue;
        }
        assert_int_equal(mm_tokenizer_bos(tokenizer), cases[i].bos);
        assert_int_equal(mm_tokenizer_eos(tokenizer), cases[i].eos);
        size_t size;
        assert_memory_equal(mm_tokenizer_file(tokenizer, &size), json.data, json.size);
        assert_int_equal(size, json.size);
        assert_true(mm_hash_equal(mm_tokenizer_hash(tokenizer), mm_hash_bytes(json.data, json.size)));
        mm_tokenizer_close(tokenizer);
    }
    mm_text_free(&json);
}

static void what_differs_is_said(void **state) {
    (void)state;
    mm_tokenizer *gpt2 = tokenizer_of(case_of("GPT-2")), *qwen = tokenizer_of(case_of("Qwen"));
    const struct golden_case *last = &golden_cases[sizeof golden_cases / sizeof golden_cases[0] - 1];
    mm_tokenizer *more = tokenizer_of(last), *special;
    const char *what;
    assert_false(mm_tokenizer_same(gpt2, qwen, &what));
    assert_string_equal(what, "pre-tokenizer");
    assert_false(mm_tokenizer_same(gpt2, more, &what));
    assert_string_equal(what, "vocabulary");
    mm_text json = {0};
    write_json(&json, "null", "[]", "false");
    good(mm_tokenizer_parse(json.data, json.size, "none", &special, &error));
    assert_false(mm_tokenizer_same(gpt2, special, &what));
    assert_string_equal(what, "added tokens");
    mm_text_free(&json);
    mm_tokenizer_close(special);
    mm_tokenizer_close(more);
    mm_tokenizer_close(qwen);
    mm_tokenizer_close(gpt2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(library_ids),
        cmocka_unit_test(decoding_is_the_inverse),
        cmocka_unit_test(broken_characters_become_replacements),
        cmocka_unit_test(plain_text_holds_no_added_tokens),
        cmocka_unit_test(long_words),
        cmocka_unit_test(words_of_several_windows),
        cmocka_unit_test(merges_in_any_order),
        cmocka_unit_test(plain_text_is_not_remembered),
        cmocka_unit_test(blanks_without_end),
        cmocka_unit_test(tokens_by_text_and_number),
        cmocka_unit_test_setup_teardown(bos_and_eos_of_the_configuration, fixture_folder, fixture_remove),
        cmocka_unit_test(what_differs_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
