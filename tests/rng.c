// Random numbers: Philox is the published one, the vector loop is the definition, numbers depend on nothing
// but key and counter, and what is made of them has the distribution that it should have.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <mm/base/hash.h>
#include <mm/base/philox.h>
#include <mm/base/rng.h>
#include <stdbool.h>
#include <stdlib.h>

static const uint64_t seed = 20250118;

// Draws of the test itself.
static uint64_t draw(uint64_t index) {
    return mm_hash_seed(seed, index);
}

// Random123's kat_vectors, philox4x32 with 10 rounds.
static void philox_gives_the_known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t out[4];
        mm_philox4x32((uint64_t)known[i].key[1] << 32 | known[i].key[0], known[i].counter, out);
        assert_memory_equal(out, known[i].expected, sizeof out);
    }
}

static mm_stream random_stream(uint64_t index) {
    mm_stream stream = {
        .key = draw(8 * index),
        .word1 = (uint32_t)draw(8 * index + 1) & 0xfffff000u,
        .word2 = (uint32_t)draw(8 * index + 2),
        .word3 = (uint32_t)draw(8 * index + 3),
        .origin = draw(8 * index + 4) >> (19 + index % 40) << 6, // up to 2^51: blocks up to 2^45
    };
    stream.origin &= ((uint64_t)1 << 45) - 1;
    return stream;
}

// The counter's layout as rng.h states it, written out once more.
static uint32_t defined_word(const mm_stream *stream, uint64_t element) {
    uint64_t e = stream->origin + element, block = e >> 2;
    const uint32_t counter[4] = {(uint32_t)(block & 0xffffffffu), stream->word1 + (uint32_t)(block >> 32),
                                 stream->word2, stream->word3};
    uint32_t out[4];
    mm_philox4x32(stream->key, counter, out);
    return out[e & 3];
}

static void stream_words_are_the_definition(void **state) {
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    int beyond = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        mm_stream stream = random_stream(i);
        uint64_t first = draw(8 * i + 5) >> (20 + i % 44) << 6 & (((uint64_t)1 << 45) - 1);
        if (i % 7 == 0)
            stream.origin = ((uint64_t)4 << 32) - 64, first = 64 * (i % 2); // to block 2^32 and on
        beyond += (stream.origin + first) / 4 > UINT32_MAX;
        mm_philox philox;
        uint32_t words[MM_PHILOX_WORDS], some[MM_PHILOX_WORDS] = {0};
        mm_philox_open(&philox, &stream);
        mm_philox_words(&philox, first, MM_PHILOX_WORDS, words);
        const int count = (int)(i % MM_PHILOX_WORDS) + 1;
        mm_philox_words(&philox, first, count, some);
        assert_memory_equal(some, words, (size_t)count * sizeof *words);
        for (uint64_t k = 0; k < MM_PHILOX_WORDS; k++) {
            uint32_t expected = defined_word(&stream, first + k);
            assert_int_equal(words[k], expected);
            assert_int_equal(mm_stream_word(&stream, first + k), expected);
        }
    }
    assert_true(beyond > 100);
}

static void streams_of_samples_follow_each_other(void **state) {
    (void)state;
    const mm_draw at = {.key = 0x123456789abcdef0, .word2 = 7, .word3 = 9, .sample = 3};
    mm_stream stream = mm_stream_of(&at, MM_PURPOSE_ATTENTION_DROPOUT, 11, 65);
    assert_true(stream.key == at.key);
    assert_int_equal(stream.word1, 4u << 24 | 11u << 12);
    assert_int_equal(stream.word2, 7);
    assert_int_equal(stream.word3, 9);
    assert_true(stream.origin == 3 * 128);
    // Sample 3 of a leaf goes on where sample 2 ends.
    mm_draw before = at;
    before.sample = 2;
    mm_stream previous = mm_stream_of(&before, MM_PURPOSE_ATTENTION_DROPOUT, 11, 65);
    for (uint64_t e = 0; e < 300; e++)
        assert_int_equal(mm_stream_word(&previous, 128 + e), mm_stream_word(&stream, e));
}

