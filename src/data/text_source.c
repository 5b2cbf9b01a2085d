#include <mm/data/text_source.h>

#include "text_cut.h"
#include "text_source_files.h"
#include <assert.h>
#include <mm/files/bgzf.h>
#include <mm/files/json.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 20 }; // bytes read at a time
// Most bytes of a document or line that must be held whole: at least HELD_BYTES, and HELD_RATIO for each byte
// of the file so far. Text is not packed more tightly; what is was made to fill memory.
enum { HELD_BYTES = 1 << 22, HELD_RATIO = 64 };

struct mm_text_source {
    mm_text_files files;
    mm_text name; // of them all
    char *split;  // NULL: none
    size_t split_size;
    char *field;
    bool skip_bad;
    const volatile sig_atomic_t *stop;
    size_t most; // bytes of a piece; SIZE_MAX: documents are whole

    size_t current; // file
    mm_gzin *in;    // of the current file; NULL before it is opened
    bool ended;     // all of it is in the buffer
    bool given;     // it was one document, which has been given
    bool inside;    // data[begin] is within a line, whose beginning has been given

    char *data; // bytes begin to end - 1 are read and not yet given
    size_t begin, end, capacity;
    uint64_t offset; // of data[begin] in the file's text
    uint64_t line;   // lines before data[begin]

    mm_json_document *document; // the line that the last text belongs to
    uint64_t files_done;        // bytes of the files before the current one
    uint64_t bad;               // lines left out
    mm_error first_bad;
};

