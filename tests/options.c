// The command line's parser: every way to give an option, and every way to get it wrong.
#include "options.h"
#include "help.h"
#include "progress.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const option_row rows[] = {
    {.name = "steps",
     .letter = 'n',
     .kind = OPTION_INTEGER,
     .argument = "N",
     .help = "how many",
     .least = 1,
     .most = 100},
    {.name = "split", .kind = OPTION_TEXT, .argument = "LINE", .help = "where", .may_be_empty = true},
    {.name = "share", .kind = OPTION_NUMBER, .argument = "X", .help = "of it", .most = 1, .standard = "0"},
    {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .help = "as JSON"},
    {.name = "seed-policy", .kind = OPTION_SETTING, .help = "which"},
    {.name = "lr", .kind = OPTION_SETTING, .argument = "X", .help = "rate"},
    {0},
};
static const option_row needy_rows[] = {
    {.name = "out", .kind = OPTION_TEXT, .argument = "F", .help = "where to", .required = true},
    {0},
};

static const command work = {
    .name = "work", .summary = "Works", .options = rows, .operands = "INPUT...", .most = 2};
static const command alone = {.name = "alone", .summary = "Takes no words", .options = rows};
static const command grow = {.name = "plant grow", .summary = "Grows", .options = needy_rows};
static const command water = {.name = "plant water", .summary = "Waters", .options = needy_rows};
const command *const commands[] = {&work, &alone, &grow, &water, NULL};

enum { WORDS = 8 };

static mm_status read_words(args *given, const command *of, mm_error *error, const char *const *words) {
    int count = 0;
    char *line[WORDS] = {0};
    for (; words[count]; count++) line[count] = (char *)words[count];
    error->text[0] = 0;
    return args_read(given, of, count, line, error);
}

#define READ(given, of, error, ...) read_words(given, of, error, (const char *const[WORDS + 1]){__VA_ARGS__})

// Reads a wrong line, and looks for what the message must name.
static void refuses(const command *of, const char *const *words, const char *const *named) {
    args given;
    mm_error error;
    assert_int_equal(read_words(&given, of, &error, words), MM_TROUBLE);
    for (; *named; named++)
        if (!strstr(error.text, *named)) fail_msg("\"%s\" does not name \"%s\"", error.text, *named);
    assert_null(strchr(error.text, '\n'));
    args_free(&given);
}

#define LINE(...) ((const char *const[WORDS + 1]){__VA_ARGS__})

static void every_form_of_an_option_is_read(void **state) {
    (void)state;
    args given;
    mm_error error;
    assert_int_equal(READ(&given, &work, &error, "a", "--steps", "7", "--share=0.5", "-j", "b"), MM_OK);
    assert_int_equal(args_integer(&given, "steps", 0), 7);
    assert_true(args_number(&given, "share", 0) == 0.5);
    assert_true(args_flag(&given, "json"));
    assert_null(args_text(&given, "split"));
    assert_int_equal(given.operand_count, 2);
    assert_string_equal(given.operands[0], "a");
    assert_string_equal(given.operands[1], "b");
    args_free(&given);
    assert_int_equal(READ(&given, &work, &error, "-jn9", "--split="), MM_OK);
    assert_int_equal(args_integer(&given, "steps", 0), 9);
    assert_string_equal(args_text(&given, "split"), "");
    args_free(&given);
}

static void what_was_not_given_is_the_callers(void **state) {
    (void)state;
    args given;
    mm_error error;
    assert_int_equal(READ(&given, &work, &error, NULL), MM_OK);
    assert_int_equal(args_integer(&given, "steps", 42), 42);
    assert_true(args_number(&given, "share", 0.25) == 0.25);
    assert_false(args_flag(&given, "json"));
    args_free(&given);
}

static void the_last_of_two_wins(void **state) {
    (void)state;
    args given;
    mm_error error;
    assert_int_equal(READ(&given, &work, &error, "--steps", "7", "-n", "8"), MM_OK);
    assert_int_equal(args_integer(&given, "steps", 0), 8);
    args_free(&given);
}

static void words_after_two_dashes_are_no_options(void **state) {
    (void)state;
    args given;
    mm_error error;
    assert_int_equal(READ(&given, &work, &error, "--", "--json", "-"), MM_OK);
    assert_false(args_flag(&given, "json"));
    assert_int_equal(given.operand_count, 2);
    assert_string_equal(given.operands[0], "--json");
    args_free(&given);
}

