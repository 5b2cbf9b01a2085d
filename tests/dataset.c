// A dataset is read as it was written, whatever the range; no damage to any of its files gives other tokens.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "fixture.h"
#include "packed.h"
#include <cmocka.h>
#include <fcntl.h>
#include <mm/data/dataset.h>
#include <mm/files/bgzf.h>
#include <mm/files/publish.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static mm_tokenizer *tokenizer;

static int begin(void **state) {
    tokenizer = packed_tokenizer();
    return fixture_folder(state);
}

static int end(void **state) {
    mm_tokenizer_close(tokenizer);
    return fixture_remove(state);
}

static mm_dataset *open_dataset(const char *path) {
    mm_error error;
    mm_dataset *dataset;
    if (mm_dataset_open(path, &dataset, &error)) fail_msg("%s", error.text);
    return dataset;
}

static int32_t *all_tokens(const mm_dataset *dataset) {
    uint64_t count = mm_dataset_tokens(dataset);
    int32_t *ids = malloc(count * sizeof *ids);
    mm_dataset_cursor *cursor;
    mm_error error;
    assert_non_null(ids);
    mm_status status = mm_dataset_cursor_new(dataset, &cursor, &error);
    if (!status) status = mm_dataset_read(cursor, 0, (int64_t)count, ids, &error);
    if (status) fail_msg("%s", error.text);
    mm_dataset_cursor_free(cursor);
    return ids;
}

// Texts of drawn letters, more than a block of tokens (32,000) in all.
static void pack_large(const char *folder, const char *name, uint64_t shard_tokens) {
    enum { COUNT = 60, SIZE = 1500 };
    static char letters[COUNT][SIZE];
    packed_text texts[COUNT];
    uint64_t seed = 9;
    for (int d = 0; d < COUNT; d++) {
        for (int i = 0; i < SIZE; i++) letters[d][i] = (char)('!' + fixture_draw(&seed) % 94);
        texts[d] = (packed_text){letters[d], fixture_draw(&seed) % SIZE + 1};
    }
    packed_pack(folder, name, texts, COUNT, tokenizer, &(mm_pack_options){.shard_tokens = shard_tokens},
                NULL);
}

static void any_range_reads_as_the_whole_does(void **state) {
    char path[FIXTURE_PATH];
    uint64_t seed = 31;
    print_message("seed %llu\n", (unsigned long long)seed);
    pack_large(*state, "one", 0);
    pack_large(*state, "many", 7000);
    mm_dataset *one = open_dataset(fixture_path(path, *state, "one"));
    mm_dataset *many = open_dataset(fixture_path(path, *state, "many"));
    uint64_t tokens = mm_dataset_tokens(one);
    assert_int_equal(mm_dataset_shards(one), 1);
    assert_in_range(mm_dataset_shards(many), 4, 10);
    assert_true(tokens > MM_DATASET_BLOCK_BYTES / 2);
    assert_int_equal(mm_dataset_tokens(many), tokens);
    int32_t *expected = all_tokens(one), *out = malloc(tokens * sizeof *out);
    mm_dataset_cursor *cursor;
    assert_non_null(out);
    assert_int_equal(mm_dataset_cursor_new(many, &cursor, NULL), MM_OK);
    for (int i = 0; i < 300; i++) {
        uint64_t first = fixture_draw(&seed) % (tokens + 1);
        uint64_t count = fixture_draw(&seed) % (tokens - first + 1) >> fixture_draw(&seed) % 16;
        assert_int_equal(mm_dataset_read(cursor, first, (int64_t)count, out, NULL), MM_OK);
        if (count) assert_memory_equal(out, expected + first, count * sizeof *out);
    }
    for (uint64_t d = 0; d < mm_dataset_documents(one); d++)
        assert_int_equal(mm_dataset_document_end(many, d), mm_dataset_document_end(one, d));
    assert_false(mm_hash_equal(mm_dataset_hash(one), mm_dataset_hash(many)));
    mm_dataset_cursor_free(cursor);
    free(out);
    free(expected);
    mm_dataset_close(one);
    mm_dataset_close(many);
}

