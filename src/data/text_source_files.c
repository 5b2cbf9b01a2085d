#include "text_source_files.h"

#include <dirent.h>
#include <limits.h>
#include <mm/files/publish.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_FOLDERS_DEEP = 40, MOST_FOLDERS = 1 << 17 }; // links make many folders of few

static bool ends_with(const char *name, size_t size, const char *ending) {
    size_t length = strlen(ending);
    return size > length && strncasecmp(name + size - length, ending, length) == 0;
}

// Containers that would only give noise if they were read as text.
static const char *unsupported_ending(const char *name) {
    static const char *const endings[] = {".zst", ".bz2", ".xz",  ".zip",   ".7z",     ".tar",
                                          ".tgz", ".lz4", ".rar", ".arrow", ".parquet"};
    size_t size = strlen(name);
    if (ends_with(name, size, ".tar.gz")) return ".tar.gz";
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends_with(name, size, endings[i])) return endings[i];
    return NULL;
}

// What a name says of the file; false if its ending is none of those that are read in folders. There .json is
// not: settings, tokenizers and indexes go by that name beside the text. Who names one means its text.
static bool known_ending(const char *name, mm_text_file *file) {
    size_t size = strlen(name);
    file->gz = ends_with(name, size, ".gz");
    if (file->gz) size -= strlen(".gz");
    bool lines = ends_with(name, size, ".jsonl") || ends_with(name, size, ".ndjson");
    file->kind = lines ? MM_TEXT_LINES : ends_with(name, size, ".json") ? MM_TEXT_JSON : MM_TEXT_PLAIN;
    return lines || ends_with(name, size, ".txt");
}

static mm_status append(mm_text_files *files, const char *path, const mm_text_file *like, mm_error *error) {
    if (files->count == files->capacity) {
        size_t capacity = files->capacity ? 2 * files->capacity : 16;
        mm_text_file *grown = realloc(files->file, capacity * sizeof *grown);
        if (!grown) return mm_trouble(error, "%s: out of memory for the list of input files", path);
        files->file = grown;
        files->capacity = capacity;
    }
    mm_text_file *file = &files->file[files->count];
    *file = *like;
    file->path = strdup(path);
    if (!file->path) return mm_trouble(error, "%s: out of memory for the list of input files", path);
    files->count++;
    return MM_OK;
}

static mm_status append_file(mm_text_files *files, const char *path, const struct stat *about,
                             mm_error *error) {
    const char *ending = unsupported_ending(path);
    if (ending)
        return mm_trouble(error,
                          "%s: %s files cannot be read, only .txt, .jsonl and .gz of both; unpack it first",
                          path, ending);
    if (S_ISSOCK(about->st_mode) || S_ISBLK(about->st_mode))
        return mm_trouble(error, "%s: neither a file nor a folder; expected text", path);
    if (access(path, R_OK)) return mm_trouble_errno(error, path, "read");
    mm_text_file file = {.regular = S_ISREG(about->st_mode)};
    bool known = known_ending(path, &file);
    if (!known && !file.regular && file.kind == MM_TEXT_PLAIN) file.kind = files->piped;
    file.bytes = file.regular ? (uint64_t)about->st_size : 0;
    return append(files, path, &file, error);
}

static int visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static int by_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

// Where the walk is: links multiply the folders below them.
typedef struct place {
    int depth;
    bool linked; // below a link
} place;

static mm_status append_folder(mm_text_files *files, const char *path, place at, mm_error *error);

static mm_status leave_out(mm_text_files *files, const char *path, mm_error *error) {
    if (!files->others++ && !(files->first_other = strdup(path)))
        return mm_trouble(error, "%s: out of memory for its name", path);
    return MM_OK;
}

