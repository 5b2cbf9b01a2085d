// Lines of a trace into whole gzip members. Private to this folder.
#ifndef MM_RECORD_TRACE_PACK_H
#define MM_RECORD_TRACE_PACK_H

#include "append.h"
#include <mm/base/probe.h>
#include <mm/base/text.h>

// {0} is empty.
typedef struct trace_members {
    mm_text lines; // a header or a step
    unsigned char *packed;
    size_t size;
} trace_members;
void trace_members_free(trace_members *members);

// Appends the lines as one member and empties them: a step's bytes follow from its lines alone, and a step is
// there whole or not at all. `path` stands for the file in messages.
MM_CHECKED mm_status trace_pack(trace_members *members, const char *path, mm_error *error);
// A header's line as a member of its own.
MM_CHECKED mm_status trace_pack_header(trace_members *members, mm_level level, int64_t after,
                                       const char *path, mm_error *error);
// Writes what is packed.
MM_CHECKED mm_status trace_flush(trace_members *members, append_file *file, mm_error *error);

#endif
