// The byte alphabet of GPT-2's tokenizer, in which each byte is written as one printable character.
#ifndef MM_DATA_TOKENIZER_UTF8_H
#define MM_DATA_TOKENIZER_UTF8_H

#include <mm/base/text.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The character of a byte: 1 or 2 bytes of UTF-8 into `out`; returns how many.
size_t mm_byte_symbol(unsigned char byte, char out[2]);
// The code point that stands for the byte.
uint32_t mm_byte_point(unsigned char byte);
// Appends the bytes that a token's characters stand for; false, with nothing appended, if one of them is not
// in the alphabet.
bool mm_symbols_to_bytes(const char *symbols, size_t size, mm_text *out);

#endif
