// Oniguruma's Ruby syntax as PCRE2 reads it.
#ifndef MM_DATA_PRETOKENIZE_TRANSLATE_H
#define MM_DATA_PRETOKENIZE_TRANSLATE_H

#include <mm/base/status.h>
#include <mm/base/text.h>

// Appends the pattern for PCRE2 (UTF, UCP, MULTILINE, newline LF). What the two read differently is either
// written so that PCRE2 does as Oniguruma, or refused by name.
MM_CHECKED mm_status mm_pattern_translate(const char *text, size_t size, const char *name, mm_text *out,
                                          mm_error *error);

#endif
