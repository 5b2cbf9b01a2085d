// The stages of one step: leaves into the tree, the norm, the update, and their fingerprints.
#include "trainer.h"
#include <mm/base/par.h>
#include <mm/optim/clip.h>
#include <math.h>
#include <string.h>

static uint64_t first_position(const mm_trainer *t) { return (uint64_t)t->step * (uint64_t)t->settings.batch; }

static mm_trace_record record_of(const mm_trainer *t, const char *operation, const char *tensor, mm_hash hash) {
    return (mm_trace_record){.step = t->step + 1,
                             .leaf = -1,
                             .node_level = -1,
                             .rank = -1,
                             .layer = -1,
                             .operation = operation,
                             .output = true,
                             .tensor = tensor,
                             .hash = hash};
}

// --- leaves

// A trainer and one of its workers, as the tree's watch and the probe need them.
typedef struct leaf_work {
    mm_trainer *t;
    mm_worker *worker;
} leaf_work;

static void record_number(const mm_trainer *t, mm_worker *worker, const char *operation, const char *tensor,
                          const void *data, size_t size, int64_t count) {
    mm_trace_record r = record_of(t, operation, tensor, mm_hash_bytes(data, size));
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
    mm_hash hash = mm_hash_rows(tensor->data, (size_t)tensor->shape[0], row, (size_t)sight->ld * sizeof(float));
    mm_trace_record r = record_of(work->t, sight->operation, tensor->name, hash);
    r.pass = sight->pass;
    r.leaf = worker->leaf;
    r.rank = (int)(worker->leaf / work->t->leaves_in_rank);
    r.layer = sight->layer;
    r.output = sight->output;
    r.dims = 2;
    memcpy(r.shape, tensor->shape, sizeof r.shape);
    mm_trace_list_add(worker->list, &r);
}

// A rank's gradient is one node: whoever completes it takes its fingerprint before it is merged.
static void node_done(void *self, int level, int64_t index, const mm_partial *sum) {
    mm_trainer *t = ((leaf_work *)self)->t;
    if (t->settings.trace < MM_LEVEL_STEP || level != mm_tree_levels(t->leaves_in_rank)) return;
    mm_trace_list *list = &t->rank_lists[index];
    const mm_parameters *p = &t->model.parameters;
    for (int i = 0; i < p->count; i++) {
        mm_tensor tensor = mm_parameter_in(p, i, sum->gradient);
        mm_trace_record r =
            record_of(t, "gradient", tensor.name, mm_hash_bytes(tensor.data, mm_tensor_bytes(&tensor)));
        r.pass = MM_PASS_BACKWARD;
        r.node_level = level;
        r.node_index = index;
        r.rank = (int)index;
        r.dims = tensor.dims;
        memcpy(r.shape, tensor.shape, sizeof r.shape);
        mm_trace_list_add(list, &r);
    }
}

static mm_status fill_leaf(mm_trainer *t, mm_worker *worker, int64_t leaf, mm_error *error) {
    const mm_settings *s = &t->settings;
    uint64_t first = first_position(t) + (uint64_t)(leaf * s->micro_batch);
    mm_status status = mm_batch_fill(&worker->batch, &t->train.plan, worker->cursor, first, (int)s->micro_batch, error);
    if (status) return status;
    int rank = (int)(leaf / t->leaves_in_rank);
    for (int i = 0; i < worker->batch.samples; i++)
        worker->draws[i] = mm_rank_draw((mm_seed_policy)s->seed_policy, s->seed, rank, t->step + 1,
                                        leaf % t->leaves_in_rank, i, worker->batch.positions[i]);
    if (s->token_noise > 0)
        mm_batch_noise(&worker->batch, worker->draws, s->token_noise, s->seq_len, t->ordinary, t->ordinary_count);
    return MM_OK;
}

