// Reading JSON. Everything of Jansson's stays in this file: mm_json is a json_t under another name.
#include <mm/base/arena.h>
#include <mm/files/json.h>
#include <mm/files/publish.h>

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mm_json_document {
    json_t *root;
    char *name;
    bool nulled; // a null may stand for what JSON has no number for
};

// Jansson takes no const, but these calls do not write.
static json_t *as_jansson(const mm_json *value) {
    return (json_t *)(uintptr_t)value;
}
static const mm_json *from_jansson(const json_t *value) {
    return (const mm_json *)value;
}

// What was expected, where Jansson's own sentence does not say it.
static const char *expectation(const json_error_t *found) {
    switch (json_error_code(found)) {
    case json_error_duplicate_key:
        return "expected each key once in an object";
    case json_error_numeric_overflow:
        return "expected a number within 64 bits";
    case json_error_invalid_utf8:
        return "expected UTF-8";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "expected no NUL there";
    case json_error_stack_overflow:
        return "expected no deeper nesting";
    case json_error_premature_end_of_input:
        return "expected the rest of the value; it was cut";
    case json_error_end_of_input_expected:
        return "expected nothing after the first value";
    case json_error_out_of_memory:
        return "expected more memory";
    default:
        return "expected JSON (RFC 8259)";
    }
}

static mm_status parse_trouble(const char *name, json_error_t *found, mm_error *error) {
    for (char *c = found->text; *c; c++) {
        if ((unsigned char)*c < 0x20) *c = '?';
    }
    return mm_trouble(error, "%s: line %d, column %d: %s; %s", name, found->line, found->column, found->text,
                      expectation(found));
}

// An empty array takes Jansson 50 times its two bytes, an empty string 30 times, so a text of nothing else
// would fill memory. Those of any file that mm reads are further apart. Values are counted by their commas.
static mm_status check_values(const char *text, size_t size, const char *name, bool *guilty,
                              mm_error *error) {
    enum { LEAST = 1 << 18, BYTES_EACH = 16, LEAST_COMMAS = 1 << 20, BYTES_A_COMMA = 8 };
    size_t most = LEAST + size / BYTES_EACH, found = 0;
    size_t most_commas = LEAST_COMMAS + size / BYTES_A_COMMA, commas = 0;
    if (size / 2 < LEAST) return MM_OK;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"') { // to the end of the string
            while (++i < size && text[i] != '"') i += text[i] == '\\';
        } else if (text[i] == '[' || text[i] == '{') {
            found++;
        } else {
            commas += text[i] == ',';
        }
    }
    if (commas > most_commas)
        return mm_trouble(error, "%s: found %zu values in %zu bytes, expected at most %zu", name, commas,
                          size, most_commas);
    if (found > most)
        return mm_trouble(error, "%s: found %zu arrays and objects in %zu bytes, expected at most %zu", name,
                          found, size, most);
    // Roughly what Jansson makes of them: an object's table, a member's entry with its key and value.
    double needed = 350.0 * (double)found + 120.0 * (double)commas + (double)size;
    if (needed <= mm_memory_available()) return MM_OK;
    *guilty = false;
    char size_text[MM_SIZE_TEXT];
    return mm_trouble(error, "%s: out of memory for its %zu values, which would take %s", name,
                      found + commas, mm_size_print(needed, size_text));
}

// Is it a whole number, whose `size` digits follow its sign, beyond 64 bits?
static bool is_long(const char *digits, size_t size, bool negative) {
    char number[24] = "-";
    if (size > 19) return true;
    memcpy(number + negative, digits, size);
    errno = 0;
    strtoll(number, NULL, 10);
    return errno == ERANGE;
}

// Appends what is to stand for the beginning of the text, and returns the size of that; 0: nothing other.
typedef size_t replacer(const char *text, size_t size, mm_text *out);

static bool in_number(char c) {
    return c && strchr("0123456789.eE+-", c);
}

// The text outside its strings, replaced; false where nothing was, or memory is out.
static bool rewrite(const char *text, size_t size, replacer *replace, mm_text *out) {
    bool found = false;
    for (size_t at = 0, from = 0; at < size; from = at) {
        size_t length = text[at] == '"' ? 0 : replace(text + at, size - at, out);
        if (length) {
            at += length;
            found = true;
            continue;
        }
        if (text[at] == '"') // to the end of the string
            while (++at < size && text[at] != '"') at += text[at] == '\\';
        else // the rest of a number is not one of its own
            while (at + 1 < size && in_number(text[at]) && in_number(text[at + 1])) at++;
        at = at < size ? at + 1 : size;
        mm_text_add(out, text + from, at - from);
    }
    return found && !out->failed;
}

