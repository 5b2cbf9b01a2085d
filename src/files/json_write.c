#include <mm/base/utf8.h>
#include <mm/files/json.h>

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

mm_json_writer mm_json_writer_on(mm_text *out, int indent) {
    return (mm_json_writer){.out = out, .indent = indent};
}

static void add(mm_json_writer *w, const char *text) {
    mm_text_add_string(w->out, text);
}

// Of a line of a container at `depth`. A file's value may be nested deeply, and is not to grow by its depth.
static int indentation(const mm_json_writer *w, int depth) {
    enum { DEEPEST = 16 };
    return (depth < DEEPEST ? depth : DEEPEST) * w->indent;
}

// What goes before a member of a container at `depth` (the outermost is at 0).
static void separate(mm_json_writer *w, bool first, bool on_one_line, int depth) {
    if (on_one_line) {
        if (!first) add(w, ", ");
        return;
    }
    mm_text_format(w->out, "%s\n%*s", first ? "" : ",", indentation(w, depth + 1), "");
}

// What goes before the bracket that closes it.
static void end_members(mm_json_writer *w, bool empty, bool on_one_line, int depth) {
    if (!empty && !on_one_line) mm_text_format(w->out, "\n%*s", indentation(w, depth), "");
}

static bool on_one_line(const mm_json_writer *w) {
    return w->indent == 0 || (w->depth > 0 && w->inline_[w->depth - 1]);
}

// A value stands after a key, in an array, or alone.
static void before_value(mm_json_writer *w) {
    if (w->depth > 0) {
        int level = w->depth - 1;
        assert(w->object[level] == w->after_key);
        if (!w->object[level]) separate(w, w->first[level], on_one_line(w), level);
        w->first[level] = false;
    }
    w->after_key = false;
}

static void open_container(mm_json_writer *w, bool object, bool one_line) {
    assert(w->depth < MM_JSON_DEPTH);
    before_value(w);
    one_line = one_line || on_one_line(w);
    w->first[w->depth] = true;
    w->inline_[w->depth] = one_line;
    w->object[w->depth] = object;
    w->depth++;
    add(w, object ? "{" : "[");
}

void mm_json_open_object(mm_json_writer *w) {
    open_container(w, true, false);
}
void mm_json_open_array(mm_json_writer *w) {
    open_container(w, false, false);
}
void mm_json_open_inline_object(mm_json_writer *w) {
    open_container(w, true, true);
}
void mm_json_open_inline_array(mm_json_writer *w) {
    open_container(w, false, true);
}

void mm_json_close(mm_json_writer *w) {
    assert(w->depth > 0 && !w->after_key);
    bool one_line = on_one_line(w);
    w->depth--;
    end_members(w, w->first[w->depth], one_line, w->depth);
    add(w, w->object[w->depth] ? "}" : "]");
}

static void add_escape(mm_json_writer *w, unsigned char c) {
    static const char letters[][2] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
                                      {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
        if (c != (unsigned char)letters[i][0]) continue;
        mm_text_format(w->out, "\\%c", letters[i][1]);
        return;
    }
    mm_text_format(w->out, "\\u%04x", c);
}

static void add_quoted(mm_json_writer *w, const char *string, size_t size) {
    const unsigned char *text = (const unsigned char *)string;
    add(w, "\"");
    size_t done = 0;
    for (size_t i = 0; i < size;) {
        bool valid;
        size_t length = mm_utf8_sequence(string + i, size - i, &valid);
        bool plain = valid && text[i] >= 0x20 && text[i] != '"' && text[i] != '\\';
        if (!plain) {
            mm_text_add(w->out, string + done, i - done);
            if (valid) {
                add_escape(w, text[i]);
            } else {
                add(w, MM_UTF8_REPLACEMENT);
            }
            done = i + length;
        }
        i += length;
    }
    if (size > done) mm_text_add(w->out, string + done, size - done);
    add(w, "\"");
}

void mm_json_put_key_n(mm_json_writer *w, const char *key, size_t size) {
    assert(w->depth > 0 && w->object[w->depth - 1] && !w->after_key);
    separate(w, w->first[w->depth - 1], on_one_line(w), w->depth - 1);
    w->first[w->depth - 1] = false;
    add_quoted(w, key, size);
    add(w, ": ");
    w->after_key = true;
}

void mm_json_put_key(mm_json_writer *w, const char *key) {
    mm_json_put_key_n(w, key, strlen(key));
}

void mm_json_put_string_n(mm_json_writer *w, const char *text, size_t size) {
    before_value(w);
    add_quoted(w, text, size);
}

void mm_json_put_string(mm_json_writer *w, const char *text) {
    mm_json_put_string_n(w, text, strlen(text));
}

static void add_integer(mm_json_writer *w, int64_t value) {
    mm_text_format(w->out, "%lld", (long long)value);
}

