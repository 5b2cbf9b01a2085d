// The loop of generation: decode, draw, hand over, until something ends it.
#ifndef MM_SRC_GENERATE_TOKENS_H
#define MM_SRC_GENERATE_TOKENS_H

#include "generate_draw.h"
#include "generate_text.h"
#include <mm/model/decode.h>

typedef struct mm_generation {
    mm_decoder *decoder;
    mm_sampler *sampler;
    int workers;
    int32_t *ids;       // room for `most`; the first `count` are there already
    int64_t count;      // at least 1; grows
    int64_t most;       // above count at the beginning, at most the decoder's positions
    const int32_t *eos; // each of these ends it
    int eos_count;
    const volatile sig_atomic_t *stop; // may be NULL
    mm_status (*token)(void *self, int32_t id,
                       mm_error *error); // each that is made, but the eos; may be NULL
    void *self;
    mm_generate_end end; // MM_END_TOKENS when `most` are there
    double prompt_seconds, seconds;
} mm_generation;

// MM_OK also when *stop ended it, which may be before the first token is made. `token` is called by the
// caller's thread.
MM_CHECKED mm_status mm_generation_run(mm_generation *generation, mm_error *error);

// Appends the prompt's ids, of which a model of `vocab` tokens has every one: the tokenizer may know more,
// and a prompt that holds one of those is trouble. Special tokens are recognised; no bos is added.
MM_CHECKED mm_status mm_generation_prompt(const mm_tokenizer *tokenizer, int vocab, const char *prompt,
                                          size_t size, mm_ids *ids, mm_error *error);

// Appends the characters that the token completes to `out`; special tokens, and ids that the tokenizer does
// not have, are no text.
void mm_generation_text(const mm_tokenizer *tokenizer, int32_t id, mm_characters *characters, mm_text *out);

#endif
