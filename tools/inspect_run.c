// mm inspect on a run directory.
#include "inspect.h"
#include "print.h"
#include <limits.h>
#include <mm/files/publish.h>
#include <mm/record/checkpoint.h>
#include <mm/record/metrics.h>
#include <mm/record/run.h>
#include <stdlib.h>

typedef struct run_parts {
    const char *path;
    mm_run_facts facts;
    mm_metrics_row last; // step 0: none
    bool has_val;
    double val_loss;
    int64_t val_step;
    int64_t *checkpoints;
    int checkpoint_count;
} run_parts;

// To the last row, in constant memory. A run that was ended before its first step has no metrics.
static mm_status read_metrics(run_parts *r, mm_error *error) {
    char file[PATH_MAX];
    mm_status status = mm_path_join(file, sizeof file, r->path, "metrics.jsonl", error);
    if (status || !mm_is_file(file)) return status;
    mm_metrics_reader *reader;
    status = mm_metrics_reader_open(r->path, &reader, error);
    if (status) return status;
    for (;;) {
        mm_metrics_row row;
        bool more;
        status = mm_metrics_reader_next(reader, &row, &more, error);
        if (status || !more) break;
        r->last = row;
        if (!row.has_val) continue;
        r->has_val = true;
        r->val_loss = row.val_loss;
        r->val_step = row.step;
    }
    mm_metrics_reader_close(reader);
    return status;
}

static mm_status read_run(run_parts *r, mm_error *error) {
    mm_status status = mm_run_read(r->path, &r->facts, error);
    if (!status) status = read_metrics(r, error);
    if (!status) status = mm_checkpoint_list(r->path, &r->checkpoints, &r->checkpoint_count, error);
    return status;
}

static void continued_json(mm_json_writer *w, const mm_run_facts *f) {
    mm_json_put_key(w, "continued");
    mm_json_open_array(w);
    for (int i = 0; i < f->continued_count; i++) {
        const mm_run_continuation *c = &f->continued[i];
        mm_json_open_object(w);
        mm_json_pair_integer(w, "after", c->after);
        mm_json_pair_string(w, "version", c->program.version);
        mm_json_pair_string(w, "gemm_kernel", c->program.gemm_kernel);
        mm_json_pair_string(w, "cpu", c->program.cpu);
        mm_json_close(w);
    }
    mm_json_close(w);
}

static void run_json(mm_text *out, const run_parts *r) {
    const mm_run_facts *f = &r->facts;
    mm_json_writer w = mm_json_writer_on(out, 0);
    mm_json_open_object(&w);
    mm_json_pair_string(&w, "kind", "run");
    mm_json_pair_string(&w, "path", r->path);
    mm_json_pair_integer(&w, "steps_done", r->last.step);
    mm_json_pair_integer(&w, "steps", f->settings.steps);
    mm_json_put_key(&w, "loss");
    if (r->last.step)
        mm_json_put_double(&w, r->last.loss);
    else
        mm_json_put_null(&w);
    mm_json_put_key(&w, "val_loss");
    if (r->has_val)
        mm_json_put_double(&w, r->val_loss);
    else
        mm_json_put_null(&w);
    mm_json_pair_integer(&w, "parameters", f->parameters);
    mm_json_put_key(&w, "checkpoints");
    mm_json_open_array(&w);
    for (int i = 0; i < r->checkpoint_count; i++) mm_json_put_integer(&w, r->checkpoints[i]);
    mm_json_close(&w);
    mm_json_put_key(&w, "settings");
    mm_json_open_object(&w);
    mm_settings_write(&f->settings, &w);
    mm_json_close(&w);
    mm_run_data_write(&f->data, "data", &w);
    mm_run_data_write(&f->val_data, "val_data", &w);
    mm_json_pair_integer(&w, "streams", f->streams_version);
    mm_json_pair_integer(&w, "arithmetic", f->arithmetic_version);
    mm_json_pair_string(&w, "gemm_kernel", f->program.gemm_kernel);
    mm_json_pair_string(&w, "cpu", f->program.cpu);
    continued_json(&w, f);
    mm_json_close(&w);
    mm_text_add_string(out, "\n");
}

