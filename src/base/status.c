#include <mm/base/status.h>
#include <mm/base/text.h>
#include <mm/base/utf8.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// The size without a character that was cut at the end.
static size_t whole(const char *text, size_t size) {
    for (size_t tail = 1; tail <= 3 && tail <= size; tail++) {
        unsigned char c = (unsigned char)text[size - tail];
        size_t length = c < 0xc0 ? 0 : mm_utf8_width(c);
        if (length) return tail < length ? size - tail : size;
        if (c < 0x80) break;
    }
    return size;
}

static void fill(mm_error *error, const char *format, va_list arguments) {
    if (!error) return;
    int kept = errno;
    // Written aside first: the arguments may hold the text that is replaced.
    char text[sizeof error->text];
    int needed = vsnprintf(text, sizeof text, format, arguments);
    if (needed < 0) text[0] = 0;
    size_t size = strlen(text);
    if (needed >= (int)sizeof text) size = whole(text, size);
    // One line, and none that a terminal obeys: names in it may be a file's.
    size = mm_text_line(text, size);
    memcpy(error->text, text, size);
    error->text[size] = 0;
    errno = kept;
}

mm_status mm_fail(mm_error *error, mm_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fill(error, format, arguments);
    va_end(arguments);
    return status;
}

mm_status mm_trouble(mm_error *error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fill(error, format, arguments);
    va_end(arguments);
    return MM_TROUBLE;
}

mm_status mm_trouble_errno(mm_error *error, const char *path, const char *what) {
    int kept = errno;
    char reason[128];
    // The GNU variant, which is thread safe, may answer with text of its own instead of filling the buffer.
    const char *said = strerror_r(kept, reason, sizeof reason);
    mm_trouble(error, "%s: cannot %s: %s", path, what, said);
    errno = kept;
    return MM_TROUBLE;
}
