// A dataset directory: whatever opens reads as the same tokens in any ranges, and what its check lets pass is
// documents from bos to eos. An input is a mode, a length of samples, dataset.json, tokens and documents of
// two shards, and tokenizer.json; an absent file is not there, an absent tokenizer.json is a small one of our
// own.
#include "fuzz.h"

#include <mm/base/text.h>
#include <mm/data/dataset.h>
#include <mm/data/plan.h>
#include <mm/data/tokenizer.h>
#include <stdlib.h>
#include <string.h>

// BUILT: tokens and documents are what stands in their blocks. HASHED: dataset.json names their hashes. WIDE:
// the small tokenizer has more than 65,536 ids, so tokens have 4 bytes.
enum { BUILT = 1, HASHED = 2, WIDE = 4, DOCUMENTS = 8, SHUFFLED = 16 };
enum { MANIFEST, FILES, TOKENIZER = 5, PIECES = 6, MOST_TOKENS = 1 << 20 };
// Jansson's values are up to 80 times the text they are made of; ends that rise do not shrink that far.
enum { MEMORY = 1 << 20, MEMORY_FACTOR = 200 };
static const char *const names[PIECES] = {"dataset.json",    "tokens-00000.gz",    "documents-00000.gz",
                                          "tokens-00001.gz", "documents-00001.gz", "tokenizer.json"};

static fuzz_piece small_tokenizer(bool wide) {
    enum { FILLING = 16200 };
    static mm_text text[2];
    if (text[wide].data) return (fuzz_piece){text[wide].data, text[wide].size};
    mm_text *t = &text[wide];
    mm_text_add_string(
        t, "{\"added_tokens\": [], \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"use_regex\": true, "
           "\"add_prefix_space\": false, \"trim_offsets\": true}, \"model\": {\"type\": \"BPE\", \"vocab\": "
           "{\"<|im_start|>\": 1, \"<|im_end|>\": 2, \"a\": 3, \"b\": 4, \"ab\": 5");
    for (int i = 0; wide && i < FILLING; i++) mm_text_format(t, ", \"%d\": %d", i, i + 6);
    mm_text_format(t, "%s}, \"merges\": [[\"a\", \"b\"]]}}", wide ? ", \"last\": 65536" : "");
    fuzz_assert(!t->failed);
    return (fuzz_piece){t->data, t->size};
}

static void put_dataset(unsigned mode, fuzz_piece *pieces) {
    if (!pieces[TOKENIZER].data) pieces[TOKENIZER] = small_tokenizer(mode & WIDE);
    char *manifest = fuzz_copy(pieces[MANIFEST]);
    size_t size = pieces[MANIFEST].size;
    if (mode & HASHED) {
        for (int i = FILES; i < TOKENIZER; i++)
            fuzz_set_hash(manifest, size, (i - FILES) % 2 ? "documents_xxh128" : "tokens_xxh128",
                          (i - FILES) / 2,
                          mm_hash_bytes(pieces[i].data ? pieces[i].data : "", pieces[i].size));
        fuzz_set_hash(manifest, size, "tokenizer_xxh128", 0,
                      mm_hash_bytes(pieces[TOKENIZER].data, pieces[TOKENIZER].size));
    }
    for (int i = FILES; i < PIECES; i++) {
        if (mode & BUILT && i < TOKENIZER)
            fuzz_put_bgzf(names[i], pieces[i], MM_DATASET_BLOCK_BYTES);
        else
            fuzz_put(names[i], pieces[i]);
    }
    fuzz_put(names[MANIFEST], (fuzz_piece){manifest, size});
    free(manifest);
}

// All tokens; NULL if they cannot be read.
static int32_t *read_tokens(const mm_dataset *dataset, const char *folder, uint64_t draws) {
    uint64_t count = mm_dataset_tokens(dataset);
    int32_t *all = malloc((count + 1) * sizeof *all), *part = malloc((count + 1) * sizeof *part);
    mm_dataset_cursor *cursor;
    mm_error error;
    fuzz_assert(all && part && mm_dataset_cursor_new(dataset, &cursor, &error) == MM_OK);
    mm_status status = mm_dataset_read(cursor, 0, (int64_t)count, all, &error);
    for (int i = 0; i < 8 && !status; i++) {
        uint64_t first = fuzz_draw(&draws) % (count + 1), size = fuzz_draw(&draws) % (count - first + 1);
        fuzz_assert(mm_dataset_read(cursor, first, (int64_t)size, part, &error) == MM_OK);
        fuzz_assert(memcmp(part, all + first, size * sizeof *part) == 0);
    }
    for (uint64_t i = 0; i < count && !status; i++)
        fuzz_assert(all[i] >= 0 && all[i] < mm_dataset_vocab(dataset));
    if (status) fuzz_said(status, &error, folder);
    mm_dataset_cursor_free(cursor);
    free(part);
    if (!status) return all;
    free(all);
    return NULL;
}

