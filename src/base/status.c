#include <mm/base/status.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fill(mm_error *error, const char *format, va_list arguments) {
    if (!error) return;
    int kept = errno;
    // Written aside first: the arguments may hold the text that is replaced.
    char text[sizeof error->text];
    if (vsnprintf(text, sizeof text, format, arguments) < 0) text[0] = 0;
    // One line, and none that a terminal obeys: names in it may be a file's.
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = ' ';
    memcpy(error->text, text, strlen(text) + 1);
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
