#include "append.h"
#include <math.h>
#include <mm/files/json.h>
#include <mm/files/publish.h>
#include <mm/record/metrics.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char metrics_name[] = "metrics.jsonl", timing_name[] = "timing.jsonl";
enum { LINE_LIMIT = 4096 };

// --- reading lines

typedef struct line_reader {
    char path[PATH_MAX];
    FILE *file;
    char line[LINE_LIMIT]; // without its newline
    size_t size;
    int64_t number; // of the line, from 1
    uint64_t end;   // of the line, in the file
} line_reader;

static mm_status reader_open(line_reader *r, const char *run_path, const char *name, mm_error *error) {
    mm_status status = mm_path_join(r->path, sizeof r->path, run_path, name, error);
    if (status) return status;
    return mm_open_stream(r->path, &r->file, error);
}

static void reader_close(line_reader *r) {
    if (r->file) fclose(r->file);
    r->file = NULL;
}

static mm_status damaged(const line_reader *r, const char *what, mm_error *error) {
    return mm_trouble(error, "%s line %lld: %s; the file is damaged, or still being written", r->path,
                      (long long)r->number, what);
}

// The next line; *more false at the end, which must be at the end of a line.
static mm_status reader_next(line_reader *r, bool *more, mm_error *error) {
    int c;
    *more = false;
    r->size = 0;
    r->number++;
    while ((c = getc_unlocked(r->file)) != EOF && c != '\n') {
        if (r->size == LINE_LIMIT) {
            char what[80];
            snprintf(what, sizeof what, "found more than %d bytes, expected the line's end", LINE_LIMIT);
            return damaged(r, what, error);
        }
        r->line[r->size++] = (char)c;
    }
    if (ferror(r->file)) return mm_trouble_errno(error, r->path, "read it");
    if (c == EOF && r->size) return damaged(r, "the file ends within the line", error);
    *more = c != EOF;
    r->end += r->size + 1;
    return MM_OK;
}

// Parses the line, whose step must be `expected`: there is a line a step.
static mm_status parse_line(const line_reader *r, int64_t expected, mm_json_document **document,
                            mm_error *error) {
    char name[PATH_MAX + 32];
    int64_t step;
    snprintf(name, sizeof name, "%s line %lld", r->path, (long long)r->number);
    mm_status status = mm_json_parse(r->line, r->size, name, document, error);
    if (status) return status;
    status =
        mm_json_need_integer(*document, mm_json_root(*document), "step", expected, expected, &step, error);
    if (!status) return MM_OK;
    mm_json_free(*document);
    *document = NULL;
    return status;
}

// --- appending

struct mm_metrics {
    append_file metrics, timing;
    mm_text line;
};

// Where the line of step `keep` ends. What follows is not looked at: it may be cut.
static mm_status find_end(line_reader *r, int64_t keep, mm_error *error) {
    for (int64_t step = 1; step <= keep; step++) {
        bool more;
        mm_json_document *document;
        mm_status status = reader_next(r, &more, error);
        if (!status && !more)
            status = mm_trouble(
                error,
                "%s: ends after step %lld, expected the steps up to the checkpoint's, %lld; it was cut",
                r->path, (long long)step - 1, (long long)keep);
        if (!status) status = parse_line(r, step, &document, error);
        if (status) return status;
        mm_json_free(document);
    }
    return MM_OK;
}

// *end: of the line of step `keep`, in the file.
static mm_status measure(const char *run_path, const char *name, int64_t keep, uint64_t *end,
                         mm_error *error) {
    *end = 0;
    if (!keep) return MM_OK;
    line_reader *r = calloc(1, sizeof *r);
    if (!r) return mm_trouble(error, "%s: out of memory", run_path);
    mm_status status = reader_open(r, run_path, name, error);
    if (!status) status = find_end(r, keep, error);
    *end = r->end;
    reader_close(r);
    free(r);
    return status;
}

