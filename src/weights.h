// A model's weights between an array and files.
#ifndef MM_SRC_WEIGHTS_H
#define MM_SRC_WEIGHTS_H

#include <mm/base/arena.h>
#include <mm/base/tensor.h>
#include <mm/files/tensor_files.h>
#include <mm/model/model.h>
#include <mm/model/parameters.h>

// The tensors of an array of parameters->floats, one for each parameter; free it. NULL: out of memory.
mm_tensor *mm_weights_list(const mm_parameters *parameters, float *array);
// Opens the model directory's weights, F32, F16 or BF16, in one file or in shards, and checks that they are
// the parameters': every tensor there with its shape, and none that the model does not have. Let be, as
// transformers does: tables of rotary embedding, which old Llama files hold, and of a model with tied
// embeddings the output's weights, if they are the embedding's. Else trouble names the tensor.
MM_CHECKED mm_status mm_weights_open(const mm_parameters *parameters, const char *folder,
                                     mm_tensor_files **files, mm_error *error);
// As mm_weights_open, for the parameters that follow from `config`. *files is NULL before the call; close it
// (NULL is allowed) also after trouble.
MM_CHECKED mm_status mm_weights_find(const mm_config *config, const char *folder, mm_tensor_files **files,
                                     mm_error *error);
// Opens the model directory's model, with rope tables for so many positions, and its weights in `arena`. What
// config.json says of sizes is believed when the weights' files say the same, and a checkpoint's weights must
// be those of its state.json. Model and arena are {0} before the call; close both, also after trouble.
MM_CHECKED mm_status mm_weights_load(mm_model *model, const mm_config *config, const mm_kernels *kernels,
                                     const mm_gemm *gemm, int64_t positions, const char *folder,
                                     mm_arena *arena, mm_error *error);
// As mm_weights_open, and fills the array.
MM_CHECKED mm_status mm_weights_read(const mm_parameters *parameters, float *array, const char *folder,
                                     mm_error *error);

#endif
