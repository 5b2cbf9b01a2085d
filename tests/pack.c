// What is packed is what was given, in its order, whole or not at all.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "fixture.h"
#include "packed.h"
#include <cmocka.h>
#include <dirent.h>
#include <mm/data/dataset.h>
#include <mm/files/publish.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mm_tokenizer *tokenizer;

static int begin(void **state) {
    tokenizer = packed_tokenizer();
    return fixture_folder(state);
}

static int end(void **state) {
    mm_tokenizer_close(tokenizer);
    return fixture_remove(state);
}

static mm_dataset *open_dataset(const char *folder, const char *name) {
    char path[FIXTURE_PATH];
    mm_error error;
    mm_dataset *dataset;
    mm_status status = mm_dataset_open(fixture_path(path, folder, name), &dataset, &error);
    if (!status) status = mm_dataset_check(dataset, NULL, NULL, &error);
    if (status) fail_msg("%s", error.text);
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

// Is document d bos, the text's ids, eos?
static void check_document(const mm_dataset *dataset, const int32_t *ids, uint64_t d, packed_text text,
                           bool plain) {
    mm_encoder *encoder;
    mm_ids expected = {0};
    assert_int_equal(mm_encoder_new(tokenizer, &encoder, NULL), MM_OK);
    assert_int_equal(mm_encode(encoder, text.text, text.size, plain, &expected, NULL), MM_OK);
    uint64_t first = d ? mm_dataset_document_end(dataset, d - 1) : 0;
    assert_int_equal(mm_dataset_document_end(dataset, d) - first, expected.size + 2);
    assert_int_equal(ids[first], 1);
    if (expected.size) assert_memory_equal(ids + first + 1, expected.data, expected.size * sizeof *ids);
    assert_int_equal(ids[first + 1 + expected.size], 2);
    mm_ids_free(&expected);
    mm_encoder_free(encoder);
}

static void check_documents(const mm_dataset *dataset, const packed_text *texts, size_t count, bool plain) {
    int32_t *ids = all_tokens(dataset);
    assert_int_equal(mm_dataset_documents(dataset), count);
    for (size_t i = 0; i < count; i++) check_document(dataset, ids, i, texts[i], plain);
    free(ids);
}

static const packed_text odd[] = {
    {"The quick brown fox", 19},
    {"", 0},
    {"a\0b", 3},
    {"<|im_end|> in <|im_start|> text", 31},
    {"\xe6\xb1\x89\xe5\xad\x97\r\n\r\n", 10},
    {"\n", 1},
    {"the end", 7},
};
enum { ODD = sizeof odd / sizeof *odd };

static void documents_come_back_as_they_were_given(void **state) {
    mm_pack_result result;
    for (int plain = 0; plain < 2; plain++) {
        const char *name = plain ? "plain" : "odd";
        packed_pack(*state, name, odd, ODD, tokenizer, &(mm_pack_options){.plain = plain}, &result);
        mm_dataset *dataset = open_dataset(*state, name);
        check_documents(dataset, odd, ODD, plain);
        assert_int_equal(result.documents, ODD);
        assert_int_equal(result.tokens, mm_dataset_tokens(dataset));
        assert_int_equal(result.text_bytes, 71);
        assert_int_equal(mm_dataset_text_bytes(dataset), 71);
        assert_int_equal(mm_dataset_vocab(dataset), 300);
        assert_int_equal(mm_dataset_bos(dataset), 1);
        assert_int_equal(mm_dataset_eos(dataset), 2);
        assert_string_equal(mm_dataset_unicode(dataset), mm_unicode_version());
        mm_dataset_close(dataset);
    }
    char path[FIXTURE_PATH];
    size_t size, expected_size;
    char *copy = fixture_read(fixture_path(path, *state, "odd/tokenizer.json"), &size);
    const char *expected = mm_tokenizer_file(tokenizer, &expected_size);
    assert_int_equal(size, expected_size);
    assert_memory_equal(copy, expected, size);
    free(copy);
}

static void check_marks(const char *folder, const char *name, int32_t expected) {
    char path[FIXTURE_PATH];
    mm_error error;
    mm_tokenizer *opened;
    if (mm_tokenizer_open(fixture_path(path, folder, name), &opened, &error)) fail_msg("%s", error.text);
    assert_int_equal(mm_tokenizer_bos(opened), expected);
    assert_int_equal(mm_tokenizer_eos(opened), expected);
    mm_tokenizer_close(opened);
}

static void write_tokenizer(const char *folder, const char *name, const char *also) {
    char path[FIXTURE_PATH];
    size_t size;
    mm_text text = {0};
    const char *file = mm_tokenizer_file(tokenizer, &size);
    mm_text_add(&text, file, size);
    mm_text_add_string(&text, also);
    fixture_rewrite(fixture_path(path, folder, name), text.data, text.size);
    mm_text_free(&text);
}

// Whoever packs more with a dataset's tokenizer gets documents that begin and end as those of the dataset.
static void a_datasets_tokenizer_has_its_marks(void **state) {
    static const char config[] = "{\"bos_token\": \"<|endoftext|>\", \"eos_token\": \"<|endoftext|>\"}";
    char path[FIXTURE_PATH];
    mm_error error;
    mm_tokenizer *own;
    assert_int_equal(mm_make_folders(fixture_path(path, *state, "own"), &error), MM_OK);
    write_tokenizer(path, "tokenizer.json", "");
    fixture_write(fixture_path(path, *state, "own/tokenizer_config.json"), config, sizeof config - 1);
    // Another program's file of that name says nothing.
    fixture_write(fixture_path(path, *state, "own/dataset.json"), "[]", 2);
    check_marks(*state, "own", 0);
    assert_int_equal(mm_tokenizer_open(fixture_path(path, *state, "own"), &own, &error), MM_OK);
    packed_pack(*state, "marked", odd, ODD, own, &(mm_pack_options){.val_share = 0.3}, NULL);
    mm_tokenizer_close(own);
    check_marks(*state, "marked", 0);
    check_marks(*state, "marked/val/tokenizer.json", 0);
    // The ids would mean nothing to another tokenizer.
    write_tokenizer(*state, "marked/tokenizer.json", "\n");
    assert_int_equal(mm_tokenizer_open(fixture_path(path, *state, "marked"), &own, &error), MM_TROUBLE);
    if (!strstr(error.text, "marked/tokenizer.json") || !strstr(error.text, "dataset.json"))
        fail_msg("%s", error.text);
    unlink(fixture_path(path, *state, "marked/dataset.json"));
    fixture_write(path, "{", 1);
    assert_int_equal(mm_tokenizer_open(fixture_path(path, *state, "marked"), &own, &error), MM_TROUBLE);
    if (!strstr(error.text, "marked/dataset.json")) fail_msg("%s", error.text);
}

static void a_shard_ends_with_the_document_that_reaches_its_size(void **state) {
    packed_pack(*state, "one", odd, ODD, tokenizer, NULL, NULL);
    mm_dataset *one = open_dataset(*state, "one");
    for (uint64_t size = 1; size < 90; size += 8) {
        char name[16];
        snprintf(name, sizeof name, "many-%d", (int)size);
        packed_pack(*state, name, odd, ODD, tokenizer, &(mm_pack_options){.shard_tokens = size}, NULL);
        mm_dataset *many = open_dataset(*state, name);
        check_documents(many, odd, ODD, false);
        uint64_t document = 0, before = 0;
        for (int s = 0; s < mm_dataset_shards(many); s++) {
            uint64_t tokens, documents;
            const char *file;
            mm_dataset_shard(many, s, &tokens, &documents, &file);
            document += documents;
            assert_int_equal(mm_dataset_document_end(one, document - 1), before + tokens);
            if (s + 1 < mm_dataset_shards(many)) assert_true(tokens >= size);
            // Without its last document it was not full.
            uint64_t without = document > 1 ? mm_dataset_document_end(one, document - 2) : 0;
            assert_true(documents == 1 || without - before < size);
            before += tokens;
        }
        assert_int_equal(document, ODD);
        mm_dataset_close(many);
    }
    mm_dataset_close(one);
}

static void the_last_share_is_for_validation(void **state) {
    static const struct {
        double share;
        uint64_t val;
    } cases[] = {{0.01, 1}, {0.29, 2}, {0.5, 4}, {0.999, ODD - 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[16], val[24];
        snprintf(name, sizeof name, "share-%zu", i);
        snprintf(val, sizeof val, "%s/val", name);
        mm_pack_result result;
        packed_pack(*state, name, odd, ODD, tokenizer, &(mm_pack_options){.val_share = cases[i].share},
                    &result);
        mm_dataset *first = open_dataset(*state, name), *last = open_dataset(*state, val);
        check_documents(first, odd, ODD - cases[i].val, false);
        check_documents(last, odd + ODD - cases[i].val, cases[i].val, false);
        assert_int_equal(result.val_documents, cases[i].val);
        assert_int_equal(result.val_tokens, mm_dataset_tokens(last));
        assert_int_equal(result.documents, ODD - cases[i].val);
        assert_int_equal(result.text_bytes + result.val_text_bytes, 71);
        mm_dataset_close(first);
        mm_dataset_close(last);
    }
}

// The small tokenizer with a vocabulary of `vocab`, whose last entry is an added token "<|last|>".
static mm_tokenizer *wide_tokenizer(int vocab) {
    size_t size;
    const char *file = mm_tokenizer_file(tokenizer, &size);
    const char *added = strstr(file, "\"added_tokens\": ["), *entries = strstr(file, "\"vocab\": {");
    assert_true(added && entries && added < entries);
    added += strlen("\"added_tokens\": [");
    entries += strlen("\"vocab\": {");
    mm_text text = {0};
    mm_text_add(&text, file, (size_t)(added - file));
    mm_text_format(&text,
                   "{\"id\": %d, \"content\": \"<|last|>\", \"single_word\": false, \"lstrip\": false, "
                   "\"rstrip\": false, \"normalized\": false, \"special\": false},",
                   vocab - 1);
    mm_text_add(&text, added, (size_t)(entries - added));
    for (int id = mm_tokenizer_vocab(tokenizer); id < vocab - 1; id++)
        mm_text_format(&text, "\"unused%d\": %d,", id, id);
    mm_text_add(&text, entries, size - (size_t)(entries - file));
    mm_tokenizer *wide;
    mm_error error;
    if (mm_tokenizer_parse(text.data, text.size, "wide", &wide, &error)) fail_msg("%s", error.text);
    assert_int_equal(mm_tokenizer_vocab(wide), vocab);
    mm_text_free(&text);
    return wide;
}

static void a_vocabulary_above_65536_takes_four_bytes_a_token(void **state) {
    static const packed_text texts[] = {{"fox <|last|>", 12}, {"<|last|><|last|>", 16}};
    for (int vocab = 65536; vocab <= 65537; vocab++) {
        mm_tokenizer *wide = wide_tokenizer(vocab);
        const char *name = vocab > 65536 ? "four" : "two";
        packed_pack(*state, name, texts, 2, wide, NULL, NULL);
        mm_tokenizer_close(wide);
        mm_dataset *dataset = open_dataset(*state, name);
        int32_t *ids = all_tokens(dataset);
        uint64_t end = mm_dataset_document_end(dataset, 0);
        const int32_t last[] = {vocab - 1, 2, 1, vocab - 1, vocab - 1, 2};
        assert_int_equal(mm_dataset_tokens(dataset), end + 4);
        assert_memory_equal(ids + end - 2, last, sizeof last);
        free(ids);
        mm_dataset_close(dataset);
        char path[FIXTURE_PATH];
        size_t size;
        char file[32];
        snprintf(file, sizeof file, "%s/dataset.json", name);
        char *json = fixture_read(fixture_path(path, *state, file), &size);
        assert_non_null(strstr(json, vocab > 65536 ? "\"token_bytes\": 4" : "\"token_bytes\": 2"));
        free(json);
    }
}

static mm_status pack_input(const char *folder, const char *input, const char *split, const char *out,
                            const mm_pack_options *options, mm_error *error) {
    char path[FIXTURE_PATH];
    mm_text_source *source;
    mm_pack_result result;
    const char *const inputs[] = {input};
    if (mm_text_open(inputs, 1, &(mm_text_options){.split = split}, &source, error))
        fail_msg("%s", error->text);
    mm_status status = mm_pack(fixture_path(path, folder, out), source, tokenizer, options, &result, error);
    mm_text_close(source);
    return status;
}

// A second reading of standard input comes from a copy.
static void standard_input_may_have_a_validation_share(void **state) {
    char path[FIXTURE_PATH];
    fixture_write(fixture_path(path, *state, "input"), "a\n%\n%\nthe fox\n%\nb", 17);
    assert_non_null(freopen(path, "rb", stdin));
    mm_error error;
    if (pack_input(*state, "-", "%", "spooled", &(mm_pack_options){.val_share = 0.3}, &error))
        fail_msg("%s", error.text);
    static const packed_text texts[] = {{"a", 1}, {"", 0}, {"the fox", 7}, {"b", 1}};
    mm_dataset *first = open_dataset(*state, "spooled"), *last = open_dataset(*state, "spooled/val");
    check_documents(first, texts, 3, false);
    check_documents(last, texts + 3, 1, false);
    mm_dataset_close(first);
    mm_dataset_close(last);
}

static int entries(const char *folder) {
    int count = 0;
    DIR *open = opendir(folder);
    assert_non_null(open);
    while (readdir(open)) count++;
    closedir(open);
    return count;
}

static void trouble_leaves_nothing_behind(void **state) {
    static const struct {
        const char *file, *content, *split, *out, *says;
        double share;
    } cases[] = {
        {"t.txt", "", NULL, "new", "/t.txt: found 1 document of 0 bytes", 0.0},
        {"t.txt", "", "%", "new", "/t.txt: no document", 0.0},
        {"t.txt", "%\n%\n", "%", "new", "/t.txt: found 2 documents of 0 bytes", 0.0},
        {"t.txt", "%\n%\n", "%", "new", "/t.txt: found 2 documents of 0 bytes", 0.5},
        {"t.txt", "one document", NULL, "new", "/t.txt has 1 document, expected at least 2", 0.1},
        {"t.txt", "", "%", "new", "/t.txt has 0 documents, expected at least 2", 0.1},
        {"t.txt", "text", NULL, "taken", "taken", 0.0},
        {"t.jsonl", "{\"text\": \"good\"}\n{\"text\": \n", NULL, "new", "t.jsonl line 2", 0.0},
    };
    char base[FIXTURE_PATH], path[FIXTURE_PATH], input[FIXTURE_PATH];
    fixture_path(base, *state, "trouble");
    assert_int_equal(mm_make_folders(fixture_path(path, base, "taken"), NULL), MM_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_write(fixture_path(input, base, cases[i].file), cases[i].content, strlen(cases[i].content));
        int before = entries(base);
        mm_error error;
        mm_pack_options options = {.val_share = cases[i].share};
        assert_int_equal(pack_input(base, input, cases[i].split, cases[i].out, &options, &error), MM_TROUBLE);
        if (!strstr(error.text, cases[i].says))
            fail_msg("\"%s\" does not say \"%s\"", error.text, cases[i].says);
        assert_int_equal(entries(base), before);
    }
}

// Of all files of the dataset, one after another.
static void add_files(const char *folder, const char *name, mm_text *out) {
    char path[FIXTURE_PATH], base[FIXTURE_PATH];
    struct dirent **files;
    int count = scandir(fixture_path(base, folder, name), &files, NULL, alphasort);
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        if (files[i]->d_name[0] != '.') {
            size_t size;
            char *data = fixture_read(fixture_path(path, base, files[i]->d_name), &size);
            mm_text_add_string(out, files[i]->d_name);
            mm_text_add(out, data, size);
            free(data);
        }
        free(files[i]);
    }
    free(files);
}

// Some megabytes: more than a batch, documents longer than a batch and shorter than a line.
static void write_long_text(const char *path) {
    uint64_t draws = 17;
    print_message("seed %llu\n", (unsigned long long)draws);
    mm_text text = {0};
    for (int i = 0; i < 60000; i++) {
        uint64_t draw = fixture_draw(&draws);
        mm_text_format(&text, "The fox %llx runs over the river.%s", (unsigned long long)draw,
                       draw % 7 ? "\n" : "\n\n");
        if (i < 2000 || i % 25000 == 0) mm_text_add_string(&text, "%\n");
    }
    fixture_write(path, text.data, text.size);
    mm_text_free(&text);
}

static void workers_never_move_a_byte(void **state) {
    char path[FIXTURE_PATH], name[16];
    fixture_path(path, *state, "long.txt");
    write_long_text(path);
    mm_text first = {0};
    static const int workers[] = {1, 2, 3};
    for (size_t i = 0; i < 3; i++) {
        mm_error error;
        mm_pack_options options = {.workers = workers[i], .shard_tokens = 50000};
        snprintf(name, sizeof name, "by-%d", workers[i]);
        if (pack_input(*state, path, "%", name, &options, &error)) fail_msg("%s", error.text);
        mm_text files = {0};
        add_files(*state, name, &files);
        if (i) assert_int_equal(files.size, first.size);
        if (i) assert_memory_equal(files.data, first.data, first.size);
        if (i) mm_text_free(&files);
        if (!i) first = files;
        mm_dataset_close(open_dataset(*state, name));
    }
    mm_text_free(&first);
}

// One document of some megabytes, packed in pieces, is what encoding it at once gives.
static void a_long_document_is_packed_as_one(void **state) {
    char path[FIXTURE_PATH];
    fixture_path(path, *state, "long.txt");
    write_long_text(path);
    mm_error error;
    if (pack_input(*state, path, NULL, "whole", &(mm_pack_options){.workers = 2}, &error))
        fail_msg("%s", error.text);
    packed_text text;
    char *data = fixture_read(path, &text.size);
    text.text = data;
    mm_dataset *dataset = open_dataset(*state, "whole");
    check_documents(dataset, &text, 1, false);
    mm_dataset_close(dataset);
    free(data);
}

static void an_interrupted_pack_leaves_nothing(void **state) {
    char path[FIXTURE_PATH];
    fixture_path(path, *state, "long.txt");
    write_long_text(path);
    int before = entries(*state);
    mm_error error;
    volatile sig_atomic_t stop = 1;
    mm_pack_options options = {.stop = &stop};
    assert_int_equal(pack_input(*state, path, NULL, "stopped", &options, &error), MM_INTERRUPTED);
    assert_int_equal(entries(*state), before);
}

static void count_calls(void *self, uint64_t done, uint64_t total, uint64_t documents, uint64_t tokens) {
    uint64_t *last = self;
    assert_true(done >= last[0] && done <= total && documents >= last[1] && tokens >= last[2]);
    last[0] = done, last[1] = documents, last[2] = tokens, last[3] = total;
}

static void progress_rises_to_the_whole(void **state) {
    for (int parted = 0; parted < 2; parted++) {
        uint64_t last[4] = {0};
        mm_pack_result result;
        mm_pack_options options = {.val_share = parted ? 0.4 : 0.0, .progress = count_calls, .self = last};
        packed_pack(*state, parted ? "parted" : "unparted", odd, ODD, tokenizer, &options, &result);
        assert_int_equal(last[0], last[3]);
        assert_int_equal(last[1], result.documents + result.val_documents);
        assert_int_equal(last[2], result.tokens + result.val_tokens);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_come_back_as_they_were_given),
        cmocka_unit_test(a_datasets_tokenizer_has_its_marks),
        cmocka_unit_test(a_shard_ends_with_the_document_that_reaches_its_size),
        cmocka_unit_test(the_last_share_is_for_validation),
        cmocka_unit_test(a_vocabulary_above_65536_takes_four_bytes_a_token),
        cmocka_unit_test(standard_input_may_have_a_validation_share),
        cmocka_unit_test(trouble_leaves_nothing_behind),
        cmocka_unit_test(workers_never_move_a_byte),
        cmocka_unit_test(a_long_document_is_packed_as_one),
        cmocka_unit_test(an_interrupted_pack_leaves_nothing),
        cmocka_unit_test(progress_rises_to_the_whole),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