// ".0" behind a whole number beyond 64 bits.
static size_t point_long(const char *text, size_t size, mm_text *out) {
    size_t first = text[0] == '-', end = first;
    while (end < size && text[end] >= '0' && text[end] <= '9') end++;
    if (end == first || (end < size && in_number(text[end])) || !is_long(text + first, end - first, first))
        return 0;
    mm_text_add(out, text, end);
    mm_text_add_string(out, ".0");
    return end;
}

// Whole numbers beyond 64 bits are read as the nearest number, which no member that needs a whole one takes:
// transformers writes 10^30 where a length has no bound (VERY_LARGE_INTEGER of tokenization_utils_base.py).
static json_t *load(const char *text, size_t size, json_error_t *found) {
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY;
    json_t *root = json_loadb(text, size, flags, found);
    if (root || json_error_code(found) != json_error_numeric_overflow) return root;
    mm_text longer = {0};
    json_error_t again;
    if (rewrite(text, size, point_long, &longer)) {
        root = json_loadb(longer.data, longer.size, flags, &again);
        *found = again; // columns behind such a number are two larger
    }
    mm_text_free(&longer);
    return root;
}

// null for what is no number of JSON: one of those that Python writes, or one beyond double.
static size_t put_null(const char *text, size_t size, mm_text *out) {
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    char number[64] = "";
    size_t length = 0;
    for (int i = 0; i < 3 && !length; i++)
        if (size >= strlen(words[i]) && !memcmp(text, words[i], strlen(words[i]))) length = strlen(words[i]);
    if (!length) {
        while (length < size && in_number(text[length])) length++;
        if (length >= sizeof number) return 0;
        memcpy(number, text, length);
        if (!isinf(strtod(number, NULL))) return 0;
    }
    mm_text_add_string(out, "null");
    return length;
}

static json_t *load_with_nulls(const char *text, size_t size) {
    mm_text nulls = {0};
    json_t *root = NULL;
    json_error_t again;
    if (rewrite(text, size, put_null, &nulls)) root = load(nulls.data, nulls.size, &again);
    mm_text_free(&nulls);
    return root;
}

// *guilty as of mm_json_parse_line.
static mm_status parse(const char *text, size_t size, const char *name, bool leniently,
                       mm_json_document **document, bool *guilty, mm_error *error) {
    *document = NULL;
    *guilty = true;
    mm_status status = check_values(text, size, name, guilty, error);
    if (status) return status;
    mm_json_document *made = calloc(1, sizeof *made);
    if (!made || !(made->name = strdup(name))) {
        free(made);
        *guilty = false;
        return mm_trouble(error, "%s: out of memory reading it", name);
    }
    json_error_t found;
    if (size == 0) text = "";
    made->root = load(text, size, &found);
    if (!made->root && leniently) {
        made->root = load_with_nulls(text, size);
        made->nulled = true;
    }
    if (!made->root) {
        mm_json_free(made);
        // Jansson says nothing where it has no memory for a value.
        *guilty = json_error_code(&found) != json_error_out_of_memory &&
                  json_error_code(&found) != json_error_unknown;
        return parse_trouble(name, &found, error);
    }
    *document = made;
    return MM_OK;
}

mm_status mm_json_parse(const char *text, size_t size, const char *name, mm_json_document **document,
                        mm_error *error) {
    bool guilty;
    return parse(text, size, name, false, document, &guilty, error);
}

mm_status mm_json_parse_line(const char *text, size_t size, const char *name, mm_json_document **document,
                             bool *guilty, mm_error *error) {
    return parse(text, size, name, true, document, guilty, error);
}

mm_status mm_json_read(const char *path, size_t limit, mm_json_document **document, mm_error *error) {
    *document = NULL;
    char *text;
    size_t size;
    mm_status status = mm_read_file(path, limit, &text, &size, error);
    if (status != MM_OK) return status;
    status = mm_json_parse(text, size, path, document, error);
    free(text);
    return status;
}

mm_status mm_json_read_inside(const char *folder, const char *name, size_t limit, mm_json_document **document,
                              mm_error *error) {
    char path[PATH_MAX];
    *document = NULL;
    mm_status status = mm_path_join(path, sizeof path, folder, name, error);
    if (status != MM_OK || !mm_is_there(path)) return status;
    return mm_json_read(path, limit, document, error);
}

