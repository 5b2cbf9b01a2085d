// Which streams ranks share, policy by policy: what must differ differs, what must not does not.
#include <mm/rank/streams.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void keys_by_policy(void **state) {
    (void)state;
    for (int rank = 0; rank < 64; rank++) {
        assert_true(mm_rank_key(MM_SEED_POLICY_RANK, 1337, rank) == 1337 + (uint64_t)rank);
        assert_true(mm_rank_key(MM_SEED_POLICY_SHARED, 1337, rank) == 1337);
        assert_true(mm_rank_key(MM_SEED_POLICY_HASHED, 1337, rank) == mm_hash_seed(1337, (uint64_t)rank));
        assert_true(mm_rank_key(MM_SEED_POLICY_SAMPLE, 1337, rank) ==
                    mm_rank_key(MM_SEED_POLICY_SAMPLE, 1337, 0));
    }
}

// Base seeds 1337 and 1338 with 8 ranks share 7 of 8 streams under `rank`, none under `hashed`.
static void neighbouring_seeds(void **state) {
    (void)state;
    int shared[2] = {0};
    for (int a = 0; a < 8; a++)
        for (int b = 0; b < 8; b++) {
            shared[0] +=
                mm_rank_key(MM_SEED_POLICY_RANK, 1337, a) == mm_rank_key(MM_SEED_POLICY_RANK, 1338, b);
            shared[1] +=
                mm_rank_key(MM_SEED_POLICY_HASHED, 1337, a) == mm_rank_key(MM_SEED_POLICY_HASHED, 1338, b);
        }
    assert_int_equal(shared[0], 7);
    assert_int_equal(shared[1], 0);
}

static uint32_t first_word(mm_seed_policy policy, int rank, int64_t step, int64_t leaf, int sample,
                           uint64_t position, int layer) {
    mm_draw draw = mm_rank_draw(policy, 1337, rank, step, leaf, sample, position);
    mm_stream stream = mm_stream_of(&draw, MM_PURPOSE_ATTENTION_DROPOUT, layer, 1000);
    return mm_stream_word(&stream, 5);
}

// Step, leaf, sample and layer each lead to other numbers; under `sample` only the position and the layer do.
static void draws_differ_where_they_must(void **state) {
    (void)state;
    const mm_seed_policy ranked[] = {MM_SEED_POLICY_RANK, MM_SEED_POLICY_SHARED, MM_SEED_POLICY_HASHED};
    for (int i = 0; i < 3; i++) {
        uint32_t base = first_word(ranked[i], 1, 3, 0, 0, 99, 2);
        assert_int_not_equal(base, first_word(ranked[i], 1, 4, 0, 0, 99, 2));
        assert_int_not_equal(base, first_word(ranked[i], 1, 3, 1, 0, 99, 2));
        assert_int_not_equal(base, first_word(ranked[i], 1, 3, 0, 1, 99, 2));
        assert_int_not_equal(base, first_word(ranked[i], 1, 3, 0, 0, 99, 3));
        assert_int_equal(base, first_word(ranked[i], 1, 3, 0, 0, 100, 2));
        bool same = base == first_word(ranked[i], 2, 3, 0, 0, 99, 2);
        assert_int_equal(same, ranked[i] == MM_SEED_POLICY_SHARED);
    }
    uint32_t base = first_word(MM_SEED_POLICY_SAMPLE, 1, 3, 0, 0, 99, 2);
    assert_int_equal(base, first_word(MM_SEED_POLICY_SAMPLE, 7, 4, 5, 6, 99, 2));
    assert_int_not_equal(base, first_word(MM_SEED_POLICY_SAMPLE, 1, 3, 0, 0, 100, 2));
    assert_int_not_equal(base, first_word(MM_SEED_POLICY_SAMPLE, 1, 3, 0, 0, 99 + (1ull << 32), 2));
}

// What run.json and mm seeds list: each stream once, with the key that it is drawn by.
static void every_stream_is_listed_with_its_key(void **state) {
    (void)state;
    enum { RANKS = 3, PURPOSES = 7 };
    static const struct {
        const char *name;
        bool of_rank;
    } purposes[PURPOSES] = {{"initial_weights", false},  {"sample_order", false},
                            {"embedding_dropout", true}, {"attention_dropout", true},
                            {"output_dropout", true},    {"token_noise", true},
                            {"samples", false}};
    for (mm_seed_policy policy = MM_SEED_POLICY_RANK; policy <= MM_SEED_POLICY_SAMPLE; policy++) {
        mm_listed_stream listed;
        size_t i = 0;
        for (int p = 0; p < PURPOSES; p++) {
            const bool of_rank = purposes[p].of_rank && policy != MM_SEED_POLICY_SAMPLE;
            for (int rank = 0; rank < (of_rank ? RANKS : 1); rank++) {
                assert_true(mm_stream_listed(policy, 1337, RANKS, i++, &listed));
                assert_string_equal(listed.purpose, purposes[p].name);
                assert_int_equal(listed.rank, of_rank ? rank : -1);
                const mm_draw draw = mm_rank_draw(policy, 1337, rank, 1, 0, 0, 0);
                assert_true(listed.key == (purposes[p].of_rank ? draw.key : 1337));
            }
        }
        assert_false(mm_stream_listed(policy, 1337, RANKS, i, &listed));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_by_policy),
        cmocka_unit_test(neighbouring_seeds),
        cmocka_unit_test(draws_differ_where_they_must),
        cmocka_unit_test(every_stream_is_listed_with_its_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
