// Defaults of a training run, and what must fit together.
#include <limits.h>
#include <mm/base/par.h>
#include <mm/base/probe.h>
#include <mm/data/plan.h>
#include <mm/files/publish.h>
#include <mm/model/config.h>
#include <mm/optim/schedule.h>
#include <mm/rank/streams.h>
#include <mm/run/train.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { DEFAULT_RANKS = 8, DEFAULT_MICRO_BATCH = 4, LEAST_BATCH = 32, NEVER = 0 };

static bool is_given(const bool *given, const char *key) {
    return given[mm_settings_field(key) - mm_settings_fields];
}

static void default_integer(const bool *given, const char *key, int64_t *slot, int64_t value) {
    if (!is_given(given, key)) *slot = value;
}

static void default_number(const bool *given, const char *key, double *slot, double value) {
    if (!is_given(given, key)) *slot = value;
}

// Workers never move a bit, so they follow the machine; ranks do, so they do not.
static void resolve_ranks(mm_settings *s, const bool *given) {
    bool threads = is_given(given, "threads"), ranks = is_given(given, "ranks");
    if (!threads) s->threads = ranks ? s->ranks : DEFAULT_RANKS;
    if (!ranks) s->ranks = s->threads;
    int cores = mm_par_cores();
    if (!is_given(given, "workers")) s->workers = s->threads < cores ? s->threads : cores;
}

// A batch that was not given is bounded as one that was.
static mm_status check_batch_size(const mm_settings *s, int64_t batch, mm_error *error) {
    const double most = mm_settings_field("batch")->most;
    if ((double)batch <= most) return MM_OK;
    return mm_trouble(error, "--micro-batch %lld on %lld ranks: makes a batch of %lld, expected at most %.0f",
                      (long long)s->micro_batch, (long long)s->ranks, (long long)batch, most);
}

// The nearest batch sizes that work, below (0 if none) and above, where that is within the bound.
static mm_status refuse_batch(const mm_settings *s, mm_error *error) {
    int64_t above = s->micro_batch * s->ranks, below = 0;
    while (above < s->batch) {
        below = above;
        above *= 2;
    }
    char nearest[64];
    mm_status status = check_batch_size(s, above, error);
    if (status && !below) return status;
    if (status)
        snprintf(nearest, sizeof nearest, "%lld", (long long)below);
    else if (below)
        snprintf(nearest, sizeof nearest, "%lld or %lld", (long long)below, (long long)above);
    else
        snprintf(nearest, sizeof nearest, "%lld", (long long)above);
    return mm_trouble(
        error,
        "--batch %lld with --micro-batch %lld on %lld ranks: expected micro-batch x ranks x a power of "
        "two, so that each rank's gradient is one node of the tree; nearest: --batch %s",
        (long long)s->batch, (long long)s->micro_batch, (long long)s->ranks, nearest);
}

static mm_status resolve_batch(mm_settings *s, const bool *given, mm_error *error) {
    bool micro = is_given(given, "micro_batch");
    if (!micro) s->micro_batch = DEFAULT_MICRO_BATCH;
    if (!is_given(given, "batch")) {
        s->batch = s->micro_batch * s->ranks;
        while (s->batch < LEAST_BATCH) s->batch *= 2;
        return check_batch_size(s, s->batch, error);
    }
    while (!micro && s->micro_batch > 1 && !mm_settings_batch_fits(s)) s->micro_batch--;
    if (mm_settings_batch_fits(s)) return MM_OK;
    return refuse_batch(s, error);
}

static mm_status find_default_data(char *path, size_t size, mm_error *error) {
    const char *named = getenv("MM_DATA");
    if (named && *named) {
        if ((size_t)snprintf(path, size, "%s", named) >= size)
            return mm_trouble(error,
                              "MM_DATA: the path %.200s... is longer than %zu bytes; give a shorter one",
                              named, size);
        return MM_OK;
    }
    snprintf(path, size, "%s/data/default", MM_SOURCE_DIR);
    if (mm_is_folder(path)) return MM_OK;
    return mm_trouble(error,
                      "no data: %s is not there; make it with %s/tools/setup, or name yours with --data",
                      path, MM_SOURCE_DIR);
}

