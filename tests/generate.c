// The choice of the next token, and text as it comes: what is kept, how often it is drawn, and characters
// that arrive in pieces.
#include "../src/generate_draw.h"
#include "../src/generate_text.h"
#include <math.h>
#include <mm/base/mathfn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OK(call) check((call), &error, #call)
static mm_error error;

static void check(mm_status status, const mm_error *e, const char *call) {
    if (status) fail_msg("%s: %s", call, e->text);
}

enum { VOCAB = 6, DRAWS = 40000 };

// How often each token is drawn at DRAWS positions from the same logits.
static void count_draws(const mm_sampling *sampling, const float *logits, int counts[VOCAB]) {
    mm_sampler *s;
    OK(mm_sampler_open(sampling, VOCAB, &s, &error));
    memset(counts, 0, VOCAB * sizeof *counts);
    for (int64_t i = 0; i < DRAWS; i++) {
        int32_t id = -1;
        OK(mm_sampler_draw(s, logits, NULL, i, &id, &error));
        assert_in_range(id, 0, VOCAB - 1);
        counts[id]++;
    }
    mm_sampler_close(s);
}

// Pearson's statistic stays below 30 with probability 1 - 1e-5 at 5 degrees of freedom; the seed is fixed, so
// it is a constant of the program.
static void expect_shares(const mm_sampling *sampling, const float *logits, const double shares[VOCAB]) {
    int counts[VOCAB];
    count_draws(sampling, logits, counts);
    double statistic = 0;
    for (int i = 0; i < VOCAB; i++) {
        double wanted = shares[i] * DRAWS;
        if (wanted == 0)
            assert_int_equal(counts[i], 0);
        else
            statistic += (counts[i] - wanted) * (counts[i] - wanted) / wanted;
    }
    print_message("seed %llu: statistic %.1f\n", (unsigned long long)sampling->seed, statistic);
    assert_true(statistic < 30);
}

// Their softmax: 0.4, 0.3, 0.15, 0.1, 0.05 and next to nothing; out of order.
static const double shares_of_all[VOCAB] = {0.15, 0.4, 0.05, 0.3, 0, 0.1};
static void make_logits(float logits[VOCAB]) {
    for (int i = 0; i < VOCAB; i++)
        logits[i] = shares_of_all[i] > 0 ? (float)mm_log(shares_of_all[i]) + 3 : -200;
}

static void draws_follow_the_softmax(void **state) {
    (void)state;
    float logits[VOCAB];
    make_logits(logits);
    expect_shares(&(mm_sampling){.temperature = 1, .top_p = 1, .seed = 7}, logits, shares_of_all);
    // All of them kept by top-k and top-p is another way through the program.
    expect_shares(&(mm_sampling){.temperature = 1, .top_k = VOCAB, .top_p = 1, .seed = 8}, logits,
                  shares_of_all);
    expect_shares(&(mm_sampling){.temperature = 1, .top_p = 0.9999999, .seed = 9}, logits, shares_of_all);
}

static void temperature_raises_probabilities_to_a_power(void **state) {
    (void)state;
    float logits[VOCAB];
    make_logits(logits);
    const double temperatures[] = {0.5, 2};
    for (int t = 0; t < 2; t++) {
        double shares[VOCAB], sum = 0;
        for (int i = 0; i < VOCAB; i++)
            sum += shares[i] = shares_of_all[i] > 0 ? mm_pow(shares_of_all[i], 1 / temperatures[t]) : 0;
        for (int i = 0; i < VOCAB; i++) shares[i] /= sum;
        expect_shares(&(mm_sampling){.temperature = temperatures[t], .top_p = 1, .seed = 21}, logits, shares);
    }
}

