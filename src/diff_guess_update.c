// An update that was made otherwise: another learning rate, no clipping, lost moments, a changed number.
#include "diff_guess.h"
#include <mm/optim/clip.h>
#include <mm/optim/schedule.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *base_name(const char *name) {
    int which;
    return mm_moment_of(name, &which);
}

// The record of a tensor after the update, in the run that does not repeat; NULL: it agrees.
static const mm_trace_record *record_of(const guessing *g, const char *name) {
    for (size_t i = 0; i < g->d->parting.pairs.count; i++) {
        const mm_trace_record *r = guess_record(g, i, false);
        if (strcmp(r->operation, "adamw") == 0 && strcmp(r->tensor, name) == 0) return r;
    }
    return NULL;
}

// The smallest parameter whose numbers differ after the update.
static int smallest(const guessing *g) {
    const mm_parameters *p = &g->replay->trainer.model.parameters;
    int best = -1;
    for (int i = 0; i < p->count; i++)
        if (record_of(g, p->tensors[i].name) &&
            (best < 0 || mm_tensor_count(&p->tensors[i]) < mm_tensor_count(&p->tensors[best])))
            best = i;
    return best;
}

// Does one parameter alone differ, with its moments?
static bool alone(const guessing *g, int *tensor) {
    const mm_parameters *p = &g->replay->trainer.model.parameters;
    const char *name = base_name(guess_record(g, 0, false)->tensor);
    for (size_t i = 0; i < g->d->parting.pairs.count; i++)
        if (strcmp(base_name(guess_record(g, i, false)->tensor), name) != 0) return false;
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->tensors[i].name, name) == 0) *tensor = i;
    return true;
}

// One way to make the update.
typedef struct way {
    double lr, scale;
    int64_t step; // updates done before it
    bool no_m, no_v;
} way;

static bool same_as(const guessing *g, const mm_tensor *now) {
    const mm_trace_record *r = record_of(g, now->name);
    return !r || mm_hash_equal(mm_hash_bytes(now->data, mm_tensor_bytes(now)), r->hash);
}

// Parameter, first and second moment after an update made so: are they the odd run's?
static bool explains(const guessing *g, const float *gradient, const way *w, int tensor) {
    mm_trainer *t = &g->replay->trainer;
    const mm_parameters *p = &t->model.parameters;
    diff_state_put(g->before, g->replay);
    if (w->no_m) memset(t->m, 0, p->floats * sizeof(float));
    if (w->no_v) memset(t->v, 0, p->floats * sizeof(float));
    t->lr = w->lr;
    t->scale = w->scale;
    t->step = w->step;
    mm_step_update(t, gradient);
    t->step = g->before->step;
    mm_tensor weights = mm_parameter_in(p, tensor, t->weights);
    return record_of(g, weights.name) && same_as(g, &weights) && same_as(g, &t->optimizer[tensor]) &&
           same_as(g, &t->optimizer[p->count + tensor]);
}

static double lr_of(const mm_trainer *t, int64_t step) {
    const mm_settings *s = &t->settings;
    return mm_schedule_lr((mm_schedule)s->schedule, s->lr, s->warmup, s->steps, step);
}

static void try_ways(const guessing *g, const float *gradient, double norm) {
    const mm_trainer *t = &g->replay->trainer;
    int64_t step = g->before->step;
    int tensor = smallest(g);
    double lr = lr_of(t, step + 1), scale = mm_clip_scale(norm, t->settings.clip);
    double lr_before = step ? lr_of(t, step) : lr, // a schedule ends with the run
        lr_after = step + 2 <= t->settings.steps ? lr_of(t, step + 2) : lr;
    const struct {
        way way;
        const char *what;
    } table[] = {
        {{lr, 1, step, false, false}, "did not clip the gradient at this step"},
        {{lr_before, scale, step, false, false}, "took the learning rate of the step before"},
        {{lr_after, scale, step, false, false}, "took the learning rate of the step after"},
        {{lr, scale, step, true, true}, "had lost its optimizer state"},
        {{lr, scale, step, true, false}, "had lost its first moments"},
        {{lr, scale, step, false, true}, "had lost its second moments"},
        {{lr, scale, step > 0 ? step - 1 : 0, false, false},
         "counted its updates one too few (bias correction)"},
        {{lr, scale, step + 1, false, false}, "counted its updates one too many (bias correction)"},
    };
    for (size_t i = 0; tensor >= 0 && i < sizeof table / sizeof table[0] && !g->found->guess[0]; i++)
        if (explains(g, gradient, &table[i].way, tensor))
            guess_say(g, MM_CAUSE_NONE, "run %s %s", guess_run(g), table[i].what);
}

