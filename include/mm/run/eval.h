// Loss of a model over a dataset, in order, without dropout; the same bits for any workers. In windows every
// token of it but the first is a target once; by document each of its tokens but the first (bos) is, but a
// document of more than seq_len + 1 tokens is cut to seq_len targets, of which the last is eos (plan.h). One
// training, replay, evaluation or generation of text at a time in a process: the profile and BLIS's kernel
// (BLIS_ARCH_TYPE) are the process's.
#ifndef MM_RUN_EVAL_H
#define MM_RUN_EVAL_H

#include <mm/base/choices.h>
#include <mm/base/status.h>
#include <signal.h>
#include <stdint.h>

typedef struct mm_eval_request {
    const char *model_path, *data_path;
    const char *data_name; // what messages call the data; NULL: data_path
    int64_t seq_len;       // of a window; 0: 256
    // Of documents each is cut to seq_len targets, the last of which is eos.
    mm_packing packing;
    int workers; // at least 1
    // Of windows: if not NULL, a .safetensors file that is made: "targets" I32 {tokens} and "logits" F32
    // {tokens, vocabulary}, of each target in the data's order.
    const char *logits_path;
    void (*progress)(void *self, uint64_t done, uint64_t total); // windows; may be NULL
    void *self;
    const volatile sig_atomic_t *stop; // true: soon ends with MM_INTERRUPTED; may be NULL
} mm_eval_request;

typedef struct mm_eval_result {
    double loss; // nats, the mean over the targets
    double perplexity;
    int64_t tokens;     // targets counted: each document's eos is one, and its bos but for the first's
    int64_t text_bytes; // of the text that the dataset was packed from; 0: it does not know, or was not
                        // evaluated whole
    // loss * tokens / ln 2 / text_bytes: what the model needs for a byte of text with all that stands about
    // it. NaN where text_bytes is 0, and of documents, which may be cut.
    double bits_per_byte;
    double seconds;
} mm_eval_result;

// Trouble if the model has a tokenizer and it is not the dataset's. A loss that is not finite is MM_OK.
// Nothing in the result is to be freed. `progress` is called by the caller's thread.
MM_CHECKED mm_status mm_eval(const mm_eval_request *request, mm_eval_result *result, mm_error *error);

#endif
