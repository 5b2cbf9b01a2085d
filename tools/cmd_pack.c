// mm pack: text to a dataset directory.
#include "cmd.h"
#include "print.h"
#include "progress.h"
#include "stop.h"
#include "text_inputs.h"
#include <mm/data/pack.h>
#include <mm/files/json.h>

static const option_row options[] = {
    {.name = "tokenizer",
     .kind = OPTION_TEXT,
     .argument = "F",
     .help = "tokenizer.json, or a folder that holds one; it is copied into the dataset",
     .required = true},
    {.name = "out",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .argument = "DIR",
     .help = "dataset directory to make; nothing is overwritten",
     .required = true},
    {TEXT_SPLIT_OPTION},
    {TEXT_FIELD_OPTION},
    {TEXT_SKIP_BAD_OPTION},
    {.name = "val-share",
     .kind = OPTION_NUMBER,
     .argument = "X",
     .most = 0.999,
     .help = "put this last share of the documents into DIR/val, for the validation loss",
     .standard = "0"},
    {.name = "shard-tokens",
     .kind = OPTION_INTEGER,
     .argument = "N",
     .least = 1,
     .most = 4294967296.0,
     .help = "begin a new file after the document that reaches this many tokens",
     .standard = "268435456"},
    {.name = "no-special",
     .kind = OPTION_FLAG,
     .help = "added tokens such as <|im_end|> in the text are plain text (for text that is not trusted)"},
    {TEXT_WORKERS_OPTION},
    {.name = "json", .kind = OPTION_FLAG, .help = "write the counts as JSON"},
    {0},
};

static void show_packing(void *self, uint64_t done, uint64_t total, uint64_t documents, uint64_t tokens) {
    (void)self;
    if (!progress_due()) return;
    mm_text line = {0};
    mm_text_add_string(&line, "packing");
    if (total) mm_text_format(&line, "  %3.0f%%", 100 * (double)done / (double)total);
    mm_text_add_string(&line, "  ");
    add_count(&line, (int64_t)documents, "document");
    mm_text_add_string(&line, "  ");
    add_count(&line, (int64_t)tokens, "token");
    progress_show(&line, false);
    mm_text_free(&line);
}

static void result_json(mm_text *out, const mm_pack_result *r, const mm_text_source *source) {
    const char *first;
    mm_json_writer w = mm_json_writer_on(out, 0);
    mm_json_open_object(&w);
    mm_json_pair_integer(&w, "documents", (int64_t)r->documents);
    mm_json_pair_integer(&w, "tokens", (int64_t)r->tokens);
    mm_json_pair_integer(&w, "text_bytes", (int64_t)r->text_bytes);
    mm_json_pair_integer(&w, "val_documents", (int64_t)r->val_documents);
    mm_json_pair_integer(&w, "val_tokens", (int64_t)r->val_tokens);
    mm_json_pair_integer(&w, "val_text_bytes", (int64_t)r->val_text_bytes);
    mm_json_pair_integer(&w, "bad_lines", (int64_t)mm_text_bad(source, &first));
    mm_json_pair_integer(&w, "other_files", (int64_t)mm_text_others(source, &first));
    mm_json_pair_integer(&w, "repaired_documents", (int64_t)r->repaired);
    mm_json_close(&w);
    mm_text_add_string(out, "\n");
}

static void repaired_line(mm_text *out, uint64_t documents) {
    if (!documents) return;
    add_label(out, "repaired");
    add_count(out, (int64_t)documents, "document");
    mm_text_add_string(out, " with bytes that are not UTF-8, each broken character now U+FFFD\n");
}

static void part_line(mm_text *out, const char *label, uint64_t documents, uint64_t tokens, uint64_t bytes) {
    add_label(out, label);
    add_count(out, (int64_t)documents, "document");
    mm_text_add_string(out, ", ");
    add_count(out, (int64_t)tokens, "token");
    mm_text_add_string(out, " of ");
    add_bytes(out, (double)bytes);
    mm_text_add_string(out, "\n");
}

static void result_words(mm_text *out, const mm_pack_result *r, const mm_text_source *source,
                         const char *path, const char *program) {
    add_label(out, "packed");
    add_path(out, path);
    mm_text_add_string(out, "\n");
    part_line(out, "training", r->documents, r->tokens, r->text_bytes);
    if (r->val_documents) part_line(out, "val", r->val_documents, r->val_tokens, r->val_text_bytes);
    repaired_line(out, r->repaired);
    text_inputs_left_out(out, source);
    add_label(out, "next");
    add_word(out, program);
    mm_text_add_string(out, " train --data ");
    add_path_word(out, path);
    mm_text_add_string(out, "\n");
}

static mm_status run_pack(const args *given, mm_error *error) {
    mm_pack_options how = {.val_share = args_number(given, "val-share", 0),
                           .shard_tokens = (uint64_t)args_integer(given, "shard-tokens", 0),
                           .plain = args_flag(given, "no-special"),
                           .workers = (int)args_integer(given, "workers", 0),
                           .stop = stop_watch("stopping ...\n"),
                           .progress = show_packing};
    progress_expect("packing");
    mm_tokenizer *tokenizer = NULL;
    mm_text_source *source = NULL;
    mm_pack_result result;
    mm_status status = mm_tokenizer_open(args_text(given, "tokenizer"), &tokenizer, error);
    if (!status) status = text_inputs_open(given, how.stop, &source, error);
    if (!status) status = mm_pack(args_text(given, "out"), source, tokenizer, &how, &result, error);
    mm_tokenizer_close(tokenizer);
    progress_clear();
    mm_text out = {0};
    if (!status && args_flag(given, "json"))
        result_json(&out, &result, source);
    else if (!status)
        result_words(&out, &result, source, args_text(given, "out"), given->program);
    mm_text_close(source);
    if (!status) status = print_text(&out, error);
    mm_text_free(&out);
    return status;
}

const command cmd_pack = {
    .name = "pack",
    .summary = "Packs text into a dataset directory of compressed tokens",
    .operands = "INPUT...",
    .least = 1,
    .most = -1,
    .options = options,
    .about = TEXT_INPUTS_WORDS,
    .examples = "mm pack --tokenizer tokenizer.json --out data/mine text/*.txt\n"
                "mm pack --tokenizer tokenizer.json --out data/mine --val-share 0.01 docs.jsonl.gz\n"
                "mm pack --tokenizer tokenizer.json --out data/quotes --split % quotes.txt\n",
    .run = run_pack,
};
