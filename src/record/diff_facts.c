// What differs between two runs before their first step.
#include <mm/record/diff.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANYWHERE = MM_STAGE_BATCH | MM_STAGE_LEAF | MM_STAGE_MERGE | MM_STAGE_UPDATE };

typedef struct comparing {
    const mm_run_facts *a, *b;
    mm_facts_diff *out;
    int64_t from; // of the facts that are added
    size_t capacity;
    bool failed;
} comparing;

static mm_fact_value no_value(void) {
    return (mm_fact_value){.kind = MM_VALUE_NONE};
}

static mm_fact_value integer(int64_t value) {
    return (mm_fact_value){.kind = MM_VALUE_INTEGER, .integer = value};
}

static mm_fact_value text(comparing *c, const char *value) {
    if (!value) return no_value();
    mm_fact_value made = {.kind = MM_VALUE_TEXT, .text = strdup(value)};
    c->failed |= !made.text;
    return made;
}

static mm_fact *add(comparing *c, const char *key, mm_fact_kind kind, unsigned stages, bool bits,
                    mm_fact_value a, mm_fact_value b) {
    mm_facts_diff *out = c->out;
    if (out->count == c->capacity) {
        size_t capacity = c->capacity ? 2 * c->capacity : 32;
        mm_fact *facts = realloc(out->facts, capacity * sizeof *facts);
        if (!facts) {
            c->failed = true;
            free(a.text);
            free(b.text);
            return NULL;
        }
        out->facts = facts;
        c->capacity = capacity;
    }
    mm_fact *fact = &out->facts[out->count++];
    *fact =
        (mm_fact){.kind = kind, .stages = stages, .may_change_bits = bits, .from = c->from, .a = a, .b = b};
    snprintf(fact->key, sizeof fact->key, "%s", key);
    return fact;
}

static void compare_text(comparing *c, const char *key, mm_fact_kind kind, unsigned stages, bool bits,
                         const char *a, const char *b) {
    if (a == b || (a && b && strcmp(a, b) == 0)) return;
    add(c, key, kind, stages, bits, text(c, a), text(c, b));
}

static void compare_integer(comparing *c, const char *key, mm_fact_kind kind, unsigned stages, bool bits,
                            int64_t a, int64_t b) {
    if (a != b) add(c, key, kind, stages, bits, integer(a), integer(b));
}

static void compare_hash(comparing *c, const char *key, unsigned stages, bool bits, mm_hash a, mm_hash b) {
    char x[MM_HASH_TEXT], y[MM_HASH_TEXT];
    if (mm_hash_equal(a, b)) return;
    add(c, key, MM_FACT_DATA, stages, bits, text(c, mm_hash_print(a, x)), text(c, mm_hash_print(b, y)));
}

// --- configuration

static const void *slot(const mm_settings *s, const mm_field *f) {
    return (const char *)s + f->offset;
}

static mm_fact_value setting(comparing *c, const mm_settings *s, const mm_field *f) {
    switch (f->kind) {
    case MM_FIELD_NUMBER:
        return (mm_fact_value){.kind = MM_VALUE_NUMBER, .number = *(const double *)slot(s, f)};
    case MM_FIELD_STRING:
        return text(c, *(char *const *)slot(s, f));
    case MM_FIELD_CHOICE:
        return text(c, f->choices[*(const int64_t *)slot(s, f)]);
    case MM_FIELD_SEED:
        return (mm_fact_value){.kind = MM_VALUE_SEED, .seed = *(const uint64_t *)slot(s, f)};
    case MM_FIELD_INTEGER:
        break;
    }
    return integer(*(const int64_t *)slot(s, f));
}

static bool same_setting(const mm_settings *a, const mm_settings *b, const mm_field *f) {
    if (f->kind != MM_FIELD_STRING) return memcmp(slot(a, f), slot(b, f), sizeof(int64_t)) == 0;
    const char *x = *(char *const *)slot(a, f), *y = *(char *const *)slot(b, f);
    return x == y || (x && y && strcmp(x, y) == 0);
}

// Where both runs draw by key. What one of them alone draws, another option explains.
static unsigned drawing_stages(const comparing *c, const char *key) {
    const mm_settings *a = &c->a->settings, *b = &c->b->settings;
    bool shuffled =
        a->order == MM_ORDER_SHUFFLED && b->order == MM_ORDER_SHUFFLED && strcmp(key, "seed") == 0;
    bool noise = a->token_noise > 0 && b->token_noise > 0, dropout = a->dropout > 0 && b->dropout > 0;
    return (noise || shuffled ? MM_STAGE_BATCH : 0U) | (dropout ? MM_STAGE_LEAF : 0U);
}

