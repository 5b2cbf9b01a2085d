#include "trace_cut.h"
#include "trace_pack.h"
#include "trace_read.h"
#include <limits.h>
#include <mm/files/publish.h>
#include <stdio.h>
#include <string.h>

enum { FLUSH_BYTES = 1 << 20 };

// Takes one line of what is kept; what is collected of the step before it is packed first.
static mm_status keep_line(const char *line, size_t size, bool header, bool begins, trace_members *m,
                           append_file *out, mm_error *error) {
    mm_status status = begins || header ? trace_pack(m, out->path, error) : MM_OK;
    mm_text_add(&m->lines, line, size);
    mm_text_add_string(&m->lines, "\n");
    if (!status && header) status = trace_pack(m, out->path, error);
    return !status && m->size > FLUSH_BYTES ? trace_flush(m, out, error) : status;
}

// Copies the trace up to the end of step `keep`. *level: of what was copied last.
static mm_status copy_kept(mm_trace_reader *r, int64_t keep, trace_members *m, append_file *out,
                           mm_level *level, mm_error *error) {
    const trace_position *at = trace_reader_position(r);
    for (;;) {
        const char *line;
        size_t size;
        bool header;
        int64_t before = at->step;
        mm_status status = trace_reader_any(r, &line, &size, &header, error);
        if (status) return status;
        if (!line || at->step > keep || (header && at->step == keep)) break;
        status = keep_line(line, size, header, at->step != before, m, out, error);
        if (status) return status;
        *level = at->level;
    }
    mm_status status = trace_pack(m, out->path, error);
    return status ? status : trace_flush(m, out, error);
}

static mm_status check_end(const mm_trace_reader *r, const char *folder, int64_t keep, mm_error *error) {
    const trace_position *at = trace_reader_position(r);
    if (at->step >= keep || at->level == MM_LEVEL_OFF) return MM_OK;
    return mm_trouble(
        error,
        "%s/" MM_TRACE_NAME
        ": ends after step %lld, expected the steps up to the checkpoint's, %lld; it was cut: bring it "
        "back, or move it away to begin another",
        folder, (long long)at->step, (long long)keep);
}

// Nothing of a trace that begins later can be kept, and what is added would not follow it.
static mm_status check_begin(const mm_trace_reader *r, const char *folder, int64_t keep, mm_error *error) {
    const trace_position *at = trace_reader_position(r);
    if (at->step <= keep) return MM_OK;
    return mm_trouble(error,
                      "%s/" MM_TRACE_NAME ": begins after step %lld, expected it to reach back to the "
                      "checkpoint's, %lld; move it away to begin another",
                      folder, (long long)at->step, (long long)keep);
}

// Writes what is kept of the trace in `folder` into `path`.
static mm_status write_kept(const char *folder, const char *path, mm_level level, int64_t keep,
                            mm_error *error) {
    trace_members m = {0};
    append_file out = {.fd = -1};
    mm_trace_reader *reader = NULL;
    mm_status status = mm_trace_reader_open(folder, &reader, error);
    if (!status) status = check_begin(reader, folder, keep, error);
    if (!status) status = append_open(&out, path, error);
    if (!status) status = append_cut(&out, 0, error);
    if (!status) {
        const trace_position *at = trace_reader_position(reader);
        mm_level kept = at->level;
        status = trace_pack_header(&m, at->level, at->step, path, error);
        if (!status) status = copy_kept(reader, keep, &m, &out, &kept, error);
        if (!status) status = check_end(reader, folder, keep, error);
        if (!status && kept != level) status = trace_pack_header(&m, level, keep, path, error);
        if (!status) status = trace_flush(&m, &out, error);
        if (!status) status = append_sync(&out, error);
    }
    append_close(&out);
    mm_trace_reader_close(reader);
    trace_members_free(&m);
    return status;
}

// --- a member that was cut

// How each member begins: gzip's magic, deflate, no flags, no time.
static const unsigned char magic[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0};
enum { MAGIC = sizeof magic, PIECE = 1 << 16 };

// Where the last member may begin, so that all before it may be whole.
typedef struct last_member {
    uint64_t begun; // with a whole magic; 0: nowhere
    uint64_t cut;   // with the part of a magic that the file ends with; 0: it does not
} last_member;

static last_member find_last_member(FILE *file) {
    unsigned char piece[MAGIC + PIECE];
    last_member found = {0};
    uint64_t begin = 0; // of the piece, in the file
    size_t kept = 0, got;
    while ((got = fread(piece + kept, 1, PIECE, file)) > 0) {
        size_t size = kept + got;
        for (size_t i = 0; i + MAGIC <= size; i++)
            if (memcmp(piece + i, magic, MAGIC) == 0) found.begun = begin + i;
        kept = size < MAGIC - 1 ? size : MAGIC - 1;
        begin += size - kept;
        memmove(piece, piece + size - kept, kept);
    }
    for (size_t part = kept; part && !found.cut; part--)
        if (memcmp(piece + kept - part, magic, part) == 0) found.cut = begin + kept - part;
    return found;
}

// The first `size` bytes of the file into FOLDER/trace.jsonl.gz.
static mm_status copy_part(FILE *file, uint64_t size, const char *folder, mm_error *error) {
    char piece[PIECE], path[PATH_MAX];
    append_file out = {.fd = -1};
    mm_status status = mm_make_folders(folder, error);
    if (!status) status = mm_path_join(path, sizeof path, folder, MM_TRACE_NAME, error);
    if (!status) status = append_open(&out, path, error);
    if (!status) status = append_cut(&out, 0, error);
    rewind(file);
    while (!status && size) {
        size_t got = fread(piece, 1, size < PIECE ? (size_t)size : PIECE, file);
        if (!got) status = mm_trouble_errno(error, path, "copy the trace to it");
        if (!status) status = append_add(&out, piece, got, error);
        size -= got;
    }
    append_close(&out);
    return status;
}

// A kill cuts the last member. Without it all must be whole, by every member's check sum.
static mm_status write_without_last(const char *draft, const char *trace, const char *path, mm_level level,
                                    int64_t keep, mm_error *error) {
    char folder[PATH_MAX];
    mm_status status = mm_path_join(folder, sizeof folder, draft, "whole", error);
    if (status) return status;
    FILE *file;
    status = mm_open_stream(trace, &file, error);
    if (status) return status;
    last_member last = find_last_member(file);
    const uint64_t sizes[] = {last.cut, last.begun};
    status = MM_TROUBLE;
    for (int i = 0; i < 2 && status; i++) {
        if (!sizes[i]) continue;
        status = copy_part(file, sizes[i], folder, error);
        if (!status) status = write_kept(folder, path, level, keep, error);
    }
    fclose(file);
    return status;
}

mm_status trace_cut_back(const char *run_path, const char *trace, mm_level level, int64_t keep,
                         mm_error *error) {
    char place[PATH_MAX], path[PATH_MAX];
    mm_draft *draft;
    mm_error ignored;
    mm_status status = mm_path_join(place, sizeof place, run_path, "trace.cut", error);
    if (!status) status = mm_draft_begin(place, &draft, error);
    if (status) return status;
    const char *folder = mm_draft_path(draft);
    status = mm_path_join(path, sizeof path, folder, MM_TRACE_NAME, error);
    if (!status) status = write_kept(run_path, path, level, keep, error);
    if (status && write_without_last(folder, trace, path, level, keep, &ignored) == MM_OK) status = MM_OK;
    if (!status && rename(path, trace))
        status = mm_trouble_errno(error, trace, "put the cut trace in its place");
    mm_draft_abandon(draft);
    return status ? status : mm_sync_folder(run_path, error);
}