static void help_comes_before_what_is_missing(void **state) {
    (void)state;
    args given;
    mm_error error;
    assert_int_equal(READ(&given, &grow, &error, "--help", "stray"), MM_OK);
    assert_true(given.help);
    args_free(&given);
}

static void unknown_options_name_the_nearest(void **state) {
    (void)state;
    refuses(&work, LINE("--stesp", "3"), LINE("--stesp", "did you mean --steps"));
    refuses(&work, LINE("--seedpolicy=rank"), LINE("--seedpolicy", "did you mean --seed-policy"));
    refuses(&work, LINE("--jsno"), LINE("did you mean --json"));
    refuses(&work, LINE("-x"), LINE("unknown option -x", "work --help"));
    refuses(&work, LINE("--quite-another"), LINE("--quite-another", "lists all"));
}

static void an_option_has_one_name(void **state) {
    (void)state;
    refuses(&work, LINE("--step", "3"), LINE("unknown option --step", "did you mean --steps"));
    refuses(&work, LINE("--spl=x"), LINE("did you mean --split"));
    refuses(&work, LINE("--he"), LINE("unknown option --he"));
}

static void missing_and_needless_values_are_named(void **state) {
    (void)state;
    refuses(&work, LINE("--steps"), LINE("--steps", "found nothing", "--steps N"));
    refuses(&work, LINE("--split", "--json"), LINE("--split", "found the option --json", "--split=--json"));
    refuses(&work, LINE("--json=1"), LINE("--json", "takes no value"));
    refuses(&work, LINE("-n"), LINE("--steps", "found nothing"));
}

static void numbers_out_of_range_are_refused(void **state) {
    (void)state;
    refuses(&work, LINE("--steps", "0"), LINE("--steps 0", "from 1 to 100"));
    refuses(&work, LINE("--steps", "101"), LINE("--steps 101", "from 1 to 100"));
    refuses(&work, LINE("--steps", "1e1"), LINE("--steps 1e1"));
    refuses(&work, LINE("--steps", "99999999999999999999"), LINE("from 1 to 100"));
    refuses(&work, LINE("--steps="), LINE("--steps"));
    refuses(&work, LINE("--share", "-0.1"), LINE("--share -0.1", "from 0 to 1"));
    refuses(&work, LINE("--share", "nan"), LINE("--share nan"));
    refuses(&work, LINE("--share", "0.5x"), LINE("--share 0.5x"));
    refuses(&grow, LINE("--out", ""), LINE("--out", "empty value", "expected F"));
}

static void stray_and_missing_words_are_named(void **state) {
    (void)state;
    refuses(&work, LINE("a", "b", "c"), LINE("\"c\""));
    refuses(&alone, LINE("a"), LINE("mm alone", "\"a\"", "options only"));
    refuses(&grow, LINE(NULL), LINE("mm plant grow", "--out", "missing"));
}

static void settings_take_their_fields_range(void **state) {
    (void)state;
    args given;
    mm_error error;
    mm_settings settings;
    bool set[MM_SETTINGS_FIELDS];
    assert_int_equal(READ(&given, &work, &error, "--seed-policy", "hashed"), MM_OK);
    assert_int_equal(args_settings(&given, &settings, set, &error), MM_OK);
    assert_int_equal(settings.seed_policy, 2);
    assert_true(set[mm_settings_field("seed_policy") - mm_settings_fields]);
    assert_false(set[mm_settings_field("lr") - mm_settings_fields]);
    mm_settings_free(&settings);
    args_free(&given);
    assert_int_equal(READ(&given, &work, &error, "--seed-policy", "hsahed"), MM_OK);
    assert_int_equal(args_settings(&given, &settings, set, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "--seed-policy"));
    assert_non_null(strstr(error.text, "hsahed"));
    assert_non_null(strstr(error.text, "sample"));
    mm_settings_free(&settings);
    args_free(&given);
}

static const command *find(const char *first, const char *second, int *taken, mm_error *error) {
    char *words[] = {(char *)first, (char *)second};
    const command *found = NULL;
    error->text[0] = 0;
    mm_status status =
        command_find(commands, &work, (first != NULL) + (second != NULL), words, &found, taken, error);
    return status ? NULL : found;
}

