#include "print.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_control(char c) {
    return ((unsigned char)c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
}

mm_status print_bytes(const char *bytes, size_t size, mm_error *error) {
    bool terminal = isatty(STDOUT_FILENO);
    for (size_t at = 0; at < size;) {
        size_t end = terminal ? at : size;
        while (end < size && !is_control(bytes[end])) end++;
        if (fwrite(bytes + at, 1, end - at, stdout) != end - at)
            return mm_trouble_errno(error, "standard output", "write to it");
        at = end + (end < size);
    }
    return MM_OK;
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

void add_path(mm_text *text, const char *path) {
    mm_text_add_string(text, from_here(path));
}

void add_path_word(mm_text *text, const char *path) {
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+,:@%";
    path = from_here(path);
    if (*path && path[strspn(path, safe)] == 0) {
        mm_text_add_string(text, path);
        return;
    }
    mm_text_add_string(text, "'");
    for (; *path; path++) {
        if (*path == '\'')
            mm_text_add_string(text, "'\\''");
        else
            mm_text_add(text, path, 1);
    }
    mm_text_add_string(text, "'");
}

void add_label(mm_text *text, const char *label) {
    mm_text_format(text, "%-10s ", label);
}
