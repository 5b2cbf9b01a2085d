// mm: finds the command and runs it; says what went wrong, and exits with its status.
#include "cmd.h"
#include "help.h"
#include "print.h"
#include "progress.h"
#include <fcntl.h>
#include <mm/base/version.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const option_row help_options[] = {
    {.name = "man", .kind = OPTION_FLAG, .help = "write the manual page mm(1) instead"},
    {.name = "completion",
     .kind = OPTION_TEXT,
     .argument = "SHELL",
     .help = "write a completion script instead; SHELL is bash"},
    {0},
};

static mm_status run_help(const args *given, mm_error *error) {
    const char *shell = args_text(given, "completion");
    const bool man = args_flag(given, "man");
    if ((shell != NULL) + man + (given->operand_count > 0) > 1)
        return mm_trouble(error, "mm help: found more than one of --man, --completion and a command, "
                                 "expected one; ask for each alone");
    if (shell && strcmp(shell, "bash") != 0)
        return mm_trouble(error, "--completion %s: expected bash, the only shell that there is a script for",
                          shell);
    mm_text out = {0};
    mm_status status = MM_OK;
    if (shell)
        help_bash(&out, commands);
    else if (man)
        help_man(&out, commands);
    else
        status = help_about(&out, commands, given->program, given->operand_count, given->operands, error);
    if (!status) status = print_text(&out, error);
    mm_text_free(&out);
    return status;
}

static const command cmd_help = {
    .name = "help",
    .summary = "Says what a command does and which options it has",
    .operands = "[COMMAND]",
    .most = 2,
    .options = help_options,
    .examples = "mm help train\nmm help --man | man -l -\nsource <(mm help --completion bash)\n",
    .run = run_help,
};

const command *const commands[] = {
    &cmd_train,
    &cmd_eval,
    &cmd_generate,
    &cmd_export,
    &cmd_diff,
    &cmd_verify,
    &cmd_inspect,
    &cmd_pack,
    &cmd_seeds,
    &cmd_tokenizer_train,
    &cmd_tokenizer_encode,
    &cmd_tokenizer_decode,
    &cmd_tokenizer_show,
    &cmd_help,
    NULL,
};

static mm_status say(mm_text *text, mm_error *error) {
    mm_status status = print_text(text, error);
    mm_text_free(text);
    return status;
}

static bool is_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

// What is asked of the program as a whole; *asked says whether anything was.
static mm_status run_whole(const char *program, int count, char *const *words, bool *asked, mm_error *error) {
    mm_text out = {0};
    *asked = true;
    // "mm --help eval" asks what "mm help eval" does; with other options train is meant.
    if (is_help(words[0]) && (count == 1 || words[1][0] != '-')) {
        mm_status status =
            help_about(&out, commands, program, count - 1, (const char *const *)(words + 1), error);
        return status ? status : say(&out, error);
    }
    if (count == 1 && strcmp(words[0], "--version") == 0) {
        mm_text_format(&out, "mm %s\n", mm_build_version());
        return say(&out, error);
    }
    if (count == 2 && words[0][0] != '-' && is_help(words[1])) {
        const char *const name[] = {words[0]};
        mm_status status = help_about(&out, commands, program, 1, name, error);
        return status ? status : say(&out, error);
    }
    *asked = false;
    return MM_OK;
}

static mm_status run_command(const char *program, int argc, char *const *argv, mm_error *error) {
    int taken;
    const command *of;
    mm_status status = command_find(commands, &cmd_train, argc - 1, argv + 1, &of, &taken, error);
    if (status) return status;
    args given;
    status = args_read(&given, of, argc - 1 - taken, argv + 1 + taken, error);
    given.program = program;
    given.argc = argc;
    given.argv = argv;
    if (!status && given.help) {
        mm_text out = {0};
        help_command(&out, of, program);
        status = say(&out, error);
    } else if (!status) {
        status = of->run(&given, error);
    }
    args_free(&given);
    return status;
}

// A dataset has a file open for each of its shards, of which there may be more than the usual limit.
static void allow_files(void) {
    enum { ENOUGH = 1 << 18 };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= ENOUGH) return;
    limit.rlim_cur = limit.rlim_max < ENOUGH ? limit.rlim_max : ENOUGH;
    (void)setrlimit(RLIMIT_NOFILE, &limit); // else a file that cannot be opened is named
}

// A standard stream that is closed would lend its number to the next file that is opened, and what is written
// to the one would land in the other. What stands in for it fails as it did: it cannot be read or written.
static mm_status hold_streams(mm_error *error) {
    for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++) {
        if (fcntl(stream, F_GETFD) >= 0) continue;
        if (open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY) != stream)
            return mm_trouble_errno(error, "/dev/null", "open it for a standard stream that is closed");
    }
    return MM_OK;
}

int main(int argc, char **argv) {
    mm_error error = {0};
    if (hold_streams(&error)) {
        fprintf(stderr, "mm: %s\n", error.text);
        return MM_TROUBLE;
    }
    allow_files();
    signal(SIGXFSZ, SIG_IGN); // a file over its limit is an error that names it, as a full disk is
    const char *program = argc > 0 ? argv[0] : "mm";
    bool asked = false;
    mm_status status = argc > 1 ? run_whole(program, argc - 1, argv + 1, &asked, &error) : MM_OK;
    if (!status && !asked) status = run_command(program, argc, argv, &error);
    mm_status flushed = print_flush(status ? NULL : &error);
    if (!status) status = flushed;
    progress_clear();
    if (status && error.text[0]) fprintf(stderr, "mm: %s\n", error.text);
    return (int)status;
}
