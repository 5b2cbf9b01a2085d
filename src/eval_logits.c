#include "eval_logits.h"
#include <assert.h>
#include <limits.h>
#include <mm/files/publish.h>
#include <stdlib.h>
#include <string.h>

typedef struct recorder {
    mm_logits_file *file;
    mm_evaluator *evaluator; // its status is where trouble goes
    mm_probe probe;
    uint64_t sample; // that the last rows were of
    int64_t rows;    // of it that are written
} recorder;

static const char draft_name[] = "logits.safetensors";

struct mm_logits_file {
    mm_draft *draft; // of a folder; the file in it gets the path when it is whole
    mm_safetensors_writer *writer;
    uint64_t targets; // of all samples
    int vocab;
    recorder *recorders;
};

static mm_status put(recorder *r, const mm_sight *sight, mm_error *error) {
    const mm_logits_file *f = r->file;
    const mm_sample *sample = &r->evaluator->sample;
    if (r->sample != sample->index) r->rows = 0;
    r->sample = sample->index;
    // Windows follow one another: a window's first token counts the targets before it.
    uint64_t row = sample->first + (uint64_t)r->rows, count = (uint64_t)sight->tensor.shape[0];
    const int32_t *targets = r->evaluator->batch->targets + r->rows;
    size_t width = (size_t)f->vocab * sizeof(float);
    assert(sight->ld == f->vocab && row + count <= f->targets);
    r->rows += (int64_t)count;
    mm_status status =
        mm_safetensors_put(f->writer, row * sizeof *targets, targets, count * sizeof *targets, error);
    if (status) return status;
    return mm_safetensors_put(f->writer, f->targets * sizeof *targets + row * width, sight->tensor.data,
                              count * width, error);
}

static void see(void *self, const mm_sight *sight) {
    recorder *r = self;
    mm_evaluator *e = r->evaluator;
    if (e->status || strcmp(sight->operation, "lm_head") != 0 || !sight->output) return;
    e->status = put(r, sight, &e->error);
}

mm_status mm_logits_open(const char *path, const mm_plan *plan, int vocab, mm_evaluator *evaluators,
                         int workers, mm_logits_file **file, mm_error *error) {
    assert(plan->packing == MM_PACKING_WINDOW);
    mm_logits_file *made = *file = calloc(1, sizeof *made);
    if (made) made->recorders = calloc((size_t)workers, sizeof *made->recorders);
    if (!made || !made->recorders) return mm_trouble(error, "%s: out of memory", path);
    *made = (mm_logits_file){
        .targets = mm_dataset_tokens(plan->dataset) - 1, .vocab = vocab, .recorders = made->recorders};
    for (int w = 0; w < workers; w++) {
        recorder *r = &made->recorders[w];
        *r = (recorder){.file = made, .evaluator = &evaluators[w], .sample = UINT64_MAX};
        r->probe = (mm_probe){.level = MM_LEVEL_OP, .self = r, .see = see};
        evaluators[w].probe = &r->probe;
    }
    int64_t rows = (int64_t)made->targets;
    const mm_tensor tensors[] = {{.name = "targets", .type = MM_I32, .dims = 1, .shape = {rows}},
                                 {.name = "logits", .type = MM_F32, .dims = 2, .shape = {rows, vocab}}};
    char inside[PATH_MAX];
    mm_status status = mm_draft_begin(path, &made->draft, error);
    if (!status) status = mm_path_join(inside, sizeof inside, mm_draft_path(made->draft), draft_name, error);
    return status ? status : mm_safetensors_begin(inside, tensors, 2, &made->writer, error);
}

void mm_logits_abandon(mm_logits_file *file) {
    if (!file) return;
    mm_safetensors_abandon(file->writer);
    mm_draft_abandon(file->draft);
    free(file->recorders);
    free(file);
}

mm_status mm_logits_end(mm_logits_file *file, mm_error *error) {
    mm_status status = mm_safetensors_end(file->writer, error);
    file->writer = NULL;
    if (!status) {
        status = mm_draft_commit_file(file->draft, draft_name, error);
        file->draft = NULL;
    }
    mm_logits_abandon(file);
    return status;
}
