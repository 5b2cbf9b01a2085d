#include <mm/files/json.h>
#include <mm/files/publish.h>
#include <mm/record/metrics.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char metrics_name[] = "metrics.jsonl", timing_name[] = "timing.jsonl";
enum { LINE_LIMIT = 1 << 16 };

// One file of lines that is appended to.
typedef struct line_file {
    char path[PATH_MAX];
    int fd;
} line_file;

struct mm_metrics {
    line_file metrics, timing;
    mm_text line;
};

// --- reading lines

typedef struct line_reader {
    char path[PATH_MAX];
    FILE *file;
    char *line;
    size_t capacity;
    int64_t number;
} line_reader;

static mm_status reader_open(line_reader *r, const char *run_path, const char *name, mm_error *error) {
    mm_status status = mm_path_join(r->path, sizeof r->path, run_path, name, error);
    if (status) return status;
    r->file = fopen(r->path, "re");
    return r->file ? MM_OK : mm_trouble_errno(error, r->path, "open it");
}

static void reader_close(line_reader *r) {
    if (r->file) fclose(r->file);
    free(r->line);
}

// The next line without its newline; *whole false if the file ends within it, *size -1 at the end.
static mm_status reader_next(line_reader *r, ssize_t *size, bool *whole, mm_error *error) {
    errno = 0;
    *size = getline(&r->line, &r->capacity, r->file);
    r->number++;
    if (*size < 0) return ferror(r->file) ? mm_trouble_errno(error, r->path, "read it") : MM_OK;
    *whole = r->line[*size - 1] == '\n';
    if (*whole) r->line[--*size] = 0;
    if (*size > LINE_LIMIT)
        return mm_trouble(error, "%s line %lld: %lld bytes, expected at most %d; the file is damaged", r->path,
                          (long long)r->number, (long long)*size, LINE_LIMIT);
    return MM_OK;
}

static mm_status parse_line(const line_reader *r, ssize_t size, mm_json_document **document, mm_error *error) {
    char name[PATH_MAX + 32];
    snprintf(name, sizeof name, "%s line %lld", r->path, (long long)r->number);
    return mm_json_parse(r->line, (size_t)size, name, document, error);
}

static mm_status step_of(const line_reader *r, ssize_t size, int64_t *step, mm_error *error) {
    mm_json_document *document;
    mm_status status = parse_line(r, size, &document, error);
    if (status) return status;
    status = mm_json_need_integer(document, mm_json_root(document), "step", 1, INT64_MAX, step, error);
    mm_json_free(document);
    return status;
}

// --- appending

// Keeps the lines of steps up to keep_steps, which must be there, one a step.
static mm_status cut_back(const char *run_path, const char *name, int64_t keep_steps, mm_error *error) {
    line_reader r = {0};
    mm_text kept = {0};
    mm_status status = reader_open(&r, run_path, name, error);
    int64_t last = 0;
    while (!status && last < keep_steps) {
        ssize_t size;
        bool whole;
        int64_t step = 0;
        status = reader_next(&r, &size, &whole, error);
        if (!status && (size < 0 || !whole))
            status = mm_trouble(error, "%s: ends after step %lld, its checkpoint is of step %lld; the file is damaged",
                                r.path, (long long)last, (long long)keep_steps);
        if (!status) status = step_of(&r, size, &step, error);
        if (!status && step != last + 1)
            status = mm_trouble(error, "%s line %lld: step %lld, expected %lld; the file is damaged", r.path,
                                (long long)r.number, (long long)step, (long long)last + 1);
        if (status) break;
        mm_text_add(&kept, r.line, (size_t)size);
        mm_text_add_string(&kept, "\n");
        last = step;
    }
    if (!status && kept.failed) status = mm_trouble(error, "%s: out of memory", r.path);
    if (!status) status = mm_publish_file(r.path, kept.data ? kept.data : "", kept.size, error);
    reader_close(&r);
    mm_text_free(&kept);
    return status;
}