static bool draws_by_key(const char *key) {
    return strcmp(key, "ranks") == 0 || strcmp(key, "seed") == 0 || strcmp(key, "seed_policy") == 0;
}

static unsigned stages_of(const comparing *c, const char *key) {
    static const struct {
        const char *key;
        unsigned stages;
    } table[] = {
        {"preset", MM_STAGE_LEAF},
        {"steps", MM_STAGE_UPDATE},
        {"batch", MM_STAGE_BATCH | MM_STAGE_LEAF | MM_STAGE_MERGE},
        {"micro_batch", MM_STAGE_BATCH | MM_STAGE_LEAF | MM_STAGE_MERGE},
        {"seq_len", MM_STAGE_BATCH | MM_STAGE_LEAF | MM_STAGE_MERGE},
        {"packing", MM_STAGE_BATCH | MM_STAGE_LEAF | MM_STAGE_MERGE},
        {"dropout", MM_STAGE_LEAF},
        {"token_noise", MM_STAGE_BATCH},
        {"order", MM_STAGE_BATCH},
    };
    if (draws_by_key(key)) return drawing_stages(c, key);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].key, key) == 0) return table[i].stages;
    return MM_STAGE_UPDATE;
}

// One rank, whose key is the base seed by either of these policies.
static bool is_alone(const mm_settings *s) {
    return s->ranks == 1 &&
           (s->seed_policy == MM_SEED_POLICY_RANK || s->seed_policy == MM_SEED_POLICY_SHARED);
}

// Does the option matter to these two runs at all?
static bool moves_bits(const comparing *c, const mm_field *f) {
    const mm_settings *a = &c->a->settings, *b = &c->b->settings;
    bool draws = a->dropout > 0 || a->token_noise > 0 || b->dropout > 0 || b->token_noise > 0;
    if (strcmp(f->key, "seed_policy") == 0) return draws && !(is_alone(a) && is_alone(b));
    if (strcmp(f->key, "seed") == 0)
        return draws || !a->model || !b->model || a->order == MM_ORDER_SHUFFLED ||
               b->order == MM_ORDER_SHUFFLED;
    if (strcmp(f->key, "ranks") == 0)
        return draws && !(a->seed_policy == MM_SEED_POLICY_SAMPLE && b->seed_policy == MM_SEED_POLICY_SAMPLE);
    if (strcmp(f->key, "steps") == 0)
        return a->schedule != MM_SCHEDULE_CONSTANT || b->schedule != MM_SCHEDULE_CONSTANT;
    return f->changes_bits;
}

static void compare_settings(comparing *c) {
    const mm_settings *a = &c->a->settings, *b = &c->b->settings;
    for (const mm_field *f = mm_settings_fields; f->key; f++) {
        if (same_setting(a, b, f)) continue;
        bool bits = moves_bits(c, f), seed = strncmp(f->key, "seed", 4) == 0;
        mm_fact_kind kind = seed ? MM_FACT_SEED : f->changes_bits ? MM_FACT_OPTION : MM_FACT_PLACE;
        add(c, f->key, kind, bits ? stages_of(c, f->key) : 0, bits, setting(c, a, f), setting(c, b, f));
    }
}

// --- model

static bool names_only(const char *key) {
    static const char *const names[] = {
        "max_position_embeddings", "bos_token_id", "eos_token_id", "pad_token_id",
        "architectures",           "torch_dtype"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(key, names[i]) == 0) return true;
    return false;
}

static mm_fact_value json_value(comparing *c, const mm_json *value) {
    switch (mm_json_kind_of(value)) {
    case MM_JSON_INTEGER:
        return integer(mm_json_integer(value));
    case MM_JSON_REAL:
        return (mm_fact_value){.kind = MM_VALUE_NUMBER, .number = mm_json_number(value)};
    case MM_JSON_STRING:
        return text(c, mm_json_string(value, NULL));
    default:
        break;
    }
    if (!value) return no_value();
    mm_text written = {0};
    mm_json_writer w = mm_json_writer_on(&written, 0);
    mm_json_put_value(&w, value);
    c->failed |= written.failed;
    return (mm_fact_value){.kind = MM_VALUE_TEXT, .text = written.data};
}

