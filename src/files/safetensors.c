#include "io.h"
#include "safetensors_format.h"

#include <mm/base/half.h>
#include <mm/files/json.h>
#include <mm/files/safetensors.h>

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mm_safetensors {
    char *path;
    int fd;
    uint64_t data;              // offset of the data in the file
    uint64_t data_bytes;        // to the end of the file
    mm_json_document *document; // owns the names
    int count;
    mm_safetensors_entry *entries;  // in the order of their bytes
    mm_safetensors_entry **by_name; // the same, in the order of their names
};

// Every type of the format, and mm's where it has one.
static const struct {
    const char *name;
    int bits;
    bool known;
    mm_type type;
} types[] = {
    {"F32", 32, true, MM_F32},   {"F64", 64, true, MM_F64}, {"F16", 16, true, MM_F16},
    {"BF16", 16, true, MM_BF16}, {"I32", 32, true, MM_I32}, {"U32", 32, true, MM_U32},
    {"U64", 64, true, MM_U64},   {"I64", 64, false, 0},     {"I16", 16, false, 0},
    {"U16", 16, false, 0},       {"I8", 8, false, 0},       {"U8", 8, false, 0},
    {"BOOL", 8, false, 0},       {"F8_E4M3", 8, false, 0},  {"F8_E5M2", 8, false, 0},
    {"F8_E8M0", 8, false, 0},    {"F6_E2M3", 6, false, 0},  {"F6_E3M2", 6, false, 0},
    {"F4", 4, false, 0},         {"C64", 64, false, 0},
};
enum { TYPES = sizeof types / sizeof *types };

__attribute__((format(printf, 4, 5))) static mm_status bad_tensor(mm_error *error, const mm_safetensors *file,
                                                                  const char *name, const char *format, ...) {
    char text[400];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    return mm_trouble(error, "%s: tensor \"%.200s\": %s; the file is damaged, restore it or write it again",
                      file->path, name, text);
}

// The shape into the entry, and its product. More dimensions than a tensor of ours holds make it unreadable,
// not wrong.
static mm_status read_shape(const mm_safetensors *file, const mm_json *shape, mm_safetensors_entry *entry,
                            uint64_t *count, mm_error *error) {
    size_t dims = mm_json_size(shape);
    *count = 1;
    for (size_t i = 0; i < dims; i++) {
        const mm_json *size = mm_json_at(shape, i);
        if (mm_json_kind_of(size) != MM_JSON_INTEGER || mm_json_integer(size) < 0) {
            return bad_tensor(error, file, entry->tensor.name,
                              "found a size in its shape that is no integer from 0, expected only such");
        }
        uint64_t elements = (uint64_t)mm_json_integer(size);
        if (__builtin_mul_overflow(*count, elements, count) || *count > INT64_MAX) {
            return bad_tensor(error, file, entry->tensor.name,
                              "found a shape of 2^63 elements or more, expected what the file can hold");
        }
        if (i < MM_MAX_DIMS) entry->tensor.shape[i] = mm_json_integer(size);
    }
    entry->tensor.dims = dims <= MM_MAX_DIMS ? (int)dims : 0;
    if (dims > MM_MAX_DIMS) {
        entry->known = false;
    } else if (dims == 0) {
        entry->tensor.dims = 1; // a scalar is a tensor of one element
        entry->tensor.shape[0] = 1;
    }
    return MM_OK;
}

// [begin, end) within the data.
static mm_status read_offsets(const mm_safetensors *file, const mm_json *offsets, mm_safetensors_entry *entry,
                              mm_error *error) {
    const mm_json *begin = mm_json_at(offsets, 0), *end = mm_json_at(offsets, 1);
    if (mm_json_size(offsets) != 2 || mm_json_kind_of(begin) != MM_JSON_INTEGER ||
        mm_json_kind_of(end) != MM_JSON_INTEGER) {
        return bad_tensor(error, file, entry->tensor.name,
                          "found data_offsets of another form, expected two integers");
    }
    int64_t from = mm_json_integer(begin), to = mm_json_integer(end);
    if (from < 0 || from > to || (uint64_t)to > file->data_bytes) {
        return bad_tensor(error, file, entry->tensor.name,
                          "found data_offsets [%lld, %lld], expected a range within the %llu bytes of data",
                          (long long)from, (long long)to, (unsigned long long)file->data_bytes);
    }
    entry->offset = file->data + (uint64_t)from;
    entry->bytes = (uint64_t)(to - from);
    return MM_OK;
}

// The type, and that `count` elements of it take the entry's bytes.
static mm_status read_type(const mm_safetensors *file, const char *name, uint64_t count,
                           mm_safetensors_entry *entry, mm_error *error) {
    entry->type_name = name;
    int type = 0;
    while (type < TYPES && strcmp(types[type].name, name) != 0) type++;
    if (type == TYPES) {
        entry->known = false;
        return MM_OK;
    }
    entry->known = entry->known && types[type].known;
    entry->tensor.type = types[type].type;
    uint64_t bits;
    if (__builtin_mul_overflow(count, (uint64_t)types[type].bits, &bits) || bits % 8 != 0 ||
        bits / 8 != entry->bytes) {
        return bad_tensor(error, file, entry->tensor.name,
                          "found %llu bytes of data, expected %llu elements of %d bits (%s)",
                          (unsigned long long)entry->bytes, (unsigned long long)count, types[type].bits,
                          name);
    }
    return MM_OK;
}

