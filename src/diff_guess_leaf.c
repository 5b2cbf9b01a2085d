// A leaf that held other samples, or drew from another stream.
#include "diff_guess.h"
#include <mm/rank/streams.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- samples

static mm_hash positions_hash(uint64_t *positions, int64_t count, int64_t first) {
    for (int64_t i = 0; i < count; i++) positions[i] = (uint64_t)(first + i);
    return mm_hash_bytes(positions, (size_t)count * sizeof *positions);
}

static void say_samples(const guessing *g, const mm_trace_record *r, int64_t shift) {
    const mm_settings *s = &g->replay->trainer.settings;
    int64_t first = r->leaf * s->micro_batch + shift;
    if (first >= 0 && first < s->batch && shift % s->micro_batch == 0)
        guess_say(g, MM_CAUSE_DATA, "leaf %lld of run %s holds the samples of leaf %lld", (long long)r->leaf,
                  guess_run(g), (long long)(first / s->micro_batch));
    else
        guess_say(g, MM_CAUSE_DATA,
                  "leaf %lld of run %s holds samples that stand %lld places %s, of step %lld",
                  (long long)r->leaf, guess_run(g), (long long)llabs(shift), shift > 0 ? "later" : "earlier",
                  (long long)r->step + (first >= 0 ? first / s->batch : (first - s->batch + 1) / s->batch));
}

void guess_samples(const guessing *g) {
    const mm_settings *s = &g->replay->trainer.settings;
    const mm_trace_record *r = guess_record(g, 0, false);
    int64_t reach = 4 * s->batch, own = (r->step - 1) * s->batch + r->leaf * s->micro_batch;
    uint64_t *positions = malloc((size_t)s->micro_batch * sizeof *positions);
    if (!positions || strcmp(r->tensor, "positions") != 0) {
        free(positions);
        return;
    }
    for (int64_t away = 1; away <= 2 * reach && !g->found->guess[0]; away++) { // the nearest first
        int64_t shift = away % 2 ? (away + 1) / 2 : -away / 2;
        if (own + shift < 0) continue;
        if (mm_hash_equal(positions_hash(positions, s->micro_batch, own + shift), r->hash))
            say_samples(g, r, shift);
    }
    free(positions);
}

// --- streams

// Where a sample of a leaf draws: of another rank, or with a counter that is off.
typedef struct drawn {
    int rank;
    int64_t step, leaf_in_rank, sample; // how far off
} drawn;

// The loss of a leaf that draws so.
static bool leaf_loss(const guessing *g, int64_t leaf, const drawn *from, double *loss) {
    mm_trainer *t = &g->replay->trainer;
    const mm_settings *s = &t->settings;
    mm_worker *w = &t->workers[0];
    if (mm_step_fill_leaf(t, w, leaf, NULL)) return false;
    // What it read agrees; masks are drawn from elsewhere.
    for (int i = 0; i < w->batch.samples; i++) {
        w->draws[i] =
            mm_rank_draw((mm_seed_policy)s->seed_policy, s->seed, from->rank, t->step + 1 + from->step,
                         leaf % t->leaves_in_rank + from->leaf_in_rank, i, w->batch.positions[i]);
        w->draws[i].sample += (uint64_t)from->sample;
    }
    mm_leaf in = mm_step_leaf(t, w);
    in.scale = 1;
    float *gradient = mm_tree_buffer(t->tree);
    mm_member alone = mm_worker_alone(w);
    *loss = mm_model_train(&t->model, w->activations, &in, gradient, NULL, &alone);
    mm_tree_return(t->tree, gradient);
    return true;
}

static bool explains(const guessing *g, const mm_trace_record *loss, const drawn *from) {
    double again;
    return leaf_loss(g, loss->leaf, from, &again) &&
           mm_hash_equal(mm_hash_bytes(&again, sizeof again), loss->hash);
}

// The first pair from `at` on that is the loss of a leaf.
static const mm_trace_record *next_loss(const guessing *g, size_t *at) {
    for (; *at < g->d->parting.pairs.count; ++*at) {
        const mm_trace_record *r = guess_record(g, *at, false);
        if (r->leaf >= 0 && strcmp(r->operation, "loss") == 0) return r;
    }
    return NULL;
}

// Ranks whose first leaf drew from `from` as well.
static int ranks_like(const guessing *g, int from) {
    int64_t each = g->replay->trainer.leaves_in_rank;
    int like = 0;
    size_t at = 0;
    for (const mm_trace_record *r; (r = next_loss(g, &at)); at++)
        like += r->leaf % each == 0 && explains(g, r, &(drawn){.rank = from});
    return like;
}

static void try_ranks(const guessing *g, const mm_trace_record *r) {
    int ranks = (int)g->replay->trainer.settings.ranks,
        rank = (int)(r->leaf / g->replay->trainer.leaves_in_rank);
    for (int from = 0; from < ranks && !g->found->guess[0]; from++) {
        if (from == rank || !explains(g, r, &(drawn){.rank = from})) continue;
        if (ranks > 2 && ranks_like(g, from) == ranks - 1)
            guess_say(g, MM_CAUSE_SEED,
                      "every rank of run %s drew rank %d's dropout masks, as with --seed-policy shared",
                      guess_run(g), from);
        else
            guess_say(g, MM_CAUSE_SEED, "rank %d of run %s drew rank %d's dropout masks", rank, guess_run(g),
                      from);
    }
}

static void try_counters(const guessing *g, const mm_trace_record *r) {
    static const struct {
        drawn off;
        const char *what;
    } table[] = {{{.sample = 1}, "sample after it"},
                 {{.step = 1}, "step after it"},
                 {{.step = -1}, "step before it"},
                 {{.leaf_in_rank = 1}, "leaf after it"},
                 {{.leaf_in_rank = -1}, "leaf before it"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0] && !g->found->guess[0]; i++) {
        drawn from = table[i].off;
        from.rank = (int)(r->leaf / g->replay->trainer.leaves_in_rank);
        bool there =
            r->step + from.step >= 1 && r->leaf % g->replay->trainer.leaves_in_rank + from.leaf_in_rank >= 0;
        if (there && explains(g, r, &from))
            guess_say(g, MM_CAUSE_SEED, "leaf %lld of run %s drew its dropout masks by the counter of the %s",
                      (long long)r->leaf, guess_run(g), table[i].what);
    }
}

void guess_streams(const guessing *g) {
    size_t at = 0;
    const mm_trace_record *r = next_loss(g, &at);
    if (!r || g->replay->trainer.settings.dropout <= 0) return;
    try_ranks(g, r);
    if (!g->found->guess[0]) try_counters(g, r);
}
