// Going on with a run: its settings, the check that it is the same run, its newest checkpoint.
#include "tokenizers.h"
#include "trainer.h"
#include "weights.h"
#include <limits.h>
#include <mm/base/par.h>
#include <mm/files/publish.h>
#include <mm/optim/schedule.h>
#include <mm/record/samples.h>
#include <mm/record/trace_step.h>
#include <stdlib.h>
#include <string.h>

static mm_status refuse(const mm_field *field, const char *out, mm_error *error) {
    char option[MM_OPTION_NAME];
    return mm_trouble(
        error,
        "--resume %s --%s: a run goes on with the settings of its run.json; only --workers, --save-every, "
        "--keep, --sample-every, --prompt, --trace, --memory-limit, --profile and, with a constant "
        "schedule, --steps may be given; start a new run instead",
        out, mm_settings_option(field->key, option));
}

// Takes the given fields of `from` into the run's.
static mm_status take_given(mm_trainer *t, const mm_settings *from, const bool *given, mm_error *error) {
    mm_settings *s = &t->settings;
    bool changed = false;
    for (const mm_field *f = mm_settings_fields; f->key; f++) {
        if (!given[f - mm_settings_fields] || strcmp(f->key, "out") == 0) continue;
        bool steps = strcmp(f->key, "steps") == 0;
        if (!f->on_resume || (steps && s->schedule != MM_SCHEDULE_CONSTANT))
            return refuse(f, from->out, error);
        mm_status status = mm_settings_take(s, f, from, &changed, error);
        if (status) return status;
    }
    if (!given[mm_settings_field("workers") - mm_settings_fields]) {
        int cores = mm_par_cores();
        s->workers = s->threads < cores ? s->threads : cores;
    }
    // A run's own prompt may wait for samples.
    mm_status status = MM_OK;
    if (given[mm_settings_field("prompt") - mm_settings_fields]) status = mm_train_check_prompt(s, error);
    return status ? status : mm_settings_check_text(s, error);
}

static mm_status find_data(const mm_run_facts *facts, const char *run, bool val, char **slot,
                           mm_error *error) {
    char path[PATH_MAX];
    mm_status status = mm_run_find_data(run, &facts->settings, val, path, sizeof path, error);
    return status ? status : mm_settings_set_string(slot, path, error);
}

static mm_status recall_model(mm_trainer *t, const char *run, const char *config, mm_error *error) {
    char name[PATH_MAX];
    mm_status status = mm_path_join(name, sizeof name, run, "run.json: model", error);
    return status ? status : mm_config_parse(config, strlen(config), name, &t->began_with, error);
}

mm_status mm_trainer_recall(mm_trainer *t, const mm_settings *settings, const bool *given, mm_error *error) {
    mm_run_facts facts;
    mm_status status = mm_run_read(settings->out, &facts, error);
    if (status) return status;
    t->recalled = true;
    t->recalled_steps = facts.settings.steps;
    status = mm_settings_copy(&t->settings, &facts.settings, error);
    if (!status) status = recall_model(t, settings->out, facts.model_config, error);
    if (!status) status = take_given(t, settings, given, error);
    if (!status) status = mm_settings_set_string(&t->settings.out, settings->out, error);
    if (!status) status = find_data(&facts, settings->out, false, &t->settings.data, error);
    if (!status && t->settings.val_data)
        status = find_data(&facts, settings->out, true, &t->settings.val_data, error);
    mm_run_facts_free(&facts);
    return status;
}

static mm_status refuse_source(const char *path, const char *option, const char *what, mm_hash found,
                               mm_hash expected, mm_error *error) {
    char a[MM_HASH_TEXT], b[MM_HASH_TEXT];
    return mm_trouble(error, "%s: its data (%s) have %s %s, run.json says %s; bring the old data back", path,
                      option, what, mm_hash_print(found, a), mm_hash_print(expected, b));
}

