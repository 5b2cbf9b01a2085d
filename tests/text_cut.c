// A document in pieces has the ids of the whole, and a normalized text those of its NFC.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "fixture.h"
#include <cmocka.h>
#include <mm/data/text_source.h>
#include <mm/data/tokenizer.h>
#include <mm/data/tokenizer_train.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mm_error error;

static void good(mm_status status) {
    if (status) fail_msg("%s", error.text);
}

#define SPLIT(numbers)                                                                                       \
    "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {\"Regex\": "           \
    "\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|" numbers                        \
    "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"}, "              \
    "\"behavior\": \"Isolated\", \"invert\": false}, {\"type\": \"ByteLevel\", \"add_prefix_space\": "       \
    "false, \"use_regex\": false}]}"
static const char gpt2[] = "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true}";
static const char qwen[] = SPLIT("\\\\p{N}");
static const char llama[] = SPLIT("\\\\p{N}{1,3}");
static const char digits[] =
    "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\", \"individual_digits\": true}, "
    "{\"type\": \"ByteLevel\", \"add_prefix_space\": false}]}";

// The part of the text from "KEY": on, to the newline at the end of its value, is replaced.
static void replace(mm_text *json, const char *key, const char *value) {
    char *at = strstr(json->data, key), *end = at ? strstr(at, "\n  \"") : NULL;
    assert_true(at && end);
    mm_text fresh = {0};
    mm_text_add(&fresh, json->data, (size_t)(at - json->data));
    mm_text_format(&fresh, "%s: %s,", key, value);
    mm_text_add_string(&fresh, end);
    mm_text_free(json);
    *json = fresh;
}

static void draw_text(uint64_t *draws, mm_text *text) {
    static const char *const parts[] = {"\n",
                                        "\n",
                                        "\r\n",
                                        "\n\n",
                                        " ",
                                        "  ",
                                        "\t",
                                        "the",
                                        "a",
                                        "Z9",
                                        "'s",
                                        "'",
                                        ".",
                                        "!?",
                                        "7",
                                        "123",
                                        "\r",
                                        "\\",
                                        "e\xcc\x81",
                                        "\xcc\x81",
                                        "\xe4\xbd\xa0",
                                        "\xe3\x80\x80",
                                        "\xc2\x85",
                                        "\xff",
                                        "\xe4",
                                        "fox",
                                        "<|im_end|>",
                                        "\xe1\x84\x80",
                                        "\xe1\x85\xa1",
                                        "\xea\xb0\x80"};
    size_t count = 200 + fixture_draw(draws) % 200;
    for (size_t i = 0; i < count; i++)
        mm_text_add_string(text, parts[fixture_draw(draws) % (sizeof parts / sizeof *parts)]);
}

// A tokenizer trained on such text, so that blanks and line ends that are cut show in the ids; then with
// another normalizer and pre_tokenizer.
static mm_tokenizer *other_tokenizer(const char *normalizer, const char *pre_tokenizer) {
    mm_tokenizer_trainer *trainer;
    mm_tokenizer *made;
    mm_text text = {0}, json = {0};
    uint64_t draws = 3;
    for (int i = 0; i < 40; i++) draw_text(&draws, &text);
    good(mm_tokenizer_trainer_new(&trainer, &error));
    good(mm_tokenizer_trainer_add(trainer, text.data, text.size, &error));
    good(mm_tokenizer_trainer_finish(trainer, 800, &json, NULL, NULL, NULL, &error));
    mm_tokenizer_trainer_free(trainer);
    mm_text_free(&text);
    replace(&json, "\"normalizer\"", normalizer);
    replace(&json, "\"pre_tokenizer\"", pre_tokenizer);
    good(mm_tokenizer_parse(json.data, json.size, "changed", &made, &error));
    mm_text_free(&json);
    return made;
}

static void encode(const mm_tokenizer *tokenizer, const char *text, size_t size, mm_ids *ids) {
    mm_encoder *encoder;
    good(mm_encoder_new(tokenizer, &encoder, &error));
    good(mm_encode(encoder, text, size, false, ids, &error));
    mm_encoder_free(encoder);
}

// Ids of the pieces one after another; returns how many pieces there were.
static size_t encode_pieces(const char *path, const mm_tokenizer *tokenizer, size_t most, mm_ids *ids) {
    mm_text_source *source;
    good(mm_text_open(&path, 1, NULL, &source, &error));
    for (size_t count = 0;; count++) {
        const char *text;
        size_t size;
        bool ends, more;
        good(mm_text_next_piece(source, most, &text, &size, &ends, &more, &error));
        if (!more) {
            mm_text_close(source);
            return count;
        }
        encode(tokenizer, text, size, ids);
    }
}

