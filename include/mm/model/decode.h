// Decoding: ids one after another through the model, with the keys and values of earlier positions kept, and
// the logits of what comes next. A team of workers shares each token: every linear layer by rows of its
// weights, attention by heads.
#ifndef MM_MODEL_DECODE_H
#define MM_MODEL_DECODE_H

#include <mm/base/par.h>
#include <mm/model/model.h>

enum { MM_DECODE_ROWS = 128 }; // ids that go through the model together

typedef struct mm_decoder mm_decoder;

// Room for `positions` positions, which the model's rope tables must reach, and for a team of at most
// `workers`. The model must live as long. Trouble: memory.
MM_CHECKED mm_status mm_decoder_open(const mm_model *model, int64_t positions, int workers,
                                     mm_decoder **decoder, mm_error *error);
void mm_decoder_close(mm_decoder *decoder);

// Takes ids[0..count-1], count >= 1, at positions `position` onwards; what stands before must have been taken
// by calls before. Every worker of the team calls it with the same arguments, and may touch `ids` again when
// it returns. Returns the logits of what follows the last id, config.vocab floats, the same for every worker;
// they hold until the next call.
//
// The result is defined to the bit, whatever the team and the kernels. Ids go MM_DECODE_ROWS at a time,
// counted from the call's first; linear layers of more than one id are mm_gemm_run's, of one id (as is each
// token when generating) and the logits are mm_gemv_kernels', attention is mm_attention_query_kernels', all
// else as in training. So it agrees with the training forward pass within float rounding, not to the bit.
const float *mm_decoder_run(mm_decoder *decoder, const mm_team *team, int worker, int64_t position,
                            const int32_t *ids, int64_t count);

#endif
