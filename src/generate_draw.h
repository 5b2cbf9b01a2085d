// The choice of the next token from logits.
#ifndef MM_SRC_GENERATE_DRAW_H
#define MM_SRC_GENERATE_DRAW_H

#include <mm/run/generate.h>

// One thread at a time.
typedef struct mm_sampler mm_sampler;

// *sampler is NULL after trouble.
MM_CHECKED mm_status mm_sampler_open(const mm_sampling *sampling, int vocab, mm_sampler **sampler,
                                     mm_error *error);
void mm_sampler_close(mm_sampler *sampler);
// Another series from now on.
void mm_sampler_series(mm_sampler *sampler, uint32_t series);
// The token for `position` of the sequence, whose ids so far are `ids`, as many as `position`. MM_NONFINITE,
// named, where a logit is not finite.
MM_CHECKED mm_status mm_sampler_draw(mm_sampler *sampler, const float *logits, const int32_t *ids,
                                     int64_t position, int32_t *id, mm_error *error);

#endif
