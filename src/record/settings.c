#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <mm/base/probe.h>
#include <mm/base/utf8.h>
#include <mm/record/settings.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BELOW_ONE 0x1.fffffffffffffp-1
#define TINIEST 1e-300
#define HUGE 1e300

// Each ends with the NULL behind its last name.
static const char *const packings[MM_PACKING_DOCUMENT + 2] = {
    [MM_PACKING_WINDOW] = "window", [MM_PACKING_DOCUMENT] = "document"};
static const char *const policies[MM_SEED_POLICY_SAMPLE + 2] = {[MM_SEED_POLICY_RANK] = "rank",
                                                                [MM_SEED_POLICY_SHARED] = "shared",
                                                                [MM_SEED_POLICY_HASHED] = "hashed",
                                                                [MM_SEED_POLICY_SAMPLE] = "sample"};
static const char *const orders[MM_ORDER_SEQUENTIAL + 2] = {
    [MM_ORDER_SHUFFLED] = "shuffled", [MM_ORDER_SEQUENTIAL] = "sequential"};
static const char *const schedules[MM_SCHEDULE_CONSTANT + 2] = {
    [MM_SCHEDULE_MINIMIND] = "minimind", [MM_SCHEDULE_CONSTANT] = "constant"};
static const char *const levels[MM_LEVEL_OP + 2] = {
    [MM_LEVEL_OFF] = "off", [MM_LEVEL_STEP] = "step", [MM_LEVEL_LAYER] = "layer", [MM_LEVEL_OP] = "op"};

// Bounds that are said in words: below 1, above 0, finite. Seeds are numbers in JSON as far as every reader
// keeps them.
static const double below_one = BELOW_ONE, tiniest = TINIEST, huge = HUGE;
static const uint64_t exact_integers = 1ULL << 53;

#define AT(member) .key = #member, .offset = offsetof(mm_settings, member)
#define INTEGER(member, from, to) AT(member), .kind = MM_FIELD_INTEGER, .least = (from), .most = (to)
#define NUMBER(member, from, to) AT(member), .kind = MM_FIELD_NUMBER, .least = (from), .most = (to)
#define CHOICE(member, names) AT(member), .kind = MM_FIELD_CHOICE, .choices = (names)
#define STRING(member) AT(member), .kind = MM_FIELD_STRING

// Paths never move a bit by themselves (what they lead to is compared by hash), nor do workers, what is
// written and how often, nor threads once ranks are resolved. Ranks do: their streams (dropout, token noise),
// unless the policy is sample. Validation draws nothing and changes no weight: val_every only puts val_loss
// into metrics.jsonl. Steps shape the minimind schedule; with a constant one they only say where the run
// ends.
const mm_field mm_settings_fields[] = {
    {INTEGER(threads, 1, 65536)},
    {INTEGER(ranks, 1, 65536), .changes_bits = true},
    {INTEGER(workers, 1, 1024), .on_resume = true},
    {STRING(data)},
    {STRING(val_data)},
    {INTEGER(val_every, 0, 1e9)},
    {STRING(preset), .changes_bits = true},
    {STRING(model)},
    {INTEGER(steps, 1, 1e9), .on_resume = true, .changes_bits = true},
    {INTEGER(batch, 1, 1e6), .changes_bits = true},
    {INTEGER(micro_batch, 1, 65536), .changes_bits = true},
    {INTEGER(seq_len, 1, 1 << 20), .changes_bits = true},
    {CHOICE(packing, packings), .changes_bits = true},
    {AT(seed), .kind = MM_FIELD_SEED, .changes_bits = true},
    {CHOICE(seed_policy, policies), .changes_bits = true},
    {NUMBER(dropout, 0, BELOW_ONE), .changes_bits = true},
    {NUMBER(token_noise, 0, BELOW_ONE), .changes_bits = true},
    {CHOICE(order, orders), .changes_bits = true},
    {NUMBER(lr, TINIEST, 1e300), .changes_bits = true},
    {CHOICE(schedule, schedules), .changes_bits = true},
    {INTEGER(warmup, 0, 1e9), .changes_bits = true},
    {NUMBER(weight_decay, 0, 1e9), .changes_bits = true},
    {NUMBER(beta1, 0, BELOW_ONE), .changes_bits = true},
    {NUMBER(beta2, 0, BELOW_ONE), .changes_bits = true},
    {NUMBER(eps, 0, 1e9), .changes_bits = true},
    {NUMBER(clip, 0, HUGE), .changes_bits = true},
    {STRING(out)},
    {INTEGER(save_every, 0, 1e9), .on_resume = true},
    {INTEGER(keep, 0, 1e9), .on_resume = true},
    {INTEGER(sample_every, 0, 1e9), .on_resume = true},
    {STRING(prompt), .on_resume = true},
    {CHOICE(trace, levels), .on_resume = true},
    {.key = NULL},
};
_Static_assert(sizeof mm_settings_fields / sizeof mm_settings_fields[0] == MM_SETTINGS_FIELDS + 1,
               "who marks fields has room for all of them");

