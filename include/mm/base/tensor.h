// A named, typed, shaped view of memory that somebody else owns.
#ifndef MM_BASE_TENSOR_H
#define MM_BASE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum mm_type { MM_F32, MM_F64, MM_F16, MM_BF16, MM_I32, MM_U32, MM_U64 } mm_type;

enum { MM_MAX_DIMS = 4 };

typedef struct mm_tensor {
    const char *name; // Hugging Face's name where it has one; owned by whoever made the tensor
    mm_type type;
    int dims; // 1..MM_MAX_DIMS
    int64_t shape[MM_MAX_DIMS];
    void *data; // row-major, contiguous
} mm_tensor;

// Bytes of one element.
size_t mm_type_bytes(mm_type type);
// "F32", "F64", "F16", "BF16", "I32", "U32", "U64": safetensors' names.
const char *mm_type_name(mm_type type);
// Elements, and bytes, of the tensor.
int64_t mm_tensor_count(const mm_tensor *tensor);
size_t mm_tensor_bytes(const mm_tensor *tensor);
// Is one of `count` tensors of that name?
bool mm_tensors_have(const mm_tensor *tensors, int count, const char *name);
// A one- or two-dimensional float tensor.
mm_tensor mm_tensor_1d(const char *name, float *data, int64_t n);
mm_tensor mm_tensor_2d(const char *name, float *data, int64_t rows, int64_t columns);

#endif
