#include "trace_line.h"
#include <mm/files/bgzf.h>
#include <mm/files/publish.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A member's raw bytes are bounded, so that a reader's memory is.
enum { GZIP_LEVEL = 1, MEMBER_BYTES = 1 << 22, PIECE = 1 << 16, LINE_LIMIT = 1 << 16 };
static const char trace_name[] = "trace.jsonl.gz";
static const char *const level_names[] = {"off", "step", "layer", "op"};

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

void mm_trace_list_clear(mm_trace_list *list) { list->count = 0; }

void mm_trace_list_free(mm_trace_list *list) {
    free(list->records);
    *list = (mm_trace_list){0};
}

// --- reading

struct mm_trace_reader {
    char path[PATH_MAX];
    mm_gzin *in;
    mm_level level;
    char *buffer; // LINE_LIMIT + PIECE
    size_t begin, end;
    bool ended;
    int64_t line;
    mm_json_document *document;
};

// The next line, without its newline, in the reader's buffer; NULL at the end. A line cut by the end is damage.
static mm_status next_line(mm_trace_reader *r, char **line, size_t *size, mm_error *error) {
    *line = NULL;
    for (;;) {
        char *newline = memchr(r->buffer + r->begin, '\n', r->end - r->begin);
        if (newline) {
            *line = r->buffer + r->begin;
            *size = (size_t)(newline - *line);
            *newline = 0;
            r->begin = (size_t)(newline - r->buffer) + 1;
            r->line++;
            return MM_OK;
        }
        if (r->ended) break;
        memmove(r->buffer, r->buffer + r->begin, r->end - r->begin);
        r->end -= r->begin;
        r->begin = 0;
        if (r->end > LINE_LIMIT)
            return mm_trouble(error, "%s line %lld: longer than %d bytes; the trace is damaged", r->path,
                              (long long)r->line + 1, LINE_LIMIT);
        size_t got;
        mm_status status = mm_gzin_read(r->in, r->buffer + r->end, PIECE, &got, error);
        if (status) return status;
        r->end += got;
        r->ended = got == 0;
    }
    if (r->begin == r->end) return MM_OK;
    return mm_trouble(error, "%s line %lld: the trace ends within the line; it is damaged", r->path,
                      (long long)r->line + 1);
}

static mm_status parse(mm_trace_reader *r, const char *line, size_t size, mm_error *error) {
    char name[PATH_MAX + 32];
    snprintf(name, sizeof name, "%s line %lld", r->path, (long long)r->line);
    mm_json_free(r->document);
    r->document = NULL;
    return mm_json_parse(line, size, name, &r->document, error);
}

static mm_status read_header(mm_trace_reader *r, mm_error *error) {
    char *line;
    size_t size;
    mm_status status = next_line(r, &line, &size, error);
    if (status) return status;
    if (!line) return mm_trouble(error, "%s: empty, expected a trace's header", r->path);
    status = parse(r, line, size, error);
    if (status) return status;
    const mm_json *root = mm_json_root(r->document);
    const char *format, *level;
    int64_t version;
    status = mm_json_need_string(r->document, root, "format", &format, error);
    if (!status) status = mm_json_need_integer(r->document, root, "version", 1, 1, &version, error);
    if (!status) status = mm_json_need_string(r->document, root, "level", &level, error);
    if (status) return status;
    for (mm_level l = MM_LEVEL_STEP; l <= MM_LEVEL_OP; l++)
        if (strcmp(level, level_names[l]) == 0) r->level = l;
    if (strcmp(format, "mm-trace") == 0 && r->level != MM_LEVEL_OFF) return MM_OK;
    return mm_trouble(error, "%s: format \"%s\", level \"%s\"; expected a trace of mm", r->path, format, level);
}

mm_status mm_trace_reader_open(const char *run_path, mm_trace_reader **out, mm_error *error) {
    mm_trace_reader *r = *out = calloc(1, sizeof *r);
    if (!r) return mm_trouble(error, "%s: out of memory", run_path);
    mm_status status = mm_path_join(r->path, sizeof r->path, run_path, trace_name, error);
    r->buffer = malloc(LINE_LIMIT + PIECE + 1);
    if (!status && !r->buffer) status = mm_trouble(error, "%s: out of memory", r->path);
    if (!status) status = mm_gzin_open(r->path, &r->in, error);
    if (!status) status = read_header(r, error);
    if (!status) return MM_OK;
    mm_trace_reader_close(r);
    *out = NULL;
    return status;
}

mm_level mm_trace_reader_level(const mm_trace_reader *r) { return r->level; }

mm_status mm_trace_reader_line(mm_trace_reader *r, const char **line, size_t *size, mm_error *error) {
    char *found;
    mm_status status = next_line(r, &found, size, error);
    *line = found;
    return status;
}

mm_status mm_trace_reader_parse(mm_trace_reader *r, const char *line, size_t size, mm_trace_record *record,
                                mm_error *error) {
    mm_status status = parse(r, line, size, error);
    return status ? status : trace_line_read(r->document, record, error);
}

mm_status mm_trace_reader_next(mm_trace_reader *r, mm_trace_record *record, bool *more, mm_error *error) {
    const char *line;
    size_t size;
    *more = false;
    mm_status status = mm_trace_reader_line(r, &line, &size, error);
    if (status || !line) return status;
    status = mm_trace_reader_parse(r, line, size, record, error);
    *more = !status;
    return status;
}

