#include "trace_line.h"
#include <assert.h>
#include <limits.h>
#include <mm/files/publish.h>
#include <mm/record/trace_step.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mm_trace_step_free(mm_trace_step *step) {
    mm_text_free(&step->text);
    free(step->records);
    *step = (mm_trace_step){0};
}

// --- reading steps

struct mm_trace_steps {
    char path[PATH_MAX];
    mm_trace_reader *reader;
    const char *line; // the first of the next step, the reader's
    size_t size;
};

static const char step_key[] = "{\"step\":";

static int64_t step_of(const char *line, size_t size) {
    size_t key = sizeof step_key - 1;
    if (size <= key || memcmp(line, step_key, key) != 0) return -1;
    int64_t step = 0;
    for (const char *c = line + key; *c >= '0' && *c <= '9' && step < INT64_MAX / 20; c++)
        step = step * 10 + (*c - '0');
    return step;
}

static mm_status next_line(mm_trace_steps *s, mm_error *error) {
    return mm_trace_reader_line(s->reader, &s->line, &s->size, error);
}

mm_status mm_trace_steps_open(const char *run_path, mm_trace_steps **out, mm_error *error) {
    mm_trace_steps *s = *out = calloc(1, sizeof *s);
    if (!s) return mm_trouble(error, "%s: out of memory", run_path);
    mm_status status = mm_path_join(s->path, sizeof s->path, run_path, MM_TRACE_NAME, error);
    if (!status && !mm_is_file(s->path)) {
        mm_trace_steps_close(s);
        *out = NULL;
        return MM_OK;
    }
    if (!status) status = mm_trace_reader_open(run_path, &s->reader, error);
    if (!status) status = next_line(s, error);
    if (!status) return MM_OK;
    mm_trace_steps_close(s);
    *out = NULL;
    return status;
}

void mm_trace_steps_close(mm_trace_steps *s) {
    if (!s) return;
    mm_trace_reader_close(s->reader);
    free(s);
}

const char *mm_trace_steps_path(const mm_trace_steps *s) {
    return s->path;
}

mm_level mm_trace_steps_level(const mm_trace_steps *s) {
    return mm_trace_reader_level(s->reader);
}

mm_status mm_trace_steps_next(mm_trace_steps *s, mm_trace_step *step, mm_error *error) {
    step->step = 0;
    step->count = 0;
    mm_text_clear(&step->text);
    if (!s->line) return MM_OK;
    int64_t number = step_of(s->line, s->size);
    step->line = mm_trace_reader_number(s->reader);
    step->level = mm_trace_reader_level(s->reader);
    mm_status status = MM_OK;
    while (!status && s->line && step_of(s->line, s->size) == number) {
        mm_text_add(&step->text, s->line, s->size);
        mm_text_add(&step->text, "\n", 1);
        status = next_line(s, error);
    }
    if (!status && step->text.failed) status = mm_trouble(error, "%s: out of memory", s->path);
    step->step = number;
    return status;
}

bool mm_trace_step_same(const mm_trace_step *a, const mm_trace_step *b) {
    return a->text.size == b->text.size &&
           (a->text.size == 0 || memcmp(a->text.data, b->text.data, a->text.size) == 0);
}

// --- one line, as the writer makes it

static bool eat(char **at, const char *text) {
    size_t n = strlen(text);
    if (strncmp(*at, text, n) != 0) return false;
    *at += n;
    return true;
}

static bool eat_number(char **at, int64_t *out) {
    int64_t number = 0;
    char *c = *at;
    for (; *c >= '0' && *c <= '9' && number < INT64_MAX / 20; c++) number = number * 10 + (*c - '0');
    if (c == *at || (**at == '0' && c - *at > 1)) return false;
    *at = c;
    *out = number;
    return true;
}

// Up to the closing quote, whose place takes the string's end. Names are of ASCII.
static bool eat_string(char **at, const char **out) {
    char *c = *at;
    while (*c >= ' ' && *c <= '~' && *c != '"' && *c != '\\') c++;
    if (*c != '"') return false;
    *out = *at;
    *c = 0;
    *at = c + 1;
    return true;
}

static bool eat_int(char **at, int *out) {
    int64_t number;
    if (!eat_number(at, &number) || number > INT_MAX) return false;
    *out = (int)number;
    return true;
}

