// The files that a text source reads: its inputs with folders opened, in reading order.
#ifndef DATA_TEXT_SOURCE_FILES_H
#define DATA_TEXT_SOURCE_FILES_H

#include <mm/base/status.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mm_text_file {
    char *path;     // "-" for standard input
    bool jsonl;     // else plain text
    bool gz;        // by its name
    bool regular;   // can be read again, and its size is known
    uint64_t bytes; // on disk; 0 if not regular
} mm_text_file;

typedef struct mm_text_files {
    mm_text_file *file;
    size_t count, capacity;
    uint64_t bytes; // in all; 0 if one of them is not known
    bool regular;   // all are
    int folders;    // looked into below a link
    const volatile sig_atomic_t *stop;
} mm_text_files;

// Looks at every input and reads none; MM_INTERRUPTED where *stop (NULL: never) says so. Fills *files also in
// trouble; free it in any case.
MM_CHECKED mm_status mm_text_files_list(mm_text_files *files, const char *const *inputs, int count,
                                        const volatile sig_atomic_t *stop, mm_error *error);
void mm_text_files_free(mm_text_files *files);

#endif
