#include "run_json.h"
#include "seal.h"
#include <mm/files/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STREAMS_MOST = 1 << 20, TENSORS_MOST = 1 << 14, WORDS_MOST = 1 << 16, STEPS_MOST = 1000000000 };

// --- writing

void mm_run_data_write(const mm_run_data *data, const char *key, mm_json_writer *w) {
    mm_json_put_key(w, key);
    if (!data->path) {
        mm_json_put_null(w);
        return;
    }
    mm_json_open_object(w);
    mm_json_pair_string(w, "path", data->path);
    mm_json_pair_hash(w, "xxh128", data->hash);
    mm_json_pair_hash(w, "tokenizer_xxh128", data->tokenizer);
    mm_json_pair_integer(w, "tokens", (int64_t)data->tokens);
    mm_json_pair_integer(w, "documents", (int64_t)data->documents);
    mm_json_pair_integer(w, "samples", (int64_t)data->samples);
    mm_json_close(w);
}

static const char *policy_of(const mm_settings *settings) {
    return mm_settings_field("seed_policy")->choices[settings->seed_policy];
}

static void write_streams(const mm_run_facts *f, mm_json_writer *w) {
    mm_json_put_key(w, "streams");
    mm_json_open_object(w);
    mm_json_pair_integer(w, "version", f->streams_version);
    mm_json_pair_string(w, "policy", policy_of(&f->settings));
    mm_json_put_key(w, "keys");
    mm_json_open_array(w);
    for (int i = 0; i < f->stream_count; i++) {
        mm_json_open_inline_object(w);
        mm_json_pair_string(w, "purpose", f->streams[i].purpose);
        mm_json_put_key(w, "rank");
        if (f->streams[i].rank < 0)
            mm_json_put_null(w);
        else
            mm_json_put_integer(w, f->streams[i].rank);
        mm_json_pair_hex64(w, "key", f->streams[i].key);
        mm_json_close(w);
    }
    mm_json_close(w);
    mm_json_close(w);
}

static void write_initial(const mm_run_facts *f, mm_json_writer *w) {
    mm_json_put_key(w, "initial");
    mm_json_open_array(w);
    for (int i = 0; i < f->initial_count; i++) {
        mm_json_open_inline_object(w);
        mm_json_pair_string(w, "tensor", f->initial[i].name);
        mm_json_put_key(w, "shape");
        mm_json_open_inline_array(w);
        for (int d = 0; d < f->initial[i].dims; d++) mm_json_put_integer(w, f->initial[i].shape[d]);
        mm_json_close(w);
        mm_json_pair_hash(w, "xxh128", f->initial[i].hash);
        mm_json_close(w);
    }
    mm_json_close(w);
}

static void write_program(const mm_run_program *p, mm_json_writer *w) {
    mm_json_put_key(w, "build");
    mm_json_open_object(w);
    mm_json_pair_string(w, "version", p->version);
    mm_json_pair_string(w, "compiler", p->compiler);
    mm_json_pair_string(w, "type", p->build_type);
    mm_json_pair_string(w, "kernels", p->isa);
    mm_json_close(w);
    mm_json_put_key(w, "gemm");
    mm_json_open_object(w);
    mm_json_pair_string(w, "kernel", p->gemm_kernel);
    mm_json_pair_string(w, "version", p->gemm_version);
    mm_json_close(w);
    mm_json_put_key(w, "machine");
    mm_json_open_object(w);
    mm_json_pair_string(w, "cpu", p->cpu);
    mm_json_pair_integer(w, "cores", p->cores);
    mm_json_pair_string(w, "system", p->system);
    mm_json_close(w);
}

static void write_continued(const mm_run_facts *f, mm_json_writer *w) {
    if (!f->continued_count) return;
    mm_json_put_key(w, "continued");
    mm_json_open_array(w);
    for (int i = 0; i < f->continued_count; i++) {
        mm_json_open_object(w);
        mm_json_pair_integer(w, "after", f->continued[i].after);
        write_program(&f->continued[i].program, w);
        mm_json_close(w);
    }
    mm_json_close(w);
}