// The tokenizer too: it says which ids are special, and so what token noise draws.
static mm_status check_source(const mm_source *now, const mm_run_data *then, const char *option,
                              const char *path, mm_error *error) {
    if (!now->dataset || !then->path) return MM_OK;
    const mm_hash hash = mm_dataset_hash(now->dataset), tokenizer = mm_dataset_tokenizer_hash(now->dataset);
    if (!mm_hash_equal(hash, then->hash)) return refuse_source(path, option, "hash", hash, then->hash, error);
    if (!mm_hash_equal(tokenizer, then->tokenizer))
        return refuse_source(path, option, "a tokenizer of hash", tokenizer, then->tokenizer, error);
    return MM_OK;
}

mm_status mm_trainer_check_versions(const char *run, const mm_run_facts *facts, const char *so,
                                    mm_error *error) {
    if (facts->arithmetic_version == MM_ARITHMETIC_VERSION && facts->streams_version == MM_STREAMS_VERSION)
        return MM_OK;
    return mm_trouble(error, "%s: made with arithmetic %d and streams %d, this mm has %d and %d%s", run,
                      facts->arithmetic_version, facts->streams_version, MM_ARITHMETIC_VERSION,
                      MM_STREAMS_VERSION, so);
}

// The data, the arithmetic and the streams are those that the run began with.
mm_status mm_trainer_check_same(const mm_trainer *t, const mm_run_facts *facts, mm_error *error) {
    mm_status status = mm_trainer_check_versions(t->settings.out, facts, "; go on with the old mm", error);
    if (!status) status = check_source(&t->train, &facts->data, "--data", t->settings.data, error);
    if (!status) status = check_source(&t->val, &facts->val_data, "--val-data", t->settings.val_data, error);
    return status;
}

mm_status mm_trainer_check_initial(const mm_trainer *t, const mm_run_facts *facts, mm_error *error) {
    const mm_parameters *p = &t->model.parameters;
    if (facts->initial_count != p->count)
        return mm_trouble(error, "%s/run.json: names %d initial tensors, its model has %d; it was changed",
                          t->settings.out, facts->initial_count, p->count);
    for (int i = 0; i < p->count; i++) {
        mm_tensor tensor = mm_parameter_in(p, i, t->weights);
        if (mm_hash_equal(mm_hash_bytes(tensor.data, mm_tensor_bytes(&tensor)), facts->initial[i].hash))
            continue;
        return mm_trouble(error,
                          "%s: initial tensor %s is not the one of run.json; bring the old --model back",
                          t->settings.out, tensor.name);
    }
    return MM_OK;
}

// The folder of the run's checkpoint of `step`, and its state.json, to which its files are compared.
static mm_status read_state(const mm_trainer *t, int64_t step, char folder[PATH_MAX],
                            mm_checkpoint_state *state, mm_error *error) {
    const uint64_t position = (uint64_t)step * (uint64_t)t->settings.batch;
    mm_status status = mm_checkpoint_path(t->settings.out, step, folder, PATH_MAX, error);
    if (!status) status = mm_checkpoint_state_read(folder, state, error);
    if (status || (state->step == step && state->position == position)) return status;
    return mm_trouble(error,
                      "%s: state.json says step %lld at sample %llu, expected step %lld at sample %llu; the "
                      "checkpoint is another's: " MM_CHECKPOINT_WAY_OUT,
                      folder, (long long)state->step, (unsigned long long)state->position, (long long)step,
                      (unsigned long long)position);
}

mm_status mm_trainer_load(mm_trainer *t, int64_t step, mm_error *error) {
    const mm_parameters *p = &t->model.parameters;
    char folder[PATH_MAX], path[PATH_MAX];
    mm_checkpoint_state state;
    mm_status status = read_state(t, step, folder, &state, error);
    if (!status) status = mm_weights_read(p, t->weights, folder, error);
    if (!status) status = mm_tokenizers_template(folder, &t->chat_template, error);
    if (!status) status = mm_path_join(path, sizeof path, folder, "optimizer.safetensors", error);
    if (!status) status = mm_tensors_read(path, t->optimizer, 2 * p->count, error);
    if (status) return status;
    t->step = state.step;
    t->tokens = state.tokens;
    return MM_OK;
}