static void progress_lines(mm_text *out, const run_parts *r) {
    add_label(out, "steps");
    mm_text_format(out, "%lld of %lld", (long long)r->last.step, (long long)r->facts.settings.steps);
    if (r->last.step) mm_text_format(out, ", loss %.4f", r->last.loss);
    if (r->has_val) mm_text_format(out, ", val %.4f (step %lld)", r->val_loss, (long long)r->val_step);
    mm_text_add_string(out, "\n");
    add_label(out, "saved");
    if (!r->checkpoint_count) mm_text_add_string(out, "nothing yet");
    for (int i = 0; i < r->checkpoint_count; i++)
        mm_text_format(out, "%s%lld", i ? ", " : "after step ", (long long)r->checkpoints[i]);
    mm_text_add_string(out, "\n");
}

static void setting_lines(mm_text *out, const mm_settings *s) {
    add_label(out, "ranks");
    mm_text_format(out, "%lld, batch %lld, micro-batch %lld, seq-len %lld, on ", (long long)s->ranks,
                   (long long)s->batch, (long long)s->micro_batch, (long long)s->seq_len);
    add_count(out, s->workers, "worker");
    mm_text_add_string(out, "\n");
    add_label(out, "seed");
    mm_text_format(out, "%llu, policy %s, dropout %g, token noise %g\n", (unsigned long long)s->seed,
                   mm_settings_field("seed_policy")->choices[s->seed_policy], s->dropout, s->token_noise);
    add_label(out, "training");
    mm_text_format(out, "lr %g (%s, warm-up %lld), weight decay %g, clip %g\n", s->lr,
                   mm_settings_field("schedule")->choices[s->schedule], (long long)s->warmup, s->weight_decay,
                   s->clip);
}

static mm_status model_line(mm_text *out, const mm_run_facts *f, mm_error *error) {
    mm_text config = {0};
    mm_text_add_string(&config, f->model_config);
    mm_json_document *document;
    mm_status status =
        mm_json_parse(config.data ? config.data : "", config.size, "run.json's model", &document, error);
    mm_text_free(&config);
    if (status) return status;
    status = check_shape(document, error);
    add_label(out, "model");
    add_shape(out, mm_json_root(document));
    mm_text_add_string(out, ", ");
    add_count(out, f->parameters, "parameter");
    mm_text_add_string(out, "\n");
    mm_json_free(document);
    return status;
}

static void program_line(mm_text *out, const mm_run_program *p) {
    size_t from = out->size;
    mm_text_format(out, "mm %s, GEMM %s, %s", p->version, p->gemm_kernel, p->cpu);
    mm_text_flatten(out, from);
    mm_text_add_string(out, "\n");
}

static void program_lines(mm_text *out, const mm_run_facts *f) {
    add_label(out, "made with");
    program_line(out, &f->program);
    for (int i = 0; i < f->continued_count; i++) {
        add_label(out, i ? "" : "then");
        mm_text_format(out, "from step %lld on ", (long long)f->continued[i].after + 1);
        program_line(out, &f->continued[i].program);
    }
}

static mm_status run_words(mm_text *out, const run_parts *r, mm_error *error) {
    const mm_run_facts *f = &r->facts;
    add_label(out, "run");
    add_path(out, r->path);
    mm_text_add_string(out, "\n");
    progress_lines(out, r);
    mm_status status = model_line(out, f, error);
    add_label(out, "data");
    add_path(out, f->data.path);
    mm_text_add_string(out, ": ");
    add_count(out, (int64_t)f->data.tokens, "token");
    mm_text_add_string(out, ", ");
    add_count(out, (int64_t)f->data.documents, "document");
    mm_text_add_string(out, "\n");
    setting_lines(out, &f->settings);
    program_lines(out, f);
    return status;
}

mm_status inspect_run(mm_text *out, const char *path, bool json, mm_error *error) {
    run_parts r = {.path = path};
    mm_status status = read_run(&r, error);
    if (!status) {
        if (json)
            run_json(out, &r);
        else
            status = run_words(out, &r, error);
    }
    free(r.checkpoints);
    mm_run_facts_free(&r.facts);
    return status;
}
