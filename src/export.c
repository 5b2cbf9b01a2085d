// mm export: a model directory in another type.
#include "tokenizers.h"
#include "weights.h"
#include <limits.h>
#include <math.h>
#include <mm/base/half.h>
#include <mm/data/tokenizer.h>
#include <mm/files/json.h>
#include <mm/files/publish.h>
#include <mm/model/config.h>
#include <mm/record/checkpoint.h>
#include <mm/run/export.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 18, COPY_LIMIT = 256 << 20 }; // numbers at a time; bytes of a file that is copied

typedef struct exporting {
    const mm_export_request *request;
    mm_export_result *result;
    char model[PATH_MAX];
    mm_config config;
    mm_parameters parameters;
    mm_tensor_files *files;
    mm_draft *draft;
    mm_safetensors_writer *writer;
    float *numbers;   // PIECE
    uint16_t *halves; // PIECE
    uint64_t done;
} exporting;

// --- the model

static bool holds(const char *folder, const char *name) {
    char path[PATH_MAX];
    return !mm_path_join(path, sizeof path, folder, name, NULL) && mm_is_file(path);
}

// A run stands for its newest checkpoint.
static mm_status find_model(exporting *e, mm_error *error) {
    const char *given = e->request->model_path;
    if (!mm_is_folder(given))
        return mm_trouble(error, "%s: no such folder, expected that of a model, checkpoint or run", given);
    bool run = holds(given, "run.json") && !holds(given, "config.json");
    mm_status status = MM_OK;
    if (run)
        status = mm_path_join(e->model, sizeof e->model, given, "model", error);
    else if ((size_t)snprintf(e->model, sizeof e->model, "%s", given) >= sizeof e->model)
        status = mm_trouble(error, "%.200s...: the path is too long", given);
    if (!status && run && !holds(e->model, "config.json"))
        status = mm_trouble(
            error, "%s: the run has no checkpoint yet, expected one; --resume goes on with it", given);
    return status;
}

static mm_status open_model(exporting *e, mm_error *error) {
    mm_status status = find_model(e, error);
    if (!status) status = mm_config_read(e->model, &e->config, error);
    if (!status) status = mm_checkpoint_check_weights(e->model, error);
    if (!status) status = mm_parameters_make(&e->parameters, &e->config, error);
    if (!status) status = mm_weights_open(&e->parameters, e->model, &e->files, error);
    return status;
}

// --- the weights

static mm_status out_of_reach(const exporting *e, const mm_tensor *tensor, float number, mm_error *error) {
    if (!isfinite(number))
        return mm_fail(error, MM_NONFINITE,
                       "%s: tensor %s: found %g, expected finite numbers; its weights are spoilt", e->model,
                       tensor->name, (double)number);
    bool f16 = e->request->type == MM_F16;
    return mm_trouble(
        error, "%s: tensor %s: found %g, expected at most %s, which is as far as %s reaches; use --dtype %s",
        e->model, tensor->name, (double)number, f16 ? "65504" : "3.39e38", f16 ? "f16" : "bf16",
        f16 ? "bf16" : "f32");
}

static mm_status write_piece(exporting *e, const mm_tensor *tensor, size_t count, mm_error *error) {
    mm_type type = e->request->type;
    const void *data = type == MM_F32 ? (const void *)e->numbers : e->halves;
    for (size_t i = 0; i < count; i++) {
        float number = e->numbers[i], held = number;
        if (type == MM_F16) held = mm_from_f16(e->halves[i] = mm_to_f16(number));
        if (type == MM_BF16) held = mm_from_bf16(e->halves[i] = mm_to_bf16(number));
        if (!isfinite(held)) return out_of_reach(e, tensor, number, error);
    }
    size_t bytes = count * mm_type_bytes(type);
    e->done += bytes;
    return mm_safetensors_add(e->writer, data, bytes, error);
}

