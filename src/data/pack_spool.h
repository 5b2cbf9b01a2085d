// Pieces of documents on disk, for a second reading of what can be read once: a file without a name in
// $TMPDIR (else /tmp).
#ifndef DATA_PACK_SPOOL_H
#define DATA_PACK_SPOOL_H

#include <mm/base/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct mm_pack_spool {
    const char *folder; // where it lies, for messages
    FILE *file;         // NULL: not open
    char *text;         // the last piece read
    size_t room;
} mm_pack_spool;

MM_CHECKED mm_status mm_pack_spool_open(mm_pack_spool *spool, mm_error *error);
MM_CHECKED mm_status mm_pack_spool_add(mm_pack_spool *spool, const char *text, size_t size, bool ends,
                                       mm_error *error);
// From adding to reading, from the first on.
MM_CHECKED mm_status mm_pack_spool_rewind(mm_pack_spool *spool, mm_error *error);
// *text is the spool's, until the next call.
MM_CHECKED mm_status mm_pack_spool_next(mm_pack_spool *spool, const char **text, size_t *size, bool *ends,
                                        bool *more, mm_error *error);
void mm_pack_spool_close(mm_pack_spool *spool);

#endif
