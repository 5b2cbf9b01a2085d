// Atomic writing: a file or folder appears whole or not at all, and what stood there before stays until then.
#ifndef MM_FILES_PUBLISH_H
#define MM_FILES_PUBLISH_H

#include <mm/base/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

// Writes `size` bytes to PATH by a temporary beside it, fsync, rename, fsync of the folder. Trouble (a full
// disk, a short write) names the path, removes the temporary and leaves the old file; but if only the last
// fsync fails, the new one is there.
MM_CHECKED mm_status mm_publish_file(const char *path, const void *data, size_t size, mm_error *error);

// A folder that is made under a temporary name beside `path` and published by one rename. Files are written
// into `mm_draft_path`, which is the draft's; commit fsyncs each of them and the folders. An existing `path`
// is trouble, at begin and at commit. *draft is NULL after trouble.
typedef struct mm_draft mm_draft;
MM_CHECKED mm_status mm_draft_begin(const char *path, mm_draft **draft, mm_error *error);
// The same for drafts that may be large: removes those to the same path that killed processes of this machine
// left, and locks its own, so that nobody else takes it for one of them.
MM_CHECKED mm_status mm_draft_begin_swept(const char *path, mm_draft **draft, mm_error *error);
const char *mm_draft_path(const mm_draft *draft);
// Both free the draft; abandon (NULL is allowed) removes what was written, and so does a commit that fails.
MM_CHECKED mm_status mm_draft_commit(mm_draft *draft, mm_error *error);
void mm_draft_abandon(mm_draft *draft);
// A file, written over time: the draft's file `name`, which its writer has fsynced, becomes `path`, and the
// rest of the draft goes. As commit otherwise.
MM_CHECKED mm_status mm_draft_commit_file(mm_draft *draft, const char *name, mm_error *error);

// A symbolic link PATH -> target, replacing an older one by rename; trouble as mm_publish_file's.
MM_CHECKED mm_status mm_publish_link(const char *path, const char *target, mm_error *error);
// mkdir -p.
MM_CHECKED mm_status mm_make_folders(const char *path, mm_error *error);
// The same for the folder that `path` is to lie in.
MM_CHECKED mm_status mm_make_parent(const char *path, mm_error *error);
// Removes a folder and what is in it; a missing one is no trouble.
MM_CHECKED mm_status mm_remove_folder(const char *path, mm_error *error);
// Renames a folder to a temporary name beside it, so that nobody sees it half removed. The name goes to
// `out`, of `size` bytes; the caller removes it.
MM_CHECKED mm_status mm_hide(const char *path, char *out, size_t size, mm_error *error);
// Is it the name of a temporary of mm_publish_*, mm_draft_* or mm_hide: ".NAME.tmp-PID-COUNT"?
bool mm_is_temporary(const char *name);
// Removes the temporaries that a killed process left in `folder` (not below it).
// Nobody else may be writing there. A missing folder is no trouble.
MM_CHECKED mm_status mm_remove_temporaries(const char *folder, mm_error *error);
// fsyncs the folder, so that names made or changed in it outlive a crash. Trouble names the path.
MM_CHECKED mm_status mm_sync_folder(const char *path, mm_error *error);

// The whole of a regular file of at most `limit` bytes, NUL-terminated beyond *size; free() it.
MM_CHECKED mm_status mm_read_file(const char *path, size_t limit, char **data, size_t *size, mm_error *error);
// A regular file as a stream to read, which fclose() closes; a pipe or device, which might never end or
// answer, is trouble.
MM_CHECKED mm_status mm_open_stream(const char *path, FILE **stream, mm_error *error);
bool mm_is_folder(const char *path);
bool mm_is_file(const char *path);
// Has anything the name, a dangling link too? What must be a file where there is one is then opened as such.
bool mm_is_there(const char *path);
// *there: is it a regular file? Trouble where that cannot be seen, as in a folder that may not be entered.
MM_CHECKED mm_status mm_find_file(const char *path, bool *there, mm_error *error);
// "a/b" into `out`, of `size` bytes (PATH_MAX for a path that is to be opened); trouble if it does not fit,
// or where the folder is "", which would mean the root.
MM_CHECKED mm_status mm_path_join(char *out, size_t size, const char *folder, const char *name,
                                  mm_error *error);

#endif
