// The whole model against PyTorch and transformers in float64 (tests/golden), and properties of a leaf.
#include <dirent.h>
#include <math.h>
#include <mm/base/hash.h>
#include <mm/files/json.h>
#include <mm/files/safetensors.h>
#include <mm/model/model.h>
#include <mm/optim/adamw.h>
#include <mm/optim/clip.h>
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

// One model on one leaf.
typedef struct bench {
    mm_gemm *gemm;
    mm_model model;
    mm_arena arena;
    mm_activations *room;
    float *weights, *gradient, *m, *v;
    float *scratch;
    mm_member alone;
    int samples;
    int64_t starts[16];
    int32_t inputs[512], targets[512];
} bench;

static void open_bench(bench *b, const mm_config *config, mm_isa isa) {
    OK(mm_gemm_open_own(isa, &b->gemm, &error));
    OK(mm_model_open(&b->model, config, mm_kernels_for(isa), b->gemm, 512, NULL, &error));
    size_t floats = b->model.parameters.floats;
    b->weights = calloc(floats, sizeof(float));
    b->gradient = calloc(floats, sizeof(float));
    b->m = calloc(floats, sizeof(float));
    b->v = calloc(floats, sizeof(float));
    b->model.weights = b->weights;
    mm_arena measure = mm_arena_measure();
    mm_activations_place(&b->model, 512, true, &measure);
    OK(mm_arena_open(&b->arena, measure.used, &error));
    b->room = mm_activations_place(&b->model, 512, true, &b->arena);
    b->scratch = calloc(mm_model_scratch(&b->model), sizeof(float));
    b->alone = (mm_member){.team = &mm_team_alone, .scratch = b->scratch};
}

static void close_bench(bench *b) {
    mm_arena_close(&b->arena);
    mm_model_close(&b->model);
    mm_gemm_close(b->gemm);
    free(b->weights);
    free(b->gradient);
    free(b->scratch);
    free(b->m);
    free(b->v);
}

static mm_leaf leaf_of(const bench *b) {
    int64_t rows = b->starts[b->samples];
    return (mm_leaf){.samples = b->samples,
                     .rows = rows,
                     .starts = b->starts,
                     .inputs = b->inputs,
                     .targets = b->targets,
                     .seq_len = 64,
                     .scale = 1.0 / (double)rows};
}

// What a leaf before may have left in the buffer.
static void spoil_gradient(const bench *b) {
    const mm_parameters *p = &b->model.parameters;
    for (int i = 0; i < p->count; i++)
        memset(b->gradient + p->offsets[i], 0xff, mm_tensor_bytes(&p->tensors[i]));
}

static double mean_loss(bench *b) {
    mm_leaf leaf = leaf_of(b);
    spoil_gradient(b);
    return mm_model_train(&b->model, b->room, &leaf, b->gradient, NULL, &b->alone) / (double)leaf.rows;
}

static double gradient_norm(const bench *b) {
    double sum = 0;
    for (size_t i = 0; i < b->model.parameters.floats; i++)
        sum += (double)b->gradient[i] * (double)b->gradient[i];
    return sqrt(sum);
}

// --- golden numbers

static void read_samples(bench *b, const mm_json *samples) {
    b->samples = (int)mm_json_size(samples);
    int64_t row = 0;
    for (int s = 0; s < b->samples; s++) {
        const mm_json *ids = mm_json_at(samples, (size_t)s);
        b->starts[s] = row;
        for (size_t i = 0; i + 1 < mm_json_size(ids); i++, row++) {
            b->inputs[row] = (int32_t)mm_json_integer(mm_json_at(ids, i));
            b->targets[row] = (int32_t)mm_json_integer(mm_json_at(ids, i + 1));
        }
    }
    b->starts[b->samples] = row;
}

static const mm_safetensors_entry *find(const mm_safetensors *file, const char *prefix, const char *name) {
    char full[256];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return mm_safetensors_find(file, full);
}

