#include "print.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool print_shown(FILE *to, const char *bytes, size_t size) {
    size_t from = 0;
    for (size_t at = 0, length; at < size; at += length) {
        bool obeyed;
        length = mm_text_character(bytes + at, size - at, &obeyed);
        if (!obeyed) continue;
        if (fwrite(bytes + from, 1, at - from, to) != at - from) return false;
        from = at + length;
    }
    return fwrite(bytes + from, 1, size - from, to) == size - from;
}

mm_status print_bytes(const char *bytes, size_t size, mm_error *error) {
    bool took =
        isatty(STDOUT_FILENO) ? print_shown(stdout, bytes, size) : fwrite(bytes, 1, size, stdout) == size;
    return took ? MM_OK : mm_trouble_errno(error, "standard output", "write to it");
}

mm_status print_text(const mm_text *text, mm_error *error) {
    if (text->failed) return mm_trouble(error, "standard output: out of memory for what is to be written");
    return print_bytes(text->data, text->size, error);
}

mm_status print_flush(mm_error *error) {
    if (!fflush(stdout) && !ferror(stdout)) return MM_OK;
    return mm_trouble_errno(error, "standard output", "write to it");
}

void add_bytes(mm_text *text, double bytes) {
    static const char *const units[] = {NULL, "kB", "MB", "GB", "TB"};
    int unit = 0;
    for (; bytes >= 999.5 && unit < 4; unit++) bytes /= 1000;
    if (!unit)
        add_count(text, (int64_t)(bytes + 0.5), "byte");
    else
        mm_text_format(text, bytes < 9.95 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

void add_count(mm_text *text, int64_t count, const char *one) {
    mm_text_add_grouped(text, count);
    mm_text_format(text, " %s%s", one, count == 1 ? "" : "s");
}

static const char *from_here(const char *path) {
    char here[PATH_MAX];
    if (path[0] != '/' || !getcwd(here, sizeof here)) return path;
    size_t length = strlen(here);
    if (length > 1 && strncmp(path, here, length) == 0 && path[length] == '/' && path[length + 1])
        return path + length + 1;
    return path;
}

void add_name(mm_text *text, const char *name) {
    size_t from = text->size;
    mm_text_add_string(text, name);
    mm_text_flatten(text, from);
}

void add_path(mm_text *text, const char *path) {
    add_name(text, from_here(path));
}

void add_word(mm_text *text, const char *word) {
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+,:@%";
    if (*word && word[strspn(word, safe)] == 0) {
        mm_text_add_string(text, word);
        return;
    }
    size_t from = text->size;
    mm_text_add_string(text, "'");
    for (; *word; word++) {
        if (*word == '\'')
            mm_text_add_string(text, "'\\''");
        else
            mm_text_add(text, word, 1);
    }
    mm_text_add_string(text, "'");
    mm_text_flatten(text, from);
}

void add_path_word(mm_text *text, const char *path) {
    path = from_here(path);
    if (*path == '-') mm_text_add_string(text, "./");
    add_word(text, path);
}

void add_label(mm_text *text, const char *label) {
    mm_text_format(text, "%-10s ", label);
}
