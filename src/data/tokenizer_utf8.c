#include "tokenizer_utf8.h"

#include <mm/base/utf8.h>

// Printable characters of Latin-1 stand for themselves; the other 68 bytes, in order, for U+0100 and on.
static bool stands_for_itself(unsigned byte) {
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

uint32_t mm_byte_point(unsigned char byte) {
    if (stands_for_itself(byte)) return byte;
    if (byte <= 0x20) return 0x100u + byte;
    if (byte <= 0xa0) return 0x121u + (byte - 0x7fu);
    return 0x143u; // 0xad
}

size_t mm_byte_symbol(unsigned char byte, char out[2]) {
    uint32_t point = mm_byte_point(byte);
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    out[0] = (char)(0xc0 | point >> 6);
    out[1] = (char)(0x80 | (point & 0x3f));
    return 2;
}

// The byte that a code point stands for, -1 if none.
static int symbol_byte(uint32_t point) {
    if (point < 0x100) return stands_for_itself(point) ? (int)point : -1;
    if (point <= 0x120) return (int)point - 0x100;
    if (point <= 0x142) return (int)point - 0x121 + 0x7f;
    return point == 0x143 ? 0xad : -1;
}

bool mm_symbols_to_bytes(const char *symbols, size_t size, mm_text *out) {
    size_t before = out->size;
    for (size_t i = 0; i < size; i += mm_utf8_width((unsigned char)symbols[i])) {
        int byte = symbol_byte(mm_utf8_point(symbols + i));
        if (byte < 0) {
            if (out->data) out->data[before] = 0;
            out->size = before;
            return false;
        }
        char c = (char)byte;
        mm_text_add(out, &c, 1);
    }
    return true;
}