static void read_weights(bench *b, const mm_safetensors *file) {
    for (int i = 0; i < b->model.parameters.count; i++) {
        mm_tensor t = mm_parameter_in(&b->model.parameters, i, b->weights);
        const mm_safetensors_entry *entry = find(file, "weight.", t.name);
        if (!entry) entry = find(file, "", t.name);
        if (!entry) fail_msg("%s: no weight %s", mm_safetensors_path(file), t.name);
        assert_int_equal(mm_tensor_count(&entry->tensor), mm_tensor_count(&t));
        OK(mm_safetensors_read_float(file, entry, t.data, &error));
    }
}

// How far float32 may be: four times what the golden model's PyTorch is in float32 (tests/golden/README.md),
// whose sums have another order.
static double float32_of(const mm_json *root, const char *what) {
    return 4 * mm_json_number(mm_json_get(mm_json_get(root, "float32"), what));
}

// Each gradient tensor, in norm.
static void compare_gradients(const bench *b, const mm_safetensors *file, double tolerance) {
    double worst = 0;
    for (int i = 0; i < b->model.parameters.count; i++) {
        mm_tensor t = mm_parameter_in(&b->model.parameters, i, b->gradient);
        const mm_safetensors_entry *entry = find(file, "grad.", t.name);
        if (!entry) fail_msg("%s: no gradient of %s", mm_safetensors_path(file), t.name);
        assert_int_equal(entry->tensor.type, MM_F64);
        int64_t n = mm_tensor_count(&t);
        double *golden = malloc((size_t)n * sizeof *golden), off = 0, norm = 0;
        OK(mm_safetensors_read(file, entry, golden, &error));
        for (int64_t j = 0; j < n; j++) {
            double d = (double)((const float *)t.data)[j] - golden[j];
            off += d * d;
            norm += golden[j] * golden[j];
        }
        free(golden);
        double relative = sqrt(off / norm);
        worst = relative > worst ? relative : worst;
        if (!(relative < tolerance))
            fail_msg("%s: gradient of %s is %.2g off", mm_safetensors_path(file), t.name, relative);
    }
    print_message("%s: worst gradient tensor %.2g of %.2g\n", mm_safetensors_path(file), worst, tolerance);
}

static void expect_near(double found, double expected, double relative, const char *what, int step) {
    if (!(fabs(found - expected) <= relative * fabs(expected)))
        fail_msg("%s of step %d: %.10g, expected %.10g within %.1g", what, step, found, expected, relative);
}

// AdamW with PyTorch.
static void compare_steps(bench *b, const mm_json *root) {
    const mm_json *options = mm_json_get(root, "adamw"), *steps = mm_json_get(root, "steps");
    mm_adamw adamw = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    double lr = mm_json_number(mm_json_get(options, "lr"));
    assert_true(mm_json_size(steps) >= 20);
    const mm_parameters *p = &b->model.parameters;
    for (size_t s = 0; s < mm_json_size(steps); s++) {
        const mm_json *golden = mm_json_at(steps, s);
        double loss = mean_loss(b), norm = gradient_norm(b);
        expect_near(loss, mm_json_number(mm_json_get(golden, "loss")), float32_of(root, "worst_step_loss"),
                    "loss", (int)s + 1);
        expect_near(norm, mm_json_number(mm_json_get(golden, "grad_norm")),
                    float32_of(root, "worst_step_grad_norm"), "norm", (int)s + 1);
        double scale = mm_clip_scale(norm, 1.0);
        for (int i = 0; i < p->count; i++) {
            double decay = mm_adamw_decays(&p->tensors[i]) ? 0.01 : 0;
            mm_adamw_scalars scalars = mm_adamw_at(&adamw, lr, decay, scale, (int64_t)s + 1);
            size_t o = p->offsets[i];
            mm_optim_kernels_for(mm_isa_best())
                ->adamw(b->weights + o, b->m + o, b->v + o, b->gradient + o, mm_tensor_count(&p->tensors[i]),
                        &scalars);
        }
    }
}