mm_status run_json_write(const mm_run_facts *f, mm_text *out, mm_error *error) {
    mm_json_document *model;
    mm_status status = mm_json_parse(f->model_config, strlen(f->model_config), "config.json", &model, error);
    if (status) return status;
    mm_json_writer writer = mm_json_writer_on(out, 2), *w = &writer;
    mm_json_open_object(w);
    mm_json_pair_string(w, "format", "mm-run");
    mm_json_pair_integer(w, "version", 1);
    mm_json_put_key(w, "command");
    mm_json_open_inline_array(w);
    for (int i = 0; i < f->argc; i++) mm_json_put_string(w, f->argv[i]);
    mm_json_close(w);
    mm_json_put_key(w, "configuration");
    mm_json_open_object(w);
    mm_settings_write(&f->settings, w);
    mm_json_close(w);
    mm_json_put_key(w, "model");
    mm_json_put_value(w, mm_json_root(model));
    mm_json_pair_integer(w, "parameters", f->parameters);
    mm_run_data_write(&f->data, "data", w);
    mm_run_data_write(&f->val_data, "val_data", w);
    mm_json_pair_integer(w, "arithmetic", f->arithmetic_version);
    write_streams(f, w);
    write_initial(f, w);
    write_program(&f->program, w);
    write_continued(f, w);
    seal_close(w);
    mm_json_free(model);
    return out->failed ? mm_trouble(error, "run.json: out of memory") : MM_OK;
}

// --- reading

typedef struct reading {
    const mm_json_document *document;
    const mm_json *root;
    mm_run_facts *facts;
    mm_error *error;
} reading;

static mm_status need_copy(const reading *r, const mm_json *object, const char *key, char **out) {
    const char *text;
    mm_status status = mm_json_need_string(r->document, object, key, &text, r->error);
    if (status) return status;
    *out = strdup(text);
    return *out ? MM_OK : mm_trouble(r->error, "run.json: out of memory");
}

static mm_status need_array(const reading *r, const mm_json *object, const char *key, size_t most,
                            const mm_json **array) {
    mm_status status = mm_json_need(r->document, object, key, MM_JSON_ARRAY, array, r->error);
    if (!status && mm_json_size(*array) > most)
        status = mm_trouble(r->error, "%s: \"%s\" has %zu entries, expected at most %zu",
                            mm_json_name(r->document), key, mm_json_size(*array), most);
    return status;
}

static mm_status damaged(const reading *r, const char *key, const char *expected) {
    return mm_trouble(r->error, "%s: \"%s\" is damaged, expected %s", mm_json_name(r->document), key,
                      expected);
}

static void *make(const reading *r, size_t count, size_t bytes, mm_status *status) {
    void *made = calloc(count + 1, bytes);
    if (!made) *status = mm_trouble(r->error, "run.json: out of memory");
    return made;
}

static mm_status read_command(const reading *r) {
    const mm_json *words;
    mm_run_facts *f = r->facts;
    mm_status status = need_array(r, r->root, "command", WORDS_MOST, &words);
    if (status) return status;
    f->argv = make(r, mm_json_size(words), sizeof *f->argv, &status);
    for (size_t i = 0; !status && i < mm_json_size(words); i++) {
        size_t size = 0;
        const char *word = mm_json_string(mm_json_at(words, i), &size);
        if (!word || strlen(word) != size) return damaged(r, "command", "an array of words");
        f->argv[f->argc++] = strdup(word);
        if (!f->argv[i]) status = mm_trouble(r->error, "run.json: out of memory");
    }
    return status;
}

static mm_status read_data(const reading *r, const char *key, mm_run_data *data) {
    const mm_json *object;
    int64_t tokens = 0, documents = 0, samples = 0;
    mm_status status = mm_json_need(r->document, r->root, key, MM_JSON_OBJECT, &object, r->error);
    if (!status) status = need_copy(r, object, "path", &data->path);
    if (!status) status = mm_json_need_hash(r->document, object, "xxh128", &data->hash, r->error);
    if (!status)
        status = mm_json_need_hash(r->document, object, "tokenizer_xxh128", &data->tokenizer, r->error);
    if (!status)
        status = mm_json_need_integer(r->document, object, "tokens", 0, INT64_MAX, &tokens, r->error);
    if (!status)
        status = mm_json_need_integer(r->document, object, "documents", 0, INT64_MAX, &documents, r->error);
    if (!status)
        status = mm_json_need_integer(r->document, object, "samples", 0, INT64_MAX, &samples, r->error);
    data->tokens = (uint64_t)tokens;
    data->documents = (uint64_t)documents;
    data->samples = (uint64_t)samples;
    return status;
}