static void record_batch(mm_trainer *t, mm_worker *worker) {
    if (t->settings.trace < MM_LEVEL_STEP) return;
    const mm_batch *b = &worker->batch;
    size_t bytes = (size_t)b->rows * sizeof *b->inputs;
    record_number(t, worker, "batch", "positions", b->positions, (size_t)b->samples * sizeof *b->positions, b->samples);
    record_number(t, worker, "batch", "inputs", b->inputs, bytes, b->rows);
    record_number(t, worker, "batch", "targets", b->targets, bytes, b->rows);
}

static void run_leaf(mm_trainer *t, mm_worker *worker, int64_t leaf) {
    const mm_settings *s = &t->settings;
    const mm_batch *b = &worker->batch;
    leaf_work work = {t, worker};
    mm_probe probe = {.level = (mm_level)s->trace, .self = &work, .see = see};
    record_batch(t, worker);
    mm_leaf in = {.samples = b->samples,
                  .rows = b->rows,
                  .starts = b->starts,
                  .inputs = b->inputs,
                  .targets = b->targets,
                  .draws = worker->draws,
                  .dropout = s->dropout,
                  .seq_len = s->seq_len,
                  .scale = 1.0 / (double)t->batch_targets};
    mm_partial partial = {.gradient = mm_tree_buffer(t->tree), .targets = b->rows};
    partial.loss = mm_model_train(&t->model, worker->activations, &in, partial.gradient,
                                  s->trace > MM_LEVEL_STEP ? &probe : NULL);
    if (s->trace >= MM_LEVEL_STEP) record_number(t, worker, "loss", "sum", &partial.loss, sizeof partial.loss, 0);
    mm_tree_watch watch = {.self = &work, .node = node_done};
    mm_tree_give(t->tree, leaf, partial, &watch);
}

static void work_on_leaves(void *self, int w) {
    mm_trainer *t = self;
    mm_worker *worker = &t->workers[w];
    worker->status = MM_OK;
    for (int64_t leaf; (leaf = mm_tree_take(t->tree)) >= 0;) {
        worker->leaf = leaf;
        worker->list = &t->leaf_lists[leaf];
        worker->status = fill_leaf(t, worker, leaf, &worker->error);
        if (worker->status) return;
        run_leaf(t, worker, leaf);
    }
}

mm_status mm_step_gradients(mm_trainer *t, mm_partial *sum, mm_error *error) {
    int64_t workers = t->settings.workers < t->leaves ? t->settings.workers : t->leaves;
    t->batch_targets = mm_plan_targets(&t->train.plan, first_position(t), t->settings.batch);
    mm_tree_begin(t->tree);
    mm_par_run((int)workers, work_on_leaves, t);
    for (int64_t w = 0; w < workers; w++) {
        if (!t->workers[w].status) continue;
        if (error) *error = t->workers[w].error;
        return t->workers[w].status;
    }
    *sum = mm_tree_root(t->tree);
    return MM_OK;
}

// --- norm and update

static void work_on_norm(void *self, int w) {
    mm_trainer *t = self;
    long begin, end;
    mm_par_slice(t->piece_count, 1, w, (int)t->settings.workers, &begin, &end);
    for (long i = begin; i < end; i++)
        t->piece_sums[i] = t->optim->sum_squares(t->gradient + t->pieces[i].offset, t->pieces[i].floats);
}

double mm_step_norm(mm_trainer *t, const float *gradient) {
    t->gradient = (float *)gradient;
    mm_par_run((int)t->settings.workers, work_on_norm, t);
    double sum = 0;
    for (int64_t i = 0; i < t->piece_count; i++) sum += t->piece_sums[i];
    return sqrt(sum);
}