const mm_field *mm_settings_field(const char *key) {
    for (const mm_field *f = mm_settings_fields; f->key; f++)
        if (strcmp(f->key, key) == 0) return f;
    return NULL;
}

static void *slot_of(mm_settings *settings, const mm_field *field) {
    return (char *)settings + field->offset;
}

static const void *const_slot_of(const mm_settings *settings, const mm_field *field) {
    return (const char *)settings + field->offset;
}

void mm_settings_free(mm_settings *settings) {
    for (const mm_field *f = mm_settings_fields; f->key; f++)
        if (f->kind == MM_FIELD_STRING) free(*(char **)slot_of(settings, f));
    *settings = (mm_settings){0};
}

mm_status mm_settings_copy(mm_settings *to, const mm_settings *from, mm_error *error) {
    *to = *from;
    bool whole = true;
    for (const mm_field *f = mm_settings_fields; f->key; f++) {
        char **slot = f->kind == MM_FIELD_STRING ? slot_of(to, f) : NULL;
        if (!slot || !*slot) continue;
        *slot = strdup(*slot);
        whole = whole && *slot;
    }
    return whole ? MM_OK : mm_trouble(error, "settings: out of memory");
}

mm_status mm_settings_set_string(char **slot, const char *value, mm_error *error) {
    char *copy = strdup(value);
    if (!copy) return mm_trouble(error, "settings: out of memory");
    free(*slot);
    *slot = copy;
    return MM_OK;
}

mm_status mm_settings_take(mm_settings *to, const mm_field *field, const mm_settings *from, bool *changed,
                           mm_error *error) {
    void *slot = slot_of(to, field);
    const void *value = const_slot_of(from, field);
    if (field->kind != MM_FIELD_STRING) {
        *changed |= memcmp(slot, value, sizeof(int64_t)) != 0;
        memcpy(slot, value, sizeof(int64_t)); // numbers and seeds are as long
        return MM_OK;
    }
    char **text = slot;
    const char *given = *(char *const *)value;
    if (!given ? !*text : *text && strcmp(*text, given) == 0) return MM_OK;
    *changed = true;
    if (given) return mm_settings_set_string(text, given, error);
    free(*text);
    *text = NULL;
    return MM_OK;
}

const char *mm_settings_option(const char *key, char out[MM_OPTION_NAME]) {
    snprintf(out, MM_OPTION_NAME, "%s", key);
    for (char *c = out; *c; c++)
        if (*c == '_') *c = '-';
    return out;
}

mm_status mm_settings_check_text(const mm_settings *settings, mm_error *error) {
    for (const mm_field *f = mm_settings_fields; f->key; f++) {
        const char *text = f->kind == MM_FIELD_STRING ? *(char *const *)const_slot_of(settings, f) : NULL;
        if (!text || mm_utf8_valid(text, strlen(text)) == strlen(text)) continue;
        char option[MM_OPTION_NAME];
        return mm_trouble(error,
                          "%s (--%s): found bytes that are not UTF-8, with which run.json cannot name it; "
                          "write it in UTF-8, or rename what it leads to",
                          text, mm_settings_option(f->key, option));
    }
    return MM_OK;
}

// --- from the command line

static mm_status parse_integer(int64_t *slot, const mm_field *field, const char *name, const char *value,
                               mm_error *error) {
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (!isdigit((unsigned char)*value) || *end || errno || (double)number < field->least ||
        (double)number > field->most)
        return mm_trouble(error, "%s %s: expected a whole number from %.0f to %.0f", name, value,
                          field->least, field->most);
    *slot = number;
    return MM_OK;
}

