#include "pack_round.h"

#include <mm/base/par.h>
#include <stdatomic.h>
#include <stdlib.h>

// A part of the batch, encoded.
typedef struct part_ids {
    size_t end;    // in the unit's ids
    bool repaired; // it was not UTF-8
} part_ids;

// The ids of a unit of the batch, part after part.
typedef struct unit_ids {
    mm_ids ids;
    part_ids *parts;
    size_t room;
} unit_ids;

// The first trouble that a worker met. Tasks are taken in order, so the one with the smallest task of all
// workers is the same whatever their number.
typedef struct trouble {
    mm_status status;
    size_t task;
    mm_error error;
} trouble;

struct mm_pack_rounds {
    const mm_tokenizer *tokenizer;
    int workers;
    bool plain;
    mm_encoder **encoders; // workers
    trouble *troubles;     // workers
    mm_text_batch batches[2];
    mm_text_batch *reading, *encoding; // each is one of the two
    bool more;                         // text to be read
    uint64_t documents;                // that may yet be read
    unit_ids *units;                   // of the batch that is encoded
    size_t unit_room;
    const mm_piece_source *source;
    mm_pack_writer *writer;
    atomic_size_t next; // task
};

void mm_pack_rounds_free(mm_pack_rounds *r) {
    if (!r) return;
    for (int w = 0; r->encoders && w < r->workers; w++) mm_encoder_free(r->encoders[w]);
    free(r->encoders);
    free(r->troubles);
    mm_text_batch_free(&r->batches[0]);
    mm_text_batch_free(&r->batches[1]);
    for (size_t u = 0; u < r->unit_room; u++) {
        mm_ids_free(&r->units[u].ids);
        free(r->units[u].parts);
    }
    free(r->units);
    free(r);
}

mm_status mm_pack_rounds_new(const mm_tokenizer *tokenizer, int workers, bool plain, mm_pack_rounds **rounds,
                             mm_error *error) {
    *rounds = NULL;
    mm_pack_rounds *r = calloc(1, sizeof *r);
    if (!r) return mm_trouble(error, "packing: out of memory");
    *r = (mm_pack_rounds){.tokenizer = tokenizer, .workers = workers, .plain = plain};
    r->encoders = calloc((size_t)workers, sizeof(mm_encoder *));
    r->troubles = calloc((size_t)workers, sizeof *r->troubles);
    mm_status status =
        r->encoders && r->troubles ? MM_OK : mm_trouble(error, "%d workers: out of memory", workers);
    for (int w = 0; w < workers && !status; w++) status = mm_encoder_new(tokenizer, &r->encoders[w], error);
    if (status) {
        mm_pack_rounds_free(r);
        return status;
    }
    *rounds = r;
    return MM_OK;
}

static mm_status read_batch(mm_pack_rounds *r, mm_error *error) {
    if (!r->more) return MM_OK;
    return mm_text_batch_fill(r->reading, r->source, (size_t)r->workers * MM_TEXT_BATCH_FOR_EACH,
                              r->documents, error);
}

static mm_status encode_unit(mm_pack_rounds *r, size_t u, mm_encoder *encoder, mm_error *error) {
    const mm_text_batch *batch = r->encoding;
    unit_ids *unit = &r->units[u];
    size_t first = batch->units[u], count = batch->units[u + 1] - first;
    if (count > unit->room) {
        part_ids *parts = realloc(unit->parts, count * sizeof *parts);
        if (!parts) return mm_trouble(error, "%zu documents: out of memory", count);
        unit->parts = parts;
        unit->room = count;
    }
    unit->ids.size = 0;
    for (size_t i = 0; i < count; i++) {
        const mm_text_part *part = &batch->parts[first + i];
        const char *text = part->size ? batch->text.data + part->start : "";
        mm_status status = mm_encode(encoder, text, part->size, r->plain, &unit->ids, error);
        if (status) return status;
        unit->parts[i] = (part_ids){unit->ids.size, mm_encoder_repaired(encoder)};
    }
    return MM_OK;
}

// Task 0 reads, the next ones encode, the last deflate.
static mm_status do_task(mm_pack_rounds *r, size_t task, int worker, mm_error *error) {
    if (!task) return read_batch(r, error);
    if (task <= r->encoding->unit_count) return encode_unit(r, task - 1, r->encoders[worker], error);
    mm_pack_blocks_deflate(&r->writer->blocks, task - 1 - r->encoding->unit_count, worker);
    return MM_OK;
}

