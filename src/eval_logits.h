// The logits of an evaluation, into a file, whoever computes them.
#ifndef MM_SRC_EVAL_LOGITS_H
#define MM_SRC_EVAL_LOGITS_H

#include "evaluate.h"
#include <mm/files/safetensors.h>

typedef struct mm_logits_file mm_logits_file;

// Makes the file, which gets its name at the end, and lets the evaluators' probes write to it; they must live
// as long. Trouble there ends the evaluation. Their plan has windows. Abandon *file also after trouble of the
// call.
MM_CHECKED mm_status mm_logits_open(const char *path, const mm_plan *plan, int vocab,
                                    mm_evaluator *evaluators, int workers, mm_logits_file **file,
                                    mm_error *error);
// After an evaluation that came to its end: publishes the file. Frees *file in any case.
MM_CHECKED mm_status mm_logits_end(mm_logits_file *file, mm_error *error);
// Instead of it, and NULL is allowed: removes the file.
void mm_logits_abandon(mm_logits_file *file);

#endif
