// mm eval: a model's loss over data.
#include "cmd.h"
#include "print.h"
#include "progress.h"
#include "stop.h"
#include <limits.h>
#include <math.h>
#include <mm/base/clock.h>
#include <mm/base/mathfn.h>
#include <mm/base/par.h>
#include <mm/data/tokenizer.h>
#include <mm/files/json.h>
#include <mm/files/publish.h>
#include <mm/run/eval.h>
#include <mm/run/prepare.h>
#include <mm/run/runnable.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const option_row options[] = {
    {.name = "model",
     .letter = 'm',
     .kind = OPTION_TEXT,
     .argument = "DIR",
     .help = "model directory: config.json and model.safetensors, or its shards, as a run's `model` is",
     .required = true},
    {.name = "data",
     .letter = 'd',
     .kind = OPTION_TEXT,
     .argument = "DIR|FILE",
     .help = "dataset directory, or a text file, packed with the model's tokenizer",
     .required = true},
    {.name = "seq-len",
     .kind = OPTION_INTEGER,
     .argument = "N",
     .least = 1,
     .most = 1 << 20,
     .help = "tokens of a sequence",
     .standard = "256"},
    {.name = "packing",
     .kind = OPTION_SETTING,
     .help = "window: documents one after another, cut every seq-len tokens; document: one a sample, cut to "
             "seq-len tokens",
     .standard = "window"},
    {.name = "workers",
     .kind = OPTION_INTEGER,
     .argument = "W",
     .least = 1,
     .most = 1024,
     .help = "threads that do the work; they never move a bit",
     .standard = "usable cores"},
    {.name = "logits",
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .help = "also write the logits of every target to this .safetensors file: targets {tokens} and logits "
             "{tokens, "
             "vocabulary}, 4 bytes a number"},
    {.name = "json",
     .kind = OPTION_FLAG,
     .help = "write {\"loss\", \"perplexity\", \"tokens\", \"bits_per_byte\"}"},
    {0},
};

static void show_evaluating(void *self, uint64_t done, uint64_t total) {
    (void)self;
    progress_share("evaluating", total ? (double)done / (double)total : -1);
}

static void show_preparing(void *self, const char *what, double share) {
    (void)self;
    progress_share(what, share);
}

static mm_status read_request(const args *given, const volatile sig_atomic_t *stop, mm_eval_request *request,
                              mm_error *error) {
    mm_settings settings;
    bool set[MM_SETTINGS_FIELDS];
    mm_status status = args_settings(given, &settings, set, error);
    *request = (mm_eval_request){.model_path = args_text(given, "model"),
                                 .data_path = args_text(given, "data"),
                                 .data_name = args_text(given, "data"),
                                 .seq_len = args_integer(given, "seq-len", 0),
                                 .packing = (mm_packing)settings.packing,
                                 .workers = (int)args_integer(given, "workers", mm_par_cores()),
                                 .logits_path = args_text(given, "logits"),
                                 .progress = show_evaluating,
                                 .stop = stop};
    if (!status && request->packing == MM_PACKING_DOCUMENT && request->logits_path)
        status = mm_trouble(error,
                            "--logits with --packing document: expected windows, which hold every target of "
                            "the data once; leave one of them away");
    return status;
}

// A text is packed into a folder that lives as long as the command.
static mm_status evaluate_text(mm_eval_request *request, mm_eval_result *result, mm_error *error) {
    char folder[PATH_MAX], packed[PATH_MAX], tokenizer[PATH_MAX];
    const char *root = getenv("TMPDIR"), *file = request->data_path;
    // A text is packed for a model that will be taken.
    mm_status status = mm_model_runnable(request->model_path, error);
    if (!status) status = mm_tokenizer_find(request->model_path, file, tokenizer, sizeof tokenizer, error);
    if (status) return status;
    status = mm_path_join(folder, sizeof folder, root && *root ? root : "/tmp", "mm-eval-XXXXXX", error);
    if (status) return status;
    if (!mkdtemp(folder)) return mm_trouble_errno(error, folder, "make a temporary folder");
    status = mm_path_join(packed, sizeof packed, folder, "data", error);
    if (!status)
        status = mm_prepare_text(file, tokenizer, 0, packed, show_preparing, NULL, request->stop, error);
    request->data_path = packed;
    if (!status) status = mm_eval(request, result, error);
    mm_status removed = mm_remove_folder(folder, status ? NULL : error);
    return status ? status : removed;
}

static void result_text(mm_text *out, const mm_eval_result *r, bool json) {
    if (json) {
        mm_json_writer w = mm_json_writer_on(out, 0);
        mm_json_open_object(&w);
        mm_json_pair_double(&w, "loss", r->loss);
        mm_json_pair_double(&w, "perplexity", r->perplexity);
        mm_json_pair_integer(&w, "tokens", r->tokens);
        mm_json_pair_double(&w, "bits_per_byte", r->bits_per_byte); // null if not known
        mm_json_close(&w);
    } else {
        char took[16];
        mm_text_format(out, "loss %.4f  perplexity %.2f  ", r->loss, r->perplexity);
        if (r->text_bytes) mm_text_format(out, "bits per byte %.4f  ", r->bits_per_byte);
        mm_text_add_string(out, "over ");
        add_count(out, r->tokens, "token");
        mm_text_format(out, " in %s", mm_clock_print(r->seconds, took));
    }
    mm_text_add_string(out, "\n");
}

static mm_status run_eval(const args *given, mm_error *error) {
    mm_eval_request request;
    mm_eval_result result = {0};
    const char *data = args_text(given, "data");
    struct stat info;
    if (stat(data, &info)) return mm_trouble_errno(error, data, "open it (--data)");
    progress_expect("evaluating");
    mm_status status = read_request(given, stop_watch("stopping ...\n"), &request, error);
    if (!status)
        status = S_ISDIR(info.st_mode) ? mm_eval(&request, &result, error)
                                       : evaluate_text(&request, &result, error);
    progress_clear();
    if (status) return status;
    mm_text out = {0};
    result_text(&out, &result, args_flag(given, "json"));
    status = print_text(&out, error);
    mm_text_free(&out);
    if (status || isfinite(result.loss)) return status;
    return mm_fail(error, MM_NONFINITE,
                   "%s: its loss over %s is %g, expected a finite number; its weights are spoilt",
                   args_text(given, "model"), data, mm_told(result.loss));
}

const command cmd_eval = {
    .name = "eval",
    .summary = "Takes a model's loss over a dataset or a text",
    .options = options,
    .about = "Every token of the data but the first is a target once, in windows of --seq-len tokens: of "
             "each document its "
             "text and its eos, and its bos but for the first document's. Loss is the mean over the targets, "
             "in nats. With "
             "--packing document each document begins with its bos, and one that is longer than --seq-len "
             "tokens is cut, as "
             "in a run with that option. Bits per byte are the targets' losses together, in bits, over the "
             "bytes of the text "
             "that the dataset was packed from, so that models with different tokenizers compare; a dataset "
             "that does not "
             "know them has none (null), nor has one whose documents may be cut.",
    .examples = "mm eval --model runs/0001/model --data data/default/val\n"
                "mm eval --model runs/0001/model --data held-out.txt --json\n",
    .run = run_eval,
};
