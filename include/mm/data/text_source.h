// Documents out of text files: .txt (a file is a document, or what stands between lines equal to `split`),
// .jsonl or .ndjson (a field of each line), .gz of both, folders of them (sorted by name), "-" for standard
// input (as .txt, but with `field` or `skip_bad` as .jsonl, and so other pipes). A .json file that is named
// is JSON Lines if it begins with {. Endings count without regard to case. The mark of UTF-8 at a file's
// beginning is passed over; UTF-16 is refused.
#ifndef MM_DATA_TEXT_SOURCE_H
#define MM_DATA_TEXT_SOURCE_H

#include <mm/base/status.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// One thread's.
typedef struct mm_text_source mm_text_source;

typedef struct mm_text_options {
    const char *split; // NULL: a .txt file is one document
    const char *field; // of a .jsonl line; NULL: "text"
    bool skip_bad;     // a bad .jsonl line is counted and left out; want of memory is no line's fault
    // True: waiting for standard input ends with MM_INTERRUPTED. It must live as long as the source; NULL:
    // never.
    const volatile sig_atomic_t *stop;
} mm_text_options;

// `inputs` are files and folders; a missing, unreadable or unsupported one is trouble at once, before
// anything is read, and so is an option that no input heeds. Files without a known ending are taken as .txt.
// NULL options: none. Their strings and those of `inputs` are copied. *source is NULL after trouble.
MM_CHECKED mm_status mm_text_open(const char *const *inputs, int count, const mm_text_options *options,
                                  mm_text_source **source, mm_error *error);
// What messages call the input as a whole: its first file, and how many more there are. The source's own.
const char *mm_text_name(const mm_text_source *source);
// The next document, in pieces, so that memory does not grow with it: one of .txt is cut where mm_text_cut
// (src/data/text_cut.h) allows it, at `most` bytes (at least 1) or as soon after as can be; SIZE_MAX: it is
// whole. *text is the source's own, valid until the next call. *ends: the document ends with this piece.
// *more false at the end of all. A bad line is named by file, line and byte.
MM_CHECKED mm_status mm_text_next_piece(mm_text_source *source, size_t most, const char **text, size_t *size,
                                        bool *ends, bool *more, mm_error *error);
// Bad lines left out since the first document, and what was wrong with the first ("" if there was none).
uint64_t mm_text_bad(const mm_text_source *source, const char **first);
// Files that folders hold beside those that are read, and the first of them ("" if there was none).
uint64_t mm_text_others(const mm_text_source *source, const char **first);
// Whether every input is a file that can be read again.
bool mm_text_can_rewind(const mm_text_source *source);
// Starts again from the first document ("-" cannot).
MM_CHECKED mm_status mm_text_rewind(mm_text_source *source, mm_error *error);
// Bytes of the files read so far and in all, as they lie on disk; *total is 0 if not known.
void mm_text_progress(const mm_text_source *source, uint64_t *done, uint64_t *total);
void mm_text_close(mm_text_source *source);

#endif
