// config.json: read as transformers reads it, refused by name, written and read again.
#include <limits.h>
#include <mm/files/publish.h>
#include <mm/model/config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define OK(call) check((call), &error, #call)
static mm_error error;

static void check(mm_status status, const mm_error *e, const char *call) {
    if (status) fail_msg("%s: %s", call, e->text);
}

// A configuration of this kind with these members besides its sizes.
static mm_status parse_with(const char *kind, const char *members, mm_config *config) {
    char text[1024];
    snprintf(text, sizeof text,
             "{\"model_type\": \"%s\", \"vocab_size\": 211, \"hidden_size\": 64, \"num_hidden_layers\": 1, "
             "\"num_attention_heads\": 32, \"intermediate_size\": 32%s%s}",
             kind, *members ? ", " : "", members);
    return mm_config_parse(text, strlen(text), "x/config.json", config, &error);
}

static void config_round_trip(void **state) {
    (void)state;
    mm_text text = {0};
    mm_config config, back;
    OK(parse_with("qwen3",
                  "\"attention_bias\": true, \"tie_word_embeddings\": true, \"num_key_value_heads\": 2, "
                  "\"head_dim\": 24, \"rms_norm_eps\": 1e-5, \"rope_theta\": 5e5",
                  &config));
    config.bos = 1;
    config.pad = -1;
    config.max_positions = 4096;
    for (config.eos_count = 0; config.eos_count < 4; config.eos_count++) {
        config.eos[config.eos_count] = 2 + config.eos_count;
        mm_text_clear(&text);
        mm_config_write(&config, MM_F32, &text);
        OK(mm_config_parse(text.data, text.size, "config.json", &back, &error));
        assert_int_equal(back.eos_count, config.eos_count);
        assert_true(back.kind == config.kind && back.vocab == config.vocab && back.layers == config.layers);
        assert_true(back.hidden == config.hidden && back.intermediate == config.intermediate);
        assert_true(back.heads == config.heads && back.kv_heads == config.kv_heads);
        assert_true(back.head_dim == config.head_dim && back.max_positions == config.max_positions);
        assert_true(back.tied == config.tied && back.attention_bias == config.attention_bias);
        assert_true(back.rms_norm_eps == config.rms_norm_eps && back.rope_theta == config.rope_theta);
        assert_true(back.bos == config.bos && back.pad == config.pad);
        mm_text again = {0};
        mm_config_write(&back, MM_F32, &again);
        assert_string_equal(text.data, again.data);
        mm_text_free(&again);
    }
    mm_text_clear(&text);
    mm_config_write(&config, MM_BF16, &text);
    assert_non_null(strstr(text.data, "\"torch_dtype\": \"bfloat16\""));
    assert_non_null(strstr(text.data, "\"dtype\": \"bfloat16\""));
    mm_text_free(&text);
}

// What is absent is what transformers takes it for: 5.23's Qwen3Config and LlamaConfig, whose defaults 4.x
// shares.
static void absent_members_are_as_in_transformers(void **state) {
    (void)state;
    mm_config c;
    OK(parse_with("qwen3", "", &c));
    assert_true(c.head_dim == 128 && c.kv_heads == 32 && !c.tied && !c.attention_bias);
    assert_true(c.rope_theta == 1e4 && c.rms_norm_eps == 1e-6 && c.max_positions == 32768);
    assert_true(c.bos == -1 && c.eos_count == 0 && c.pad == -1);
    OK(parse_with("llama", "", &c));
    assert_true(c.head_dim == 2 && c.kv_heads == 32 && !c.tied && !c.attention_bias);
    assert_true(c.rope_theta == 1e4 && c.rms_norm_eps == 1e-6 && c.max_positions == 2048);
    assert_true(c.bos == 1 && c.eos_count == 1 && c.eos[0] == 2 && c.pad == -1);
    OK(parse_with("llama", "\"eos_token_id\": null, \"bos_token_id\": null", &c));
    assert_true(c.bos == -1 && c.eos_count == 0);
}

