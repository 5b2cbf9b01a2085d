#include "trace_line.h"
#include <assert.h>
#include <string.h>

static const char *const passes[] = {"", "forward", "backward"};
static const char *const level_names[] = {"off", "step", "layer", "op"};
static const char step_key[] = "{\"step\":";

// --- writing

// A line that is made on the stack and added in one piece.
typedef struct line {
    char text[4096];
    size_t size;
} line;

static void put_n(line *l, const char *text, size_t size) {
    assert(size <= sizeof l->text - l->size && "a name too long for a trace");
    memcpy(l->text + l->size, text, size);
    l->size += size;
}

static void put(line *l, const char *text) {
    put_n(l, text, strlen(text));
}

static void put_name(line *l, const char *name) {
    assert(!strpbrk(name, "\"\\\n") && "names of a trace hold nothing to escape");
    put(l, name);
}

static void put_number(line *l, int64_t number) {
    char digits[20];
    size_t i = sizeof digits;
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do digits[--i] = (char)('0' + left % 10);
    while (left /= 10);
    if (number < 0) put(l, "-");
    put_n(l, digits + i, sizeof digits - i);
}

static void put_pair(line *l, const char *key, int64_t number) {
    put(l, key);
    put_number(l, number);
}

static void put_place(line *l, const mm_trace_record *r) {
    if (r->pass != MM_PASS_NONE) {
        put(l, ",\"pass\":\"");
        put(l, passes[r->pass]);
        put(l, "\"");
    }
    if (r->leaf >= 0) put_pair(l, ",\"leaf\":", r->leaf);
    if (r->node_level >= 0) {
        put_pair(l, ",\"node\":[", r->node_level);
        put_pair(l, ",", r->node_index);
        put(l, "]");
    }
    if (r->rank >= 0) put_pair(l, ",\"rank\":", r->rank);
    if (r->layer >= 0) put_pair(l, ",\"layer\":", r->layer);
}

void trace_line_write(mm_text *out, const mm_trace_record *r) {
    line l;
    char hash[MM_HASH_TEXT];
    l.size = 0;
    put_pair(&l, step_key, r->step);
    put_place(&l, r);
    put(&l, ",\"op\":\"");
    put_name(&l, r->operation);
    put(&l, r->output ? "\",\"io\":\"out\",\"tensor\":\"" : "\",\"io\":\"in\",\"tensor\":\"");
    put_name(&l, r->tensor);
    put(&l, "\",\"shape\":[");
    for (int i = 0; i < r->dims; i++) put_pair(&l, i ? "," : "", r->shape[i]);
    put(&l, "],\"xxh128\":\"");
    put_n(&l, mm_hash_print(r->hash, hash), MM_HASH_TEXT - 1);
    put(&l, "\"}\n");
    mm_text_add(out, l.text, l.size);
}

void trace_header_write(mm_text *out, const trace_header *header) {
    mm_text_format(out, "{\"format\":\"mm-trace\",\"version\":1,\"level\":\"%s\"",
                   level_names[header->level]);
    if (header->after) mm_text_format(out, ",\"after\":%lld", (long long)header->after);
    mm_text_add_string(out, "}\n");
}

// --- reading

bool trace_line_peek(const char *text, int64_t *step) {
    if (strncmp(text, step_key, sizeof step_key - 1) != 0) return false;
    text += sizeof step_key - 1;
    size_t digits = strspn(text, "0123456789");
    if (!digits || digits > 18 || (digits > 1 && text[0] == '0')) return false;
    *step = 0;
    for (size_t i = 0; i < digits; i++) *step = *step * 10 + (text[i] - '0');
    return text[digits] == ',';
}

mm_status trace_header_read(const mm_json_document *document, trace_header *header, mm_error *error) {
    const mm_json *root = mm_json_root(document);
    const char *format, *level;
    int64_t version;
    mm_status status = mm_json_need_string(document, root, "format", &format, error);
    if (!status && strcmp(format, "mm-trace") != 0)
        status =
            mm_trouble(error, "%s: format \"%s\", expected \"mm-trace\"", mm_json_name(document), format);
    if (!status) status = mm_json_need_integer(document, root, "version", 1, 1, &version, error);
    if (!status) status = mm_json_need_string(document, root, "level", &level, error);
    header->after = 0;
    if (!status && mm_json_get(root, "after"))
        status = mm_json_need_integer(document, root, "after", 1, INT64_MAX - 1, &header->after, error);
    if (status) return status;
    for (mm_level l = MM_LEVEL_OFF; l <= MM_LEVEL_OP; l++) {
        if (strcmp(level, level_names[l]) != 0) continue;
        header->level = l;
        return MM_OK;
    }
    return mm_trouble(error, "%s: \"level\" is damaged, expected off, step, layer or op",
                      mm_json_name(document));
}
