// checkpoints/step-NNNNNN: config.json, model.safetensors, tokenizer.json, tokenizer_config.json,
// optimizer.safetensors, state.json, published by one rename; `model` leads to the newest. Hugging Face's
// layout, so it opens in transformers.
#ifndef MM_RECORD_CHECKPOINT_H
#define MM_RECORD_CHECKPOINT_H

#include <mm/base/hash.h>
#include <mm/base/status.h>
#include <mm/base/tensor.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A run's folder of checkpoints, and in it a step's (a format, for long long).
#define MM_CHECKPOINTS "checkpoints"
#define MM_CHECKPOINT_STEP "step-%06lld"
#define MM_CHECKPOINT MM_CHECKPOINTS "/" MM_CHECKPOINT_STEP

// What stands before a parameter's name in its own and in the names of its first and second moment, which are
// PyTorch's.
extern const char *const mm_moment_prefixes[3];
// The parameter's name in one of those three; *which is its prefix's place.
const char *mm_moment_of(const char *name, int *which);

// A checkpoint's files of text, in the order of their table: config.json, tokenizer.json and
// tokenizer_config.json.
enum { MM_CHECKPOINT_TEXTS = 3 };
typedef struct mm_checkpoint_text {
    bool there;
    mm_hash hash; // of the file
} mm_checkpoint_text;

// What a run needs to go on besides tensors. state.json.
typedef struct mm_checkpoint_state {
    int64_t step;      // updates done
    uint64_t position; // samples taken: the next step's first position
    int64_t tokens;    // targets seen
    int streams_version, arithmetic_version;
    // Filled by the writer (what the caller puts there is not looked at) and checked by the reader: the
    // hashes of the two safetensors files, and the texts.
    mm_hash model, optimizer;
    mm_checkpoint_text texts[MM_CHECKPOINT_TEXTS];
} mm_checkpoint_state;

typedef struct mm_checkpoint {
    const char *config;    // config.json's text
    const char *tokenizer; // tokenizer.json's bytes; NULL: none
    size_t tokenizer_size;
    const char *tokenizer_config; // tokenizer_config.json's text; NULL: none
    const mm_tensor *tensors;     // the model's
    int count;
    const mm_tensor *optimizer; // "exp_avg.NAME", "exp_avg_sq.NAME" (PyTorch's names)
    int optimizer_count;
    mm_checkpoint_state state;
} mm_checkpoint;

// Into RUN/checkpoints/step-NNNNNN, then the link RUN/model, then removes all but the newest `keep` (0: keeps
// all). A checkpoint of that step that is there already is replaced only if it is damaged or differs: else
// left. The caller has the run locked, and metrics and trace synced up to the step.
MM_CHECKED mm_status mm_checkpoint_save(const char *run_path, const mm_checkpoint *checkpoint, int keep,
                                        mm_error *error);
// Ends what a killed save has left undone: leads RUN/model to the newest checkpoint, removes all but the
// newest `keep` (0: keeps all) and what was never published. Changes nothing where nothing is left. The run
// is locked.
MM_CHECKED mm_status mm_checkpoint_settle(const char *run_path, int keep, mm_error *error);

// Steps of the run's checkpoints, ascending; *steps is malloc'ed, free() it.
MM_CHECKED mm_status mm_checkpoint_list(const char *run_path, int64_t **steps, int *count, mm_error *error);
// RUN/checkpoints/step-NNNNNN into `out`, of `size` bytes.
MM_CHECKED mm_status mm_checkpoint_path(const char *run_path, int64_t step, char *out, size_t size,
                                        mm_error *error);
// What to do about a checkpoint that a run cannot go on from.
#define MM_CHECKPOINT_WAY_OUT                                                                                \
    "remove its folder, and --resume goes on from the one before; if there is none, remove the run's link "  \
    "model, too, and it begins again"
// Reads state.json and checks all files against its hashes: a damaged or mixed checkpoint is trouble, named.
MM_CHECKED mm_status mm_checkpoint_state_read(const char *path, mm_checkpoint_state *state, mm_error *error);
// Does the folder hold a state.json of mm's, damaged or not? Other programs may have one of theirs.
bool mm_checkpoint_is(const char *path);
// Where the folder is a checkpoint's: are its weights those that its state.json names? People change
// config.json of a copy, and mean it.
MM_CHECKED mm_status mm_checkpoint_check_weights(const char *path, mm_error *error);
// Fills `tensors` (name and shape given, data F32) from a safetensors file, whose F16 and BF16 are widened:
// every one must be there with that shape, and no other.
MM_CHECKED mm_status mm_tensors_read(const char *path, const mm_tensor *tensors, int count, mm_error *error);

#endif
