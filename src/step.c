// The first stage of a step: leaves into the tree, and their fingerprints.
#include "trainer.h"
#include <mm/base/par.h>
#include <mm/base/profile.h>
#include <string.h>

static uint64_t first_position(const mm_trainer *t) {
    return (uint64_t)t->step * (uint64_t)t->settings.batch;
}

// A trainer and one of its workers, as the tree's watch and the probe need them.
typedef struct leaf_work {
    mm_trainer *t;
    mm_worker *worker;
} leaf_work;

static void record_number(const mm_trainer *t, mm_worker *worker, const char *operation, const char *tensor,
                          const void *data, size_t size, int64_t count) {
    mm_trace_record r = mm_step_record(t, operation, tensor, mm_hash_bytes(data, size));
    r.leaf = worker->leaf;
    r.rank = (int)(worker->leaf / t->leaves_in_rank);
    r.dims = count ? 1 : 0;
    r.shape[0] = count;
    mm_trace_list_add(worker->list, &r);
}

static void see(void *self, const mm_sight *sight) {
    leaf_work *work = self;
    mm_worker *worker = work->worker;
    const mm_tensor *tensor = &sight->tensor;
    size_t row = (size_t)tensor->shape[1] * sizeof(float);
    mm_hash hash =
        mm_hash_rows(tensor->data, (size_t)tensor->shape[0], row, (size_t)sight->ld * sizeof(float));
    mm_trace_record r = mm_step_record(work->t, sight->operation, tensor->name, hash);
    r.pass = sight->pass;
    r.leaf = worker->leaf;
    r.rank = (int)(worker->leaf / work->t->leaves_in_rank);
    r.layer = sight->layer;
    r.output = sight->output;
    r.dims = 2;
    memcpy(r.shape, tensor->shape, sizeof r.shape);
    mm_trace_list_add(worker->list, &r);
    mm_profile_mark(MM_PROFILE_TRACE, MM_PASS_NONE);
}

// A rank's gradient is one node: whoever completes it takes its fingerprint before it is merged. That of a
// rank alone is the root, which the norm completes.
static void node_done(void *self, int level, int64_t index, const mm_partial *sum) {
    mm_trainer *t = ((leaf_work *)self)->t;
    if (t->settings.trace < MM_LEVEL_STEP || level != mm_tree_levels(t->leaves_in_rank)) return;
    mm_trace_list *list = &t->rank_lists[index];
    const mm_parameters *p = &t->model.parameters;
    for (int i = 0; i < p->count; i++) {
        mm_tensor tensor = mm_parameter_in(p, i, sum->gradient);
        mm_trace_record r =
            mm_step_record(t, "gradient", tensor.name, mm_hash_bytes(tensor.data, mm_tensor_bytes(&tensor)));
        r.pass = MM_PASS_BACKWARD;
        r.node_level = level;
        r.node_index = index;
        r.rank = (int)index;
        r.dims = tensor.dims;
        memcpy(r.shape, tensor.shape, sizeof r.shape);
        mm_trace_list_add(list, &r);
    }
    mm_profile_mark(MM_PROFILE_TRACE, MM_PASS_NONE);
}

mm_status mm_step_fill_leaf(mm_trainer *t, mm_worker *worker, int64_t leaf, mm_error *error) {
    const mm_settings *s = &t->settings;
    uint64_t first = first_position(t) + (uint64_t)(leaf * s->micro_batch);
    mm_status status =
        mm_batch_fill(&worker->batch, &t->train.plan, worker->cursor, first, (int)s->micro_batch, error);
    if (status) return status;
    int rank = (int)(leaf / t->leaves_in_rank);
    for (int i = 0; i < worker->batch.samples; i++)
        worker->draws[i] = mm_rank_draw((mm_seed_policy)s->seed_policy, s->seed, rank, t->step + 1,
                                        leaf % t->leaves_in_rank, i, worker->batch.positions[i]);
    if (s->token_noise > 0)
        mm_batch_noise(&worker->batch, worker->draws, s->token_noise, s->seq_len, t->ordinary,
                       t->ordinary_count);
    mm_profile_mark(MM_PROFILE_BATCH, MM_PASS_NONE);
    return MM_OK;
}

static void record_batch(mm_trainer *t, mm_worker *worker) {
    if (t->settings.trace < MM_LEVEL_STEP) return;
    const mm_batch *b = &worker->batch;
    size_t bytes = (size_t)b->rows * sizeof *b->inputs;
    record_number(t, worker, "batch", "positions", b->positions, (size_t)b->samples * sizeof *b->positions,
                  b->samples);
    record_number(t, worker, "batch", "inputs", b->inputs, bytes, b->rows);
    record_number(t, worker, "batch", "targets", b->targets, bytes, b->rows);
    mm_profile_mark(MM_PROFILE_TRACE, MM_PASS_NONE);
}

