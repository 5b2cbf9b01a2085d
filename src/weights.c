#include "weights.h"
#include <limits.h>
#include <mm/files/publish.h>
#include <mm/record/checkpoint.h>
#include <stdlib.h>

mm_tensor *mm_weights_list(const mm_parameters *p, float *array) {
    mm_tensor *tensors = calloc((size_t)p->count, sizeof *tensors);
    for (int i = 0; tensors && i < p->count; i++) tensors[i] = mm_parameter_in(p, i, array);
    return tensors;
}

mm_status mm_weights_read(const mm_parameters *p, float *array, const char *folder, bool all,
                          mm_error *error) {
    char path[PATH_MAX];
    mm_status status = mm_path_join(path, sizeof path, folder, "model.safetensors", error);
    if (status) return status;
    mm_tensor *tensors = mm_weights_list(p, array);
    if (!tensors) return mm_trouble(error, "%s: out of memory", path);
    status = mm_tensors_read(path, tensors, p->count, all, error);
    free(tensors);
    return status;
}
