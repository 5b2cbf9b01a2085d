// The beginning of a run: its data, its initial weights, its directory.
#include "trainer.h"
#include <limits.h>
#include <mm/base/par.h>
#include <mm/files/publish.h>
#include <mm/run/prepare.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- text files as data

static void preparing(void *self, const char *what, double share) {
    const mm_trainer *t = self;
    if (t->watch && t->watch->doing) t->watch->doing(t->watch->self, what, share);
}

// Packs the text file that *slot names into RUN/NAME, and names that instead.
static mm_status pack_into_run(mm_trainer *t, char **slot, const char *name, const char *tokenizer,
                               mm_error *error) {
    mm_config config = {.vocab = 6400};
    char out[PATH_MAX];
    mm_status status = mm_path_join(out, sizeof out, t->settings.out, name, error);
    if (!status) status = mm_remove_folder(out, error); // of a start that was killed
    if (!status) status = mm_prepare_text(*slot, tokenizer, config.vocab, out, preparing, t, error);
    if (status) return status;
    char *copy = strdup(out);
    if (!copy) return mm_trouble(error, "settings: out of memory");
    free(*slot);
    *slot = copy;
    return MM_OK;
}

static mm_status reserve_run(mm_trainer *t, mm_error *error) {
    mm_status status = mm_run_hold(t->settings.out, &t->run, error);
    if (status) return status;
    free(t->settings.out);
    t->settings.out = strdup(mm_run_path(t->run));
    return t->settings.out ? MM_OK : mm_trouble(error, "settings: out of memory");
}

static mm_status pack_both(mm_trainer *t, bool train, bool val, mm_error *error) {
    mm_settings *s = &t->settings;
    char tokenizer[PATH_MAX];
    const char *use = NULL;
    mm_status status = MM_OK;
    if (train && s->model) {
        status = mm_path_join(tokenizer, sizeof tokenizer, s->model, "tokenizer.json", error);
        if (!status && mm_is_file(tokenizer)) use = tokenizer;
    }
    if (!status && train) status = pack_into_run(t, &s->data, "data", use, error);
    if (!status && val) status = pack_into_run(t, &s->val_data, "val-data", s->data, error);
    return status;
}

mm_status mm_trainer_prepare(mm_trainer *t, mm_error *error) {
    mm_settings *s = &t->settings;
    bool train = !mm_is_folder(s->data), val = s->val_data && !mm_is_folder(s->val_data);
    if (!train && !val) return MM_OK;
    bool there = s->out && mm_is_folder(s->out);
    mm_status status = reserve_run(t, error);
    if (status) return status;
    status = pack_both(t, train, val, error);
    if (!status || there) return status;
    // A run that could not begin leaves nothing behind; the trouble to report is the first.
    mm_status removed = mm_remove_folder(s->out, NULL);
    (void)removed;
    return status;
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

static mm_status load_weights(mm_trainer *t, mm_error *error) {
    const mm_parameters *p = &t->model.parameters;
    char path[PATH_MAX];
    mm_status status = mm_path_join(path, sizeof path, t->settings.model, "model.safetensors", error);
    if (status) return status;
    mm_tensor *tensors = calloc((size_t)p->count, sizeof *tensors);
    if (!tensors) return mm_trouble(error, "%s: out of memory", path);
    for (int i = 0; i < p->count; i++) tensors[i] = mm_parameter_in(p, i, t->weights);
    status = mm_tensors_read(path, tensors, p->count, false, error);
    free(tensors);
    return status;
}

mm_status mm_trainer_initial_weights(mm_trainer *t, mm_error *error) {
    if (t->settings.model) return load_weights(t, error);
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
    status =
        t->run ? mm_run_begin(t->run, &facts, error) : mm_run_create(t->settings.out, &facts, &t->run, error);
    mm_run_facts_free(&facts);
    if (status) return status;
    status = mm_metrics_open(mm_run_path(t->run), 0, &t->metrics, error);
    if (!status && t->settings.trace >= MM_LEVEL_STEP)
        status = mm_trace_open(mm_run_path(t->run), (mm_level)t->settings.trace, 0, &t->trace, error);
    return status;
}
