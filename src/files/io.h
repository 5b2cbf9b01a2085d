// System calls that finish what they begin, with the message that goes with each failure. Private to this
// folder.
#ifndef MM_FILES_IO_H
#define MM_FILES_IO_H

#include <mm/base/status.h>
#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "files hold little-endian numbers, and this folder copies them as they are"
#endif

// A new file for writing; one that exists is trouble.
MM_CHECKED mm_status mm_io_create(const char *path, int *fd, mm_error *error);
// A regular file for reading, with its size in bytes.
MM_CHECKED mm_status mm_io_open(const char *path, int *fd, uint64_t *size, mm_error *error);
MM_CHECKED mm_status mm_io_write(int fd, const void *data, size_t size, const char *path, mm_error *error);
// At `offset`. Thread safe on one descriptor.
MM_CHECKED mm_status mm_io_write_at(int fd, const void *data, size_t size, uint64_t offset, const char *path,
                                    mm_error *error);
// fsync and close; closes also in trouble.
MM_CHECKED mm_status mm_io_finish(int fd, const char *path, mm_error *error);
// Exactly `size` bytes at `offset`; a file that ends before is trouble. Thread safe on one descriptor.
MM_CHECKED mm_status mm_io_read_at(int fd, void *out, size_t size, uint64_t offset, const char *path,
                                   mm_error *error);

#endif
