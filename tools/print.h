// How the commands write things for people.
#ifndef MM_TOOLS_PRINT_H
#define MM_TOOLS_PRINT_H

#include <mm/base/status.h>
#include <mm/base/text.h>
#include <stdint.h>
#include <stdio.h>

// The text to standard output, whole; trouble if it does not take it or the text had no memory.
MM_CHECKED mm_status print_text(const mm_text *text, mm_error *error);
// The same of bytes, in whole characters. A file gets every one, a terminal none that it would obey
// (mm_text_character): they come from files, the terminal does not.
MM_CHECKED mm_status print_bytes(const char *bytes, size_t size, mm_error *error);
// What a terminal shows of the bytes; false if `to` does not take it.
bool print_shown(FILE *to, const char *bytes, size_t size);
// What standard output still holds.
MM_CHECKED mm_status print_flush(mm_error *error);

// "6.8 MB" (of 1000), "412 bytes".
void add_bytes(mm_text *text, double bytes);
// "12,345 tokens", "1 token".
void add_count(mm_text *text, int64_t count, const char *one);
// A name or value that may be a file's, on one line (mm_text_flatten).
void add_name(mm_text *text, const char *name);
// The path from the current folder, if it lies beneath it.
void add_path(mm_text *text, const char *path);
// A word of a shell command.
void add_word(mm_text *text, const char *word);
// A path as a word of a shell command, with ./ where it would look like an option.
void add_path_word(mm_text *text, const char *path);
// "name       " for the lines of a summary.
void add_label(mm_text *text, const char *label);

#endif
