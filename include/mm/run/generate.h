// Text from a model: a prompt goes in, and tokens are taken one after another until the model ends its
// document. One training, replay, evaluation or generation of text at a time in a process: the profile and
// BLIS's kernel (BLIS_ARCH_TYPE) are the process's.
#ifndef MM_RUN_GENERATE_H
#define MM_RUN_GENERATE_H

#include <mm/base/status.h>
#include <mm/base/text.h>
#include <mm/data/tokenizer.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define MM_PENALTY_LEAST 0.01
#define MM_PENALTY_MOST 100

// How the next token is chosen. The logit of each token that is there already is multiplied by the repetition
// penalty if it is negative, else divided by it; all are divided by the temperature; then the top_k largest
// are kept; then, of their softmax, the fewest whose probabilities reach top_p, largest first; one of them is
// drawn by its probability. Equal logits count as falling with the id.
typedef struct mm_sampling {
    double temperature; // 0: the largest logit, whatever the rest says but the penalty
    int64_t top_k;      // 0: all
    double top_p;       // 1: all
    // The token at position i of the sequence is drawn by words 2i and 2i + 1 of the seed's stream.
    uint64_t seed;
    double repetition_penalty; // 0 or 1: none. Keskar et al. (2019), as transformers has it
    uint32_t series; // word 2 of the stream's counter: 0 for a text, the step for a sample of training
} mm_sampling;

enum { MM_GENERATE_TOKENS = 256 }; // at most, where nobody says

// Temperature 0.8, top-k 40, top-p 0.95, no penalty, seed 1337.
mm_sampling mm_sampling_default(void);
// Fills the numbers of *sampling that are negative, and *max_tokens where it is 0, from a model directory's
// generation_config.json (temperature, top_k, top_p, repetition_penalty, max_new_tokens) or, where that says
// nothing, with the defaults. Its do_sample false is temperature 0 unless `drawn`: the user wants tokens
// drawn.
MM_CHECKED mm_status mm_sampling_complete(const char *folder, bool drawn, mm_sampling *sampling,
                                          int64_t *max_tokens, mm_error *error);

typedef enum mm_generate_end {
    MM_END_EOS,       // the model ended the document
    MM_END_TOKENS,    // max_tokens
    MM_END_POSITIONS, // max_position_embeddings
    MM_END_STOPPED    // *stop
} mm_generate_end;

typedef struct mm_generate_request {
    const char *model_path; // config.json, model.safetensors, tokenizer.json
    const char *prompt;     // any bytes, but at least one id; no bos is added
    size_t prompt_size;
    int64_t max_tokens; // at least 1
    mm_sampling sampling;
    int workers;                       // at least 1
    const volatile sig_atomic_t *stop; // looked at between tokens, and within the prompt; may be NULL
    // Takes text as it is made: whole characters of UTF-8, U+FFFD for what is none. Called by the caller's
    // thread. Trouble ends the work. May be NULL.
    mm_status (*write)(void *self, const char *text, size_t size, mm_error *error);
    void *self;
} mm_generate_request;

typedef struct mm_generate_result {
    mm_ids ids; // the prompt's, then what was made, without the eos
    size_t prompt_ids;
    mm_text text;      // of what was made: what `write` was given
    int64_t positions; // the model's max_position_embeddings
    mm_generate_end end;
    double prompt_seconds, seconds; // until the first token; after it
} mm_generate_result;

// The same ids for any workers, on any CPU. What generation_config.json asks for beyond mm_sampling, and
// would change the ids, is refused by name. The result holds what was made also when MM_INTERRUPTED (*stop)
// or MM_NONFINITE (a logit that is not finite) is returned. Free it in any case.
MM_CHECKED mm_status mm_generate(const mm_generate_request *request, mm_generate_result *result,
                                 mm_error *error);
void mm_generate_result_free(mm_generate_result *result);

#endif