static void purposes_layers_and_words_give_different_streams(void **state) {
    (void)state;
    enum { COUNT = 5 };
    mm_draw at = {.key = 1337, .word2 = 1, .word3 = 0}, step = at, leaf = at, rank = at;
    step.word2++, leaf.word3++, rank.key++;
    const mm_stream streams[COUNT] = {
        mm_stream_of(&at, MM_PURPOSE_OUTPUT_DROPOUT, 0, 64),
        mm_stream_of(&at, MM_PURPOSE_OUTPUT_DROPOUT, 1, 64),
        mm_stream_of(&step, MM_PURPOSE_OUTPUT_DROPOUT, 0, 64),
        mm_stream_of(&leaf, MM_PURPOSE_OUTPUT_DROPOUT, 0, 64),
        mm_stream_of(&rank, MM_PURPOSE_OUTPUT_DROPOUT, 0, 64),
    };
    for (int a = 0; a < COUNT; a++)
        for (int b = 0; b < a; b++) {
            int equal = 0;
            for (uint64_t e = 0; e < 64; e++)
                equal += mm_stream_word(&streams[a], e) == mm_stream_word(&streams[b], e);
            assert_true(equal <= 1); // one by chance: 64 / 2^32
        }
}

static void hash_of_seeds_is_the_definition(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 100; i++) {
        uint64_t a = draw(2 * i), b = draw(2 * i + 1);
        const uint32_t counter[4] = {(uint32_t)b, 0, (uint32_t)(b >> 32), 0};
        uint32_t out[4];
        mm_philox4x32(a, counter, out);
        assert_true(mm_hash_seed(a, b) == ((uint64_t)out[1] << 32 | out[0]));
    }
    // Neighbouring base seeds and ranks never meet, as seed + rank does.
    uint64_t keys[64];
    for (uint64_t i = 0; i < 64; i++) {
        keys[i] = mm_hash_seed(1337 + i / 8, i % 8);
        for (uint64_t j = 0; j < i; j++) assert_true(keys[i] != keys[j]);
    }
}

static void normal_numbers_do_not_depend_on_where_they_start(void **state) {
    (void)state;
    enum { N = 257 };
    float whole[N], part[N + 1];
    mm_stream stream = random_stream(99);
    stream.origin = ((uint64_t)4 << 32) - 64; // across block 2^32
    mm_stream_normal(&stream, 0, whole, N);
    for (int64_t first = 0; first < 13; first++)
        for (int64_t n = 0; n < N - first; n += n < 12 ? 1 : 37) {
            part[n] = 1234.5f;
            mm_stream_normal(&stream, (uint64_t)first, part, n);
            if (n) assert_memory_equal(part, whole + first, (size_t)n * sizeof *part);
            assert_true(part[n] == 1234.5f); // nothing is written beyond
        }
}

// Bounds are 6 standard deviations of the estimate for that many independent normal numbers.
static void normal_numbers_are_normal(void **state) {
    (void)state;
    enum { N = 1 << 20 };
    print_message("seed %llu\n", (unsigned long long)seed);
    float *x = malloc(N * sizeof *x);
    assert_non_null(x);
    mm_stream stream = {.key = seed, .word1 = MM_PURPOSE_INITIAL_WEIGHTS << 24};
    mm_stream_normal(&stream, 0, x, N);
    double sum = 0, squares = 0, cubes = 0, fourths = 0, next = 0, square_next = 0;
    static const double limits[] = {0.5, 1, 2, 3, 4};
    double beyond[5] = {0}, largest = 0;
    for (int64_t i = 0; i < N; i++) {
        double v = (double)x[i], w = (double)x[i ^ 1]; // its partner in Box-Muller's pair
        sum += v, squares += v * v, cubes += v * v * v, fourths += v * v * v * v;
        next += v * w, square_next += (v * v - 1) * (w * w - 1);
        for (int k = 0; k < 5; k++) beyond[k] += v > limits[k];
        largest = fmax(largest, fabs(v));
    }
    double unit = 6 / sqrt(N);
    assert_true(fabs(sum / N) < unit);
    assert_true(fabs(squares / N - 1) < unit * sqrt(2));
    assert_true(fabs(cubes / N) < unit * sqrt(15));
    assert_true(fabs(fourths / N - 3) < unit * sqrt(96));
    // A pair counts twice in these, hence another factor of sqrt(2).
    assert_true(fabs(next / N) < unit * sqrt(2));
    assert_true(fabs(square_next / N) < unit * 2 * sqrt(2));
    for (int k = 0; k < 5; k++) {
        double share = 0.5 * erfc(limits[k] / sqrt(2));
        assert_true(fabs(beyond[k] / N - share) < unit * sqrt(share * (1 - share)));
    }
    assert_true(largest > 4 && largest <= 6.77); // sqrt(-2 ln 2^-33) = 6.764
    char text[MM_HASH_TEXT];
    assert_string_equal(mm_hash_print(mm_hash_bytes(x, N * sizeof *x), text),
                        "325ba1b01e5bc1fe18de2500ce16d1a4");
    free(x);
}