static mm_status parse_seed(uint64_t *slot, const char *name, const char *value, mm_error *error) {
    char *end;
    errno = 0;
    // Base 16 by strtoull itself, so that 017 is 17.
    bool hexadecimal = value[0] == '0' && (value[1] == 'x' || value[1] == 'X');
    unsigned long long number = strtoull(value, &end, hexadecimal ? 16 : 10);
    if (!isdigit((unsigned char)*value) || *end || errno)
        return mm_trouble(error, "%s %s: expected a whole number from 0 to 2^64 - 1, decimal or 0x...", name,
                          value);
    *slot = number;
    return MM_OK;
}

static mm_status refuse_number(const mm_field *field, const char *name, const char *value, mm_error *error) {
    if (field->most == below_one)
        return mm_trouble(error, "%s %s: expected a number from %g up to but not including 1", name, value,
                          field->least);
    if (field->least == tiniest)
        return mm_trouble(error, "%s %s: expected a number above 0 and up to %g", name, value, field->most);
    if (field->most == huge)
        return mm_trouble(error, "%s %s: expected a finite number of at least %g", name, value, field->least);
    return mm_trouble(error, "%s %s: expected a number from %g to %g", name, value, field->least,
                      field->most);
}

static mm_status parse_number(double *slot, const mm_field *field, const char *name, const char *value,
                              mm_error *error) {
    char *end;
    double number = strtod(value, &end);
    bool starts = isdigit((unsigned char)*value) || *value == '.'; // no space, sign, nan or inf
    bool fits = number >= field->least && number <= field->most;
    if (!starts || end == value || *end || !fits) return refuse_number(field, name, value, error);
    *slot = number;
    return MM_OK;
}

static void list_choices(const mm_field *field, char *out, size_t size) {
    size_t used = 0;
    for (int i = 0; field->choices[i] && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s",
                                 i == 0                  ? ""
                                 : field->choices[i + 1] ? ", "
                                                         : " or ",
                                 field->choices[i]);
}

static mm_status parse_choice(int64_t *slot, const mm_field *field, const char *name, const char *value,
                              mm_error *error) {
    for (int i = 0; field->choices[i]; i++) {
        if (strcmp(field->choices[i], value) != 0) continue;
        *slot = i;
        return MM_OK;
    }
    char choices[256];
    list_choices(field, choices, sizeof choices);
    return mm_trouble(error, "%s %s: expected %s", name, value, choices);
}

static const char *expectation_of(const mm_field *field) {
    static const char *const words[] = {[MM_FIELD_INTEGER] = "a whole number",
                                        [MM_FIELD_SEED] = "a whole number",
                                        [MM_FIELD_NUMBER] = "a number",
                                        [MM_FIELD_CHOICE] = "a word",
                                        [MM_FIELD_STRING] = "a name"};
    return words[field->kind];
}

mm_status mm_settings_parse(mm_settings *settings, const mm_field *field, const char *name, const char *value,
                            mm_error *error) {
    void *slot = slot_of(settings, field);
    if (!*value)
        return mm_trouble(error, "%s: found an empty value, expected %s", name, expectation_of(field));
    switch (field->kind) {
    case MM_FIELD_INTEGER:
        return parse_integer(slot, field, name, value, error);
    case MM_FIELD_SEED:
        return parse_seed(slot, name, value, error);
    case MM_FIELD_NUMBER:
        return parse_number(slot, field, name, value, error);
    case MM_FIELD_CHOICE:
        return parse_choice(slot, field, name, value, error);
    case MM_FIELD_STRING:
        break;
    }
    return mm_settings_set_string(slot, value, error);
}

bool mm_settings_batch_fits(const mm_settings *s) {
    int64_t leaves = s->batch / (s->micro_batch * s->ranks);
    return s->batch % (s->micro_batch * s->ranks) == 0 && leaves >= 1 && (leaves & (leaves - 1)) == 0;
}

// --- run.json

void mm_settings_write_seed(uint64_t seed, const char *key, mm_json_writer *w) {
    if (seed <= exact_integers) {
        mm_json_pair_integer(w, key, (int64_t)seed);
        return;
    }
    char text[24];
    snprintf(text, sizeof text, "0x%016llx", (unsigned long long)seed);
    mm_json_pair_string(w, key, text);
}

