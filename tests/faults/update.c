// Faults of the update and of what a run goes on from.
#include "fault.h"
#include "place.h"
#include "wrap.h"
#include <string.h>

double __wrap_mm_clip_scale(double norm, double clip) {
    return fault_strikes("no-clip") ? 1 : __real_mm_clip_scale(norm, clip);
}

double __wrap_mm_schedule_lr(mm_schedule schedule, double lr, int64_t warmup, int64_t steps, int64_t step) {
    if (fault_strikes("schedule")) step--;
    return __real_mm_schedule_lr(schedule, lr, warmup, steps, step);
}

mm_adamw_scalars __wrap_mm_adamw_at(const mm_adamw *options, double lr, double weight_decay, double scale,
                                    int64_t step) {
    if (fault_is("resume-step") && resumed_at) step--;
    return __real_mm_adamw_at(options, lr, weight_decay, scale, step);
}

static const mm_optim_kernels *real_optim;

// The state of one number changes before its update.
static bool adamw(float *w, float *m, float *v, const float *g, int64_t n, const mm_adamw_scalars *scalars) {
    size_t target = model_in_work->parameters.offsets[planted.tensor] + (size_t)planted.element;
    size_t first = (size_t)(w - model_in_work->weights);
    if (fault_strikes("bit-moment") && target >= first && target < first + (size_t)n)
        flip_bit(&(planted.other ? v : m)[target - first], planted.bit);
    return real_optim->adamw(w, m, v, g, n, scalars);
}

const mm_optim_kernels *__wrap_mm_optim_kernels_for(mm_isa isa) {
    static mm_optim_kernels table;
    real_optim = __real_mm_optim_kernels_for(isa);
    table = *real_optim;
    if (fault_is("bit-moment")) table.adamw = adamw;
    return &table;
}

mm_status __wrap_mm_tensors_read(const char *path, const mm_tensor *tensors, int count, mm_error *error) {
    mm_status status = __real_mm_tensors_read(path, tensors, count, error);
    if (!status && fault_is("state-lost") && strstr(path, "optimizer.safetensors"))
        for (int i = 0; i < count; i++) memset(tensors[i].data, 0, mm_tensor_bytes(&tensors[i]));
    return status;
}