// --- one number

// A number of `which` (0 parameter, 1 and 2 its moments) with a turned bit before the update: the update of
// the others stands, so one number is made again.
static bool try_bit(const guessing *g, const float *gradient, const mm_adamw_scalars *scalars, size_t offset,
                    int which, int bit, const mm_tensor *now, mm_hash wanted) {
    mm_trainer *t = &g->replay->trainer;
    size_t n = g->before->count, at = offset;
    float old[3], state[3], *arrays[3] = {t->weights, t->m, t->v};
    for (int k = 0; k < 3; k++) {
        old[k] = arrays[k][at];
        state[k] = g->before->floats[(size_t)k * n + at];
    }
    guess_flip(&state[which], bit);
    t->optim->adamw(&state[0], &state[1], &state[2], gradient + at, 1, scalars);
    arrays[which][at] = state[which];
    bool equal = mm_hash_equal(mm_hash_bytes(now->data, mm_tensor_bytes(now)), wanted);
    arrays[which][at] = old[which];
    return equal;
}

static void try_bits(const guessing *g, const float *gradient, double norm) {
    mm_trainer *t = &g->replay->trainer;
    const mm_parameters *p = &t->model.parameters;
    const mm_settings *s = &t->settings;
    static const char *const names[] = {"", "the first moment of ", "the second moment of "};
    int tensor = -1;
    if (!alone(g, &tensor) || tensor < 0 || mm_tensor_count(&p->tensors[tensor]) > GUESS_FLIPS) return;
    way usual = {lr_of(t, t->step + 1), mm_clip_scale(norm, s->clip), t->step, false, false};
    (void)explains(g, gradient, &usual, tensor); // the update as it should be, for the other numbers
    mm_tensor now[3] = {mm_parameter_in(p, tensor, t->weights), t->optimizer[tensor],
                        t->optimizer[p->count + tensor]};
    int which = record_of(g, now[1].name) ? 1 : record_of(g, now[2].name) ? 2 : 0;
    const mm_trace_record *r = record_of(g, now[which].name);
    mm_adamw_scalars scalars =
        mm_step_scalars(s, usual.lr, usual.scale, t->step + 1, mm_adamw_decays(&p->tensors[tensor]));
    int64_t count = mm_tensor_count(&p->tensors[tensor]);
    for (int64_t i = 0; r && i < count && !g->found->guess[0]; i++)
        for (int bit = 0; bit < 32 && !g->found->guess[0]; bit++)
            if (try_bit(g, gradient, &scalars, p->offsets[tensor] + (size_t)i, which, bit, &now[which],
                        r->hash))
                guess_say(g, MM_CAUSE_NONE,
                          "in run %s, bit %d of number %lld of %s%s was turned over before the update",
                          guess_run(g), bit, (long long)i, names[which], p->tensors[tensor].name);
}

void guess_update(const guessing *g) {
    mm_trainer *t = &g->replay->trainer;
    mm_partial sum;
    if (mm_step_gradients(t, &sum, NULL)) return;
    double norm = mm_step_norm(t, sum.gradient);
    try_ways(g, sum.gradient, norm);
    if (!g->found->guess[0]) try_bits(g, sum.gradient, norm);
    int tensor;
    if (!g->found->guess[0] && alone(g, &tensor))
        guess_say(
            g, MM_CAUSE_NONE,
            "gradients and norm agree, the update differs in one tensor alone, as after a changed number");
    mm_tree_return(t->tree, sum.gradient);
}