static mm_status read_entry(const mm_safetensors *file, const char *name, const mm_json *value,
                            mm_safetensors_entry *entry, mm_error *error) {
    const mm_json *shape, *offsets;
    const char *type;
    uint64_t count;
    mm_error why;
    mm_status status = mm_json_need_string(file->document, value, "dtype", &type, &why);
    if (status == MM_OK) status = mm_json_need(file->document, value, "shape", MM_JSON_ARRAY, &shape, &why);
    if (status == MM_OK)
        status = mm_json_need(file->document, value, "data_offsets", MM_JSON_ARRAY, &offsets, &why);
    if (status != MM_OK) return mm_trouble(error, "%s (in tensor \"%.200s\")", why.text, name);
    memset(entry, 0, sizeof *entry);
    entry->tensor.name = name;
    entry->known = true;
    status = read_shape(file, shape, entry, &count, error);
    if (status == MM_OK) status = read_offsets(file, offsets, entry, error);
    if (status == MM_OK) status = read_type(file, type, count, entry, error);
    return status;
}

static mm_status check_metadata(const mm_safetensors *file, const mm_json *metadata, mm_error *error) {
    if (mm_json_kind_of(metadata) != MM_JSON_OBJECT) {
        return mm_trouble(error, "%s: __metadata__: found %s, expected an object of strings", file->path,
                          mm_json_kind_name(mm_json_kind_of(metadata)));
    }
    for (const void *i = mm_json_first(metadata); i; i = mm_json_next(metadata, i)) {
        size_t size;
        const char *text = mm_json_string(mm_json_value(i), &size);
        if (text && !memchr(text, '\0', size)) continue;
        return mm_trouble(error, "%s: __metadata__: found \"%.200s\" with %s, expected a string without NUL",
                          file->path, mm_json_key(i, NULL),
                          text ? "a NUL in it" : mm_json_kind_name(mm_json_kind_of(mm_json_value(i))));
    }
    return MM_OK;
}

static mm_status read_entries(mm_safetensors *file, mm_error *error) {
    const mm_json *root = mm_json_root(file->document);
    size_t members = mm_json_size(root);
    file->entries = malloc((members + 1) * sizeof *file->entries);
    if (!file->entries) return mm_trouble(error, "%s: out of memory for %zu tensors", file->path, members);
    for (const void *i = mm_json_first(root); i; i = mm_json_next(root, i)) {
        const char *name = mm_json_key(i, NULL);
        mm_status status;
        if (strcmp(name, "__metadata__") == 0) {
            status = check_metadata(file, mm_json_value(i), error);
        } else {
            status = read_entry(file, name, mm_json_value(i), &file->entries[file->count], error);
            file->count++;
        }
        if (status != MM_OK) return status;
    }
    return MM_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(mm_safetensors_entry *const *)a)->tensor.name,
                  (*(mm_safetensors_entry *const *)b)->tensor.name);
}

static mm_status sort_names(mm_safetensors *file, mm_error *error) {
    file->by_name = malloc(((size_t)file->count + 1) * sizeof *file->by_name);
    if (!file->by_name) return mm_trouble(error, "%s: out of memory opening it", file->path);
    for (int i = 0; i < file->count; i++) file->by_name[i] = &file->entries[i];
    qsort(file->by_name, (size_t)file->count, sizeof *file->by_name, by_name);
    return MM_OK;
}

static int by_offset(const void *a, const void *b) {
    const mm_safetensors_entry *x = a, *y = b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->tensor.name, y->tensor.name);
}

// The tensors, in the order of their bytes, cover the data exactly.
static mm_status check_cover(const mm_safetensors *file, mm_error *error) {
    uint64_t at = file->data;
    for (int i = 0; i < file->count; i++) {
        const mm_safetensors_entry *entry = &file->entries[i];
        if (entry->offset != at) {
            return bad_tensor(error, file, entry->tensor.name,
                              "found its data from byte %llu, expected byte %llu, without hole or overlap",
                              (unsigned long long)entry->offset, (unsigned long long)at);
        }
        at += entry->bytes;
    }
    if (at == file->data + file->data_bytes) return MM_OK;
    return mm_trouble(error,
                      "%s: found %llu bytes behind the last tensor, expected none; the file is damaged",
                      file->path, (unsigned long long)(file->data + file->data_bytes - at));
}

