#include "trace_line.h"
#include <stdio.h>
#include <string.h>

static const char *const passes[] = {"", "forward", "backward"};

// --- writing

static void put(mm_text *out, const char *text) { mm_text_add(out, text, strlen(text)); }

static void put_number(mm_text *out, int64_t number) {
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%lld", (long long)number);
    mm_text_add(out, digits, (size_t)n);
}

static void put_pair(mm_text *out, const char *key, int64_t number) {
    put(out, key);
    put_number(out, number);
}

static void put_shape(mm_text *out, const mm_trace_record *r) {
    put(out, ",\"shape\":[");
    for (int i = 0; i < r->dims; i++) {
        if (i) put(out, ",");
        put_number(out, r->shape[i]);
    }
    put(out, "]");
}

void trace_line_write(mm_text *out, const mm_trace_record *r) {
    char hash[MM_HASH_TEXT];
    put_pair(out, "{\"step\":", r->step);
    if (r->pass != MM_PASS_NONE) {
        put(out, ",\"pass\":\"");
        put(out, passes[r->pass]);
        put(out, "\"");
    }
    if (r->leaf >= 0) put_pair(out, ",\"leaf\":", r->leaf);
    if (r->node_level >= 0) {
        put_pair(out, ",\"node\":[", r->node_level);
        put_pair(out, ",", r->node_index);
        put(out, "]");
    }
    if (r->rank >= 0) put_pair(out, ",\"rank\":", r->rank);
    if (r->layer >= 0) put_pair(out, ",\"layer\":", r->layer);
    put(out, ",\"op\":\"");
    put(out, r->operation);
    put(out, r->output ? "\",\"io\":\"out\",\"tensor\":\"" : "\",\"io\":\"in\",\"tensor\":\"");
    put(out, r->tensor);
    put(out, "\"");
    put_shape(out, r);
    put(out, ",\"xxh128\":\"");
    put(out, mm_hash_print(r->hash, hash));
    put(out, "\"}\n");
}

// --- reading

static mm_status maybe_integer(const mm_json_document *document, const char *key, int64_t most, int64_t *value,
                               mm_error *error) {
    const mm_json *root = mm_json_root(document);
    *value = -1;
    if (!mm_json_get(root, key)) return MM_OK;
    return mm_json_need_integer(document, root, key, 0, most, value, error);
}

static mm_status damaged(const mm_json_document *document, const char *key, const char *expected, mm_error *error) {
    return mm_trouble(error, "%s: \"%s\" is damaged, expected %s", mm_json_name(document), key, expected);
}

static mm_status read_pass(const mm_json_document *document, mm_trace_record *r, mm_error *error) {
    const char *pass;
    if (!mm_json_get(mm_json_root(document), "pass")) return MM_OK;
    mm_status status = mm_json_need_string(document, mm_json_root(document), "pass", &pass, error);
    if (status) return status;
    for (mm_pass p = MM_PASS_FORWARD; p <= MM_PASS_BACKWARD; p++)
        if (strcmp(pass, passes[p]) == 0) r->pass = p;
    return r->pass ? MM_OK : damaged(document, "pass", "forward or backward", error);
}

static mm_status read_node(const mm_json_document *document, mm_trace_record *r, mm_error *error) {
    const mm_json *node = mm_json_get(mm_json_root(document), "node");
    if (!node) return MM_OK;
    const mm_json *level = mm_json_at(node, 0), *index = mm_json_at(node, 1);
    if (mm_json_size(node) != 2 || mm_json_kind_of(level) != MM_JSON_INTEGER ||
        mm_json_kind_of(index) != MM_JSON_INTEGER || mm_json_integer(level) < 0 || mm_json_integer(level) > 62 ||
        mm_json_integer(index) < 0)
        return damaged(document, "node", "[level, index]", error);
    r->node_level = (int)mm_json_integer(level);
    r->node_index = mm_json_integer(index);
    return MM_OK;
}

static mm_status read_shape(const mm_json_document *document, mm_trace_record *r, mm_error *error) {
    const mm_json *shape;
    mm_status status = mm_json_need(document, mm_json_root(document), "shape", MM_JSON_ARRAY, &shape, error);
    if (status) return status;
    if (mm_json_size(shape) > MM_MAX_DIMS) return damaged(document, "shape", "at most 4 numbers", error);
    r->dims = (int)mm_json_size(shape);
    for (int i = 0; i < r->dims; i++) r->shape[i] = mm_json_integer(mm_json_at(shape, (size_t)i));
    return MM_OK;
}

static mm_status read_place(const mm_json_document *document, mm_trace_record *r, mm_error *error) {
    int64_t rank = -1, layer = -1;
    mm_status status = mm_json_need_integer(document, mm_json_root(document), "step", 0, INT64_MAX, &r->step, error);
    if (!status) status = maybe_integer(document, "leaf", INT64_MAX, &r->leaf, error);
    if (!status) status = maybe_integer(document, "rank", INT32_MAX, &rank, error);
    if (!status) status = maybe_integer(document, "layer", INT32_MAX, &layer, error);
    r->rank = (int)rank;
    r->layer = (int)layer;
    return status;
}

mm_status trace_line_read(const mm_json_document *document, mm_trace_record *r, mm_error *error) {
    const mm_json *root = mm_json_root(document);
    *r = (mm_trace_record){.node_level = -1};
    const char *io = "";
    mm_status status = read_place(document, r, error);
    if (!status) status = read_pass(document, r, error);
    if (!status) status = read_node(document, r, error);
    if (!status) status = mm_json_need_string(document, root, "op", &r->operation, error);
    if (!status) status = mm_json_need_string(document, root, "io", &io, error);
    if (!status) status = mm_json_need_string(document, root, "tensor", &r->tensor, error);
    if (!status) status = read_shape(document, r, error);
    if (!status) status = mm_json_need_hash(document, root, "xxh128", &r->hash, error);
    r->output = strcmp(io, "out") == 0;
    if (!status && !r->output && strcmp(io, "in") != 0) status = damaged(document, "io", "in or out", error);
    return status;
}