static mm_status open_file(line_file *f, const char *run_path, const char *name, int64_t keep_steps, mm_error *error) {
    f->fd = -1;
    mm_status status = mm_path_join(f->path, sizeof f->path, run_path, name, error);
    if (!status && (keep_steps || mm_is_file(f->path))) status = cut_back(run_path, name, keep_steps, error);
    if (status) return status;
    f->fd = open(f->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    return f->fd >= 0 ? MM_OK : mm_trouble_errno(error, f->path, "open it for writing");
}

mm_status mm_metrics_open(const char *run_path, int64_t keep_steps, mm_metrics **out, mm_error *error) {
    mm_metrics *m = *out = calloc(1, sizeof *m);
    if (!m) return mm_trouble(error, "%s: out of memory", run_path);
    m->metrics.fd = m->timing.fd = -1;
    mm_status status = open_file(&m->metrics, run_path, metrics_name, keep_steps, error);
    if (!status) status = open_file(&m->timing, run_path, timing_name, keep_steps, error);
    if (!status) return MM_OK;
    mm_metrics_close(m);
    *out = NULL;
    return status;
}

// One write a line, so that a kill leaves whole lines but for the last.
static mm_status append(line_file *f, const mm_text *line, mm_error *error) {
    if (line->failed) return mm_trouble(error, "%s: out of memory", f->path);
    for (size_t done = 0; done < line->size;) {
        ssize_t n = write(f->fd, line->data + done, line->size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return mm_trouble_errno(error, f->path, "write to it (free some space, then --resume)");
        done += (size_t)n;
    }
    return MM_OK;
}

static void put_nonfinite(mm_json_writer *w, const mm_metrics_row *row) {
    if (isfinite(row->loss) && isfinite(row->grad_norm) && (!row->has_val || isfinite(row->val_loss))) return;
    mm_json_put_key(w, "nonfinite");
    mm_json_open_array(w);
    if (!isfinite(row->loss)) mm_json_put_string(w, "loss");
    if (!isfinite(row->grad_norm)) mm_json_put_string(w, "grad_norm");
    if (row->has_val && !isfinite(row->val_loss)) mm_json_put_string(w, "val_loss");
    mm_json_close(w);
}

mm_status mm_metrics_add(mm_metrics *m, const mm_metrics_row *row, const mm_timing_row *timing, mm_error *error) {
    mm_text_clear(&m->line);
    mm_json_writer w = mm_json_writer_on(&m->line, 0);
    mm_json_open_object(&w);
    mm_json_pair_integer(&w, "step", row->step);
    mm_json_pair_double(&w, "loss", row->loss);
    mm_json_pair_double(&w, "lr", row->lr);
    mm_json_pair_double(&w, "grad_norm", row->grad_norm);
    mm_json_pair_integer(&w, "tokens", row->tokens);
    if (row->has_val) mm_json_pair_double(&w, "val_loss", row->val_loss);
    put_nonfinite(&w, row);
    mm_json_close(&w);
    mm_text_add_string(&m->line, "\n");
    mm_status status = append(&m->metrics, &m->line, error);
    if (status) return status;
    mm_text_clear(&m->line);
    w = mm_json_writer_on(&m->line, 0);
    mm_json_open_object(&w);
    mm_json_pair_integer(&w, "step", timing->step);
    mm_json_pair_double(&w, "seconds", timing->seconds);
    mm_json_pair_double(&w, "tokens_per_second", timing->tokens_per_second);
    mm_json_pair_double(&w, "resident_bytes", timing->resident_bytes);
    mm_json_close(&w);
    mm_text_add_string(&m->line, "\n");
    return append(&m->timing, &m->line, error);
}

mm_status mm_metrics_sync(mm_metrics *m, mm_error *error) {
    if (fsync(m->metrics.fd)) return mm_trouble_errno(error, m->metrics.path, "write it to the disk");
    if (fsync(m->timing.fd)) return mm_trouble_errno(error, m->timing.path, "write it to the disk");
    return MM_OK;
}

void mm_metrics_close(mm_metrics *m) {
    if (!m) return;
    if (m->metrics.fd >= 0) close(m->metrics.fd);
    if (m->timing.fd >= 0) close(m->timing.fd);
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

// A number, or null, which stands for one that was not finite.
static mm_status number_of(const mm_json_document *document, const char *key, double *value, mm_error *error) {
    const mm_json *root = mm_json_root(document);
    *value = NAN;
    if (mm_json_get(root, key) && mm_json_kind_of(mm_json_get(root, key)) == MM_JSON_NULL) return MM_OK;
    return mm_json_need_number(document, root, key, -INFINITY, INFINITY, value, error);
}

static mm_status read_row(const mm_json_document *document, mm_metrics_row *row, mm_error *error) {
    const mm_json *root = mm_json_root(document);
    *row = (mm_metrics_row){0};
    mm_status status = mm_json_need_integer(document, root, "step", 1, INT64_MAX, &row->step, error);
    if (!status) status = number_of(document, "loss", &row->loss, error);
    if (!status) status = number_of(document, "lr", &row->lr, error);
    if (!status) status = number_of(document, "grad_norm", &row->grad_norm, error);
    if (!status) status = mm_json_need_integer(document, root, "tokens", 0, INT64_MAX, &row->tokens, error);
    row->has_val = mm_json_get(root, "val_loss") != NULL;
    if (!status && row->has_val) status = number_of(document, "val_loss", &row->val_loss, error);
    return status;
}

mm_status mm_metrics_reader_next(mm_metrics_reader *r, mm_metrics_row *row, bool *more, mm_error *error) {
    ssize_t size;
    bool whole = false;
    *more = false;
    mm_status status = reader_next(&r->lines, &size, &whole, error);
    if (status || size < 0) return status;
    if (!whole)
        return mm_trouble(error, "%s line %lld: the file ends within the line; it is damaged, or still being written",
                          r->lines.path, (long long)r->lines.number);
    mm_json_document *document;
    status = parse_line(&r->lines, size, &document, error);
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
