#include "generate_text.h"
#include <stdbool.h>

static size_t width_of(unsigned char first) {
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

// May `byte` follow pending[0..size-1]? The second byte's range excludes overlong forms, surrogates and what
// is above U+10FFFF.
static bool continues(const mm_characters *c, unsigned char byte) {
    unsigned char low = 0x80, high = 0xbf;
    if (c->size == 1) {
        if (c->pending[0] == 0xe0) low = 0xa0;
        if (c->pending[0] == 0xed) high = 0x9f;
        if (c->pending[0] == 0xf0) low = 0x90;
        if (c->pending[0] == 0xf4) high = 0x8f;
    }
    return byte >= low && byte <= high;
}

void mm_characters_end(mm_characters *c, mm_text *out) {
    if (c->size) mm_text_add(out, "\xef\xbf\xbd", 3);
    c->size = 0;
}

void mm_characters_add(mm_characters *c, const char *bytes, size_t size, mm_text *out) {
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (c->size && !continues(c, byte)) mm_characters_end(c, out);
        c->pending[c->size++] = byte;
        size_t width = width_of(c->pending[0]);
        if (width == 0) {
            mm_characters_end(c, out);
        } else if (c->size == width) {
            mm_text_add(out, c->pending, width);
            c->size = 0;
        }
    }
}
