// The functions that the linker puts in the way (tests/faults/meson.build lists them): __wrap_X is called for
// X, and __real_X is X. The linker knows no types: these are X's own.
#ifndef MM_TESTS_WRAP_H
#define MM_TESTS_WRAP_H

#include <fcntl.h>
#include <mm/data/batch.h>
#include <mm/model/model.h>
#include <mm/ops/gemm.h>
#include <mm/ops/kernels.h>
#include <mm/optim/adamw.h>
#include <mm/optim/clip.h>
#include <mm/optim/schedule.h>
#include <mm/rank/reduce.h>
#include <mm/rank/streams.h>
#include <mm/record/checkpoint.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRAPPED(name) extern __typeof__(name) __real_##name, __wrap_##name

WRAPPED(mm_model_open);
WRAPPED(mm_checkpoint_state_read);
WRAPPED(mm_tensors_read);
WRAPPED(mm_batch_fill);
WRAPPED(mm_tree_begin);
WRAPPED(mm_tree_take);
WRAPPED(mm_tree_give);
WRAPPED(mm_rank_draw);
WRAPPED(mm_kernels_for);
WRAPPED(mm_optim_kernels_for);
WRAPPED(mm_rope_tables);
WRAPPED(mm_gemm_run);
WRAPPED(mm_clip_scale);
WRAPPED(mm_schedule_lr);
WRAPPED(mm_adamw_at);

WRAPPED(write);
WRAPPED(pwrite64);
WRAPPED(fsync);
WRAPPED(ftruncate64);
WRAPPED(open64);
WRAPPED(rename);
WRAPPED(renameat2);
WRAPPED(mkdir);
WRAPPED(symlink);
WRAPPED(unlink);
WRAPPED(unlinkat);

#endif