// What a reader with nothing but gzip and the specification sees.
static void a_shards_file_is_gzip_of_little_endian_tokens(void **state) {
    char path[FIXTURE_PATH];
    pack_large(*state, "plain", 0);
    mm_dataset *dataset = open_dataset(fixture_path(path, *state, "plain"));
    int32_t *ids = all_tokens(dataset);
    mm_gzin *in;
    assert_int_equal(mm_gzin_open(fixture_path(path, *state, "plain/tokens-00000.gz"), &in, NULL), MM_OK);
    mm_text raw = {0};
    for (;;) {
        char piece[4096];
        size_t got;
        assert_int_equal(mm_gzin_read(in, piece, sizeof piece, &got, NULL), MM_OK);
        if (!got) break;
        mm_text_add(&raw, piece, got);
    }
    mm_gzin_close(in);
    assert_int_equal(raw.size, 2 * mm_dataset_tokens(dataset));
    for (size_t i = 0; i < raw.size / 2; i++)
        assert_int_equal((unsigned char)raw.data[2 * i] | (unsigned char)raw.data[2 * i + 1] << 8, ids[i]);
    // dataset.json names the hash of that stream.
    char hash[MM_HASH_TEXT];
    size_t size;
    char *json = fixture_read(fixture_path(path, *state, "plain/dataset.json"), &size);
    assert_non_null(strstr(json, mm_hash_print(mm_hash_bytes(raw.data, raw.size), hash)));
    free(json);
    mm_text_free(&raw);
    free(ids);
    mm_dataset_close(dataset);
}

// dataset.json with the first `from` replaced by `to`, and what opening or checking it says: NULL for
// nothing.
static const char *edited(const char *folder, const char *from, const char *to, mm_error *error) {
    char path[FIXTURE_PATH], data[FIXTURE_PATH];
    fixture_path(data, folder, "edit");
    size_t size;
    char *json = fixture_read(fixture_path(path, data, "dataset.json"), &size);
    const char *at = strstr(json, from);
    if (!at) fail_msg("no %s in dataset.json", from);
    mm_text changed = {0};
    mm_text_add(&changed, json, (size_t)(at - json));
    mm_text_add_string(&changed, to);
    mm_text_add_string(&changed, at + strlen(from));
    fixture_write(path, changed.data, changed.size);
    mm_dataset *dataset;
    mm_status status = mm_dataset_open(data, &dataset, error);
    if (!status) {
        status = mm_dataset_check(dataset, NULL, NULL, error);
        mm_dataset_close(dataset);
    }
    fixture_write(path, json, size);
    mm_text_free(&changed);
    free(json);
    return status ? error->text : NULL;
}

