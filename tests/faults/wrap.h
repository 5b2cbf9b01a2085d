// The functions that the linker puts in the way (tests/faults/meson.build lists them): __wrap_X is called for
// X, and
// __real_X is X.
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

#define WRAPPED(type, name, ...)                                                                             \
    type __real_##name(__VA_ARGS__);                                                                         \
    type __wrap_##name(__VA_ARGS__)

WRAPPED(mm_status, mm_model_open, mm_model *model, const mm_config *config, const mm_kernels *kernels,
        const mm_gemm *gemm, int64_t positions, float *weights, mm_error *error);
WRAPPED(mm_status, mm_checkpoint_state_read, const char *path, mm_checkpoint_state *state, mm_error *error);
WRAPPED(mm_status, mm_tensors_read, const char *path, const mm_tensor *tensors, int count, mm_error *error);
WRAPPED(mm_status, mm_batch_fill, mm_batch *batch, const mm_plan *plan, mm_dataset_cursor *cursor,
        uint64_t first, int samples, mm_error *error);
WRAPPED(void, mm_tree_begin, mm_tree *tree);
WRAPPED(int64_t, mm_tree_take, mm_tree *tree, int64_t limit, float **gradient);
WRAPPED(void, mm_tree_give, mm_tree *tree, int64_t leaf, mm_partial partial, const mm_tree_watch *watch);
WRAPPED(mm_draw, mm_rank_draw, mm_seed_policy policy, uint64_t seed, int rank, int64_t step,
        int64_t leaf_in_rank, int sample, uint64_t position);
WRAPPED(const mm_kernels *, mm_kernels_for, mm_isa isa);
WRAPPED(const mm_optim_kernels *, mm_optim_kernels_for, mm_isa isa);
WRAPPED(void, mm_rope_tables, float *cosine, float *sine, int64_t positions, int head_dim, double theta);
WRAPPED(void, mm_gemm_run, const mm_gemm *gemm, bool transpose_a, bool transpose_b, int64_t m, int64_t n,
        int64_t k, float alpha, const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
        float *c, int64_t ldc);
WRAPPED(double, mm_clip_scale, double norm, double clip);
WRAPPED(double, mm_schedule_lr, mm_schedule schedule, double lr, int64_t warmup, int64_t steps, int64_t step);
WRAPPED(mm_adamw_scalars, mm_adamw_at, const mm_adamw *options, double lr, double weight_decay, double scale,
        int64_t step);

WRAPPED(ssize_t, write, int fd, const void *data, size_t size);
WRAPPED(int, fsync, int fd);
WRAPPED(int, ftruncate64, int fd, off_t size);
WRAPPED(int, open64, const char *path, int flags, ...);
WRAPPED(int, rename, const char *from, const char *to);
WRAPPED(int, renameat2, int from_folder, const char *from, int to_folder, const char *to, unsigned flags);
WRAPPED(int, mkdir, const char *path, mode_t mode);
WRAPPED(int, symlink, const char *target, const char *path);
WRAPPED(int, unlink, const char *path);
WRAPPED(int, unlinkat, int folder, const char *path, int flags);

#endif
