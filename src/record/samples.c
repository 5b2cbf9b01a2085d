#include "append.h"
#include <mm/files/json.h>
#include <mm/files/publish.h>
#include <mm/record/samples.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_LIMIT = 1 << 30 };
static const char samples_name[] = "samples.jsonl";

struct mm_samples {
    append_file file;
    mm_text line;
};

static mm_status read_step(const char *path, int64_t number, const char *line, size_t size, int64_t *step,
                           mm_error *error) {
    char name[PATH_MAX + 32];
    mm_json_document *document;
    snprintf(name, sizeof name, "%s line %lld", path, (long long)number);
    mm_status status = mm_json_parse(line, size, name, &document, error);
    if (status) return status;
    status = mm_json_need_integer(document, mm_json_root(document), "step", 1, INT64_MAX, step, error);
    mm_json_free(document);
    return status;
}

// Where the last line of a step up to `keep` ends. What follows is not looked at: it may be cut.
static mm_status find_end(const char *path, int64_t keep, uint64_t *end, mm_error *error) {
    char *data, *newline;
    size_t size, at = 0;
    *end = 0;
    if (keep == 0 || !mm_is_file(path)) return MM_OK;
    mm_status status = mm_read_file(path, FILE_LIMIT, &data, &size, error);
    if (status) return status;
    for (int64_t number = 1; !status && (newline = memchr(data + at, '\n', size - at)); number++) {
        int64_t step = 0;
        status = read_step(path, number, data + at, (size_t)(newline - data) - at, &step, error);
        if (status || step > keep) break;
        at = (size_t)(newline - data) + 1;
    }
    *end = at;
    free(data);
    return status;
}

mm_status mm_samples_check(const char *run_path, int64_t keep_step, mm_error *error) {
    char path[PATH_MAX];
    uint64_t end;
    mm_status status = mm_path_join(path, sizeof path, run_path, samples_name, error);
    if (!status) status = find_end(path, keep_step, &end, error);
    return status ? status : append_check(run_path, samples_name, error);
}

mm_status mm_samples_open(const char *run_path, int64_t keep_step, mm_samples **out, mm_error *error) {
    char path[PATH_MAX];
    uint64_t end = 0;
    mm_samples *s = *out = calloc(1, sizeof *s);
    if (!s) return mm_trouble(error, "%s: out of memory", run_path);
    s->file.fd = -1;
    mm_status status = mm_path_join(path, sizeof path, run_path, samples_name, error);
    if (!status) status = find_end(path, keep_step, &end, error);
    if (!status) status = append_open(&s->file, path, error);
    if (!status) status = append_cut(&s->file, end, error);
    if (!status) return MM_OK;
    mm_samples_close(s);
    *out = NULL;
    return status;
}

mm_status mm_samples_add(mm_samples *s, const mm_sample_row *row, mm_error *error) {
    mm_text_clear(&s->line);
    mm_json_writer w = mm_json_writer_on(&s->line, 0);
    mm_json_open_object(&w);
    mm_json_pair_integer(&w, "step", row->step);
    mm_json_put_key(&w, "prompt");
    mm_json_put_string_n(&w, row->prompt, row->prompt_size);
    mm_json_put_key(&w, "text");
    mm_json_put_string_n(&w, row->text, row->text_size);
    mm_json_close(&w);
    mm_text_add_string(&s->line, "\n");
    if (s->line.failed) return mm_trouble(error, "%s: out of memory", s->file.path);
    return append_add(&s->file, s->line.data, s->line.size, error);
}

void mm_samples_close(mm_samples *s) {
    if (!s) return;
    append_close(&s->file);
    mm_text_free(&s->line);
    free(s);
}