static void one_golden(const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", MM_GOLDEN, name);
    mm_json_document *document;
    OK(mm_json_read(path, 1 << 22, &document, &error));
    const mm_json *root = mm_json_root(document);
    mm_text config_text = {0};
    mm_json_writer w = mm_json_writer_on(&config_text, 0);
    mm_json_put_value(&w, mm_json_get(root, "config"));
    mm_config config;
    OK(mm_config_parse(config_text.data, config_text.size, path, &config, &error));
    bench b = {0};
    open_bench(&b, &config, mm_isa_best());
    read_samples(&b, mm_json_get(root, "samples"));
    snprintf(path, sizeof path, "%s/%.*s.safetensors", MM_GOLDEN, (int)(strlen(name) - strlen(".json")),
             name);
    mm_safetensors *file;
    OK(mm_safetensors_open(path, &file, &error));
    read_weights(&b, file);
    // One pass's loss: PyTorch's float32 stays within 2e-7 of its float64.
    expect_near(mean_loss(&b), mm_json_number(mm_json_get(root, "loss")), 4e-7, "loss", 0);
    compare_gradients(&b, file, float32_of(root, "worst_gradient"));
    compare_steps(&b, root);
    mm_safetensors_close(file);
    close_bench(&b);
    mm_text_free(&config_text);
    mm_json_free(document);
}

static void golden_models(void **state) {
    (void)state;
    DIR *folder = opendir(MM_GOLDEN);
    assert_non_null(folder);
    int count = 0;
    for (struct dirent *e; (e = readdir(folder));) {
        size_t n = strlen(e->d_name);
        if (strncmp(e->d_name, "model-", 6) != 0 || n < 6 || strcmp(e->d_name + n - 5, ".json") != 0)
            continue;
        one_golden(e->d_name);
        count++;
    }
    closedir(folder);
    assert_true(count >= 4);
}

// --- properties

static const mm_config odd = {.kind = MM_MODEL_QWEN3,
                              .vocab = 211,
                              .hidden = 72,
                              .layers = 2,
                              .heads = 6,
                              .kv_heads = 2,
                              .head_dim = 24,
                              .intermediate = 130,
                              .tied = true,
                              .attention_bias = true,
                              .rms_norm_eps = 1e-6,
                              .rope_theta = 1e4};

static void fill_bench(bench *b) {
    const int rows[] = {37, 64, 1, 5};
    for (int i = 0; i < b->model.parameters.count; i++)
        mm_parameter_initial(&b->model.parameters, i, 7, b->weights + b->model.parameters.offsets[i]);
    b->samples = 4;
    for (int s = 0; s < 4; s++) b->starts[s + 1] = b->starts[s] + rows[s];
    uint32_t x = 1;
    for (int64_t i = 0; i < b->starts[4]; i++) {
        x = x * 1664525u + 1013904223u;
        b->inputs[i] = (int32_t)((x >> 8) % 211);
        b->targets[i] = (int32_t)((x >> 16) % 211);
    }
}

static const mm_draw draws[7] = {{11, 1, 0, 0}, {11, 1, 0, 1}, {11, 1, 0, 2}, {11, 1, 0, 3},
                                 {11, 1, 0, 4}, {11, 1, 0, 5}, {11, 1, 0, 6}};

static mm_hash hash_of_gradient(const bench *b) {
    return mm_hash_bytes(b->gradient, b->model.parameters.floats * sizeof(float));
}

static mm_hash gradient_hash(mm_isa isa, double dropout, double *loss) {
    bench b = {0};
    open_bench(&b, &odd, isa);
    fill_bench(&b);
    mm_leaf leaf = leaf_of(&b);
    leaf.draws = draws;
    leaf.dropout = dropout;
    *loss = mm_model_train(&b.model, b.room, &leaf, b.gradient, NULL, &b.alone);
    mm_hash hash = hash_of_gradient(&b);
    close_bench(&b);
    return hash;
}

static void builds_agree_to_the_bit(void **state) {
    (void)state;
    for (int d = 0; d < 2; d++) {
        double loss, first_loss;
        mm_hash first = gradient_hash(MM_ISA_BASELINE, 0.1 * d, &first_loss);
        for (mm_isa isa = MM_ISA_V3; isa <= mm_isa_best(); isa++) {
            assert_true(mm_hash_equal(first, gradient_hash(isa, 0.1 * d, &loss)));
            assert_memory_equal(&loss, &first_loss, sizeof loss);
        }
    }
}

// A leaf of five blocks of rows, some of them in two samples.
static void lengthen_bench(bench *b) {
    static const int more[] = {64, 64, 13};
    for (int i = 0; i < 3; i++, b->samples++) {
        int64_t end = b->starts[b->samples] + more[i];
        b->starts[b->samples + 1] = end;
        for (int64_t row = b->starts[b->samples]; row < end; row++) {
            b->inputs[row] = (int32_t)(row * 7 % 211);
            b->targets[row] = (int32_t)(row * 5 % 211);
        }
    }
}

