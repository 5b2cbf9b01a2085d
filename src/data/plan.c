#include <mm/data/plan.h>

#include <assert.h>
#include <mm/base/rng.h>

mm_status mm_plan_make(mm_plan *plan, const mm_dataset *dataset, mm_packing packing, int64_t seq_len,
                       bool shuffled, uint64_t seed, mm_error *error) {
    assert(seq_len >= 1);
    uint64_t tokens = mm_dataset_tokens(dataset), rows = (uint64_t)seq_len;
    if (tokens < 2)
        return mm_trouble(error, "%s: %llu token, expected at least 2, an input and its target",
                          mm_dataset_path(dataset), (unsigned long long)tokens);
    *plan = (mm_plan){
        .dataset = dataset,
        .packing = packing,
        .seq_len = seq_len,
        .shuffled = shuffled,
        .seed = seed,
        .samples = packing == MM_PACKING_WINDOW ? (tokens - 2) / rows + 1 : mm_dataset_documents(dataset),
    };
    return MM_OK;
}

static mm_sample window_sample(const mm_plan *plan, uint64_t index) {
    uint64_t rows = (uint64_t)plan->seq_len, first = index * rows;
    uint64_t left = mm_dataset_tokens(plan->dataset) - 1 - first;
    return (mm_sample){.index = index, .first = first, .rows = (int64_t)(left < rows ? left : rows)};
}

static mm_sample document_sample(const mm_plan *plan, uint64_t index) {
    uint64_t first = index ? mm_dataset_document_end(plan->dataset, index - 1) : 0;
    uint64_t rows = mm_dataset_document_end(plan->dataset, index) - first - 1;
    bool closed = rows > (uint64_t)plan->seq_len;
    return (mm_sample){
        .index = index, .first = first, .rows = closed ? plan->seq_len : (int64_t)rows, .closed = closed};
}

mm_sample mm_plan_sample(const mm_plan *plan, uint64_t index) {
    assert(index < plan->samples);
    return plan->packing == MM_PACKING_WINDOW ? window_sample(plan, index) : document_sample(plan, index);
}

mm_sample mm_plan_position(const mm_plan *plan, uint64_t position) {
    uint64_t epoch = position / plan->samples, within = position % plan->samples;
    // Orders repeat after 2^32 epochs.
    uint64_t index =
        plan->shuffled ? mm_permutation(plan->seed, (uint32_t)epoch, plan->samples, within) : within;
    return mm_plan_sample(plan, index);
}

int64_t mm_plan_targets(const mm_plan *plan, uint64_t first, int64_t count) {
    int64_t targets = 0;
    for (int64_t i = 0; i < count; i++) targets += mm_plan_position(plan, first + (uint64_t)i).rows;
    return targets;
}
