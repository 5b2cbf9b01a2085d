// trace.jsonl.gz: records in the order of the program, each the XXH3-128 of a tensor's bytes (design: Trace
// and diff). A step's records are whole gzip members, so a trace can be cut back to a step.
#ifndef MM_RECORD_TRACE_H
#define MM_RECORD_TRACE_H

#include <mm/base/hash.h>
#include <mm/base/probe.h>
#include <mm/base/status.h>
#include <mm/base/text.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// In a run's folder.
#define MM_TRACE_NAME "trace.jsonl.gz"

// Where in a step: a leaf (leaf >= 0), a node of the tree (node_level >= 0), or the step itself (both -1).
typedef struct mm_trace_record {
    int64_t step;
    mm_pass pass;
    int64_t leaf;
    int node_level;
    int64_t node_index;
    int rank;              // an attribute, not part of the place; -1: none
    int layer;             // -1: outside the layers
    const char *operation; // "batch", "loss", "merge", "norm", "adamw", or the model's; not owned
    bool output;
    const char *tensor; // not owned: static or as long as the list
    int dims;           // 0: a number
    int64_t shape[MM_MAX_DIMS];
    mm_hash hash;
} mm_trace_record;
// Of a record whose place is the step itself.
#define MM_TRACE_OF_STEP .leaf = -1, .node_level = -1, .rank = -1, .layer = -1

// Records that one worker collects for one leaf or node; {0} is empty. Not thread safe. Growing fails softly:
// `failed`, which mm_trace_list_clear keeps.
typedef struct mm_trace_list {
    mm_trace_record *records;
    size_t count, capacity;
    bool failed;
} mm_trace_list;
void mm_trace_list_add(mm_trace_list *list, const mm_trace_record *record);
void mm_trace_list_clear(mm_trace_list *list);
void mm_trace_list_free(mm_trace_list *list);

// One thread's.
typedef struct mm_trace mm_trace;
// May the run's trace, if it is there, be written? Nothing is.
MM_CHECKED mm_status mm_trace_check(const char *run_path, mm_error *error);
// Opens the run's trace for appending, cut back to steps up to keep_steps. Where there is none, or keep_steps
// is 0 (a new run), it begins anew with a header line {"format": "mm-trace", "version": 1, "level": ...}, a
// member of its own. A member cut in the middle is dropped. *trace is NULL after trouble.
MM_CHECKED mm_status mm_trace_open(const char *run_path, mm_level level, int64_t keep_steps, mm_trace **trace,
                                   mm_error *error);
// Appends the lists' records in order to the step that is being collected. If memory runs out, or did while a
// list grew, mm_trace_end_step says so.
void mm_trace_add(mm_trace *trace, const mm_trace_list *lists, size_t count);
// Writes the step as one whole member. A disk without room for all of it keeps nothing of it. No fsync.
MM_CHECKED mm_status mm_trace_end_step(mm_trace *trace, mm_error *error);
// To the disk, before a checkpoint that relies on it. Not for a trace without a file.
MM_CHECKED mm_status mm_trace_sync(mm_trace *trace, mm_error *error);
void mm_trace_close(mm_trace *trace);
// A trace without a file: mm_trace_end_step keeps the step's lines for mm_trace_take, which moves them to
// `lines`. What that held is freed; what it has now is the caller's to free.
MM_CHECKED mm_status mm_trace_keep(mm_trace **trace, mm_error *error);
void mm_trace_take(mm_trace *trace, mm_text *lines);

// Reading, in constant memory, by one thread. Damage is trouble that names file, line or offset. *reader is
// NULL after trouble.
typedef struct mm_trace_reader mm_trace_reader;
MM_CHECKED mm_status mm_trace_reader_open(const char *run_path, mm_trace_reader **reader, mm_error *error);
mm_level mm_trace_reader_level(const mm_trace_reader *reader);
// The next record's line (the reader's, until the next call) without its newline; *line is NULL at the end.
MM_CHECKED mm_status mm_trace_reader_line(mm_trace_reader *reader, const char **line, size_t *size,
                                          mm_error *error);
// The number of the line that was read last, from 1.
int64_t mm_trace_reader_number(const mm_trace_reader *reader);
void mm_trace_reader_close(mm_trace_reader *reader);

#endif
