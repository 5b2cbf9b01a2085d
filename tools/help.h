// Help, man page and shell completion, made of the table of commands.
#ifndef MM_TOOLS_HELP_H
#define MM_TOOLS_HELP_H

#include "options.h"
#include <mm/base/text.h>

// `program` is how the user called mm.
void help_overview(mm_text *out, const command *const *table, const char *program);
void help_command(mm_text *out, const command *of, const char *program);
// mm(1), as roff.
void help_man(mm_text *out, const command *const *table);
void help_bash(mm_text *out, const command *const *table);

// A command, or the first word of several; trouble if there is none of that name.
MM_CHECKED mm_status help_about(mm_text *out, const command *const *table, const char *program, int count,
                                const char *const *words, mm_error *error);

#endif
