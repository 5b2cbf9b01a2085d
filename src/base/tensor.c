#include <mm/base/tensor.h>

#include <assert.h>
#include <string.h>

static const struct {
    size_t bytes;
    const char *name;
} types[] = {
    [MM_F32] = {4, "F32"}, [MM_F64] = {8, "F64"}, [MM_F16] = {2, "F16"}, [MM_BF16] = {2, "BF16"},
    [MM_I32] = {4, "I32"}, [MM_U32] = {4, "U32"}, [MM_U64] = {8, "U64"},
};

size_t mm_type_bytes(mm_type type) {
    assert((size_t)type < sizeof types / sizeof *types);
    return types[type].bytes;
}

const char *mm_type_name(mm_type type) {
    assert((size_t)type < sizeof types / sizeof *types);
    return types[type].name;
}

int64_t mm_tensor_count(const mm_tensor *tensor) {
    assert(tensor->dims >= 1 && tensor->dims <= MM_MAX_DIMS);
    int64_t count = 1;
    for (int d = 0; d < tensor->dims; d++) {
        assert(tensor->shape[d] >= 0);
        bool overflow = __builtin_mul_overflow(count, tensor->shape[d], &count);
        assert(!overflow);
        (void)overflow;
    }
    return count;
}

size_t mm_tensor_bytes(const mm_tensor *tensor) {
    return (size_t)mm_tensor_count(tensor) * mm_type_bytes(tensor->type);
}

bool mm_tensors_have(const mm_tensor *tensors, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (strcmp(tensors[i].name, name) == 0) return true;
    return false;
}

mm_tensor mm_tensor_1d(const char *name, float *data, int64_t n) {
    return (mm_tensor){.name = name, .type = MM_F32, .dims = 1, .shape = {n}, .data = data};
}

mm_tensor mm_tensor_2d(const char *name, float *data, int64_t rows, int64_t columns) {
    return (mm_tensor){.name = name, .type = MM_F32, .dims = 2, .shape = {rows, columns}, .data = data};
}
