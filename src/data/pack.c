#include <mm/data/pack.h>

#include "pack_round.h"
#include "pack_spool.h"
#include <assert.h>
#include <limits.h>
#include <mm/base/par.h>
#include <mm/files/publish.h>

static const uint64_t default_shard_tokens = (uint64_t)1 << 28;

typedef struct pack_job {
    mm_text_source *source;
    const mm_tokenizer *tokenizer;
    const mm_pack_options *options;
    int workers;
    mm_pack_rounds *rounds;
    const mm_pack_writer *writer; // of the part that is packed
    mm_pack_spool spool;
    bool spooled;                         // documents come from the spool, no longer from the source
    uint64_t documents, tokens, repaired; // of the parts before
    uint64_t first_bytes;                 // read for counting, before packing
} pack_job;

static mm_status next_piece(void *self, size_t most, const char **text, size_t *size, bool *ends, bool *more,
                            mm_error *error) {
    pack_job *job = self;
    return job->spooled ? mm_pack_spool_next(&job->spool, text, size, ends, more, error)
                        : mm_text_next_piece(job->source, most, text, size, ends, more, error);
}

static mm_status report(void *self, mm_error *error) {
    const pack_job *job = self;
    const mm_pack_options *options = job->options;
    if (options->stop && *options->stop)
        return mm_fail(error, MM_INTERRUPTED, "interrupted; nothing was kept");
    if (!options->progress) return MM_OK;
    uint64_t done, total, documents = job->documents, tokens = job->tokens;
    mm_text_progress(job->source, &done, &total);
    if (job->writer) {
        documents += (uint64_t)job->writer->manifest.documents;
        tokens += (uint64_t)job->writer->manifest.tokens;
    }
    // Counting first, the files are read twice.
    bool twice = options->val_share > 0.0 && total > 0;
    options->progress(options->self, job->spooled ? done : done + job->first_bytes, twice ? 2 * total : total,
                      documents, tokens);
    return MM_OK;
}

// Reads all of it, into the spool if it cannot be read again, and goes back to the first document.
static mm_status count_documents(pack_job *job, const mm_piece_source *pieces, uint64_t *count,
                                 mm_error *error) {
    bool keep = !mm_text_can_rewind(job->source);
    *count = 0;
    mm_status status = keep ? mm_pack_spool_open(&job->spool, error) : MM_OK;
    while (!status) {
        const char *text;
        size_t size;
        bool ends, more;
        size_t most = pieces->cuttable ? (size_t)MM_TEXT_BATCH_FOR_EACH : SIZE_MAX;
        status = mm_text_next_piece(job->source, most, &text, &size, &ends, &more, error);
        if (status || !more) break;
        if (keep) status = mm_pack_spool_add(&job->spool, text, size, ends, error);
        *count += ends;
        if (!status) status = report(job, error);
    }
    if (status) return status;
    job->spooled = keep;
    if (keep) return mm_pack_spool_rewind(&job->spool, error);
    uint64_t total;
    mm_text_progress(job->source, &job->first_bytes, &total);
    return mm_text_rewind(job->source, error);
}

// Packs at most `most` documents into the folder; *packed says what there was. A folder without a document
// gets no dataset.json.
static mm_status pack_part(pack_job *job, const mm_piece_source *pieces, const char *folder, uint64_t most,
                           mm_manifest *packed, mm_error *error) {
    mm_pack_writer writer;
    uint64_t shard_tokens = job->options->shard_tokens;
    mm_status status =
        mm_pack_writer_begin(&writer, folder, job->tokenizer,
                             shard_tokens ? shard_tokens : default_shard_tokens, job->workers, error);
    job->writer = &writer;
    if (!status) status = mm_pack_rounds_run(job->rounds, pieces, most, &writer, report, job, error);
    job->writer = NULL;
    if (!status && writer.manifest.documents) status = mm_pack_writer_finish(&writer, error);
    *packed = writer.manifest;
    packed->shard = NULL; // the writer's
    job->documents += (uint64_t)packed->documents;
    job->tokens += (uint64_t)packed->tokens;
    job->repaired += writer.repaired;
    mm_pack_writer_free(&writer);
    return status;
}

// Documents of the validation part: val_share of them rounded to the nearest, but at least one in each part.
static mm_status val_documents(const pack_job *job, uint64_t documents, uint64_t *val, mm_error *error) {
    if (documents < 2)
        return mm_trouble(
            error,
            "--val-share: %s has %llu document%s, expected at least 2, one for each part; --split "
            "cuts a file into documents",
            mm_text_name(job->source), (unsigned long long)documents, documents == 1 ? "" : "s");
    double share = job->options->val_share;
    *val = (uint64_t)((double)documents * share + 0.5);
    if (*val < 1) *val = 1;
    if (*val > documents - 1) *val = documents - 1;
    return MM_OK;
}

