#include <mm/data/text_source.h>

#include "text_cut.h"
#include "text_source_files.h"
#include <assert.h>
#include <mm/base/utf8.h>
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
    bool lines;     // it is JSON Lines
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
        return mm_trouble(error,
                          "%s: out of memory for a document of more than %zu bytes; --split cuts it up",
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
            "%s: found %zu bytes of one document in the first %llu of the file, expected at most %d times as "
            "much, and no text to be packed as tightly; if it is text, unpack it first (gzip -d)",
            name_of(source), held, (unsigned long long)read, HELD_RATIO);
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

// Is the line that begins `before` bytes after data[begin] the split line, with "\r\n" at its end or "\n"?
static bool splits(const mm_text_source *source, size_t before, size_t size, bool newline) {
    const char *line = source->data + source->begin + before;
    if ((!newline && !size) || (before == 0 && source->inside)) return false;
    if (newline && size == source->split_size + 1 && line[size - 1] == '\r') size--;
    return size == source->split_size && memcmp(line, source->split, size) == 0;
}

// Bytes of the document that a split line ends: without the line's end before it, which is "\r\n" only where
// the split line's own is.
static size_t without_end(const mm_text_source *source, size_t before, size_t size) {
    const char *line = source->data + source->begin + before;
    if (!before) return 0;
    bool both = size > source->split_size && before >= 2 && line[-2] == '\r';
    return before - 1 - both;
}

