#include "diff_guess.h"
#include <mm/base/arena.h>
#include <mm/base/par.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void diff_state_take(diff_state *s, const mm_replay *r) {
    const mm_trainer *t = &r->trainer;
    size_t n = t->model.parameters.floats;
    diff_state_free(s);
    if (3.0 * (double)n * sizeof *s->floats > mm_memory_available()) return;
    s->floats = malloc(3 * n * sizeof *s->floats);
    if (!s->floats) return;
    s->count = n;
    s->step = t->step;
    s->tokens = t->tokens;
    memcpy(s->floats, t->weights, n * sizeof *s->floats);
    memcpy(s->floats + n, t->m, n * sizeof *s->floats);
    memcpy(s->floats + 2 * n, t->v, n * sizeof *s->floats);
}

void diff_state_put(const diff_state *s, mm_replay *r) {
    mm_trainer *t = &r->trainer;
    memcpy(t->weights, s->floats, s->count * sizeof *s->floats);
    memcpy(t->m, s->floats + s->count, s->count * sizeof *s->floats);
    memcpy(t->v, s->floats + 2 * s->count, s->count * sizeof *s->floats);
    t->step = s->step;
    t->tokens = s->tokens;
}

void diff_state_free(diff_state *s) {
    free(s->floats);
    *s = (diff_state){0};
}

const mm_trace_record *guess_record(const guessing *g, size_t pair, bool repeats) {
    const mm_trace_pair *p = &g->d->parting.pairs.pairs[pair];
    return g->odd_is_b != repeats ? p->b : p->a;
}

const char *guess_run(const guessing *g) {
    return g->odd_is_b ? "B" : "A";
}

void guess_say(const guessing *g, mm_cause cause, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(g->found->guess, sizeof g->found->guess, format, arguments);
    va_end(arguments);
    g->found->guessed = cause;
}

void guess_flip(float *number, int bit) {
    uint32_t bits;
    memcpy(&bits, number, sizeof bits);
    bits ^= UINT32_C(1) << bit;
    memcpy(number, &bits, sizeof bits);
}

// A trace that lacks records shows what its run did no more than in part: nothing is proven by the rest.
static bool all_paired(const mm_trace_pairs *pairs) {
    for (size_t i = 0; i < pairs->count; i++)
        if (!pairs->pairs[i].b) return false;
    return pairs->count > 0;
}

void diff_guess(const diffing *d, mm_replay *replay, const diff_state *before, diff_replay *found) {
    guessing g = {.d = d, .replay = replay, .before = before, .odd_is_b = found->repeats_a, .found = found};
    if (!before->floats || !all_paired(&d->parting.pairs)) return;
    replay_doing(replay, "looking for what explains it", -1);
    mm_par_ieee();
    replay->trainer.settings.trace = MM_LEVEL_OFF;
    diff_state_put(before, replay);
    const mm_trace_record *first = guess_record(&g, 0, false);
    if (strcmp(first->operation, "batch") == 0)
        guess_samples(&g);
    else if (first->leaf >= 0)
        guess_streams(&g);
    else if (d->parting.stages == MM_STAGE_UPDATE)
        guess_update(&g);
    else
        guess_sums(&g);
}