// What the two versions write for the same.
static void both_versions_say_the_same(void **state) {
    (void)state;
    static const struct {
        const char *members;
        double theta;
    } cases[] = {
        {"\"rope_theta\": 5e5, \"rope_scaling\": null", 5e5},
        {"\"rope_theta\": 5e5, \"rope_scaling\": {\"rope_type\": \"default\"}", 5e5},
        {"\"rope_parameters\": {\"rope_theta\": 5e5, \"rope_type\": \"default\"}", 5e5},
        {"\"rope_theta\": 5e5, \"rope_parameters\": {\"rope_type\": \"default\"}", 5e5},
        {"\"rope_theta\": 500000, \"rope_parameters\": {\"rope_theta\": 5e5}", 5e5},
        {"\"rope_parameters\": {\"partial_rotary_factor\": 1.0}", 1e4},
        {"\"rope_parameters\": null", 1e4},
        {"\"sliding_window\": 4096, \"use_sliding_window\": false, \"max_window_layers\": 0", 1e4},
        {"\"use_sliding_window\": true", 1e4},
        {"\"use_sliding_window\": true, \"sliding_window\": 64, \"max_window_layers\": 1", 1e4},
        {"\"use_sliding_window\": true, \"sliding_window\": null, \"max_window_layers\": 1", 1e4},
        {"\"layer_types\": [\"attention\"], \"hidden_act\": \"swish\", \"pretraining_tp\": 2", 1e4},
        {"\"layer_types\": [\"full_attention\"], \"sliding_window\": null, \"dtype\": \"bfloat16\"", 1e4},
        {"\"is_causal\": true", 1e4},
        {"\"attention_dropout\": 0.1, \"pretraining_tp\": 1, \"hidden_act\": \"silu\"", 1e4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mm_config c;
        OK(parse_with("qwen3", cases[i].members, &c));
        assert_true(c.rope_theta == cases[i].theta);
    }
}

static void every_eos_is_read(void **state) {
    (void)state;
    mm_config c;
    OK(parse_with("qwen3", "\"eos_token_id\": [7, 210, 211, -1, 3]", &c));
    assert_int_equal(c.eos_count, 3);
    assert_true(c.eos[0] == 7 && c.eos[1] == 210 && c.eos[2] == 3);
    OK(parse_with("llama", "\"eos_token_id\": []", &c));
    assert_int_equal(c.eos_count, 0);
    static const char *const bad[] = {"\"eos_token_id\": \"2\"", "\"eos_token_id\": [1, null]",
                                      "\"eos_token_id\": {}",
                                      "\"eos_token_id\": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(parse_with("qwen3", bad[i], &c), MM_TROUBLE);
        assert_non_null(strstr(error.text, "eos_token_id"));
    }
}

// Of bos and pad the first of a list; an empty one names none.
static void other_tokens_are_read(void **state) {
    (void)state;
    mm_config c;
    OK(parse_with("llama", "\"bos_token_id\": [], \"pad_token_id\": [9, 3]", &c));
    assert_true(c.bos == -1 && c.pad == 9);
    OK(parse_with("llama", "\"bos_token_id\": 210, \"pad_token_id\": [211]", &c));
    assert_true(c.bos == 210 && c.pad == -1);
}

static void config_refuses_by_name(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"\"rope_scaling\": {\"type\": \"linear\"}", "rope_scaling"},
        {"\"use_sliding_window\": true", "use_sliding_window"},
        {"\"hidden_act\": \"gelu\"", "hidden_act"},
        {"\"hidden_act\": \"silu\\u0000gelu\"", "hidden_act"},
        {"\"is_causal\": false", "is_causal"},
        {"\"is_causal\": null", "is_causal"},
        {"\"rope_theta\": 0.5", "rope_theta"},
        {"\"rope_parameters\": {\"rope_theta\": 1e4, \"rope_type\": \"yarn\"}", "rope_type"},
        {"\"layer_types\": [\"sliding_attention\"]", "layer_types"},
        {"\"mlp_bias\": true", "mlp_bias"},
        {"\"head_dim\": 7", "head_dim"},
        {"\"num_key_value_heads\": 3", "num_key_value_heads"},
        {"\"quantization_config\": {}", "quantization_config"},
        {"\"quantization\": {\"bits\": 4}", "quantization"},
        {"\"hidden_act\": \"relu\"", "hidden_act"},
        {"\"partial_rotary_factor\": 0.5", "partial_rotary_factor"},
        {"\"sliding_window\": 16", "sliding_window"},
        {"\"attention_chunk_size\": 16", "attention_chunk_size"},
        {"\"per_layer_config\": {\"0\": {\"rms_norm_eps\": 0.5}}", "per_layer_config"},
        {"\"transformers_weights\": \"other.safetensors\"", "transformers_weights"},
        {"\"kv_sharing_modes\": [0]", "kv_sharing_modes"},
        {"\"rope_theta\": 7, \"rope_parameters\": {\"rope_theta\": 5e5}", "rope_theta"},
        {"\"layer_types\": \"full_attention\"", "layer_types"},
        {"\"layer_types\": [\"full_attention\", \"full_attention\"]", "layer_types"},
        {"\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8}", "rope_scaling.rope_type"},
        {"\"rope_scaling\": {\"rope_type\": \"default\", \"rope_theta\": 7}", "rope_scaling.rope_theta"},
        {"\"rope_scaling\": {\"type\": \"default\"}, \"rope_parameters\": {}", "rope_scaling"},
        {"\"rope_scaling\": 2", "rope_scaling"},
        {"\"rope_parameters\": {\"type\": \"dynamic\"}", "rope_parameters.type"},
        {"\"rope_parameters\": {\"full_attention\": {\"rope_theta\": 7}}", "rope_parameters.full_attention"},
        {"\"rope_parameters\": {\"partial_rotary_factor\": 0.25}", "rope_parameters.partial_rotary_factor"},
        {"\"rope_theta\": \"1e6\"", "rope_theta"},
        {"\"attention_bias\": 1", "attention_bias"},
        {"\"tie_word_embeddings\": \"yes\"", "tie_word_embeddings"},
        {"\"bos_token_id\": \"<s>\"", "bos_token_id"},
        {"\"bos_token_id\": [\"x\"]", "bos_token_id"},
        {"\"pad_token_id\": [null, 1]", "pad_token_id"},
        {"\"pad_token_id\": 0.0", "pad_token_id"},
        {"\"vocab_size\": 0", "vocab_size"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[1024];
        const char *vocab = strstr(bad[i][0], "vocab_size") ? "" : "\"vocab_size\": 211,";
        snprintf(text, sizeof text,
                 "{\"model_type\": \"llama\", %s \"hidden_size\": 64, \"num_hidden_layers\": 1, "
                 "\"num_attention_heads\": 4, \"intermediate_size\": 32, %s}",
                 vocab, bad[i][0]);
        mm_config config;
        assert_int_equal(mm_config_parse(text, strlen(text), "x/config.json", &config, &error), MM_TROUBLE);
        assert_non_null(strstr(error.text, bad[i][1]));
        assert_non_null(strstr(error.text, "x/config.json"));
    }
}

