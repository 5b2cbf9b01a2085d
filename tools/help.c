#include "help.h"
#include <stdio.h>
#include <string.h>

enum { WIDTH = 80, OPTION_COLUMN = 26, COMMAND_COLUMN = 20, NAME_TEXT = 160 };

static const char exit_status[] =
    "Exit status: 0 well, 1 it does not hold, 2 trouble (usage, a damaged or missing "
    "file), 3 a number that is not finite, 130 interrupted after saving.";
static const char twice[] = "An option given twice counts as it was given last.";

// Environment, name and meaning.
static const char *const environment[][2] = {
    {"MM_DATA", "dataset to train on where --data is not given"},
    {"NO_COLOR", "no colour on a terminal, if set and not empty"},
    {"TMPDIR", "where mm eval packs a text for as long as it needs it, instead of /tmp"},
    {"BLIS_ARCH_TYPE",
     "number of the BLIS kernel to use instead of what is picked for this CPU, such as 3 for haswell; all "
     "give the same bits"},
    {"MM_ISA", "build of mm's own loops: baseline, x86-64-v3 or x86-64-v4; all give the same bits"},
    {NULL, NULL},
};

// Words of `text` on lines of WIDTH columns; the cursor stands at `column`, further lines are indented.
static void wrap(mm_text *out, const char *text, int column, int indent) {
    bool first = true;
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (!first && column + 1 + length > WIDTH) {
            mm_text_format(out, "\n%*s", indent, "");
            column = indent;
        } else if (!first) {
            mm_text_add_string(out, " ");
            column++;
        }
        mm_text_add(out, text, (size_t)length);
        column += length;
        first = false;
        text += length;
        while (*text == ' ') text++;
    }
    mm_text_add_string(out, "\n");
}

// "-o, --out RUN"
static void option_name(const option_row *option, char name[NAME_TEXT]) {
    char argument[ARGUMENT_TEXT], letter[8] = "    ";
    option_argument(option, argument);
    if (option->letter) snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(name, NAME_TEXT, "%s--%s%s%s", letter, option->name, argument[0] ? " " : "", argument);
}

// Help and default in one sentence.
static void option_words(mm_text *out, const option_row *option) {
    mm_text_add_string(out, option->help);
    if (option->required) mm_text_add_string(out, " (needed)");
    if (option->standard) mm_text_format(out, " (default: %s)", option->standard);
}

static void add_option(mm_text *out, const option_row *option) {
    char name[NAME_TEXT];
    option_name(option, name);
    mm_text words = {0};
    option_words(&words, option);
    int used = 2 + (int)strlen(name);
    mm_text_format(out, "  %s", name);
    if (used + 2 > OPTION_COLUMN) {
        mm_text_add_string(out, "\n");
        used = 0;
    }
    mm_text_format(out, "%*s", OPTION_COLUMN - used, "");
    wrap(out, words.data ? words.data : "", OPTION_COLUMN, OPTION_COLUMN);
    mm_text_free(&words);
}

static void add_options(mm_text *out, const command *of) {
    if (!of->options[0].name || !of->options[0].group) mm_text_add_string(out, "\nOptions:\n");
    for (const option_row *option = of->options; option->name; option++) {
        if (option->group) mm_text_format(out, "\n%s:\n", option->group);
        add_option(out, option);
    }
    add_option(out, &option_help);
}

// The usage: options that are needed, the others as "[OPTION...]", what stands beside them.
static void add_usage(mm_text *out, const command *of, const char *program) {
    mm_text_format(out, "%s %s", program, of->name);
    bool others = false;
    for (const option_row *option = of->options; option->name; option++) {
        char argument[ARGUMENT_TEXT];
        others |= !option->required;
        if (option->required)
            mm_text_format(out, " --%s %s", option->name, option_argument(option, argument));
    }
    if (others) mm_text_add_string(out, " [OPTION...]");
    if (of->operands) mm_text_format(out, " %s", of->operands);
    mm_text_add_string(out, "\n");
}

// Each line of the examples, with the program's name in place of "mm " where a command begins.
static void add_examples(mm_text *out, const char *examples, const char *program, const char *indent) {
    while (*examples) {
        int length = (int)strcspn(examples, "\n");
        mm_text_add_string(out, indent);
        for (const char *at = examples, *end = examples + length; at < end; at++) {
            bool begins =
                at == examples ||
                (at - examples > 2 && (strncmp(at - 2, "| ", 2) == 0 || strncmp(at - 2, "<(", 2) == 0));
            if (begins && strncmp(at, "mm ", 3) == 0) {
                mm_text_add_string(out, program);
                at += 1;
            } else {
                mm_text_add(out, at, 1);
            }
        }
        mm_text_add_string(out, "\n");
        examples += length + (examples[length] == '\n');
    }
}

