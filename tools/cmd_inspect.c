// mm inspect: finds out what a path is.
#include "cmd.h"
#include "inspect.h"
#include "print.h"
#include "progress.h"
#include <limits.h>
#include <mm/files/publish.h>
#include <string.h>
#include <sys/stat.h>

static const option_row options[] = {
    {.name = "check", .kind = OPTION_FLAG, .help = "of a dataset, inflate everything and compare every hash"},
    {.name = "json", .kind = OPTION_FLAG, .help = "write one JSON object"},
    {0},
};

static bool holds(const char *folder, const char *name) {
    char path[PATH_MAX];
    return !mm_path_join(path, sizeof path, folder, name, NULL) && mm_is_file(path);
}

static mm_status inspect_file(mm_text *out, const char *path, bool json, mm_error *error) {
    if (mm_ends_with(path, ".safetensors")) return inspect_weights(out, path, json, error);
    if (mm_ends_with(path, ".json")) return inspect_tokenizer(out, path, json, error);
    return mm_trouble(
        error,
        "%s: found a file of no known kind, expected .safetensors, a tokenizer.json, or the folder of "
        "a dataset, run, checkpoint or model",
        path);
}

static mm_status inspect_folder(mm_text *out, const char *path, bool json, bool check, mm_error *error) {
    char any[PATH_MAX];
    bool there;
    mm_status status = mm_path_join(any, sizeof any, path, "dataset.json", error);
    if (!status) status = mm_find_file(any, &there, error);
    if (status) return status;
    if (holds(path, "dataset.json")) return inspect_dataset(out, path, json, check, error);
    if (holds(path, "run.json")) return inspect_run(out, path, json, error);
    if (holds(path, "config.json")) return inspect_model(out, path, json, error);
    if (holds(path, "tokenizer.json")) return inspect_tokenizer(out, path, json, error);
    return mm_trouble(
        error,
        "%s: found none of dataset.json, run.json, config.json and tokenizer.json in it, expected a "
        "dataset, run, checkpoint or model directory",
        path);
}

// These speak for their folder.
static const char *folder_of(const char *path, char folder[PATH_MAX]) {
    static const char *const names[] = {"dataset.json",
                                        "run.json",
                                        "config.json",
                                        "state.json",
                                        "generation_config.json",
                                        "tokenizer_config.json",
                                        "model.safetensors.index.json"};
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) != 0 || strlen(path) >= PATH_MAX) continue;
        size_t length = (size_t)(name - path);
        if (length == 0) return ".";
        memcpy(folder, path, length);
        folder[length > 1 ? length - 1 : 1] = 0;
        return folder;
    }
    return path;
}

static mm_status run_inspect(const args *given, mm_error *error) {
    char folder[PATH_MAX];
    const char *path = folder_of(given->operands[0], folder);
    bool json = args_flag(given, "json"), check = args_flag(given, "check");
    struct stat info;
    if (stat(path, &info)) return mm_trouble_errno(error, path, "look at it");
    if (check && !holds(path, "dataset.json"))
        return mm_trouble(
            error, "--check %s: found no dataset.json in it, expected a dataset; leave --check away", path);
    progress_expect("reading");
    mm_text out = {0};
    mm_status status = S_ISDIR(info.st_mode) ? inspect_folder(&out, path, json, check, error)
                                             : inspect_file(&out, path, json, error);
    progress_clear();
    if (!status) status = print_text(&out, error);
    mm_text_free(&out);
    return status;
}

const command cmd_inspect = {
    .name = "inspect",
    .summary = "Says what a dataset, run, checkpoint, model, tokenizer or .safetensors holds",
    .about =
        "Of a model it also says why mm cannot run it, if it cannot (\"cannot_run\" of --json, else null).",
    .operands = "PATH",
    .least = 1,
    .most = 1,
    .options = options,
    .examples = "mm inspect runs/0001\nmm inspect data/default --check\nmm inspect runs/0001/model --json\n",
    .run = run_inspect,
};
