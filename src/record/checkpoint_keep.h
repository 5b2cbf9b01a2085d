// Which checkpoints a run keeps. Private to this folder.
#ifndef MM_RECORD_CHECKPOINT_KEEP_H
#define MM_RECORD_CHECKPOINT_KEEP_H

#include <mm/base/status.h>

// Removes a checkpoint so that it is there whole or not at all.
MM_CHECKED mm_status checkpoint_retire(const char *path, mm_error *error);

#endif