// A run that has no checkpoint begins again, and its records with it: not one that has saved, whose
// checkpoints cannot be seen, as on a disk that is not there, or were removed.
static mm_status check_unsaved(const char *run, mm_error *error) {
    char link[PATH_MAX], folder[PATH_MAX];
    mm_status status = mm_path_join(link, sizeof link, run, "model", error);
    if (!status) status = mm_path_join(folder, sizeof folder, run, MM_CHECKPOINTS, error);
    if (status) return status;
    const bool seen = mm_is_folder(folder);
    if (!mm_is_there(link) && (seen || !mm_is_there(folder))) return MM_OK;
    return mm_trouble(
        error,
        "%s: %s, but the run has saved; bring its checkpoints back, or remove %s to begin the run again",
        folder, seen ? "holds no checkpoint" : "no such folder", link);
}

static mm_status compare_weights(const mm_trainer *t, const mm_trace_step *traced, mm_error *error) {
    const mm_parameters *p = &t->model.parameters;
    for (int i = 0; i < p->count; i++) {
        const mm_tensor tensor = mm_parameter_in(p, i, t->weights);
        const mm_trace_record *r = mm_trace_step_find(traced, "adamw", tensor.name);
        if (!r || mm_hash_equal(mm_hash_bytes(tensor.data, mm_tensor_bytes(&tensor)), r->hash)) continue;
        return mm_trouble(
            error,
            "%s/" MM_CHECKPOINT ": tensor %s is not the one that the run's trace has after "
            "that step; the checkpoint is another run's, or was changed: " MM_CHECKPOINT_WAY_OUT,
            t->settings.out, (long long)t->step, tensor.name);
    }
    return MM_OK;
}

// The weights that were loaded are the run's own, as far as its trace tells: one that cannot be read up to
// them is looked at where it is cut back.
static mm_status check_traced(const mm_trainer *t, mm_error *error) {
    mm_trace_steps *steps;
    mm_trace_step step = {0};
    if (mm_trace_steps_open(mm_run_path(t->run), &steps, NULL) || !steps) return MM_OK;
    mm_status read;
    do read = mm_trace_steps_next(steps, &step, NULL);
    while (!read && step.step && step.step < t->step);
    bool there =
        !read && step.step == t->step && !mm_trace_step_parse(&step, mm_trace_steps_path(steps), NULL);
    mm_status status = there ? compare_weights(t, &step, error) : MM_OK;
    mm_trace_step_free(&step);
    mm_trace_steps_close(steps);
    return status;
}

// The newest checkpoint, or the beginning: the run was stopped before its first.
static mm_status load_newest(mm_trainer *t, const mm_run_facts *facts, mm_error *error) {
    int64_t *steps;
    int count;
    mm_status status = mm_checkpoint_list(mm_run_path(t->run), &steps, &count, error);
    if (status) return status;
    if (count) {
        status = mm_trainer_load(t, steps[count - 1], error);
        if (!status) status = check_traced(t, error);
    } else if (!(status = check_unsaved(mm_run_path(t->run), error))) {
        status = mm_trainer_initial_weights(t, error);
        if (!status) status = mm_trainer_check_initial(t, facts, error);
    }
    free(steps);
    return status;
}

// What was given for the rest of the run holds for it from here on, also when it is killed and goes on again;
// but for workers, which follow the machine.
static mm_status keep_settings(const mm_trainer *t, mm_run_facts *facts, bool *changed, mm_error *error) {
    for (const mm_field *f = mm_settings_fields; f->key; f++) {
        if (!f->on_resume || strcmp(f->key, "workers") == 0) continue;
        mm_status status = mm_settings_take(&facts->settings, f, &t->settings, changed, error);
        if (status) return status;
    }
    return MM_OK;
}

