// One record of a trace as a line of JSON, written and read.
#ifndef MM_RECORD_TRACE_LINE_H
#define MM_RECORD_TRACE_LINE_H

#include <mm/base/text.h>
#include <mm/files/json.h>
#include <mm/record/trace.h>

// Appends the record and a newline. Written by hand: a trace is to cost little.
void trace_line_write(mm_text *out, const mm_trace_record *record);
// Strings of the record are the document's.
MM_CHECKED mm_status trace_line_read(const mm_json_document *document, mm_trace_record *record, mm_error *error);

#endif
