#include <mm/base/rng.h>
#include <mm/rank/streams.h>
#include <mm/run/seeds.h>
#include <stdlib.h>
#include <string.h>

// An epoch is compared with the next. How many steps it has changes no answer: what ranks draw is counted by
// the step or the position, not by the epoch.
enum { EPOCHS = 2, STEPS_OF_AN_EPOCH = 1000 };

// The numbers that a member draws, by what makes them.
typedef struct draw_of {
    int purpose;
    mm_stream stream;
    mm_seed_member member;
} draw_of;

// The first sample of a rank at the first step of an epoch, with one leaf of one sample a rank.
static mm_stream first_draw(mm_seed_policy policy, uint64_t seed, int ranks, int rank, int epoch,
                            mm_purpose of) {
    int64_t step = 1 + (epoch - 1) * (int64_t)STEPS_OF_AN_EPOCH;
    uint64_t position = (uint64_t)(step - 1) * (uint64_t)ranks + (uint64_t)rank;
    mm_draw draw = mm_rank_draw(policy, seed, rank, step, 0, 0, position);
    return mm_stream_of(&draw, of, 0, 0);
}

// What the permutation and the initial weights draw with: the base seed alone.
static mm_stream shared_draw(uint64_t seed, int epoch, const mm_stream_purpose *p) {
    mm_draw draw = {.key = seed, .word2 = p->repeats ? (uint32_t)(epoch - 1) : 0};
    return mm_stream_of(&draw, p->purpose, 0, 0);
}

static int compare_numbers(uint64_t a, uint64_t b) {
    return (a > b) - (a < b);
}

static int compare_streams(const draw_of *a, const draw_of *b) {
    int order = compare_numbers((uint64_t)a->purpose, (uint64_t)b->purpose);
    if (!order) order = compare_numbers(a->stream.key, b->stream.key);
    if (!order) order = compare_numbers(a->stream.word1, b->stream.word1);
    if (!order) order = compare_numbers(a->stream.word2, b->stream.word2);
    if (!order) order = compare_numbers(a->stream.word3, b->stream.word3);
    if (!order) order = compare_numbers(a->stream.origin, b->stream.origin);
    return order;
}

static int compare_draws(const void *left, const void *right) {
    const draw_of *a = left, *b = right;
    int order = compare_streams(a, b);
    if (!order) order = compare_numbers((uint64_t)a->member.epoch, (uint64_t)b->member.epoch);
    if (!order) order = compare_numbers((uint64_t)a->member.trial, (uint64_t)b->member.trial);
    return order ? order : (a->member.rank > b->member.rank) - (a->member.rank < b->member.rank);
}

static size_t list_draws(mm_seed_policy policy, const uint64_t *seeds, int trials, int ranks,
                         draw_of *draws) {
    size_t count = 0;
    for (int i = 0; i < MM_STREAM_PURPOSES; i++)
        for (int trial = 0; trial < trials; trial++)
            for (int rank = 0; rank < (mm_stream_purposes[i].of_rank ? ranks : 1); rank++)
                for (int epoch = 1; epoch <= (mm_stream_purposes[i].repeats ? EPOCHS : 1); epoch++) {
                    bool of_rank = mm_stream_purposes[i].of_rank;
                    draws[count++] = (draw_of){
                        .purpose = i,
                        .stream = of_rank ? first_draw(policy, seeds[trial], ranks, rank, epoch,
                                                       mm_stream_purposes[i].purpose)
                                          : shared_draw(seeds[trial], epoch, &mm_stream_purposes[i]),
                        .member = {trial, of_rank ? rank : -1, epoch}};
                }
    return count;
}

static void list_streams(mm_seed_policy policy, const uint64_t *seeds, int trials, int ranks,
                         mm_seed_table *table) {
    mm_listed_stream listed;
    for (int trial = 0; trial < trials; trial++)
        for (size_t i = 0; mm_stream_listed(policy, seeds[trial], ranks, i, &listed); i++)
            table->streams[table->stream_count++] = (mm_seed_stream){
                .purpose = listed.purpose, .trial = trial, .rank = listed.rank, .key = listed.key};
}

static mm_seed_across across_of(const draw_of *draws, size_t count) {
    mm_seed_across across = MM_ACROSS_EPOCHS;
    for (size_t i = 1; i < count; i++) {
        if (draws[i].member.trial != draws[0].member.trial) return MM_ACROSS_TRIALS;
        if (draws[i].member.rank != draws[0].member.rank) across = MM_ACROSS_RANKS;
    }
    return across;
}

// Is this group of the second epoch the one of the first again? It is told once.
static bool told_before(const draw_of *draws, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (draws[i].member.epoch == 1) return false;
    return true;
}

static void list_groups(const draw_of *draws, size_t count, mm_seed_table *table) {
    size_t members = 0;
    for (size_t first = 0, next; first < count; first = next) {
        for (next = first + 1; next < count && compare_streams(&draws[first], &draws[next]) == 0;) next++;
        if (next - first < 2 || told_before(draws + first, next - first)) continue;
        table->groups[table->group_count++] =
            (mm_seed_group){.purpose = mm_stream_purposes[draws[first].purpose].name,
                            .across = across_of(draws + first, next - first),
                            .first = members,
                            .count = next - first};
        for (size_t i = first; i < next; i++) table->members[members++] = draws[i].member;
    }
}

mm_status mm_seed_table_make(mm_seed_policy policy, const uint64_t *seeds, int trials, int ranks,
                             mm_seed_table *table, mm_error *error) {
    *table = (mm_seed_table){0};
    size_t most = (size_t)MM_STREAM_PURPOSES * (size_t)trials * (size_t)ranks * EPOCHS;
    draw_of *draws = calloc(most, sizeof *draws);
    table->streams = calloc(most, sizeof *table->streams);
    table->members = calloc(most, sizeof *table->members);
    table->groups = calloc(most, sizeof *table->groups);
    if (!draws || !table->streams || !table->members || !table->groups) {
        free(draws);
        mm_seed_table_free(table);
        return mm_trouble(error, "streams of %d trials of %d ranks: out of memory; use fewer", trials, ranks);
    }
    size_t count = list_draws(policy, seeds, trials, ranks, draws);
    qsort(draws, count, sizeof *draws, compare_draws);
    list_streams(policy, seeds, trials, ranks, table);
    list_groups(draws, count, table);
    free(draws);
    return MM_OK;
}

void mm_seed_table_free(mm_seed_table *table) {
    free(table->streams);
    free(table->members);
    free(table->groups);
    *table = (mm_seed_table){0};
}

const char *mm_seed_across_name(mm_seed_across across) {
    static const char *const names[] = {"ranks", "epochs", "trials"};
    return names[across];
}
