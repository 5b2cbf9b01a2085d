// Whether mm takes a model.
#ifndef MM_RUN_RUNNABLE_H
#define MM_RUN_RUNNABLE_H

#include <mm/base/status.h>

// MM_OK if eval, generate and --model take the model directory by its config.json, generation_config.json and
// the names, shapes and types of its weights; else the trouble that each of them would have. A checkpoint's
// hashes are not looked at. Any thread may ask.
MM_CHECKED mm_status mm_model_runnable(const char *folder, mm_error *error);

#endif
