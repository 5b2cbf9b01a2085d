// mm tokenizer: train, encode, decode, show.
#include "cmd.h"
#include "print.h"
#include "progress.h"
#include "stop.h"
#include "text_inputs.h"
#include "tokenizer_show.h"
#include <errno.h>
#include <limits.h>
#include <mm/data/tokenizer.h>
#include <mm/data/tokenizer_train.h>
#include <mm/files/json.h>
#include <mm/files/publish.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TOKENIZER_OPTION                                                                                     \
    .name = "tokenizer", .letter = 't', .kind = OPTION_TEXT, .argument = "F",                                \
    .help = "tokenizer.json, or a folder that holds one", .required = true

// --- train

static const option_row train_options[] = {
    {.name = "vocab-size",
     .kind = OPTION_INTEGER,
     .argument = "N",
     .least = 259,
     .most = 1000000,
     .help = "entries of the vocabulary: 3 special tokens, 256 bytes, the rest merges",
     .required = true},
    {.name = "out",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .argument = "F",
     .help = "tokenizer.json to write; nothing is overwritten",
     .required = true},
    {TEXT_SPLIT_OPTION},
    {TEXT_FIELD_OPTION},
    {TEXT_SKIP_BAD_OPTION},
    {TEXT_WORKERS_OPTION},
    {0},
};

static void show_counting(void *self, uint64_t done, uint64_t total) {
    (void)self;
    progress_share("counting words", total ? (double)done / (double)total : -1);
}

static mm_status count_words(const args *given, mm_tokenizer_trainer *trainer, mm_text_source *source,
                             const volatile sig_atomic_t *stop, mm_error *error) {
    uint64_t bytes;
    mm_status status = mm_tokenizer_trainer_read(trainer, source, (int)args_integer(given, "workers", 0),
                                                 stop, &bytes, show_counting, NULL, error);
    if (!status && !bytes)
        return mm_trouble(error, "%s: no text, expected some to train on", mm_text_name(source));
    return status;
}

static void show_merging(void *self, long done, long wanted) {
    (void)self;
    progress_share("merging pairs", wanted ? (double)done / (double)wanted : -1);
}

// The place of the result, taken before the work. *draft NULL: it is an empty file that is replaced, as
// mktemp makes one.
static mm_status open_out(const char *path, mm_draft **draft, mm_error *error) {
    struct stat info;
    *draft = NULL;
    if (!lstat(path, &info)) {
        if (S_ISREG(info.st_mode) && info.st_size == 0) return MM_OK;
        return mm_trouble(
            error, "--out %s: already there, expected a new file; choose another name, or move it away",
            path);
    }
    mm_status status = mm_make_parent(path, error);
    return status ? status : mm_draft_begin_swept(path, draft, error);
}

// Takes the draft.
static mm_status write_out(const char *path, mm_draft *draft, const mm_text *json, mm_error *error) {
    char inside[PATH_MAX];
    if (!draft) return mm_publish_file(path, json->data, json->size, error);
    mm_status status = mm_path_join(inside, sizeof inside, mm_draft_path(draft), "tokenizer.json", error);
    mm_error found = {0};
    if (!status && mm_publish_file(inside, json->data, json->size, &found) != MM_OK) {
        size_t draft_name = strncmp(found.text, inside, strlen(inside)) ? 0 : strlen(inside);
        status = mm_trouble(error, draft_name ? "--out %s%s" : "--out %s: %s", path, found.text + draft_name);
    }
    if (!status) return mm_draft_commit_file(draft, "tokenizer.json", error);
    mm_draft_abandon(draft);
    return status;
}

static mm_status train_tokenizer(const args *given, mm_tokenizer_trainer *trainer, mm_text_source *source,
                                 const volatile sig_atomic_t *stop, mm_error *error) {
    mm_draft *draft;
    mm_text json = {0};
    mm_status status = open_out(args_text(given, "out"), &draft, error);
    if (status) return status;
    status = count_words(given, trainer, source, stop, error);
    if (!status)
        status = mm_tokenizer_trainer_finish(trainer, (int)args_integer(given, "vocab-size", 0), &json, stop,
                                             show_merging, NULL, error);
    if (!status)
        status = write_out(args_text(given, "out"), draft, &json, error);
    else
        mm_draft_abandon(draft);
    mm_text_free(&json);
    return status;
}

