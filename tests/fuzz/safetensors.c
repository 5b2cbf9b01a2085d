// A safetensors file: its tensors cover its data, and read as the same twice. An input is a mode and a file,
// or a header and the data, whose lengths are made right.
#include "fuzz.h"

#include <mm/files/safetensors.h>
#include <stdlib.h>
#include <string.h>

enum { BUILT = 1, FILLED = 2, MEMORY = 1 << 16, MEMORY_FACTOR = 200 };
static const char name[] = "model.safetensors";

static void read_tensor(const mm_safetensors *file, const mm_safetensors_entry *entry) {
    mm_error error;
    size_t count = entry->known ? (size_t)mm_tensor_count(&entry->tensor) : 1;
    unsigned char *bytes = malloc(entry->bytes + 1);
    float *a = malloc((count + 1) * sizeof *a), *b = malloc((count + 1) * sizeof *b);
    fuzz_assert(bytes && a && b && mm_safetensors_read(file, entry, bytes, &error) == MM_OK);
    mm_status status = mm_safetensors_read_float(file, entry, a, &error);
    if (status) {
        fuzz_said(status, &error, name);
    } else {
        fuzz_assert(entry->known && mm_safetensors_read_float(file, entry, b, &error) == MM_OK);
        fuzz_assert(memcmp(a, b, count * sizeof *a) == 0);
        if (entry->tensor.type == MM_F32) fuzz_assert(memcmp(a, bytes, entry->bytes) == 0);
    }
    free(bytes);
    free(a);
    free(b);
}

static void read_tensors(const mm_safetensors *file, uint64_t file_bytes) {
    uint64_t end = 0;
    for (int i = 0; i < mm_safetensors_count(file); i++) {
        const mm_safetensors_entry *entry = mm_safetensors_at(file, i);
        fuzz_assert(i == 0 || entry->offset == end);
        end = entry->offset + entry->bytes;
        fuzz_assert(end <= file_bytes && mm_safetensors_find(file, entry->tensor.name) == entry);
        read_tensor(file, entry);
    }
    fuzz_assert(mm_safetensors_count(file) == 0 || end == file_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mm_error error;
    mm_safetensors *file;
    char path[FUZZ_PATH];
    if (size < 2) return 0;
    fuzz_piece rest = {(const char *)data + 2, size - 2}, whole = rest;
    uint64_t bytes = whole.size;
    if (data[0] & BUILT) {
        static const char zeros[256];
        fuzz_piece header = fuzz_next(&rest);
        if (data[0] & FILLED) rest = (fuzz_piece){zeros, data[1]};
        fuzz_put_safetensors(name, header, rest);
        bytes = 8 + header.size + rest.size;
    } else {
        fuzz_put(name, whole);
    }
    fuzz_memory_begin();
    mm_status status = mm_safetensors_open(fuzz_path(path, name), &file, &error);
    fuzz_memory_end(MEMORY, MEMORY_FACTOR);
    if (status) {
        fuzz_said(status, &error, name);
        return 0;
    }
    read_tensors(file, bytes);
    mm_safetensors_close(file);
    return 0;
}