static void check_bijection(uint64_t key, uint32_t epoch, uint64_t n) {
    bool *seen = calloc(n, sizeof *seen);
    assert_non_null(seen);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t to = mm_permutation(key, epoch, n, i);
        assert_true(to < n);
        assert_false(seen[to]);
        seen[to] = true;
    }
    free(seen);
}

static void permutation_is_a_bijection(void **state) {
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint64_t n = 1; n <= 300; n++) check_bijection(draw(n), (uint32_t)n, n);
    const uint64_t larger[] = {1023, 1024, 1025, 4095, 4096, 4097, 65535, 65536, 65537, 100003};
    for (size_t i = 0; i < sizeof larger / sizeof *larger; i++) check_bijection(draw(i), 1, larger[i]);
    // Where all cannot be seen: within range, and no two of 1000 equal.
    const uint64_t huge[] = {((uint64_t)1 << 32) + 1, ((uint64_t)1 << 44) - 1, UINT64_MAX};
    for (size_t k = 0; k < sizeof huge / sizeof *huge; k++) {
        uint64_t to[1000];
        for (uint64_t i = 0; i < 1000; i++) {
            to[i] = mm_permutation(seed, 0, huge[k], i);
            assert_true(to[i] < huge[k]);
            for (uint64_t j = 0; j < i; j++) assert_true(to[i] != to[j]);
        }
    }
}

static void permutation_differs_by_key_and_epoch(void **state) {
    (void)state;
    enum { N = 4000 };
    int by_key = 0, by_epoch = 0, still = 0;
    for (uint64_t i = 0; i < N; i++) {
        uint64_t to = mm_permutation(1337, 0, N, i);
        assert_true(to == mm_permutation(1337, 0, N, i));
        by_key += to == mm_permutation(1338, 0, N, i);
        by_epoch += to == mm_permutation(1337, 1, N, i);
        still += to == i;
    }
    // Two random permutations agree at a Poisson-distributed number of places with mean 1; above 12: 6e-11.
    assert_true(by_key <= 12 && by_epoch <= 12 && still <= 12);
}

// All 120 permutations of 5 are equally frequent over keys, and over epochs. Chi-square with 119 degrees of
// freedom has mean 119 and standard deviation 15.4; the bound is 6 of them.
static void permutation_is_uniform(void **state) {
    (void)state;
    enum { TRIALS = 24000 };
    for (int over_keys = 0; over_keys < 2; over_keys++) {
        int counts[3125] = {0};
        for (uint32_t t = 0; t < TRIALS; t++) {
            int code = 0;
            for (uint64_t i = 0; i < 5; i++)
                code = 5 * code + (int)mm_permutation(over_keys ? t : seed, over_keys ? 0 : t, 5, i);
            counts[code]++;
        }
        double chi = 0, expected = TRIALS / 120.0;
        int kinds = 0;
        for (int code = 0; code < 3125; code++)
            if (counts[code]) {
                chi += (counts[code] - expected) * (counts[code] - expected) / expected;
                kinds++;
            }
        print_message("chi-square %.1f over %s\n", chi, over_keys ? "keys" : "epochs");
        assert_int_equal(kinds, 120);
        assert_true(chi < 119 + 6 * 15.4);
    }
}

