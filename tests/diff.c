// Traces compared record by record, what differs between two runs' facts, and the JSON that says so.
#include <diff_show.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HASH "0123456789abcdef0123456789abcdef"
#define OTHER "0123456789abcdef0123456789abcdee"

#define BATCH(leaf, hash)                                                                                    \
    "{\"step\":7,\"leaf\":" leaf                                                                             \
    ",\"rank\":0,\"op\":\"batch\",\"io\":\"out\",\"tensor\":\"inputs\",\"shape\":[21],"                      \
    "\"xxh128\":\"" hash "\"}\n"
#define LOSS(leaf, hash)                                                                                     \
    "{\"step\":7,\"leaf\":" leaf                                                                             \
    ",\"rank\":0,\"op\":\"loss\",\"io\":\"out\",\"tensor\":\"sum\",\"shape\":[],"                            \
    "\"xxh128\":\"" hash "\"}\n"
#define LAYER(leaf, hash)                                                                                    \
    "{\"step\":7,\"pass\":\"forward\",\"leaf\":" leaf                                                        \
    ",\"rank\":0,\"layer\":1,\"op\":\"layer\",\"io\":\"out\","                                               \
    "\"tensor\":\"x\",\"shape\":[21,8],\"xxh128\":\"" hash "\"}\n"
#define GRADIENT(node, tensor, hash)                                                                         \
    "{\"step\":7,\"pass\":\"backward\",\"node\":[" node                                                      \
    "],\"rank\":0,\"op\":\"gradient\",\"io\":\"out\",\"tensor\":\"" tensor                                   \
    "\",\"shape\":[8],\"xxh128\":\"" hash "\"}\n"
#define MERGE(tensor, hash)                                                                                  \
    "{\"step\":7,\"pass\":\"backward\",\"op\":\"merge\",\"io\":\"out\",\"tensor\":\"" tensor                 \
    "\",\"shape\":[8],\"xxh128\":\"" hash "\"}\n"

static mm_trace_step step_of(const char *lines) {
    mm_trace_step step = {.step = 7};
    mm_error error;
    mm_text_add_string(&step.text, lines);
    if (mm_trace_step_parse(&step, "test", &error)) fail_msg("%s", error.text);
    return step;
}

// Compares two texts and checks how many places differ, and the first of them.
static void expect_pairs(const char *a, const char *b, bool leaves, bool whole, size_t count,
                         const char *operation, int64_t leaf, const char *tensor) {
    mm_trace_step x = step_of(a), y = step_of(b);
    mm_trace_pairs pairs;
    assert_int_equal(mm_trace_step_compare(&x, &y, NULL, leaves, whole, &pairs, NULL), MM_OK);
    assert_int_equal(pairs.count, count);
    if (count) {
        assert_string_equal(pairs.pairs[0].a->operation, operation);
        assert_string_equal(pairs.pairs[0].a->tensor, tensor);
        assert_int_equal(pairs.pairs[0].a->leaf, leaf);
    }
    mm_trace_pairs_free(&pairs);
    mm_trace_step_free(&x);
    mm_trace_step_free(&y);
}

static void a_line_is_read_as_it_was_written(void **state) {
    (void)state;
    mm_trace_step step =
        step_of("{\"step\":7,\"pass\":\"backward\",\"leaf\":3,\"rank\":2,\"layer\":1,\"op\":"
                "\"up\",\"io\":\"in\",\"tensor\":\"dx\",\"shape\":[21,128],\"xxh128\":\"" HASH "\"}\n");
    assert_int_equal(step.count, 1);
    const mm_trace_record *r = step.records;
    assert_int_equal(r->step, 7);
    assert_int_equal(r->pass, MM_PASS_BACKWARD);
    assert_int_equal(r->leaf, 3);
    assert_int_equal(r->node_level, -1);
    assert_int_equal(r->rank, 2);
    assert_int_equal(r->layer, 1);
    assert_string_equal(r->operation, "up");
    assert_false(r->output);
    assert_string_equal(r->tensor, "dx");
    assert_int_equal(r->dims, 2);
    assert_int_equal(r->shape[1], 128);
    char text[MM_HASH_TEXT];
    assert_string_equal(mm_hash_print(r->hash, text), HASH);
    mm_trace_step_free(&step);
}