// Paths are kept absolute, so that a run goes on from any folder.
static mm_status make_absolute(char **slot, const char *option, mm_error *error) {
    char absolute[PATH_MAX];
    struct stat info;
    if (!realpath(*slot, absolute)) {
        // A pipe of the shell's <(...) is there, but has no path beyond /dev/fd/63.
        if (**slot == '/' && !stat(*slot, &info)) return MM_OK;
        char what[64];
        snprintf(what, sizeof what, "open it (%s)", option);
        return mm_trouble_errno(error, *slot, what);
    }
    return mm_settings_set_string(slot, absolute, error);
}

static mm_status resolve_data(mm_settings *s, mm_error *error) {
    char path[PATH_MAX];
    mm_status status = MM_OK;
    const char *named = "--data";
    if (!s->data) {
        named = "MM_DATA";
        status = find_default_data(path, sizeof path, error);
        if (!status) status = mm_settings_set_string(&s->data, path, error);
    }
    if (!status) status = make_absolute(&s->data, named, error);
    if (status) return status;
    if (!s->val_data) {
        status = mm_path_join(path, sizeof path, s->data, "val", error);
        if (status || !mm_is_folder(path)) return status;
        status = mm_settings_set_string(&s->val_data, path, error);
    }
    if (!status) status = make_absolute(&s->val_data, "--val-data", error);
    return status;
}

static mm_status resolve_model(mm_settings *s, mm_error *error) {
    if (s->model && s->preset)
        return mm_trouble(error, "--preset %s and --model %s: give one of them; a model brings its own shape",
                          s->preset, s->model);
    if (s->model) return make_absolute(&s->model, "--model", error);
    if (!s->preset) return mm_settings_set_string(&s->preset, "tiny", error);
    mm_config config;
    return mm_config_preset(s->preset, &config, error);
}

static void resolve_training(mm_settings *s, const bool *given) {
    double lr;
    int64_t warmup;
    mm_config_preset_training(s->preset, &lr, &warmup);
    default_number(given, "lr", &s->lr, lr);
    default_integer(given, "warmup", &s->warmup, warmup);
    default_integer(given, "steps", &s->steps, 300);
    default_integer(given, "seq_len", &s->seq_len, 256);
    default_integer(given, "packing", &s->packing, MM_PACKING_WINDOW);
    default_integer(given, "seed_policy", &s->seed_policy, MM_SEED_POLICY_RANK);
    default_integer(given, "order", &s->order, MM_ORDER_SHUFFLED);
    default_integer(given, "schedule", &s->schedule, MM_SCHEDULE_MINIMIND);
    default_integer(given, "save_every", &s->save_every, 100);
    default_integer(given, "keep", &s->keep, 3);
    default_integer(given, "sample_every", &s->sample_every, NEVER);
    default_integer(given, "trace", &s->trace, MM_LEVEL_STEP);
    default_integer(given, "val_every", &s->val_every, s->val_data ? 50 : NEVER);
    if (!is_given(given, "seed")) s->seed = 1337;
    default_number(given, "dropout", &s->dropout, 0.1);
    default_number(given, "token_noise", &s->token_noise, 0);
    default_number(given, "weight_decay", &s->weight_decay, 0.01);
    default_number(given, "beta1", &s->beta1, 0.9);
    default_number(given, "beta2", &s->beta2, 0.999);
    default_number(given, "eps", &s->eps, 1e-8);
    default_number(given, "clip", &s->clip, 1.0);
}

mm_status mm_train_check_prompt(const mm_settings *s, mm_error *error) {
    if (!s->prompt || s->sample_every) return MM_OK;
    return mm_trouble(
        error, "--prompt without --sample-every: it is what samples go on with; give --sample-every N");
}

static mm_status check_together(const mm_settings *s, mm_error *error) {
    if (s->val_every > 0 && !s->val_data)
        return mm_trouble(
            error,
            "--val-every %lld: there is no validation data; name it with --val-data, or pack with "
            "--val-share",
            (long long)s->val_every);
    return mm_train_check_prompt(s, error);
}

mm_status mm_train_resolve(mm_settings *s, const bool *given, mm_error *error) {
    resolve_ranks(s, given);
    mm_status status = resolve_batch(s, given, error);
    if (!status) status = resolve_model(s, error);
    if (!status) status = resolve_data(s, error);
    if (status) return status;
    resolve_training(s, given);
    status = check_together(s, error);
    return status ? status : mm_settings_check_text(s, error);
}
