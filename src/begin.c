// The beginning of a run: its data, its initial weights, its directory.
#include "tokenizers.h"
#include "trainer.h"
#include "weights.h"
#include <limits.h>
#include <mm/base/par.h>
#include <mm/files/publish.h>
#include <mm/record/checkpoint.h>
#include <mm/run/prepare.h>
#include <stdatomic.h>

// --- text files as data

static void preparing(void *self, const char *what, double share) {
    const mm_trainer *t = self;
    if (t->watch && t->watch->doing) t->watch->doing(t->watch->self, what, share);
}

// Packs the text file that *slot names into RUN/NAME, and names that instead.
static mm_status pack_into_run(mm_trainer *t, char **slot, const char *name, const char *tokenizer,
                               const volatile sig_atomic_t *stop, mm_error *error) {
    mm_config config = {0};
    char out[PATH_MAX];
    mm_status status = mm_path_join(out, sizeof out, t->settings.out, name, error);
    if (!status && !tokenizer) status = mm_config_preset(t->settings.preset, &config, error);
    if (!status) status = mm_remove_folder(out, error); // of a start that was killed
    if (!status) status = mm_prepare_text(*slot, tokenizer, config.vocab, out, preparing, t, stop, error);
    return status ? status : mm_settings_set_string(slot, out, error);
}

// Are its data what another start has packed there?
static bool takes_packed(const mm_trainer *t) {
    const mm_settings *s = &t->settings;
    return mm_run_packed(t->run, s->data) || (s->val_data && mm_run_packed(t->run, s->val_data));
}

// A run that could not begin leaves nothing behind, but a folder that was there before stays.
static mm_status reserve_run(mm_trainer *t, mm_error *error) {
    bool there = t->settings.out && mm_is_folder(t->settings.out);
    mm_status status = mm_run_hold(t->settings.out, &t->run, error);
    if (!status) status = mm_settings_set_string(&t->settings.out, mm_run_path(t->run), error);
    t->unborn = !status && !there;
    // What a start that was killed has packed goes.
    return status || takes_packed(t) ? status : mm_run_unpack(t->run, error);
}

static mm_status pack_both(mm_trainer *t, bool train, bool val, const volatile sig_atomic_t *stop,
                           mm_error *error) {
    mm_settings *s = &t->settings;
    char own[PATH_MAX];
    // A model's weights mean its own tokens: text is packed with its tokenizer or not at all.
    const char *use = train && s->model ? own : NULL;
    mm_status status = use ? mm_tokenizer_find(s->model, s->data, own, sizeof own, error) : MM_OK;
    if (!status && train) status = pack_into_run(t, &s->data, "data", use, stop, error);
    if (!status && val) status = pack_into_run(t, &s->val_data, "val-data", s->data, stop, error);
    return status;
}

mm_status mm_trainer_prepare(mm_trainer *t, const volatile sig_atomic_t *stop, mm_error *error) {
    const mm_settings *s = &t->settings;
    bool train = !mm_is_folder(s->data), val = s->val_data && !mm_is_folder(s->val_data);
    if (!train && !val) return MM_OK;
    mm_status status = reserve_run(t, error);
    t->packs = !status && !takes_packed(t);
    if (!status) status = mm_run_packing(t->run, error);
    return status ? status : pack_both(t, train, val, stop, error);
}

// --- initial weights

typedef struct drawing {
    mm_trainer *t;
    atomic_int next;
} drawing;

static void work_on_weights(void *self, int worker) {
    (void)worker;
    drawing *d = self;
    const mm_parameters *p = &d->t->model.parameters;
    for (int i; (i = atomic_fetch_add(&d->next, 1)) < p->count;)
        mm_parameter_initial(p, i, d->t->settings.seed, d->t->weights + p->offsets[i]);
}

mm_status mm_trainer_initial_weights(mm_trainer *t, mm_error *error) {
    const char *model = t->settings.model;
    if (model) {
        mm_status status = mm_checkpoint_check_weights(model, error);
        if (!status) status = mm_weights_read(&t->model.parameters, t->weights, model, error);
        return status ? status : mm_tokenizers_template(model, &t->chat_template, error);
    }
    drawing d = {.t = t};
    mm_par_run((int)t->settings.workers, work_on_weights, &d);
    return MM_OK;
}

// --- the run directory

mm_status mm_trainer_begin(mm_trainer *t, int argc, char *const *argv, mm_error *error) {
    mm_status status = mm_trainer_initial_weights(t, error);
    if (status) return status;
    mm_run_facts facts;
    status = mm_trainer_facts(t, argc, argv, &facts, error);
    if (status) return status;
    if (!t->run) status = reserve_run(t, error);
    if (!status) status = mm_run_begin(t->run, &facts, error);
    if (!status) t->unborn = t->packs = false;
    mm_run_facts_free(&facts);
    if (status) return status;
    status = mm_metrics_open(mm_run_path(t->run), 0, &t->metrics, error);
    if (!status && t->settings.trace >= MM_LEVEL_STEP)
        status = mm_trace_open(mm_run_path(t->run), (mm_level)t->settings.trace, 0, &t->trace, error);
    return status;
}