static void a_line_that_mm_does_not_write_is_damage(void **state) {
    (void)state;
    static const char *const lines[] = {
        "{}\n",
        "{\"step\":7}\n",
        LOSS("0", "0123"),
        LOSS("0", "0123456789abcdef0123456789abcdeg"),
        "{\"step\":7,\"pass\":\"sideways\",\"op\":\"loss\",\"io\":\"out\",\"tensor\":\"sum\",\"shape\":[],"
        "\"xxh128\":\"" HASH "\"}\n",
        "{\"step\":7,\"op\":\"loss\",\"io\":\"out\",\"tensor\":\"sum\",\"shape\":[1,2,3,4,5],\"xxh128\":"
        "\"" HASH "\"}\n",
        "{\"step\":7,\"op\":\"loss\",\"io\":\"out\",\"tensor\":\"sum\",\"shape\":[],\"xxh128\":\"" HASH
        "\"} \n"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        mm_trace_step step = {.step = 7};
        mm_error error;
        mm_text_add_string(&step.text, lines[i]);
        assert_int_equal(mm_trace_step_parse(&step, "trace.jsonl.gz", &error), MM_TROUBLE);
        assert_non_null(strstr(error.text, "trace.jsonl.gz: step 7"));
        mm_trace_step_free(&step);
    }
}

static void equal_steps_have_no_pairs(void **state) {
    (void)state;
    const char *lines = BATCH("0", HASH) LOSS("0", HASH) MERGE("w", HASH);
    expect_pairs(lines, lines, true, true, 0, NULL, 0, NULL);
}

static void places_that_only_one_has_are_passed_over(void **state) {
    (void)state;
    const char *coarse = BATCH("0", HASH) LOSS("0", HASH) GRADIENT("1,0", "w", HASH) MERGE("w", HASH);
    const char *fine =
        BATCH("0", HASH) LAYER("0", HASH) LOSS("0", HASH) GRADIENT("0,0", "w", OTHER) MERGE("w", HASH);
    expect_pairs(coarse, fine, true, false, 0, NULL, 0, NULL);
    expect_pairs(fine, coarse, true, true, 2, "layer", 0, "x");
    const char *differs =
        BATCH("0", HASH) LAYER("0", HASH) LOSS("0", OTHER) GRADIENT("0,0", "w", OTHER) MERGE("w", HASH);
    expect_pairs(coarse, differs, true, false, 1, "loss", 0, "sum");
}

// At one level a record of a leaf that has no partner was renamed or is missing.
static void a_place_of_the_passes_that_only_one_has_differs(void **state) {
    (void)state;
    const char *a = BATCH("0", HASH) LAYER("0", HASH) LAYER("1", HASH) MERGE("w", HASH);
    expect_pairs(a, BATCH("0", HASH) LAYER("0", HASH) LAYER("2", HASH) MERGE("w", HASH), true, false, 1,
                 "layer", 1, "x");
    expect_pairs(a, BATCH("0", HASH) LAYER("0", HASH) LAYER("2", HASH) MERGE("w", HASH), false, false, 0,
                 NULL, 0, NULL);
}

static void without_leaves_the_merged_gradient_is_compared(void **state) {
    (void)state;
    expect_pairs(BATCH("0", HASH) LOSS("0", HASH) GRADIENT("1,0", "w", HASH) MERGE("w", HASH),
                 BATCH("0", OTHER) LOSS("0", OTHER) GRADIENT("1,0", "w", OTHER) MERGE("w", OTHER), false,
                 false, 1, "merge", -1, "w");
}

// A rank's gradient comes after its own leaves and before those of the next rank; in it the last tensor comes
// first.
static void the_first_is_the_first_of_the_program(void **state) {
    (void)state;
    const char *a = LOSS("0", HASH) LOSS("1", HASH) LOSS("2", HASH) GRADIENT("1,0", "v", HASH)
        GRADIENT("1,0", "w", HASH) MERGE("v", HASH);
    expect_pairs(a,
                 LOSS("0", HASH) LOSS("1", HASH) LOSS("2", OTHER) GRADIENT("1,0", "v", OTHER)
                     GRADIENT("1,0", "w", OTHER) MERGE("v", OTHER),
                 true, false, 4, "gradient", -1, "w");
    expect_pairs(a,
                 LOSS("0", HASH) LOSS("1", OTHER) LOSS("2", OTHER) GRADIENT("1,0", "v", OTHER)
                     GRADIENT("1,0", "w", OTHER) MERGE("v", OTHER),
                 true, false, 5, "loss", 1, "sum");
}