// A line equal to `split` ends a document, which does not hold the line's end before that line; what follows
// the last such line is a document if it is not empty.
static mm_status next_split(mm_text_source *source, piece *out, mm_error *error) {
    size_t before = 0, size, used, from = 0;
    bool newline, is_split;
    do {
        // The newline before a split line is never given, nor is anything behind it.
        if (cut(source, before, &from, out)) return MM_OK;
        mm_status status = find_line(source, before, &size, &newline, error);
        if (status) return status;
        is_split = splits(source, before, size, newline);
        used = before + size + newline;
        if (!is_split) before = used;
    } while (newline && !is_split);
    source->inside = false;
    if (!used) return MM_OK;
    size_t kept = is_split ? without_end(source, before, size) : before;
    *out = (piece){source->data + source->begin, kept, true};
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

// What the line has instead of the field, and how to take that.
static mm_status refuse_members(const mm_text_source *source, const char *name, const mm_json *object,
                                mm_error *error) {
    enum { MOST_KEYS = 6, MOST_BYTES = 40 };
    mm_text keys = {0};
    int count = 0;
    for (const void *i = mm_json_first(object); i; i = mm_json_next(object, i)) {
        size_t size;
        const char *key = mm_json_key(i, &size);
        if (count++ == MOST_KEYS) {
            mm_text_add_string(&keys, ", ...");
            break;
        }
        if (size > MOST_BYTES) size = MOST_BYTES;
        while (size && mm_utf8_continues(key[size])) size--; // whole characters
        mm_text_format(&keys, "%s\"%.*s\"", count > 1 ? ", " : "", (int)size, key);
    }
    mm_status status = mm_trouble(error,
                                  "%s: found no \"%s\" but %s, expected a string there; mm pack --field NAME "
                                  "takes another member",
                                  name, source->field, keys.size ? keys.data : "an empty object");
    mm_text_free(&keys);
    return status;
}

// *guilty: the line is what is wrong, not the machine.
static mm_status parse_named(mm_text_source *source, size_t size, const char *name, piece *out, bool *guilty,
                             mm_error *error) {
    const char *line = source->data + source->begin;
    mm_status status = mm_json_parse_line(line, size, name, &source->document, guilty, error);
    if (status) return status;
    *guilty = true;
    const mm_json *root = mm_json_root(source->document), *text;
    if (mm_json_kind_of(root) != MM_JSON_OBJECT)
        return mm_trouble(error, "%s: %s, expected an object with \"%s\"", name,
                          mm_json_kind_name(mm_json_kind_of(root)), source->field);
    if (!mm_json_get(root, source->field)) return refuse_members(source, name, root, error);
    status = mm_json_need(source->document, root, source->field, MM_JSON_STRING, &text, error);
    if (!status) *out = (piece){mm_json_string(text, &size), size, true};
    return status;
}

static mm_status parse_line(mm_text_source *source, size_t size, piece *out, bool *guilty, mm_error *error) {
    mm_text name = {0};
    mm_text_format(&name, "%s line %llu (byte %llu)", name_of(source), (unsigned long long)source->line + 1,
                   (unsigned long long)source->offset);
    *guilty = false;
    mm_status status = name.failed ? mm_trouble(error, "%s: out of memory", name_of(source))
                                   : parse_named(source, size, name.data, out, guilty, error);
    mm_text_free(&name);
    return status;
}

// A bad line that is to be left out gives no text.
static mm_status parse_or_skip(mm_text_source *source, size_t size, piece *out, mm_error *error) {
    mm_error wrong;
    bool guilty;
    mm_status status = parse_line(source, size, out, &guilty, &wrong);
    if (!status) return MM_OK;
    if (!guilty) return mm_fail(error, status, "%s", wrong.text);
    bool by_name = source->files.file[source->current].kind == MM_TEXT_LINES;
    if (!source->skip_bad)
        return mm_fail(error, status, "%s; %s", wrong.text,
                       by_name
                           ? "mm pack --skip-bad leaves bad lines out"
                           : "a .json file that begins with { is read as one object a line: jq -c . makes "
                             "that of other JSON, and under a name that ends in .txt it is text");
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

// Unicode's mark at a file's beginning: that of UTF-8 is no text, and those of UTF-16 say that the file is
// none that is read here.
static mm_status skip_mark(mm_text_source *source, mm_error *error) {
    enum { LONGEST = 4 };
    while (source->end < LONGEST && !source->ended) {
        mm_status status = read_piece(source, error);
        if (status) return status;
    }
    const char *wide = NULL;
    if (source->end >= 2 && (!memcmp(source->data, "\xff\xfe", 2) || !memcmp(source->data, "\xfe\xff", 2)))
        wide = source->end >= 4 && !memcmp(source->data, "\xff\xfe\0\0", 4) ? "UTF-32" : "UTF-16";
    if (wide)
        return mm_trouble(error, "%s: found %s, expected UTF-8; iconv -f %s -t UTF-8 makes it of the file",
                          name_of(source), wide, wide);
    if (source->end >= 3 && !memcmp(source->data, "\xef\xbb\xbf", 3)) consume(source, 3);
    return MM_OK;
}

// A .json file holds JSON Lines if it begins as an object does, within what is read at once; else text,
// unless options of JSON Lines were given.
static mm_status find_kind(mm_text_source *source, mm_text_kind kind, mm_error *error) {
    source->lines = kind == MM_TEXT_LINES;
    if (kind != MM_TEXT_JSON) return MM_OK;
    const char *at = source->data + source->begin, *end = source->data + source->end;
    while (at < end && strchr(" \t\r\n", *at) && *at) at++;
    if (at < end && *at == '[')
        return mm_trouble(
            error,
            "%s: found a JSON array, expected one object a line; jq -c '.[]' makes that of it, to "
            "be named .jsonl",
            name_of(source));
    source->lines = (at < end && *at == '{') || source->files.piped == MM_TEXT_LINES;
    if (!source->lines || !source->split || mm_text_files_have(&source->files, MM_TEXT_PLAIN)) return MM_OK;
    return mm_trouble(error,
                      "--split: %s holds JSON Lines, where each line is a document; take the option away",
                      name_of(source));
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
    status = skip_mark(source, error);
    return status ? status : find_kind(source, file->kind, error);
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
            status = source->lines   ? next_jsonl(source, &found, error)
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
            return mm_trouble(
                error,
                "%s: found a pipe or device, which cannot be read twice; write its text to a file first",
                file_name(source, i));
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

uint64_t mm_text_others(const mm_text_source *source, const char **first) {
    *first = source->files.first_other ? source->files.first_other : "";
    return source->files.others;
}

const char *mm_text_name(const mm_text_source *source) {
    return source->name.data;
}

static void name_all(mm_text_source *source) {
    size_t more = source->files.count - 1;
    mm_text_add_string(&source->name, file_name(source, 0));
    if (more) mm_text_format(&source->name, " and %zu more file%s", more, more == 1 ? "" : "s");
}

// An option that none of the files heeds would be lost without a word.
static mm_status check_options(const mm_text_source *source, const mm_text_options *options,
                               mm_error *error) {
    const mm_text_files *files = &source->files;
    const char *lines = options->field ? "--field" : options->skip_bad ? "--skip-bad" : NULL;
    if (mm_text_files_have(files, MM_TEXT_JSON)) return MM_OK; // said when they are opened
    if (lines && !mm_text_files_have(files, MM_TEXT_LINES))
        return mm_trouble(
            error,
            "%s: %s is plain text, expected JSON Lines by its name (.jsonl, .ndjson, .json, .gz of "
            "them) or by a pipe",
            lines, source->name.data);
    if (options->split && !mm_text_files_have(files, MM_TEXT_PLAIN))
        return mm_trouble(
            error,
            "--split: %s is JSON Lines, where each line is a document, expected plain text; take "
            "the option away",
            source->name.data);
    return MM_OK;
}

mm_status mm_text_open(const char *const *inputs, int count, const mm_text_options *options,
                       mm_text_source **source, mm_error *error) {
    static const mm_text_options none = {0};
    *source = NULL;
    if (!options) options = &none;
    if (options->split && strchr(options->split, '\n'))
        return mm_trouble(error, "--split: the line holds a newline; expected one line without its newline");
    mm_text_source *made = calloc(1, sizeof *made);
    if (!made) return mm_trouble(error, "reading text: out of memory");
    made->skip_bad = options->skip_bad;
    made->stop = options->stop;
    mm_text_kind piped = options->field || options->skip_bad ? MM_TEXT_LINES : MM_TEXT_PLAIN;
    mm_status status = mm_text_files_list(&made->files, inputs, count, piped, options->stop, error);
    if (!status) {
        made->field = strdup(options->field ? options->field : "text");
        made->split = options->split ? strdup(options->split) : NULL;
        name_all(made);
        if (!made->field || (options->split && !made->split) || made->name.failed)
            status = mm_trouble(error, "reading text: out of memory");
        if (!status) status = check_options(made, options, error);
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