// Nothing is cut back before what all files hold is known to reach to the checkpoint, and may be written.
static mm_status check_records(const mm_trainer *t, mm_error *error) {
    const char *run = mm_run_path(t->run);
    mm_status status = mm_run_check(t->run, error);
    if (!status) status = mm_metrics_check(run, t->step, error);
    if (!status) status = mm_samples_check(run, t->step, error);
    return status ? status : mm_trace_check(run, error);
}

// Samples are opened later.
static mm_status open_records(mm_trainer *t, mm_error *error) {
    const char *run = mm_run_path(t->run);
    char trace[PATH_MAX];
    mm_status status = check_records(t, error);
    if (!status) status = mm_path_join(trace, sizeof trace, run, MM_TRACE_NAME, error);
    // A trace that is there is cut back also where none is to be written from here on.
    if (!status && (t->settings.trace >= MM_LEVEL_STEP || mm_is_file(trace)))
        status = mm_trace_open(run, (mm_level)t->settings.trace, t->step, &t->trace, error);
    return status ? status : mm_metrics_open(run, t->step, &t->metrics, error);
}

mm_status mm_trainer_continue(mm_trainer *t, mm_error *error) {
    mm_run_facts facts;
    mm_status status = mm_run_read(t->settings.out, &facts, error);
    if (status) return status;
    status = mm_trainer_check_same(t, &facts, error);
    if (!status) status = load_newest(t, &facts, error);
    if (!status) status = open_records(t, error);
    bool changed = false;
    if (!status) status = keep_settings(t, &facts, &changed, error);
    if (!status) status = mm_trainer_keep_program(t, &facts, &changed, error);
    if (!status && changed) status = mm_run_begin(t->run, &facts, error);
    if (!status) status = mm_checkpoint_settle(mm_run_path(t->run), (int)t->settings.keep, error);
    mm_run_facts_free(&facts);
    return status;
}

// --- the end

// 0: the run has no checkpoint.
static mm_status find_newest(const mm_trainer *t, int64_t *step, mm_error *error) {
    int64_t *steps;
    int count;
    mm_status status = mm_checkpoint_list(mm_run_path(t->run), &steps, &count, error);
    *step = !status && count ? steps[count - 1] : 0;
    free(steps);
    return status;
}

// Where a kill kept the last save from leading `model` to it, or from clearing up, that is done. No
// checkpoint is removed: one beyond --keep may have been brought back.
static mm_status settle_end(mm_trainer *t, mm_error *error) {
    char folder[PATH_MAX];
    mm_checkpoint_state state;
    mm_status status = mm_run_check(t->run, error);
    if (!status) status = read_state(t, t->step, folder, &state, error);
    return status ? status : mm_checkpoint_settle(mm_run_path(t->run), 0, error);
}

mm_status mm_trainer_find_end(mm_trainer *t, bool *ended, mm_error *error) {
    const int64_t steps = t->settings.steps;
    const bool moved = steps != t->recalled_steps;
    int64_t newest;
    *ended = false;
    mm_status status = mm_run_open(t->settings.out, &t->run, error);
    if (!status) status = find_newest(t, &newest, error);
    if (status) return status;
    if (moved && steps < newest)
        return mm_trouble(error,
                          "--steps %lld: %s has a checkpoint of step %lld; expected at least %lld, or remove "
                          "the checkpoints after step %lld to go on from one before",
                          (long long)steps, t->settings.out, (long long)newest, (long long)newest,
                          (long long)steps);
    *ended = !moved && newest >= steps;
    if (!*ended) return MM_OK;
    t->step = newest;
    return settle_end(t, error);
}