static mm_status read_version(const reading *r, const mm_json *object, const char *key, int *version) {
    int64_t number = 0;
    mm_status status = mm_json_need_integer(r->document, object, key, 1, INT32_MAX, &number, r->error);
    *version = (int)number;
    return status;
}

static mm_status read_stream(const reading *r, const mm_json *object, mm_run_stream *stream) {
    const char *purpose;
    int64_t rank = -1;
    mm_status status = mm_json_need_string(r->document, object, "purpose", &purpose, r->error);
    if (!status && mm_json_kind_of(mm_json_get(object, "rank")) != MM_JSON_NULL)
        status = mm_json_need_integer(r->document, object, "rank", 0, INT32_MAX, &rank, r->error);
    if (!status) status = mm_json_need_hex64(r->document, object, "key", &stream->key, r->error);
    if (status) return status;
    if (strlen(purpose) >= sizeof stream->purpose) return damaged(r, "purpose", "a name of at most 31 bytes");
    stream->rank = (int)rank;
    snprintf(stream->purpose, sizeof stream->purpose, "%s", purpose);
    return MM_OK;
}

static mm_status read_streams(const reading *r) {
    const mm_json *object, *keys;
    const char *policy;
    mm_run_facts *f = r->facts;
    mm_status status = mm_json_need(r->document, r->root, "streams", MM_JSON_OBJECT, &object, r->error);
    if (!status) status = read_version(r, object, "version", &f->streams_version);
    if (!status) status = mm_json_need_string(r->document, object, "policy", &policy, r->error);
    if (!status && strcmp(policy, policy_of(&f->settings)) != 0)
        status = damaged(r, "policy", "the configuration's seed_policy");
    if (!status) status = need_array(r, object, "keys", STREAMS_MOST, &keys);
    if (status) return status;
    f->streams = make(r, mm_json_size(keys), sizeof *f->streams, &status);
    for (size_t i = 0; !status && i < mm_json_size(keys); i++)
        status = read_stream(r, mm_json_at(keys, i), &f->streams[f->stream_count++]);
    return status;
}

static mm_status read_tensor(const reading *r, const mm_json *object, mm_run_tensor *tensor) {
    const mm_json *shape;
    mm_status status = need_copy(r, object, "tensor", &tensor->name);
    if (!status) status = mm_json_need_hash(r->document, object, "xxh128", &tensor->hash, r->error);
    if (!status) status = need_array(r, object, "shape", MM_MAX_DIMS, &shape);
    if (status) return status;
    tensor->dims = (int)mm_json_size(shape);
    for (int i = 0; i < tensor->dims; i++) {
        tensor->shape[i] = mm_json_integer(mm_json_at(shape, (size_t)i));
        if (tensor->shape[i] < 1) return damaged(r, "shape", "numbers of at least 1");
    }
    return MM_OK;
}

static mm_status read_initial(const reading *r) {
    const mm_json *tensors;
    mm_run_facts *f = r->facts;
    mm_status status = need_array(r, r->root, "initial", TENSORS_MOST, &tensors);
    if (status) return status;
    f->initial = make(r, mm_json_size(tensors), sizeof *f->initial, &status);
    for (size_t i = 0; !status && i < mm_json_size(tensors); i++)
        status = read_tensor(r, mm_json_at(tensors, i), &f->initial[f->initial_count++]);
    return status;
}

