#include <mm/data/text_source.h>

#include "text_source_files.h"
#include <mm/files/bgzf.h>
#include <mm/files/json.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 20 }; // bytes read at a time

struct mm_text_source {
    mm_text_files files;
    char *split; // NULL: none
    size_t split_size;
    char *field;

    size_t current; // file
    mm_gzin *in;    // of the current file; NULL before it is opened
    bool ended;     // all of it is in the buffer
    bool given;     // it was one document, which has been given

    char *data; // bytes begin to end - 1 are read and not yet given
    size_t begin, end, capacity;
    uint64_t offset; // of data[begin] in the file's text
    uint64_t line;   // lines before data[begin]

    mm_json_document *document; // the line that the last text belongs to
    uint64_t files_done;        // bytes of the files before the current one
    uint64_t text_read;         // bytes of text read of the current one
};

static const char *name_of(const mm_text_source *source) {
    const char *path = source->files.file[source->current].path;
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

static mm_status make_room(mm_text_source *source, mm_error *error) {
    if (source->begin) {
        memmove(source->data, source->data + source->begin, source->end - source->begin);
        source->end -= source->begin;
        source->begin = 0;
    }
    if (source->capacity - source->end >= PIECE) return MM_OK;
    size_t capacity = source->capacity ? 2 * source->capacity : 2 * (size_t)PIECE;
    char *grown = capacity > source->capacity ? realloc(source->data, capacity) : NULL;
    if (!grown)
        return mm_trouble(error, "%s: no memory for a document of more than %zu bytes; --split cuts it up",
                          name_of(source), source->end);
    source->data = grown;
    source->capacity = capacity;
    return MM_OK;
}

// One more piece of the current file; moves what is not yet given to the buffer's front.
static mm_status read_piece(mm_text_source *source, mm_error *error) {
    mm_status status = make_room(source, error);
    if (status) return status;
    size_t got;
    status = mm_gzin_read(source->in, source->data + source->end, PIECE, &got, error);
    if (status) return status;
    source->end += got;
    source->text_read += got;
    source->ended = got == 0;
    return MM_OK;
}

// The line that begins `from` bytes after data[begin]: its size without the newline, and whether there is one
// (the file's last line may have none).
static mm_status find_line(mm_text_source *source, size_t from, size_t *size, bool *newline,
                           mm_error *error) {
    size_t seen = 0;
    for (;;) {
        size_t left = source->end - source->begin - from - seen;
        const char *line = left ? source->data + source->begin + from : NULL;
        const char *found = left ? memchr(line + seen, '\n', left) : NULL;
        *size = found ? (size_t)(found - line) : seen + left;
        *newline = found != NULL;
        if (found || source->ended) return MM_OK;
        seen += left;
        mm_status status = read_piece(source, error);
        if (status) return status;
    }
}

static void consume(mm_text_source *source, size_t size) {
    source->begin += size;
    source->offset += size;
}

typedef struct document {
    const char *text; // NULL: the file has no further document
    size_t size;
} document;

static mm_status next_whole(mm_text_source *source, document *out, mm_error *error) {
    if (source->given) return MM_OK;
    while (!source->ended) {
        mm_status status = read_piece(source, error);
        if (status) return status;
    }
    source->given = true;
    *out = (document){source->data + source->begin, source->end - source->begin};
    consume(source, out->size);
    return MM_OK;
}

// A line equal to `split` ends a document, which does not hold the newline before that line; what follows the
// last such line is a document if it is not empty.
static mm_status next_split(mm_text_source *source, document *out, mm_error *error) {
    size_t before = 0, size, used;
    bool newline, is_split;
    do {
        mm_status status = find_line(source, before, &size, &newline, error);
        if (status) return status;
        is_split = (newline || size) && size == source->split_size &&
                   memcmp(source->data + source->begin + before, source->split, size) == 0;
        used = before + size + newline;
        if (!is_split) before = used;
    } while (newline && !is_split);
    if (!used) return MM_OK;
    *out = (document){source->data + source->begin, is_split && before ? before - 1 : before};
    consume(source, used);
    return MM_OK;
}

static bool is_blank(const char *line, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r') return false;
    return true;
}

static mm_status parse_line(mm_text_source *source, size_t size, document *out, mm_error *error) {
    const char *line = source->data + source->begin;
    mm_text name = {0};
    mm_text_format(&name, "%s line %llu (byte %llu)", name_of(source), (unsigned long long)source->line + 1,
                   (unsigned long long)source->offset);
    mm_status status = name.failed ? mm_trouble(error, "%s: no memory", name_of(source))
                                   : mm_json_parse(line, size, name.data, &source->document, error);
    if (status) source->document = NULL;
    const mm_json *root = status ? NULL : mm_json_root(source->document), *text;
    if (!status && mm_json_kind_of(root) != MM_JSON_OBJECT)
        status = mm_trouble(error, "%s: %s, expected an object with \"%s\"", name.data,
                            mm_json_kind_name(mm_json_kind_of(root)), source->field);
    if (!status) status = mm_json_need(source->document, root, source->field, MM_JSON_STRING, &text, error);
    if (!status) out->text = mm_json_string(text, &out->size);
    mm_text_free(&name);
    return status;
}

static mm_status next_jsonl(mm_text_source *source, document *out, mm_error *error) {
    for (;;) {
        size_t size;
        bool newline;
        mm_status status = find_line(source, 0, &size, &newline, error);
        if (status || (!newline && !size)) return status;
        bool blank = is_blank(source->data + source->begin, size);
        if (!blank) status = parse_line(source, size, out, error);
        if (status) return status;
        consume(source, size + newline);
        source->line++;
        if (!blank) return MM_OK;
    }
}

static mm_status open_current(mm_text_source *source, mm_error *error) {
    mm_status status = mm_gzin_open(source->files.file[source->current].path, &source->in, error);
    if (status) {
        source->in = NULL;
        return status;
    }
    source->ended = source->given = false;
    source->begin = source->end = 0;
    source->offset = source->line = source->text_read = 0;
    return MM_OK;
}

static void close_current(mm_text_source *source) {
    if (source->in) mm_gzin_close(source->in);
    source->in = NULL;
}

static void free_document(mm_text_source *source) {
    if (source->document) mm_json_free(source->document);
    source->document = NULL;
}

mm_status mm_text_next(mm_text_source *source, const char **text, size_t *size, bool *more, mm_error *error) {
    free_document(source);
    *more = false;
    while (source->current < source->files.count) {
        const mm_text_file *file = &source->files.file[source->current];
        document found = {0};
        mm_status status = source->in ? MM_OK : open_current(source, error);
        if (!status)
            status = file->jsonl     ? next_jsonl(source, &found, error)
                     : source->split ? next_split(source, &found, error)
                                     : next_whole(source, &found, error);
        if (status) return status;
        if (found.text) {
            *text = found.text;
            *size = found.size;
            *more = true;
            return MM_OK;
        }
        close_current(source);
        source->files_done += file->bytes;
        source->text_read = 0;
        source->current++;
    }
    return MM_OK;
}

bool mm_text_can_rewind(const mm_text_source *source) {
    return source->files.regular;
}

mm_status mm_text_rewind(mm_text_source *source, mm_error *error) {
    for (size_t i = 0; i < source->files.count; i++)
        if (!source->files.file[i].regular)
            return mm_trouble(error, "%s: not a file that can be read twice", source->files.file[i].path);
    free_document(source);
    close_current(source);
    source->current = 0;
    source->files_done = source->text_read = 0;
    return MM_OK;
}

void mm_text_progress(const mm_text_source *source, uint64_t *done, uint64_t *total) {
    *total = source->files.bytes;
    *done = source->files_done;
    if (source->current == source->files.count) return;
    const mm_text_file *file = &source->files.file[source->current];
    // Where a compressed file stands is not known; text packs to about a third.
    uint64_t read = file->gz ? source->text_read / 3 : source->text_read;
    *done += file->regular && read > file->bytes ? file->bytes : read;
}

mm_status mm_text_open(const char *const *inputs, int count, const mm_text_options *options,
                       mm_text_source **source, mm_error *error) {
    *source = NULL;
    if (options->split && strchr(options->split, '\n'))
        return mm_trouble(error, "--split: the line holds a newline; expected one line without its newline");
    mm_text_source *made = calloc(1, sizeof *made);
    if (!made) return mm_trouble(error, "no memory to read text");
    mm_status status = mm_text_files_list(&made->files, inputs, count, error);
    if (!status) {
        made->field = strdup(options->field ? options->field : "text");
        made->split = options->split ? strdup(options->split) : NULL;
        if (!made->field || (options->split && !made->split))
            status = mm_trouble(error, "no memory to read text");
    }
    if (status) {
        mm_text_close(made);
        return status;
    }
    made->split_size = made->split ? strlen(made->split) : 0;
    *source = made;
    return MM_OK;
}

void mm_text_close(mm_text_source *source) {
    if (!source) return;
    free_document(source);
    close_current(source);
    mm_text_files_free(&source->files);
    free(source->data);
    free(source->split);
    free(source->field);
    free(source);
}
