// Text that grows. Failing to grow is remembered in `failed`, so that a writer checks once, at its end.
#ifndef MM_BASE_TEXT_H
#define MM_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

// {0} is an empty text. `data` ends with a NUL that `size` does not count, and is NULL while empty.
typedef struct mm_text {
    char *data;
    size_t size, capacity;
    bool failed; // memory ran out; what was added since is lost
} mm_text;

void mm_text_free(mm_text *text);
// Empties it, forgets `failed` and keeps its memory.
void mm_text_clear(mm_text *text);
void mm_text_add(mm_text *text, const void *bytes, size_t size);
void mm_text_add_string(mm_text *text, const char *string);
__attribute__((format(printf, 2, 3))) void mm_text_format(mm_text *text, const char *format, ...);
// Number with commas: "21,843".
void mm_text_add_grouped(mm_text *text, long long number);
// Memory in binary units: "3.4 GiB", "151 MiB".
enum { MM_SIZE_TEXT = 32 };
char *mm_size_print(double bytes, char text[MM_SIZE_TEXT]);
void mm_text_add_size(mm_text *text, double bytes);
bool mm_ends_with(const char *text, const char *end);
// What stands from byte `from` on becomes one line that is safe to show, by mm_text_line.
void mm_text_flatten(mm_text *text, size_t from);

// The first character of a text of at least one byte: its length in bytes, and whether a terminal obeys it
// instead of showing it. It obeys control characters but newline and tab, those above U+007F among them, in
// UTF-8 or as a byte of their own, and what turns the direction of text. A byte that is no UTF-8 is a
// character.
size_t mm_text_character(const char *text, size_t size, bool *obeyed);
// In place: a blank for each newline, tab and character that a terminal obeys. The size that is left.
size_t mm_text_line(char *text, size_t size);

#endif
