// What a call that touches the outside world answers, and the sentence that goes with trouble.
#ifndef MM_BASE_STATUS_H
#define MM_BASE_STATUS_H

// The values are the exit codes of every command.
typedef enum mm_status {
    MM_OK = 0,
    MM_DIFFERS = 1,      // they differ, or it does not hold
    MM_TROUBLE = 2,      // usage, a damaged or missing file, no memory, a full disk
    MM_NONFINITE = 3,    // a number that is not finite
    MM_INTERRUPTED = 130 // stopped by the user after saving
} mm_status;

// One line without a newline: the thing, what was found, what was expected, the way out.
typedef struct mm_error {
    char text[2048];
} mm_error;

#define MM_CHECKED __attribute__((warn_unused_result))

// Writes the sentence (cut if it does not fit) and returns `status`. `error` may be NULL. Thread safe for
// distinct `error`.
__attribute__((format(printf, 3, 4))) mm_status mm_fail(mm_error *error, mm_status status, const char *format,
                                                        ...);

// mm_fail with MM_TROUBLE.
__attribute__((format(printf, 2, 3))) mm_status mm_trouble(mm_error *error, const char *format, ...);

// "PATH: cannot WHAT: strerror(errno)", and the way out of a full disk and the like. MM_TROUBLE. Keeps errno.
mm_status mm_trouble_errno(mm_error *error, const char *path, const char *what);
// The same of a file that has its place: behind the way out, if one is known, stands ", then THEN".
mm_status mm_trouble_errno_then(mm_error *error, const char *path, const char *what, const char *then);

// strerror() that is thread safe; the text may lie in `room`.
enum { MM_ERRNO_TEXT = 128 };
const char *mm_errno_text(int number, char room[MM_ERRNO_TEXT]);

#endif
