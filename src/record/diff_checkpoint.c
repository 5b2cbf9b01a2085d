// A checkpoint of a run under comparison.
#include <assert.h>
#include <limits.h>
#include <math.h>
#include <mm/files/publish.h>
#include <mm/files/safetensors.h>
#include <mm/record/checkpoint.h>
#include <mm/record/diff.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_LIMIT = 1 << 28 };

// --- against the trace, or where it has no records of the step those of running it again

static mm_status other_tensor(mm_side *side, const char *path, const mm_trace_record *r, mm_error *error) {
    side->damaged = *r;
    snprintf(side->damaged_tensor, sizeof side->damaged_tensor, "%s", r->tensor);
    side->damaged.tensor = side->damaged_tensor;
    side->damaged.operation = "adamw";
    return mm_fail(error, MM_DIFFERS,
                   "%s: tensor %s is not the one that %s step %lld; the file holds another step's numbers, "
                   "or was changed",
                   path, r->tensor, mm_side_traced(side) ? "the trace has after" : "this machine makes by",
                   (long long)r->step);
}

static mm_status check_tensor(mm_side *side, const mm_trace_step *records, const mm_safetensors *file,
                              const mm_safetensors_entry *entry, unsigned char *bytes, mm_error *error) {
    const char *path = mm_safetensors_path(file);
    const mm_trace_record *r = mm_trace_step_find(records, "adamw", entry->tensor.name);
    if (!r)
        return mm_fail(error, MM_DIFFERS, "%s: tensor %s is not in the records of step %lld", path,
                       entry->tensor.name, (long long)side->steps);
    mm_status status = mm_safetensors_read(file, entry, bytes, error);
    if (status || mm_hash_equal(mm_hash_bytes(bytes, entry->bytes), r->hash)) return status;
    return other_tensor(side, path, r, error);
}

static mm_status check_tensors(mm_side *side, const mm_trace_step *records, const char *folder,
                               const char *name, int expected, mm_error *error) {
    char path[PATH_MAX];
    mm_safetensors *file;
    mm_status status = mm_path_join(path, sizeof path, folder, name, error);
    if (!status) status = mm_safetensors_open(path, &file, error);
    if (status) return status;
    if (mm_safetensors_count(file) != expected)
        status = mm_fail(error, MM_DIFFERS, "%s: holds %d tensors, expected %d", path,
                         mm_safetensors_count(file), expected);
    for (int i = 0; !status && i < mm_safetensors_count(file); i++) {
        const mm_safetensors_entry *entry = mm_safetensors_at(file, i);
        unsigned char *bytes = malloc(entry->bytes + 1);
        status = bytes ? check_tensor(side, records, file, entry, bytes, error)
                       : mm_trouble(error, "%s: out of memory", path);
        free(bytes);
    }
    mm_safetensors_close(file);
    return status;
}

// --- against run.json and metrics.jsonl

static mm_status check_config(const mm_side *side, const char *folder, mm_error *error) {
    char path[PATH_MAX];
    mm_json_document *document;
    mm_status status = mm_path_join(path, sizeof path, folder, "config.json", error);
    if (!status) status = mm_json_read(path, MM_CONFIG_JSON_MOST, &document, error);
    if (status) return status;
    mm_text text = {0};
    mm_json_writer w = mm_json_writer_on(&text, 2);
    mm_json_put_value(&w, mm_json_root(document));
    mm_json_free(document);
    if (text.failed)
        status = mm_trouble(error, "%s: out of memory", path);
    else if (strcmp(text.data, side->facts.model_config) != 0)
        status =
            mm_fail(error, MM_DIFFERS, "%s: is not the model of run.json; one of the two was changed", path);
    mm_text_free(&text);
    return status;
}

static mm_status check_tokenizer(const mm_side *side, const char *folder, mm_error *error) {
    char path[PATH_MAX], *data;
    size_t size;
    mm_status status = mm_path_join(path, sizeof path, folder, "tokenizer.json", error);
    if (!status) status = mm_read_file(path, FILE_LIMIT, &data, &size, error);
    if (status) return status;
    bool same = mm_hash_equal(mm_hash_bytes(data, size), side->facts.data.tokenizer);
    free(data);
    return same ? MM_OK
                : mm_fail(error, MM_DIFFERS,
                          "%s: is not the tokenizer whose hash run.json has; it was changed", path);
}

