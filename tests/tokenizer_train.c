// A trained vocabulary is laid out as the library's trainer does it, with the same merges, and is used as it
// was learned.
#include "../src/data/tokenizer_train_merge.h"
#include "fixture.h"
#include "golden/tokenizer.h"

#include <mm/data/tokenizer.h>
#include <mm/data/tokenizer_train.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static mm_error error;

static void good(mm_status status) {
    if (status != MM_OK) fail_msg("%s", error.text);
}

static mm_tokenizer_trainer *trainer(void) {
    mm_tokenizer_trainer *made;
    good(mm_tokenizer_trainer_new(&made, &error));
    return made;
}

static void add(mm_tokenizer_trainer *t, const char *text, size_t size) {
    good(mm_tokenizer_trainer_add(t, text, size, &error));
}

// Trains to the end, frees the trainer.
static void finish(mm_tokenizer_trainer *t, int vocab, mm_text *json) {
    good(mm_tokenizer_trainer_finish(t, vocab, json, NULL, NULL, NULL, &error));
    mm_tokenizer_trainer_free(t);
}

static mm_tokenizer *parse(const mm_text *json) {
    mm_tokenizer *tokenizer;
    good(mm_tokenizer_parse(json->data, json->size, "trained", &tokenizer, &error));
    return tokenizer;
}

static void the_library_learns_the_same(void **state) {
    (void)state;
    mm_text json = {0}, golden = {0};
    mm_tokenizer_trainer *t = trainer();
    add(t, golden_text, sizeof golden_text - 1);
    finish(t, GOLDEN_VOCAB, &json);
    const struct golden_case *c = &golden_cases[1];
    mm_text_format(&golden, "{\"added_tokens\": %s, \"pre_tokenizer\": %s, \"model\": {%s}}", c->added_tokens,
                   c->pre_tokenizer, golden_model);
    mm_tokenizer *ours = parse(&json), *library = parse(&golden);
    const char *what;
    if (!mm_tokenizer_same(ours, library, &what)) fail_msg("%s differs", what);
    mm_encoder *encoder;
    good(mm_encoder_new(ours, &encoder, &error));
    for (int i = 0; i < GOLDEN_TEXTS; i++) {
        mm_ids ids = {0};
        mm_text printed = {0};
        good(mm_encode(encoder, golden_texts[i].text, golden_texts[i].size, false, &ids, &error));
        for (size_t k = 0; k < ids.size; k++) mm_text_format(&printed, k ? " %d" : "%d", ids.data[k]);
        assert_string_equal(printed.data ? printed.data : "", c->ids[i]);
        mm_text_free(&printed);
        mm_ids_free(&ids);
    }
    mm_encoder_free(encoder);
    mm_tokenizer_close(ours);
    mm_tokenizer_close(library);
    mm_text_free(&json);
    mm_text_free(&golden);
}

static void the_vocabulary_is_full_and_in_order(void **state) {
    (void)state;
    static const int sizes[] = {259, 260, 300, 350};
    for (int i = 0; i < 4; i++) {
        mm_text json = {0};
        mm_tokenizer_trainer *t = trainer();
        add(t, golden_text, sizeof golden_text - 1);
        finish(t, sizes[i], &json);
        mm_tokenizer *tokenizer = parse(&json);
        assert_int_equal(mm_tokenizer_vocab(tokenizer), sizes[i]);
        assert_int_equal(mm_tokenizer_id(tokenizer, "<|endoftext|>"), 0);
        assert_int_equal(mm_tokenizer_id(tokenizer, "<|im_start|>"), 1);
        assert_int_equal(mm_tokenizer_id(tokenizer, "<|im_end|>"), 2);
        assert_int_equal(mm_tokenizer_id(tokenizer, "!"), 3);
        assert_int_equal(mm_tokenizer_id(tokenizer, "\xc5\x83"), 258); // the last symbol, of byte 0xad
        for (int32_t id = 0; id < sizes[i]; id++) {
            size_t size;
            assert_non_null(mm_tokenizer_bytes(tokenizer, id, &size));
            assert_int_equal(mm_tokenizer_is_special(tokenizer, id), id < 3);
        }
        mm_tokenizer_close(tokenizer);
        mm_text_free(&json);
    }
}