static void work_on_update(void *self, int w) {
    mm_trainer *t = self;
    const mm_settings *s = &t->settings;
    mm_adamw options = {.lr = s->lr, .beta1 = s->beta1, .beta2 = s->beta2, .eps = s->eps};
    mm_adamw_scalars decayed = mm_adamw_at(&options, t->lr, s->weight_decay, t->scale, t->step + 1);
    mm_adamw_scalars plain = mm_adamw_at(&options, t->lr, 0, t->scale, t->step + 1);
    long begin, end;
    mm_par_slice(t->piece_count, 1, w, (int)s->workers, &begin, &end);
    for (long i = begin; i < end; i++) {
        const mm_piece *p = &t->pieces[i];
        t->optim->adamw(t->weights + p->offset, t->m + p->offset, t->v + p->offset, t->gradient + p->offset,
                        p->floats, p->decays ? &decayed : &plain);
    }
}

void mm_step_update(mm_trainer *t, const float *gradient) {
    t->gradient = (float *)gradient;
    mm_par_run((int)t->settings.workers, work_on_update, t);
}

// --- fingerprints

static void record_tensor(mm_trainer *t, const char *operation, mm_pass pass, const mm_tensor *tensor,
                          mm_trace_list *list) {
    mm_trace_record r =
        record_of(t, operation, tensor->name, mm_hash_bytes(tensor->data, mm_tensor_bytes(tensor)));
    r.pass = pass;
    r.dims = tensor->dims;
    memcpy(r.shape, tensor->shape, sizeof r.shape);
    mm_trace_list_add(list, &r);
}

static void work_on_gradient_hashes(void *self, int w) {
    mm_trainer *t = self;
    const mm_parameters *p = &t->model.parameters;
    for (int i = w; i < p->count; i += (int)t->settings.workers) {
        mm_tensor tensor = mm_parameter_in(p, i, t->gradient);
        record_tensor(t, "merge", MM_PASS_BACKWARD, &tensor, &t->update_lists[i + 1]);
    }
}

static void flush_lists(mm_trainer *t) {
    int count = t->model.parameters.count + 1;
    mm_trace_add(t->trace, t->update_lists, (size_t)count);
    for (int i = 0; i < count; i++) mm_trace_list_clear(&t->update_lists[i]);
}

void mm_step_fingerprint_gradient(mm_trainer *t, const float *gradient, double norm) {
    if (t->settings.trace < MM_LEVEL_STEP) return;
    mm_trace_add(t->trace, t->leaf_lists, (size_t)t->leaves);
    mm_trace_add(t->trace, t->rank_lists, (size_t)t->settings.ranks);
    for (int64_t i = 0; i < t->leaves; i++) mm_trace_list_clear(&t->leaf_lists[i]);
    for (int64_t i = 0; i < t->settings.ranks; i++) mm_trace_list_clear(&t->rank_lists[i]);
    t->gradient = (float *)gradient;
    mm_par_run((int)t->settings.workers, work_on_gradient_hashes, t);
    flush_lists(t);
    mm_trace_record r = record_of(t, "norm", "grad_norm", mm_hash_bytes(&norm, sizeof norm));
    mm_trace_list_add(&t->update_lists[0], &r);
}

static void work_on_state_hashes(void *self, int w) {
    mm_trainer *t = self;
    const mm_parameters *p = &t->model.parameters;
    for (int i = w; i < p->count; i += (int)t->settings.workers) {
        mm_tensor tensor = mm_parameter_in(p, i, t->weights);
        record_tensor(t, "adamw", MM_PASS_NONE, &tensor, &t->update_lists[i + 1]);
        record_tensor(t, "adamw", MM_PASS_NONE, &t->optimizer[i], &t->update_lists[i + 1]);
        record_tensor(t, "adamw", MM_PASS_NONE, &t->optimizer[p->count + i], &t->update_lists[i + 1]);
    }
}

void mm_step_fingerprint_state(mm_trainer *t) {
    if (t->settings.trace < MM_LEVEL_STEP) return;
    mm_par_run((int)t->settings.workers, work_on_state_hashes, t);
    flush_lists(t);
}

mm_status mm_step_trace(mm_trainer *t, mm_error *error) {
    return t->settings.trace < MM_LEVEL_STEP ? MM_OK : mm_trace_end_step(t->trace, error);
}
