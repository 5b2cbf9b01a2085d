#include "generate_text.h"
#include <mm/base/utf8.h>

void mm_characters_end(mm_characters *c, mm_text *out) {
    if (c->size) mm_text_add_string(out, MM_UTF8_REPLACEMENT);
    c->size = 0;
}

static void add_byte(mm_characters *c, char byte, mm_text *out) {
    bool whole;
    c->pending[c->size++] = byte;
    if (mm_utf8_sequence(c->pending, c->size, &whole) < c->size) { // what is pending does not go on with it
        mm_characters_end(c, out);
        c->pending[c->size++] = byte;
        mm_utf8_sequence(c->pending, c->size, &whole);
    }
    if (whole) {
        mm_text_add(out, c->pending, c->size);
        c->size = 0;
    } else if (!mm_utf8_begins((unsigned char)c->pending[0])) {
        mm_characters_end(c, out);
    }
}

void mm_characters_add(mm_characters *c, const char *bytes, size_t size, mm_text *out) {
    for (size_t i = 0; i < size; i++) add_byte(c, bytes[i], out);
}
