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

const char *mm_errno_text(int number, char room[MM_ERRNO_TEXT]) {
    // The GNU variant, which is thread safe, may answer with text of its own instead of filling the room.
    return strerror_r(number, room, MM_ERRNO_TEXT);
}

// What to do about it; the rest is for a file that may as well lie elsewhere. NULL: nothing that is known.
static const char *way_out(int number, const char **elsewhere) {
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        *elsewhere = " on that disk, or write to another one";
        return "free some space";
    case EFBIG:
        *elsewhere = ", or write to a disk that takes larger ones";
        return "raise the limit of a file's size (ulimit -f)";
    case EMFILE:
    case ENFILE:
        *elsewhere = "; a dataset of fewer shards (mm pack --shard-tokens) takes fewer";
        return "allow more open files (ulimit -n)";
    default:
        *elsewhere = "";
        return NULL;
    }
}

static mm_status trouble_of(int number, const char *path, const char *what, const char *then,
                            mm_error *error) {
    char room[MM_ERRNO_TEXT];
    const char *text = mm_errno_text(number, room), *elsewhere, *way = way_out(number, &elsewhere);
    if (!way)
        mm_trouble(error, "%s: cannot %s: %s", path, what, text);
    else if (then)
        mm_trouble(error, "%s: cannot %s: %s; %s, then %s", path, what, text, way, then);
    else
        mm_trouble(error, "%s: cannot %s: %s; %s%s", path, what, text, way, elsewhere);
    errno = number;
    return MM_TROUBLE;
}

mm_status mm_trouble_errno(mm_error *error, const char *path, const char *what) {
    return trouble_of(errno, path, what, NULL, error);
}

mm_status mm_trouble_errno_then(mm_error *error, const char *path, const char *what, const char *then) {
    return trouble_of(errno, path, what, then, error);
}