static mm_status run_train(const args *given, mm_error *error) {
    const volatile sig_atomic_t *stop = stop_watch("stopping ...\n");
    progress_expect("counting words");
    mm_text_source *source = NULL;
    mm_tokenizer_trainer *trainer = NULL;
    mm_status status = text_inputs_open(given, stop, &source, error);
    if (!status) status = mm_tokenizer_trainer_new(&trainer, error);
    if (!status) status = train_tokenizer(given, trainer, source, stop, error);
    mm_tokenizer_trainer_free(trainer);
    progress_clear();
    mm_text out = {0};
    add_label(&out, "tokenizer");
    add_path(&out, args_text(given, "out"));
    mm_text_add_string(&out, ": ");
    mm_text_add_grouped(&out, args_integer(given, "vocab-size", 0));
    mm_text_add_string(&out, " entries\n");
    if (source) text_inputs_left_out(&out, source);
    add_label(&out, "next");
    add_word(&out, given->program);
    mm_text_add_string(&out, " pack --tokenizer ");
    add_path_word(&out, args_text(given, "out"));
    mm_text_add_string(&out, " --out DIR INPUT...\n");
    mm_text_close(source);
    if (!status) status = print_text(&out, error);
    mm_text_free(&out);
    return status;
}

const command cmd_tokenizer_train = {
    .name = "tokenizer train",
    .summary = "Trains a byte-level BPE tokenizer on text",
    .operands = "INPUT...",
    .least = 1,
    .most = -1,
    .options = train_options,
    .about = TEXT_INPUTS_WORDS " The result is a tokenizer.json as Hugging Face's library reads it.",
    .examples = "mm tokenizer train --vocab-size 6400 --out tokenizer.json text/*.txt\n",
    .run = run_train,
};

// --- encode and decode

static const option_row encode_options[] = {
    {TOKENIZER_OPTION},
    {.name = "no-special",
     .kind = OPTION_FLAG,
     .help = "added tokens such as <|im_end|> in the text are plain text (for text that is not trusted)"},
    {0},
};

static const option_row decode_options[] = {
    {TOKENIZER_OPTION},
    {.name = "skip-special", .kind = OPTION_FLAG, .help = "leave special tokens out of the text"},
    {0},
};

// What both do with each line of standard input (without its newline): appends to `out`.
typedef struct line_work {
    mm_status (*line)(void *self, const char *text, size_t size, mm_text *out, mm_error *error);
    void *self;
} line_work;

static mm_status each_line(const line_work *work, mm_error *error) {
    char *line = NULL;
    size_t capacity = 0;
    mm_text out = {0};
    mm_status status = MM_OK;
    for (unsigned long long number = 1; !status; number++) {
        errno = 0;
        ssize_t size = getline(&line, &capacity, stdin);
        if (size < 0) {
            if (ferror(stdin) || errno) status = mm_trouble_errno(error, "standard input", "read it");
            break;
        }
        if (line[size - 1] == '\n') size--;
        mm_text_clear(&out);
        mm_error own = {0};
        status = work->line(work->self, line, (size_t)size, &out, &own);
        if (status) mm_fail(error, status, "standard input, line %llu: %s", number, own.text);
        mm_text_add_string(&out, "\n");
        if (!status) status = print_text(&out, error);
    }
    free(line);
    mm_text_free(&out);
    return status;
}

typedef struct encoding {
    mm_encoder *encoder;
    bool plain;
    mm_ids ids;
} encoding;

static mm_status encode_line(void *self, const char *text, size_t size, mm_text *out, mm_error *error) {
    encoding *e = self;
    e->ids.size = 0;
    mm_status status = mm_encode(e->encoder, text, size, e->plain, &e->ids, error);
    for (size_t i = 0; !status && i < e->ids.size; i++) {
        char digits[16];
        int length = snprintf(digits, sizeof digits, "%s%d", i ? " " : "", (int)e->ids.data[i]);
        mm_text_add(out, digits, (size_t)length);
    }
    return status;
}

static mm_status run_encode(const args *given, mm_error *error) {
    mm_tokenizer *tokenizer = NULL;
    encoding e = {.plain = args_flag(given, "no-special")};
    mm_status status = mm_tokenizer_open(args_text(given, "tokenizer"), &tokenizer, error);
    if (!status) status = mm_encoder_new(tokenizer, &e.encoder, error);
    if (!status) status = each_line(&(line_work){encode_line, &e}, error);
    mm_ids_free(&e.ids);
    mm_encoder_free(e.encoder);
    mm_tokenizer_close(tokenizer);
    return status;
}

