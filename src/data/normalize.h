// Normalization form C of Unicode (UAX 15) as Hugging Face's library has it, by utf8proc: the only place of
// it.
#ifndef DATA_NORMALIZE_H
#define DATA_NORMALIZE_H

#include <mm/base/status.h>
#include <mm/base/text.h>
#include <stddef.h>
#include <stdint.h>

// What one thread needs; {0} at first.
typedef struct mm_nfc {
    mm_text text; // the last result
    int32_t *points;
    size_t room;
} mm_nfc;

void mm_nfc_free(mm_nfc *nfc);
// The NFC of well-formed UTF-8: *out is the text itself where nothing changes, else the state's, until the
// next call.
MM_CHECKED mm_status mm_nfc_text(mm_nfc *nfc, const char *text, size_t size, const char **out,
                                 size_t *out_size, mm_error *error);
// "15.0.0": the Unicode version whose characters utf8proc knows.
const char *mm_nfc_unicode_version(void);

#endif