static void work(void *self, int worker) {
    mm_pack_rounds *r = self;
    trouble *met = &r->troubles[worker];
    size_t tasks = 1 + r->encoding->unit_count + r->writer->blocks.count;
    met->status = MM_OK;
    for (size_t task; !met->status && (task = atomic_fetch_add(&r->next, 1)) < tasks;) {
        met->task = task;
        met->status = do_task(r, task, worker, &met->error);
    }
}

// What was encoded comes before what was read.
static mm_status first_trouble(const mm_pack_rounds *r, mm_error *error) {
    const trouble *first = NULL;
    for (int w = 0; w < r->workers; w++) {
        const trouble *met = &r->troubles[w];
        if (met->status && (!first || !first->task || (met->task && met->task < first->task))) first = met;
    }
    if (!first) return MM_OK;
    if (error) *error = first->error;
    return first->status;
}

static mm_status make_units(mm_pack_rounds *r, mm_error *error) {
    size_t count = r->encoding->unit_count;
    if (count <= r->unit_room) return MM_OK;
    unit_ids *grown = realloc(r->units, count * sizeof *grown);
    if (!grown) return mm_trouble(error, "%zu pieces of text: out of memory", count);
    r->units = grown;
    for (; r->unit_room < count; r->unit_room++) grown[r->unit_room] = (unit_ids){0};
    return MM_OK;
}

// What a document far larger than others took is not kept for those that follow.
enum { KEPT_BYTES = 4 * MM_TEXT_BATCH_FOR_EACH };

static void give_back_text(mm_pack_rounds *r) {
    mm_text *text = &r->encoding->text;
    if (text->capacity / (size_t)r->workers > KEPT_BYTES) mm_text_free(text);
}

static void give_back_ids(mm_ids *ids) {
    if (ids->capacity * sizeof *ids->data > KEPT_BYTES) mm_ids_free(ids);
}

static mm_status add_ids(mm_pack_rounds *r, mm_error *error) {
    const mm_text_batch *batch = r->encoding;
    for (size_t u = 0; u < batch->unit_count; u++) {
        unit_ids *unit = &r->units[u];
        size_t start = 0;
        for (size_t p = batch->units[u]; p < batch->units[u + 1]; p++) {
            const mm_text_part *part = &batch->parts[p];
            const part_ids *made = &unit->parts[p - batch->units[u]];
            const int32_t *ids = made->end > start ? unit->ids.data + start : NULL;
            mm_pack_writer_repaired(r->writer, made->repaired);
            mm_status status =
                mm_pack_writer_add(r->writer, ids, made->end - start, part->ends, part->size, error);
            if (status) return status;
            start = made->end;
        }
        give_back_ids(&unit->ids);
    }
    return MM_OK;
}

static mm_status run_round(mm_pack_rounds *r, mm_error *error) {
    mm_status status = make_units(r, error);
    if (status) return status;
    atomic_store(&r->next, 0);
    mm_par_run(r->workers, work, r);
    give_back_text(r);
    status = first_trouble(r, error);
    if (!status) status = mm_pack_writer_flush(r->writer, error);
    if (!status) status = add_ids(r, error);
    mm_text_batch *free_again = r->encoding;
    r->encoding = r->reading;
    r->reading = free_again;
    r->documents -= r->more ? r->encoding->documents : 0;
    r->more = r->more && r->encoding->more && r->documents > 0;
    r->reading->count = r->reading->unit_count = 0;
    return status;
}

mm_status mm_pack_rounds_run(mm_pack_rounds *r, const mm_piece_source *source, uint64_t documents,
                             mm_pack_writer *writer, mm_status (*report)(void *self, mm_error *error),
                             void *self, mm_error *error) {
    r->source = source;
    r->writer = writer;
    r->documents = documents;
    r->more = documents > 0;
    r->reading = &r->batches[0];
    r->encoding = &r->batches[1];
    r->encoding->count = r->encoding->unit_count = 0;
    mm_status status = MM_OK;
    while (!status && (r->more || r->encoding->unit_count)) {
        status = run_round(r, error);
        if (!status) status = report(self, error);
    }
    // The last blocks.
    if (!status) status = mm_pack_writer_end(writer, error);
    if (!status) status = run_round(r, error);
    return status ? status : report(self, error);
}