const command cmd_tokenizer_encode = {
    .name = "tokenizer encode",
    .summary = "Writes the token ids of each line of standard input",
    .options = encode_options,
    .about =
        "One line of ids, separated by a space, for each line of input; the newline itself is not encoded.",
    .examples = "echo 'To be, or not to be' | mm tokenizer encode --tokenizer tokenizer.json\n",
    .run = run_encode,
};

typedef struct decoding {
    const mm_tokenizer *tokenizer;
    bool skip;
    mm_ids ids;
} decoding;

// One id at *at; *at goes behind it.
static mm_status read_id(const char **at, const char *end, int32_t *id, mm_error *error) {
    const char *start = *at;
    int64_t value = 0;
    while (*at < end && **at >= '0' && **at <= '9' && value <= INT32_MAX)
        value = 10 * value + (*(*at)++ - '0');
    bool ended = *at == end || **at == ' ' || **at == '\t' || **at == '\r';
    if (*at == start || !ended || value > INT32_MAX) {
        int length = (int)strcspn(start, " \t\r\n");
        return mm_trouble(error, "found \"%.*s\", expected ids separated by spaces",
                          length < 40 ? length : 40, start);
    }
    *id = (int32_t)value;
    return MM_OK;
}

static mm_status decode_line(void *self, const char *text, size_t size, mm_text *out, mm_error *error) {
    decoding *d = self;
    d->ids.size = 0;
    const char *at = text, *end = text + size;
    for (;;) {
        while (at < end && (*at == ' ' || *at == '\t' || *at == '\r')) at++;
        if (at == end) break;
        int32_t id = 0;
        mm_status status = read_id(&at, end, &id, error);
        if (!status) status = mm_ids_add(&d->ids, &id, 1, error);
        if (status) return status;
    }
    return mm_decode(d->tokenizer, d->ids.data, d->ids.size, d->skip, out, error);
}

static mm_status run_decode(const args *given, mm_error *error) {
    mm_tokenizer *tokenizer = NULL;
    mm_status status = mm_tokenizer_open(args_text(given, "tokenizer"), &tokenizer, error);
    decoding d = {.tokenizer = tokenizer, .skip = args_flag(given, "skip-special")};
    if (!status) status = each_line(&(line_work){decode_line, &d}, error);
    mm_ids_free(&d.ids);
    mm_tokenizer_close(tokenizer);
    return status;
}

const command cmd_tokenizer_decode = {
    .name = "tokenizer decode",
    .summary = "Writes the text of each line of token ids on standard input",
    .options = decode_options,
    .examples = "echo 52 324 18 | mm tokenizer decode --tokenizer tokenizer.json\n",
    .run = run_decode,
};

// --- show

static const option_row show_options[] = {
    {TOKENIZER_OPTION},
    {.name = "tokens", .kind = OPTION_FLAG, .help = "list every token: id, a tab, its text as a JSON string"},
    {.name = "json", .kind = OPTION_FLAG, .help = "write the summary as JSON"},
    {0},
};

static void list_tokens(mm_text *out, const mm_tokenizer *t) {
    mm_json_writer w = mm_json_writer_on(out, 0);
    for (int32_t id = 0; id < mm_tokenizer_vocab(t); id++) {
        size_t size;
        const char *bytes = mm_tokenizer_bytes(t, id, &size);
        mm_text_format(out, "%d\t", (int)id);
        if (bytes) mm_json_put_string_n(&w, bytes, size);
        mm_text_add_string(out, "\n");
    }
}

static mm_status run_show(const args *given, mm_error *error) {
    mm_tokenizer *tokenizer;
    if (args_flag(given, "tokens") && args_flag(given, "json"))
        return mm_trouble(error,
                          "--tokens and --json: expected one of them; --tokens writes each token's text as "
                          "JSON");
    mm_status status = mm_tokenizer_open(args_text(given, "tokenizer"), &tokenizer, error);
    if (status) return status;
    mm_text out = {0};
    if (args_flag(given, "tokens"))
        list_tokens(&out, tokenizer);
    else if (args_flag(given, "json"))
        tokenizer_json(&out, tokenizer);
    else
        tokenizer_words(&out, tokenizer, args_text(given, "tokenizer"));
    status = print_text(&out, error);
    mm_text_free(&out);
    mm_tokenizer_close(tokenizer);
    return status;
}

const command cmd_tokenizer_show = {
    .name = "tokenizer show",
    .summary = "Says what a tokenizer holds",
    .options = show_options,
    .examples = "mm tokenizer show --tokenizer tokenizer.json\n",
    .run = run_show,
};
