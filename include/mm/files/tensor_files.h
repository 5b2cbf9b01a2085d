// The tensors of a model directory: those of model.safetensors, or of the shards that
// model.safetensors.index.json names in its weight_map, as transformers writes large models.
#ifndef MM_FILES_TENSOR_FILES_H
#define MM_FILES_TENSOR_FILES_H

#include <mm/base/status.h>
#include <mm/files/safetensors.h>

// Open files, their headers checked. Immutable: threads may share it.
typedef struct mm_tensor_files mm_tensor_files;

// FOLDER/model.safetensors if it is there, else the shards. The index is not trusted: a shard is a file of
// the folder itself; each tensor stands in the shard that the index says, in no other, and shards hold no
// tensor that the index does not name. Trouble names the file and the tensor; *files is NULL then.
MM_CHECKED mm_status mm_tensor_files_open(const char *folder, mm_tensor_files **files, mm_error *error);
// One .safetensors file by its path.
MM_CHECKED mm_status mm_tensor_files_open_one(const char *path, mm_tensor_files **files, mm_error *error);
void mm_tensor_files_close(mm_tensor_files *files);

// Of model.safetensors, or of the index.
const char *mm_tensor_files_path(const mm_tensor_files *files);
// How many .safetensors files.
int mm_tensor_files_shards(const mm_tensor_files *files);

// A tensor in its file; both owned by the files.
typedef struct mm_tensor_place {
    const mm_safetensors *file;
    const mm_safetensors_entry *entry; // NULL: there is none
} mm_tensor_place;

// Tensors of all files, in the order of the shards' names and within a file of their bytes.
int mm_tensor_files_count(const mm_tensor_files *files);
mm_tensor_place mm_tensor_files_at(const mm_tensor_files *files, int index);
// From here on a name that begins with `prefix` (which must live as long; NULL: none) is looked for without
// it. Before any other thread has the files.
void mm_tensor_files_drop(mm_tensor_files *files, const char *prefix);
// A part of `name`: as it is looked for.
const char *mm_tensor_files_held_name(const mm_tensor_files *files, const char *name);
mm_tensor_place mm_tensor_files_find(const mm_tensor_files *files, const char *name);

// The place of the tensor `wanted` (its data are not looked at): trouble if there is none of that name, or it
// has another shape or is neither F32, F16 nor BF16.
MM_CHECKED mm_status mm_tensor_files_need(const mm_tensor_files *files, const mm_tensor *wanted,
                                          mm_tensor_place *place, mm_error *error);
// The same, and its numbers into wanted->data (F32).
MM_CHECKED mm_status mm_tensor_files_read(const mm_tensor_files *files, const mm_tensor *wanted,
                                          mm_error *error);

#endif
