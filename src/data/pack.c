#include <mm/data/pack.h>

#include "pack_spool.h"
#include "pack_writer.h"
#include <assert.h>
#include <limits.h>
#include <mm/files/publish.h>

static const uint64_t default_shard_tokens = (uint64_t)1 << 28;

typedef struct pack_job {
    mm_text_source *source;
    const mm_tokenizer *tokenizer;
    const mm_pack_options *options;
    mm_encoder *encoder;
    mm_ids ids;
    mm_pack_spool spool;
    bool spooled;               // documents come from the spool, no longer from the source
    uint64_t documents, tokens; // packed so far
    uint64_t first_bytes;       // read for counting, before packing
} pack_job;

static mm_status next_document(pack_job *job, const char **text, size_t *size, bool *more, mm_error *error) {
    return job->spooled ? mm_pack_spool_next(&job->spool, text, size, more, error)
                        : mm_text_next(job->source, text, size, more, error);
}

static void report(const pack_job *job) {
    if (!job->options->progress) return;
    uint64_t done, total;
    mm_text_progress(job->source, &done, &total);
    // Counting first, the files are read twice.
    bool twice = job->options->val_share > 0.0 && total > 0;
    job->options->progress(job->options->self, job->spooled ? done : done + job->first_bytes,
                           twice ? 2 * total : total, job->documents, job->tokens);
}

// Reads all of it, into the spool if it cannot be read again, and goes back to the first document.
static mm_status count_documents(pack_job *job, uint64_t *count, mm_error *error) {
    bool keep = !mm_text_can_rewind(job->source);
    *count = 0;
    mm_status status = keep ? mm_pack_spool_open(&job->spool, error) : MM_OK;
    while (!status) {
        const char *text;
        size_t size;
        bool more;
        status = mm_text_next(job->source, &text, &size, &more, error);
        if (status || !more) break;
        if (keep) status = mm_pack_spool_add(&job->spool, text, size, error);
        ++*count;
        report(job);
    }
    if (status) return status;
    job->spooled = keep;
    if (keep) return mm_pack_spool_rewind(&job->spool, error);
    uint64_t total;
    mm_text_progress(job->source, &job->first_bytes, &total);
    return mm_text_rewind(job->source, error);
}

// Packs at most `most` documents into the folder; *text_bytes and the writer's counts say what there was. A
// folder without a document gets no dataset.json.
static mm_status pack_part(pack_job *job, const char *folder, uint64_t most, mm_manifest *packed,
                           mm_error *error) {
    mm_pack_writer writer;
    uint64_t shard_tokens = job->options->shard_tokens;
    mm_pack_writer_begin(&writer, folder, job->tokenizer, shard_tokens ? shard_tokens : default_shard_tokens);
    mm_status status = MM_OK;
    for (uint64_t d = 0; d < most && !status; d++) {
        const char *text;
        size_t size;
        bool more;
        status = next_document(job, &text, &size, &more, error);
        if (status || !more) break;
        job->ids.size = 0;
        status = mm_encode(job->encoder, text, size, job->options->plain, &job->ids, error);
        if (!status) status = mm_pack_writer_add(&writer, job->ids.data, job->ids.size, size, error);
        job->documents++;
        job->tokens += job->ids.size + 2;
        report(job);
    }
    if (!status && writer.manifest.documents) status = mm_pack_writer_finish(&writer, error);
    *packed = writer.manifest;
    packed->shard = NULL; // the writer's
    mm_pack_writer_free(&writer);
    return status;
}

// Documents of the validation part: `share` of them rounded to the nearest, but at least one in each part.
static mm_status val_documents(uint64_t documents, double share, uint64_t *val, mm_error *error) {
    if (documents < 2)
        return mm_trouble(
            error,
            "--val-share: %llu document%s, expected at least 2, one for each part; --split cuts a "
            "file into documents",
            (unsigned long long)documents, documents == 1 ? "" : "s");
    *val = (uint64_t)((double)documents * share + 0.5);
    if (*val < 1) *val = 1;
    if (*val > documents - 1) *val = documents - 1;
    return MM_OK;
}

static mm_status pack_val(pack_job *job, const char *folder, mm_manifest *val, mm_error *error) {
    char path[PATH_MAX];
    mm_status status = mm_path_join(path, sizeof path, folder, "val", error);
    if (!status) status = mm_make_folders(path, error);
    if (!status) status = pack_part(job, path, UINT64_MAX, val, error);
    return status;
}

static mm_status pack_into(pack_job *job, const char *folder, mm_pack_result *result, mm_error *error) {
    mm_manifest train = {0}, val = {0};
    uint64_t counted = 0, last = 0;
    bool parted = job->options->val_share > 0.0;
    mm_status status = parted ? count_documents(job, &counted, error) : MM_OK;
    if (!status && parted) status = val_documents(counted, job->options->val_share, &last, error);
    if (!status) status = pack_part(job, folder, parted ? counted - last : UINT64_MAX, &train, error);
    if (!status && parted) status = pack_val(job, folder, &val, error);
    if (status) return status;
    if (parted && job->documents != counted)
        return mm_trouble(error, "the input changed while it was read: %llu documents at first, then %llu",
                          (unsigned long long)counted, (unsigned long long)job->documents);
    if (!train.documents) return mm_trouble(error, "no document in the input; expected some text");
    if (train.text_bytes + val.text_bytes == 0)
        return mm_trouble(error, "the input's text is empty (%llu documents of 0 bytes); expected some text",
                          (unsigned long long)job->documents);
    *result = (mm_pack_result){
        .documents = (uint64_t)train.documents,
        .tokens = (uint64_t)train.tokens,
        .text_bytes = (uint64_t)train.text_bytes,
        .val_documents = (uint64_t)val.documents,
        .val_tokens = (uint64_t)val.tokens,
        .val_text_bytes = (uint64_t)val.text_bytes,
    };
    return MM_OK;
}

static mm_status check_marks(const mm_tokenizer *tokenizer, mm_error *error) {
    bool bos = mm_tokenizer_bos(tokenizer) >= 0, eos = mm_tokenizer_eos(tokenizer) >= 0;
    if (bos && eos) return MM_OK;
    return mm_trouble(error,
                      "the tokenizer has no %s; expected one in tokenizer_config.json beside it (bos_token, "
                      "eos_token), or <|im_start|> and <|im_end|>",
                      bos   ? "eos"
                      : eos ? "bos"
                            : "bos and no eos");
}

mm_status mm_pack(const char *out, mm_text_source *source, const mm_tokenizer *tokenizer,
                  const mm_pack_options *options, mm_pack_result *result, mm_error *error) {
    assert(options->val_share >= 0.0 && options->val_share < 1.0);
    *result = (mm_pack_result){0};
    mm_status status = check_marks(tokenizer, error);
    if (status) return status;
    mm_draft *draft;
    status = mm_draft_begin(out, &draft, error);
    if (status) return status;
    pack_job job = {.source = source, .tokenizer = tokenizer, .options = options};
    status = mm_encoder_new(tokenizer, &job.encoder, error);
    if (!status) {
        status = pack_into(&job, mm_draft_path(draft), result, error);
        mm_encoder_free(job.encoder);
    }
    mm_ids_free(&job.ids);
    mm_pack_spool_close(&job.spool);
    if (!status) return mm_draft_commit(draft, error);
    mm_draft_abandon(draft);
    return status;
}
