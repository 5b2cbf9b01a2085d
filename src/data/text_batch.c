#include "text_batch.h"

#include "text_cut.h"

#include <stdlib.h>

static bool widen(void **data, size_t *capacity, size_t count, size_t each) {
    if (count < *capacity) return true;
    size_t wider = *capacity ? 2 * *capacity : 1024;
    void *grown = realloc(*data, wider * each);
    if (!grown) return false;
    *data = grown;
    *capacity = wider;
    return true;
}

static mm_status no_memory(const mm_text_batch *batch, mm_error *error) {
    return mm_trouble(error, "%zu bytes of text at a time: out of memory", batch->text.size);
}

static mm_status add_part(mm_text_batch *batch, const char *text, size_t size, bool ends, mm_error *error) {
    void *parts = batch->parts, *units = batch->units;
    bool good = widen(&parts, &batch->capacity, batch->count, sizeof *batch->parts);
    batch->parts = parts;
    good &= widen(&units, &batch->unit_capacity, batch->unit_count + 1, sizeof *batch->units);
    batch->units = units;
    if (!good) return no_memory(batch, error);
    size_t unit = batch->unit_count ? batch->units[batch->unit_count - 1] : 0;
    if (!batch->count || batch->text.size - batch->parts[unit].start >= MM_TEXT_UNIT)
        batch->units[batch->unit_count++] = batch->count;
    batch->parts[batch->count++] = (mm_text_part){batch->text.size, size, ends};
    batch->units[batch->unit_count] = batch->count;
    mm_text_add(&batch->text, text, size);
    return batch->text.failed ? no_memory(batch, error) : MM_OK;
}

mm_status mm_text_batch_fill(mm_text_batch *batch, const mm_piece_source *source, size_t bytes,
                             uint64_t documents, mm_error *error) {
    mm_text_clear(&batch->text);
    batch->count = batch->unit_count = 0;
    batch->documents = 0;
    batch->more = true;
    while (batch->text.size + batch->count * sizeof *batch->parts < bytes && batch->documents < documents) {
        const char *text;
        size_t size, done = 0, at;
        bool ends;
        size_t most = source->cuttable ? (size_t)MM_TEXT_BATCH_FOR_EACH : SIZE_MAX;
        mm_status status = source->next(source->self, most, &text, &size, &ends, &batch->more, error);
        if (status || !batch->more) return status;
        while (source->cuttable && size - done > MM_TEXT_UNIT &&
               (at = mm_text_cut(text + done, size - done, MM_TEXT_UNIT)) > 0) {
            status = add_part(batch, text + done, at, false, error);
            if (status) return status;
            done += at;
        }
        status = add_part(batch, text + done, size - done, ends, error);
        if (status) return status;
        batch->documents += ends;
    }
    return MM_OK;
}

void mm_text_batch_free(mm_text_batch *batch) {
    mm_text_free(&batch->text);
    free(batch->parts);
    free(batch->units);
    *batch = (mm_text_batch){0};
}