static void commands_of_one_and_two_words_are_found(void **state) {
    (void)state;
    int taken;
    mm_error error;
    assert_ptr_equal(find(NULL, NULL, &taken, &error), &work);
    assert_int_equal(taken, 0);
    assert_ptr_equal(find("--steps", "3", &taken, &error), &work);
    assert_int_equal(taken, 0);
    assert_ptr_equal(find("alone", "--json", &taken, &error), &alone);
    assert_int_equal(taken, 1);
    assert_ptr_equal(find("plant", "water", &taken, &error), &water);
    assert_int_equal(taken, 2);
}

static void unknown_commands_name_the_nearest(void **state) {
    (void)state;
    int taken;
    mm_error error;
    assert_null(find("aloen", NULL, &taken, &error));
    assert_non_null(strstr(error.text, "\"aloen\": did you mean \"alone\""));
    assert_null(find("plnat", "grow", &taken, &error));
    assert_non_null(strstr(error.text, "did you mean \"plant\""));
    assert_null(find("plant", "watr", &taken, &error));
    assert_non_null(strstr(error.text, "did you mean \"water\""));
    assert_null(find("plant", NULL, &taken, &error));
    assert_non_null(strstr(error.text, "grow, water"));
    assert_null(find("zzzzzz", NULL, &taken, &error));
    assert_null(strstr(error.text, "did you mean"));
}

static void distance_counts_slips(void **state) {
    (void)state;
    assert_int_equal(edit_distance("", "abc"), 3);
    assert_int_equal(edit_distance("steps", "steps"), 0);
    assert_int_equal(edit_distance("step", "steps"), 1);
    assert_int_equal(edit_distance("stesp", "steps"), 1);
    assert_int_equal(edit_distance("kitten", "sitting"), 3);
}

static void one_table_makes_all_texts(void **state) {
    (void)state;
    mm_text text = {0};
    help_command(&text, &work, "./mm");
    for (const option_row *o = rows; o->name; o++) assert_non_null(strstr(text.data, o->name));
    assert_non_null(strstr(text.data, "rank|shared|hashed|sample"));
    assert_non_null(strstr(text.data, "(default: 0)"));
    mm_text_clear(&text);
    help_overview(&text, commands, "./mm");
    for (const command *const *c = commands; *c; c++) assert_non_null(strstr(text.data, (*c)->name));
    mm_text_clear(&text);
    help_man(&text, commands);
    assert_non_null(strstr(text.data, "\\fB\\-\\-seed\\-policy\\fR \\fIrank|shared|hashed|sample\\fR"));
    mm_text_clear(&text);
    help_bash(&text, commands);
    assert_non_null(strstr(text.data, "'work --seed-policy') words='rank shared hashed sample'"));
    assert_non_null(strstr(text.data, "plant) if ((COMP_CWORD == 2)); then words='grow water '"));
    mm_text_free(&text);
}

static void lines_are_cut_to_columns(void **state) {
    (void)state;
    mm_text text = {0};
    progress_clip(&text,
                  "\033[2mab\033[0mc\xc3\xa9"
                  "de",
                  4);
    assert_string_equal(text.data, "\033[2mab\033[0mc\xc3\xa9");
    mm_text_clear(&text);
    progress_clip(&text, "short", 80);
    assert_string_equal(text.data, "short");
    mm_text_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_an_option_is_read),
        cmocka_unit_test(what_was_not_given_is_the_callers),
        cmocka_unit_test(the_last_of_two_wins),
        cmocka_unit_test(words_after_two_dashes_are_no_options),
        cmocka_unit_test(help_comes_before_what_is_missing),
        cmocka_unit_test(unknown_options_name_the_nearest),
        cmocka_unit_test(an_option_has_one_name),
        cmocka_unit_test(missing_and_needless_values_are_named),
        cmocka_unit_test(numbers_out_of_range_are_refused),
        cmocka_unit_test(stray_and_missing_words_are_named),
        cmocka_unit_test(settings_take_their_fields_range),
        cmocka_unit_test(commands_of_one_and_two_words_are_found),
        cmocka_unit_test(unknown_commands_name_the_nearest),
        cmocka_unit_test(distance_counts_slips),
        cmocka_unit_test(one_table_makes_all_texts),
        cmocka_unit_test(lines_are_cut_to_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
