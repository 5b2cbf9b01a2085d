// The files that a text source reads: its inputs with folders opened, in reading order. Endings count without
// regard to case.
#ifndef DATA_TEXT_SOURCE_FILES_H
#define DATA_TEXT_SOURCE_FILES_H

#include <mm/base/status.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum mm_text_kind {
    MM_TEXT_PLAIN,
    MM_TEXT_LINES, // JSON Lines
    MM_TEXT_JSON,  // one of the two, by what it begins with
} mm_text_kind;

typedef struct mm_text_file {
    char *path; // "-" for standard input
    mm_text_kind kind;
    bool gz;        // by its name
    bool regular;   // can be read again, and its size is known
    uint64_t bytes; // on disk; 0 if not regular
} mm_text_file;

typedef struct mm_text_files {
    mm_text_file *file;
    size_t count, capacity;
    uint64_t bytes;  // in all; 0 if one of them is not known
    bool regular;    // all are
    int folders;     // looked into below a link
    uint64_t others; // left out of folders for their endings
    char *first_other;
    mm_text_kind piped; // what a pipe without a known ending holds
    const volatile sig_atomic_t *stop;
} mm_text_files;

// Looks at every input and reads none; MM_INTERRUPTED where *stop (NULL: never) says so. Fills *files also in
// trouble; free it in any case.
MM_CHECKED mm_status mm_text_files_list(mm_text_files *files, const char *const *inputs, int count,
                                        mm_text_kind piped, const volatile sig_atomic_t *stop,
                                        mm_error *error);
// Is there one of the kind?
bool mm_text_files_have(const mm_text_files *files, mm_text_kind kind);
void mm_text_files_free(mm_text_files *files);

#endif