void mm_json_free(mm_json_document *document) {
    if (!document) return;
    json_decref(document->root);
    free(document->name);
    free(document);
}

const mm_json *mm_json_root(const mm_json_document *document) {
    return from_jansson(document->root);
}
const char *mm_json_name(const mm_json_document *document) {
    return document->name;
}

mm_json_kind mm_json_kind_of(const mm_json *value) {
    if (!value) return MM_JSON_NULL;
    switch (json_typeof(as_jansson(value))) {
    case JSON_OBJECT:
        return MM_JSON_OBJECT;
    case JSON_ARRAY:
        return MM_JSON_ARRAY;
    case JSON_STRING:
        return MM_JSON_STRING;
    case JSON_INTEGER:
        return MM_JSON_INTEGER;
    case JSON_REAL:
        return MM_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return MM_JSON_BOOL;
    default:
        return MM_JSON_NULL;
    }
}

const char *mm_json_kind_name(mm_json_kind kind) {
    static const char *const names[] = {
        [MM_JSON_NULL] = "null",          [MM_JSON_BOOL] = "true or false", [MM_JSON_INTEGER] = "an integer",
        [MM_JSON_REAL] = "a real number", [MM_JSON_STRING] = "a string",    [MM_JSON_ARRAY] = "an array",
        [MM_JSON_OBJECT] = "an object",
    };
    return names[kind];
}

const mm_json *mm_json_get(const mm_json *object, const char *key) {
    return from_jansson(json_object_get(as_jansson(object), key));
}

size_t mm_json_size(const mm_json *value) {
    json_t *json = as_jansson(value);
    return json_is_array(json) ? json_array_size(json) : json_object_size(json);
}

const mm_json *mm_json_at(const mm_json *array, size_t index) {
    return from_jansson(json_array_get(as_jansson(array), index));
}

const char *mm_json_string(const mm_json *value, size_t *size) {
    if (size) *size = json_string_length(as_jansson(value));
    return json_string_value(as_jansson(value));
}

int64_t mm_json_integer(const mm_json *value) {
    return json_integer_value(as_jansson(value));
}
double mm_json_number(const mm_json *value) {
    return json_number_value(as_jansson(value));
}
bool mm_json_true(const mm_json *value) {
    return json_is_true(as_jansson(value));
}

const void *mm_json_first(const mm_json *object) {
    return json_object_iter(as_jansson(object));
}

const void *mm_json_next(const mm_json *object, const void *iterator) {
    return json_object_iter_next(as_jansson(object), (void *)(uintptr_t)iterator);
}

const char *mm_json_key(const void *iterator, size_t *size) {
    void *member = (void *)(uintptr_t)iterator;
    if (size) *size = json_object_iter_key_len(member);
    return json_object_iter_key(member);
}

const mm_json *mm_json_value(const void *iterator) {
    return from_jansson(json_object_iter_value((void *)(uintptr_t)iterator));
}

// What was found, in a few words: 12, "abc", an array.
static const char *describe(const mm_json *value, char text[80]) {
    switch (mm_json_kind_of(value)) {
    case MM_JSON_INTEGER:
        snprintf(text, 80, "%lld", (long long)mm_json_integer(value));
        break;
    case MM_JSON_REAL:
        snprintf(text, 80, "%.17g", mm_json_number(value));
        break;
    case MM_JSON_BOOL:
        snprintf(text, 80, "%s", mm_json_true(value) ? "true" : "false");
        break;
    case MM_JSON_STRING: {
        snprintf(text, 80, "\"%.40s\"", mm_json_string(value, NULL));
        for (char *c = text; *c; c++) {
            if ((unsigned char)*c < 0x20) *c = '?';
        }
        break;
    }
    default:
        snprintf(text, 80, "%s", mm_json_kind_name(mm_json_kind_of(value)));
    }
    return text;
}

static mm_status unexpected(const mm_json_document *document, const char *key, const mm_json *found,
                            const char *expected, mm_error *error) {
    char text[80];
    bool perhaps = document->nulled && mm_json_kind_of(found) == MM_JSON_NULL;
    return mm_trouble(error, "%s: \"%s\": found %s, expected %s", document->name, key,
                      perhaps ? "null, or a number that JSON does not have (NaN)" : describe(found, text),
                      expected);
}

