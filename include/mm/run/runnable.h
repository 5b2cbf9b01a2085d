// Whether mm takes a model.
#ifndef MM_RUN_RUNNABLE_H
#define MM_RUN_RUNNABLE_H

#include <mm/base/status.h>

// MM_OK if eval and --model take the directory by config.json and the names, shapes and types of its weights;
// else the trouble that each of them would have. (mm_config_read also takes eos from generation_config.json,
// and refuses an adapter_config.json.) What generate refuses beyond that is not looked at: other settings of
// generation_config.json, a missing tokenizer.json. Nor are a checkpoint's hashes. Any thread may ask.
MM_CHECKED mm_status mm_model_runnable(const char *folder, mm_error *error);

#endif
