// safetensors: 8 bytes of header length, a JSON header, the tensors' bytes. Source: huggingface/safetensors,
// README (format): offsets are relative to the data, contiguous, without holes or overlaps; the header at
// most 100 MB.
#ifndef MM_FILES_SAFETENSORS_H
#define MM_FILES_SAFETENSORS_H

#include <mm/base/status.h>
#include <mm/base/tensor.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// An open file, its header checked whole against the file's size. Types that mm has no name for (I8, BOOL,
// ...) may stand in it, and tensors of more than MM_MAX_DIMS dimensions: their entries have `known` false and
// cannot be read as numbers; tensor.type then means nothing, and tensor.dims is 0 where the shape does not
// fit. A scalar is a tensor of shape {1}. Entries are in the order of their bytes. Immutable: threads may
// share it.
typedef struct mm_safetensors mm_safetensors;

typedef struct mm_safetensors_entry {
    mm_tensor tensor; // data NULL; name owned by the file
    bool known;
    const char *type_name; // as the header says; the file's
    uint64_t offset;       // of the first byte, in the file
    uint64_t bytes;
} mm_safetensors_entry;

// *file is NULL after trouble.
MM_CHECKED mm_status mm_safetensors_open(const char *path, mm_safetensors **file, mm_error *error);
void mm_safetensors_close(mm_safetensors *file);
const char *mm_safetensors_path(const mm_safetensors *file);
int mm_safetensors_count(const mm_safetensors *file);
const mm_safetensors_entry *mm_safetensors_at(const mm_safetensors *file, int index);
// NULL if there is no such tensor.
const mm_safetensors_entry *mm_safetensors_find(const mm_safetensors *file, const char *name);
// The tensor's numbers as float, F32, F16 or BF16 widened exactly; `out` holds its count. Another type is
// trouble. These three take an entry of this file; after trouble a part of `out` may be filled.
MM_CHECKED mm_status mm_safetensors_read_float(const mm_safetensors *file, const mm_safetensors_entry *entry,
                                               float *out, mm_error *error);
// `count` of them from number `first` on; a range beyond the tensor's end asserts.
MM_CHECKED mm_status mm_safetensors_read_part(const mm_safetensors *file, const mm_safetensors_entry *entry,
                                              uint64_t first, size_t count, float *out, mm_error *error);
// The tensor's bytes as they are; `out` has room for entry->bytes.
MM_CHECKED mm_status mm_safetensors_read(const mm_safetensors *file, const mm_safetensors_entry *entry,
                                         void *out, mm_error *error);

// Writes a new file (fsync'ed, in place: into a draft) with the tensors in the order given and __metadata__
// {"format": "pt"}, header padded with spaces to a multiple of 8. A file that is there already is trouble.
// After other trouble the file is removed, but left where only its fsync or close failed.
MM_CHECKED mm_status mm_safetensors_write(const char *path, const mm_tensor *tensors, int count,
                                          mm_error *error);

// The same piece by piece, for data that memory need not hold. A writer is given its data either by add or by
// put; after trouble of one of them it is to be abandoned.
typedef struct mm_safetensors_writer mm_safetensors_writer;
// Makes the file and writes its header; the tensors' data are not looked at, and nothing of `tensors` is used
// after the call. *writer is NULL after trouble.
MM_CHECKED mm_status mm_safetensors_begin(const char *path, const mm_tensor *tensors, int count,
                                          mm_safetensors_writer **writer, mm_error *error);
// The next bytes of the data, all tensors one behind the other. One thread at a time.
MM_CHECKED mm_status mm_safetensors_add(mm_safetensors_writer *writer, const void *data, size_t bytes,
                                        mm_error *error);
// Bytes from byte `at` of the data on, in any order, each byte once. Thread safe.
MM_CHECKED mm_status mm_safetensors_put(mm_safetensors_writer *writer, uint64_t at, const void *data,
                                        size_t bytes, mm_error *error);
// All data have been given, as the file's length must show (it asserts): fsync and close. Both free the
// writer; abandon (NULL is allowed) removes the file, end leaves it also in trouble.
MM_CHECKED mm_status mm_safetensors_end(mm_safetensors_writer *writer, mm_error *error);
void mm_safetensors_abandon(mm_safetensors_writer *writer);

#endif
