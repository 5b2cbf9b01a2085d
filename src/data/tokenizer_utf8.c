#include "tokenizer_utf8.h"

#include <string.h>

size_t mm_utf8_valid(const char *text, size_t size) {
    size_t i = 0;
    while (i < size) {
        uint64_t eight;
        if (i + 8 <= size) {
            memcpy(&eight, text + i, 8);
            if (!(eight & UINT64_C(0x8080808080808080))) {
                i += 8;
                continue;
            }
        }
        bool whole;
        size_t width = mm_utf8_sequence(text + i, size - i, &whole);
        if (!whole) return i;
        i += width;
    }
    return size;
}

void mm_utf8_repair(const char *text, size_t size, mm_text *out) {
    size_t i = 0;
    while (i < size) {
        size_t good = mm_utf8_valid(text + i, size - i);
        if (good) mm_text_add(out, text + i, good);
        i += good;
        if (i == size) return;
        bool whole;
        mm_text_add(out, "\xef\xbf\xbd", 3);
        i += mm_utf8_sequence(text + i, size - i, &whole);
    }
}

size_t mm_utf8_width_before(const char *text, size_t end) {
    size_t width = 1;
    while (width < end && ((unsigned char)text[end - width] & 0xc0) == 0x80) width++;
    return width;
}

bool mm_unicode_space(uint32_t point) {
    if (point < 0x80) return point == ' ' || (point >= 9 && point <= 13);
    return point == 0x85 || point == 0xa0 || point == 0x1680 || (point >= 0x2000 && point <= 0x200a) ||
           point == 0x2028 || point == 0x2029 || point == 0x202f || point == 0x205f || point == 0x3000;
}

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
