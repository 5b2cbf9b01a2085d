// Text: .txt, .jsonl and .json, plain or gzip. Documents are the same read again, and in pieces. An input is
// a mode, the most bytes of a piece, and the file.
#include "fuzz.h"

#include <mm/data/text_source.h>
#include <stdlib.h>
#include <string.h>

enum { JSONL = 1, COMPRESSED = 2, SPLIT = 4, SKIP_BAD = 8, OTHER_FIELD = 16, NAMED_GZIP = 32, JSON = 64 };
// A source reads a MiB at a time and doubles its room; Jansson makes up to 80 bytes of one. A line that is
// packed may have 4 MiB whatever the file's size.
enum { MEMORY = 6 << 20, PACKED_MEMORY = 160 << 20, MEMORY_FACTOR = 100 };

typedef struct documents {
    mm_status status;
    uint64_t count, bad;
    mm_hash hash; // of sizes and bytes
} documents;

static void take(mm_hasher *all, mm_hasher *one, uint64_t *size, documents *found) {
    const mm_hash hash = mm_hasher_end(one);
    const uint64_t facts[] = {*size, hash.low, hash.high};
    mm_hasher_add(all, facts, sizeof facts);
    mm_hasher_reset(one);
    *size = 0;
    found->count++;
}

static documents read_documents(mm_text_source *source, const char *name, size_t most) {
    mm_error error;
    documents found = {0};
    mm_hasher *all = mm_hasher_new(), *one = mm_hasher_new();
    uint64_t size = 0, done, total;
    bool more = true, ends = true, within = false;
    fuzz_assert(all && one);
    while (more) {
        const char *text, *first;
        size_t got;
        found.status = mm_text_next_piece(source, most, &text, &got, &ends, &more, &error);
        mm_text_progress(source, &done, &total);
        fuzz_assert(done <= total);
        found.bad = mm_text_bad(source, &first);
        fuzz_assert(found.bad == 0 || (strstr(first, name) && strstr(first, " line ")));
        if (found.status || !more) break;
        mm_hasher_add(one, text, got);
        size += got;
        within = !ends;
        if (ends) take(all, one, &size, &found);
    }
    if (found.status)
        fuzz_said(found.status, &error, name);
    else
        fuzz_assert(!within);
    found.hash = mm_hasher_end(all);
    mm_hasher_free(all);
    mm_hasher_free(one);
    return found;
}

static void read_thrice(const char *name, const mm_text_options *options, size_t most) {
    char path[FUZZ_PATH];
    const char *const inputs[] = {fuzz_path(path, name)};
    mm_error error;
    mm_text_source *source;
    if (mm_text_open(inputs, 1, options, &source, &error)) fuzz_said(MM_OK, &error, "no trouble");
    fuzz_assert(mm_text_can_rewind(source));
    documents whole = read_documents(source, name, SIZE_MAX);
    for (int i = 0; i < 2; i++) {
        fuzz_assert(mm_text_rewind(source, &error) == MM_OK);
        documents again = read_documents(source, name, i ? most : SIZE_MAX);
        fuzz_assert(again.status == whole.status);
        if (whole.status) continue;
        fuzz_assert(again.count == whole.count && again.bad == whole.bad &&
                    mm_hash_equal(again.hash, whole.hash));
    }
    mm_text_close(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"text.txt",    "text.jsonl",    "text.json",
                                        "text.txt.gz", "text.jsonl.gz", "text.json.gz"};
    if (size < 2) return 0;
    unsigned mode = data[0];
    unsigned kind = mode & JSON ? 2 : mode & JSONL;
    const char *name = names[kind + (mode & (COMPRESSED | NAMED_GZIP) ? 3 : 0)];
    // An option that the file does not heed is refused.
    const mm_text_options options = {.split = mode & SPLIT && kind != JSONL ? "--" : NULL,
                                     .field = mode & OTHER_FIELD && kind ? "t" : NULL,
                                     .skip_bad = mode & SKIP_BAD && kind};
    fuzz_piece rest = {(const char *)data + 2, size - 2};
    if (mode & COMPRESSED)
        fuzz_put_gzip(name, rest);
    else
        fuzz_put(name, rest);
    fuzz_memory_begin();
    read_thrice(name, &options, data[1] + 1u);
    fuzz_memory_end(mode & (COMPRESSED | NAMED_GZIP) ? PACKED_MEMORY : MEMORY, MEMORY_FACTOR);
    return 0;
}
