// JSON: read by Jansson (the only place of it; duplicate keys are refused, NUL characters allowed, text as
// pointer and length), written by a small writer of our own, whose numbers give their bits back. LC_NUMERIC
// must be "C".
#ifndef MM_FILES_JSON_H
#define MM_FILES_JSON_H

#include <mm/base/hash.h>
#include <mm/base/status.h>
#include <mm/base/text.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A value within a document; it lives as long as the document.
typedef struct mm_json mm_json;
// A whole document, with the name that messages give it.
typedef struct mm_json_document mm_json_document;

// `name` (a path, or "run.json line 7") is copied, and `text` is not kept. Depth is limited by Jansson, to
// 2048. A whole number beyond 64 bits is read as the nearest real. A text is refused that holds far more
// values than text of its size should, or more than memory has room for. *document is NULL after trouble;
// free it with mm_json_free. Values and strings are the document's; any number of threads may read one.
MM_CHECKED mm_status mm_json_parse(const char *text, size_t size, const char *name,
                                   mm_json_document **document, mm_error *error);
// Of other programs' JSON Lines. What JSON has no number for (NaN and Infinity, as Python writes them; 1e999)
// is null. *guilty after trouble: the text is what is wrong. Memory that ran out is not the text's fault.
MM_CHECKED mm_status mm_json_parse_line(const char *text, size_t size, const char *name,
                                        mm_json_document **document, bool *guilty, mm_error *error);
// Bytes of a model's config.json and of a tokenizer_config.json, whoever reads them.
enum { MM_CONFIG_JSON_MOST = 1 << 20, MM_TOKENIZER_CONFIG_MOST = 1 << 24 };
// A file of at most `limit` bytes, as mm_json_parse; mm_json_read_inside: of that name in the folder, and
// *document NULL also where nothing has the name.
MM_CHECKED mm_status mm_json_read_inside(const char *folder, const char *name, size_t limit,
                                         mm_json_document **document, mm_error *error);
MM_CHECKED mm_status mm_json_read(const char *path, size_t limit, mm_json_document **document,
                                  mm_error *error);
// NULL is allowed.
void mm_json_free(mm_json_document *document);
const mm_json *mm_json_root(const mm_json_document *document);
const char *mm_json_name(const mm_json_document *document);

typedef enum mm_json_kind {
    MM_JSON_NULL,
    MM_JSON_BOOL,
    MM_JSON_INTEGER,
    MM_JSON_REAL,
    MM_JSON_STRING,
    MM_JSON_ARRAY,
    MM_JSON_OBJECT
} mm_json_kind;

// Looking. A NULL value is MM_JSON_NULL; wrong kinds give NULL, 0, false: ask mm_json_kind_of first, or use
// need_*.
mm_json_kind mm_json_kind_of(const mm_json *value);
const char *mm_json_kind_name(mm_json_kind kind);
const mm_json *mm_json_get(const mm_json *object, const char *key); // NULL if absent or not an object
size_t mm_json_size(const mm_json *value);                          // of an array or an object
const mm_json *mm_json_at(const mm_json *array, size_t index);
const char *mm_json_string(const mm_json *value, size_t *size); // *size may be NULL
int64_t mm_json_integer(const mm_json *value);
double mm_json_number(const mm_json *value); // integer or real
bool mm_json_true(const mm_json *value);
// Members of an object in the file's order, by an iterator, since by number would be quadratic; NULL at the
// end.
const void *mm_json_first(const mm_json *object);
const void *mm_json_next(const mm_json *object, const void *iterator);
const char *mm_json_key(const void *iterator, size_t *size);
const mm_json *mm_json_value(const void *iterator);

// Needing: trouble names the document, the key, what was found and what was expected. `object` may be a value
// of any kind, or NULL, which has no key. After trouble *value is NULL where it is a pointer, else as it was.
MM_CHECKED mm_status mm_json_need(const mm_json_document *document, const mm_json *object, const char *key,
                                  mm_json_kind kind, const mm_json **value, mm_error *error);
MM_CHECKED mm_status mm_json_need_integer(const mm_json_document *document, const mm_json *object,
                                          const char *key, int64_t least, int64_t most, int64_t *value,
                                          mm_error *error);
MM_CHECKED mm_status mm_json_need_number(const mm_json_document *document, const mm_json *object,
                                         const char *key, double least, double most, double *value,
                                         mm_error *error);
// The string must hold no NUL.
MM_CHECKED mm_status mm_json_need_string(const mm_json_document *document, const mm_json *object,
                                         const char *key, const char **value, mm_error *error);
// A string of 32 lower-case hex digits; of 16 for mm_json_need_hex64.
MM_CHECKED mm_status mm_json_need_hash(const mm_json_document *document, const mm_json *object,
                                       const char *key, mm_hash *value, mm_error *error);
MM_CHECKED mm_status mm_json_need_hex64(const mm_json_document *document, const mm_json *object,
                                        const char *key, uint64_t *value, mm_error *error);

// Writing into a growing text. Commas, newlines and indentation are the writer's; a wrong nesting asserts.
// Nothing follows the last value: a newline at the end is the caller's. Integers above int64 go into hex
// strings.
enum { MM_JSON_DEPTH = 16 };
typedef struct mm_json_writer {
    mm_text *out;
    int indent; // spaces a level; 0: all on one line, as `{"a": 1, "b": 2}`
    int depth;
    bool first[MM_JSON_DEPTH];   // nothing written yet at this level
    bool inline_[MM_JSON_DEPTH]; // this level stays on one line
    bool object[MM_JSON_DEPTH];  // this level is an object, else an array
    bool after_key;
} mm_json_writer;
mm_json_writer mm_json_writer_on(mm_text *out, int indent);
void mm_json_open_object(mm_json_writer *w);
void mm_json_open_array(mm_json_writer *w);
// The same, kept on one line within an indented text.
void mm_json_open_inline_object(mm_json_writer *w);
void mm_json_open_inline_array(mm_json_writer *w);
void mm_json_close(mm_json_writer *w);
void mm_json_put_key(mm_json_writer *w, const char *key);
void mm_json_put_key_n(mm_json_writer *w, const char *key, size_t size);
// Bytes that are not UTF-8 become U+FFFD.
void mm_json_put_string(mm_json_writer *w, const char *text);
void mm_json_put_string_n(mm_json_writer *w, const char *text, size_t size);
void mm_json_put_integer(mm_json_writer *w, int64_t value);
void mm_json_put_bool(mm_json_writer *w, bool value);
void mm_json_put_null(mm_json_writer *w);
// The shortest of %.15g, %.16g, %.17g that reads back as the same bits; always with a '.' or an 'e', so that
// it stays a real; null if not finite.
void mm_json_put_double(mm_json_writer *w, double value);
void mm_json_put_hash(mm_json_writer *w, mm_hash hash);
void mm_json_put_hex64(mm_json_writer *w, uint64_t value); // 16 hex digits, a string
// A value as it was read, whole, in the writer's layout (but arrays without containers on one line).
void mm_json_put_value(mm_json_writer *w, const mm_json *value);
// key and value in one.
void mm_json_pair_string(mm_json_writer *w, const char *key, const char *value); // NULL value: null
void mm_json_pair_integer(mm_json_writer *w, const char *key, int64_t value);
void mm_json_pair_bool(mm_json_writer *w, const char *key, bool value);
void mm_json_pair_double(mm_json_writer *w, const char *key, double value);
void mm_json_pair_hash(mm_json_writer *w, const char *key, mm_hash value);
void mm_json_pair_hex64(mm_json_writer *w, const char *key, uint64_t value);

#endif
