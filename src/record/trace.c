// The trace's lists, and writing it.
#include "append.h"
#include "trace_cut.h"
#include "trace_line.h"
#include "trace_pack.h"
#include "trace_read.h"
#include <assert.h>
#include <mm/files/publish.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- lists

void mm_trace_list_add(mm_trace_list *list, const mm_trace_record *record) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        mm_trace_record *records = realloc(list->records, capacity * sizeof *records);
        if (!records) {
            list->failed = true;
            return;
        }
        list->records = records;
        list->capacity = capacity;
    }
    list->records[list->count++] = *record;
}

void mm_trace_list_clear(mm_trace_list *list) {
    list->count = 0;
}

void mm_trace_list_free(mm_trace_list *list) {
    free(list->records);
    *list = (mm_trace_list){0};
}

// --- writing

struct mm_trace {
    append_file file;
    trace_members members; // of the step that is being collected
    mm_level level;
    int64_t current; // its number; 0: none
    int64_t step;    // written last
    bool failed;     // a list had no memory
    bool kept;       // there is no file
};

static mm_status begin_new(const char *path, mm_level level, int64_t after, mm_error *error) {
    trace_members m = {0};
    mm_status status = trace_pack_header(&m, level, after, path, error);
    if (!status) status = mm_publish_file(path, m.packed, m.size, error);
    trace_members_free(&m);
    return status;
}

mm_status mm_trace_open(const char *run_path, mm_level level, int64_t keep_steps, mm_trace **out,
                        mm_error *error) {
    mm_trace *t = *out = calloc(1, sizeof *t);
    if (!t) return mm_trouble(error, "%s: out of memory", run_path);
    t->file.fd = -1;
    t->level = level;
    t->step = keep_steps;
    char path[PATH_MAX];
    mm_status status = mm_path_join(path, sizeof path, run_path, MM_TRACE_NAME, error);
    if (!status)
        status = keep_steps && mm_is_file(path) ? trace_cut_back(run_path, path, level, keep_steps, error)
                                                : begin_new(path, level, keep_steps, error);
    if (!status) status = append_open(&t->file, path, error);
    if (!status) return MM_OK;
    mm_trace_close(t);
    *out = NULL;
    return status;
}

mm_status mm_trace_check(const char *run_path, mm_error *error) {
    return append_check(run_path, MM_TRACE_NAME, error);
}

mm_status mm_trace_keep(mm_trace **out, mm_error *error) {
    mm_trace *t = *out = calloc(1, sizeof *t);
    if (!t) return mm_trouble(error, "trace: out of memory");
    snprintf(t->file.path, sizeof t->file.path, "trace");
    t->file.fd = -1;
    t->level = MM_LEVEL_OP;
    t->kept = true;
    return MM_OK;
}

void mm_trace_take(mm_trace *t, mm_text *lines) {
    mm_text_free(lines);
    *lines = t->members.lines;
    t->members.lines = (mm_text){0};
    t->current = 0;
}

// The first record of a step; a header before it if steps are left out.
static void begin_step(mm_trace *t, int64_t step) {
    assert(step > t->step && "steps come in order");
    t->current = step;
    if (t->kept || step == t->step + 1) return;
    mm_error error;
    if (trace_pack_header(&t->members, t->level, step - 1, t->file.path, &error)) t->failed = true;
}

void mm_trace_add(mm_trace *t, const mm_trace_list *lists, size_t count) {
    if (t->level == MM_LEVEL_OFF) return;
    for (size_t i = 0; i < count; i++) {
        t->failed |= lists[i].failed;
        for (size_t j = 0; j < lists[i].count; j++) {
            const mm_trace_record *r = &lists[i].records[j];
            if (!t->current) begin_step(t, r->step);
            assert(r->step == t->current && "one step at a time");
            trace_line_write(&t->members.lines, r);
        }
    }
}

mm_status mm_trace_end_step(mm_trace *t, mm_error *error) {
    trace_members *m = &t->members;
    if (t->failed) return mm_trouble(error, "%s: out of memory; use a coarser --trace", t->file.path);
    if (!m->lines.size) return MM_OK;
    mm_status status = MM_OK;
    if (t->kept && m->lines.failed) status = mm_trouble(error, "trace: out of memory; use a coarser --trace");
    if (!t->kept) status = trace_pack(m, t->file.path, error);
    if (!status && !t->kept) status = trace_flush(m, &t->file, error);
    if (!status) t->step = t->current;
    t->current = 0;
    return status;
}

mm_status mm_trace_sync(mm_trace *t, mm_error *error) {
    return append_sync(&t->file, error);
}

void mm_trace_close(mm_trace *t) {
    if (!t) return;
    append_close(&t->file);
    trace_members_free(&t->members);
    free(t);
}