// A large one has no order left: neighbours rise as often as they fall, and lie a third of n apart.
static void permutation_looks_shuffled(void **state) {
    (void)state;
    enum { N = 50021 };
    double rises = 0, apart = 0;
    uint64_t previous = mm_permutation(seed, 3, N, 0);
    for (uint64_t i = 1; i < N; i++) {
        uint64_t to = mm_permutation(seed, 3, N, i);
        rises += to > previous;
        apart += fabs((double)to - (double)previous);
        previous = to;
    }
    // Standard deviations: rises sqrt(N / 12); the distance's is N / sqrt(18), and neighbours' are
    // correlated, so twice that over sqrt(N).
    assert_true(fabs(rises - N / 2.0) < 6 * sqrt(N / 12.0));
    assert_true(fabs(apart / N - N / 3.0) < 6 * 2 * N / sqrt(18.0) / sqrt(N));
}

static void permutation_is_the_committed_one(void **state) {
    (void)state;
    uint64_t to[3000];
    for (uint64_t i = 0; i < 1000; i++) {
        to[3 * i] = mm_permutation(1337, 0, 1000, i);
        to[3 * i + 1] = mm_permutation(1337, 5, 1000003, i);
        to[3 * i + 2] = mm_permutation(~(uint64_t)0, 1, (uint64_t)1 << 40, i);
    }
    char text[MM_HASH_TEXT];
    assert_string_equal(mm_hash_print(mm_hash_bytes(to, sizeof to), text),
                        "51bc76e6c0fe46c3ba889d7f168ca7f1");
    // Few samples have networks of another width.
    int few = 0;
    for (uint64_t n = 2; n <= 5; n++)
        for (uint32_t epoch = 0; epoch < 16; epoch++)
            for (uint64_t i = 0; i < n; i++) to[few++] = mm_permutation(1337, epoch, n, i);
    assert_string_equal(mm_hash_print(mm_hash_bytes(to, (size_t)few * sizeof *to), text),
                        "fef8ab5e491c29cf6eb9f7af3d444da7");
}

static void dropout_threshold_is_the_share_of_words(void **state) {
    (void)state;
    assert_int_equal(mm_dropout_threshold(0), 0);
    assert_int_equal(mm_dropout_threshold(0.5), 0x80000000u);
    assert_int_equal(mm_dropout_threshold(0.1), 429496729u); // floor(0.1 * 2^32)
    mm_stream stream = {.key = seed, .word1 = MM_PURPOSE_OUTPUT_DROPOUT << 24};
    mm_philox philox;
    mm_philox_open(&philox, &stream);
    enum { N = 64 * 4096 };
    int dropped = 0;
    for (uint64_t first = 0; first < N; first += MM_PHILOX_WORDS) {
        uint32_t words[MM_PHILOX_WORDS];
        mm_philox_words(&philox, first, MM_PHILOX_WORDS, words);
        for (int k = 0; k < MM_PHILOX_WORDS; k++) dropped += words[k] < mm_dropout_threshold(0.1);
    }
    assert_true(fabs(dropped - 0.1 * N) < 6 * sqrt(0.1 * 0.9 * N));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_known_answers),
        cmocka_unit_test(stream_words_are_the_definition),
        cmocka_unit_test(streams_of_samples_follow_each_other),
        cmocka_unit_test(purposes_layers_and_words_give_different_streams),
        cmocka_unit_test(hash_of_seeds_is_the_definition),
        cmocka_unit_test(normal_numbers_do_not_depend_on_where_they_start),
        cmocka_unit_test(normal_numbers_are_normal),
        cmocka_unit_test(permutation_is_a_bijection),
        cmocka_unit_test(permutation_differs_by_key_and_epoch),
        cmocka_unit_test(permutation_is_uniform),
        cmocka_unit_test(permutation_looks_shuffled),
        cmocka_unit_test(permutation_is_the_committed_one),
        cmocka_unit_test(dropout_threshold_is_the_share_of_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