void mm_trace_reader_close(mm_trace_reader *r) {
    if (!r) return;
    mm_json_free(r->document);
    mm_gzin_close(r->in);
    free(r->buffer);
    free(r);
}

// --- writing

struct mm_trace {
    char path[PATH_MAX];
    int fd;
    mm_text lines; // of the step that is being collected
    unsigned char *packed;
    size_t packed_size;
    bool failed; // a list had no memory
};

// The lines as whole members, cut at ends of lines.
static mm_status pack_lines(const mm_text *lines, unsigned char **packed, size_t *size, mm_error *error) {
    for (size_t begin = 0; begin < lines->size;) {
        size_t end = lines->size;
        if (end - begin > MEMBER_BYTES) {
            end = begin + MEMBER_BYTES;
            while (lines->data[end - 1] != '\n') end--;
        }
        mm_status status = mm_gzip_member(lines->data + begin, end - begin, GZIP_LEVEL, packed, size, error);
        if (status) return status;
        begin = end;
    }
    return MM_OK;
}

static void write_header(mm_text *out, mm_level level) {
    mm_text_format(out, "{\"format\":\"mm-trace\",\"version\":1,\"level\":\"%s\"}\n", level_names[level]);
}

// Packs the old trace's steps up to keep_steps again: the same lines make the same members.
static mm_status copy_kept(mm_trace_reader *r, int64_t keep_steps, unsigned char **packed, size_t *size,
                           mm_error *error) {
    mm_text step = {0};
    int64_t current = 0;
    mm_status status = MM_OK;
    for (;;) {
        const char *line;
        size_t length;
        mm_trace_record record;
        status = mm_trace_reader_line(r, &line, &length, error);
        if (status || !line) break;
        status = mm_trace_reader_parse(r, line, length, &record, error);
        if (status || record.step > keep_steps) break;
        if (record.step != current) {
            status = pack_lines(&step, packed, size, error);
            mm_text_clear(&step);
            current = record.step;
        }
        mm_text_add(&step, line, length);
        mm_text_add_string(&step, "\n");
        if (status || step.failed) break;
    }
    if (!status && step.failed) status = mm_trouble(error, "%s: out of memory", r->path);
    if (!status) status = pack_lines(&step, packed, size, error);
    mm_text_free(&step);
    if (!status && current < keep_steps)
        status = mm_trouble(error, "%s: ends after step %lld, its checkpoint is of step %lld; the trace is damaged",
                            r->path, (long long)current, (long long)keep_steps);
    return status;
}

static mm_status begin_file(const mm_trace *t, const char *run_path, mm_level level, int64_t keep_steps,
                            mm_error *error) {
    unsigned char *packed = NULL;
    size_t size = 0;
    mm_text header = {0};
    write_header(&header, level);
    mm_status status = header.failed ? mm_trouble(error, "%s: out of memory", t->path)
                                     : pack_lines(&header, &packed, &size, error);
    if (!status && keep_steps) {
        mm_trace_reader *reader = NULL;
        status = mm_trace_reader_open(run_path, &reader, error);
        if (!status) status = copy_kept(reader, keep_steps, &packed, &size, error);
        mm_trace_reader_close(reader);
    }
    if (!status) status = mm_publish_file(t->path, packed, size, error);
    mm_text_free(&header);
    free(packed);
    return status;
}

mm_status mm_trace_open(const char *run_path, mm_level level, int64_t keep_steps, mm_trace **out, mm_error *error) {
    mm_trace *t = *out = calloc(1, sizeof *t);
    if (!t) return mm_trouble(error, "%s: out of memory", run_path);
    t->fd = -1;
    mm_status status = mm_path_join(t->path, sizeof t->path, run_path, trace_name, error);
    if (!status) status = begin_file(t, run_path, level, keep_steps, error);
    if (!status) {
        t->fd = open(t->path, O_WRONLY | O_APPEND | O_CLOEXEC);
        if (t->fd < 0) status = mm_trouble_errno(error, t->path, "open it for writing");
    }
    if (!status) return MM_OK;
    mm_trace_close(t);
    *out = NULL;
    return status;
}

void mm_trace_add(mm_trace *t, const mm_trace_list *lists, size_t count) {
    for (size_t i = 0; i < count; i++) {
        t->failed |= lists[i].failed;
        for (size_t j = 0; j < lists[i].count; j++) trace_line_write(&t->lines, &lists[i].records[j]);
    }
}

mm_status mm_trace_end_step(mm_trace *t, mm_error *error) {
    if (t->failed || t->lines.failed) return mm_trouble(error, "%s: out of memory; use a coarser --trace", t->path);
    t->packed_size = 0;
    free(t->packed);
    t->packed = NULL;
    mm_status status = pack_lines(&t->lines, &t->packed, &t->packed_size, error);
    mm_text_clear(&t->lines);
    if (status) return status;
    for (size_t done = 0; done < t->packed_size;) {
        ssize_t n = write(t->fd, t->packed + done, t->packed_size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return mm_trouble_errno(error, t->path, "write to it (free some space, then --resume)");
        done += (size_t)n;
    }
    return MM_OK;
}

mm_status mm_trace_sync(mm_trace *t, mm_error *error) {
    return fsync(t->fd) ? mm_trouble_errno(error, t->path, "write it to the disk") : MM_OK;
}

void mm_trace_close(mm_trace *t) {
    if (!t) return;
    if (t->fd >= 0) close(t->fd);
    mm_text_free(&t->lines);
    free(t->packed);
    free(t);
}
