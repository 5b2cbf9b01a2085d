#include "trace_read.h"
#include "trace_line.h"
#include <limits.h>
#include <mm/files/bgzf.h>
#include <mm/files/publish.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// HEADERS_MOST: headers without a record between them. mm writes a few at most; more would only let a small
// file grow, since each becomes a gzip member of its own when a trace is cut back.
enum { PIECE = 1 << 16, LINE_LIMIT = 1 << 16, HEADERS_MOST = 256 };
// Most bytes of a step, which readers hold whole: at least STEP_BYTES, and STEP_RATIO for each byte of the
// file so far. Hashes hardly shrink, so a step that is packed more tightly was not written by mm.
enum { STEP_BYTES = 1 << 24, STEP_RATIO = 64 };

struct mm_trace_reader {
    char path[PATH_MAX];
    mm_gzin *in;
    trace_position at;
    bool inside; // a record of that step has been read
    int headers; // since the last record
    uint64_t step_bytes;
    char *buffer; // LINE_LIMIT + PIECE
    size_t begin, end;
    bool ended;
    int64_t line;
    mm_json_document *document;
};

const trace_position *trace_reader_position(const mm_trace_reader *r) {
    return &r->at;
}

static mm_status damaged(const mm_trace_reader *r, const char *what, mm_error *error) {
    return mm_trouble(error, "%s line %lld: %s; the trace is damaged", r->path, (long long)r->line, what);
}

static mm_status fill(mm_trace_reader *r, mm_error *error) {
    memmove(r->buffer, r->buffer + r->begin, r->end - r->begin);
    r->end -= r->begin;
    r->begin = 0;
    if (r->end > LINE_LIMIT) {
        char what[80];
        snprintf(what, sizeof what, "found a line of more than %d bytes after it", LINE_LIMIT);
        return damaged(r, what, error);
    }
    size_t got;
    mm_status status = mm_gzin_read(r->in, r->buffer + r->end, PIECE, &got, error);
    if (status) return status;
    r->end += got;
    r->ended = got == 0;
    return MM_OK;
}

// The next line, ended by a NUL in place of its newline, in the reader's buffer; NULL at the end.
static mm_status next_line(mm_trace_reader *r, char **line, size_t *size, mm_error *error) {
    *line = NULL;
    *size = 0;
    char *newline;
    while (!(newline = memchr(r->buffer + r->begin, '\n', r->end - r->begin)) && !r->ended) {
        mm_status status = fill(r, error);
        if (status) return status;
    }
    if (!newline)
        return r->begin == r->end ? MM_OK : damaged(r, "the trace ends within the line after it", error);
    *line = r->buffer + r->begin;
    *size = (size_t)(newline - *line);
    *newline = 0;
    r->begin += *size + 1;
    r->line++;
    if (memchr(*line, 0, *size)) return damaged(r, "found a zero byte", error);
    return MM_OK;
}

static mm_status parse(mm_trace_reader *r, const char *line, size_t size, mm_error *error) {
    char name[PATH_MAX + 32];
    snprintf(name, sizeof name, "%s line %lld", r->path, (long long)r->line);
    mm_json_free(r->document);
    r->document = NULL;
    return mm_json_parse(line, size, name, &r->document, error);
}

static mm_status take_header(mm_trace_reader *r, const char *line, size_t size, mm_error *error) {
    trace_header header;
    mm_status status = parse(r, line, size, error);
    if (!status) status = trace_header_read(r->document, &header, error);
    if (status) return status;
    if (r->line > 1 && header.after < r->at.step)
        return damaged(r, "a header leads back to an earlier step", error);
    if (++r->headers > HEADERS_MOST) return damaged(r, "found more headers in a row than mm writes", error);
    r->at.level = header.level;
    r->at.step = header.after;
    r->inside = false;
    return MM_OK;
}

static mm_status take_record(mm_trace_reader *r, int64_t step, size_t size, mm_error *error) {
    bool fits = step == r->at.step + 1 || (step == r->at.step && r->inside);
    if (r->at.level == MM_LEVEL_OFF || !fits) {
        char what[160];
        snprintf(what, sizeof what, "found a record of step %lld after step %lld", (long long)step,
                 (long long)r->at.step);
        return damaged(r, what, error);
    }
    r->step_bytes = (step == r->at.step ? r->step_bytes : 0) + size;
    r->at.step = step;
    r->inside = true;
    r->headers = 0;
    if (r->step_bytes > STEP_BYTES + STEP_RATIO * mm_gzin_position(r->in))
        return damaged(r, "found more records of one step than the file can hold as mm writes it", error);
    return MM_OK;
}

mm_status trace_reader_any(mm_trace_reader *r, const char **line, size_t *size, bool *header,
                           mm_error *error) {
    char *found;
    int64_t step;
    *line = NULL;
    *header = false;
    mm_status status = next_line(r, &found, size, error);
    if (status || !found) return status;
    *header = r->line == 1 || !trace_line_peek(found, &step);
    status = *header ? take_header(r, found, *size, error) : take_record(r, step, *size, error);
    if (!status) *line = found;
    return status;
}

mm_status mm_trace_reader_open(const char *run_path, mm_trace_reader **out, mm_error *error) {
    mm_trace_reader *r = *out = calloc(1, sizeof *r);
    if (!r) return mm_trouble(error, "%s: out of memory", run_path);
    const char *line = NULL;
    size_t size;
    bool header;
    mm_status status = mm_path_join(r->path, sizeof r->path, run_path, MM_TRACE_NAME, error);
    r->buffer = malloc(LINE_LIMIT + PIECE);
    if (!status && !r->buffer) status = mm_trouble(error, "%s: out of memory", r->path);
    if (!status) status = mm_gzin_open(r->path, &r->in, error);
    if (!status) status = trace_reader_any(r, &line, &size, &header, error);
    if (!status && !line)
        status = mm_trouble(error, "%s: found an empty file, expected a trace's header", r->path);
    if (!status) return MM_OK;
    mm_trace_reader_close(r);
    *out = NULL;
    return status;
}

mm_level mm_trace_reader_level(const mm_trace_reader *r) {
    return r->at.level;
}

int64_t mm_trace_reader_number(const mm_trace_reader *r) {
    return r->line;
}

mm_status mm_trace_reader_line(mm_trace_reader *r, const char **line, size_t *size, mm_error *error) {
    bool header;
    mm_status status;
    do status = trace_reader_any(r, line, size, &header, error);
    while (!status && header);
    return status;
}

void mm_trace_reader_close(mm_trace_reader *r) {
    if (!r) return;
    mm_json_free(r->document);
    mm_gzin_close(r->in);
    free(r->buffer);
    free(r);
}
