// Training: the list of stages of a run (design: A step). Prints nothing: what people see is the watch's. One
// training, replay, evaluation or generation of text at a time in a process: the profile and BLIS's kernel
// (BLIS_ARCH_TYPE) are the process's.
#ifndef MM_RUN_TRAIN_H
#define MM_RUN_TRAIN_H

#include <mm/base/profile.h>
#include <mm/base/status.h>
#include <mm/record/settings.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

// What a run takes, in bytes.
typedef struct mm_memory {
    double total;     // the most that the process will have
    double weights;   // and moments
    double gradients; // the buffers of the tree
    double activations;
    double process;   // the program, its libraries and threads, data, trace
    double available; // that it may have in all; infinity: not known
} mm_memory;

// What is known before step 1. Strings live as long as the call.
typedef struct mm_train_header {
    const mm_settings *settings; // resolved
    const char *run_path;
    const char *model_type; // "qwen3", "llama"
    int64_t parameters;
    int hidden, layers, heads, kv_heads, head_dim, intermediate, vocab;
    const char *data_path, *val_path; // val_path NULL: none
    uint64_t data_tokens, data_documents, data_samples;
    int cores;      // usable
    int64_t leaves; // of a step
    const char *gemm_kernel, *isa;
    const char *policy_words; // the seed policy in words
    mm_memory memory;
    double start_loss;    // ln(V), to be expected at the start
    int64_t resumed_step; // 0: from the beginning
    bool again;           // --resume of a run that has no checkpoint yet: it starts at step 1
} mm_train_header;

typedef struct mm_train_step {
    int64_t step, steps;
    double loss, grad_norm, lr; // as mm_metrics_row has them
    bool has_val;               // val_loss was taken at this step
    double val_loss;
    double seconds;           // of this step
    int64_t tokens;           // targets of this step
    double tokens_per_second; // over the last steps
    double seconds_left;      // estimate for the rest of the run; negative: not known yet
    double seconds_whole;     // and for all of it, from when this process began to train
} mm_train_step;

typedef struct mm_train_result {
    int64_t step;      // the last step done
    bool interrupted;  // and saved
    bool already_done; // it was at its end, and nothing was opened: there was no header
    bool ends_now;     // --steps is where it was
    double seconds;
    double loss, val_loss; // of the last step, nats; the last validation's, if has_val
    bool has_val;
    char run_path[4096];   // "": no run was opened
    char model_path[4096]; // the newest checkpoint's link
    char data_path[4096];  // what to evaluate on: the validation data, else the data; empty if they are gone
    int64_t seq_len;       // and how, as mm_eval_request has it
    mm_packing packing;
} mm_train_result;

// What the model of a step says to the prompt; valid during the call.
typedef struct mm_train_sample {
    int64_t step;
    const char *prompt, *text; // whole characters of UTF-8; text is not NUL-terminated where it holds a NUL
    size_t text_size;
} mm_train_sample;

// Any may be NULL. Called by the thread that called mm_train.
typedef struct mm_train_watch {
    void *self;
    void (*header)(void *self, const mm_train_header *header);
    void (*step)(void *self, const mm_train_step *step);
    // "evaluating", "saving", "reading data"; share 0..1, or -1: not known.
    void (*doing)(void *self, const char *what, double share);
    void (*warning)(void *self, const char *sentence);
    void (*sample)(void *self, const mm_train_sample *sample);
    // Where the time of the steps went, once, after the last; who gives it has the run profiled.
    void (*profile)(void *self, const mm_profile_sum *sum);
} mm_train_watch;

// Settings as mm_train_resolve leaves them. The run directory is made here. `watch` may be NULL. `stop` (may
// be NULL): when it becomes non-zero the step is finished, saved, and MM_INTERRUPTED returned. *result is
// filled in any case, as far as the run went.
MM_CHECKED mm_status mm_train(const mm_settings *settings, int argc, char *const *argv,
                              const mm_train_watch *watch, const volatile sig_atomic_t *stop,
                              mm_train_result *result, mm_error *error);

// Goes on with the run in settings->out. `given` says which fields of `settings` were given on the command
// line (indexed as mm_settings_fields); the rest comes from run.json. `watch`, `stop` and `result` as
// mm_train's.
MM_CHECKED mm_status mm_train_resume(const mm_settings *settings, const bool *given,
                                     const mm_train_watch *watch, const volatile sig_atomic_t *stop,
                                     mm_train_result *result, mm_error *error);

// Fills what was not given (`given` as above) from the defaults of the design and of the preset; checks what
// must fit together (ranks, batch, micro-batch) and names the nearest settings that work.
MM_CHECKED mm_status mm_train_resolve(mm_settings *settings, const bool *given, mm_error *error);
// A prompt is for samples: trouble if none are taken.
MM_CHECKED mm_status mm_train_check_prompt(const mm_settings *settings, mm_error *error);

#endif
