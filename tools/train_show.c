#include "train_show.h"
#include "print.h"
#include "progress.h"
#include <math.h>
#include <mm/base/clock.h>
#include <stdio.h>
#include <string.h>

// --- the header

// A line of the result, which is standard output's and has no colour.
static void begin_result(mm_text *out, const char *label) {
    mm_text_format(out, "  %-9s", label);
}

static void begin_line(mm_text *out, const char *label) {
    mm_text_add_string(out, progress_quiet());
    begin_result(out, label);
    mm_text_add_string(out, progress_plain());
}

static void model_line(mm_text *out, const mm_train_header *h) {
    begin_line(out, "model");
    if (h->settings->model)
        add_path(out, h->settings->model);
    else
        mm_text_add_string(out, h->settings->preset);
    mm_text_format(out, " (%s), ", h->model_type);
    add_count(out, h->parameters, "parameter");
    mm_text_add_string(out, "; ");
    add_count(out, h->layers, "layer");
    mm_text_format(out, ", hidden %d, heads %d/%d of %d, feed-forward %d, vocabulary ", h->hidden, h->heads,
                   h->kv_heads, h->head_dim, h->intermediate);
    mm_text_add_grouped(out, h->vocab);
    mm_text_add_string(out, "\n");
}

static void data_lines(mm_text *out, const mm_train_header *h) {
    const mm_settings *s = h->settings;
    begin_line(out, "data");
    add_path(out, h->data_path);
    mm_text_add_string(out, ": ");
    add_count(out, (int64_t)h->data_tokens, "token");
    mm_text_add_string(out, ", ");
    add_count(out, (int64_t)h->data_documents, "document");
    mm_text_add_string(out, ", ");
    add_count(out, (int64_t)h->data_samples, "sample");
    mm_text_format(out, " of %lld\n", (long long)s->seq_len);
    if (!h->val_path) return;
    begin_line(out, "val");
    add_path(out, h->val_path);
    mm_text_add_string(out, ", every ");
    add_count(out, s->val_every, "step");
    mm_text_add_string(out, "\n");
}

static void rank_line(mm_text *out, const mm_train_header *h) {
    const mm_settings *s = h->settings;
    begin_line(out, "ranks");
    add_count(out, s->ranks, "rank");
    mm_text_add_string(out, " on ");
    add_count(out, s->workers, "worker");
    mm_text_add_string(out, " (");
    add_count(out, h->cores, "core");
    mm_text_add_string(out, "); a step is ");
    add_count(out, s->batch, "sequence");
    mm_text_add_string(out, " in ");
    mm_text_add_grouped(out, h->leaves);
    mm_text_format(out, " %s of %lld\n", h->leaves == 1 ? "leaf" : "leaves", (long long)s->micro_batch);
}

static void kernel_line(mm_text *out, const mm_train_header *h) {
    begin_line(out, "kernels");
    if (strcmp(h->gemm_kernel, "plain") == 0)
        mm_text_add_string(out, "GEMM plain, since BLIS here does not keep to its definition");
    else if (strcmp(h->gemm_kernel, "own") == 0)
        mm_text_add_string(out, "GEMM mm's own");
    else
        mm_text_format(out, "GEMM BLIS %s", h->gemm_kernel);
    mm_text_format(out, "; the others %s\n", h->isa);
}

static const char *choice(const char *key, int64_t value) {
    return mm_settings_field(key)->choices[value];
}

static void training_line(mm_text *out, const mm_train_header *h) {
    const mm_settings *s = h->settings;
    begin_line(out, "training");
    add_count(out, s->steps, "step");
    mm_text_format(out, ", lr %.1e (%s", s->lr, choice("schedule", s->schedule));
    if (s->warmup) mm_text_format(out, ", warm-up %lld", (long long)s->warmup);
    mm_text_format(out, "), dropout %g", s->dropout);
    if (s->token_noise > 0) mm_text_format(out, ", token noise %g", s->token_noise);
    if (h->resumed_step) mm_text_format(out, "; goes on after step %lld", (long long)h->resumed_step);
    if (h->again) mm_text_add_string(out, "; begins again, since it has no checkpoint");
    mm_text_add_string(out, "\n");
}

static void memory_line(mm_text *out, const mm_memory *m) {
    begin_line(out, "memory");
    mm_text_add_size(out, m->total);
    mm_text_add_string(out, " planned");
    if (isfinite(m->available)) {
        mm_text_add_string(out, " of ");
        mm_text_add_size(out, m->available);
    }
    const double parts[] = {m->weights, m->gradients, m->activations, m->process};
    static const char *const names[] = {" (weights and moments ", ", gradients ", ", activations ",
                                        ", program and data "};
    for (int i = 0; i < 4; i++) {
        mm_text_add_string(out, names[i]);
        mm_text_add_size(out, parts[i]);
    }
    mm_text_add_string(out, ")\n");
}

void train_header_text(mm_text *out, const mm_train_header *h) {
    const mm_settings *s = h->settings;
    model_line(out, h);
    data_lines(out, h);
    rank_line(out, h);
    kernel_line(out, h);
    begin_line(out, "seed");
    mm_text_format(out, "%llu, policy %s: %s\n", (unsigned long long)s->seed,
                   choice("seed_policy", s->seed_policy), h->policy_words);
    training_line(out, h);
    memory_line(out, &h->memory);
    begin_line(out, "run");
    add_path(out, h->run_path);
    mm_text_add_string(out, "\n");
    begin_line(out, "loss");
    if (s->model)
        mm_text_format(out, "ln(%d) = %.2f is what knowing nothing gives", h->vocab, h->start_loss);
    else
        mm_text_format(out, "ln(%d) = %.2f to be expected at the start", h->vocab, h->start_loss);
}

