// Where the time of a training run goes. Each worker charges its own time to operations, in a profile of its
// own that no other thread writes; when nobody profiles, a mark costs one load and one branch. It decides no
// number of a run.
#ifndef MM_BASE_PROFILE_H
#define MM_BASE_PROFILE_H

#include <mm/base/probe.h>
#include <mm/base/status.h>
#include <stdint.h>

typedef enum mm_profile_op {
    MM_PROFILE_OTHER, // what lies between the others
    MM_PROFILE_BATCH, // read and decompressed, and its noise
    // A leaf's, each forward and backward.
    MM_PROFILE_EMBEDDING,  // with its dropout
    MM_PROFILE_INPUT_NORM, // backward: also its forward again, for the weight's gradient
    MM_PROFILE_QKV,
    MM_PROFILE_HEADS, // norm of q and k, and rope
    MM_PROFILE_ATTENTION,
    MM_PROFILE_O_PROJ,
    MM_PROFILE_RESIDUAL, // both, with the attention output's dropout
    MM_PROFILE_POST_NORM,
    MM_PROFILE_GATE_UP,
    MM_PROFILE_SWIGLU,
    MM_PROFILE_DOWN,
    MM_PROFILE_FINAL_NORM,
    MM_PROFILE_LOGITS,
    MM_PROFILE_CROSS_ENTROPY, // with a gradient both in one, called backward
    // A step's.
    MM_PROFILE_CLEAR, // made zero what of a leaf's gradient is added to
    MM_PROFILE_MERGE, // sums of the tree
    MM_PROFILE_NORM,  // of the merged gradient
    MM_PROFILE_ADAMW,
    MM_PROFILE_TRACE, // fingerprints, and writing them
    MM_PROFILE_METRICS,
    MM_PROFILE_WAIT,   // for other workers to end their part
    MM_PROFILE_SERIAL, // idle while one worker does what it does alone
    // Beside the steps; all workers' time.
    MM_PROFILE_VALIDATION,
    MM_PROFILE_SAMPLES,
    MM_PROFILE_CHECKPOINT,
    MM_PROFILE_OPS
} mm_profile_op;

enum { MM_PROFILE_PASSES = MM_PASS_BACKWARD + 1, MM_PROFILE_GEMMS = 256 };

typedef struct mm_profile_row {
    double seconds;      // of all workers
    double gemm_seconds; // of these inside GEMM
    double gemm_flops;   // 2 m n k of each
} mm_profile_row;

// One shape of GEMM, as mm_gemm_run is called.
typedef struct mm_profile_gemm {
    int64_t m, n, k, lda, ldb, ldc;
    bool transpose_a, transpose_b, adds; // adds: to what is in C, but for a C of +0
    int64_t calls;
    double seconds;
} mm_profile_gemm;

// Of all workers. The rows' seconds sum to workers * seconds.
typedef struct mm_profile_sum {
    int workers;
    double seconds; // from start to stop
    mm_profile_row rows[MM_PROFILE_OPS][MM_PROFILE_PASSES];
    mm_profile_gemm gemms[MM_PROFILE_GEMMS]; // in the order of their first call
    int gemm_count;
    int64_t gemms_left_out; // calls of further shapes
} mm_profile_sum;

// "attention", "qkv_proj", ...
const char *mm_profile_name(mm_profile_op op);

// From here to mm_profile_stop the workers of mm_par_run and mm_par_team, up to `workers` of them, and the
// calling thread, which is worker 0, profile. One run of a process at a time does. Trouble when memory is
// out.
MM_CHECKED mm_status mm_profile_start(int workers, mm_error *error);
// Fills *sum and ends it; by the thread that started it.
void mm_profile_stop(mm_profile_sum *sum);
// Seconds inside GEMM so far, of all workers. By the thread that started it, while no workers run.
double mm_profile_gemm_seconds(void);
// All that follows, on all workers, is `op`'s, whatever its marks say; MM_PROFILE_OTHER: as the marks say
// again. By the thread that started it, while no workers run.
void mm_profile_stage(mm_profile_op op);

// This thread's; NULL: it does not profile.
extern _Thread_local struct mm_profile *mm_profile_mine;

// The time since this thread's last mark was the operation's.
void mm_profile_charge(mm_profile_op op, mm_pass pass);
static inline void mm_profile_mark(mm_profile_op op, mm_pass pass) {
    if (mm_profile_mine) mm_profile_charge(op, pass);
}

// For GEMM, where mm_profile_mine is not NULL: one call, which began at `began` (mm_clock_seconds) and ends
// now. It counts as the operation's that is marked next.
void mm_profile_gemm_ended(const mm_profile_gemm *shape, double began);

// For the launcher of workers. A worker begins and ends; the caller goes on after all have ended; a member of
// a team has waited since `began`, if it profiles.
void mm_profile_enter(int worker);
void mm_profile_leave(void);
void mm_profile_joined(void);
void mm_profile_waited(double began);

#endif