static bool eat_place(char **at, mm_trace_record *r) {
    if (!eat(at, step_key) || !eat_number(at, &r->step)) return false;
    if (eat(at, ",\"pass\":\"")) {
        r->pass = eat(at, "forward\"")    ? MM_PASS_FORWARD
                  : eat(at, "backward\"") ? MM_PASS_BACKWARD
                                          : MM_PASS_NONE;
        if (!r->pass) return false;
    }
    if (eat(at, ",\"leaf\":") && !(eat_number(at, &r->leaf) && trace_leaf_fits(r->leaf))) return false;
    if (eat(at, ",\"node\":[") &&
        !(eat_int(at, &r->node_level) && eat(at, ",") && eat_number(at, &r->node_index) &&
          trace_node_fits(r->node_level, r->node_index) && eat(at, "]")))
        return false;
    if (eat(at, ",\"rank\":") && !eat_int(at, &r->rank)) return false;
    return !eat(at, ",\"layer\":") || eat_int(at, &r->layer);
}

static bool eat_shape(char **at, mm_trace_record *r) {
    if (!eat(at, ",\"shape\":[")) return false;
    while (!eat(at, "]")) {
        if (r->dims == MM_MAX_DIMS || (r->dims && !eat(at, ","))) return false;
        if (!eat_number(at, &r->shape[r->dims++])) return false;
    }
    return true;
}

static bool eat_record(char *at, mm_trace_record *r) {
    const char *hash;
    *r = (mm_trace_record){MM_TRACE_OF_STEP};
    if (!eat_place(&at, r) || !eat(&at, ",\"op\":\"") || !eat_string(&at, &r->operation)) return false;
    if (!eat(&at, ",\"io\":\"")) return false;
    r->output = eat(&at, "out\"");
    if (!r->output && !eat(&at, "in\"")) return false;
    if (!eat(&at, ",\"tensor\":\"") || !eat_string(&at, &r->tensor) || !eat_shape(&at, r)) return false;
    if (!eat(&at, ",\"xxh128\":\"") || !eat_string(&at, &hash)) return false;
    return strlen(hash) == MM_HASH_TEXT - 1 && mm_hash_parse(hash, &r->hash) && strcmp(at, "}") == 0;
}

static mm_trace_record *add_record(mm_trace_step *step) {
    if (step->count == step->capacity) {
        size_t capacity = step->capacity ? 2 * step->capacity : 1024;
        mm_trace_record *records = realloc(step->records, capacity * sizeof *records);
        if (!records) return NULL;
        step->records = records;
        step->capacity = capacity;
    }
    return &step->records[step->count++];
}

mm_status mm_trace_step_parse(mm_trace_step *step, const char *name, mm_error *error) {
    step->count = 0;
    for (char *line = step->text.data; line && *line;) {
        char *end = strchr(line, '\n');
        assert(end);
        *end = 0;
        mm_trace_record *r = add_record(step);
        if (!r) return mm_trouble(error, "%s: step %lld: out of memory", name, (long long)step->step);
        if (!eat_record(line, r))
            return mm_trouble(error, "%s: step %lld, record %zu: not as mm writes it; the trace is damaged",
                              name, (long long)step->step, step->count);
        line = end + 1;
    }
    return MM_OK;
}

static bool one_of(const char *name, const char *const *names) {
    for (; *names; names++)
        if (strcmp(name, *names) == 0) return true;
    return false;
}

mm_level mm_trace_step_level(const mm_trace_step *step) {
    static const char *const of_step[] = {"batch", "loss", "gradient", "merge", "norm", "adamw", NULL};
    static const char *const of_layer[] = {"embedding_dropout", "layer", "norm", NULL};
    mm_level level = MM_LEVEL_STEP;
    for (size_t i = 0; i < step->count; i++) {
        const mm_trace_record *r = &step->records[i];
        if (one_of(r->operation, of_step) && (r->pass == MM_PASS_NONE || r->leaf < 0)) continue;
        if (!one_of(r->operation, of_layer)) return MM_LEVEL_OP;
        level = MM_LEVEL_LAYER;
    }
    return level;
}

const mm_trace_record *mm_trace_step_find(const mm_trace_step *step, const char *operation,
                                          const char *tensor) {
    for (size_t i = step->count; i-- > 0;) {
        const mm_trace_record *r = &step->records[i];
        if (r->leaf < 0 && r->node_level < 0 && strcmp(r->operation, operation) == 0 &&
            strcmp(r->tensor, tensor) == 0)
            return r;
    }
    return NULL;
}