static bool same_value(const mm_fact_value *a, const mm_fact_value *b) {
    if (a->kind != b->kind) return false;
    if (a->kind == MM_VALUE_TEXT) return a->text && b->text && strcmp(a->text, b->text) == 0;
    return a->integer == b->integer && memcmp(&a->number, &b->number, sizeof a->number) == 0;
}

static void compare_member(comparing *c, const char *key, const mm_json *a, const mm_json *b) {
    mm_fact_value x = json_value(c, a), y = json_value(c, b);
    char name[64];
    snprintf(name, sizeof name, "model.%s", key);
    if (!same_value(&x, &y)) {
        add(c, name, MM_FACT_OPTION, MM_STAGE_LEAF, !names_only(key), x, y);
        return;
    }
    free(x.text);
    free(y.text);
}

static mm_status compare_models(comparing *c, mm_error *error) {
    mm_json_document *a = NULL, *b = NULL;
    mm_status status =
        mm_json_parse(c->a->model_config, strlen(c->a->model_config), "run.json's model", &a, error);
    if (!status)
        status = mm_json_parse(c->b->model_config, strlen(c->b->model_config), "run.json's model", &b, error);
    if (!status) {
        const mm_json *x = mm_json_root(a), *y = mm_json_root(b);
        for (const void *i = mm_json_first(x); i; i = mm_json_next(x, i))
            compare_member(c, mm_json_key(i, NULL), mm_json_value(i), mm_json_get(y, mm_json_key(i, NULL)));
        for (const void *i = mm_json_first(y); i; i = mm_json_next(y, i))
            if (!mm_json_get(x, mm_json_key(i, NULL)))
                compare_member(c, mm_json_key(i, NULL), NULL, mm_json_value(i));
    }
    mm_json_free(a);
    mm_json_free(b);
    return status;
}

// --- the rest

static void compare_data(comparing *c) {
    const mm_run_facts *a = c->a, *b = c->b;
    bool noise = a->settings.token_noise > 0 || b->settings.token_noise > 0;
    compare_hash(c, "data.xxh128", MM_STAGE_BATCH, true, a->data.hash, b->data.hash);
    compare_hash(c, "data.tokenizer_xxh128", MM_STAGE_BATCH, noise, a->data.tokenizer, b->data.tokenizer);
    if (a->val_data.path && b->val_data.path)
        compare_hash(c, "val_data.xxh128", 0, false, a->val_data.hash, b->val_data.hash);
}

static bool same_tensor(const mm_run_tensor *a, const mm_run_tensor *b) {
    return strcmp(a->name, b->name) == 0 && a->dims == b->dims && mm_hash_equal(a->hash, b->hash) &&
           memcmp(a->shape, b->shape, (size_t)a->dims * sizeof a->shape[0]) == 0;
}

static void compare_initial(comparing *c) {
    const mm_run_facts *a = c->a, *b = c->b;
    for (int i = 0; !c->out->initial && i < a->initial_count; i++)
        if (i >= b->initial_count || !same_tensor(&a->initial[i], &b->initial[i]))
            c->out->initial = a->initial[i].name;
    if (!c->out->initial && b->initial_count > a->initial_count)
        c->out->initial = b->initial[a->initial_count].name;
}

// Keys follow from seed, policy and ranks; if those agree and keys do not, the program drew them otherwise.
static void compare_streams(comparing *c) {
    const mm_run_facts *a = c->a, *b = c->b;
    const mm_settings *s = &a->settings, *t = &b->settings;
    if (s->seed != t->seed || s->seed_policy != t->seed_policy || s->ranks != t->ranks) return;
    for (int i = 0; i < a->stream_count && i < b->stream_count; i++) {
        const mm_run_stream *x = &a->streams[i], *y = &b->streams[i];
        if (x->key == y->key && x->rank == y->rank && strcmp(x->purpose, y->purpose) == 0) continue;
        char p[64], q[64];
        snprintf(p, sizeof p, "%s of rank %d: %016llx", x->purpose, x->rank, (unsigned long long)x->key);
        snprintf(q, sizeof q, "%s of rank %d: %016llx", y->purpose, y->rank, (unsigned long long)y->key);
        compare_text(c, "streams.keys", MM_FACT_SEED, MM_STAGE_BATCH | MM_STAGE_LEAF, true, p, q);
        return;
    }
}

static void compare_versions(comparing *c) {
    const mm_run_facts *a = c->a, *b = c->b;
    compare_integer(c, "arithmetic", MM_FACT_CODE, ANYWHERE, true, a->arithmetic_version,
                    b->arithmetic_version);
    compare_integer(c, "streams.version", MM_FACT_CODE, ANYWHERE, true, a->streams_version,
                    b->streams_version);
}