static mm_status read_program(const reading *r, const mm_json *object, mm_run_program *p) {
    const mm_json *build, *gemm, *machine;
    int64_t cores = 0;
    mm_status status = mm_json_need(r->document, object, "build", MM_JSON_OBJECT, &build, r->error);
    if (!status) status = need_copy(r, build, "version", &p->version);
    if (!status) status = need_copy(r, build, "compiler", &p->compiler);
    if (!status) status = need_copy(r, build, "type", &p->build_type);
    if (!status) status = need_copy(r, build, "kernels", &p->isa);
    if (!status) status = mm_json_need(r->document, object, "gemm", MM_JSON_OBJECT, &gemm, r->error);
    if (!status) status = need_copy(r, gemm, "kernel", &p->gemm_kernel);
    if (!status) status = need_copy(r, gemm, "version", &p->gemm_version);
    if (!status) status = mm_json_need(r->document, object, "machine", MM_JSON_OBJECT, &machine, r->error);
    if (!status) status = need_copy(r, machine, "cpu", &p->cpu);
    if (!status) status = need_copy(r, machine, "system", &p->system);
    if (!status) status = mm_json_need_integer(r->document, machine, "cores", 1, 1 << 20, &cores, r->error);
    p->cores = (int)cores;
    return status;
}

static mm_status read_continued(const reading *r) {
    const mm_json *list;
    mm_run_facts *f = r->facts;
    if (!mm_json_get(r->root, "continued")) return MM_OK;
    mm_status status = need_array(r, r->root, "continued", MM_RUN_CONTINUED_MOST, &list);
    if (status) return status;
    f->continued = make(r, mm_json_size(list), sizeof *f->continued, &status);
    for (size_t i = 0; !status && i < mm_json_size(list); i++) {
        mm_run_continuation *c = &f->continued[f->continued_count++];
        int64_t least = i ? c[-1].after + 1 : 0;
        status = mm_json_need_integer(r->document, mm_json_at(list, i), "after", least, STEPS_MOST, &c->after,
                                      r->error);
        if (!status) status = read_program(r, mm_json_at(list, i), &c->program);
    }
    return status;
}

static mm_status read_model(const reading *r) {
    const mm_json *model;
    mm_status status = mm_json_need(r->document, r->root, "model", MM_JSON_OBJECT, &model, r->error);
    if (status) return status;
    mm_text text = {0};
    mm_json_writer w = mm_json_writer_on(&text, 2);
    mm_json_put_value(&w, model);
    r->facts->model_config = text.data; // the caller's to free
    if (text.failed) return mm_trouble(r->error, "run.json: out of memory");
    return mm_json_need_integer(r->document, r->root, "parameters", 1, INT64_MAX, &r->facts->parameters,
                                r->error);
}

static mm_status read_format(const reading *r) {
    const char *format;
    int64_t version;
    mm_status status = mm_json_need_string(r->document, r->root, "format", &format, r->error);
    if (!status && strcmp(format, "mm-run") != 0)
        status =
            mm_trouble(r->error, "%s: format \"%s\", expected \"mm-run\"", mm_json_name(r->document), format);
    if (!status) status = mm_json_need_integer(r->document, r->root, "version", 1, 1, &version, r->error);
    return status;
}

mm_status run_json_read(char *text, size_t size, const char *path, mm_run_facts *facts, mm_error *error) {
    mm_json_document *document;
    mm_status status = seal_check(text, size, path, error);
    if (!status) status = mm_json_parse(text, size, path, &document, error);
    if (status) return status;
    reading r = {document, mm_json_root(document), facts, error};
    const mm_json *configuration;
    status = read_format(&r);
    if (!status) status = read_command(&r);
    if (!status)
        status = mm_json_need(document, r.root, "configuration", MM_JSON_OBJECT, &configuration, error);
    if (!status) status = mm_settings_read(&facts->settings, document, configuration, error);
    if (!status) status = mm_settings_check(&facts->settings, path, error);
    if (!status) status = read_model(&r);
    if (!status) status = read_data(&r, "data", &facts->data);
    if (!status && mm_json_kind_of(mm_json_get(r.root, "val_data")) != MM_JSON_NULL)
        status = read_data(&r, "val_data", &facts->val_data);
    if (!status) status = read_version(&r, r.root, "arithmetic", &facts->arithmetic_version);
    if (!status) status = read_streams(&r);
    if (!status) status = read_initial(&r);
    if (!status) status = read_program(&r, r.root, &facts->program);
    if (!status) status = read_continued(&r);
    mm_json_free(document);
    return status;
}