static void top_k_and_then_top_p_cut(void **state) {
    (void)state;
    float logits[VOCAB];
    make_logits(logits);
    const double three[VOCAB] = {0.15 / 0.85, 0.4 / 0.85, 0, 0.3 / 0.85, 0, 0},
                 two[VOCAB] = {0, 0.4 / 0.7, 0, 0.3 / 0.7, 0, 0};
    const double one[VOCAB] = {0, 1, 0, 0, 0, 0};
    expect_shares(&(mm_sampling){.temperature = 1, .top_k = 3, .top_p = 1, .seed = 1}, logits, three);
    expect_shares(&(mm_sampling){.temperature = 1, .top_p = 0.71, .seed = 2}, logits, three);
    expect_shares(&(mm_sampling){.temperature = 1, .top_p = 0.69, .seed = 3}, logits, two);
    // Of the two that top-k leaves the first alone has 0.571; of all it would have 0.4.
    expect_shares(&(mm_sampling){.temperature = 1, .top_k = 2, .top_p = 0.5, .seed = 4}, logits, one);
    expect_shares(&(mm_sampling){.temperature = 1, .top_k = 2, .top_p = 0.58, .seed = 5}, logits, two);
    expect_shares(&(mm_sampling){.temperature = 1, .top_p = 0, .seed = 6}, logits, one);
    // The temperature comes first: at 1/2 the first has 0.16 / 0.285.
    expect_shares(&(mm_sampling){.temperature = 0.5, .top_p = 0.5, .seed = 7}, logits, one);
}

static int32_t draw_one(mm_sampling sampling, const float *logits, int64_t position) {
    mm_sampler *s;
    int32_t id;
    OK(mm_sampler_open(&sampling, VOCAB, &s, &error));
    OK(mm_sampler_draw(s, logits, NULL, position, &id, &error));
    mm_sampler_close(s);
    return id;
}

static void one_candidate_is_the_largest_and_the_lowest_id(void **state) {
    (void)state;
    const float logits[VOCAB] = {-1, 2, 0, 2, 2, 1}, equal[VOCAB] = {0};
    for (int64_t position = 0; position < 200; position++) {
        assert_int_equal(draw_one((mm_sampling){.temperature = 0, .top_p = 1}, logits, position), 1);
        assert_int_equal(draw_one((mm_sampling){.temperature = 5, .top_k = 1, .top_p = 1}, logits, position),
                         1);
        assert_int_equal(draw_one((mm_sampling){.temperature = 0}, equal, position), 0);
        assert_int_equal(
            draw_one((mm_sampling){.temperature = 1e-30, .top_k = 1, .top_p = 1}, equal, position), 0);
    }
}

// A logit of 2 becomes 1, one of -1 becomes -2, once however often the token is there.
static void a_penalty_makes_what_is_there_less_likely(void **state) {
    (void)state;
    const float logits[VOCAB] = {2, 1.5F, 1.25F, -2, -3, -3.5F};
    static const struct {
        int32_t ids[4];
        int64_t count;
        double penalty;
        int32_t wanted;
    } cases[] = {
        {{0, 0, 0}, 3, 1, 0}, {{0, 0, 0}, 3, 0, 0},    {{0, 0, 0}, 3, 2, 1},
        {{1, 0}, 2, 2, 2},    {{0, 2, 1}, 3, 1.25, 0}, {{3, 1}, 2, 0.5, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mm_sampler *s;
        int32_t id;
        mm_sampling sampling = {.repetition_penalty = cases[i].penalty};
        OK(mm_sampler_open(&sampling, VOCAB, &s, &error));
        OK(mm_sampler_draw(s, logits, cases[i].ids, cases[i].count, &id, &error));
        assert_int_equal(id, cases[i].wanted);
        mm_sampler_close(s);
    }
    const float below[VOCAB] = {-1, -1.5F, -9, -9, -9, -9};
    mm_sampler *s;
    int32_t id, there = 0;
    OK(mm_sampler_open(&(mm_sampling){.repetition_penalty = 2}, VOCAB, &s, &error));
    OK(mm_sampler_draw(s, below, &there, 1, &id, &error));
    assert_int_equal(id, 1);
    mm_sampler_close(s);
}

// Written down once: the same on every machine.
static void a_seed_is_a_text(void **state) {
    (void)state;
    float logits[VOCAB];
    make_logits(logits);
    const char known[] = "2103321351233313530113311130010131003321";
    char drawn[sizeof known] = "";
    for (size_t i = 0; known[i]; i++)
        drawn[i] = (char)('0' + draw_one((mm_sampling){.temperature = 1, .top_p = 1, .seed = 1337}, logits,
                                         (int64_t)i));
    assert_string_equal(drawn, known);
    int seeds = 0, series = 0;
    for (int i = 0; known[i]; i++) {
        seeds +=
            draw_one((mm_sampling){.temperature = 1, .top_p = 1, .seed = 1338}, logits, i) != drawn[i] - '0';
        series += draw_one((mm_sampling){.temperature = 1, .top_p = 1, .seed = 1337, .series = 5}, logits,
                           i) != drawn[i] - '0';
    }
    assert_true(seeds > 5 && series > 5);
}

static void a_logit_that_is_not_finite_is_named(void **state) {
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        float logits[VOCAB] = {1, 2, 3, 4, 5, 6};
        logits[3] = bad[i];
        mm_sampler *s;
        int32_t id;
        OK(mm_sampler_open(&(mm_sampling){.temperature = i ? 1 : 0, .top_p = 1}, VOCAB, &s, &error));
        assert_int_equal(mm_sampler_draw(s, logits, NULL, 17, &id, &error), MM_NONFINITE);
        assert_non_null(strstr(error.text, "token 3 at position 17"));
        mm_sampler_close(s);
    }
}