// Only how often words come counts, not where.
static void the_order_of_documents_does_not_matter(void **state) {
    (void)state;
    mm_text first = {0}, second = {0};
    mm_tokenizer_trainer *t = trainer();
    const char *middle = strstr(golden_text, "Die M");
    size_t head = (size_t)(middle - golden_text), tail = sizeof golden_text - 1 - head;
    add(t, golden_text, head);
    add(t, middle, tail);
    finish(t, 380, &first);
    t = trainer();
    add(t, middle, tail);
    add(t, "", 0);
    add(t, golden_text, head);
    finish(t, 380, &second);
    assert_string_equal(first.data, second.data);
    mm_text_free(&first);
    mm_text_free(&second);
}

static void equal_counts_go_by_the_smaller_ids(void **state) {
    (void)state;
    mm_text json = {0};
    mm_tokenizer_trainer *t = trainer();
    add(t, "zy xw\nzy xw\nba", 14);
    finish(t, 261, &json);
    mm_tokenizer *tokenizer = parse(&json);
    // " x", "xw" and "zy" come twice: ids of letters rise with the alphabet, and the blank's symbol comes
    // after them.
    size_t size;
    assert_memory_equal(mm_tokenizer_bytes(tokenizer, 259, &size), "xw", 2);
    assert_memory_equal(mm_tokenizer_bytes(tokenizer, 260, &size), "zy", 2);
    mm_tokenizer_close(tokenizer);
    mm_text_free(&json);
}

static void special_tokens_teach_nothing(void **state) {
    (void)state;
    mm_text with = {0}, without = {0};
    mm_tokenizer_trainer *t = trainer();
    for (int i = 0; i < 50; i++) add(t, "<|im_start|>the cat<|im_end|>", 29);
    finish(t, 263, &with);
    t = trainer();
    for (int i = 0; i < 50; i++) add(t, "the cat", 7);
    finish(t, 263, &without);
    assert_string_equal(with.data, without.data);
    mm_text_free(&with);
    mm_text_free(&without);
}

static void any_bytes_are_text(void **state) {
    (void)state;
    uint64_t draws = 3;
    print_message("seed %llu\n", (unsigned long long)draws);
    mm_tokenizer_trainer *t = trainer();
    char bytes[4096];
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (char)(fixture_draw(&draws) % (round & 1 ? 256 : 4) + 'a');
        add(t, bytes, sizeof bytes);
    }
    mm_text json = {0};
    finish(t, 500, &json);
    mm_tokenizer *tokenizer = parse(&json);
    assert_int_equal(mm_tokenizer_vocab(tokenizer), 500);
    assert_int_equal(mm_tokenizer_merges(tokenizer), 500 - 259); // none twice
    mm_tokenizer_close(tokenizer);
    mm_text_free(&json);
}

static void too_little_text_is_said(void **state) {
    (void)state;
    mm_text json = {0};
    mm_tokenizer_trainer *t = trainer();
    add(t, "abab", 4);
    // ab, abab: two merges.
    assert_int_equal(mm_tokenizer_trainer_finish(t, 262, &json, NULL, NULL, NULL, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "261"));
    assert_int_equal(mm_tokenizer_trainer_finish(t, 258, &json, NULL, NULL, NULL, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "259"));
    assert_int_equal(json.size, 0);
    finish(t, 261, &json);
    mm_text_free(&json);
}

static void equal_letters_halve(void **state) {
    (void)state;
    size_t size = 1 << 20;
    char *letters = malloc(size);
    assert_non_null(letters);
    memset(letters, 'a', size);
    mm_text json = {0};
    mm_tokenizer_trainer *t = trainer();
    add(t, letters, size);
    finish(t, 259 + 20, &json);
    mm_tokenizer *tokenizer = parse(&json);
    size_t length;
    for (int i = 0; i < 20; i++) {
        assert_non_null(mm_tokenizer_bytes(tokenizer, 259 + i, &length));
        assert_int_equal(length, (size_t)2 << i);
    }
    mm_tokenizer_close(tokenizer);
    mm_text_free(&json);
    free(letters);
}