static mm_status write_tensor(exporting *e, const mm_tensor *tensor, mm_error *error) {
    const mm_export_request *r = e->request;
    mm_tensor_place place;
    mm_status status = mm_tensor_files_need(e->files, tensor, &place, error);
    uint64_t count = (uint64_t)mm_tensor_count(tensor);
    for (uint64_t at = 0; !status && at < count; at += PIECE) {
        size_t part = count - at < PIECE ? (size_t)(count - at) : (size_t)PIECE;
        if (r->stop && *r->stop)
            return mm_fail(error, MM_INTERRUPTED, "stopped while exporting; nothing was kept");
        if (r->progress) r->progress(r->self, e->done, e->result->bytes);
        status = mm_safetensors_read_part(place.file, place.entry, at, part, e->numbers, error);
        if (!status) status = write_piece(e, tensor, part, error);
    }
    return status;
}

static mm_status write_weights(exporting *e, mm_error *error) {
    char path[PATH_MAX];
    const mm_parameters *p = &e->parameters;
    mm_tensor *tensors = malloc((size_t)p->count * sizeof *tensors);
    e->numbers = malloc(PIECE * sizeof *e->numbers);
    e->halves = malloc(PIECE * sizeof *e->halves);
    if (!tensors || !e->numbers || !e->halves) {
        free(tensors);
        return mm_trouble(error, "%s: out of memory", e->model);
    }
    for (int i = 0; i < p->count; i++) {
        tensors[i] = p->tensors[i];
        tensors[i].type = e->request->type;
        e->result->bytes += mm_tensor_bytes(&tensors[i]);
    }
    mm_status status = mm_path_join(path, sizeof path, mm_draft_path(e->draft), "model.safetensors", error);
    if (!status) status = mm_safetensors_begin(path, tensors, p->count, &e->writer, error);
    for (int i = 0; !status && i < p->count; i++) status = write_tensor(e, &tensors[i], error);
    free(tensors);
    if (status) return status;
    mm_safetensors_writer *writer = e->writer;
    e->writer = NULL;
    return mm_safetensors_end(writer, error);
}

// --- what stands beside them

static mm_status write_text(const exporting *e, const char *name, mm_text *text, mm_error *error) {
    char path[PATH_MAX];
    mm_status status = mm_path_join(path, sizeof path, mm_draft_path(e->draft), name, error);
    if (!status && text->failed) status = mm_trouble(error, "%s: out of memory", path);
    if (!status) status = mm_publish_file(path, text->data, text->size, error);
    mm_text_free(text);
    return status;
}

static mm_status check_object(const char *path, const mm_text *text, mm_error *error) {
    mm_json_document *document;
    mm_status status = mm_json_parse(text->data, text->size, path, &document, error);
    if (status) return status;
    mm_json_kind kind = mm_json_kind_of(mm_json_root(document));
    mm_json_free(document);
    if (kind == MM_JSON_OBJECT) return MM_OK;
    return mm_trouble(error, "%s: found %s, expected an object; restore the file or move it away", path,
                      mm_json_kind_name(kind));
}

// Of a tokenizer that mm does not read nothing is known. Special tokens of a fine-tuned model may stand
// beyond the vocabulary.
static mm_status check_vocab(const exporting *e, const char *path, const mm_text *text, mm_error *error) {
    mm_tokenizer *tokenizer;
    mm_error unread;
    if (mm_tokenizer_parse(text->data, text->size, path, &tokenizer, &unread)) return MM_OK;
    size_t size;
    int id = e->config.vocab, ids = mm_tokenizer_vocab(tokenizer);
    while (id < ids && (!mm_tokenizer_bytes(tokenizer, id, &size) || mm_tokenizer_is_special(tokenizer, id)))
        id++;
    mm_tokenizer_close(tokenizer);
    if (id >= ids) return MM_OK;
    return mm_trouble(
        error,
        "%s has the id %d, config.json beside it a vocabulary of %d; they do not belong together, "
        "take the model's own tokenizer.json",
        path, id, e->config.vocab);
}

static mm_status copy_if_there(const exporting *e, const char *name, mm_error *error) {
    char path[PATH_MAX];
    mm_text text = {0};
    size_t size;
    mm_status status = mm_path_join(path, sizeof path, e->model, name, error);
    if (status || !mm_is_file(path)) return status;
    status = mm_read_file(path, COPY_LIMIT, &text.data, &size, error);
    if (status) return status;
    text.size = size;
    bool tokenizer = strcmp(name, "tokenizer.json") == 0;
    // Other files are others' matter.
    if (tokenizer || strcmp(name, "tokenizer_config.json") == 0) status = check_object(path, &text, error);
    if (!status && tokenizer) status = check_vocab(e, path, &text, error);
    if (!status) return write_text(e, name, &text, error);
    mm_text_free(&text);
    return status;
}

