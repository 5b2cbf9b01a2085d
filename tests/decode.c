// Decoding with kept keys and values: the training forward pass's logits, transformers' greedy continuations,
// the same bits for every team and build.
#include <math.h>
#include <mm/files/json.h>
#include <mm/files/safetensors.h>
#include <mm/model/decode.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OK(call) check((call), &error, #call)
static mm_error error;

static void check(mm_status status, const mm_error *e, const char *call) {
    if (status) fail_msg("%s: %s", call, e->text);
}

enum { POSITIONS = 192, MOST_WORKERS = 5 };
static const char *const models[] = {"qwen3-one-kv-head", "qwen3-wide-heads", "qwen3-bias-untied", "llama"};
enum { MODELS = sizeof models / sizeof models[0] };

// A golden model, its first sample, and a decoder.
typedef struct bench {
    mm_gemm *gemm;
    mm_model model;
    mm_decoder *decoder;
    mm_json_document *golden;
    int32_t ids[POSITIONS];
    int64_t count;
} bench;

static mm_json_document *read_golden(const char *name) {
    char path[512];
    mm_json_document *document;
    snprintf(path, sizeof path, "%s/%s.json", MM_GOLDEN, name);
    OK(mm_json_read(path, 1 << 20, &document, &error));
    return document;
}

static void read_weights(bench *b, const char *name) {
    char path[512], full[256];
    mm_safetensors *file;
    snprintf(path, sizeof path, "%s/model-%s.safetensors", MM_GOLDEN, name);
    OK(mm_safetensors_open(path, &file, &error));
    for (int i = 0; i < b->model.parameters.count; i++) {
        mm_tensor t = mm_parameter_in(&b->model.parameters, i, b->model.weights);
        snprintf(full, sizeof full, "weight.%s", t.name);
        const mm_safetensors_entry *entry = mm_safetensors_find(file, full);
        assert_non_null(entry);
        OK(mm_safetensors_read_float(file, entry, t.data, &error));
    }
    mm_safetensors_close(file);
}

static void read_config(const bench *b, mm_config *config) {
    mm_text text = {0};
    mm_json_writer w = mm_json_writer_on(&text, 0);
    mm_json_put_value(&w, mm_json_get(mm_json_root(b->golden), "config"));
    OK(mm_config_parse(text.data, text.size, "golden config", config, &error));
    mm_text_free(&text);
}

// The longest sample of the model.
static void read_ids(bench *b) {
    const mm_json *samples = mm_json_get(mm_json_root(b->golden), "samples");
    b->count = 0;
    for (size_t s = 0; s < mm_json_size(samples); s++) {
        const mm_json *ids = mm_json_at(samples, s);
        if ((int64_t)mm_json_size(ids) <= b->count) continue;
        b->count = (int64_t)mm_json_size(ids);
        for (int64_t i = 0; i < b->count; i++)
            b->ids[i] = (int32_t)mm_json_integer(mm_json_at(ids, (size_t)i));
    }
}

static void open_bench(bench *b, const char *name, mm_isa isa) {
    char file[128];
    mm_config config;
    *b = (bench){0};
    snprintf(file, sizeof file, "model-%s", name);
    b->golden = read_golden(file);
    read_config(b, &config);
    OK(mm_gemm_open_own(isa, &b->gemm, &error));
    OK(mm_model_open(&b->model, &config, mm_kernels_for(isa), b->gemm, POSITIONS, NULL, &error));
    b->model.weights = calloc(b->model.parameters.floats, sizeof(float));
    assert_non_null(b->model.weights);
    read_weights(b, name);
    OK(mm_decoder_open(&b->model, POSITIONS, MOST_WORKERS, &b->decoder, &error));
    read_ids(b);
}

static void close_bench(bench *b) {
    mm_decoder_close(b->decoder);
    free(b->model.weights);
    mm_model_close(&b->model);
    mm_gemm_close(b->gemm);
    mm_json_free(b->golden);
}

// --- running a team

// Takes ids in calls of `step` and keeps each call's logits.
typedef struct feeding {
    bench *b;
    int64_t step;
    float *logits; // a row for each call
} feeding;