// Read by any number of workers, in pieces, or added whole: one result.
static void workers_do_not_show(void **state) {
    char path[FIXTURE_PATH];
    uint64_t draws = 23;
    print_message("seed %llu\n", (unsigned long long)draws);
    mm_text text = {0}, whole = {0};
    for (int i = 0; i < 60000; i++)
        mm_text_format(&text, "%llx runs%s", (unsigned long long)fixture_draw(&draws) % 5000,
                       i % 5 ? " " : ".\n");
    fixture_write(fixture_path(path, *state, "text.txt"), text.data, text.size);
    mm_tokenizer_trainer *t = trainer();
    add(t, text.data, text.size);
    finish(t, 500, &whole);
    for (int workers = 1; workers <= 3; workers++) {
        const char *const inputs[] = {path};
        mm_text_source *source;
        mm_text json = {0};
        uint64_t bytes;
        good(mm_text_open(inputs, 1, NULL, &source, &error));
        t = trainer();
        good(mm_tokenizer_trainer_read(t, source, workers, NULL, &bytes, NULL, NULL, &error));
        assert_int_equal(bytes, text.size);
        finish(t, 500, &json);
        assert_string_equal(json.data, whole.data);
        mm_text_free(&json);
        mm_text_close(source);
    }
    mm_text_free(&text);
    mm_text_free(&whole);
}

static void ask(void *self, long done, long wanted) {
    assert_true(done < wanted);
    *(volatile sig_atomic_t *)self = 1;
}

static void a_stop_ends_the_merging(void **state) {
    (void)state;
    volatile sig_atomic_t stop = 0;
    uint64_t draws = 29;
    mm_text text = {0}, json = {0};
    for (int i = 0; i < 5000; i++)
        mm_text_format(&text, "%llx ", (unsigned long long)fixture_draw(&draws) % 100000);
    mm_tokenizer_trainer *t = trainer();
    add(t, text.data, text.size);
    assert_int_equal(
        mm_tokenizer_trainer_finish(t, 2000, &json, &stop, ask, (void *)(uintptr_t)&stop, &error),
        MM_INTERRUPTED);
    assert_string_equal(error.text, "interrupted; nothing was kept");
    assert_int_equal(json.size, 0);
    stop = 0;
    finish(t, 2000, &json);
    mm_text_free(&json);
    mm_text_free(&text);
}

// Words that a hash which all know puts in one place: they are spread, so counting them takes no square.
static void words_made_to_collide_are_spread(void **state) {
    (void)state;
    enum { WORDS = 1000, MASK = 4095, LONGEST = 200 }; // of random places 30 or so follow one another
    mm_word_counts words = {0};
    char word[32];
    for (int i = 0; words.count < WORDS; i++) {
        size_t size = (size_t)snprintf(word, sizeof word, "word%d", i);
        if (mm_word_hash(word, size) & MASK) continue;
        good(mm_word_counts_add(&words, word, size, 1, &error));
        good(mm_word_counts_add(&words, word, size, 1, &error));
    }
    assert_int_equal(words.slot_mask, MASK);
    size_t filled = 0, run = 0, longest = 0;
    for (size_t slot = 0; slot <= words.slot_mask; slot++) {
        run = words.slots[slot] ? run + 1 : 0;
        filled += words.slots[slot] != 0;
        if (run > longest) longest = run;
    }
    assert_int_equal(filled, WORDS);
    for (int i = 0; i < WORDS; i++) assert_int_equal(words.counts[i], 2);
    print_message("at most %zu words follow one another\n", longest);
    assert_in_range(longest, 1, LONGEST);
    mm_word_counts_free(&words);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_library_learns_the_same),
        cmocka_unit_test(the_vocabulary_is_full_and_in_order),
        cmocka_unit_test(the_order_of_documents_does_not_matter),
        cmocka_unit_test(equal_counts_go_by_the_smaller_ids),
        cmocka_unit_test(special_tokens_teach_nothing),
        cmocka_unit_test(any_bytes_are_text),
        cmocka_unit_test(too_little_text_is_said),
        cmocka_unit_test(a_stop_ends_the_merging),
        cmocka_unit_test(equal_letters_halve),
        cmocka_unit_test(workers_do_not_show),
        cmocka_unit_test(words_made_to_collide_are_spread),
    };
    return cmocka_run_group_tests(tests, fixture_folder, fixture_remove);
}