static mm_status append_entry(mm_text_files *files, const char *folder, const char *name, place at,
                              mm_error *error) {
    char path[PATH_MAX];
    mm_status status = mm_path_join(path, sizeof path, folder, name, error);
    if (status) return status;
    struct stat about;
    mm_text_file unused;
    bool link = !lstat(path, &about) && S_ISLNK(about.st_mode), known = known_ending(name, &unused);
    bool there = !stat(path, &about);
    if (!there && known) return mm_trouble_errno(error, path, "look at it");
    if (there && S_ISDIR(about.st_mode))
        return append_folder(files, path, (place){at.depth + 1, at.linked || link}, error);
    if (!known) return leave_out(files, path, error);
    // Who names a pipe waits for it; in a folder nobody asked for it.
    if (!S_ISREG(about.st_mode))
        return mm_trouble(error,
                          "%s: found a pipe or device in a folder of text, expected regular files; name it "
                          "itself to read it",
                          path);
    return append_file(files, path, &about, error);
}

// The files with a known ending, and the folders within, sorted by the bytes of their names.
static mm_status append_folder(mm_text_files *files, const char *path, place at, mm_error *error) {
    if (at.depth > MOST_FOLDERS_DEEP)
        return mm_trouble(error, "%s: more than %d folders deep; a loop of links?", path, MOST_FOLDERS_DEEP);
    if (at.linked && ++files->folders > MOST_FOLDERS)
        return mm_trouble(error,
                          "%s: more than %d folders, counted by every way that links lead to them; expected "
                          "fewer: name the folders themselves",
                          path, MOST_FOLDERS);
    if (files->stop && *files->stop)
        return mm_fail(error, MM_INTERRUPTED, "%s: interrupted while its files were looked for", path);
    struct dirent **entries;
    int count = scandir(path, &entries, visible, by_bytes);
    if (count < 0) return mm_trouble_errno(error, path, "read the folder");
    mm_status status = MM_OK;
    for (int i = 0; i < count; i++) {
        if (!status) status = append_entry(files, path, entries[i]->d_name, at, error);
        free(entries[i]);
    }
    free(entries);
    return status;
}

static mm_status append_standard_input(mm_text_files *files, mm_error *error) {
    for (size_t i = 0; i < files->count; i++)
        if (strcmp(files->file[i].path, "-") == 0)
            return mm_trouble(error, "-: standard input is named twice, but can be read once");
    return append(files, "-", &(mm_text_file){.kind = files->piped}, error);
}

static mm_status append_input(mm_text_files *files, const char *input, mm_error *error) {
    if (strcmp(input, "-") == 0) return append_standard_input(files, error);
    if (!*input)
        return mm_trouble(error,
                          "\"\": an input without a name; expected a file, a folder, or - for standard "
                          "input (is a variable of the shell empty?)");
    struct stat about;
    if (stat(input, &about)) return mm_trouble_errno(error, input, "open");
    if (!S_ISDIR(about.st_mode)) return append_file(files, input, &about, error);
    size_t before = files->count;
    uint64_t others = files->others;
    mm_status status = append_folder(files, input, (place){.depth = 1}, error);
    if (status || files->count > before) return status;
    return mm_trouble(
        error,
        "%s: no .txt, .jsonl or .ndjson file in this folder, nor .gz of them, but %llu of other "
        "endings, which are read as text when they are named one by one",
        input, (unsigned long long)(files->others - others));
}

mm_status mm_text_files_list(mm_text_files *files, const char *const *inputs, int count, mm_text_kind piped,
                             const volatile sig_atomic_t *stop, mm_error *error) {
    *files = (mm_text_files){.regular = true, .piped = piped, .stop = stop};
    if (count < 1)
        return mm_trouble(error, "no input; expected text files, folders of them, or - for standard input");
    for (int i = 0; i < count; i++) {
        mm_status status = append_input(files, inputs[i], error);
        if (status) return status;
    }
    for (size_t i = 0; i < files->count; i++) {
        files->regular &= files->file[i].regular;
        files->bytes += files->file[i].bytes;
    }
    if (!files->regular) files->bytes = 0;
    return MM_OK;
}

bool mm_text_files_have(const mm_text_files *files, mm_text_kind kind) {
    for (size_t i = 0; i < files->count; i++)
        if (files->file[i].kind == kind) return true;
    return false;
}

void mm_text_files_free(mm_text_files *files) {
    for (size_t i = 0; i < files->count; i++) free(files->file[i].path);
    free(files->file);
    free(files->first_other);
    *files = (mm_text_files){0};
}
