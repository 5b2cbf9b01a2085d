#include <mm/base/utf8.h>

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
        mm_text_add_string(out, MM_UTF8_REPLACEMENT);
        i += mm_utf8_sequence(text + i, size - i, &whole);
    }
}

bool mm_unicode_space(uint32_t point) {
    if (point < 0x80) return point == ' ' || (point >= 9 && point <= 13);
    return point == 0x85 || point == 0xa0 || point == 0x1680 || (point >= 0x2000 && point <= 0x200a) ||
           point == 0x2028 || point == 0x2029 || point == 0x202f || point == 0x205f || point == 0x3000;
}
