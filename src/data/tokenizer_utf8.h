// UTF-8: checking, repairing, stepping, and the byte alphabet of GPT-2's tokenizer, in which each byte is
// written as one printable character.
#ifndef MM_DATA_TOKENIZER_UTF8_H
#define MM_DATA_TOKENIZER_UTF8_H

#include <mm/base/text.h>
#include <mm/base/utf8.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bytes of well-formed UTF-8 at the start of the text.
size_t mm_utf8_valid(const char *text, size_t size);
// Appends the text with each maximal part of a broken character replaced by U+FFFD, as Python's
// errors="replace" and the Unicode standard (3.9, "U+FFFD Substitution of Maximal Subparts") have it.
void mm_utf8_repair(const char *text, size_t size, mm_text *out);

// Of well-formed text: bytes of the character that ends before `end`.
size_t mm_utf8_width_before(const char *text, size_t end);
// White_Space of the Unicode character database.
bool mm_unicode_space(uint32_t point);

// The character of a byte: 1 or 2 bytes of UTF-8 into `out`; returns how many.
size_t mm_byte_symbol(unsigned char byte, char out[2]);
// The code point that stands for the byte.
uint32_t mm_byte_point(unsigned char byte);
// Appends the bytes that a token's characters stand for; false, with nothing appended, if one of them is not
// in the alphabet.
bool mm_symbols_to_bytes(const char *symbols, size_t size, mm_text *out);

#endif
