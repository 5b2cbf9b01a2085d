// The tensors of a model directory, in one file or in shards: the same numbers, and an index is believed only
// as far as the shards bear it out.
#include "fixture.h"
#include <mm/files/publish.h>
#include <mm/files/tensor_files.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static mm_error error;

static float a[6] = {1, -2.5f, INFINITY, 0x1p-149f, -0.0f, 3}, b[3] = {7, 8, 9};
static uint16_t c[4] = {0x3c00, 0x0001, 0xfc00, 0x83ff}; // F16: 1, 2^-24, -infinity, -1023 * 2^-24
static uint16_t d[2] = {0x3f80, 0x0001};                 // BF16: 1, 2^-133
static const mm_tensor tensors[] = {
    {.name = "a", .type = MM_F32, .dims = 2, .shape = {2, 3}, .data = a},
    {.name = "b", .type = MM_F32, .dims = 1, .shape = {3}, .data = b},
    {.name = "c", .type = MM_F16, .dims = 2, .shape = {2, 2}, .data = c},
    {.name = "d", .type = MM_BF16, .dims = 1, .shape = {2}, .data = d},
};

static void put_tensors(const char *folder, const char *name, const mm_tensor *first, int count) {
    char path[FIXTURE_PATH];
    if (mm_safetensors_write(fixture_path(path, folder, name), first, count, &error))
        fail_msg("%s", error.text);
}

static void put_text(const char *folder, const char *name, const char *text) {
    char path[FIXTURE_PATH];
    fixture_write(fixture_path(path, folder, name), text, strlen(text));
}

#define INDEX "model.safetensors.index.json"
#define ONE "model-00001-of-00002.safetensors"
#define TWO "model-00002-of-00002.safetensors"
#define GOOD "\"a\": \"" ONE "\", \"b\": \"" TWO "\", \"c\": \"" ONE "\", \"d\": \"" TWO "\""

// Shards of a and c, and of d and b.
static void put_shards(const char *folder) {
    const mm_tensor one[] = {tensors[0], tensors[2]}, two[] = {tensors[3], tensors[1]};
    put_tensors(folder, ONE, one, 2);
    put_tensors(folder, TWO, two, 2);
}

static void put_index(const char *folder, const char *map) {
    char text[4096];
    snprintf(text, sizeof text, "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {%s}}", map);
    put_text(folder, INDEX, text);
}

static void expect_numbers(const mm_tensor_files *files) {
    static const float expected[4][6] = {{1, -2.5f, INFINITY, 0x1p-149f, -0.0f, 3},
                                         {7, 8, 9},
                                         {1, 0x1p-24f, -INFINITY, -1023 * 0x1p-24f},
                                         {1, 0x1p-133f}};
    for (int i = 0; i < 4; i++) {
        float found[6];
        mm_tensor wanted = tensors[i];
        wanted.data = found;
        if (mm_tensor_files_read(files, &wanted, &error)) fail_msg("%s", error.text);
        assert_memory_equal(found, expected[i], (size_t)mm_tensor_count(&wanted) * sizeof *found);
        // And in parts.
        float part[2];
        mm_tensor_place place = mm_tensor_files_find(files, wanted.name);
        assert_int_equal(mm_safetensors_read_part(place.file, place.entry, 1, 1, part, &error), MM_OK);
        assert_memory_equal(part, expected[i] + 1, sizeof *part);
    }
}

static mm_tensor_files *open_good(const char *folder) {
    mm_tensor_files *files;
    if (mm_tensor_files_open(folder, &files, &error)) fail_msg("%s", error.text);
    assert_int_equal(mm_tensor_files_count(files), 4);
    return files;
}

static void shards_hold_what_one_file_does(void **state) {
    put_shards(*state);
    put_index(*state, GOOD);
    mm_tensor_files *files = open_good(*state);
    assert_int_equal(mm_tensor_files_shards(files), 2);
    assert_non_null(strstr(mm_tensor_files_path(files), INDEX));
    static const char *const order[] = {"a", "c", "d", "b"};
    for (int i = 0; i < 4; i++)
        assert_string_equal(mm_tensor_files_at(files, i).entry->tensor.name, order[i]);
    assert_null(mm_tensor_files_find(files, "e").entry);
    expect_numbers(files);
    mm_tensor_files_close(files);
    // The single file comes first, as in transformers.
    put_index(*state, "\"a\": 5");
    put_tensors(*state, "model.safetensors", tensors, 4);
    files = open_good(*state);
    assert_int_equal(mm_tensor_files_shards(files), 1);
    expect_numbers(files);
    mm_tensor_files_close(files);
}