void help_command(mm_text *out, const command *of, const char *program) {
    mm_text_add_string(out, "Usage: ");
    add_usage(out, of, program);
    mm_text_add_string(out, "\n");
    wrap(out, of->summary, 0, 0);
    if (of->about) {
        mm_text_add_string(out, "\n");
        wrap(out, of->about, 0, 0);
    }
    add_options(out, of);
    if (of->examples) {
        mm_text_add_string(out, "\nExamples:\n");
        add_examples(out, of->examples, program, "  ");
    }
    mm_text_add_string(out, "\n");
    wrap(out, twice, 0, 0);
    wrap(out, exit_status, 0, 0);
}

static void add_command_line(mm_text *out, const command *of) {
    mm_text_format(out, "  %-*s", COMMAND_COLUMN - 2, of->name);
    wrap(out, of->summary, COMMAND_COLUMN, COMMAND_COLUMN);
}

void help_overview(mm_text *out, const command *const *table, const char *program) {
    mm_text_format(out, "Usage: %s [train] [OPTION...]\n       %s COMMAND [OPTION...]\n\n", program, program);
    wrap(out,
         "Trains language models on CPUs so that every run repeats to the bit. Without a command it trains.",
         0, 0);
    mm_text_add_string(out, "\nCommands:\n");
    for (; *table; table++) add_command_line(out, *table);
    mm_text_add_string(out, "\nEnvironment:\n");
    for (int i = 0; environment[i][0]; i++) {
        mm_text_format(out, "  %-*s", COMMAND_COLUMN - 2, environment[i][0]);
        wrap(out, environment[i][1], COMMAND_COLUMN, COMMAND_COLUMN);
    }
    mm_text_add_string(out, "\nExamples:\n");
    add_examples(out, "mm --threads 8\nmm help train\nmm --resume runs/0001\n", program, "  ");
    mm_text_format(out, "\n%s COMMAND --help says more of each; --version says which mm this is.\n", program);
    wrap(out, exit_status, 0, 0);
}

mm_status help_about(mm_text *out, const command *const *table, const char *program, int count,
                     const char *const *words, mm_error *error) {
    if (count == 0) {
        help_overview(out, table, program);
        return MM_OK;
    }
    size_t length = strlen(words[0]);
    bool found = false;
    for (const command *const *c = table; count == 1 && *c; c++) {
        if (strncmp((*c)->name, words[0], length) != 0 || (*c)->name[length] != ' ') continue;
        if (!found) mm_text_format(out, "Usage: %s %s COMMAND [OPTION...]\n\nCommands:\n", program, words[0]);
        found = true;
        add_command_line(out, *c);
    }
    if (found) return MM_OK;
    char *line[] = {(char *)words[0], count > 1 ? (char *)words[1] : NULL};
    const command *of;
    int taken;
    if (words[0][0] == '-') return mm_trouble(error, "mm help %s: expected the name of a command", words[0]);
    mm_status status = command_find(table, NULL, count < 2 ? count : 2, line, &of, &taken, error);
    if (status) return status;
    if (taken < count) return mm_trouble(error, "mm help: found the word \"%s\" too many", words[taken]);
    help_command(out, of, program);
    return MM_OK;
}

// --- man page

static void roff(mm_text *out, const char *text) {
    for (const char *at = text; *at; at++) {
        bool starts = at == text || at[-1] == '\n';
        if (starts && (*at == '.' || *at == '\'')) mm_text_add_string(out, "\\&");
        if (*at == '\\')
            mm_text_add_string(out, "\\e");
        else if (*at == '-')
            mm_text_add_string(out, "\\-");
        else
            mm_text_add(out, at, 1);
    }
}

static void roff_option(mm_text *out, const option_row *option) {
    char argument[ARGUMENT_TEXT];
    option_argument(option, argument);
    mm_text_add_string(out, ".TP\n");
    if (option->letter) mm_text_format(out, "\\fB\\-%c\\fR, ", option->letter);
    mm_text_add_string(out, "\\fB\\-\\-");
    roff(out, option->name);
    mm_text_add_string(out, "\\fR");
    if (argument[0]) {
        mm_text_add_string(out, " \\fI");
        roff(out, argument);
        mm_text_add_string(out, "\\fR");
    }
    mm_text_add_string(out, "\n");
    mm_text words = {0};
    option_words(&words, option);
    roff(out, words.data ? words.data : "");
    mm_text_free(&words);
    mm_text_add_string(out, "\n");
}

static void roff_command(mm_text *out, const command *of) {
    mm_text line = {0};
    add_usage(&line, of, "mm");
    mm_text_add_string(out, ".SS ");
    roff(out, line.data ? line.data : "");
    mm_text_clear(&line);
    mm_text_format(&line, "%s.\n", of->summary);
    if (of->about) mm_text_format(&line, "%s\n", of->about);
    roff(out, line.data ? line.data : "");
    for (const option_row *option = of->options; option->name; option++) roff_option(out, option);
    roff_option(out, &option_help);
    if (of->examples) {
        mm_text_clear(&line);
        mm_text_add_string(&line, of->examples);
        mm_text_add_string(out, ".PP\nExamples:\n.PP\n.nf\n");
        roff(out, line.data ? line.data : "");
        mm_text_add_string(out, ".fi\n");
    }
    mm_text_free(&line);
}