enum { MOST_MEMBERS = 7 };

typedef struct shared_leaf {
    bench b;
    mm_leaf leaf;
    float *scratch[MOST_MEMBERS];
    double loss[MOST_MEMBERS];
    int members;
} shared_leaf;

static void train_together(void *self, const mm_team *team, int worker) {
    shared_leaf *s = self;
    if (worker == 0) s->members = team->workers;
    mm_member member = {.team = team, .worker = worker, .scratch = s->scratch[worker]};
    s->loss[worker] = mm_model_train(&s->b.model, s->b.room, &s->leaf, s->b.gradient, NULL, &member);
}

static void see_nothing(void *self, const mm_sight *sight) {
    (void)self, (void)sight;
}

// Also a leaf that a probe looks at, which is not worked on in parts.
static void agree(shared_leaf *s) {
    bench *b = &s->b;
    double alone = mm_model_train(&b->model, b->room, &s->leaf, b->gradient, NULL, &b->alone);
    mm_hash want = hash_of_gradient(b);
    for (int workers = MOST_MEMBERS; workers >= 2; workers--) {
        spoil_gradient(b);
        mm_par_team(workers, train_together, s);
        for (int w = 0; w < s->members; w++) assert_memory_equal(&s->loss[w], &alone, sizeof alone);
        assert_true(mm_hash_equal(hash_of_gradient(b), want));
    }
    const mm_probe probe = {.level = MM_LEVEL_OP, .see = see_nothing};
    spoil_gradient(b);
    double seen = mm_model_train(&b->model, b->room, &s->leaf, b->gradient, &probe, &b->alone);
    assert_memory_equal(&seen, &alone, sizeof alone);
    assert_true(mm_hash_equal(hash_of_gradient(b), want));
}

static void teams_agree_to_the_bit(void **state) {
    (void)state;
    shared_leaf s = {0};
    open_bench(&s.b, &odd, mm_isa_best());
    fill_bench(&s.b);
    lengthen_bench(&s.b);
    s.leaf = leaf_of(&s.b);
    s.leaf.draws = draws;
    for (int w = 0; w < MOST_MEMBERS; w++) {
        s.scratch[w] = calloc(mm_model_scratch(&s.b.model), sizeof(float));
        assert_non_null(s.scratch[w]);
    }
    for (int d = 0; d < 2; d++) {
        s.leaf.dropout = 0.1 * d;
        agree(&s);
    }
    for (int w = 0; w < MOST_MEMBERS; w++) free(s.scratch[w]);
    close_bench(&s.b);
}

static void loss_alone_is_the_same(void **state) {
    (void)state;
    bench b = {0};
    open_bench(&b, &odd, mm_isa_best());
    fill_bench(&b);
    mm_leaf leaf = leaf_of(&b);
    double trained = mm_model_train(&b.model, b.room, &leaf, b.gradient, NULL, &b.alone);
    mm_arena measure = mm_arena_measure(), arena;
    mm_activations_place(&b.model, 512, false, &measure);
    OK(mm_arena_open(&arena, measure.used, &error));
    double alone =
        mm_model_loss(&b.model, mm_activations_place(&b.model, 512, false, &arena), &leaf, NULL, &b.alone);
    assert_memory_equal(&trained, &alone, sizeof alone);
    mm_arena_close(&arena);
    close_bench(&b);
}