static const char *file_name(const mm_text_source *source, size_t file) {
    const char *path = source->files.file[file].path;
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

static const char *name_of(const mm_text_source *source) {
    return file_name(source, source->current);
}

// A document far larger than those that follow does not keep its room.
static void give_back(mm_text_source *source) {
    size_t left = source->end - source->begin;
    if (source->capacity <= 4 * (size_t)PIECE || left > PIECE) return;
    if (left) memmove(source->data, source->data + source->begin, left);
    source->begin = 0;
    source->end = left;
    char *smaller = realloc(source->data, 2 * (size_t)PIECE);
    if (!smaller) return;
    source->data = smaller;
    source->capacity = 2 * (size_t)PIECE;
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
    source->ended = got == 0;
    size_t held = source->end - source->begin;
    uint64_t read = mm_gzin_position(source->in);
    if (held > HELD_BYTES + HELD_RATIO * read)
        return mm_trouble(
            error,
            "%s: found %zu bytes of one document in the first %llu of the file, expected no text to be "
            "packed as tightly; unpack the file first if it is one",
            name_of(source), held, (unsigned long long)read);
    return source->ended ? mm_gzin_unchanged(source->in, error) : MM_OK;
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

typedef struct piece {
    const char *text; // NULL: the file has no further document
    size_t size;
    bool ends; // the document
} piece;

// The first `size` bytes of the buffer, if they can be cut at source->most or behind; *from, 0 at first, is
// where to look on when there are more.
static bool cut(mm_text_source *source, size_t size, size_t *from, piece *out) {
    enum { LOOKS_BACK = 4 };
    if (size <= source->most) return false;
    const char *text = source->data + source->begin;
    size_t at = mm_text_cut(text, size, *from > source->most ? *from : source->most);
    *from = size > LOOKS_BACK ? size - LOOKS_BACK : 0;
    if (!at) return false;
    *out = (piece){text, at, false};
    source->inside = text[at - 1] != '\n';
    consume(source, at);
    return true;
}

static mm_status next_whole(mm_text_source *source, piece *out, mm_error *error) {
    if (source->given) return MM_OK;
    for (size_t from = 0;;) {
        if (cut(source, source->end - source->begin, &from, out)) return MM_OK;
        if (source->ended) break;
        mm_status status = read_piece(source, error);
        if (status) return status;
    }
    source->given = true;
    *out = (piece){source->data + source->begin, source->end - source->begin, true};
    consume(source, out->size);
    return MM_OK;
}

// A line equal to `split` ends a document, which does not hold the newline before that line; what follows the
// last such line is a document if it is not empty.
static mm_status next_split(mm_text_source *source, piece *out, mm_error *error) {
    size_t before = 0, size, used, from = 0;
    bool newline, is_split;
    do {
        // The newline before a split line is never given, nor is anything behind it.
        if (cut(source, before, &from, out)) return MM_OK;
        mm_status status = find_line(source, before, &size, &newline, error);
        if (status) return status;
        is_split = (newline || size) && size == source->split_size && !(before == 0 && source->inside) &&
                   memcmp(source->data + source->begin + before, source->split, size) == 0;
        used = before + size + newline;
        if (!is_split) before = used;
    } while (newline && !is_split);
    source->inside = false;
    if (!used) return MM_OK;
    *out = (piece){source->data + source->begin, is_split && before ? before - 1 : before, true};
    consume(source, used);
    return MM_OK;
}

static void free_document(mm_text_source *source) {
    if (source->document) mm_json_free(source->document);
    source->document = NULL;
}

static bool is_blank(const char *line, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r') return false;
    return true;
}

static mm_status parse_line(mm_text_source *source, size_t size, piece *out, mm_error *error) {
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
    if (!status) *out = (piece){mm_json_string(text, &size), size, true};
    mm_text_free(&name);
    return status;
}

// A bad line that is to be left out gives no text.
static mm_status parse_or_skip(mm_text_source *source, size_t size, piece *out, mm_error *error) {
    mm_error wrong;
    mm_status status = parse_line(source, size, out, source->skip_bad ? &wrong : error);
    if (!status || !source->skip_bad) return status;
    if (!source->bad++) source->first_bad = wrong;
    free_document(source);
    return MM_OK;
}

static mm_status next_jsonl(mm_text_source *source, piece *out, mm_error *error) {
    while (!out->text) {
        size_t size;
        bool newline;
        mm_status status = find_line(source, 0, &size, &newline, error);
        if (status || (!newline && !size)) return status;
        if (!is_blank(source->data + source->begin, size)) status = parse_or_skip(source, size, out, error);
        if (status) return status;
        consume(source, size + newline);
        source->line++;
    }
    return MM_OK;
}

static void close_current(mm_text_source *source) {
    if (source->in) mm_gzin_close(source->in);
    source->in = NULL;
}

static mm_status open_current(mm_text_source *source, mm_error *error) {
    const mm_text_file *file = &source->files.file[source->current];
    mm_status status = mm_gzin_open_until(file->path, source->stop, &source->in, error);
    if (!status && file->gz && mm_gzin_plain(source->in))
        status = mm_trouble(
            error,
            "%s: found no gzip member at its beginning, expected one by its name; it is damaged, or "
            "goes under another name",
            file->path);
    if (status) {
        close_current(source);
        return status;
    }
    source->ended = source->given = source->inside = false;
    source->begin = source->end = 0;
    source->offset = source->line = 0;
    return MM_OK;
}

mm_status mm_text_next_piece(mm_text_source *source, size_t most, const char **text, size_t *size, bool *ends,
                             bool *more, mm_error *error) {
    assert(most >= 1);
    free_document(source);
    give_back(source);
    source->most = most;
    *more = false;
    while (source->current < source->files.count) {
        const mm_text_file *file = &source->files.file[source->current];
        piece found = {0};
        mm_status status = source->in ? MM_OK : open_current(source, error);
        if (!status)
            status = file->jsonl     ? next_jsonl(source, &found, error)
                     : source->split ? next_split(source, &found, error)
                                     : next_whole(source, &found, error);
        if (status) return status;
        if (found.text) {
            *text = found.text;
            *size = found.size;
            *ends = found.ends;
            *more = true;
            return MM_OK;
        }
        close_current(source);
        source->files_done += file->bytes;
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
    source->files_done = source->bad = 0;
    return MM_OK;
}

void mm_text_progress(const mm_text_source *source, uint64_t *done, uint64_t *total) {
    *total = source->files.bytes;
    *done = source->files_done;
    if (source->current == source->files.count) return;
    if (source->in) *done += mm_gzin_position(source->in);
}

uint64_t mm_text_bad(const mm_text_source *source, const char **first) {
    *first = source->first_bad.text;
    return source->bad;
}

const char *mm_text_name(const mm_text_source *source) {
    return source->name.data;
}

static void name_all(mm_text_source *source) {
    size_t more = source->files.count - 1;
    mm_text_add_string(&source->name, file_name(source, 0));
    if (more) mm_text_format(&source->name, " and %zu more file%s", more, more == 1 ? "" : "s");
}

mm_status mm_text_open(const char *const *inputs, int count, const mm_text_options *options,
                       mm_text_source **source, mm_error *error) {
    static const mm_text_options none = {0};
    *source = NULL;
    if (!options) options = &none;
    if (options->split && strchr(options->split, '\n'))
        return mm_trouble(error, "--split: the line holds a newline; expected one line without its newline");
    mm_text_source *made = calloc(1, sizeof *made);
    if (!made) return mm_trouble(error, "no memory to read text");
    made->skip_bad = options->skip_bad;
    made->stop = options->stop;
    mm_status status = mm_text_files_list(&made->files, inputs, count, options->stop, error);
    if (!status) {
        made->field = strdup(options->field ? options->field : "text");
        made->split = options->split ? strdup(options->split) : NULL;
        name_all(made);
        if (!made->field || (options->split && !made->split) || made->name.failed)
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
    mm_text_free(&source->name);
    free(source->data);
    free(source->split);
    free(source->field);
    free(source);
}
