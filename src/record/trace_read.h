// A trace's lines, headers too, for whoever cuts it back. Private to this folder.
#ifndef MM_RECORD_TRACE_READ_H
#define MM_RECORD_TRACE_READ_H

#include <mm/record/trace.h>

// Where the reader stands.
typedef struct trace_position {
    mm_level level; // of the steps from here
    int64_t step;   // of the last record, or what the last header says is before it
} trace_position;
const trace_position *trace_reader_position(const mm_trace_reader *reader);

// The next line, a record's or (*header) a header's, without its newline; NULL at the end. A step that is
// neither that of the record before nor the next one is damage.
MM_CHECKED mm_status trace_reader_any(mm_trace_reader *reader, const char **line, size_t *size, bool *header,
                                      mm_error *error);

#endif