static void compare_programs(comparing *c, const mm_run_program *a, const mm_run_program *b) {
    compare_text(c, "build.version", MM_FACT_CODE, ANYWHERE, true, a->version, b->version);
    compare_text(c, "build.compiler", MM_FACT_CODE, ANYWHERE, true, a->compiler, b->compiler);
    compare_text(c, "build.type", MM_FACT_CODE, ANYWHERE, true, a->build_type, b->build_type);
    compare_text(c, "build.kernels", MM_FACT_PLACE, 0, false, a->isa, b->isa);
    compare_text(c, "gemm.kernel", MM_FACT_PLACE, 0, false, a->gemm_kernel, b->gemm_kernel);
    compare_text(c, "gemm.version", MM_FACT_PLACE, 0, false, a->gemm_version, b->gemm_version);
    compare_text(c, "machine.cpu", MM_FACT_PLACE, 0, false, a->cpu, b->cpu);
    compare_integer(c, "machine.cores", MM_FACT_PLACE, 0, false, a->cores, b->cores);
    compare_text(c, "machine.system", MM_FACT_PLACE, 0, false, a->system, b->system);
}

static void join_command(const mm_run_facts *f, mm_text *out) {
    for (int i = 0; i < f->argc; i++) {
        if (i) mm_text_add_string(out, " ");
        mm_text_add_string(out, f->argv[i]);
    }
}

static void compare_command(comparing *c) {
    mm_text a = {0}, b = {0};
    join_command(c->a, &a);
    join_command(c->b, &b);
    c->failed |= a.failed || b.failed;
    compare_text(c, "command", MM_FACT_PLACE, 0, false, a.data, b.data);
    mm_text_free(&a);
    mm_text_free(&b);
}

mm_status mm_facts_compare(const mm_run_facts *a, const mm_run_facts *b, mm_facts_diff *out,
                           mm_error *error) {
    *out = (mm_facts_diff){0};
    comparing c = {.a = a, .b = b, .out = out};
    compare_data(&c);
    compare_settings(&c);
    mm_status status = compare_models(&c, error);
    compare_initial(&c);
    compare_streams(&c);
    compare_versions(&c);
    compare_programs(&c, &a->program, &b->program);
    compare_command(&c);
    if (!status && c.failed) status = mm_trouble(error, "comparing run.json: out of memory");
    if (status) mm_facts_diff_free(out);
    return status;
}

// What another program than that of the step did, the step's records do not show.
static void set_aside(mm_facts_diff *diff) {
    for (size_t i = 0; i < diff->count; i++)
        if (strncmp(diff->facts[i].key, "build.", 6) == 0) diff->facts[i].stages = 0;
}

mm_status mm_facts_compare_step(const mm_run_facts *a, const mm_run_facts *b, int64_t step, bool exact,
                                mm_facts_diff *diff, mm_error *error) {
    int64_t from_a, from_b;
    const mm_run_program *x = mm_run_program_at(a, step, &from_a), *y = mm_run_program_at(b, step, &from_b);
    if (!from_a && !from_b) return MM_OK;
    if (exact) set_aside(diff);
    comparing c = {
        .a = a, .b = b, .out = diff, .from = from_a > from_b ? from_a : from_b, .capacity = diff->count};
    compare_programs(&c, x, y);
    return c.failed ? mm_trouble(error, "comparing run.json: out of memory") : MM_OK;
}

void mm_facts_diff_free(mm_facts_diff *diff) {
    for (size_t i = 0; i < diff->count; i++) {
        free(diff->facts[i].a.text);
        free(diff->facts[i].b.text);
    }
    free(diff->facts);
    *diff = (mm_facts_diff){0};
}

int mm_fact_digits(const mm_fact *f) {
    enum { USUAL = 9, MOST = 17 }; // which give the bits back
    char a[40], b[40];
    for (int digits = USUAL; digits < MOST; digits++) {
        snprintf(a, sizeof a, "%.*g", digits, f->a.number);
        snprintf(b, sizeof b, "%.*g", digits, f->b.number);
        if (strcmp(a, b) != 0 || f->a.kind != f->b.kind) return digits;
    }
    return MOST;
}

const mm_fact *mm_facts_find(const mm_facts_diff *diff, const char *key) {
    for (size_t i = 0; i < diff->count; i++)
        if (strcmp(diff->facts[i].key, key) == 0) return &diff->facts[i];
    return NULL;
}