static void check_documents(const mm_dataset *dataset, const int32_t *tokens) {
    uint64_t start = 0;
    for (uint64_t d = 0; d < mm_dataset_documents(dataset); d++) {
        uint64_t end = mm_dataset_document_end(dataset, d);
        fuzz_assert(end >= start + 2 && end <= mm_dataset_tokens(dataset));
        if (tokens)
            fuzz_assert(tokens[start] == mm_dataset_bos(dataset) &&
                        tokens[end - 1] == mm_dataset_eos(dataset));
        start = end;
    }
    fuzz_assert(start == mm_dataset_tokens(dataset));
}

static void check_plan(const mm_dataset *dataset, unsigned mode, int64_t seq_len, uint64_t draws) {
    mm_plan plan;
    mm_error error;
    mm_packing packing = mode & DOCUMENTS ? MM_PACKING_DOCUMENT : MM_PACKING_WINDOW;
    if (mm_plan_make(&plan, dataset, packing, seq_len, mode & SHUFFLED, draws, &error)) return;
    fuzz_assert(plan.samples >= 1);
    for (int i = 0; i < 32; i++) {
        mm_sample sample = mm_plan_position(&plan, fuzz_draw(&draws) >> 8);
        fuzz_assert(sample.index < plan.samples && sample.rows >= 1 && sample.rows <= seq_len);
        fuzz_assert(sample.first + (uint64_t)sample.rows + !sample.closed <= mm_dataset_tokens(dataset));
    }
}

static void use(const char *folder, unsigned mode, int64_t seq_len, uint64_t draws) {
    mm_dataset *dataset;
    mm_error error;
    mm_status status = mm_dataset_open(folder, &dataset, &error);
    if (status) {
        fuzz_said(status, &error, folder);
        return;
    }
    if (mm_dataset_tokens(dataset) < MOST_TOKENS) {
        int32_t *tokens = read_tokens(dataset, folder, draws);
        status = mm_dataset_check(dataset, NULL, NULL, &error);
        if (status) fuzz_said(status, &error, folder);
        fuzz_assert(tokens || status);
        check_documents(dataset, status ? NULL : tokens);
        check_plan(dataset, mode, seq_len, draws);
        free(tokens);
    }
    mm_dataset_close(dataset);
}

// What opens the folder for its tokenizer has the dataset's marks. (Patterns may take more memory than a
// dataset.)
static void check_marks(const char *folder) {
    mm_dataset *dataset;
    mm_tokenizer *tokenizer;
    mm_error error;
    mm_status status = mm_tokenizer_open(folder, &tokenizer, &error);
    if (status) {
        fuzz_said(status, &error, "");
        return;
    }
    if (mm_dataset_open(folder, &dataset, &error) == MM_OK) {
        fuzz_assert(mm_tokenizer_bos(tokenizer) == mm_dataset_bos(dataset) &&
                    mm_tokenizer_eos(tokenizer) == mm_dataset_eos(dataset));
        mm_dataset_close(dataset);
    }
    mm_tokenizer_close(tokenizer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_piece pieces[PIECES];
    char folder[FUZZ_PATH];
    if (size < 2) return 0;
    fuzz_split(data + 2, size - 2, pieces, PIECES);
    put_dataset(data[0], pieces);
    uint64_t draws = mm_hash_bytes(data, size).low;
    fuzz_path(folder, ".");
    fuzz_memory_begin();
    use(folder, data[0], 1 + data[1], draws);
    fuzz_memory_end(MEMORY + 8 * (size_t)MOST_TOKENS, MEMORY_FACTOR);
    check_marks(folder);
    return 0;
}
