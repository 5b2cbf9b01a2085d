// Tokens become text as they come: bytes go in, whole characters of UTF-8 come out.
#ifndef MM_SRC_GENERATE_TEXT_H
#define MM_SRC_GENERATE_TEXT_H

#include <mm/base/text.h>
#include <stddef.h>

// {0} to begin with.
typedef struct mm_characters {
    char pending[4]; // the beginning of a character
    size_t size;
} mm_characters;

// Appends to `out` what is whole now; each maximal part of a broken character becomes U+FFFD, as Python's
// errors="replace" has it. However the bytes are cut into calls, the text is the same.
void mm_characters_add(mm_characters *characters, const char *bytes, size_t size, mm_text *out);
// The end: what is left of a character is broken.
void mm_characters_end(mm_characters *characters, mm_text *out);

#endif