static mm_status write_tokenizer_config(const exporting *e, const mm_tokenizer *tokenizer, mm_error *error) {
    mm_text text = {0};
    const mm_config *c = &e->config;
    const mm_text none = {0}; // it is copied as it is
    mm_tokenizers_config(tokenizer, c->bos, c->eos_count ? c->eos[0] : -1, c, &none, &text);
    return write_text(e, "tokenizer_config.json", &text, error);
}

// With what stands beside tokenizer.json; where it is alone it gets the one file that others need.
static mm_status write_tokenizer(exporting *e, mm_error *error) {
    static const char *const names[] = {"tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "vocab.json",
                                        "merges.txt",
                                        "tokenizer.model",
                                        "chat_template.jinja",
                                        "chat_template.json"};
    mm_status status = MM_OK;
    for (size_t i = 0; !status && i < sizeof names / sizeof *names; i++)
        status = copy_if_there(e, names[i], error);
    if (status || !holds(e->model, "tokenizer.json") || holds(e->model, "tokenizer_config.json"))
        return status;
    mm_tokenizer *tokenizer;
    status = mm_tokenizer_open(e->model, &tokenizer, error);
    if (status) return status;
    mm_config *c = &e->config;
    if (c->bos < 0) c->bos = mm_tokenizer_bos(tokenizer);
    if (!c->eos_count && mm_tokenizer_eos(tokenizer) >= 0)
        c->eos[c->eos_count++] = mm_tokenizer_eos(tokenizer);
    status = write_tokenizer_config(e, tokenizer, error);
    mm_tokenizer_close(tokenizer);
    return status;
}

static mm_status write_generation_config(const exporting *e, mm_error *error) {
    const mm_config *c = &e->config;
    if (holds(e->model, "generation_config.json")) return copy_if_there(e, "generation_config.json", error);
    mm_text text = {0};
    mm_json_writer writer = mm_json_writer_on(&text, 2), *w = &writer;
    mm_json_open_object(w);
    if (c->bos >= 0) mm_json_pair_integer(w, "bos_token_id", c->bos);
    if (c->eos_count) {
        mm_json_put_key(w, "eos_token_id");
        mm_json_open_inline_array(w);
        for (int i = 0; i < c->eos_count; i++) mm_json_put_integer(w, c->eos[i]);
        mm_json_close(w);
    }
    if (c->pad >= 0) mm_json_pair_integer(w, "pad_token_id", c->pad);
    mm_json_close(w);
    mm_text_add_string(&text, "\n");
    return write_text(e, "generation_config.json", &text, error);
}

static mm_status write_model(exporting *e, mm_error *error) {
    mm_text config = {0};
    mm_status status = write_tokenizer(e, error);
    if (!status) status = write_generation_config(e, error);
    if (status) return status;
    mm_config_write(&e->config, e->request->type, &config);
    status = write_text(e, "config.json", &config, error);
    return status ? status : write_weights(e, error);
}

mm_status mm_export(const mm_export_request *request, mm_export_result *result, mm_error *error) {
    exporting e = {.request = request, .result = result};
    *result = (mm_export_result){0};
    mm_status status = open_model(&e, error);
    if (!status) status = mm_make_parent(request->out, error);
    if (!status) status = mm_draft_begin(request->out, &e.draft, error);
    if (!status) status = write_model(&e, error);
    mm_safetensors_abandon(e.writer);
    if (status) {
        mm_draft_abandon(e.draft);
    } else {
        result->tensors = e.parameters.count;
        result->numbers = e.parameters.numbers;
        status = mm_draft_commit(e.draft, error);
    }
    mm_tensor_files_close(e.files);
    mm_parameters_free(&e.parameters);
    free(e.numbers);
    free(e.halves);
    return status;
}