// A number as printed, marked as a real.
static void add_real(mm_json_writer *w, const char *digits) {
    add(w, digits);
    if (!strpbrk(digits, ".e")) add(w, ".0");
}

static void add_double(mm_json_writer *w, double value) {
    char digits[40];
    if (!isfinite(value)) {
        add(w, "null");
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        double back = strtod(digits, NULL);
        if (memcmp(&back, &value, sizeof value) == 0) break;
    }
    add_real(w, digits);
}

void mm_json_put_integer(mm_json_writer *w, int64_t value) {
    before_value(w);
    add_integer(w, value);
}

void mm_json_put_bool(mm_json_writer *w, bool value) {
    before_value(w);
    add(w, value ? "true" : "false");
}

void mm_json_put_null(mm_json_writer *w) {
    before_value(w);
    add(w, "null");
}

void mm_json_put_double(mm_json_writer *w, double value) {
    before_value(w);
    add_double(w, value);
}

void mm_json_put_hash(mm_json_writer *w, mm_hash hash) {
    char text[MM_HASH_TEXT];
    mm_json_put_string(w, mm_hash_print(hash, text));
}

void mm_json_put_hex64(mm_json_writer *w, uint64_t value) {
    char text[17];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)value);
    mm_json_put_string(w, text);
}

static bool is_container(const mm_json *value) {
    mm_json_kind kind = mm_json_kind_of(value);
    return kind == MM_JSON_ARRAY || kind == MM_JSON_OBJECT;
}

static bool holds_containers(const mm_json *array) {
    for (size_t i = 0; i < mm_json_size(array); i++) {
        if (is_container(mm_json_at(array, i))) return true;
    }
    return false;
}

// Apart from the writer's levels, since a value that was read may be nested deeper than MM_JSON_DEPTH;
// Jansson's limit on reading bounds the recursion.
static void add_value(mm_json_writer *w, const mm_json *value, int depth, bool one_line);

static void add_object(mm_json_writer *w, const mm_json *object, int depth, bool one_line) {
    bool first = true;
    add(w, "{");
    for (const void *i = mm_json_first(object); i; i = mm_json_next(object, i)) {
        size_t size;
        const char *key = mm_json_key(i, &size);
        separate(w, first, one_line, depth);
        add_quoted(w, key, size);
        add(w, ": ");
        add_value(w, mm_json_value(i), depth + 1, one_line);
        first = false;
    }
    end_members(w, first, one_line, depth);
    add(w, "}");
}

static void add_array(mm_json_writer *w, const mm_json *array, int depth, bool one_line) {
    one_line = one_line || !holds_containers(array);
    add(w, "[");
    for (size_t i = 0; i < mm_json_size(array); i++) {
        separate(w, i == 0, one_line, depth);
        add_value(w, mm_json_at(array, i), depth + 1, one_line);
    }
    end_members(w, mm_json_size(array) == 0, one_line, depth);
    add(w, "]");
}

static void add_value(mm_json_writer *w, const mm_json *value, int depth, bool one_line) {
    size_t size;
    switch (mm_json_kind_of(value)) {
    case MM_JSON_NULL:
        add(w, "null");
        break;
    case MM_JSON_BOOL:
        add(w, mm_json_true(value) ? "true" : "false");
        break;
    case MM_JSON_INTEGER:
        add_integer(w, mm_json_integer(value));
        break;
    case MM_JSON_REAL:
        add_double(w, mm_json_number(value));
        break;
    case MM_JSON_STRING: {
        const char *text = mm_json_string(value, &size);
        add_quoted(w, text, size);
        break;
    }
    case MM_JSON_ARRAY:
        add_array(w, value, depth, one_line);
        break;
    case MM_JSON_OBJECT:
        add_object(w, value, depth, one_line);
        break;
    }
}

void mm_json_put_value(mm_json_writer *w, const mm_json *value) {
    before_value(w);
    add_value(w, value, w->depth, on_one_line(w));
}

void mm_json_pair_string(mm_json_writer *w, const char *key, const char *value) {
    mm_json_put_key(w, key);
    if (value) {
        mm_json_put_string(w, value);
    } else {
        mm_json_put_null(w);
    }
}

void mm_json_pair_integer(mm_json_writer *w, const char *key, int64_t value) {
    mm_json_put_key(w, key);
    mm_json_put_integer(w, value);
}

void mm_json_pair_bool(mm_json_writer *w, const char *key, bool value) {
    mm_json_put_key(w, key);
    mm_json_put_bool(w, value);
}

void mm_json_pair_double(mm_json_writer *w, const char *key, double value) {
    mm_json_put_key(w, key);
    mm_json_put_double(w, value);
}

void mm_json_pair_hash(mm_json_writer *w, const char *key, mm_hash value) {
    mm_json_put_key(w, key);
    mm_json_put_hash(w, value);
}

void mm_json_pair_hex64(mm_json_writer *w, const char *key, uint64_t value) {
    mm_json_put_key(w, key);
    mm_json_put_hex64(w, value);
}
