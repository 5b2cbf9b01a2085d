// Some documents at a time, cut into parts of about the same size, for workers to share.
#ifndef DATA_TEXT_BATCH_H
#define DATA_TEXT_BATCH_H

#include <mm/base/status.h>
#include <mm/base/text.h>
#include <mm/data/text_source.h>

// Bytes of text that a worker takes at a time, and of a batch for each worker: enough of them that all are
// busy until near the end of a batch.
enum { MM_TEXT_UNIT = 1 << 16, MM_TEXT_BATCH_FOR_EACH = 1 << 20 };

// A document, or a piece of one.
typedef struct mm_text_part {
    size_t start, size; // in the batch's text
    bool ends;          // the document ends with it
} mm_text_part;

typedef struct mm_text_batch {
    mm_text text;
    mm_text_part *parts;
    size_t count, capacity;
    size_t *units; // unit_count + 1: unit u is parts units[u] to units[u + 1] - 1, of about MM_TEXT_UNIT
                   // bytes or one part
    size_t unit_count, unit_capacity;
    uint64_t documents; // that end in it
    bool more;          // there may be text behind it
} mm_text_batch;

// Where documents come from, in pieces of about `most` bytes (mm_text_next_piece).
typedef struct mm_piece_source {
    mm_status (*next)(void *self, size_t most, const char **text, size_t *size, bool *ends, bool *more,
                      mm_error *error);
    void *self;
    bool cuttable; // documents may be cut by mm_text_cut
} mm_piece_source;

// Fills the batch anew with at least `bytes` bytes or `documents` documents, if there are so many.
MM_CHECKED mm_status mm_text_batch_fill(mm_text_batch *batch, const mm_piece_source *source, size_t bytes,
                                        uint64_t documents, mm_error *error);
void mm_text_batch_free(mm_text_batch *batch);

#endif