static mm_status read_header(mm_safetensors *file, uint64_t file_bytes, mm_error *error) {
    uint64_t length = 0;
    if (file_bytes < LENGTH_BYTES) {
        return mm_trouble(error, "%s: found %llu bytes, expected a safetensors file of at least %d",
                          file->path, (unsigned long long)file_bytes, LENGTH_BYTES);
    }
    mm_status status = mm_io_read_at(file->fd, &length, LENGTH_BYTES, 0, file->path, error);
    if (status != MM_OK) return status;
    uint64_t most = file_bytes - LENGTH_BYTES < HEADER_MAX ? file_bytes - LENGTH_BYTES : HEADER_MAX;
    if (length > most) {
        return mm_trouble(
            error, "%s: found a header of %llu bytes, expected at most %llu; it is no whole safetensors file",
            file->path, (unsigned long long)length, (unsigned long long)most);
    }
    char *text = malloc((size_t)length + 1);
    if (!text) return mm_trouble(error, "%s: out of memory for its header", file->path);
    status = mm_io_read_at(file->fd, text, (size_t)length, LENGTH_BYTES, file->path, error);
    if (status == MM_OK && (length == 0 || text[0] != '{')) {
        status =
            mm_trouble(error, "%s: found no '{' at byte %d, expected the header's; it is no safetensors file",
                       file->path, LENGTH_BYTES);
    }
    if (status == MM_OK) status = mm_json_parse(text, (size_t)length, file->path, &file->document, error);
    free(text);
    file->data = LENGTH_BYTES + length;
    file->data_bytes = file_bytes - file->data;
    return status;
}

void mm_safetensors_close(mm_safetensors *file) {
    if (!file) return;
    if (file->fd >= 0) close(file->fd);
    mm_json_free(file->document);
    free(file->by_name);
    free(file->entries);
    free(file->path);
    free(file);
}

mm_status mm_safetensors_open(const char *path, mm_safetensors **file, mm_error *error) {
    *file = NULL;
    mm_safetensors *made = calloc(1, sizeof *made);
    if (!made) return mm_trouble(error, "%s: out of memory opening it", path);
    made->fd = -1;
    made->path = strdup(path);
    uint64_t bytes = 0;
    mm_status status = made->path ? MM_OK : mm_trouble(error, "%s: out of memory opening it", path);
    if (status == MM_OK) status = mm_io_open(path, &made->fd, &bytes, error);
    if (status == MM_OK) status = read_header(made, bytes, error);
    if (status == MM_OK) status = read_entries(made, error);
    if (status == MM_OK) {
        qsort(made->entries, (size_t)made->count, sizeof *made->entries, by_offset);
        status = check_cover(made, error);
    }
    if (status == MM_OK) status = sort_names(made, error);
    if (status != MM_OK) {
        mm_safetensors_close(made);
        return status;
    }
    *file = made;
    return MM_OK;
}

const char *mm_safetensors_path(const mm_safetensors *file) {
    return file->path;
}
int mm_safetensors_count(const mm_safetensors *file) {
    return file->count;
}

const mm_safetensors_entry *mm_safetensors_at(const mm_safetensors *file, int index) {
    assert(index >= 0 && index < file->count);
    return &file->entries[index];
}

const mm_safetensors_entry *mm_safetensors_find(const mm_safetensors *file, const char *name) {
    mm_safetensors_entry wanted = {.tensor.name = name}, *key = &wanted, **found;
    if (!file->count) return NULL;
    found = bsearch(&key, file->by_name, (size_t)file->count, sizeof key, by_name);
    return found ? *found : NULL;
}

mm_status mm_safetensors_read(const mm_safetensors *file, const mm_safetensors_entry *entry, void *out,
                              mm_error *error) {
    return mm_io_read_at(file->fd, out, entry->bytes, entry->offset, file->path, error);
}

mm_status mm_safetensors_read_part(const mm_safetensors *file, const mm_safetensors_entry *entry,
                                   uint64_t first, size_t count, float *out, mm_error *error) {
    mm_type type = entry->tensor.type;
    if (!entry->known || (type != MM_F32 && type != MM_F16 && type != MM_BF16)) {
        return mm_trouble(
            error, "%s: tensor \"%.200s\": found %s%s, expected F32, F16 or BF16 of at most %d dimensions",
            file->path, entry->tensor.name, entry->type_name,
            entry->tensor.dims == 0 ? " of more dimensions" : "", MM_MAX_DIMS);
    }
    size_t size = mm_type_bytes(type);
    assert(first <= entry->bytes / size && count <= entry->bytes / size - first);
    // 16 bits a number go into the second half of `out`; widening from the front never overtakes them.
    unsigned char *raw = (unsigned char *)out + (sizeof *out - size) * count;
    mm_status status =
        mm_io_read_at(file->fd, raw, count * size, entry->offset + first * size, file->path, error);
    if (status != MM_OK || type == MM_F32) return status;
    for (size_t i = 0; i < count; i++) {
        uint16_t number;
        memcpy(&number, raw + 2 * i, sizeof number);
        out[i] = type == MM_F16 ? mm_from_f16(number) : mm_from_bf16(number);
    }
    return MM_OK;
}

mm_status mm_safetensors_read_float(const mm_safetensors *file, const mm_safetensors_entry *entry, float *out,
                                    mm_error *error) {
    size_t size = entry->known ? mm_type_bytes(entry->tensor.type) : 1;
    return mm_safetensors_read_part(file, entry, 0, (size_t)entry->bytes / size, out, error);
}
