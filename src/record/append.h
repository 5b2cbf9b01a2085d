// A file that grows by whole lines or members. Private to this folder.
#ifndef MM_RECORD_APPEND_H
#define MM_RECORD_APPEND_H

#include <limits.h>
#include <mm/base/status.h>
#include <stddef.h>
#include <stdint.h>

typedef struct append_file {
    char path[PATH_MAX];
    int fd; // -1: closed
} append_file;

// Opens a file of the run's own by open()'s flags: no link, which may lead out of the run to a file that is
// not to be cut, and no pipe or device. errno is open's.
MM_CHECKED mm_status append_own(const char *path, int flags, int *fd, mm_error *error);
// Would append_open open the file FOLDER/NAME, if it is there? Nothing is written.
MM_CHECKED mm_status append_check(const char *folder, const char *name, mm_error *error);
// Opens `path` for appending, made if it is missing.
MM_CHECKED mm_status append_open(append_file *file, const char *path, mm_error *error);
// Writes all of it or, in trouble, nothing: the file is cut back to where it ended. A kill, or a cut that
// fails, may leave a part of the last piece, which is dropped when the run goes on (mm_metrics_open,
// mm_samples_open, mm_trace_open).
MM_CHECKED mm_status append_add(append_file *file, const void *data, size_t size, mm_error *error);
// Leaves the first `size` bytes, which the file must have.
MM_CHECKED mm_status append_cut(append_file *file, uint64_t size, mm_error *error);
MM_CHECKED mm_status append_sync(append_file *file, mm_error *error);
void append_close(append_file *file);

#endif
