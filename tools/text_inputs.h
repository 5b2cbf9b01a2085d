// The options and operands of commands that read text.
#ifndef MM_TOOLS_TEXT_INPUTS_H
#define MM_TOOLS_TEXT_INPUTS_H

#include "options.h"
#include <mm/data/text_source.h>

#define TEXT_SPLIT_OPTION                                                                                              \
    .name = "split", .kind = OPTION_TEXT, .argument = "LINE",                                                          \
    .help = "in .txt, a document is what stands between lines equal to LINE", .standard = "a file is a document"
#define TEXT_FIELD_OPTION                                                                                              \
    .name = "field", .kind = OPTION_TEXT, .argument = "NAME", .help = "in .jsonl, the member that holds the text",     \
    .standard = "text"
#define TEXT_INPUTS_WORDS                                                                                              \
    "INPUT is a .txt or .jsonl file, either of them as .gz, a folder of such files, or - for standard input."

// The operands of `given`, read by its --split and --field.
MM_CHECKED mm_status text_inputs_open(const args *given, mm_text_source **source, mm_error *error);

#endif
