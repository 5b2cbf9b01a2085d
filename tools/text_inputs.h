// The options and operands of commands that read text.
#ifndef MM_TOOLS_TEXT_INPUTS_H
#define MM_TOOLS_TEXT_INPUTS_H

#include "options.h"
#include <mm/base/text.h>
#include <mm/data/text_source.h>

#define TEXT_SPLIT_OPTION                                                                                    \
    .name = "split", .kind = OPTION_TEXT, .argument = "LINE",                                                \
    .help = "in .txt, a document is what stands between lines equal to LINE",                                \
    .standard = "a file is a document", .may_be_empty = true
#define TEXT_FIELD_OPTION                                                                                    \
    .name = "field", .kind = OPTION_TEXT, .argument = "NAME",                                                \
    .help = "in JSON Lines, the member that holds the text", .standard = "text", .may_be_empty = true
#define TEXT_SKIP_BAD_OPTION                                                                                 \
    .name = "skip-bad", .kind = OPTION_FLAG,                                                                 \
    .help = "in JSON Lines, leave bad lines out and say how many there were"
#define TEXT_WORKERS_OPTION                                                                                  \
    .name = "workers", .kind = OPTION_INTEGER, .argument = "N", .least = 1, .most = 4096,                    \
    .help = "threads; the result is the same for any number", .standard = "usable cores"
#define TEXT_INPUTS_WORDS                                                                                    \
    "INPUT is a text file, a JSON Lines file (.jsonl or .ndjson, or .json that begins with {), either of "   \
    "them as .gz, a folder with .txt, .jsonl and .ndjson files, or - for standard input, which is JSON "     \
    "Lines with --field or --skip-bad. Files of other endings are read as text when they are named. Text "   \
    "is UTF-8. What goes by .gz must be gzip. A document or line that must be held whole and is packed "     \
    "more than 64 to 1 (above 4 MiB) is refused."

// The operands of `given`, read by its --split, --field and --skip-bad.
MM_CHECKED mm_status text_inputs_open(const args *given, const volatile sig_atomic_t *stop,
                                      mm_text_source **source, mm_error *error);
// Appends lines that say how many bad lines and how many files of folders were left out, and name the first
// of each, if there were any.
void text_inputs_left_out(mm_text *out, const mm_text_source *source);

#endif
