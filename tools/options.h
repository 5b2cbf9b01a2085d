// The program's face as data: one table of commands and their options, from which the parser, the help, the
// man page and the shell completion come.
#ifndef MM_TOOLS_OPTIONS_H
#define MM_TOOLS_OPTIONS_H

#include <mm/base/status.h>
#include <mm/record/settings.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum option_kind {
    OPTION_FLAG,
    OPTION_TEXT,
    OPTION_INTEGER, // least..most
    OPTION_NUMBER,  // least..most
    OPTION_SETTING  // a field of mm_settings: kind, range and choices are that field's
} option_kind;

typedef struct option_row {
    const char *name; // long, without "--"; also names the setting ('_' for '-')
    char letter;      // short, 0: none
    option_kind kind;
    const char *argument; // what help calls the value; NULL for flags and for settings with choices
    const char *help;     // one sentence without a full stop
    const char *standard; // the default in words, NULL: none
    const char *group;    // starts a group of options under this heading; NULL: goes on with the last
    double least, most;   // of numbers and integers that are not settings; most 0: no limit above
    bool required;
    bool may_be_empty; // of texts
} option_row;

// --help, which every command has.
extern const option_row option_help;

typedef struct command command;

// What was given. Indexed as the command's options.
typedef struct option_value {
    const char *text; // NULL: not given (a flag: "")
    int64_t integer;
    double number;
} option_value;

enum { OPTIONS_MOST = 64 };

typedef struct args {
    const command *command;
    // The name of the program and the whole command line: main's, which sets them after args_read.
    const char *program;
    int argc;
    char *const *argv;
    option_value values[OPTIONS_MOST];
    const char **operands; // owned
    int operand_count;
    bool help; // --help was given: no value was checked
} args;

struct command {
    const char *name;          // one word, or two: "tokenizer train"
    const char *summary;       // one line
    const char *operands;      // what stands beside the options, as help calls it; NULL: nothing
    int least, most;           // how many; most -1: any number
    const option_row *options; // ends with a NULL name; --help is every command's and stands in no table
    const char *about;         // paragraphs of the help, NULL: none
    const char *examples;      // lines "command line\n"; `mm` is replaced by the program's name
    mm_status (*run)(const args *given, mm_error *error);
};

// Every command, ends with NULL. main.c's.
extern const command *const commands[];

// Reads words[0..count-1], which follow the command's name. An option given twice counts as it was given
// last. Trouble names the option, what was found and what was expected. args_free() it in any case.
MM_CHECKED mm_status args_read(args *given, const command *of, int count, char *const *words,
                               mm_error *error);
void args_free(args *given);

// The value of the option, NULL, `otherwise` or false if it was not given. The name must be in the command's
// table.
const char *args_text(const args *given, const char *name);
int64_t args_integer(const args *given, const char *name, int64_t otherwise);
double args_number(const args *given, const char *name, double otherwise);
bool args_flag(const args *given, const char *name);
// Fills the settings that were given, and says which in `set`, indexed as mm_settings_fields.
MM_CHECKED mm_status args_settings(const args *given, mm_settings *settings, bool set[MM_SETTINGS_FIELDS],
                                   mm_error *error);

// The command that begins words[0..count-1] (`table` ends with NULL), and how many words it took: none, or an
// option first, is `standard` with 0 words. Trouble for an unknown word, with the nearest one if it is near.
MM_CHECKED mm_status command_find(const command *const *table, const command *standard, int count,
                                  char *const *words, const command **found, int *taken, mm_error *error);
const command *command_named(const command *const *table, const char *name);

// The setting behind an option, NULL for others.
const mm_field *option_field(const option_row *option);
enum { ARGUMENT_TEXT = 128 };
// What help calls the value ("N", "rank|shared|hashed|sample"), in `text`; "" for a flag. Returns `text`.
char *option_argument(const option_row *option, char text[ARGUMENT_TEXT]);

// Number of insertions, deletions, changes and swaps of neighbours that make b of a.
int edit_distance(const char *a, const char *b);

#endif
