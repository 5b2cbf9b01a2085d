// mm export: a model for others' programs.
#include "cmd.h"
#include "print.h"
#include "progress.h"
#include "stop.h"
#include <mm/files/json.h>
#include <mm/run/export.h>
#include <string.h>

static const option_row options[] = {
    {.name = "out",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .argument = "DIR",
     .help = "model directory to make; nothing is overwritten",
     .required = true},
    {.name = "dtype",
     .kind = OPTION_TEXT,
     .argument = "f32|bf16|f16",
     .help =
         "type of the weights; bf16 reaches as far as f32 with 8 bits of precision, f16 up to 65504 with 11",
     .standard = "f32"},
    {.name = "json",
     .kind = OPTION_FLAG,
     .help = "write {\"path\", \"dtype\", \"tensors\", \"parameters\", \"bytes\"}"},
    {0},
};

static mm_status type_named(const char *name, mm_type *type, mm_error *error) {
    static const struct {
        const char *name;
        mm_type type;
    } types[] = {{"f32", MM_F32}, {"bf16", MM_BF16}, {"f16", MM_F16}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        *type = types[i].type;
        if (strcmp(name, types[i].name) == 0) return MM_OK;
    }
    return mm_trouble(error, "--dtype %s: expected f32, bf16 or f16", name);
}

static void show_exporting(void *self, uint64_t done, uint64_t total) {
    (void)self;
    progress_share("exporting", total ? (double)done / (double)total : -1);
}

static void result_json(mm_text *out, const char *path, const char *dtype, const mm_export_result *r) {
    mm_json_writer w = mm_json_writer_on(out, 0);
    mm_json_open_object(&w);
    mm_json_pair_string(&w, "path", path);
    mm_json_pair_string(&w, "dtype", dtype);
    mm_json_pair_integer(&w, "tensors", r->tensors);
    mm_json_pair_integer(&w, "parameters", r->numbers);
    mm_json_pair_integer(&w, "bytes", (int64_t)r->bytes);
    mm_json_close(&w);
    mm_text_add_string(out, "\n");
}

static void result_words(mm_text *out, const char *path, const char *dtype, const mm_export_result *r) {
    add_label(out, "exported");
    add_path(out, path);
    mm_text_add_string(out, "\n");
    add_label(out, "weights");
    add_count(out, r->tensors, "tensor");
    mm_text_add_string(out, ", ");
    add_count(out, r->numbers, "parameter");
    mm_text_format(out, ", %s, ", dtype);
    add_bytes(out, (double)r->bytes);
    mm_text_add_string(out, "\n");
}

static mm_status run_export(const args *given, mm_error *error) {
    const char *path = args_text(given, "out"), *dtype = args_text(given, "dtype");
    if (!dtype) dtype = "f32";
    mm_export_request request = {.model_path = given->operands[0],
                                 .out = path,
                                 .stop = stop_watch("stopping ...\n"),
                                 .progress = show_exporting};
    mm_export_result result;
    mm_status status = type_named(dtype, &request.type, error);
    if (status) return status;
    progress_expect("exporting");
    status = mm_export(&request, &result, error);
    progress_clear();
    if (status) return status;
    mm_text out = {0};
    if (args_flag(given, "json"))
        result_json(&out, path, dtype, &result);
    else
        result_words(&out, path, dtype, &result);
    status = print_text(&out, error);
    mm_text_free(&out);
    return status;
}

const command cmd_export = {
    .name = "export",
    .summary = "Writes a model for other programs, in the type they want",
    .operands = "MODEL",
    .least = 1,
    .most = 1,
    .options = options,
    .about =
        "MODEL is a model directory, a checkpoint, or a run, of which the newest checkpoint is taken. The "
        "new directory opens in transformers (AutoModelForCausalLM, AutoTokenizer): config.json, "
        "model.safetensors, generation_config.json and the tokenizer. Weights are rounded to the nearest, "
        "ties to even.",
    .examples = "mm export --dtype bf16 --out export/bf16 runs/0001\n"
                "mm export --out export/model runs/0001/checkpoints/step-000300\n",
    .run = run_export,
};