static mm_status read_seed(uint64_t *slot, const char *key, const mm_json_document *document,
                           const mm_json *object, mm_error *error) {
    const char *text = mm_json_string(mm_json_get(object, key), NULL);
    char name[256];
    snprintf(name, sizeof name, "%s: %s", mm_json_name(document), key);
    if (text && strncmp(text, "0x", 2) == 0) return parse_seed(slot, name, text, error);
    if (text) return mm_json_need_hex64(document, object, key, slot, error);
    int64_t number = 0;
    mm_status status =
        mm_json_need_integer(document, object, key, 0, (int64_t)exact_integers, &number, error);
    *slot = (uint64_t)number;
    return status;
}

static void write_field(const mm_settings *settings, const mm_field *field, mm_json_writer *w) {
    const void *slot = const_slot_of(settings, field);
    switch (field->kind) {
    case MM_FIELD_INTEGER:
        mm_json_pair_integer(w, field->key, *(const int64_t *)slot);
        return;
    case MM_FIELD_SEED:
        mm_settings_write_seed(*(const uint64_t *)slot, field->key, w);
        return;
    case MM_FIELD_NUMBER:
        mm_json_pair_double(w, field->key, *(const double *)slot);
        return;
    case MM_FIELD_CHOICE:
        mm_json_pair_string(w, field->key, field->choices[*(const int64_t *)slot]);
        return;
    case MM_FIELD_STRING:
        mm_json_pair_string(w, field->key, *(char *const *)slot);
        return;
    }
}

void mm_settings_write(const mm_settings *settings, mm_json_writer *w) {
    for (const mm_field *f = mm_settings_fields; f->key; f++) write_field(settings, f, w);
}

static mm_status read_string(char **slot, const mm_field *field, const mm_json_document *document,
                             const mm_json *object, mm_error *error) {
    *slot = NULL;
    if (mm_json_kind_of(mm_json_get(object, field->key)) == MM_JSON_NULL) return MM_OK;
    const char *text;
    mm_status status = mm_json_need_string(document, object, field->key, &text, error);
    return status ? status : mm_settings_set_string(slot, text, error);
}

static mm_status read_field(mm_settings *settings, const mm_field *field, const mm_json_document *document,
                            const mm_json *object, mm_error *error) {
    void *slot = slot_of(settings, field);
    const char *text;
    char name[256];
    mm_status status;
    switch (field->kind) {
    case MM_FIELD_INTEGER:
        return mm_json_need_integer(document, object, field->key, (int64_t)field->least, (int64_t)field->most,
                                    slot, error);
    case MM_FIELD_SEED:
        return read_seed(slot, field->key, document, object, error);
    case MM_FIELD_NUMBER:
        return mm_json_need_number(document, object, field->key, field->least, field->most, slot, error);
    case MM_FIELD_CHOICE:
        status = mm_json_need_string(document, object, field->key, &text, error);
        if (status) return status;
        snprintf(name, sizeof name, "%s: %s", mm_json_name(document), field->key);
        return parse_choice(slot, field, name, text, error);
    case MM_FIELD_STRING:
        break;
    }
    return read_string(slot, field, document, object, error);
}

mm_status mm_settings_read(mm_settings *settings, const mm_json_document *document, const mm_json *object,
                           mm_error *error) {
    *settings = (mm_settings){0};
    for (const mm_field *f = mm_settings_fields; f->key; f++) {
        mm_status status = read_field(settings, f, document, object, error);
        if (status) {
            mm_settings_free(settings);
            return status;
        }
    }
    return MM_OK;
}

mm_status mm_settings_check(const mm_settings *s, const char *name, mm_error *error) {
    if (!s->data) return mm_trouble(error, "%s: found \"data\" null, expected a path; it was changed", name);
    if (!s->preset == !s->model)
        return mm_trouble(error, "%s: expected either \"preset\" or \"model\" to be null; it was changed",
                          name);
    if (mm_settings_batch_fits(s)) return MM_OK;
    return mm_trouble(
        error,
        "%s: found batch %lld with micro_batch %lld on %lld ranks, expected micro_batch x ranks x "
        "a power of two; it was changed",
        name, (long long)s->batch, (long long)s->micro_batch, (long long)s->ranks);
}