static void windows_of_some_layers_are_refused(void **state) {
    (void)state;
    mm_config c;
    const char *members = "\"use_sliding_window\": true, \"sliding_window\": 64, \"max_window_layers\": 0";
    assert_int_equal(parse_with("qwen3", members, &c), MM_TROUBLE);
    assert_non_null(strstr(error.text, "use_sliding_window"));
}

static void put(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0 && fclose(file) == 0);
}

// A folder for config.json, and the path that generation_config.json has in it.
static void make_folder(char folder[32], char generation[PATH_MAX]) {
    char path[PATH_MAX];
    strcpy(folder, "/tmp/mm-config-XXXXXX");
    assert_non_null(mkdtemp(folder));
    OK(mm_path_join(path, sizeof path, folder, "config.json", &error));
    OK(mm_path_join(generation, PATH_MAX, folder, "generation_config.json", &error));
    put(path,
        "{\"model_type\": \"llama\", \"vocab_size\": 211, \"hidden_size\": 64, \"num_hidden_layers\": 1, "
        "\"num_attention_heads\": 4, \"intermediate_size\": 32, \"eos_token_id\": 5}");
}

static void generation_config_comes_first(void **state) {
    (void)state;
    char folder[32], generation[PATH_MAX];
    mm_config c;
    make_folder(folder, generation);
    OK(mm_config_read(folder, &c, &error));
    assert_true(c.eos_count == 1 && c.eos[0] == 5);
    put(generation, "{\"top_k\": 20}");
    OK(mm_config_read(folder, &c, &error));
    assert_true(c.eos_count == 1 && c.eos[0] == 5);
    put(generation, "{\"eos_token_id\": [7, 8]}");
    OK(mm_config_read(folder, &c, &error));
    assert_true(c.eos_count == 2 && c.eos[0] == 7 && c.eos[1] == 8);
    OK(mm_remove_folder(folder, &error));
}