static mm_status pack_val(pack_job *job, const mm_piece_source *pieces, const char *folder, mm_manifest *val,
                          mm_error *error) {
    char path[PATH_MAX];
    mm_status status = mm_path_join(path, sizeof path, folder, "val", error);
    if (!status) status = mm_make_folders(path, error);
    if (!status) status = pack_part(job, pieces, path, UINT64_MAX, val, error);
    return status;
}

static mm_status check_text(const pack_job *job, uint64_t text_bytes, mm_error *error) {
    if (text_bytes) return MM_OK;
    const char *name = mm_text_name(job->source), *first;
    uint64_t bad = mm_text_bad(job->source, &first);
    if (job->documents)
        return mm_trouble(error, "%s: found %llu document%s of 0 bytes, expected some text", name,
                          (unsigned long long)job->documents, job->documents == 1 ? "" : "s");
    if (bad)
        return mm_trouble(error,
                          "%s: no document, but %llu bad line%s left out, expected some text; the first: %s",
                          name, (unsigned long long)bad, bad == 1 ? "" : "s", first);
    return mm_trouble(error, "%s: no document, expected some text", name);
}

static mm_status pack_into(pack_job *job, const char *folder, mm_pack_result *result, mm_error *error) {
    mm_piece_source pieces = {next_piece, job, mm_tokenizer_cuttable(job->tokenizer)};
    mm_manifest train = {0}, val = {0};
    uint64_t counted = 0, last = 0;
    bool parted = job->options->val_share > 0.0;
    mm_status status = parted ? count_documents(job, &pieces, &counted, error) : MM_OK;
    if (!status && parted) status = val_documents(job, counted, &last, error);
    if (!status)
        status = pack_part(job, &pieces, folder, parted ? counted - last : UINT64_MAX, &train, error);
    if (!status && parted) status = pack_val(job, &pieces, folder, &val, error);
    if (status) return status;
    if (parted && job->documents != counted)
        return mm_trouble(error, "%s: changed while it was read: %llu documents at first, then %llu",
                          mm_text_name(job->source), (unsigned long long)counted,
                          (unsigned long long)job->documents);
    status = check_text(job, (uint64_t)(train.text_bytes + val.text_bytes), error);
    if (status) return status;
    *result = (mm_pack_result){
        .documents = (uint64_t)train.documents,
        .tokens = (uint64_t)train.tokens,
        .text_bytes = (uint64_t)train.text_bytes,
        .val_documents = (uint64_t)val.documents,
        .val_tokens = (uint64_t)val.tokens,
        .val_text_bytes = (uint64_t)val.text_bytes,
        .repaired = job->repaired,
    };
    return MM_OK;
}

static mm_status check_marks(const mm_tokenizer *tokenizer, mm_error *error) {
    bool bos = mm_tokenizer_bos(tokenizer) >= 0, eos = mm_tokenizer_eos(tokenizer) >= 0;
    if (bos && eos) return MM_OK;
    return mm_trouble(
        error,
        "%s: the tokenizer has no %s; expected one in tokenizer_config.json beside it (bos_token, "
        "eos_token), or <|im_start|> and <|im_end|>",
        mm_tokenizer_name(tokenizer),
        bos   ? "eos"
        : eos ? "bos"
              : "bos and no eos");
}

mm_status mm_pack(const char *out, mm_text_source *source, const mm_tokenizer *tokenizer,
                  const mm_pack_options *options, mm_pack_result *result, mm_error *error) {
    assert(options->val_share >= 0.0 && options->val_share < 1.0 && options->workers >= 0);
    *result = (mm_pack_result){0};
    mm_status status = check_marks(tokenizer, error);
    if (!status) status = mm_make_parent(out, error);
    if (status) return status;
    mm_draft *draft;
    status = mm_draft_begin_swept(out, &draft, error);
    if (status) return status;
    pack_job job = {.source = source, .tokenizer = tokenizer, .options = options};
    job.workers = options->workers ? options->workers : mm_par_cores();
    status = mm_pack_rounds_new(tokenizer, job.workers, options->plain, &job.rounds, error);
    if (!status) status = pack_into(&job, mm_draft_path(draft), result, error);
    mm_pack_rounds_free(job.rounds);
    mm_pack_spool_close(&job.spool);
    if (!status) return mm_draft_commit(draft, error);
    mm_draft_abandon(draft);
    return status;
}
