// A model's folder with one byte changed, each byte to each other value, or cut anywhere: refused by the
// file's name, or the same weights in the same places. config.json has no checksum, so a digit of it may be
// another: then it is read as what it says, within bounds, and nothing but that member is another.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "fixture.h"
#include <cmocka.h>
#include <fcntl.h>
#include <mm/files/tensor_files.h>
#include <mm/model/config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct counts {
    int refused, same, other;
} counts;

// Looks at the folder with the file as it is now.
typedef void (*judge)(const char *folder, const char *name, const void *whole, counts *seen);

static void damage(const char *folder, const char *name, judge look, const void *whole) {
    char path[FIXTURE_PATH];
    size_t size;
    counts seen = {0};
    char *bytes = fixture_read(fixture_path(path, folder, name), &size);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    for (size_t at = 0; at < size; at++) {
        for (int change = 1; change < 256; change++) {
            char wrong = (char)(bytes[at] ^ change);
            assert_int_equal(pwrite(fd, &wrong, 1, (off_t)at), 1);
            look(folder, name, whole, &seen);
        }
        assert_int_equal(pwrite(fd, &bytes[at], 1, (off_t)at), 1);
    }
    int passed = seen.same + seen.other;
    for (size_t left = size; left-- > 0;) {
        assert_int_equal(ftruncate(fd, (off_t)left), 0);
        look(folder, name, whole, &seen);
    }
    // A cut file is never whole JSON or a whole file of tensors.
    assert_int_equal(seen.same + seen.other, passed);
    assert_int_equal(pwrite(fd, bytes, size, 0), (ssize_t)size);
    close(fd);
    free(bytes);
    print_message("%s: %d refused, %d the same, %d as it says\n", name, seen.refused, seen.same, seen.other);
}

static void refused(mm_status status, const mm_error *error, const char *name, counts *seen) {
    assert_int_equal(status, MM_TROUBLE);
    if (!strstr(error->text, name) || strchr(error->text, '\n'))
        fail_msg("\"%s\" does not name %s in one line", error->text, name);
    seen->refused++;
}

// --- config.json

static int members_that_differ(const mm_config *a, const mm_config *b) {
    int eos =
        a->eos_count != b->eos_count || memcmp(a->eos, b->eos, (size_t)a->eos_count * sizeof *a->eos) != 0;
    return (a->kind != b->kind) + (a->vocab != b->vocab) + (a->hidden != b->hidden) +
           (a->layers != b->layers) + (a->heads != b->heads) + (a->kv_heads != b->kv_heads) +
           (a->head_dim != b->head_dim) + (a->intermediate != b->intermediate) + (a->tied != b->tied) +
           (a->attention_bias != b->attention_bias) +
           (memcmp(&a->rms_norm_eps, &b->rms_norm_eps, sizeof(double)) != 0) +
           (memcmp(&a->rope_theta, &b->rope_theta, sizeof(double)) != 0) +
           (a->max_positions != b->max_positions) + (a->bos != b->bos) + (a->pad != b->pad) + eos;
}

static void judge_config(const char *folder, const char *name, const void *whole, counts *seen) {
    mm_error error;
    mm_config config;
    mm_status status = mm_config_read(folder, &config, &error);
    if (status) {
        refused(status, &error, name, seen);
        return;
    }
    int differ = members_that_differ(&config, whole);
    assert_in_range(differ, 0, 1);
    seen->same += differ == 0;
    seen->other += differ == 1;
    assert_in_range(config.vocab, 1, 1 << 24);
    assert_in_range(config.hidden, 1, 1 << 24);
    assert_in_range(config.layers, 1, 256);
    assert_in_range(config.heads, 1, 1 << 20);
    assert_int_equal(config.heads % config.kv_heads, 0);
    assert_int_equal(config.head_dim % 2, 0);
}

static void every_byte_of_a_configuration(void **state) {
    static const char text[] =
        "{\"model_type\": \"qwen3\", \"vocab_size\": 300, \"hidden_size\": 8, \"num_hidden_layers\": 2, "
        "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"head_dim\": 2, \"intermediate_size\": 16, "
        "\"rms_norm_eps\": 1e-06, \"rope_theta\": 10000.0, \"max_position_embeddings\": 64, "
        "\"tie_word_embeddings\": true, \"attention_bias\": false, \"bos_token_id\": 1, \"eos_token_id\": "
        "[2], "
        "\"pad_token_id\": null, \"use_sliding_window\": false, \"hidden_act\": \"silu\"}";
    char path[FIXTURE_PATH];
    mm_error error;
    mm_config whole;
    fixture_write(fixture_path(path, *state, "config.json"), text, sizeof text - 1);
    if (mm_config_read(*state, &whole, &error)) fail_msg("%s", error.text);
    damage(*state, "config.json", judge_config, &whole);
}

// --- model.safetensors.index.json and its shards

enum { TENSORS = 3, NUMBERS = 3 };
static const char *const tensor_names[TENSORS] = {"a", "b", "c"};

static void judge_tensors(const char *folder, const char *name, const void *whole, counts *seen) {
    const float(*numbers)[NUMBERS] = whole;
    (void)name;
    mm_error error;
    mm_tensor_files *files;
    mm_status status = mm_tensor_files_open(folder, &files, &error);
    float found[NUMBERS];
    for (int i = 0; i < TENSORS && !status; i++) {
        mm_tensor wanted = mm_tensor_1d(tensor_names[i], found, NUMBERS);
        status = mm_tensor_files_read(files, &wanted, &error);
        if (!status) assert_memory_equal(found, numbers[i], sizeof found);
    }
    mm_tensor_files_close(files);
    if (status)
        refused(status, &error, ".safetensors", seen); // the index, or a shard
    else
        seen->same++;
}

static void put_shard(const char *folder, const char *name, int first, int count, float (*numbers)[NUMBERS]) {
    char path[FIXTURE_PATH];
    mm_tensor tensors[TENSORS];
    mm_error error;
    for (int i = 0; i < count; i++)
        tensors[i] = mm_tensor_1d(tensor_names[first + i], numbers[first + i], NUMBERS);
    if (mm_safetensors_write(fixture_path(path, folder, name), tensors, count, &error))
        fail_msg("%s", error.text);
}

// The shards' headers are what tests/safetensors.c changes.
static void every_byte_of_an_index(void **state) {
    static const char text[] =
        "{\"metadata\": {\"total_size\": 36}, \"weight_map\": {\"a\": \"model-1.safetensors\", "
        "\"b\": \"model-1.safetensors\", \"c\": \"model-2.safetensors\"}}";
    static const char name[] = "model.safetensors.index.json";
    float numbers[TENSORS][NUMBERS];
    char path[FIXTURE_PATH];
    counts seen = {0};
    for (int i = 0; i < TENSORS; i++)
        for (int j = 0; j < NUMBERS; j++) numbers[i][j] = (float)(10 * i + j) + 0.5f;
    put_shard(*state, "model-1.safetensors", 0, 2, numbers);
    put_shard(*state, "model-2.safetensors", 2, 1, numbers);
    fixture_write(fixture_path(path, *state, name), text, sizeof text - 1);
    judge_tensors(*state, name, numbers, &seen);
    assert_int_equal(seen.same, 1);
    damage(*state, name, judge_tensors, numbers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_of_a_configuration),
        cmocka_unit_test(every_byte_of_an_index),
    };
    return cmocka_run_group_tests(tests, fixture_folder, fixture_remove);
}
