// The stages after the leaves: last merge and norm of the merged gradient, update, and what the trace says of
// both.
#include "trainer.h"
#include <math.h>
#include <mm/base/par.h>
#include <mm/base/profile.h>
#include <mm/optim/clip.h>
#include <stdatomic.h>
#include <string.h>

mm_trace_record mm_step_record(const mm_trainer *t, const char *operation, const char *tensor, mm_hash hash) {
    return (mm_trace_record){.step = t->step + 1,
                             MM_TRACE_OF_STEP,
                             .operation = operation,
                             .output = true,
                             .tensor = tensor,
                             .hash = hash};
}

static bool traced(const mm_trainer *t) {
    return t->settings.trace >= MM_LEVEL_STEP;
}

// The tensors of the table as tasks: a worker takes one whole, so that its fingerprint is made in order while
// its pieces pass through the cache. Who takes which moves no bit.
typedef struct tasks {
    mm_trainer *t;
    atomic_int next;
} tasks;

static int take_tensor(tasks *work) {
    int i = atomic_fetch_add_explicit(&work->next, 1, memory_order_relaxed);
    return i < work->t->model.parameters.count ? i : -1;
}

// A piece of tensor i: where it starts in an array of the table, and its floats.
static size_t piece_of(const mm_trainer *t, int i, int64_t piece, int64_t *floats) {
    const mm_parameters *p = &t->model.parameters;
    int64_t begin = (piece - t->first_piece[i]) * MM_NORM_BLOCK,
            left = mm_tensor_count(&p->tensors[i]) - begin;
    *floats = left < MM_NORM_BLOCK ? left : MM_NORM_BLOCK;
    return p->offsets[i] + (size_t)begin;
}

static void record_tensor(mm_trainer *t, int i, const char *operation, mm_pass pass, const char *name,
                          const mm_hasher *hasher) {
    const mm_tensor *tensor = &t->model.parameters.tensors[i];
    mm_trace_record r = mm_step_record(t, operation, name, mm_hasher_end(hasher));
    r.pass = pass;
    r.dims = tensor->dims;
    memcpy(r.shape, tensor->shape, sizeof r.shape);
    mm_trace_list_add(&t->update_lists[i + 1], &r);
}

static void flush_lists(mm_trainer *t, mm_trace_list *lists, int64_t count) {
    mm_trace_add(t->trace, lists, (size_t)count);
    for (int64_t i = 0; i < count; i++) mm_trace_list_clear(&lists[i]);
}

// --- the last merge, and the norm

typedef struct norm_work {
    tasks work;
    float *gradient;
} norm_work;

static void work_on_norm(void *self, int w) {
    norm_work *n = self;
    mm_trainer *t = n->work.t;
    mm_hasher *hasher = t->workers[w].hashers[0];
    for (int i; (i = take_tensor(&n->work)) >= 0;) {
        mm_hasher_reset(hasher);
        for (int64_t piece = t->first_piece[i]; piece < t->first_piece[i + 1]; piece++) {
            int64_t floats;
            const size_t offset = piece_of(t, i, piece, &floats);
            float *g = n->gradient + offset;
            if (t->other) mm_tree_add(g, t->other + offset, (size_t)floats);
            mm_profile_mark(MM_PROFILE_MERGE, MM_PASS_NONE);
            t->piece_sums[piece] = t->optim->sum_squares(g, floats);
            mm_profile_mark(MM_PROFILE_NORM, MM_PASS_NONE);
            if (traced(t)) mm_hasher_add(hasher, g, (size_t)floats * sizeof *g);
            mm_profile_mark(MM_PROFILE_TRACE, MM_PASS_NONE);
        }
        if (traced(t))
            record_tensor(t, i, "merge", MM_PASS_BACKWARD, t->model.parameters.tensors[i].name, hasher);
        mm_profile_mark(MM_PROFILE_TRACE, MM_PASS_NONE);
    }
}

// A rank alone: its gradient is the merged one.
static void record_rank(mm_trainer *t) {
    for (int i = 0; i < t->model.parameters.count; i++) {
        if (!t->update_lists[i + 1].count) continue; // no memory for it: the list says so
        mm_trace_record r = t->update_lists[i + 1].records[0];
        r.operation = "gradient";
        r.node_level = mm_tree_levels(t->leaves_in_rank);
        r.node_index = 0;
        r.rank = 0;
        mm_trace_list_add(&t->rank_lists[0], &r);
    }
}

