// Learning rates of two runs, which metrics.jsonl has in double and an update takes as floats.
#include "diff.h"
#include "trainer.h"
#include <math.h>
#include <mm/optim/clip.h>
#include <mm/optim/schedule.h>
#include <string.h>

// Does the run's row have the rate that its own settings give? Another arithmetic's cannot be asked.
static bool is_own(const mm_side *side, const mm_metrics_row *row, double *own) {
    const mm_settings *s = &side->facts.settings;
    *own = row->lr;
    if (side->facts.arithmetic_version != MM_ARITHMETIC_VERSION || row->step > s->steps) return true;
    *own = mm_schedule_lr((mm_schedule)s->schedule, s->lr, s->warmup, s->steps, row->step);
    return diff_same_bits(*own, row->lr);
}

static mm_status check_rate(const mm_side *side, mm_error *error) {
    double own;
    if (is_own(side, &side->row, &own)) return MM_OK;
    return mm_fail(error, MM_DIFFERS,
                   "%s/metrics.jsonl: step %lld has lr %.17g, expected %.17g by the settings of run.json; it "
                   "was changed",
                   side->path, (long long)side->row.step, side->row.lr, own);
}

mm_status diff_check_rates(const diffing *d, mm_error *error) {
    mm_status status = check_rate(&d->a, error);
    return status ? status : check_rate(&d->b, error);
}

static mm_adamw_scalars scalars_of(const mm_side *side, bool decays) {
    const mm_settings *s = &side->facts.settings;
    const mm_metrics_row *row = &side->row;
    return mm_step_scalars(s, row->lr, mm_clip_scale(row->grad_norm, s->clip), row->step, decays);
}

bool diff_same_update(const diffing *d) {
    if (!isfinite(d->a.row.grad_norm)) return true; // there was none
    for (int decays = 0; decays < 2; decays++) {
        mm_adamw_scalars a = scalars_of(&d->a, decays), b = scalars_of(&d->b, decays);
        if (memcmp(&a, &b, sizeof a) != 0) return false;
    }
    return true;
}

// The run whose rate its settings do not give is the one to look at.
static void add_stray(const mm_side *side, const mm_metrics_row *row, const char *name, mm_text *out) {
    double own;
    if (!is_own(side, row, &own))
        mm_text_format(out, ", though the settings of run %s give %.17g", name, own);
}

void diff_add_rates(const diffing *d, const char *before, const char *after, mm_text *out) {
    const diff_parting *p = &d->parting;
    if (p->stages != MM_STAGE_UPDATE || !p->has_row_a || !p->has_row_b) return;
    if (diff_same_bits(p->row_a.lr, p->row_b.lr)) return;
    mm_fact rates = {.a = {.kind = MM_VALUE_NUMBER, .number = p->row_a.lr},
                     .b = {.kind = MM_VALUE_NUMBER, .number = p->row_b.lr}};
    int digits = mm_fact_digits(&rates);
    mm_text_format(out, "%sthe learning rate was %.*g (run A: %.*g)", before, digits, p->row_b.lr, digits,
                   p->row_a.lr);
    add_stray(&d->a, &p->row_a, "A", out);
    add_stray(&d->b, &p->row_b, "B", out);
    mm_text_add_string(out, after);
}