static void work_on_feeding(void *self, const mm_team *team, int worker) {
    feeding *f = self;
    int64_t vocab = f->b->model.config.vocab, row = 0;
    for (int64_t at = 0; at < f->b->count; at += f->step, row++) {
        int64_t count = f->b->count - at < f->step ? f->b->count - at : f->step;
        const float *logits = mm_decoder_run(f->b->decoder, team, worker, at, f->b->ids + at, count);
        if (worker == 0) memcpy(f->logits + row * vocab, logits, (size_t)vocab * sizeof *logits);
        mm_team_wait(team);
    }
}

// Free the result. *rows is the number of calls.
static float *feed(bench *b, int workers, int64_t step, int64_t *rows) {
    *rows = (b->count + step - 1) / step;
    feeding f = {b, step, calloc((size_t)(*rows * b->model.config.vocab), sizeof(float))};
    assert_non_null(f.logits);
    mm_par_team(workers, work_on_feeding, &f);
    return f.logits;
}

// --- against the training forward pass

// Keeps the logits that the forward pass shows.
static void keep_logits(void *self, const mm_sight *sight) {
    float **at = self;
    if (strcmp(sight->operation, "lm_head") != 0) return;
    size_t floats = (size_t)(sight->tensor.shape[0] * sight->tensor.shape[1]);
    memcpy(*at, sight->tensor.data, floats * sizeof(float));
    *at += floats;
}

static float *training_logits(bench *b) {
    mm_arena measure = mm_arena_measure(), arena;
    mm_activations_place(&b->model, b->count, false, &measure);
    OK(mm_arena_open(&arena, measure.used, &error));
    mm_activations *room = mm_activations_place(&b->model, b->count, false, &arena);
    float *logits = calloc((size_t)(b->count * b->model.config.vocab), sizeof *logits), *at = logits;
    assert_non_null(logits);
    int64_t starts[] = {0, b->count};
    mm_leaf leaf = {.samples = 1,
                    .rows = b->count,
                    .starts = starts,
                    .inputs = b->ids,
                    .targets = b->ids,
                    .seq_len = b->count};
    mm_probe probe = {.level = MM_LEVEL_OP, .see = keep_logits, .self = &at};
    float *scratch = calloc(mm_model_scratch(&b->model), sizeof *scratch);
    assert_non_null(scratch);
    mm_member alone = {.team = &mm_team_alone, .scratch = scratch};
    mm_model_loss(&b->model, room, &leaf, &probe, &alone);
    free(scratch);
    assert_ptr_equal(at, logits + b->count * b->model.config.vocab);
    mm_arena_close(&arena);
    return logits;
}

// The two passes differ in the order of sums only: some tens of sums stand one behind the other from the
// embedding to a logit, and each rounds by about 6e-8 of its terms. Measured 1e-6 of the largest logit at
// most. A wrong position or a key left out moves logits by a tenth and more.
static const double tolerance = 4e-6;

static double distance(const float *a, const float *b, int64_t n) {
    double off = 0, most = 0;
    for (int64_t i = 0; i < n; i++) {
        off = fmax(off, fabs((double)a[i] - (double)b[i]));
        most = fmax(most, fabs((double)b[i]));
    }
    return off / most;
}

static void compare_at(bench *b, const float *trained, int64_t step) {
    int64_t rows, vocab = b->model.config.vocab;
    float *decoded = feed(b, 2, step, &rows);
    double worst = 0;
    for (int64_t row = 0; row < rows; row++) {
        int64_t last = row + 1 < rows ? (row + 1) * step - 1 : b->count - 1;
        double d = distance(decoded + row * vocab, trained + last * vocab, vocab);
        worst = fmax(worst, d);
        if (!(d < tolerance))
            fail_msg("calls of %lld ids: logits at position %lld are %.2g off", (long long)step,
                     (long long)last, d);
    }
    print_message("calls of %lld ids: logits at most %.2g off\n", (long long)step, worst);
    free(decoded);
}

static void logits_are_those_of_training(void **state) {
    (void)state;
    for (int i = 0; i < MODELS; i++) {
        bench b;
        open_bench(&b, models[i], MM_ISA_BASELINE);
        float *trained = training_logits(&b);
        const int64_t steps[] = {1, 7, MM_DECODE_ROWS, POSITIONS};
        for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) compare_at(&b, trained, steps[s]);
        free(trained);
        close_bench(&b);
    }
}