// Refused in one line that holds each word of the list, which ends with NULL.
static void refuse(const char *folder, const char *const *words) {
    mm_tensor_files *files;
    assert_int_equal(mm_tensor_files_open(folder, &files, &error), MM_TROUBLE);
    assert_null(files);
    assert_null(strchr(error.text, '\n'));
    for (; *words; words++)
        if (!strstr(error.text, *words)) fail_msg("\"%s\" does not say \"%s\"", error.text, *words);
}

static void an_index_is_not_trusted(void **state) {
    static const struct {
        const char *map, *words[5];
    } cases[] = {
        {"\"a\": \"../" ONE "\"", {INDEX, "\"a\"", "without folders"}},
        {"\"a\": \"/etc/x.safetensors\"", {INDEX, "\"a\"", "without folders"}},
        {"\"a\": \"sub/" ONE "\"", {INDEX, "\"a\"", "sub/"}},
        {"\"a\": \"..\"", {INDEX, "without folders"}},
        {"\"a\": \".safetensors\"", {INDEX, "without folders"}},
        {"\"a\": \".hidden.safetensors\"", {INDEX, "without folders"}},
        {"\"a\": \"\"", {INDEX, "without folders"}},
        {"\"a\": \"config.json\"", {INDEX, "config.json"}},
        {"\"a\": \"x\\u0000.safetensors\"", {INDEX, "without folders"}},
        {"\"a\": 1", {INDEX, "\"a\"", "integer"}},
        {"\"a\": null", {INDEX, "\"a\"", "null"}},
        {"", {INDEX, "0 shards"}},
        {GOOD ", \"e\": \"model-00003-of-00003.safetensors\"",
         {"model-00003-of-00003.safetensors", "no such", INDEX}},
        {GOOD ", \"e\": \"" ONE "\"", {INDEX, "\"e\"", ONE, "not there"}},
        {"\"a\": \"" TWO "\", \"b\": \"" TWO "\", \"c\": \"" ONE "\", \"d\": \"" TWO "\"",
         {INDEX, "\"a\"", "in " TWO, "in " ONE}},
        {"\"a\": \"" ONE "\", \"b\": \"" TWO "\", \"c\": \"" ONE "\"", {TWO, "\"d\"", "does not name"}},
    };
    put_shards(*state);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_index(*state, cases[i].map);
        refuse(*state, cases[i].words);
    }
    static const char *const no_map[] = {INDEX, "weight_map", NULL}, *const no_json[] = {INDEX, "line 1",
                                                                                         NULL};
    put_text(*state, INDEX, "{\"weight_map\": []}");
    refuse(*state, no_map);
    put_text(*state, INDEX, "[]");
    refuse(*state, no_map);
    put_text(*state, INDEX, "{");
    refuse(*state, no_json);
}

static void a_tensor_stands_once(void **state) {
    const mm_tensor two[] = {tensors[1], tensors[3], tensors[0]};
    static const char *const words[] = {ONE, TWO, "\"a\"", "expected it once", NULL};
    put_tensors(*state, ONE, tensors, 1);
    put_tensors(*state, TWO, two, 3);
    put_index(*state, "\"a\": \"" ONE "\", \"b\": \"" TWO "\", \"d\": \"" TWO "\"");
    refuse(*state, words);
}

static void a_folder_without_weights_is_named(void **state) {
    static const char *const words[] = {"model.safetensors", "no such file", "pytorch_model.bin", NULL};
    refuse(*state, words);
}