// Cut back in place: that needs no room on a full disk, is done or not done, and done twice is the same.
static mm_status open_file(append_file *file, const char *run_path, const char *name, uint64_t end,
                           mm_error *error) {
    char path[PATH_MAX];
    mm_status status = mm_path_join(path, sizeof path, run_path, name, error);
    if (!status) status = append_open(file, path, error);
    if (!status) status = append_cut(file, end, error);
    return status ? status : append_sync(file, error);
}

static mm_status measure_both(const char *run_path, int64_t keep, uint64_t end[2], mm_error *error) {
    mm_status status = measure(run_path, metrics_name, keep, &end[0], error);
    return status ? status : measure(run_path, timing_name, keep, &end[1], error);
}

mm_status mm_metrics_check(const char *run_path, int64_t keep_steps, mm_error *error) {
    uint64_t end[2];
    mm_status status = measure_both(run_path, keep_steps, end, error);
    if (!status) status = append_check(run_path, metrics_name, error);
    return status ? status : append_check(run_path, timing_name, error);
}

mm_status mm_metrics_open(const char *run_path, int64_t keep_steps, mm_metrics **out, mm_error *error) {
    mm_metrics *m = *out = calloc(1, sizeof *m);
    if (!m) return mm_trouble(error, "%s: out of memory", run_path);
    m->metrics.fd = m->timing.fd = -1;
    uint64_t end[2];
    mm_status status = measure_both(run_path, keep_steps, end, error);
    if (!status) status = open_file(&m->metrics, run_path, metrics_name, end[0], error);
    if (!status) status = open_file(&m->timing, run_path, timing_name, end[1], error);
    if (!status) return MM_OK;
    mm_metrics_close(m);
    *out = NULL;
    return status;
}

// A number of a line; one that is not finite is null there, and named under "nonfinite".
typedef struct metric {
    const char *key;
    double value;
} metric;

static void put_numbers(mm_json_writer *w, const metric *numbers, int count) {
    for (int i = 0; i < count; i++) mm_json_pair_double(w, numbers[i].key, numbers[i].value);
}

// `spoiled`: what the line does not show, the update's numbers.
static void put_nonfinite(mm_json_writer *w, const metric *numbers, int count, bool spoiled) {
    bool any = spoiled;
    for (int i = 0; i < count; i++) any |= !isfinite(numbers[i].value);
    if (!any) return;
    mm_json_put_key(w, "nonfinite");
    mm_json_open_array(w);
    for (int i = 0; i < count; i++)
        if (!isfinite(numbers[i].value)) mm_json_put_string(w, numbers[i].key);
    if (spoiled) mm_json_put_string(w, "update");
    mm_json_close(w);
}

static mm_status add_line(append_file *file, mm_text *line, mm_error *error) {
    mm_text_add_string(line, "\n");
    if (line->failed) return mm_trouble(error, "%s: out of memory", file->path);
    return append_add(file, line->data, line->size, error);
}

static mm_status add_row(mm_metrics *m, const mm_metrics_row *row, mm_error *error) {
    const metric before[] = {{"loss", row->loss}, {"lr", row->lr}, {"grad_norm", row->grad_norm}};
    const metric all[] = {before[0], before[1], before[2], {"val_loss", row->val_loss}};
    mm_text_clear(&m->line);
    mm_json_writer w = mm_json_writer_on(&m->line, 0);
    mm_json_open_object(&w);
    mm_json_pair_integer(&w, "step", row->step);
    put_numbers(&w, before, 3);
    mm_json_pair_integer(&w, "tokens", row->tokens);
    if (row->has_val) put_numbers(&w, all + 3, 1);
    put_nonfinite(&w, all, row->has_val ? 4 : 3, row->spoiled);
    mm_json_close(&w);
    return add_line(&m->metrics, &m->line, error);
}