static void dataset_json_is_read_strictly(void **state) {
    static const packed_text texts[] = {{"The lazy dog", 12}, {"the quick fox", 13}};
    packed_pack(*state, "edit", texts, 2, tokenizer, NULL, NULL);
    static const struct {
        const char *from, *to, *says; // says NULL: it is accepted
    } cases[] = {
        {"{", "{\"later\": [1, {}],", NULL},
        {"\"documents\": 2", "\"documents_\": 7", NULL},
        {"\"text_bytes\": 25", "\"more\": 0", NULL},
        {"\"mm-dataset\"", "\"other\"", "other"},
        {"\"version\": 1", "\"version\": 2", "version"},
        {"\"version\": 1", "\"version\": 1, \"version\": 1", "dataset.json"},
        {"\"token_bytes\": 2", "\"token_bytes\": 4", "token_bytes"},
        {"\"block_bytes\": 64000", "\"block_bytes\": 65000", "block_bytes"},
        {"\"vocab_size\": 300", "\"vocab_size\": 301", "vocab_size"},
        {"\"vocab_size\": 300", "\"vocab_size\": 1e99", "vocab_size"},
        {"\"bos\": 1", "\"bos\": 300", "bos"},
        {"\"bos\": 1", "\"bos\": 3", "bos"},
        {"\"eos\": 2", "\"eos\": 1", "eos"},
        {"\"eos\": 2", "\"eos\": -1", "eos"},
        {"\"documents\": 2", "\"documents\": 3", "documents"},
        {"\"tokens\": ", "\"tokens\": 1", "tokens"},
        {"\"text_bytes\": 25", "\"text_bytes\": 26", "text_bytes"},
        {"tokens-00000.gz", "../edit/tokens-00000.gz", "../edit"},
        {"\"unicode\"", "\"unicorn\"", "unicode"},
        {"\"shards\": [", "\"shards\": [], \"shards_\": [", "shards"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mm_error error;
        const char *says = edited(*state, cases[i].from, cases[i].to, &error);
        if (!cases[i].says && says) fail_msg("%s: %s", cases[i].to, says);
        if (!cases[i].says) continue;
        if (!says) fail_msg("%s: accepted", cases[i].to);
        if (!strstr(says, cases[i].says) || !strstr(says, "dataset.json"))
            fail_msg("%s: \"%s\" does not say \"%s\" and dataset.json", cases[i].to, says, cases[i].says);
    }
}

static void copy_file(const char *from, const char *to) {
    size_t size;
    char *data = fixture_read(from, &size);
    fixture_write(to, data, size);
    free(data);
}

static void files_that_disagree_are_both_named(void **state) {
    static const packed_text longer[] = {{"The lazy dog", 12}, {"x", 1}}, shorter[] = {{"The", 3}, {"x", 1}};
    packed_pack(*state, "longer", longer, 2, tokenizer, NULL, NULL);
    packed_pack(*state, "shorter", shorter, 2, tokenizer, NULL, NULL);
    char from[FIXTURE_PATH], to[FIXTURE_PATH];
    copy_file(fixture_path(from, *state, "shorter/documents-00000.gz"),
              fixture_path(to, *state, "longer/documents-00000.gz"));
    copy_file(fixture_path(from, *state, "longer/tokens-00000.gz"),
              fixture_path(to, *state, "shorter/tokens-00000.gz"));
    for (int i = 0; i < 2; i++) {
        mm_error error;
        mm_dataset *dataset;
        assert_int_equal(
            mm_dataset_open(fixture_path(to, *state, i ? "longer" : "shorter"), &dataset, &error),
            MM_TROUBLE);
        assert_non_null(strstr(error.text, "tokens-00000.gz"));
        assert_non_null(strstr(error.text, "documents-00000.gz"));
    }
}

static void a_document_end_that_does_not_rise_is_refused(void **state) {
    static const packed_text texts[] = {{"~~~", 3}, {"~", 1}, {"~", 1}};
    packed_pack(*state, "ends", texts, 3, tokenizer, NULL, NULL);
    // 5, 8, 11 would be right.
    static const unsigned char bad[][3] = {{5, 5, 11}, {8, 5, 11},  {5, 6, 11},
                                           {1, 8, 11}, {5, 12, 11}, {0, 8, 11}};
    char path[FIXTURE_PATH], data[FIXTURE_PATH];
    fixture_path(data, *state, "ends");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        unsigned char raw[24] = {0};
        for (int d = 0; d < 3; d++) raw[8 * d] = bad[i][d];
        remove(fixture_path(path, data, "documents-00000.gz"));
        fixture_bgzf(path, MM_DATASET_BLOCK_BYTES, 6, raw, sizeof raw, NULL);
        mm_error error;
        mm_dataset *dataset;
        assert_int_equal(mm_dataset_open(data, &dataset, &error), MM_TROUBLE);
        assert_non_null(strstr(error.text, "documents-00000.gz"));
        assert_non_null(strstr(error.text, "expected"));
        assert_non_null(strstr(error.text, "ends at token"));
    }
}

// Another raw stream for one of the files of a dataset, with its hash in dataset.json.
static void forge(const char *folder, const char *name, const char *key, const void *raw, size_t size) {
    char path[FIXTURE_PATH], hash[MM_HASH_TEXT];
    mm_hash made;
    remove(fixture_path(path, folder, name));
    fixture_bgzf(path, MM_DATASET_BLOCK_BYTES, 6, raw, size, &made);
    size_t json_size;
    char *json = fixture_read(fixture_path(path, folder, "dataset.json"), &json_size),
         *at = strstr(json, key);
    assert_non_null(at);
    memcpy(at + strlen(key), mm_hash_print(made, hash), MM_HASH_TEXT - 1);
    fixture_write(path, json, json_size);
    free(json);
}