// What makes another model of the folder than its config.json says, or is no folder.
static void what_is_no_plain_model_is_refused(void **state) {
    (void)state;
    char folder[32], generation[PATH_MAX], adapter[PATH_MAX], file[PATH_MAX];
    mm_config c;
    make_folder(folder, generation);
    OK(mm_path_join(adapter, sizeof adapter, folder, "adapter_config.json", &error));
    OK(mm_path_join(file, sizeof file, folder, "config.json", &error));
    assert_int_equal(mm_config_read(file, &c, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "config.json: found a file, expected a model's folder"));
    put(adapter, "{}");
    assert_int_equal(mm_config_read(folder, &c, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "adapter_config.json: found an adapter"));
    OK(mm_remove_folder(folder, &error));
}

static void expect_refused(const char *folder, const char *generation, const char *why) {
    mm_config c;
    assert_int_equal(mm_config_read(folder, &c, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "generation_config.json"));
    if (!strstr(error.text, why)) fail_msg("\"%s\" does not say \"%s\"", error.text, why);
    assert_int_equal(remove(generation), 0);
}

// What has its name and is not it is not passed over.
static void another_generation_config_is_refused(void **state) {
    (void)state;
    static const char *const texts[][2] = {
        {"[{\"eos_token_id\": 7}]", "found an array, expected an object"},
        {"42", "found an integer, expected an object"},
        {"null", "found null, expected an object"},
        {"{\"eos_token_id\"", "line 1"},
        {"", "line 1"},
    };
    char folder[32], generation[PATH_MAX];
    make_folder(folder, generation);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        put(generation, texts[i][0]);
        expect_refused(folder, generation, texts[i][1]);
    }
    assert_int_equal(mkfifo(generation, 0600), 0);
    expect_refused(folder, generation, "pipe");
    assert_int_equal(mkdir(generation, 0700), 0);
    expect_refused(folder, generation, "folder");
    assert_int_equal(symlink("nowhere", generation), 0);
    expect_refused(folder, generation, "No such file");
    OK(mm_remove_folder(folder, &error));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_round_trip),
        cmocka_unit_test(config_refuses_by_name),
        cmocka_unit_test(windows_of_some_layers_are_refused),
        cmocka_unit_test(absent_members_are_as_in_transformers),
        cmocka_unit_test(both_versions_say_the_same),
        cmocka_unit_test(every_eos_is_read),
        cmocka_unit_test(other_tokens_are_read),
        cmocka_unit_test(generation_config_comes_first),
        cmocka_unit_test(another_generation_config_is_refused),
        cmocka_unit_test(what_is_no_plain_model_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
