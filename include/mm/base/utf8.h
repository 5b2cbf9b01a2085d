// UTF-8 a character at a time (RFC 3629; the Unicode standard, 3.9, table 3-7). Inline: texts are read by it.
#ifndef MM_BASE_UTF8_H
#define MM_BASE_UTF8_H

#include <mm/base/text.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// U+FFFD, which stands for what is no character.
#define MM_UTF8_REPLACEMENT "\xef\xbf\xbd"

// Is the byte one of a character that began before it?
static inline bool mm_utf8_continues(char byte) {
    return ((unsigned char)byte & 0xc0) == 0x80;
}

// May a character begin with the byte?
static inline bool mm_utf8_begins(unsigned char first) {
    return first < 0x80 || (first >= 0xc2 && first <= 0xf4);
}

// Bytes of the character that begins with `first`, in well-formed text.
static inline size_t mm_utf8_width(unsigned char first) {
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

// Bytes of the sequence at the beginning of a text of at least one byte; *whole: it is a well-formed
// character. If it is not, they are what one U+FFFD stands for: the longest beginning of a character, or one
// byte ("U+FFFD Substitution of Maximal Subparts").
static inline size_t mm_utf8_sequence(const char *text, size_t size, bool *whole) {
    const unsigned char *at = (const unsigned char *)text;
    unsigned char first = at[0];
    *whole = first < 0x80;
    if (*whole || !mm_utf8_begins(first)) return 1;
    // The second byte's range excludes overlong forms, surrogates and what is above U+10FFFF.
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    size_t width = mm_utf8_width(first), length = 1;
    for (; length < width && length < size && at[length] >= low && at[length] <= high; length++) {
        low = 0x80;
        high = 0xbf;
    }
    *whole = length == width;
    return length;
}

// Of well-formed text: bytes of the character that ends before `end`.
static inline size_t mm_utf8_width_before(const char *text, size_t end) {
    size_t width = 1;
    while (width < 4 && width < end && mm_utf8_continues(text[end - width])) width++;
    return width;
}

// The code point of the character at `text`, which is well-formed.
static inline uint32_t mm_utf8_point(const char *text) {
    const unsigned char *c = (const unsigned char *)text;
    switch (mm_utf8_width(c[0])) {
    case 1:
        return c[0];
    case 2:
        return (uint32_t)(c[0] & 0x1f) << 6 | (c[1] & 0x3f);
    case 3:
        return (uint32_t)(c[0] & 0x0f) << 12 | (uint32_t)(c[1] & 0x3f) << 6 | (c[2] & 0x3f);
    default:
        return (uint32_t)(c[0] & 0x07) << 18 | (uint32_t)(c[1] & 0x3f) << 12 | (uint32_t)(c[2] & 0x3f) << 6 |
               (c[3] & 0x3f);
    }
}

// Bytes of well-formed UTF-8 at the start of the text.
size_t mm_utf8_valid(const char *text, size_t size);
// Appends the text with each maximal part of a broken character replaced by U+FFFD, as Python's
// errors="replace" and the Unicode standard (3.9, "U+FFFD Substitution of Maximal Subparts") have it.
void mm_utf8_repair(const char *text, size_t size, mm_text *out);

// White_Space of the Unicode character database.
bool mm_unicode_space(uint32_t point);

#endif