// The logits of each chunk of rows are seen at one place, one after another.
static void a_place_met_twice_is_compared_in_order(void **state) {
    (void)state;
    expect_pairs(LAYER("0", HASH) LAYER("0", OTHER), LAYER("0", HASH) BATCH("0", HASH) LAYER("0", OTHER),
                 true, false, 0, NULL, 0, NULL);
    expect_pairs(LAYER("0", HASH) LAYER("0", OTHER), LAYER("0", HASH) BATCH("0", HASH) LAYER("0", HASH), true,
                 false, 1, "layer", 0, "x");
}

// What an answer costs grows with its input, hostile or not: the square of these counts would not end.
enum { MANY = 400000, MEMBERS = 150000 };

static mm_trace_step many_records(size_t count) {
    mm_trace_step step = {.step = 7, .count = count, .capacity = count};
    step.records = calloc(count, sizeof *step.records);
    assert_non_null(step.records);
    for (size_t i = 0; i < count; i++)
        step.records[i] = (mm_trace_record){.step = 7,
                                            .pass = MM_PASS_FORWARD,
                                            .node_level = -1,
                                            .operation = "up",
                                            .tensor = "x",
                                            .hash = {.low = i}};
    return step;
}

// `apart`: between the leaves of the records; 0: all are at one place.
static void expect_fast_pairs(int64_t apart) {
    mm_trace_step a = many_records(MANY), b = many_records(MANY + 1);
    for (int i = 0; i < MANY; i++) a.records[i].leaf = b.records[i].leaf = i * apart;
    b.records[MANY].layer = 1;
    b.records[MANY / 2].hash.low = MANY; // one that differs
    mm_trace_pairs pairs;
    assert_int_equal(mm_trace_step_compare(&a, &b, NULL, true, false, &pairs, NULL), MM_OK);
    assert_int_equal(pairs.compared, MANY);
    assert_int_equal(pairs.count, 1);
    assert_ptr_equal(pairs.pairs[0].a, &a.records[MANY / 2]);
    assert_ptr_equal(pairs.pairs[0].b, &b.records[MANY / 2]);
    mm_trace_pairs_free(&pairs);
    mm_trace_step_free(&a);
    mm_trace_step_free(&b);
}

static void many_records_of_one_place_take_no_square_of_time(void **state) {
    (void)state;
    expect_fast_pairs(0);
}

static void many_places_alike_in_their_lower_bits_take_no_square_of_time(void **state) {
    (void)state;
    expect_fast_pairs(1 << 20);
}