mm_leaf mm_step_leaf(const mm_trainer *t, const mm_worker *worker) {
    const mm_settings *s = &t->settings;
    const mm_batch *b = &worker->batch;
    return (mm_leaf){.samples = b->samples,
                     .rows = b->rows,
                     .starts = b->starts,
                     .inputs = b->inputs,
                     .targets = b->targets,
                     .draws = worker->draws,
                     .dropout = s->dropout,
                     .seq_len = s->seq_len,
                     .scale = 1.0 / (double)t->batch_targets};
}

mm_status mm_step_run_leaf(mm_trainer *t, mm_worker *worker, int64_t leaf, float *gradient,
                           const mm_probe *probe, double *loss, mm_error *error) {
    mm_status status = mm_step_fill_leaf(t, worker, leaf, error);
    if (status) return status;
    mm_leaf in = mm_step_leaf(t, worker);
    mm_member member = mm_worker_alone(worker);
    *loss = mm_model_train(&t->model, worker->activations, &in, gradient, probe, &member);
    return MM_OK;
}

// The next leaf below `limit` into the host's room; false if there is none or it is in trouble.
static bool take_leaf(mm_trainer *t, mm_worker *host, int64_t limit) {
    host->leaf = mm_tree_take(t->tree, limit, &host->gradient);
    if (host->leaf < 0) return false;
    host->list = &t->leaf_lists[host->leaf];
    host->status = mm_step_fill_leaf(t, host, host->leaf, &host->error);
    if (host->status) mm_tree_stop(t->tree);
    return !host->status;
}

// The host's leaf through the model, by every member of the team, and into the tree, by its first.
static void run_leaf(mm_trainer *t, mm_worker *host, const mm_member *member) {
    const mm_settings *s = &t->settings;
    leaf_work work = {t, host};
    mm_probe probe = {.level = (mm_level)s->trace, .self = &work, .see = see};
    if (member->worker == 0) record_batch(t, host);
    mm_leaf in = mm_step_leaf(t, host);
    mm_partial partial = {.gradient = host->gradient, .targets = in.rows};
    partial.loss = mm_model_train(&t->model, host->activations, &in, partial.gradient,
                                  s->trace > MM_LEVEL_STEP ? &probe : NULL, member);
    if (member->worker > 0) return;
    if (s->trace >= MM_LEVEL_STEP)
        record_number(t, host, "loss", "sum", &partial.loss, sizeof partial.loss, 0);
    mm_tree_watch watch = {.self = &work, .node = node_done};
    mm_tree_give(t->tree, host->leaf, partial, &watch);
}

// One of `rest` leaves, fewer than workers: each goes to a team of neighbours.
static void share_leaf(mm_trainer *t, const mm_team *team, int worker, int rest) {
    mm_member member = {.scratch = t->workers[worker].scratch, .worker = worker};
    mm_team part;
    mm_worker *host = &t->workers[mm_team_split(team, rest, &member.worker, &part)];
    member.team = &part;
    if (member.worker == 0 && !take_leaf(t, host, t->leaves)) host->leaf = -1;
    mm_team_wait(&part);
    if (host->leaf >= 0) run_leaf(t, host, &member);
}

// Each worker takes leaves of its own as long as there is one for every worker; what is left is shared.
static void work_on_leaves(void *self, const mm_team *team, int w) {
    mm_trainer *t = self;
    mm_worker *worker = &t->workers[w];
    int64_t rest = t->leaves % team->workers, whole = t->leaves - rest;
    mm_member alone = mm_worker_alone(worker);
    while (whole && take_leaf(t, worker, whole)) run_leaf(t, worker, &alone);
    if (rest == 0) return;
    mm_team_wait(team);
    share_leaf(t, team, w, (int)rest);
}

mm_status mm_step_gradients(mm_trainer *t, mm_partial *sum, mm_error *error) {
    t->batch_targets = mm_plan_targets(&t->train.plan, first_position(t), t->settings.batch);
    mm_tree_begin(t->tree);
    for (int64_t w = 0; w < t->settings.workers; w++) t->workers[w].status = MM_OK;
    mm_par_team((int)t->settings.workers, work_on_leaves, t);
    for (int64_t w = 0; w < t->settings.workers; w++) {
        if (!t->workers[w].status) continue;
        if (error) *error = t->workers[w].error;
        return t->workers[w].status;
    }
    *sum = mm_tree_root(t->tree, &t->other);
    return MM_OK;
}