// The member, of whatever kind; `expected` is for the message.
static mm_status need(const mm_json_document *document, const mm_json *object, const char *key,
                      const char *expected, const mm_json **value, mm_error *error) {
    *value = NULL;
    if (mm_json_kind_of(object) != MM_JSON_OBJECT) {
        char text[80];
        return mm_trouble(error, "%s: found %s, expected an object with \"%s\"", document->name,
                          describe(object, text), key);
    }
    *value = mm_json_get(object, key);
    if (*value) return MM_OK;
    return mm_trouble(error, "%s: found no \"%s\", expected %s there", document->name, key, expected);
}

mm_status mm_json_need(const mm_json_document *document, const mm_json *object, const char *key,
                       mm_json_kind kind, const mm_json **value, mm_error *error) {
    mm_status status = need(document, object, key, mm_json_kind_name(kind), value, error);
    if (status != MM_OK || mm_json_kind_of(*value) == kind) return status;
    const mm_json *found = *value;
    *value = NULL;
    return unexpected(document, key, found, mm_json_kind_name(kind), error);
}

mm_status mm_json_need_integer(const mm_json_document *document, const mm_json *object, const char *key,
                               int64_t least, int64_t most, int64_t *value, mm_error *error) {
    char expected[80];
    snprintf(expected, sizeof expected, "an integer from %lld to %lld", (long long)least, (long long)most);
    const mm_json *found;
    mm_status status = need(document, object, key, expected, &found, error);
    if (status != MM_OK) return status;
    if (mm_json_kind_of(found) != MM_JSON_INTEGER || mm_json_integer(found) < least ||
        mm_json_integer(found) > most) {
        return unexpected(document, key, found, expected, error);
    }
    *value = mm_json_integer(found);
    return MM_OK;
}

mm_status mm_json_need_number(const mm_json_document *document, const mm_json *object, const char *key,
                              double least, double most, double *value, mm_error *error) {
    char expected[80];
    snprintf(expected, sizeof expected, "a number from %g to %g", least, most);
    const mm_json *found;
    mm_status status = need(document, object, key, expected, &found, error);
    if (status != MM_OK) return status;
    mm_json_kind kind = mm_json_kind_of(found);
    double number = mm_json_number(found);
    if ((kind != MM_JSON_INTEGER && kind != MM_JSON_REAL) || !(number >= least && number <= most)) {
        return unexpected(document, key, found, expected, error);
    }
    *value = number;
    return MM_OK;
}

mm_status mm_json_need_string(const mm_json_document *document, const mm_json *object, const char *key,
                              const char **value, mm_error *error) {
    *value = NULL;
    const mm_json *found;
    mm_status status = mm_json_need(document, object, key, MM_JSON_STRING, &found, error);
    if (status != MM_OK) return status;
    size_t size;
    const char *text = mm_json_string(found, &size);
    if (memchr(text, '\0', size)) {
        return mm_trouble(error, "%s: \"%s\": found a string with a NUL in it, expected one without",
                          document->name, key);
    }
    *value = text;
    return MM_OK;
}

mm_status mm_json_need_hash(const mm_json_document *document, const mm_json *object, const char *key,
                            mm_hash *value, mm_error *error) {
    const mm_json *found;
    mm_status status = need(document, object, key, "32 hex digits", &found, error);
    if (status != MM_OK) return status;
    size_t size;
    const char *text = mm_json_string(found, &size);
    if (!text || size != MM_HASH_TEXT - 1 || !mm_hash_parse(text, value)) {
        return unexpected(document, key, found, "a string of 32 hex digits", error);
    }
    return MM_OK;
}

static bool parse_hex64(const char *text, size_t size, uint64_t *value) {
    uint64_t number = 0;
    if (size != 16) return false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                                                : 16;
        if (digit > 15) return false;
        number = number << 4 | digit;
    }
    *value = number;
    return true;
}

mm_status mm_json_need_hex64(const mm_json_document *document, const mm_json *object, const char *key,
                             uint64_t *value, mm_error *error) {
    const mm_json *found;
    mm_status status = need(document, object, key, "16 hex digits", &found, error);
    if (status != MM_OK) return status;
    size_t size;
    const char *text = mm_json_string(found, &size);
    if (!text || !parse_hex64(text, size, value)) {
        return unexpected(document, key, found, "a string of 16 hex digits", error);
    }
    return MM_OK;
}