// An index is not taken in the place of what only has the single file's name.
static void a_single_file_that_is_none_is_named(void **state) {
    static const char *const pipe[] = {"model.safetensors:", "pipe", NULL},
                             *const folder[] = {"model.safetensors:", "folder", NULL},
                             *const dangling[] = {"model.safetensors:", "No such file", NULL},
                             *const index[] = {INDEX ":", "pipe", NULL};
    char path[FIXTURE_PATH];
    put_shards(*state);
    put_index(*state, GOOD);
    fixture_path(path, *state, "model.safetensors");
    assert_int_equal(mkfifo(path, 0600), 0);
    refuse(*state, pipe);
    assert_int_equal(remove(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    refuse(*state, folder);
    assert_int_equal(remove(path), 0);
    assert_int_equal(symlink("nowhere", path), 0);
    refuse(*state, dangling);
    assert_int_equal(remove(path), 0);
    mm_tensor_files_close(open_good(*state));
    fixture_path(path, *state, INDEX);
    assert_int_equal(remove(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    refuse(*state, index);
}

static void a_tensor_of_another_kind_is_named(void **state) {
    int32_t whole[3] = {1, 2, 3};
    const mm_tensor integers = {.name = "b", .type = MM_I32, .dims = 1, .shape = {3}, .data = whole};
    put_tensors(*state, "model.safetensors", &integers, 1);
    mm_tensor_files *files;
    assert_int_equal(mm_tensor_files_open(*state, &files, &error), MM_OK);
    mm_tensor_place place;
    assert_int_equal(mm_tensor_files_need(files, &tensors[1], &place, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "tensor b is I32 [3], expected F32, F16 or BF16 of shape [3]"));
    assert_int_equal(mm_tensor_files_need(files, &tensors[0], &place, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "has no tensor a, expected one of shape [2, 3]"));
    mm_tensor_files_close(files);
}

// Written in pieces, in order or anywhere, a file is the same; what is given up is gone, and nothing is
// written over.
static void pieces_make_the_same_file(void **state) {
    char path[FIXTURE_PATH], whole[FIXTURE_PATH];
    mm_safetensors_writer *writer;
    fixture_path(whole, *state, "whole.safetensors");
    put_tensors(*state, "whole.safetensors", tensors, 2);
    fixture_path(path, *state, "pieces.safetensors");
    for (int way = 0; way < 2; way++) {
        assert_int_equal(mm_safetensors_begin(path, tensors, 2, &writer, &error), MM_OK);
        if (way == 0) {
            assert_int_equal(mm_safetensors_put(writer, sizeof a, b, sizeof b, &error), MM_OK);
            assert_int_equal(mm_safetensors_put(writer, 8, a + 2, sizeof a - 8, &error), MM_OK);
            assert_int_equal(mm_safetensors_put(writer, 0, a, 8, &error), MM_OK);
        } else {
            assert_int_equal(mm_safetensors_add(writer, a, 5, &error), MM_OK);
            assert_int_equal(mm_safetensors_add(writer, (char *)a + 5, sizeof a - 5, &error), MM_OK);
            assert_int_equal(mm_safetensors_add(writer, b, sizeof b, &error), MM_OK);
        }
        assert_int_equal(mm_safetensors_end(writer, &error), MM_OK);
        size_t expected, found;
        char *x = fixture_read(whole, &expected), *y = fixture_read(path, &found);
        assert_int_equal(found, expected);
        assert_memory_equal(x, y, expected);
        free(x);
        free(y);
        assert_int_equal(mm_safetensors_begin(path, tensors, 2, &writer, &error), MM_TROUBLE);
        assert_true(mm_is_file(path));
        remove(path);
    }
    assert_int_equal(mm_safetensors_begin(path, tensors, 2, &writer, &error), MM_OK);
    mm_safetensors_abandon(writer);
    assert_false(mm_is_file(path));
}

int main(void) {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, fixture_folder, fixture_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(shards_hold_what_one_file_does),
        IN_FOLDER(an_index_is_not_trusted),
        IN_FOLDER(a_tensor_stands_once),
        IN_FOLDER(a_folder_without_weights_is_named),
        IN_FOLDER(a_single_file_that_is_none_is_named),
        IN_FOLDER(a_tensor_of_another_kind_is_named),
        IN_FOLDER(pieces_make_the_same_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