static void pieces_have_the_ids_of_the_whole(void **state) {
    static const char *const pre_tokenizers[] = {gpt2, qwen, llama, digits};
    uint64_t draws = 5;
    print_message("seed %llu\n", (unsigned long long)draws);
    char path[FIXTURE_PATH];
    fixture_path(path, *state, "text.txt");
    for (size_t p = 0; p < 4; p++) {
        mm_tokenizer *tokenizer = other_tokenizer("{\"type\": \"NFC\"}", pre_tokenizers[p]);
        assert_true(mm_tokenizer_cuttable(tokenizer));
        size_t pieces = 0;
        for (int round = 0; round < 30; round++) {
            mm_text text = {0};
            mm_ids whole = {0}, parts = {0};
            draw_text(&draws, &text);
            fixture_write(path, text.data, text.size);
            encode(tokenizer, text.data, text.size, &whole);
            pieces += encode_pieces(path, tokenizer, 1 + (size_t)round % 20, &parts);
            assert_int_equal(parts.size, whole.size);
            assert_memory_equal(parts.data, whole.data, whole.size * sizeof *whole.data);
            mm_ids_free(&whole);
            mm_ids_free(&parts);
            mm_text_free(&text);
        }
        if (pieces < 150) fail_msg("only %zu pieces", pieces);
        mm_tokenizer_close(tokenizer);
    }
}

static void where_nothing_is_known_nothing_is_cut(void **state) {
    (void)state;
    static const char *const others[] = {
        "{\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"use_regex\": true}",
        "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"a.*b\"}, \"behavior\": \"Isolated\", \"invert\": "
        "false}",
        "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"\\\\p{N}\"}, \"behavior\": \"MergedWithNext\", "
        "\"invert\": false}",
        "null"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        mm_tokenizer *tokenizer = other_tokenizer("null", others[i]);
        assert_false(mm_tokenizer_cuttable(tokenizer));
        mm_tokenizer_close(tokenizer);
    }
}

// What the library's normalizers.NFC() makes of each; tools/check-tokenizer.py compares more.
static void text_is_brought_to_nfc(void **state) {
    (void)state;
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"cafe\xcc\x81", "caf\xc3\xa9"},
        {"\xc3\xa9\xcc\xa3", "\xe1\xba\xb9\xcc\x81"},             // marks change places
        {"\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81"}, // Hangul
        {"\xea\xb0\x80\xe1\x86\xa7", "\xea\xb0\x80\xe1\x86\xa7"}, // U+11A7 is no final
        {"\xef\xa4\x80", "\xe8\xb1\x88"},                         // CJK compatibility
        {"\xe2\x84\xab", "\xc3\x85"},                             // the angstrom sign
        {"\xe3\x81\x8b\xe3\x82\x99", "\xe3\x81\x8c"},             // kana
        {"\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc"},             // never composed
        {"\xf0\x9e\x84\xb6\xf0\x91\xa8\xb4",
         "\xf0\x9e\x84\xb6\xf0\x91\xa8\xb4"}, // marks younger than Unicode 9
        {"\xcc\x81", "\xcc\x81"},
        {"a\xe4\xbd\xa0.\n", "a\xe4\xbd\xa0.\n"},
    };
    mm_tokenizer *tokenizer = other_tokenizer("{\"type\": \"NFC\"}", gpt2);
    assert_non_null(mm_tokenizer_nfc(tokenizer));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mm_ids ids = {0};
        mm_text back = {0};
        encode(tokenizer, cases[i].from, strlen(cases[i].from), &ids);
        good(mm_decode(tokenizer, ids.data, ids.size, false, &back, &error));
        assert_string_equal(back.data, cases[i].to);
        mm_text_free(&back);
        mm_ids_free(&ids);
    }
    mm_tokenizer_close(tokenizer);
}

// utf8proc's own sorting of marks would take minutes.
static void many_marks_are_sorted_in_time(void **state) {
    (void)state;
    enum { MARKS = 200000 };
    mm_tokenizer *tokenizer = other_tokenizer("{\"type\": \"NFC\"}", gpt2);
    mm_text text = {0}, back = {0};
    mm_text_add_string(&text, "x");
    for (int i = 0; i < MARKS; i++)
        mm_text_add_string(&text, i % 2 ? "\xcc\xa7" : "\xcc\x81"); // classes 230, 202
    mm_ids ids = {0};
    encode(tokenizer, text.data, text.size, &ids);
    good(mm_decode(tokenizer, ids.data, ids.size, false, &back, &error));
    assert_int_equal(back.size, text.size);
    for (size_t i = 0; i < MARKS; i++)
        assert_memory_equal(back.data + 1 + 2 * i, i < MARKS / 2 ? "\xcc\xa7" : "\xcc\x81", 2);
    mm_ids_free(&ids);
    mm_text_free(&text);
    mm_text_free(&back);
    mm_tokenizer_close(tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_have_the_ids_of_the_whole),
        cmocka_unit_test(where_nothing_is_known_nothing_is_cut),
        cmocka_unit_test(text_is_brought_to_nfc),
        cmocka_unit_test(many_marks_are_sorted_in_time),
    };
    return cmocka_run_group_tests(tests, fixture_folder, fixture_remove);
}
