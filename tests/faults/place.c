// Following the program: steps, leaves, the model.
#include "place.h"
#include "fault.h"
#include "wrap.h"
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

_Thread_local place here;
const mm_model *model_in_work;
int64_t resumed_at;
static atomic_llong steps_begun;

int64_t step_in_work(void) {
    return steps_begun ? resumed_at + steps_begun : 0;
}

mm_status __wrap_mm_model_open(mm_model *model, const mm_config *config, const mm_kernels *kernels,
                               const mm_gemm *gemm, int64_t positions, float *weights, mm_error *error) {
    model_in_work = model;
    return __real_mm_model_open(model, config, kernels, gemm, positions, weights, error);
}

mm_status __wrap_mm_checkpoint_state_read(const char *path, mm_checkpoint_state *state, mm_error *error) {
    mm_status status = __real_mm_checkpoint_state_read(path, state, error);
    if (!status && !steps_begun) resumed_at = state->step;
    return status;
}

// Also the end of a process at a known step, and a weight that changes between two steps.
void __wrap_mm_tree_begin(mm_tree *tree) {
    atomic_fetch_add(&steps_begun, 1);
    if (fault_strikes("kill-step")) kill(getpid(), SIGKILL);
    if (fault_strikes("bit-weight")) {
        size_t offset = model_in_work->parameters.offsets[planted.tensor] + (size_t)planted.element;
        flip_bit(&model_in_work->weights[offset], planted.bit);
    }
    __real_mm_tree_begin(tree);
}