static mm_status check_state(const mm_side *side, const char *folder, mm_error *error) {
    mm_checkpoint_state state;
    mm_status status = mm_checkpoint_state_read(folder, &state, error);
    if (status) return status;
    const mm_run_facts *f = &side->facts;
    uint64_t position = (uint64_t)side->steps * (uint64_t)f->settings.batch;
    if (state.step != side->steps || state.position != position ||
        (side->has_row && state.tokens != side->tokens))
        return mm_fail(error, MM_DIFFERS,
                       "%s/state.json: says step %lld at sample %llu after %lld tokens, expected step %lld "
                       "at sample %llu after "
                       "%lld tokens; the checkpoint is another step's under a new name, or was changed",
                       folder, (long long)state.step, (unsigned long long)state.position,
                       (long long)state.tokens, (long long)side->steps, (unsigned long long)position,
                       (long long)side->tokens);
    if (state.arithmetic_version == f->arithmetic_version && state.streams_version == f->streams_version)
        return MM_OK;
    return mm_fail(error, MM_DIFFERS, "%s/state.json: says arithmetic %d and streams %d, run.json %d and %d",
                   folder, state.arithmetic_version, state.streams_version, f->arithmetic_version,
                   f->streams_version);
}

mm_status mm_side_check_checkpoint(mm_side *side, const mm_trace_step *records, mm_error *error) {
    char folder[PATH_MAX];
    int tensors = side->facts.initial_count;
    side->damaged =
        (mm_trace_record){.step = side->steps, MM_TRACE_OF_STEP, .operation = "checkpoint", .tensor = ""};
    mm_status status = mm_checkpoint_path(side->path, side->steps, folder, sizeof folder, error);
    if (!status) status = check_state(side, folder, error);
    if (!status) status = check_config(side, folder, error);
    if (!status) status = check_tokenizer(side, folder, error);
    if (!status && records)
        status = check_tensors(side, records, folder, "model.safetensors", tensors, error);
    if (!status && records)
        status = check_tensors(side, records, folder, "optimizer.safetensors", 2 * tensors, error);
    if (!status) side->damaged = (mm_trace_record){0};
    return status;
}

// --- how far apart

typedef struct summing {
    double squares, numbers;
    mm_tensor_distance *out;
} summing;

static void add_tensor(summing *s, const char *name, const float *a, const float *b, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        s->squares += d * d;
        if (d <= s->out->max_abs) continue;
        s->out->max_abs = d;
        snprintf(s->out->tensor, sizeof s->out->tensor, "%s", name);
    }
    s->numbers += (double)n;
}

static bool same_shape(const mm_tensor *a, const mm_tensor *b) {
    return a->dims == b->dims && memcmp(a->shape, b->shape, (size_t)a->dims * sizeof a->shape[0]) == 0;
}

static mm_status add_entry(summing *s, const mm_safetensors *a, const mm_safetensors *b, int i, bool *known,
                           mm_error *error) {
    const mm_safetensors_entry *x = mm_safetensors_at(a, i), *y = mm_safetensors_find(b, x->tensor.name);
    *known = y && x->known && y->known && same_shape(&x->tensor, &y->tensor);
    if (!*known) return MM_OK;
    size_t n = (size_t)mm_tensor_count(&x->tensor);
    float *p = malloc(2 * n * sizeof *p + 1);
    if (!p) return mm_trouble(error, "%s: out of memory", mm_safetensors_path(a));
    mm_status status = mm_safetensors_read_float(a, x, p, error);
    if (!status) status = mm_safetensors_read_float(b, y, p + n, error);
    if (!status) add_tensor(s, x->tensor.name, p, p + n, (int64_t)n);
    free(p);
    return status;
}

static mm_status open_model(const char *run, int64_t step, mm_safetensors **file, mm_error *error) {
    char folder[PATH_MAX], path[PATH_MAX];
    mm_status status = mm_checkpoint_path(run, step, folder, sizeof folder, error);
    if (!status) status = mm_path_join(path, sizeof path, folder, "model.safetensors", error);
    return status ? status : mm_safetensors_open(path, file, error);
}

mm_status mm_checkpoint_distance(const char *run_a, const char *run_b, int64_t step, bool *known,
                                 mm_tensor_distance *out, mm_error *error) {
    mm_safetensors *a = NULL, *b = NULL;
    *out = (mm_tensor_distance){0};
    summing s = {.out = out};
    mm_status status = open_model(run_a, step, &a, error);
    if (!status) status = open_model(run_b, step, &b, error);
    *known = !status && mm_safetensors_count(a) == mm_safetensors_count(b);
    for (int i = 0; !status && *known && i < mm_safetensors_count(a); i++)
        status = add_entry(&s, a, b, i, known, error);
    if (s.numbers > 0) out->rms = sqrt(s.squares / s.numbers);
    mm_safetensors_close(a);
    mm_safetensors_close(b);
    return status;
}