void help_man(mm_text *out, const command *const *table) {
    mm_text_add_string(out, ".TH MM 1 \"\" \"mm " MM_VERSION
                            "\" \"User Commands\"\n.SH NAME\nmm \\- train language "
                            "models on CPUs so that every run repeats to the bit\n.SH SYNOPSIS\n\\fBmm\\fR "
                            "[\\fBtrain\\fR] [\\fIOPTION\\fR...]\n.br\n\\fBmm\\fR \\fICOMMAND\\fR "
                            "[\\fIOPTION\\fR...]\n.SH COMMANDS\n");
    for (; *table; table++) roff_command(out, *table);
    mm_text_add_string(out, ".SS mm \\-\\-version\nSays which mm this is.\n");
    mm_text_add_string(out, ".SH NOTES\n");
    roff(out, twice);
    mm_text_add_string(out, "\n.SH ENVIRONMENT\n");
    for (int i = 0; environment[i][0]; i++) {
        mm_text_format(out, ".TP\n\\fB%s\\fR\n", environment[i][0]);
        roff(out, environment[i][1]);
        mm_text_add_string(out, "\n");
    }
    mm_text_add_string(out, ".SH EXIT STATUS\n");
    roff(out, exit_status + strlen("Exit status: "));
    mm_text_add_string(out, "\n");
}

// --- completion

// The words that may follow an option, if it has choices: as help has them, "f32|bf16|f16". What stands for
// a value of the user's is in capitals.
static void bash_choices(mm_text *out, const command *of) {
    for (const option_row *option = of->options; option->name; option++) {
        char choices[ARGUMENT_TEXT];
        option_argument(option, choices);
        if (!strchr(choices, '|') || strpbrk(choices, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")) continue;
        for (char *c = choices; *c; c++)
            if (*c == '|') *c = ' ';
        mm_text_format(out, "    '%s --%s') words='%s' ;;\n", of->name, option->name, choices);
    }
}

static void bash_options(mm_text *out, const command *of) {
    mm_text_format(out, "    '%s') words='", of->name);
    for (const option_row *option = of->options; option->name; option++)
        mm_text_format(out, "--%s ", option->name);
    mm_text_add_string(out, "--help' ;;\n");
}

// First words, or second words of `first`, each once.
static void bash_words(mm_text *out, const command *const *table, const char *first) {
    size_t skip = first ? strlen(first) + 1 : 0, last = 0;
    const char *before = "";
    for (; *table; table++) {
        const char *name = (*table)->name;
        if (first && (strncmp(name, first, skip - 1) != 0 || name[skip - 1] != ' ')) continue;
        size_t length = strcspn(name + skip, " ");
        if (length == last && strncmp(before, name + skip, length) == 0) continue;
        mm_text_format(out, "%.*s ", (int)length, name + skip);
        before = name + skip;
        last = length;
    }
}

void help_bash(mm_text *out, const command *const *table) {
    mm_text_add_string(out,
                       "# bash completion of mm: source <(mm help --completion bash)\n_mm() {\n"
                       "    local word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
                       "    # Of --option=value bash makes three words.\n"
                       "    [[ $before = = ]] && before=\"${COMP_WORDS[COMP_CWORD-2]}\"\n"
                       "    [[ $word = = ]] && word=''\n"
                       "    local command=\"${COMP_WORDS[1]}\" words=''\n    case \"$command\" in\n"
                       "    -*) command=train ;;\n"
                       "    help) ((COMP_CWORD == 2)) && [[ $word != -* ]] && words='");
    bash_words(out, table, NULL);
    mm_text_add_string(out, "' ;;\n");
    for (const command *const *c = table; *c; c++) {
        size_t length = strcspn((*c)->name, " ");
        if (!(*c)->name[length] || (c > table && strncmp(c[-1]->name, (*c)->name, length + 1) == 0)) continue;
        char first[32];
        snprintf(first, sizeof first, "%.*s", (int)length, (*c)->name);
        mm_text_format(out, "    %s) if ((COMP_CWORD == 2)); then words='", first);
        bash_words(out, table, first);
        mm_text_add_string(out, "'; else command+=\" ${COMP_WORDS[2]}\"; fi ;;\n");
    }
    mm_text_add_string(out, "    esac\n    ((COMP_CWORD == 1)) && [[ $word != -* ]] && words='");
    bash_words(out, table, NULL);
    mm_text_add_string(out, "'\n    [[ $words ]] || case \"$command $before\" in\n");
    for (const command *const *c = table; *c; c++) bash_choices(out, *c);
    mm_text_add_string(out, "    esac\n    [[ $words ]] || [[ $word != -* ]] || case \"$command\" in\n");
    for (const command *const *c = table; *c; c++) bash_options(out, *c);
    mm_text_add_string(out, "    esac\n    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
                            "    ((${#COMPREPLY[@]})) && return\n"
                            "    compopt -o filenames 2>/dev/null\n"
                            "    mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n}\n"
                            "complete -F _mm mm\n");
}
