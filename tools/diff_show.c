#include "diff_show.h"
#include "print.h"
#include <string.h>

// --- for programs

static void put_optional(mm_json_writer *w, const char *key, int64_t value) {
    mm_json_put_key(w, key);
    if (value < 0)
        mm_json_put_null(w);
    else
        mm_json_put_integer(w, value);
}

void diff_put_place(mm_json_writer *w, const mm_place *p) {
    static const char *const passes[] = {NULL, "forward", "backward"};
    mm_json_open_inline_object(w);
    mm_json_pair_integer(w, "step", p->step);
    put_optional(w, "rank", p->rank);
    put_optional(w, "leaf", p->leaf);
    put_optional(w, "layer", p->layer);
    mm_json_pair_string(w, "operation", p->operation[0] ? p->operation : NULL);
    mm_json_pair_string(w, "pass", passes[p->pass]);
    mm_json_pair_string(w, "tensor", p->tensor[0] ? p->tensor : NULL);
    mm_json_close(w);
}

static void put_value(mm_json_writer *w, const char *key, const mm_fact_value *v) {
    switch (v->kind) {
    case MM_VALUE_INTEGER:
        mm_json_pair_integer(w, key, v->integer);
        return;
    case MM_VALUE_NUMBER:
        mm_json_pair_double(w, key, v->number);
        return;
    case MM_VALUE_SEED:
        mm_settings_write_seed(v->seed, key, w);
        return;
    case MM_VALUE_TEXT:
        mm_json_pair_string(w, key, v->text);
        return;
    case MM_VALUE_NONE:
        mm_json_pair_string(w, key, NULL);
        return;
    }
}

static void put_facts(mm_json_writer *w, const mm_facts_diff *facts) {
    mm_json_put_key(w, "configuration");
    mm_json_open_array(w);
    for (size_t i = 0; i < facts->count; i++) {
        const mm_fact *f = &facts->facts[i];
        mm_json_open_inline_object(w);
        mm_json_pair_string(w, "key", f->key);
        put_value(w, "a", &f->a);
        put_value(w, "b", &f->b);
        mm_json_pair_bool(w, "may_change_bits", f->may_change_bits);
        mm_json_put_key(w, "from");
        if (f->from)
            mm_json_put_integer(w, f->from);
        else
            mm_json_put_null(w);
        mm_json_close(w);
    }
    mm_json_close(w);
}

static void put_distance(mm_json_writer *w, const mm_diff_result *r) {
    mm_json_put_key(w, "distance");
    mm_json_open_array(w);
    for (size_t i = 0; i < r->distances; i++) {
        const mm_distance_row *row = &r->distance[i];
        mm_json_open_inline_object(w);
        mm_json_pair_integer(w, "step", row->step);
        mm_json_pair_double(w, "loss", row->loss);
        mm_json_put_key(w, "parameters_max_abs");
        if (row->known)
            mm_json_put_double(w, row->parameters.max_abs);
        else
            mm_json_put_null(w);
        mm_json_put_key(w, "parameters_rms");
        if (row->known)
            mm_json_put_double(w, row->parameters.rms);
        else
            mm_json_put_null(w);
        mm_json_close(w);
    }
    mm_json_close(w);
}

void diff_json_text(mm_text *out, const mm_diff_result *r) {
    mm_json_writer writer = mm_json_writer_on(out, 1), *w = &writer;
    mm_json_open_object(w);
    mm_json_pair_bool(w, "same", r->same);
    put_facts(w, &r->facts);
    mm_json_put_key(w, "first");
    if (r->parted)
        diff_put_place(w, &r->first);
    else
        mm_json_put_null(w);
    mm_json_put_key(w, "cause");
    if (r->cause) {
        mm_json_open_inline_object(w);
        mm_json_pair_string(w, "kind", mm_cause_name(r->cause));
        mm_json_pair_string(w, "what", r->what);
        mm_json_close(w);
    } else {
        mm_json_put_null(w);
    }
    put_distance(w, r);
    mm_json_pair_string(w, "sentence", r->sentence);
    mm_json_pair_string(w, "replay", r->replayed[0] ? r->replayed : NULL);
    mm_json_close(w);
    mm_text_add_string(out, "\n");
}

// --- for people

static void add_value(mm_text *out, const mm_fact *f, const mm_fact_value *v) {
    enum { WIDTH = 28 };
    mm_text text = {0};
    switch (v->kind) {
    case MM_VALUE_INTEGER:
        mm_text_format(&text, "%lld", (long long)v->integer);
        break;
    case MM_VALUE_NUMBER:
        mm_text_format(&text, "%.*g", mm_fact_digits(f), v->number);
        break;
    case MM_VALUE_SEED:
        mm_text_format(&text, "%llu", (unsigned long long)v->seed);
        break;
    case MM_VALUE_TEXT:
        add_name(&text, v->text);
        break;
    case MM_VALUE_NONE:
        mm_text_add_string(&text, "-");
        break;
    }
    const char *data = text.data ? text.data : "";
    mm_text_format(out, "  %-*s", WIDTH, data);
    out->failed |= text.failed;
    mm_text_free(&text);
}

// Two runs never have one name; what they were called says nothing.
static bool is_name(const mm_fact *f) {
    return strcmp(f->key, "command") == 0 || strcmp(f->key, "out") == 0;
}

static void add_facts(mm_text *out, const mm_facts_diff *facts) {
    size_t shown = 0;
    for (size_t i = 0; i < facts->count; i++) {
        const mm_fact *f = &facts->facts[i];
        if (is_name(f)) continue;
        if (!shown++)
            mm_text_format(out, "\n%-24s  %-28s  %-28s  %s\n", "before step 1", "run A", "run B",
                           "may change bits");
        size_t from = out->size;
        if (f->from) mm_text_format(out, "from step %lld: ", (long long)f->from);
        mm_text_format(out, "%-*s", f->from ? 0 : 24, f->key);
        mm_text_flatten(out, from);
        add_value(out, f, &f->a);
        add_value(out, f, &f->b);
        mm_text_format(out, "  %s\n", f->may_change_bits ? "yes" : "no");
    }
}

static void add_distance(mm_text *out, const mm_diff_result *r) {
    const mm_distance_row *last = NULL;
    if (!r->distances) return;
    mm_text_format(out, "\n%10s  %14s  %20s  %14s\n", "step", "loss apart", "parameters max", "rms");
    for (size_t i = 0; i < r->distances; i++) {
        const mm_distance_row *row = &r->distance[i];
        mm_text_format(out, "%10lld  %14.3e", (long long)row->step, row->loss);
        if (row->known) {
            mm_text_format(out, "  %20.3e  %14.3e", row->parameters.max_abs, row->parameters.rms);
            last = row;
        }
        mm_text_add_string(out, "\n");
    }
    if (!last || !last->parameters.tensor[0]) return;
    mm_text_format(out, "farthest apart at step %lld: ", (long long)last->step);
    add_name(out, last->parameters.tensor);
    mm_text_add_string(out, "\n");
}

void diff_people_text(mm_text *out, const mm_diff_result *r) {
    add_name(out, r->sentence);
    mm_text_add_string(out, "\n");
    if (r->replayed[0]) {
        mm_text_add_string(out, "Run again: ");
        add_name(out, r->replayed);
        mm_text_add_string(out, ".\n");
    }
    add_facts(out, &r->facts);
    add_distance(out, r);
}
