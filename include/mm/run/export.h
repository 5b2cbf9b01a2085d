// A model as others' programs want it: a directory in Hugging Face's layout, its weights in the type asked
// for.
#ifndef MM_RUN_EXPORT_H
#define MM_RUN_EXPORT_H

#include <mm/base/status.h>
#include <mm/base/tensor.h>
#include <signal.h>
#include <stdint.h>

typedef struct mm_export_request {
    // A model directory, a checkpoint, or a run, of which the newest checkpoint is taken.
    const char *model_path;
    const char *out;                                             // is made; nothing is overwritten
    mm_type type;                                                // MM_F32, MM_BF16 or MM_F16
    void (*progress)(void *self, uint64_t done, uint64_t total); // bytes written of all; may be NULL
    void *self;
    const volatile sig_atomic_t *stop; // true: soon ends with MM_INTERRUPTED; may be NULL
} mm_export_request;

typedef struct mm_export_result {
    int tensors;
    int64_t numbers;
    uint64_t bytes; // of the weights
} mm_export_result;

// Writes config.json, model.safetensors and generation_config.json, and of the tokenizer, if the model has
// one, tokenizer.json, tokenizer_config.json and what else stands beside it. Numbers are rounded to the
// nearest, ties to even. A number that the type cannot reach is trouble that names its tensor; one that is
// not finite is MM_NONFINITE. All appears at once or not at all. The weights take constant memory. `progress`
// is called by the caller's thread.
MM_CHECKED mm_status mm_export(const mm_export_request *request, mm_export_result *result, mm_error *error);

#endif