static mm_status add_timing(mm_metrics *m, const mm_timing_row *row, mm_error *error) {
    const metric numbers[] = {{"seconds", row->seconds},
                              {"tokens_per_second", row->tokens_per_second},
                              {"resident_bytes", row->resident_bytes}};
    mm_text_clear(&m->line);
    mm_json_writer w = mm_json_writer_on(&m->line, 0);
    mm_json_open_object(&w);
    mm_json_pair_integer(&w, "step", row->step);
    put_numbers(&w, numbers, 3);
    put_nonfinite(&w, numbers, 3, false);
    mm_json_close(&w);
    return add_line(&m->timing, &m->line, error);
}

mm_status mm_metrics_add(mm_metrics *m, const mm_metrics_row *row, const mm_timing_row *timing,
                         mm_error *error) {
    mm_status status = add_row(m, row, error);
    return status ? status : add_timing(m, timing, error);
}

mm_status mm_metrics_sync(mm_metrics *m, mm_error *error) {
    mm_status status = append_sync(&m->metrics, error);
    return status ? status : append_sync(&m->timing, error);
}

void mm_metrics_close(mm_metrics *m) {
    if (!m) return;
    append_close(&m->metrics);
    append_close(&m->timing);
    mm_text_free(&m->line);
    free(m);
}

// --- reading rows

struct mm_metrics_reader {
    line_reader lines;
};

mm_status mm_metrics_reader_open(const char *run_path, mm_metrics_reader **out, mm_error *error) {
    mm_metrics_reader *r = *out = calloc(1, sizeof *r);
    if (!r) return mm_trouble(error, "%s: out of memory", run_path);
    mm_status status = reader_open(&r->lines, run_path, metrics_name, error);
    if (!status) return MM_OK;
    mm_metrics_reader_close(r);
    *out = NULL;
    return status;
}

static bool is_named(const mm_json *array, const char *key) {
    for (size_t i = 0; i < mm_json_size(array); i++) {
        const char *name = mm_json_string(mm_json_at(array, i), NULL);
        if (name && strcmp(name, key) == 0) return true;
    }
    return false;
}

// A number, or NaN for a null that "nonfinite" names.
static mm_status number_of(const mm_json_document *document, const char *key, double *value,
                           mm_error *error) {
    const mm_json *root = mm_json_root(document), *found = mm_json_get(root, key);
    bool named = is_named(mm_json_get(root, "nonfinite"), key);
    *value = NAN;
    if (named && found && mm_json_kind_of(found) == MM_JSON_NULL) return MM_OK;
    if (named)
        return mm_trouble(error, "%s: \"nonfinite\" names \"%s\", which is not null; the line is damaged",
                          mm_json_name(document), key);
    return mm_json_need_number(document, root, key, -INFINITY, INFINITY, value, error);
}

static mm_status read_row(const mm_json_document *document, mm_metrics_row *row, mm_error *error) {
    const mm_json *root = mm_json_root(document);
    *row = (mm_metrics_row){.step = mm_json_integer(mm_json_get(root, "step"))};
    mm_status status = number_of(document, "loss", &row->loss, error);
    if (!status) status = number_of(document, "lr", &row->lr, error);
    if (!status) status = number_of(document, "grad_norm", &row->grad_norm, error);
    if (!status) status = mm_json_need_integer(document, root, "tokens", 0, INT64_MAX, &row->tokens, error);
    row->spoiled = is_named(mm_json_get(root, "nonfinite"), "update");
    row->has_val = mm_json_get(root, "val_loss") != NULL;
    if (!status && row->has_val) status = number_of(document, "val_loss", &row->val_loss, error);
    return status;
}

mm_status mm_metrics_reader_next(mm_metrics_reader *r, mm_metrics_row *row, bool *more, mm_error *error) {
    mm_json_document *document;
    mm_status status = reader_next(&r->lines, more, error);
    if (status || !*more) return status;
    *more = false;
    status = parse_line(&r->lines, r->lines.number, &document, error);
    if (status) return status;
    status = read_row(document, row, error);
    mm_json_free(document);
    *more = !status;
    return status;
}

void mm_metrics_reader_close(mm_metrics_reader *r) {
    if (!r) return;
    reader_close(&r->lines);
    free(r);
}
