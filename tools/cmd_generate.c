// mm generate: a model goes on with a text.
#include "cmd.h"
#include "print.h"
#include "progress.h"
#include "stop.h"
#include <mm/base/par.h>
#include <mm/files/json.h>
#include <mm/run/generate.h>
#include <stdio.h>
#include <unistd.h>

enum { PROMPT_LIMIT = 1 << 26 };

static const option_row options[] = {
    {.name = "model",
     .letter = 'm',
     .kind = OPTION_TEXT,
     .argument = "DIR",
     .help = "model directory: config.json, model.safetensors and tokenizer.json, as a run's `model` is",
     .required = true},
    {.name = "prompt",
     .letter = 'p',
     .kind = OPTION_TEXT,
     .argument = "TEXT",
     .help = "what to go on with; special tokens in it are recognised, none is added",
     .standard = "standard input, without its last newline",
     .may_be_empty = true},
    {.name = "max-tokens",
     .letter = 'n',
     .kind = OPTION_INTEGER,
     .argument = "N",
     .least = 1,
     .most = 1 << 30,
     .help = "tokens to make at most, where the model does not end before",
     .standard = "max_new_tokens of generation_config.json, or 256"},
    {.name = "temperature",
     .kind = OPTION_NUMBER,
     .argument = "T",
     .help = "what logits are divided by, first; 0 always takes the likeliest token",
     .standard = "generation_config.json's, or 0.8",
     .group = "Choice of the next token"},
    {.name = "top-k",
     .kind = OPTION_INTEGER,
     .argument = "K",
     .most = 1 << 30,
     .help = "then keep the K likeliest, 0: all",
     .standard = "generation_config.json's, or 40"},
    {.name = "top-p",
     .kind = OPTION_NUMBER,
     .argument = "P",
     .most = 1,
     .help = "then keep the fewest whose probabilities reach P, 1: all",
     .standard = "generation_config.json's, or 0.95"},
    {.name = "repetition-penalty",
     .kind = OPTION_NUMBER,
     .argument = "R",
     .least = MM_PENALTY_LEAST,
     .most = MM_PENALTY_MOST,
     .help = "before all of these: what makes tokens that are there already less likely, above 1",
     .standard = "generation_config.json's, or 1"},
    {.name = "seed",
     .kind = OPTION_SETTING,
     .argument = "N",
     .help = "the same seed gives the same text on every machine",
     .standard = "1337"},
    {.name = "workers",
     .kind = OPTION_INTEGER,
     .argument = "W",
     .least = 1,
     .most = 1024,
     .help = "threads that do the work; they never change the text",
     .standard = "usable cores",
     .group = "The rest"},
    {.name = "json",
     .kind = OPTION_FLAG,
     .help =
         "write {\"prompt\", \"text\", \"ids\"} at the end: text is what was made, ids are the prompt's too"},
    {0},
};

static bool both_terminals(void) {
    return isatty(STDOUT_FILENO) && isatty(STDERR_FILENO);
}

// Standard input, without its last newline.
static mm_status read_prompt(mm_text *prompt, mm_error *error) {
    if (isatty(STDIN_FILENO)) fprintf(stderr, "reading the prompt from the terminal; Ctrl-D ends it\n");
    char block[65536];
    for (size_t got; (got = fread(block, 1, sizeof block, stdin)) > 0;) {
        mm_text_add(prompt, block, got);
        if (prompt->size > PROMPT_LIMIT)
            return mm_trouble(error, "standard input: more than %d bytes, expected a prompt", PROMPT_LIMIT);
    }
    if (ferror(stdin)) return mm_trouble_errno(error, "standard input", "read it");
    if (prompt->failed) return mm_trouble(error, "standard input: out of memory for the prompt");
    if (prompt->size && prompt->data[prompt->size - 1] == '\n') prompt->size--;
    return MM_OK;
}

// Text as it is made; a newline follows the whole. The prompt stands before it for people to see, but is no
// result.
typedef struct writer {
    const mm_text *prompt;
    bool begun;
} writer;

static mm_status write_text(void *self, const char *text, size_t size, mm_error *error) {
    writer *w = self;
    if (!w->begun) {
        progress_clear();
        if (both_terminals()) {
            fputs(progress_quiet(), stderr);
            print_shown(stderr, w->prompt->data, w->prompt->size);
            fputs(progress_plain(), stderr);
            fflush(stderr);
        }
    }
    w->begun = true;
    mm_status status = print_bytes(text, size, error);
    return status ? status : print_flush(error);
}

// JSON waits for the end; till then something moves.
static mm_status show_generating(void *self, const char *text, size_t size, mm_error *error) {
    (void)self, (void)text, (void)size, (void)error;
    progress_share("generating", -1);
    return MM_OK;
}

static mm_status write_json(const mm_text *prompt, const mm_generate_result *r, mm_error *error) {
    mm_text out = {0};
    mm_json_writer w = mm_json_writer_on(&out, 0);
    mm_json_open_object(&w);
    mm_json_put_key(&w, "prompt");
    mm_json_put_string_n(&w, prompt->data ? prompt->data : "", prompt->size);
    mm_json_put_key(&w, "text");
    mm_json_put_string_n(&w, r->text.data ? r->text.data : "", r->text.size);
    mm_json_put_key(&w, "ids");
    mm_json_open_array(&w);
    for (size_t i = 0; i < r->ids.size; i++) mm_json_put_integer(&w, r->ids.data[i]);
    mm_json_close(&w);
    mm_json_close(&w);
    mm_text_add_string(&out, "\n");
    mm_status status = print_text(&out, error);
    mm_text_free(&out);
    return status;
}

