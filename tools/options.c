// Reading a command line by the table; getopt_long beneath, its messages ours.
#include "options.h"
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CODE_OPTION = 256, CODE_HELP = 1024, NAME_MOST = 48 };

const option_row option_help = {.name = "help", .letter = 'h', .kind = OPTION_FLAG, .help = "say this"};

static int count_options(const command *of) {
    int count = 0;
    while (of->options[count].name) count++;
    assert(count <= OPTIONS_MOST);
    return count;
}

const mm_field *option_field(const option_row *option) {
    if (option->kind != OPTION_SETTING) return NULL;
    char key[NAME_MOST];
    snprintf(key, sizeof key, "%s", option->name);
    for (char *c = key; *c; c++)
        if (*c == '-') *c = '_';
    const mm_field *field = mm_settings_field(key);
    assert(field && "an option of the table names a setting that is not there");
    return field;
}

char *option_argument(const option_row *option, char text[ARGUMENT_TEXT]) {
    text[0] = 0;
    const mm_field *field = option_field(option);
    if (option->argument) {
        snprintf(text, ARGUMENT_TEXT, "%s", option->argument);
    } else if (field && field->choices) {
        size_t used = 0;
        for (int i = 0; field->choices[i] && used < ARGUMENT_TEXT; i++)
            used +=
                (size_t)snprintf(text + used, ARGUMENT_TEXT - used, "%s%s", i ? "|" : "", field->choices[i]);
    }
    return text;
}

// --- near words

static int least_of(int a, int b) {
    return a < b ? a : b;
}

