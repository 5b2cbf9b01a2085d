// What is done to a folder with everything below it. Private to this folder.
#ifndef MM_FILES_TREE_H
#define MM_FILES_TREE_H

#include <mm/base/status.h>

typedef enum mm_tree_work { MM_TREE_SYNC, MM_TREE_REMOVE } mm_tree_work;

// fsyncs or removes every file and folder below `path`, then `path` itself. Never follows a symbolic link.
MM_CHECKED mm_status mm_tree(const char *path, mm_tree_work work, mm_error *error);

#endif
