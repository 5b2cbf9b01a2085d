// The one table of a model's tensors. Weights, gradients and AdamW's moments are arrays of `floats` floats
// that share its offsets. q, k and v of a layer stand without a gap, as do gate and up, so that each group is
// one GEMM.
#ifndef MM_MODEL_PARAMETERS_H
#define MM_MODEL_PARAMETERS_H

#include <mm/base/status.h>
#include <mm/base/tensor.h>
#include <mm/model/config.h>

// Indices into the table; -1 where the model has no such tensor.
typedef struct mm_layer_parameters {
    int input_norm, q, k, v, q_bias, k_bias, v_bias, q_norm, k_norm, o, o_bias, post_norm, gate, up, down;
} mm_layer_parameters;

typedef struct mm_parameters {
    int count;
    mm_tensor *tensors; // name and shape; data NULL
    size_t *offsets;    // in floats
    size_t floats;      // of an array of all; more than the sum, since tensors start at cache lines
    int64_t numbers;    // parameters that people count
    int embedding, head, final_norm; // head is embedding if tied
    mm_layer_parameters *layers;
} mm_parameters;

MM_CHECKED mm_status mm_parameters_make(mm_parameters *parameters, const mm_config *config, mm_error *error);
void mm_parameters_free(mm_parameters *parameters);
// Tensor i as it lies in an array laid out by the table.
mm_tensor mm_parameter_in(const mm_parameters *parameters, int i, float *array);
// The initial numbers of tensor i: N(0, 0.02) from the base seed's stream of initial weights; 1 for norms, 0
// for biases.
void mm_parameter_initial(const mm_parameters *parameters, int i, uint64_t seed, float *out);

#endif
