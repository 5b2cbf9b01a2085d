#include <mm/base/text.h>
#include <mm/base/utf8.h>

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Room for `size` more bytes and the NUL.
static bool grow(mm_text *text, size_t size) {
    if (text->failed) return false;
    if (size < text->capacity - text->size) return true;
    if (size > SIZE_MAX / 4 || text->size > SIZE_MAX / 4) {
        text->failed = true;
        return false;
    }
    size_t capacity = text->capacity ? 2 * text->capacity : 64;
    if (capacity < text->size + size + 1) capacity = text->size + size + 1;
    char *data = realloc(text->data, capacity);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void mm_text_free(mm_text *text) {
    free(text->data);
    *text = (mm_text){0};
}

void mm_text_clear(mm_text *text) {
    text->size = 0;
    text->failed = false;
    if (text->data) text->data[0] = 0;
}

void mm_text_add(mm_text *text, const void *bytes, size_t size) {
    if (!size || !grow(text, size)) return;
    memcpy(text->data + text->size, bytes, size);
    text->size += size;
    text->data[text->size] = 0;
}

void mm_text_add_string(mm_text *text, const char *string) {
    mm_text_add(text, string, strlen(string));
}

void mm_text_format(mm_text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0) text->failed = true;
    if (size <= 0 || !grow(text, (size_t)size)) return;
    va_start(arguments, format);
    vsnprintf(text->data + text->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    text->size += (size_t)size;
}

void mm_text_add_grouped(mm_text *text, long long number) {
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%lld", number);
    int i = 0;
    if (digits[0] == '-') mm_text_add(text, &digits[i++], 1);
    for (int first = i; i < count; i++) {
        if (i > first && (count - i) % 3 == 0) mm_text_add(text, ",", 1);
        mm_text_add(text, &digits[i], 1);
    }
}

char *mm_size_print(double bytes, char text[MM_SIZE_TEXT]) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    for (bytes /= 1024; bytes >= 1023.5 && unit < 3; unit++) bytes /= 1024;
    snprintf(text, MM_SIZE_TEXT, bytes < 9.95 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return text;
}

void mm_text_add_size(mm_text *text, double bytes) {
    char size[MM_SIZE_TEXT];
    mm_text_add_string(text, mm_size_print(bytes, size));
}

size_t mm_text_character(const char *text, size_t size, bool *obeyed) {
    bool whole;
    size_t length = mm_utf8_sequence(text, size, &whole);
    uint32_t c = whole ? mm_utf8_point(text) : (unsigned char)text[0];
    bool control = (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c <= 0x9f);
    *obeyed = control || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
    return whole ? length : 1;
}

size_t mm_text_line(char *text, size_t size) {
    size_t kept = 0, length;
    for (size_t at = 0; at < size; at += length) {
        bool obeyed;
        length = mm_text_character(text + at, size - at, &obeyed);
        if (obeyed || text[at] == '\n' || text[at] == '\t') {
            text[kept++] = ' ';
        } else {
            memmove(text + kept, text + at, length);
            kept += length;
        }
    }
    return kept;
}

bool mm_ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

void mm_text_flatten(mm_text *text, size_t from) {
    if (from >= text->size) return;
    text->size = from + mm_text_line(text->data + from, text->size - from);
    text->data[text->size] = 0;
}