int edit_distance(const char *a, const char *b) {
    enum { MOST = NAME_MOST };
    int m = (int)strlen(a), n = (int)strlen(b);
    if (m >= MOST || n >= MOST) return m > n ? m : n;
    int d[MOST][MOST];
    for (int i = 0; i <= m; i++) {
        for (int j = 0; j <= n; j++) {
            if (!i || !j) {
                d[i][j] = i + j;
                continue;
            }
            int change = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            d[i][j] = least_of(change, least_of(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least_of(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[m][n];
}

// Is b near enough to be what a was meant to be? One slip in three letters.
static bool is_near(int distance, const char *word) {
    return distance <= 1 + (int)strlen(word) / 3;
}

// The closest so far.
typedef struct nearest {
    const char *word;
    int distance;
} nearest;

static void consider(nearest *best, const char *typed, const char *candidate) {
    int distance = edit_distance(typed, candidate);
    // What was begun and not ended is near, whatever is missing.
    if (strlen(typed) >= 3 && strncmp(typed, candidate, strlen(typed)) == 0) distance = least_of(distance, 1);
    if (is_near(distance, typed) && (!best->word || distance < best->distance))
        *best = (nearest){candidate, distance};
}

// --- trouble with options

// The option's name without dashes and without "=VALUE".
static void name_of(const char *word, char name[NAME_MOST]) {
    while (*word == '-') word++;
    snprintf(name, NAME_MOST, "%.*s", (int)strcspn(word, "="), word);
}

static mm_status unknown_option(const args *given, const char *word, mm_error *error) {
    char name[NAME_MOST];
    name_of(word, name);
    nearest best = {0};
    for (const option_row *o = given->command->options; o->name; o++) consider(&best, name, o->name);
    consider(&best, name, option_help.name);
    const char *dashes = word[1] == '-' ? "--" : "-";
    if (best.word && dashes[1])
        return mm_trouble(error, "unknown option --%s of mm %s: did you mean --%s? mm %s --help lists all",
                          name, given->command->name, best.word, given->command->name);
    return mm_trouble(error, "unknown option %s%s of mm %s: mm %s --help lists all", dashes, name,
                      given->command->name, given->command->name);
}

static mm_status missing_argument(const args *given, const option_row *option, const char *instead,
                                  mm_error *error) {
    char argument[ARGUMENT_TEXT];
    option_argument(option, argument);
    if (instead)
        return mm_trouble(
            error,
            "--%s: found the option %s where its value was expected: --%s %s (or --%s=%s, if that "
            "is the value)",
            option->name, instead, option->name, argument, option->name, instead);
    return mm_trouble(error, "--%s: found nothing after it, expected a value: mm %s --%s %s", option->name,
                      given->command->name, option->name, argument);
}

// --- values

static mm_status take_integer(const option_row *o, option_value *value, mm_error *error) {
    char *end;
    errno = 0;
    long long number = strtoll(value->text, &end, 10);
    double most = o->most > 0 ? o->most : 9e18;
    if (end != value->text && !*end && !errno && (double)number >= o->least && (double)number <= most) {
        value->integer = number;
        return MM_OK;
    }
    if (o->most > 0)
        return mm_trouble(error, "--%s %s: expected a whole number from %.0f to %.0f", o->name, value->text,
                          o->least, o->most);
    return mm_trouble(error, "--%s %s: expected a whole number of at least %.0f", o->name, value->text,
                      o->least);
}

static mm_status take_number(const option_row *o, option_value *value, mm_error *error) {
    char *end;
    double number = strtod(value->text, &end);
    bool fits = number >= o->least && (o->most <= 0 || number <= o->most); // NaN fits nowhere
    if (end != value->text && !*end && fits && isfinite(number)) {
        value->number = number;
        return MM_OK;
    }
    if (o->most > 0)
        return mm_trouble(error, "--%s %s: expected a number from %g to %g", o->name, value->text, o->least,
                          o->most);
    return mm_trouble(error, "--%s %s: expected a number of at least %g", o->name, value->text, o->least);
}

// What was given last counts. Settings are parsed by args_settings.
static mm_status take_value(args *given, int index, mm_error *error) {
    const option_row *option = &given->command->options[index];
    option_value *value = &given->values[index];
    if (!value->text) return MM_OK;
    if (option->kind == OPTION_INTEGER) return take_integer(option, value, error);
    if (option->kind == OPTION_NUMBER) return take_number(option, value, error);
    if (option->kind != OPTION_TEXT || *value->text || option->may_be_empty) return MM_OK;
    char argument[ARGUMENT_TEXT];
    return mm_trouble(error, "--%s: found an empty value, expected %s; is a variable of the shell not set?",
                      option->name, option_argument(option, argument));
}

// --- getopt_long beneath

typedef struct scanner {
    struct option longs[OPTIONS_MOST + 2];
    char shorts[3 * OPTIONS_MOST + 8];
} scanner;

// "-": words that are no options come in their order, as code 1; ":": missing arguments are told apart.
static void scanner_fill(scanner *s, const command *of) {
    int count = count_options(of);
    char *at = s->shorts;
    *at++ = '-';
    *at++ = ':';
    for (int i = 0; i <= count; i++) {
        const option_row *o = i < count ? &of->options[i] : &option_help;
        int wants = o->kind == OPTION_FLAG ? no_argument : required_argument;
        s->longs[i] = (struct option){
            .name = o->name, .has_arg = wants, .val = i < count ? CODE_OPTION + i : CODE_HELP};
        if (!o->letter) continue;
        *at++ = o->letter;
        if (wants == required_argument) *at++ = ':';
    }
    *at = 0;
    s->longs[count + 1] = (struct option){0};
}

static int index_of_code(const command *of, int code) {
    if (code >= CODE_OPTION) return code - CODE_OPTION;
    for (int i = 0; of->options[i].name; i++)
        if (of->options[i].letter == code) return i;
    return -1;
}

// getopt_long takes "--st" for "--steps"; here an option has one name, so that a new one never changes an old
// command.
static bool is_abbreviated(const char *word, const char *name) {
    char typed[NAME_MOST];
    name_of(word, typed);
    return strncmp(word, "--", 2) == 0 && strcmp(typed, name) != 0;
}

static bool is_known_option(const command *of, const char *word) {
    if (strncmp(word, "--", 2) != 0) return false;
    char name[NAME_MOST];
    name_of(word, name);
    for (const option_row *o = of->options; o->name; o++)
        if (strcmp(o->name, name) == 0) return true;
    return strcmp(name, option_help.name) == 0;
}

// One word that getopt_long has read; `word` is where it stood.
static mm_status take_code(args *given, int code, const char *word, mm_error *error) {
    const command *of = given->command;
    if (code == 1) {
        given->operands[given->operand_count++] = optarg;
        return MM_OK;
    }
    bool refused = code == '?', missing = code == ':';
    if (refused || missing) code = optopt;
    if (code == CODE_HELP || code == option_help.letter) {
        if (is_abbreviated(word, option_help.name)) return unknown_option(given, word, error);
        given->help = true;
        return MM_OK;
    }
    int index = code ? index_of_code(of, code) : -1;
    if (index < 0 || is_abbreviated(word, of->options[index].name)) return unknown_option(given, word, error);
    const option_row *option = &of->options[index];
    if (missing) return missing_argument(given, option, NULL, error);
    if (refused) return mm_trouble(error, "%s: --%s takes no value; give it alone", word, option->name);
    bool apart = optarg && optarg == given->argv[optind - 1];
    if (apart && is_known_option(of, optarg)) return missing_argument(given, option, optarg, error);
    given->values[index].text = optarg ? optarg : "";
    return MM_OK;
}

static mm_status check_operands(const args *given, mm_error *error) {
    const command *of = given->command;
    int count = given->operand_count;
    if (of->most >= 0 && count > of->most) {
        const char *stray = given->operands[of->most];
        if (!of->operands)
            return mm_trouble(error,
                              "mm %s: found the word \"%s\", expected options only; mm %s --help lists them",
                              of->name, stray, of->name);
        return mm_trouble(error, "mm %s: found the word \"%s\" too many, expected %s", of->name, stray,
                          of->operands);
    }
    if (count < of->least)
        return mm_trouble(error, "mm %s: found %s, expected %s; mm %s --help says more", of->name,
                          count ? "too few names" : "no name", of->operands, of->name);
    for (int i = 0; of->options[i].name; i++) {
        const option_row *option = &of->options[i];
        char argument[ARGUMENT_TEXT];
        if (option->required && !given->values[i].text)
            return mm_trouble(error, "mm %s: --%s is missing, expected --%s %s; mm %s --help says more",
                              of->name, option->name, option->name, option_argument(option, argument),
                              of->name);
    }
    return MM_OK;
}

static mm_status scan(args *given, mm_error *error) {
    scanner s;
    scanner_fill(&s, given->command);
    opterr = 0;
    optind = 0; // glibc: start anew, whatever was read before
    for (;;) {
        int at = optind ? optind : 1;
        int code = getopt_long(given->argc, given->argv, s.shorts, s.longs, NULL);
        if (code == -1) break;
        mm_status status = take_code(given, code, given->argv[at], error);
        if (status || given->help) return status;
    }
    while (optind < given->argc) given->operands[given->operand_count++] = given->argv[optind++];
    for (int i = 0; given->command->options[i].name; i++) {
        mm_status status = take_value(given, i, error);
        if (status) return status;
    }
    return check_operands(given, error);
}

mm_status args_read(args *given, const command *of, int count, char *const *words, mm_error *error) {
    *given = (args){.command = of};
    given->operands = calloc((size_t)count + 1, sizeof *given->operands);
    // getopt_long begins at the second word.
    char **line = calloc((size_t)count + 2, sizeof *line);
    if (!given->operands || !line) {
        free(line);
        return mm_trouble(error, "command line: out of memory");
    }
    static char first[] = "mm";
    line[0] = first;
    for (int i = 0; i < count; i++) line[i + 1] = words[i];
    given->argc = count + 1;
    given->argv = line;
    mm_status status = scan(given, error);
    given->argc = 0;
    given->argv = NULL;
    free(line);
    return status;
}

void args_free(args *given) {
    free(given->operands);
    given->operands = NULL;
}

// --- asking

static const option_value *value_of(const args *given, const char *name) {
    int i = 0;
    while (given->command->options[i].name && strcmp(given->command->options[i].name, name) != 0) i++;
    assert(given->command->options[i].name && "an option that the command's table does not have");
    return &given->values[i];
}

const char *args_text(const args *given, const char *name) {
    return value_of(given, name)->text;
}

bool args_flag(const args *given, const char *name) {
    return value_of(given, name)->text != NULL;
}

int64_t args_integer(const args *given, const char *name, int64_t otherwise) {
    const option_value *value = value_of(given, name);
    return value->text ? value->integer : otherwise;
}

double args_number(const args *given, const char *name, double otherwise) {
    const option_value *value = value_of(given, name);
    return value->text ? value->number : otherwise;
}

mm_status args_settings(const args *given, mm_settings *settings, bool set[MM_SETTINGS_FIELDS],
                        mm_error *error) {
    *settings = (mm_settings){0};
    memset(set, 0, MM_SETTINGS_FIELDS * sizeof *set);
    for (int i = 0; given->command->options[i].name; i++) {
        const option_row *option = &given->command->options[i];
        const mm_field *field = option_field(option);
        if (!field || !given->values[i].text) continue;
        char name[NAME_MOST + 2];
        snprintf(name, sizeof name, "--%s", option->name);
        mm_status status = mm_settings_parse(settings, field, name, given->values[i].text, error);
        if (status) return status;
        set[field - mm_settings_fields] = true;
    }
    return MM_OK;
}

// --- commands

const command *command_named(const command *const *table, const char *name) {
    for (; *table; table++)
        if (strcmp((*table)->name, name) == 0) return *table;
    return NULL;
}

// Does `name` begin with the word and go on with a second one?
static const char *second_word(const char *name, const char *word) {
    size_t length = strlen(word);
    return strncmp(name, word, length) == 0 && name[length] == ' ' ? name + length + 1 : NULL;
}

static mm_status unknown_command(const command *const *table, const char *word, mm_error *error) {
    nearest best = {0};
    for (; *table; table++) {
        char first[NAME_MOST];
        snprintf(first, sizeof first, "%.*s", (int)strcspn((*table)->name, " "), (*table)->name);
        nearest before = best;
        consider(&best, word, first);
        if (best.word != before.word) best.word = (*table)->name;
    }
    if (best.word)
        return mm_trouble(error, "unknown command \"%s\": did you mean \"%.*s\"? mm help lists all", word,
                          (int)strcspn(best.word, " "), best.word);
    return mm_trouble(error, "unknown command \"%s\": mm help lists all", word);
}

// A first word that has second words, and the second is missing or wrong.
static mm_status need_second(const command *const *table, const char *word, const char *second,
                             mm_error *error) {
    nearest best = {0};
    char all[128] = "";
    size_t used = 0;
    for (; *table; table++) {
        const char *name = second_word((*table)->name, word);
        if (!name) continue;
        if (second) consider(&best, second, name);
        if (used < sizeof all)
            used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", used ? ", " : "", name);
    }
    if (!second) return mm_trouble(error, "mm %s: expected one of %s after it", word, all);
    if (best.word)
        return mm_trouble(error, "mm %s: found \"%s\", expected one of %s: did you mean \"%s\"?", word,
                          second, all, best.word);
    return mm_trouble(error, "mm %s: found \"%s\", expected one of %s", word, second, all);
}

mm_status command_find(const command *const *table, const command *standard, int count, char *const *words,
                       const command **found, int *taken, mm_error *error) {
    *taken = 0;
    *found = standard;
    if (count == 0 || words[0][0] == '-') return MM_OK;
    *taken = 1;
    *found = command_named(table, words[0]);
    if (*found) return MM_OK;
    const char *second = count > 1 && words[1][0] != '-' ? words[1] : NULL;
    bool has_seconds = false;
    *taken = 2;
    for (const command *const *c = table; *c; c++) {
        const char *name = second_word((*c)->name, words[0]);
        has_seconds |= name != NULL;
        if (name && second && strcmp(name, second) == 0) {
            *found = *c;
            return MM_OK;
        }
    }
    return has_seconds ? need_second(table, words[0], second, error)
                       : unknown_command(table, words[0], error);
}