// Along a fixed direction of one tensor's gradient the loss changes as the gradient says, with the masks of
// dropout held: both passes draw the same. Tolerance 2 %: the loss moves by 1e-4 and is exact to about 1e-6.
static void gradient_predicts_the_loss_under_dropout(void **state) {
    (void)state;
    bench b = {0};
    open_bench(&b, &odd, mm_isa_best());
    fill_bench(&b);
    mm_leaf leaf = leaf_of(&b);
    leaf.draws = draws;
    leaf.dropout = 0.3;
    const mm_parameters *p = &b.model.parameters;
    mm_model_train(&b.model, b.room, &leaf, b.gradient, NULL, &b.alone);
    float *gradient = malloc(p->floats * sizeof(float)), *kept = malloc(p->floats * sizeof(float));
    memcpy(gradient, b.gradient, p->floats * sizeof(float));
    memcpy(kept, b.weights, p->floats * sizeof(float));
    for (int i = 0; i < p->count; i++) {
        int64_t n = mm_tensor_count(&p->tensors[i]);
        const float *g = gradient + p->offsets[i];
        float *weights = b.weights + p->offsets[i];
        double square = 0, loss[2];
        for (int64_t j = 0; j < n; j++) square += (double)g[j] * (double)g[j];
        double step = 1e-4 / square; // moves the loss by 1e-4
        for (int side = 0; side < 2; side++) {
            for (int64_t j = 0; j < n; j++)
                weights[j] =
                    (float)((double)kept[p->offsets[i] + (size_t)j] + (side ? -step : step) * (double)g[j]);
            loss[side] = mm_model_loss(&b.model, b.room, &leaf, NULL, &b.alone) / (double)leaf.rows;
        }
        memcpy(weights, kept + p->offsets[i], (size_t)n * sizeof(float));
        if (strstr(p->tensors[i].name, "k_proj.bias"))
            continue; // its gradient is nearly zero: softmax ignores it
        expect_near(loss[0] - loss[1], 2e-4, 0.02, p->tensors[i].name, 0);
    }
    free(gradient);
    free(kept);
    close_bench(&b);
}

// A sample's rows do not see other samples, nor later rows: changing one leaves the others' losses to the
// bit.
static void samples_are_apart(void **state) {
    (void)state;
    bench b = {0};
    open_bench(&b, &odd, mm_isa_best());
    fill_bench(&b);
    mm_leaf all = leaf_of(&b);
    double alone = 0, whole = mm_model_loss(&b.model, b.room, &all, NULL, &b.alone);
    for (int s = 0; s < b.samples; s++) {
        int64_t starts[2] = {0, b.starts[s + 1] - b.starts[s]};
        mm_leaf one = all;
        one.samples = 1;
        one.starts = starts;
        one.rows = starts[1];
        one.inputs = b.inputs + b.starts[s];
        one.targets = b.targets + b.starts[s];
        alone += mm_model_loss(&b.model, b.room, &one, NULL, &b.alone);
    }
    expect_near(alone, whole, 1e-14, "sum of the samples' losses",
                0); // sums of the same doubles in another order
    close_bench(&b);
}

// --- where dropout is

static const double share = 0.3;

static double kept(const mm_stream *stream, uint64_t element) {
    return mm_stream_word(stream, element) < (uint32_t)floor(share * 0x1p32) ? 0 : 1 / (1 - share);
}

// What a probe saw in layer 0, by operation.
typedef struct sites {
    float embedding[512 * 72], attention[512 * 144], residual[512 * 72];
} sites;

static void keep_sight(void *self, const mm_sight *s) {
    sites *kept_sights = self;
    if (!s->output || s->pass != MM_PASS_FORWARD || s->layer > 0) return;
    float *to = strcmp(s->operation, "embedding_dropout") == 0    ? kept_sights->embedding
                : strcmp(s->operation, "attention") == 0          ? kept_sights->attention
                : strcmp(s->operation, "attention_residual") == 0 ? kept_sights->residual
                                                                  : NULL;
    int64_t columns = s->tensor.shape[1];
    for (int64_t row = 0; to && row < s->tensor.shape[0]; row++)
        memcpy(to + row * columns, (const float *)s->tensor.data + row * s->ld, (size_t)columns * sizeof *to);
}

static void set_all(bench *b, const char *name, float value) {
    for (int i = 0; i < b->model.parameters.count; i++) {
        mm_tensor t = mm_parameter_in(&b->model.parameters, i, b->weights);
        if (!strstr(t.name, name)) continue;
        for (int64_t j = 0; j < mm_tensor_count(&t); j++) ((float *)t.data)[j] = value;
    }
}