// --- a step

void train_step_text(mm_text *out, const mm_train_step *s, bool has_val, double val_loss) {
    char total[24];
    int width = snprintf(total, sizeof total, "%lld", (long long)s->steps);
    mm_text_format(out, "step %*lld/%s %3d%%  loss %.4f", width > 4 ? width : 4, (long long)s->step, total,
                   (int)(100 * s->step / s->steps), s->loss);
    if (has_val) mm_text_format(out, "  val %.4f", val_loss);
    char left[16];
    if (s->seconds_left >= 0 && s->step < s->steps) {
        mm_text_format(out, "  eta %s", mm_clock_print(s->seconds_left, left));
        mm_text_format(out, " of %s", mm_clock_print(s->seconds_whole, left));
    }
    // Behind it, since a narrow terminal cuts the line.
    mm_text_add_string(out, "  ");
    mm_text_add_grouped(out, (long long)(s->tokens_per_second + 0.5));
    mm_text_add_string(out, " tok/s");
    mm_text_format(out, s->grad_norm >= 0.005 ? "  norm %.2f" : "  norm %.1e", s->grad_norm);
    mm_text_format(out, "  lr %.1e", s->lr);
}

// --- the end

// The command that evaluates the model as the run does.
static void add_eval(mm_text *out, const mm_train_result *r, const char *program) {
    add_word(out, program);
    mm_text_add_string(out, " eval --model ");
    add_path_word(out, r->model_path);
    mm_text_add_string(out, " --data ");
    add_path_word(out, r->data_path);
    mm_text_format(out, " --seq-len %lld", (long long)r->seq_len);
    if (r->packing == MM_PACKING_DOCUMENT) mm_text_add_string(out, " --packing document");
    mm_text_add_string(out, "\n");
    begin_result(out, "");
}

void train_end_text(mm_text *out, const mm_train_result *r, const char *program) {
    char took[16];
    if (r->already_done) {
        mm_text_format(out, "the run is at its end (step %lld); nothing was changed\n", (long long)r->step);
    } else if (r->ends_now) {
        mm_text_format(out, "the run ends at step %lld now\n", (long long)r->step);
    } else {
        mm_text_format(out, "done: step %lld after %s, loss %.4f", (long long)r->step,
                       mm_clock_print(r->seconds, took), r->loss);
        if (r->has_val) mm_text_format(out, ", val %.4f", r->val_loss);
        mm_text_add_string(out, "\n");
    }
    begin_result(out, "model");
    add_path(out, r->model_path);
    mm_text_add_string(out, "\n");
    begin_result(out, "next");
    if (r->data_path[0]) add_eval(out, r, program);
    add_word(out, program);
    mm_text_add_string(out, " inspect ");
    add_path_word(out, r->run_path);
    mm_text_add_string(out, "\n");
}

// --- the watch

static void show_header(void *self, const mm_train_header *header) {
    (void)self;
    mm_text text = {0};
    train_header_text(&text, header);
    progress_show(&text, true);
    mm_text_free(&text);
}

// On a terminal it stands in every line; here once, when it is known.
static void say_time(train_show *show, const mm_train_step *step) {
    if (show->timed || progress_on_terminal() || step->seconds_whole < 0 || step->step == step->steps) return;
    show->timed = true;
    mm_text text = {0};
    char whole[16];
    begin_line(&text, "time");
    mm_text_format(&text, "about %s in all, validation, samples and checkpoints included",
                   mm_clock_print(step->seconds_whole, whole));
    progress_show(&text, true);
    mm_text_free(&text);
}

static void show_step(void *self, const mm_train_step *step) {
    train_show *show = self;
    if (step->has_val) {
        show->has_val = true;
        show->val_loss = step->val_loss;
    }
    say_time(show, step);
    bool stays = step->has_val || step->step == step->steps || (!show->stepped && !progress_on_terminal());
    if (!stays && !progress_due()) return;
    show->stepped = true;
    mm_text text = {0};
    train_step_text(&text, step, show->has_val, show->val_loss);
    progress_show(&text, stays);
    mm_text_free(&text);
}

static void show_doing(void *self, const char *what, double share) {
    (void)self;
    progress_share(what, share);
}

static void show_warning(void *self, const char *sentence) {
    (void)self;
    mm_text text = {0};
    mm_text_add_string(&text, "warning: ");
    add_name(&text, sentence);
    progress_show(&text, true);
    mm_text_free(&text);
}

// Lines of the text are indented, and what a terminal obeys is left out: the text is the model's, the
// terminal is not.
static void add_sample(mm_text *out, const char *text, size_t size) {
    for (size_t at = 0, length; at < size; at += length) {
        bool obeyed;
        length = mm_text_character(text + at, size - at, &obeyed);
        if (text[at] == '\n')
            mm_text_add_string(out, "\n           ");
        else if (!obeyed)
            mm_text_add(out, text + at, length);
    }
}

static void show_sample(void *self, const mm_train_sample *sample) {
    (void)self;
    mm_text text = {0};
    char label[32];
    snprintf(label, sizeof label, "at %lld", (long long)sample->step);
    begin_line(&text, label);
    mm_text_add_string(&text, progress_quiet());
    add_sample(&text, sample->prompt, strlen(sample->prompt));
    mm_text_add_string(&text, progress_plain());
    add_sample(&text, sample->text, sample->text_size);
    progress_show(&text, true);
    mm_text_free(&text);
}

mm_train_watch train_show_watch(train_show *show) {
    *show = (train_show){0};
    return (mm_train_watch){.self = show,
                            .header = show_header,
                            .step = show_step,
                            .doing = show_doing,
                            .warning = show_warning,
                            .sample = show_sample};
}