// How much, how fast, and why it ended.
static void summary(const mm_generate_result *r) {
    size_t made = r->ids.size - r->prompt_ids;
    mm_text line = {0};
    mm_text_add_string(&line, progress_quiet());
    add_count(&line, (int64_t)r->prompt_ids, "token");
    mm_text_format(&line, " of prompt in %.2f s; ", r->prompt_seconds);
    add_count(&line, (int64_t)made, "token");
    mm_text_add_string(&line, " made");
    if (made > 1 && r->seconds > 0) mm_text_format(&line, ", %.1f tok/s", (double)(made - 1) / r->seconds);
    if (r->end == MM_END_EOS) mm_text_add_string(&line, "; the model ended the document");
    if (r->end == MM_END_TOKENS) mm_text_add_string(&line, "; --max-tokens ended it");
    if (r->end == MM_END_POSITIONS)
        mm_text_format(&line, "; the model's %lld positions are full (max_position_embeddings)",
                       (long long)r->positions);
    mm_text_add_string(&line, progress_plain());
    progress_show(&line, true);
    mm_text_free(&line);
}

// What was given; else what the model says; else the defaults.
static mm_status choose(const args *given, mm_sampling *sampling, int64_t *max_tokens, mm_error *error) {
    mm_settings settings;
    bool set[MM_SETTINGS_FIELDS];
    *sampling = (mm_sampling){.temperature = args_number(given, "temperature", -1),
                              .top_k = args_integer(given, "top-k", -1),
                              .top_p = args_number(given, "top-p", -1),
                              .repetition_penalty = args_number(given, "repetition-penalty", -1),
                              .seed = mm_sampling_default().seed};
    *max_tokens = args_integer(given, "max-tokens", 0);
    mm_status status = args_settings(given, &settings, set, error);
    bool seeded = !status && set[mm_settings_field("seed") - mm_settings_fields];
    if (seeded) sampling->seed = settings.seed;
    mm_settings_free(&settings);
    if (status) return status;
    bool drawn = seeded || sampling->top_k >= 0 || sampling->top_p >= 0;
    return mm_sampling_complete(args_text(given, "model"), drawn, sampling, max_tokens, error);
}

static mm_status generate(const args *given, const mm_text *prompt, mm_generate_result *result,
                          mm_error *error) {
    mm_sampling sampling;
    int64_t max_tokens;
    mm_status status = choose(given, &sampling, &max_tokens, error);
    if (status) return status;
    bool json = args_flag(given, "json");
    writer w = {.prompt = prompt};
    mm_generate_request request = {.model_path = args_text(given, "model"),
                                   .prompt = prompt->data ? prompt->data : "",
                                   .prompt_size = prompt->size,
                                   .max_tokens = max_tokens,
                                   .sampling = sampling,
                                   .workers = (int)args_integer(given, "workers", mm_par_cores()),
                                   .stop = stop_watch("stopping\n"),
                                   .write = json ? show_generating : write_text,
                                   .self = &w};
    signal(SIGPIPE, SIG_DFL); // a reader who has enough, as head(1), ends it
    status = mm_generate(&request, result, error);
    progress_clear();
    if (!json && result->prompt_ids && (!status || w.begun)) {
        fputs("\n", stdout);
        fflush(stdout);
    }
    return status;
}

static mm_status run_generate(const args *given, mm_error *error) {
    mm_text prompt = {0};
    mm_generate_result result = {0};
    const char *text = args_text(given, "prompt");
    mm_status status = MM_OK;
    if (text)
        mm_text_add_string(&prompt, text);
    else
        status = read_prompt(&prompt, error);
    progress_expect("reading the model");
    if (!status) status = generate(given, &prompt, &result, error);
    bool made = !status || status == MM_INTERRUPTED ||
                (status == MM_NONFINITE && result.ids.size > result.prompt_ids);
    if (made && args_flag(given, "json")) {
        mm_status written = write_json(&prompt, &result, status ? NULL : error);
        if (!status) status = written;
    }
    if (!status) summary(&result);
    mm_generate_result_free(&result);
    mm_text_free(&prompt);
    return status;
}

const command cmd_generate = {
    .name = "generate",
    .summary = "Goes on with a text",
    .options = options,
    .about =
        "Writes the text to standard output as it is made, without the prompt. The model ends it with its "
        "eos "
        "token, or --max-tokens does, or the model's last position; Ctrl-C keeps what has been made. Equal "
        "likelihoods count as falling with the token's number. A prompt that begins a document as in "
        "training "
        "begins with the bos token, as '<|im_start|>'.",
    .examples = "mm generate --model runs/0001/model --prompt 'The secret of'\n"
                "mm generate --model runs/0001/model --temperature 0 --max-tokens 40 --json <prompt.txt\n",
    .run = run_generate,
};