// Documents of ids 1 a a a 2, 1 a 2, 1 a 2, with a number of the files changed and the hashes made right.
static void what_hashes_cannot_show_is_checked(void **state) {
    static const packed_text texts[] = {{"~~~", 3}, {"~", 1}, {"~", 1}};
    char path[FIXTURE_PATH];
    packed_pack(*state, "forged", texts, 3, tokenizer, NULL, NULL);
    mm_dataset *dataset = open_dataset(fixture_path(path, *state, "forged"));
    int32_t *ids = all_tokens(dataset);
    mm_dataset_close(dataset);
    unsigned char tokens[22] = {0}, ends[24] = {5, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 11};
    for (int i = 0; i < 11; i++) tokens[2 * i] = (unsigned char)ids[i];
    free(ids);
    static const struct {
        int token, value, end, value_end;
        const char *says;
    } cases[] = {
        {5, 3, 0, 5, "begins document 1"},
        {7, 3, 0, 5, "ends document 1"},
        {4, 3, 0, 5, "ends document 0"},
        {0, 1, 0, 6, "ends document 0"},
        {0, 1, 8, 9, "ends document 1"},
        {2, 0x12c, 0, 5, "less than 300"},
        {0, 1, 0, 5, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char raw[22], raw_ends[24];
        memcpy(raw, tokens, sizeof raw);
        memcpy(raw_ends, ends, sizeof raw_ends);
        raw[2 * cases[i].token] = (unsigned char)(cases[i].value & 0xff);
        raw[2 * cases[i].token + 1] = (unsigned char)(cases[i].value >> 8);
        raw_ends[cases[i].end] = (unsigned char)cases[i].value_end;
        forge(path, "tokens-00000.gz", "\"tokens_xxh128\": \"", raw, sizeof raw);
        forge(path, "documents-00000.gz", "\"documents_xxh128\": \"", raw_ends, sizeof raw_ends);
        mm_error error = {"nothing"};
        dataset = open_dataset(path);
        mm_status status = mm_dataset_check(dataset, NULL, NULL, &error);
        assert_int_equal(status, cases[i].says ? MM_TROUBLE : MM_OK);
        if (cases[i].says && (!strstr(error.text, cases[i].says) || !strstr(error.text, "tokens-00000.gz")))
            fail_msg("\"%s\" does not say \"%s\"", error.text, cases[i].says);
        mm_dataset_close(dataset);
    }
}

// A small dataset as it should be, to compare a damaged one with.
typedef struct dataset_copy {
    char path[FIXTURE_PATH];
    uint64_t tokens, documents;
    int32_t *ids;
    uint64_t ends[8];
    int refused, harmless;
} dataset_copy;

static bool same(const mm_dataset *dataset, const dataset_copy *whole) {
    if (mm_dataset_tokens(dataset) != whole->tokens || mm_dataset_documents(dataset) != whole->documents ||
        mm_dataset_vocab(dataset) != 300 || mm_dataset_bos(dataset) != 1 || mm_dataset_eos(dataset) != 2)
        return false;
    for (uint64_t d = 0; d < whole->documents; d++)
        if (mm_dataset_document_end(dataset, d) != whole->ends[d]) return false;
    uint64_t text = mm_dataset_text_bytes(dataset);
    int32_t *ids = all_tokens(dataset);
    bool equal = memcmp(ids, whole->ids, whole->tokens * sizeof *ids) == 0;
    free(ids);
    return equal && (text == 49 || text == 0);
}

// Opens and checks it: refused with the file's name, or the same as before.
static void judge(dataset_copy *whole, const char *name, size_t at, int value) {
    mm_error error;
    mm_dataset *dataset;
    mm_status status = mm_dataset_open(whole->path, &dataset, &error);
    if (!status) {
        status = mm_dataset_check(dataset, NULL, NULL, &error);
        if (!status && !same(dataset, whole)) fail_msg("%s byte %zu as %d: another dataset", name, at, value);
        mm_dataset_close(dataset);
    }
    if (!status) {
        whole->harmless++;
        return;
    }
    assert_int_equal(status, MM_TROUBLE);
    if (!strstr(error.text, name))
        fail_msg("%s byte %zu as %d: \"%s\" does not name it", name, at, value, error.text);
    whole->refused++;
}

// Of the 255 other values of a byte: all with MM_TEST_EXHAUSTIVE set, else each single bit and every other
// digit.
static bool wanted(int change, unsigned char now, const char *name) {
    static const char digits[] = "0123456789abcdef";
    if (getenv("MM_TEST_EXHAUSTIVE")) return true;
    if (strcmp(name, "tokenizer.json") == 0) return change == 0x80; // it is hashed whole
    bool digit = memchr(digits, now, 16) && memchr(digits, now ^ change, 16);
    return (change & (change - 1)) == 0 || digit;
}

static void damage(dataset_copy *whole, const char *name) {
    char path[FIXTURE_PATH];
    size_t size;
    char *bytes = fixture_read(fixture_path(path, whole->path, name), &size);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    for (size_t i = 0; i < size; i++) {
        for (int change = 1; change < 256; change++) {
            unsigned char now = (unsigned char)bytes[i], value = (unsigned char)(now ^ change);
            if (!wanted(change, now, name)) continue;
            assert_int_equal(pwrite(fd, &value, 1, (off_t)i), 1);
            judge(whole, name, i, value);
        }
        assert_int_equal(pwrite(fd, &bytes[i], 1, (off_t)i), 1);
    }
    for (size_t left = size; left-- > 0;) {
        assert_int_equal(ftruncate(fd, (off_t)left), 0);
        judge(whole, name, left, -1);
    }
    assert_int_equal(pwrite(fd, bytes, size, 0), (ssize_t)size);
    assert_int_equal(pwrite(fd, "x", 1, (off_t)size), 1);
    judge(whole, name, size, -2);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    close(fd);
    free(bytes);
}

static void every_change_of_a_byte_and_every_truncation_is_refused_or_harmless(void **state) {
    static const packed_text texts[] = {
        {"The lazy dog", 12}, {"", 0}, {"x", 1}, {"over the river and\tdown, on and on..", 36}};
    static const char *const files[] = {"dataset.json",       "tokens-00000.gz",    "tokens-00001.gz",
                                        "documents-00000.gz", "documents-00001.gz", "tokenizer.json"};
    packed_pack(*state, "small", texts, 4, tokenizer, &(mm_pack_options){.shard_tokens = 12}, NULL);
    dataset_copy whole = {0};
    mm_dataset *dataset = open_dataset(fixture_path(whole.path, *state, "small"));
    assert_int_equal(mm_dataset_shards(dataset), 2);
    whole.tokens = mm_dataset_tokens(dataset);
    whole.documents = mm_dataset_documents(dataset);
    whole.ids = all_tokens(dataset);
    for (uint64_t d = 0; d < whole.documents; d++) whole.ends[d] = mm_dataset_document_end(dataset, d);
    mm_dataset_close(dataset);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        damage(&whole, files[i]);
        print_message("%s: %d refused, %d harmless so far\n", files[i], whole.refused, whole.harmless);
    }
    // Harmless are blanks of JSON, the Unicode version, and the spare bits behind deflate's end.
    assert_true(whole.refused > 20 * whole.harmless);
    judge(&whole, "dataset", 0, 0);
    free(whole.ids);
}