// --- characters

#define GONE "\xef\xbf\xbd"

// Fed in pieces of every size.
static void expect_text(const char *bytes, const char *wanted) {
    size_t size = strlen(bytes);
    for (size_t piece = 1; piece <= size; piece++) {
        mm_characters c = {0};
        mm_text text = {0};
        for (size_t at = 0; at < size; at += piece) {
            mm_characters_add(&c, bytes + at, size - at < piece ? size - at : piece, &text);
            // What is out by now is a beginning of the whole, and no broken character.
            assert_true(text.size <= strlen(wanted));
            assert_memory_equal(text.data ? text.data : "", wanted, text.size);
            assert_true(text.size == strlen(wanted) || ((unsigned char)wanted[text.size] & 0xc0) != 0x80);
        }
        mm_characters_end(&c, &text);
        assert_string_equal(text.data, wanted);
        mm_text_free(&text);
    }
}

// The wanted texts are bytes.decode("utf-8", errors="replace") of Python 3.11.
static void characters_come_whole(void **state) {
    (void)state;
    expect_text("plain", "plain");
    expect_text("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80!", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80!");
    expect_text("\xe2\x82"
                "A",
                GONE "A"); // cut off by another
    expect_text("\xf0\x9f\x98"
                "A\xc3",
                GONE "A" GONE);                                                      // and by the end
    expect_text("\xed\xa0\x80", GONE GONE GONE);                                     // a surrogate
    expect_text("\xc0\xaf\xe0\x80\xf0\x80\x80", GONE GONE GONE GONE GONE GONE GONE); // overlong
    expect_text("\xf4\x90\x80\x80\xf5\xff", GONE GONE GONE GONE GONE GONE);          // above U+10FFFF
    expect_text("\xf4\x8f\xbf\xbf\x80\xbf", "\xf4\x8f\xbf\xbf" GONE GONE);
    expect_text("\xe2\xe2\x82\xac", GONE "\xe2\x82\xac"); // a beginning after a beginning
    expect_text("\xf0\x9f\xc3\xa9", GONE "\xc3\xa9");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_follow_the_softmax),
        cmocka_unit_test(temperature_raises_probabilities_to_a_power),
        cmocka_unit_test(top_k_and_then_top_p_cut),
        cmocka_unit_test(one_candidate_is_the_largest_and_the_lowest_id),
        cmocka_unit_test(a_penalty_makes_what_is_there_less_likely),
        cmocka_unit_test(a_seed_is_a_text),
        cmocka_unit_test(a_logit_that_is_not_finite_is_named),
        cmocka_unit_test(characters_come_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
