// The lines of a trace: its header, written and read, and its records, written. Private to this folder.
#ifndef MM_RECORD_TRACE_LINE_H
#define MM_RECORD_TRACE_LINE_H

#include <mm/base/text.h>
#include <mm/files/json.h>
#include <mm/record/trace.h>

// A step has fewer than 2^20 leaves. What a file may say is bounded too, so that no place of a leaf or node
// among the others is beyond the numbers.
enum { TRACE_TREE_LEVELS = 40 };
static inline bool trace_leaf_fits(int64_t leaf) {
    return leaf < INT64_C(1) << TRACE_TREE_LEVELS;
}
static inline bool trace_node_fits(int64_t level, int64_t index) {
    return level <= TRACE_TREE_LEVELS && index < INT64_C(1) << (TRACE_TREE_LEVELS - level);
}

// {"format":"mm-trace","version":1,"level":"step"}: the level of the steps that follow. With "after":N the
// next step is N + 1: the trace was off before, or its level changes there.
typedef struct trace_header {
    mm_level level;
    int64_t after;
} trace_header;
void trace_header_write(mm_text *out, const trace_header *header);
MM_CHECKED mm_status trace_header_read(const mm_json_document *document, trace_header *header,
                                       mm_error *error);

// Appends the record and a newline. Written by hand: a trace is to cost little. Strings hold nothing to
// escape.
void trace_line_write(mm_text *out, const mm_trace_record *record);
// A line's step, without reading the rest. False: it is no record's line.
bool trace_line_peek(const char *line, int64_t *step);

#endif