static void rising(void *self, uint64_t done, uint64_t total) {
    uint64_t *last = self;
    assert_true(done > last[0] && done <= total);
    last[0] = done, last[1] = total;
}

static void checking_reports_its_progress(void **state) {
    char path[FIXTURE_PATH];
    pack_large(*state, "progress", 7000);
    mm_dataset *dataset = open_dataset(fixture_path(path, *state, "progress"));
    uint64_t last[2] = {0, 0};
    assert_int_equal(mm_dataset_check(dataset, rising, last, NULL), MM_OK);
    assert_int_equal(last[0], mm_dataset_tokens(dataset));
    assert_int_equal(last[1], last[0]);
    mm_dataset_close(dataset);
}

static void what_is_no_dataset_is_said_so(void **state) {
    char path[FIXTURE_PATH];
    mm_error error;
    mm_dataset *dataset;
    assert_int_equal(mm_dataset_open(fixture_path(path, *state, "nowhere"), &dataset, &error), MM_TROUBLE);
    assert_null(dataset);
    assert_non_null(strstr(error.text, "nowhere/dataset.json"));
    assert_non_null(strstr(error.text, "mm pack"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_range_reads_as_the_whole_does),
        cmocka_unit_test(a_shards_file_is_gzip_of_little_endian_tokens),
        cmocka_unit_test(dataset_json_is_read_strictly),
        cmocka_unit_test(files_that_disagree_are_both_named),
        cmocka_unit_test(a_document_end_that_does_not_rise_is_refused),
        cmocka_unit_test(what_hashes_cannot_show_is_checked),
        cmocka_unit_test(every_change_of_a_byte_and_every_truncation_is_refused_or_harmless),
        cmocka_unit_test(checking_reports_its_progress),
        cmocka_unit_test(what_is_no_dataset_is_said_so),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