// --- the same bits

static void bits_depend_on_neither_team_nor_build(void **state) {
    (void)state;
    enum { IDS = 60 };
    for (int i = 0; i < MODELS; i++) {
        float *first[2] = {NULL, NULL};
        for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
            bench b;
            open_bench(&b, models[i], isa);
            b.count = b.count < IDS ? b.count : IDS;
            for (int which = 0; which < 2; which++)
                for (int workers = MOST_WORKERS; workers >= 1; workers -= workers > 3 ? 2 : 1) {
                    int64_t rows;
                    float *logits = feed(&b, workers, which ? IDS - 1 : 1, &rows);
                    if (!first[which]) {
                        first[which] = logits;
                        continue;
                    }
                    if (memcmp(logits, first[which],
                               (size_t)(rows * b.model.config.vocab) * sizeof *logits) != 0)
                        fail_msg("%s: %d workers on %s give other bits", models[i], workers,
                                 mm_isa_name(isa));
                    free(logits);
                }
            close_bench(&b);
        }
        free(first[0]);
        free(first[1]);
    }
}

// --- against transformers

typedef struct greedy {
    bench *b;
    int64_t prompt, most;
} greedy;

static int32_t largest(const float *logits, int n) {
    int32_t best = 0;
    for (int32_t id = 1; id < n; id++)
        if (logits[id] > logits[best]) best = id;
    return best;
}

static void work_greedily(void *self, const mm_team *team, int worker) {
    const greedy *g = self;
    int32_t *ids = g->b->ids;
    int64_t at = 0, count = g->prompt;
    for (int64_t have = g->prompt; have < g->most; have++) {
        const float *logits = mm_decoder_run(g->b->decoder, team, worker, at, ids + at, count);
        if (worker == 0) ids[have] = largest(logits, g->b->model.config.vocab);
        mm_team_wait(team);
        at += count;
        count = 1;
    }
}

static void go_on(bench *b, const mm_json *entry) {
    const mm_json *prompt = mm_json_get(entry, "prompt"), *wanted = mm_json_get(entry, "ids");
    greedy g = {b, (int64_t)mm_json_size(prompt), (int64_t)(mm_json_size(prompt) + mm_json_size(wanted))};
    assert_true(g.prompt >= 1 && g.most <= POSITIONS && mm_json_size(wanted) == 40);
    for (int64_t i = 0; i < g.prompt; i++)
        b->ids[i] = (int32_t)mm_json_integer(mm_json_at(prompt, (size_t)i));
    mm_par_team(2, work_greedily, &g);
    for (size_t i = 0; i < mm_json_size(wanted); i++)
        if (b->ids[(size_t)g.prompt + i] != mm_json_integer(mm_json_at(wanted, i)))
            fail_msg("%s, prompt of %lld: token %zu is %d, transformers has %lld",
                     mm_json_string(mm_json_get(entry, "model"), NULL), (long long)g.prompt, i,
                     b->ids[(size_t)g.prompt + i], (long long)mm_json_integer(mm_json_at(wanted, i)));
}

static void greedy_is_that_of_transformers(void **state) {
    (void)state;
    mm_json_document *golden = read_golden("greedy");
    const mm_json *entries = mm_json_root(golden);
    int seen = 0;
    for (int i = 0; i < MODELS; i++) {
        bench b;
        open_bench(&b, models[i], mm_isa_best());
        for (size_t e = 0; e < mm_json_size(entries); e++) {
            const char *model = mm_json_string(mm_json_get(mm_json_at(entries, e), "model"), NULL);
            if (!model || strcmp(model, models[i]) != 0) continue;
            go_on(&b, mm_json_at(entries, e));
            seen++;
        }
        close_bench(&b);
    }
    assert_true(seen >= 30);
    mm_json_free(golden);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_those_of_training),
        cmocka_unit_test(bits_depend_on_neither_team_nor_build),
        cmocka_unit_test(greedy_is_that_of_transformers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