static void trace_gradient(mm_trainer *t, double norm) {
    if (t->settings.ranks == 1) record_rank(t);
    flush_lists(t, t->leaf_lists, t->leaves);
    flush_lists(t, t->rank_lists, t->settings.ranks);
    flush_lists(t, t->update_lists, t->model.parameters.count + 1);
    mm_trace_record r = mm_step_record(t, "norm", "grad_norm", mm_hash_bytes(&norm, sizeof norm));
    mm_trace_list_add(&t->update_lists[0], &r);
}

double mm_step_norm(mm_trainer *t, float *gradient) {
    norm_work n = {.work = {.t = t}, .gradient = gradient};
    mm_par_run((int)t->settings.workers, work_on_norm, &n);
    if (t->other) mm_tree_return(t->tree, t->other);
    t->other = NULL;
    double sum = 0;
    int64_t pieces = t->first_piece[t->model.parameters.count];
    for (int64_t piece = 0; piece < pieces; piece++) sum += t->piece_sums[piece];
    double norm = sqrt(sum);
    mm_profile_mark(MM_PROFILE_NORM, MM_PASS_NONE);
    if (traced(t)) trace_gradient(t, norm);
    mm_profile_mark(MM_PROFILE_TRACE, MM_PASS_NONE);
    return norm;
}

// --- update

mm_adamw_scalars mm_step_scalars(const mm_settings *s, double lr, double scale, int64_t step, bool decays) {
    mm_adamw options = {.beta1 = s->beta1, .beta2 = s->beta2, .eps = s->eps};
    return mm_adamw_at(&options, lr, decays ? s->weight_decay : 0, scale, step);
}

typedef struct update {
    tasks work;
    const float *gradient;
    mm_adamw_scalars decayed, plain;
} update;

// One piece of the weights and moments; false if a number is not finite.
static bool update_piece(mm_trainer *t, const float *gradient, size_t offset, int64_t floats,
                         const mm_adamw_scalars *scalars, mm_hasher *const hashers[3]) {
    float *state[3] = {t->weights + offset, t->m + offset, t->v + offset};
    bool finite = t->optim->adamw(state[0], state[1], state[2], gradient + offset, floats, scalars);
    mm_profile_mark(MM_PROFILE_ADAMW, MM_PASS_NONE);
    for (int k = 0; traced(t) && k < 3; k++)
        mm_hasher_add(hashers[k], state[k], (size_t)floats * sizeof *state[k]);
    mm_profile_mark(MM_PROFILE_TRACE, MM_PASS_NONE);
    return finite;
}

static void work_on_update(void *self, int w) {
    update *u = self;
    mm_trainer *t = u->work.t;
    mm_hasher *const *hashers = t->workers[w].hashers;
    const mm_parameters *p = &t->model.parameters;
    bool finite = true;
    for (int i; (i = take_tensor(&u->work)) >= 0;) {
        const mm_adamw_scalars *scalars = mm_adamw_decays(&p->tensors[i]) ? &u->decayed : &u->plain;
        for (int k = 0; k < 3; k++) mm_hasher_reset(hashers[k]);
        for (int64_t piece = t->first_piece[i]; piece < t->first_piece[i + 1]; piece++) {
            int64_t floats;
            size_t offset = piece_of(t, i, piece, &floats);
            finite = update_piece(t, u->gradient, offset, floats, scalars, hashers) && finite;
        }
        if (!traced(t)) continue;
        record_tensor(t, i, "adamw", MM_PASS_NONE, p->tensors[i].name, hashers[0]);
        record_tensor(t, i, "adamw", MM_PASS_NONE, t->optimizer[i].name, hashers[1]);
        record_tensor(t, i, "adamw", MM_PASS_NONE, t->optimizer[p->count + i].name, hashers[2]);
        mm_profile_mark(MM_PROFILE_TRACE, MM_PASS_NONE);
    }
    t->workers[w].spoiled = !finite;
}

void mm_step_update(mm_trainer *t, const float *gradient) {
    const mm_settings *s = &t->settings;
    update u = {.work = {.t = t},
                .gradient = gradient,
                .decayed = mm_step_scalars(s, t->lr, t->scale, t->step + 1, true),
                .plain = mm_step_scalars(s, t->lr, t->scale, t->step + 1, false)};
    mm_par_run((int)s->workers, work_on_update, &u);
    if (traced(t)) flush_lists(t, t->update_lists, t->model.parameters.count + 1);
    mm_profile_mark(MM_PROFILE_TRACE, MM_PASS_NONE);
}

mm_status mm_step_trace(mm_trainer *t, mm_error *error) {
    mm_status status = traced(t) ? mm_trace_end_step(t->trace, error) : MM_OK;
    mm_profile_mark(MM_PROFILE_TRACE, MM_PASS_NONE);
    return status;
}