// A row of one sample: every embedding is 1, all attention weights of a row are the same, every value and
// every output of attention is 1, so that each number says what was dropped.
static void check_row(const bench *b, const sites *seen, int sample, int64_t row) {
    const mm_config *c = &odd;
    const int64_t at = b->starts[sample] + row, ld = (c->hidden + 63) / 64 * 64;
    const mm_stream embedding =
                        mm_stream_of(&draws[sample], MM_PURPOSE_EMBEDDING_DROPOUT, 0, 64 * (uint64_t)ld),
                    attention = mm_stream_of(&draws[sample], MM_PURPOSE_ATTENTION_DROPOUT, 0, 64 * 64 * 6),
                    output = mm_stream_of(&draws[sample], MM_PURPOSE_OUTPUT_DROPOUT, 0, 64 * (uint64_t)ld);
    for (int64_t i = 0; i < c->hidden; i++) {
        double x = kept(&embedding, (uint64_t)(row * ld + i));
        expect_near((double)seen->embedding[at * c->hidden + i], x, 1e-6, "embedding", (int)at);
        x += kept(&output, (uint64_t)(row * ld + i));
        expect_near((double)seen->residual[at * c->hidden + i], x, 1e-6, "attention output", (int)at);
    }
    for (int64_t head = 0; head < c->heads; head++) {
        double sum = 0;
        for (int64_t column = 0; column <= row; column++)
            sum += kept(&attention, (uint64_t)((head * 64 + row) * 64 + column)) / (double)(row + 1);
        for (int64_t i = 0; i < c->head_dim; i++) // of at most 64 terms, each rounded
            expect_near((double)seen->attention[at * 144 + head * c->head_dim + i], sum, 64 * 0x1p-23,
                        "attention weights", (int)at);
    }
}

static void dropout_is_where_it_is_designed(void **state) {
    (void)state;
    bench b = {0};
    open_bench(&b, &odd, mm_isa_best());
    fill_bench(&b);
    memset(b.weights, 0, b.model.parameters.floats * sizeof *b.weights);
    set_all(&b, "norm.weight", 1);
    set_all(&b, "embed_tokens.weight", 1);
    set_all(&b, "v_proj.bias", 1);
    set_all(&b, "o_proj.bias", 1);
    sites *seen = calloc(1, sizeof *seen);
    const mm_probe probe = {.level = MM_LEVEL_OP, .self = seen, .see = keep_sight};
    mm_leaf leaf = leaf_of(&b);
    leaf.draws = draws;
    leaf.dropout = share;
    mm_model_train(&b.model, b.room, &leaf, b.gradient, &probe, &b.alone);
    for (int s = 0; s < b.samples; s++)
        for (int64_t row = 0; row < b.starts[s + 1] - b.starts[s]; row++) check_row(&b, seen, s, row);
    free(seen);
    close_bench(&b);
}

// N(0, 0.02) where there are two dimensions, norms 1, biases 0; mean and variance within six of their
// deviations.
static void initial_weights_are_as_designed(void **state) {
    (void)state;
    mm_parameters p;
    OK(mm_parameters_make(&p, &odd, &error));
    for (int i = 0; i < p.count; i++) {
        const int64_t n = mm_tensor_count(&p.tensors[i]);
        float *x = malloc((size_t)n * sizeof *x);
        double sum = 0, squares = 0;
        mm_parameter_initial(&p, i, 7, x);
        for (int64_t j = 0; j < n; j++) {
            sum += (double)x[j];
            squares += (double)x[j] * (double)x[j];
            if (p.tensors[i].dims == 1)
                assert_true(x[j] == (strstr(p.tensors[i].name, ".bias") ? 0.0f : 1.0f));
        }
        free(x);
        if (p.tensors[i].dims == 1) continue;
        assert_true(fabs(sum / (double)n) <= 6 * 0.02 / sqrt((double)n));
        assert_true(fabs(squares / (double)n / 4e-4 - 1) <= 6 * sqrt(2 / (double)n));
    }
    mm_parameters_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_models),
        cmocka_unit_test(initial_weights_are_as_designed),
        cmocka_unit_test(dropout_is_where_it_is_designed),
        cmocka_unit_test(builds_agree_to_the_bit),
        cmocka_unit_test(teams_agree_to_the_bit),
        cmocka_unit_test(loss_alone_is_the_same),
        cmocka_unit_test(gradient_predicts_the_loss_under_dropout),
        cmocka_unit_test(samples_are_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
