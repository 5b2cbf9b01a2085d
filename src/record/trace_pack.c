#include "trace_pack.h"
#include "trace_line.h"
#include <mm/files/bgzf.h>
#include <stdlib.h>

enum { GZIP_LEVEL = 1 };

void trace_members_free(trace_members *m) {
    mm_text_free(&m->lines);
    free(m->packed);
}

mm_status trace_pack(trace_members *m, const char *path, mm_error *error) {
    if (m->lines.failed) return mm_trouble(error, "%s: out of memory; use a coarser --trace", path);
    if (!m->lines.size) return MM_OK;
    mm_status status = mm_gzip_member(m->lines.data, m->lines.size, GZIP_LEVEL, &m->packed, &m->size, error);
    mm_text_clear(&m->lines);
    return status;
}

mm_status trace_pack_header(trace_members *m, mm_level level, int64_t after, const char *path,
                            mm_error *error) {
    trace_header_write(&m->lines, &(trace_header){.level = level, .after = after});
    return trace_pack(m, path, error);
}

mm_status trace_flush(trace_members *m, append_file *file, mm_error *error) {
    mm_status status = append_add(file, m->packed, m->size, error);
    m->size = 0;
    return status;
}
