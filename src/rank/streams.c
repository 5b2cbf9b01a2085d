#include <assert.h>
#include <mm/rank/streams.h>

const mm_stream_purpose mm_stream_purposes[MM_STREAM_PURPOSES] = {
    {"initial_weights", MM_PURPOSE_INITIAL_WEIGHTS, false, false},
    {"sample_order", MM_PURPOSE_SAMPLE_ORDER, false, true},
    {"embedding_dropout", MM_PURPOSE_EMBEDDING_DROPOUT, true, true},
    {"attention_dropout", MM_PURPOSE_ATTENTION_DROPOUT, true, true},
    {"output_dropout", MM_PURPOSE_OUTPUT_DROPOUT, true, true},
    {"token_noise", MM_PURPOSE_TOKEN_NOISE, true, true},
    {"samples", MM_PURPOSE_GENERATE, false, false},
};

uint64_t mm_rank_key(mm_seed_policy policy, uint64_t seed, int rank) {
    switch (policy) {
    case MM_SEED_POLICY_RANK:
        return seed + (uint64_t)rank;
    case MM_SEED_POLICY_SHARED:
        return seed;
    case MM_SEED_POLICY_HASHED:
        return mm_hash_seed(seed, (uint64_t)rank);
    case MM_SEED_POLICY_SAMPLE:
        break;
    }
    // No rank has this number, so the samples' key is no rank's under the policy hashed.
    return mm_hash_seed(seed, UINT64_MAX);
}

bool mm_stream_listed(mm_seed_policy policy, uint64_t seed, int ranks, size_t i, mm_listed_stream *out) {
    for (const mm_stream_purpose *p = mm_stream_purposes; p < mm_stream_purposes + MM_STREAM_PURPOSES; p++) {
        const bool of_rank = p->of_rank && policy != MM_SEED_POLICY_SAMPLE;
        const size_t count = of_rank ? (size_t)ranks : 1;
        if (i >= count) {
            i -= count;
            continue;
        }
        *out = (mm_listed_stream){.purpose = p->name,
                                  .rank = of_rank ? (int)i : -1,
                                  .key = p->of_rank ? mm_rank_key(policy, seed, (int)i) : seed};
        return true;
    }
    return false;
}

const char *mm_seed_policy_words(mm_seed_policy policy) {
    switch (policy) {
    case MM_SEED_POLICY_RANK:
        return "each rank draws its own masks from base seed + rank";
    case MM_SEED_POLICY_SHARED:
        return "every rank draws the same masks from the base seed (the trap)";
    case MM_SEED_POLICY_HASHED:
        return "each rank draws its own masks from hash(base seed, rank)";
    case MM_SEED_POLICY_SAMPLE:
        break;
    }
    return "masks belong to samples, whatever the ranks, from hash(base seed)";
}

mm_draw mm_rank_draw(mm_seed_policy policy, uint64_t seed, int rank, int64_t step, int64_t leaf_in_rank,
                     int sample, uint64_t position) {
    assert(rank >= 0 && step >= 1 && leaf_in_rank >= 0 && sample >= 0);
    mm_draw draw = {.key = mm_rank_key(policy, seed, rank)};
    if (policy == MM_SEED_POLICY_SAMPLE) {
        draw.word2 = (uint32_t)position;
        draw.word3 = (uint32_t)(position >> 32);
    } else {
        draw.word2 = (uint32_t)step;
        draw.word3 = (uint32_t)leaf_in_rank;
        draw.sample = (uint64_t)sample;
    }
    return draw;
}