static void a_place_has_words(void **state) {
    (void)state;
    static const struct {
        mm_place place;
        const char *words;
    } cases[] = {{{.leaf = 5,
                   .rank = 2,
                   .layer = 1,
                   .pass = MM_PASS_BACKWARD,
                   .operation = "gate_up_proj",
                   .tensor = "up_proj.weight"},
                  "in the backward pass of layer 1's up_proj on rank 2 (leaf 5)"},
                 {{.leaf = -1,
                   .rank = 3,
                   .layer = 0,
                   .pass = MM_PASS_BACKWARD,
                   .operation = "gradient",
                   .tensor = "model.layers.0.mlp.up_proj.weight"},
                  "in the backward pass of layer 0's mlp.up_proj on rank 3"},
                 {{.leaf = -1,
                   .rank = -1,
                   .layer = -1,
                   .operation = "adamw",
                   .tensor = "exp_avg_sq.model.norm.weight"},
                  "in the update of the second moment of model.norm"},
                 {{.leaf = -1, .rank = -1, .layer = -1, .operation = "norm", .tensor = "grad_norm"},
                  "in the norm of the gradient"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mm_text text = {0};
        mm_place_words(&cases[i].place, &text);
        assert_string_equal(text.data, cases[i].words);
        mm_text_free(&text);
    }
}

// A record of an operation has its layer, one of a tensor names it.
static void a_place_has_its_tensors_layer(void **state) {
    (void)state;
    static const struct {
        const char *tensor;
        int recorded, layer;
    } cases[] = {{"model.layers.12.mlp.up_proj.weight", -1, 12},
                 {"exp_avg_sq.model.layers.7.self_attn.q_norm.weight", -1, 7},
                 {"model.layers.0.mlp.up_proj.weight", 3, 3},
                 {"model.norm.weight", -1, -1},
                 {"x", 5, 5}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const mm_trace_record r = {
            .layer = cases[i].recorded, .operation = "adamw", .tensor = cases[i].tensor};
        assert_int_equal(mm_place_of(&r).layer, cases[i].layer);
    }
}

static mm_run_facts facts_of(mm_settings settings) {
    settings.batch = settings.micro_batch = settings.ranks = 1;
    return (mm_run_facts){.settings = settings,
                          .model_config = (char *)"{\"rope_theta\": 10000.0}",
                          .program.version = (char *)"1",
                          .program.compiler = (char *)"c",
                          .program.build_type = (char *)"release",
                          .program.isa = (char *)"x",
                          .program.gemm_kernel = (char *)"k",
                          .program.gemm_version = (char *)"1",
                          .program.cpu = (char *)"cpu",
                          .program.system = (char *)"os",
                          .program.cores = 1};
}

// A member of the model's configuration differs by its value, its kind, or by not being there.
static void values_of_other_kinds_differ(void **state) {
    (void)state;
    static const char *const values[] = {"1",     "2",    "0",    "0.0", "1.0", "\"1\"",
                                         "\"0\"", "true", "null", "[1]", "{}",  NULL};
    enum { COUNT = sizeof values / sizeof *values };
    for (int i = 0; i < COUNT; i++)
        for (int j = 0; j < COUNT; j++) {
            char models[2][64];
            for (int k = 0; k < 2; k++) {
                const char *value = values[k ? j : i];
                snprintf(models[k], sizeof models[k], value ? "{\"a\": %s}" : "{}", value);
            }
            mm_run_facts a = facts_of((mm_settings){0}), b = a;
            a.model_config = models[0];
            b.model_config = models[1];
            mm_facts_diff diff;
            assert_int_equal(mm_facts_compare(&a, &b, &diff, NULL), MM_OK);
            if (!mm_facts_find(&diff, "model.a") != (i == j)) fail_msg("%s and %s", models[0], models[1]);
            mm_facts_diff_free(&diff);
        }
}

static void facts_know_what_may_change_bits(void **state) {
    (void)state;
    mm_run_facts a = facts_of((mm_settings){.dropout = 0, .workers = 1}),
                 b = facts_of((mm_settings){.workers = 2});
    mm_facts_diff diff;
    b.settings.ranks = 2;
    b.settings.lr = 1;
    b.program.gemm_kernel = (char *)"other";
    b.model_config = (char *)"{\"rope_theta\": 20000.0}";
    assert_int_equal(mm_facts_compare(&a, &b, &diff, NULL), MM_OK);
    assert_false(mm_facts_find(&diff, "workers")->may_change_bits);
    assert_false(mm_facts_find(&diff, "ranks")->may_change_bits); // nothing is drawn
    assert_true(mm_facts_find(&diff, "lr")->may_change_bits);
    assert_false(mm_facts_find(&diff, "gemm.kernel")->may_change_bits);
    assert_true(mm_facts_find(&diff, "model.rope_theta")->may_change_bits);
    assert_null(mm_facts_find(&diff, "dropout"));
    mm_facts_diff_free(&diff);
    a.settings.dropout = b.settings.dropout = 0.1;
    assert_int_equal(mm_facts_compare(&a, &b, &diff, NULL), MM_OK);
    assert_true(mm_facts_find(&diff, "ranks")->may_change_bits);
    mm_facts_diff_free(&diff);
}

static char *model_of_members(int first) {
    mm_text text = {0};
    for (int i = 0; i < MEMBERS; i++) mm_text_format(&text, "%s\"k%d\": %d", i ? ", " : "{", i, first + i);
    mm_text_add_string(&text, "}");
    assert_false(text.failed);
    return text.data;
}

static void many_members_of_a_model_take_no_square_of_time(void **state) {
    (void)state;
    mm_run_facts a = facts_of((mm_settings){0}), b = a;
    a.model_config = model_of_members(0);
    b.model_config = model_of_members(1);
    mm_facts_diff diff;
    assert_int_equal(mm_facts_compare(&a, &b, &diff, NULL), MM_OK);
    assert_int_equal(diff.count, MEMBERS);
    assert_true(mm_facts_find(&diff, "model.k7")->may_change_bits);
    mm_facts_diff_free(&diff);
    free(a.model_config);
    free(b.model_config);
}

static void json_has_its_fields_and_nulls(void **state) {
    (void)state;
    mm_fact fact = {.key = "val_data", .b = {.kind = MM_VALUE_TEXT, .text = (char *)"a \"b\""}};
    mm_distance_row rows[] = {{.step = 7, .loss = 0.5},
                              {.step = 8, .known = true, .parameters = {.max_abs = 2, .rms = 1}}};
    mm_diff_result result = {.parted = true,
                             .first = {.step = 7, .leaf = -1, .rank = 2, .layer = -1, .operation = "loss"},
                             .cause = MM_CAUSE_SEED,
                             .what = "a \"thing\"",
                             .facts = {.facts = &fact, .count = 1},
                             .distance = rows,
                             .distances = 2};
    mm_text text = {0};
    mm_json_document *document;
    diff_json_text(&text, &result);
    assert_int_equal(mm_json_parse(text.data, text.size, "json", &document, NULL), MM_OK);
    const mm_json *root = mm_json_root(document), *first = mm_json_get(root, "first"),
                  *cause = mm_json_get(root, "cause");
    assert_int_equal(mm_json_kind_of(mm_json_get(root, "same")), MM_JSON_BOOL);
    assert_int_equal(mm_json_integer(mm_json_get(first, "step")), 7);
    assert_int_equal(mm_json_integer(mm_json_get(first, "rank")), 2);
    static const char *const nulls[] = {"leaf", "layer", "pass", "tensor"};
    for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++) {
        assert_non_null(mm_json_get(first, nulls[i]));
        assert_int_equal(mm_json_kind_of(mm_json_get(first, nulls[i])), MM_JSON_NULL);
    }
    assert_string_equal(mm_json_string(mm_json_get(cause, "kind"), NULL), "seed");
    assert_string_equal(mm_json_string(mm_json_get(cause, "what"), NULL), "a \"thing\"");
    const mm_json *row = mm_json_at(mm_json_get(root, "configuration"), 0),
                  *apart = mm_json_get(root, "distance");
    assert_int_equal(mm_json_kind_of(mm_json_get(row, "a")), MM_JSON_NULL);
    assert_string_equal(mm_json_string(mm_json_get(row, "b"), NULL), "a \"b\"");
    assert_int_equal(mm_json_kind_of(mm_json_get(mm_json_at(apart, 0), "parameters_rms")), MM_JSON_NULL);
    assert_true(mm_json_number(mm_json_get(mm_json_at(apart, 1), "parameters_max_abs")) == 2);
    mm_json_free(document);
    mm_text_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_read_as_it_was_written),
        cmocka_unit_test(a_line_that_mm_does_not_write_is_damage),
        cmocka_unit_test(equal_steps_have_no_pairs),
        cmocka_unit_test(places_that_only_one_has_are_passed_over),
        cmocka_unit_test(a_place_of_the_passes_that_only_one_has_differs),
        cmocka_unit_test(without_leaves_the_merged_gradient_is_compared),
        cmocka_unit_test(the_first_is_the_first_of_the_program),
        cmocka_unit_test(a_place_met_twice_is_compared_in_order),
        cmocka_unit_test(many_records_of_one_place_take_no_square_of_time),
        cmocka_unit_test(many_places_alike_in_their_lower_bits_take_no_square_of_time),
        cmocka_unit_test(a_place_has_words),
        cmocka_unit_test(a_place_has_its_tensors_layer),
        cmocka_unit_test(values_of_other_kinds_differ),
        cmocka_unit_test(facts_know_what_may_change_bits),
        cmocka_unit_test(many_members_of_a_model_take_no_square_of_time),
        cmocka_unit_test(json_has_its_fields_and_nulls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
