// A model's weights between an array and files.
#ifndef MM_SRC_WEIGHTS_H
#define MM_SRC_WEIGHTS_H

#include <mm/base/tensor.h>
#include <mm/model/parameters.h>
#include <stdbool.h>

// The tensors of an array of parameters->floats, one for each parameter; free it. NULL: out of memory.
mm_tensor *mm_weights_list(const mm_parameters *parameters, float *array);
// Fills the array from FOLDER/model.safetensors; `all` as of mm_tensors_read.
MM_CHECKED mm_status mm_weights_read(const mm_parameters *parameters, float *array, const char *folder,
                                     bool all, mm_error *error);

#endif
