// The tensors of a model's folder: what opens lists each once, finds each by its name, and is what its shards
// hold. An input is the number of files and model.safetensors.index.json, or none for a single file, and each
// file's header and data.
#include "fuzz.h"

#include <mm/files/tensor_files.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHARDS = 3, INDEXED = 8, MEMORY = 1 << 18, MEMORY_FACTOR = 300 };
static const char index_name[] = "model.safetensors.index.json", single_name[] = "model.safetensors";

static void shard_name(char out[64], int shard) {
    snprintf(out, 64, "model-%05d-of-%05d.safetensors", shard + 1, SHARDS);
}

static void put_model(unsigned mode, fuzz_piece rest) {
    char shard[64];
    int count = 1 + (int)(mode % SHARDS);
    fuzz_put(index_name, mode & INDEXED ? fuzz_next(&rest) : (fuzz_piece){NULL, 0});
    fuzz_put(single_name, (fuzz_piece){NULL, 0});
    for (int i = 0; i < SHARDS; i++) {
        shard_name(shard, i);
        fuzz_put(shard, (fuzz_piece){NULL, 0});
        if (i >= count) continue;
        fuzz_piece header = fuzz_next(&rest), data = fuzz_next(&rest);
        fuzz_put_safetensors(mode & INDEXED ? shard : single_name, header, data);
    }
}

static void read_place(const mm_tensor_files *files, mm_tensor_place place) {
    mm_error error;
    mm_tensor wanted = place.entry->tensor;
    mm_tensor_place found = mm_tensor_files_find(files, wanted.name);
    fuzz_assert(found.file == place.file && found.entry == place.entry);
    mm_status status = mm_tensor_files_need(files, &wanted, &found, &error);
    if (status) {
        fuzz_said(status, &error, ".safetensors");
        return;
    }
    wanted.data = malloc(((size_t)mm_tensor_count(&wanted) + 1) * sizeof(float));
    fuzz_assert(wanted.data && mm_tensor_files_read(files, &wanted, &error) == MM_OK);
    free(wanted.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mm_error error;
    mm_tensor_files *files;
    char folder[FUZZ_PATH];
    if (size < 1) return 0;
    put_model(data[0], (fuzz_piece){(const char *)data + 1, size - 1});
    fuzz_path(folder, ".");
    fuzz_memory_begin();
    mm_status status = mm_tensor_files_open(folder, &files, &error);
    fuzz_memory_end(MEMORY, MEMORY_FACTOR);
    if (status) {
        fuzz_said(status, &error, "model");
        return 0;
    }
    fuzz_assert(mm_tensor_files_shards(files) >= 1 && mm_tensor_files_shards(files) <= SHARDS);
    for (int i = 0; i < mm_tensor_files_count(files); i++) read_place(files, mm_tensor_files_at(files, i));
    mm_tensor_files_close(files);
    return 0;
}
