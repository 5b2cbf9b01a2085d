// Which sample stands where: equal to a slow model of the stream for many sizes, each sample of an epoch
// exactly once.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "fixture.h"
#include "packed.h"
#include <cmocka.h>
#include <mm/base/rng.h>
#include <mm/data/plan.h>
#include <stdlib.h>
#include <string.h>

enum { DATASETS = 7, MOST_DOCUMENTS = 24 };

typedef struct case_data {
    char path[FIXTURE_PATH];
    mm_dataset *dataset;
} case_data;

// Documents of drawn sizes, some empty (the first never is: a dataset of empty texts is refused).
static void make_dataset(case_data *made, const char *folder, int index, const mm_tokenizer *tokenizer,
                         uint64_t *seed) {
    static char letters[64];
    memset(letters, 'q', sizeof letters);
    packed_text texts[MOST_DOCUMENTS];
    size_t count = index ? 1 + fixture_draw(seed) % MOST_DOCUMENTS : 2;
    for (size_t i = 0; i < count; i++) {
        size_t size = fixture_draw(seed) % 5 ? fixture_draw(seed) % sizeof letters : 0;
        texts[i] = (packed_text){letters, i ? size : 1};
    }
    char name[] = "data-0";
    name[5] = (char)('0' + index);
    mm_pack_options options = {.shard_tokens = index % 2 ? 40 : 0};
    packed_pack(folder, name, texts, count, tokenizer, &options, NULL);
    mm_error error;
    if (mm_dataset_open(fixture_path(made->path, folder, name), &made->dataset, &error))
        fail_msg("%s", error.text);
}

static case_data cases[DATASETS];

static int open_datasets(void **state) {
    if (fixture_folder(state)) return -1;
    uint64_t seed = 4242;
    print_message("seed %llu\n", (unsigned long long)seed);
    mm_tokenizer *tokenizer = packed_tokenizer();
    for (int i = 0; i < DATASETS; i++) make_dataset(&cases[i], *state, i, tokenizer, &seed);
    mm_tokenizer_close(tokenizer);
    return 0;
}

static int close_datasets(void **state) {
    for (int i = 0; i < DATASETS; i++) mm_dataset_close(cases[i].dataset);
    return fixture_remove(state);
}

static mm_plan make_plan(const mm_dataset *dataset, mm_packing packing, int64_t seq_len, bool shuffled) {
    mm_plan plan;
    mm_error error;
    if (mm_plan_make(&plan, dataset, packing, seq_len, shuffled, 1337, &error)) fail_msg("%s", error.text);
    return plan;
}

static void windows_cover_the_stream(void **state) {
    (void)state;
    for (int i = 0; i < DATASETS; i++) {
        uint64_t tokens = mm_dataset_tokens(cases[i].dataset);
        for (int64_t seq_len = 1; seq_len <= (int64_t)tokens + 3; seq_len++) {
            mm_plan plan = make_plan(cases[i].dataset, MM_PACKING_WINDOW, seq_len, false);
            // Every token but the last is an input once, in order; a row's target is the next token.
            uint64_t input = 0;
            for (uint64_t s = 0; s < plan.samples; s++) {
                mm_sample sample = mm_plan_sample(&plan, s);
                assert_int_equal(sample.index, s);
                assert_int_equal(sample.first, input);
                assert_false(sample.closed);
                if (s + 1 < plan.samples)
                    assert_int_equal(sample.rows, seq_len);
                else
                    assert_in_range(sample.rows, 1, seq_len);
                input += (uint64_t)sample.rows;
            }
            assert_int_equal(input, tokens - 1);
        }
    }
}

static void a_document_is_a_sample(void **state) {
    (void)state;
    for (int i = 0; i < DATASETS; i++) {
        const mm_dataset *dataset = cases[i].dataset;
        for (int64_t seq_len = 1; seq_len <= 70; seq_len++) {
            mm_plan plan = make_plan(dataset, MM_PACKING_DOCUMENT, seq_len, false);
            assert_int_equal(plan.samples, mm_dataset_documents(dataset));
            uint64_t begin = 0;
            for (uint64_t s = 0; s < plan.samples; s++) {
                // bos, n tokens, eos: n + 1 rows if they fit.
                uint64_t end = mm_dataset_document_end(dataset, s);
                int64_t n = (int64_t)(end - begin) - 2;
                mm_sample sample = mm_plan_sample(&plan, s);
                assert_int_equal(sample.first, begin);
                assert_int_equal(sample.rows, n + 1 <= seq_len ? n + 1 : seq_len);
                assert_int_equal(sample.closed, n + 1 > seq_len);
                begin = end;
            }
        }
    }
}

static void an_epoch_takes_every_sample_once(void **state) {
    (void)state;
    for (int i = 0; i < DATASETS; i++)
        for (int packing = 0; packing < 2; packing++)
            for (int64_t seq_len = 1; seq_len < 20; seq_len += 3) {
                mm_plan plan = make_plan(cases[i].dataset, (mm_packing)packing, seq_len, true);
                for (uint64_t epoch = 0; epoch < 3; epoch++) {
                    unsigned char *seen = calloc((size_t)plan.samples, 1);
                    assert_non_null(seen);
                    for (uint64_t p = 0; p < plan.samples; p++) {
                        uint64_t index = mm_plan_position(&plan, epoch * plan.samples + p).index;
                        assert_int_equal(index, mm_permutation(1337, (uint32_t)epoch, plan.samples, p));
                        assert_int_equal(seen[index]++, 0);
                    }
                    free(seen);
                }
            }
}

static void sequential_order_is_the_datas(void **state) {
    (void)state;
    mm_plan plan = make_plan(cases[1].dataset, MM_PACKING_WINDOW, 3, false);
    for (uint64_t p = 0; p < 3 * plan.samples; p++)
        assert_int_equal(mm_plan_position(&plan, p).index, p % plan.samples);
}

static void targets_are_the_rows_of_the_positions(void **state) {
    (void)state;
    for (int i = 0; i < DATASETS; i++) {
        mm_plan plan = make_plan(cases[i].dataset, MM_PACKING_WINDOW, 7, true);
        int64_t all = (int64_t)mm_dataset_tokens(cases[i].dataset) - 1;
        int64_t count = (int64_t)plan.samples;
        assert_int_equal(mm_plan_targets(&plan, 0, count), all);
        assert_int_equal(mm_plan_targets(&plan, 5 * plan.samples, 2 * count), 2 * all);
        // A batch may cross an epoch's end.
        int64_t cut = mm_plan_targets(&plan, plan.samples - 1, 2);
        assert_int_equal(cut, mm_plan_position(&plan, plan.samples - 1).rows +
                                  mm_plan_position(&plan, plan.samples).rows);
        assert_int_equal(mm_plan_targets(&plan, 3, 0), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_cover_the_stream),
        cmocka_unit_test(a_document_is_a_sample),
        cmocka_unit_test(an_epoch_takes_every_sample_once),
        cmocka_unit_test(sequential_order_is_the_datas),
        cmocka_unit_test(targets_are_the_rows_of_the_positions),
    };
    return cmocka_run_group_tests(tests, open_datasets, close_datasets);
}
