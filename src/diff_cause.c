// What made two runs part, by what the difference is, and the sentence that says so.
#include "diff.h"
#include <mm/base/rng.h>
#include <mm/base/version.h>
#include <mm/model/model.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- facts in words

static void add_value(const mm_fact *f, const mm_fact_value *v, mm_text *out) {
    switch (v->kind) {
    case MM_VALUE_INTEGER:
        mm_text_format(out, "%lld", (long long)v->integer);
        return;
    case MM_VALUE_NUMBER:
        mm_text_format(out, "%.*g", mm_fact_digits(f), v->number);
        return;
    case MM_VALUE_SEED:
        mm_text_format(out, "%llu", (unsigned long long)v->seed);
        return;
    case MM_VALUE_TEXT:
        mm_text_add_string(out, v->text);
        return;
    case MM_VALUE_NONE:
        mm_text_add_string(out, "none");
        return;
    }
}

// "--seed-policy" of an option, else the key as run.json has it.
static void add_name(const mm_fact *f, mm_text *out) {
    if (!mm_settings_field(f->key)) {
        mm_text_add_string(out, f->key);
        return;
    }
    char option[MM_OPTION_NAME];
    mm_text_format(out, "--%s", mm_settings_option(f->key, option));
}

// Which of the runs did another program go on with at the fact's first step?
static void add_resumed(const diffing *d, const mm_fact *f, mm_text *out) {
    int64_t from_a, from_b;
    if (!f->from) return;
    (void)mm_run_program_at(&d->a.facts, f->from, &from_a);
    (void)mm_run_program_at(&d->b.facts, f->from, &from_b);
    bool a = from_a == f->from, both = a && from_b == f->from;
    mm_text_format(out, " since %s resumed after step %lld",
                   both ? "both were"
                   : a  ? "run A was"
                        : "run B was",
                   (long long)f->from - 1);
}

// "--dropout 0.2 (run A: 0.1)"
static void add_fact(const diffing *d, const mm_fact *f, mm_text *out) {
    add_name(f, out);
    mm_text_add_string(out, " ");
    add_value(f, &f->b, out);
    mm_text_add_string(out, " (run A: ");
    add_value(f, &f->a, out);
    mm_text_add_string(out, ")");
    add_resumed(d, f, out);
}

// Facts of these kinds and stages that may change bits, one after another; of none nothing is said.
typedef struct fact_choice {
    unsigned kinds;                // as bits
    unsigned stages, other_stages; // at one of these, at none of those
} fact_choice;

static void add_chosen(const diffing *d, fact_choice choice, const char *before, const char *after,
                       mm_text *out) {
    const mm_facts_diff *f = &d->result->facts;
    bool any = false;
    for (size_t i = 0; i < f->count; i++) {
        const mm_fact *fact = &f->facts[i];
        if (!(choice.kinds & (1U << fact->kind)) || !fact->may_change_bits) continue;
        if (!(fact->stages & choice.stages) || (fact->stages & choice.other_stages)) continue;
        mm_text_add_string(out, any ? ", " : before);
        add_fact(d, fact, out);
        any = true;
    }
    if (any) mm_text_add_string(out, after);
}

// Every fact of the kind that may explain the difference.
static void add_facts(const diffing *d, mm_fact_kind kind, mm_text *out) {
    add_chosen(d, (fact_choice){.kinds = 1U << kind, .stages = d->parting.stages}, "", "", out);
}

// What may explain it beside the kind that was named.
static void add_others(const diffing *d, unsigned kinds, unsigned stages, mm_text *out) {
    add_chosen(d, (fact_choice){.kinds = kinds, .stages = stages}, "; run B also has ",
               ", which may explain it as well", out);
}

// The size of the vocabulary, where the data shaped the weights by it; NULL: they did not.
static const mm_fact *vocabulary_of_data(const diffing *d) {
    const mm_facts_diff *f = &d->result->facts;
    const mm_fact *size = mm_facts_find(f, "model.vocab_size");
    bool drawn = !d->a.facts.settings.model && !d->b.facts.settings.model && !mm_facts_find(f, "preset");
    return f->initial && drawn && mm_facts_find(f, "data.tokenizer_xxh128") ? size : NULL;
}

// --- reasons

static void reason_weights(const diffing *d, mm_text *out) {
    const mm_facts_diff *f = &d->result->facts;
    const mm_fact *seed = mm_facts_find(f, "seed"), *preset = mm_facts_find(f, "preset"),
                  *model = mm_facts_find(f, "model");
    mm_text_format(out, "they began with other weights, first in the tensor %s", f->initial);
    const char *folder = d->a.facts.settings.model;
    if (!model && folder) {
        mm_text_format(out, "; the folder --model %s held other weights", folder);
        return;
    }
    const mm_fact *by = model ? model : preset ? preset : seed;
    if (!by) return;
    mm_text_add_string(out, by == seed ? "; run B drew it with " : "; run B has ");
    add_fact(d, by, out);
    if (by == seed && d->parting.stages == MM_STAGE_BATCH && (seed->stages & MM_STAGE_BATCH))
        mm_text_add_string(out, ", and its inputs as well");
}

static void reason_data(const diffing *d, const diff_replay *replay, mm_text *out) {
    const mm_fact *vocabulary = vocabulary_of_data(d);
    if (vocabulary || diff_explaining(d, MM_FACT_DATA)) {
        mm_text_add_string(out, "run B read other data");
        add_chosen(d, (fact_choice){1U << MM_FACT_DATA, MM_STAGE_BATCH, 0}, ": ", "", out);
    } else {
        mm_text_add_string(
            out, strcmp(d->result->first.tensor, "positions") == 0
                     ? "they took other samples, though their configurations agree"
                     : "they read other tokens at the same place, though their datasets hold the same");
    }
    if (vocabulary)
        mm_text_format(out, ", whose vocabulary of %lld (run A: %lld) shapes the weights",
                       (long long)vocabulary->b.integer, (long long)vocabulary->a.integer);
    diff_name_data(d, out);
    // The size of the vocabulary is an option of the model too.
    add_others(d, 1U << MM_FACT_SEED | 1U << MM_FACT_OPTION, vocabulary ? MM_STAGE_BATCH : d->parting.stages,
               out);
    if (replay->guess[0]) mm_text_format(out, "; %s", replay->guess);
}

static void reason_seed(const diffing *d, const diff_replay *replay, mm_text *out) {
    const mm_fact *fact = diff_explaining(d, MM_FACT_SEED);
    bool noise = d->parting.stages == MM_STAGE_BATCH;
    if (!fact) {
        mm_text_add_string(out, replay->guess);
        return;
    }
    mm_text_format(
        out, "run B drew its %s from another seed: ", noise ? "samples or token noise" : "dropout masks");
    add_facts(d, MM_FACT_SEED, out);
    add_others(d, 1U << MM_FACT_OPTION, d->parting.stages, out);
}

static void reason_option(const diffing *d, mm_text *out) {
    mm_text_add_string(out, "run B has ");
    add_facts(d, MM_FACT_OPTION, out);
    if (!d->leaves && d->parting.stages == MM_STAGE_MERGE)
        add_chosen(d,
                   (fact_choice){1U << MM_FACT_DATA | 1U << MM_FACT_SEED | 1U << MM_FACT_OPTION,
                                 MM_STAGE_BATCH | MM_STAGE_LEAF, MM_STAGE_MERGE},
                   "; their leaves hold other samples, so that it cannot be told apart from ", "", out);
    diff_add_rates(d, "; ", "", out);
    if (d->parting.step == d->rate_a.step)
        mm_text_format(out, "; nothing else in their records differs, to step %lld",
                       (long long)(d->a.rows < d->b.rows ? d->a.rows : d->b.rows));
}

// As it was at the step, where the runs went on elsewhere.
static const mm_fact *last_fact(const mm_facts_diff *facts, const char *key) {
    const mm_fact *found = NULL;
    for (size_t i = 0; i < facts->count; i++)
        if (strcmp(facts->facts[i].key, key) == 0) found = &facts->facts[i];
    return found;
}

static void add_machine(const diffing *d, const diff_replay *replay, mm_text *out) {
    const mm_diff_result *r = d->result;
    if (!replay->ran) {
        mm_text_format(
            out,
            "nothing that may change bits differs before step 1, so one of the runs had a fault of hardware, "
            "or was changed; %s",
            replay->why_not[0] ? replay->why_not : "run again without --no-replay to see which");
    } else if (replay->repeats_a != replay->repeats_b) {
        mm_text_format(
            out, "this machine repeats run %s but not run %s, which had a fault of hardware, or was changed",
            replay->repeats_a ? "A" : "B", replay->repeats_a ? "B" : "A");
    } else if (!replay->repeats_a) {
        mm_text_add_string(out, "this machine repeats neither run");
    } else {
        bool validation = strcmp(r->first.operation, "validation") == 0;
        mm_text_format(out,
                       "nothing that differs before step 1 explains it, and this machine repeats "
                       "both runs as far as it runs them again%s",
                       validation ? ", which leaves the validation out; one metrics.jsonl was changed, or "
                                    "one validation had a fault"
                                  : "");
    }
    const mm_fact *cpu = last_fact(&r->facts, "machine.cpu"), *kernel = last_fact(&r->facts, "gemm.kernel");
    if (cpu || kernel) {
        mm_text_add_string(out, "; ");
        add_fact(d, cpu ? cpu : kernel, out);
    }
}

// What the places of the difference show of a fault.
static void add_evidence(const diffing *d, const diff_replay *replay, mm_text *out) {
    const mm_place *first = &d->result->first;
    const diff_parting *p = &d->parting;
    if (replay->guess[0]) {
        mm_text_format(out, "%s; ", replay->guess);
        return;
    }
    if (p->lacks)
        mm_text_format(out, "run %s's trace has no record of it; ", p->lacks);
    else if (p->stages == MM_STAGE_LEAF && first->leaf >= 0)
        mm_text_add_string(
            out, strcmp(first->operation, "loss") == 0
                     ? "the tokens agree, the loss does not (a run with --trace op shows the operation); "
                     : "its inputs agree, its output does not; ");
    else if (p->stages == MM_STAGE_LEAF)
        mm_text_add_string(out, "the losses agree, the gradient does not; ");
    else if (strcmp(first->operation, "merge") == 0)
        mm_text_format(out, "the ranks' gradients agree, their sum does not (%s); ",
                       p->pairs.count > 1 ? "it was added in another order, or with other numbers"
                                          : "it was changed");
    else if (strcmp(first->operation, "norm") == 0 && first->pass == MM_PASS_NONE && first->leaf < 0)
        mm_text_add_string(out, "the merged gradients agree, their norm does not; ");
    else if (p->stages == MM_STAGE_UPDATE)
        mm_text_add_string(out, "gradients and norm agree, the update does not; ");
}

static void reason_fault(const diffing *d, const diff_replay *replay, mm_text *out) {
    add_evidence(d, replay, out);
    diff_add_rates(d, "", "; ", out);
    add_machine(d, replay, out);
}

// --- the cause

static bool no_batch_option(const diffing *d) {
    return !diff_explaining(d, MM_FACT_SEED) && !diff_explaining(d, MM_FACT_OPTION) &&
           !diff_explaining(d, MM_FACT_CODE);
}

// A run that does not repeat had a fault; without a replay the place tells what it can.
static mm_cause cause_of_fault(const diffing *d, const diff_replay *replay) {
    if (replay->guessed) return replay->guessed;
    if (replay->repeats_a && replay->repeats_b) return MM_CAUSE_UNKNOWN;
    if (replay->ran && replay->repeats_a != replay->repeats_b) return MM_CAUSE_HARDWARE;
    if (d->parting.stages == MM_STAGE_MERGE) return MM_CAUSE_REDUCTION;
    if (d->parting.stages == MM_STAGE_UPDATE) return MM_CAUSE_OPTIMIZER;
    return MM_CAUSE_HARDWARE;
}

static bool same_text(const char *a, const char *b) {
    return a && b && strcmp(a, b) == 0;
}

static bool made_by_this_program(const mm_run_facts *f, int64_t step) {
    int64_t from;
    mm_run_program here = {0};
    const mm_run_program *p = mm_run_program_at(f, step, &from);
    bool same = !mm_run_program_machine(&here, NULL) && same_text(p->compiler, here.compiler) &&
                same_text(p->version, mm_build_version()) && same_text(p->build_type, MM_BUILD_TYPE) &&
                f->arithmetic_version == MM_ARITHMETIC_VERSION && f->streams_version == MM_STREAMS_VERSION;
    mm_run_program_free(&here);
    return same;
}

// Other programs explain a run that does not repeat only if this program is not the one that made it.
static bool code_may(const diffing *d, const diff_replay *replay) {
    if (!diff_explaining(d, MM_FACT_CODE)) return false;
    if (!replay->ran_a || !replay->ran_b) return true;
    if (replay->repeats_a && replay->repeats_b) return false;
    int64_t step = d->result->first.step;
    return (!replay->repeats_a && !made_by_this_program(&d->a.facts, step)) ||
           (!replay->repeats_b && !made_by_this_program(&d->b.facts, step));
}

static mm_cause cause_of(const diffing *d, const diff_replay *replay) {
    if (vocabulary_of_data(d)) return MM_CAUSE_DATA;
    if (d->result->facts.initial) return MM_CAUSE_WEIGHTS;
    if (!d->parting.step) return MM_CAUSE_NONE;
    // Run side by side to the step, they parted nowhere: no setting explains it, nor do data read later.
    bool nowhere = replay->ran_a && replay->ran_b && d->parting.stages == DIFF_ANY_STAGE;
    if (nowhere) return cause_of_fault(d, replay);
    if (diff_explaining(d, MM_FACT_DATA)) return MM_CAUSE_DATA;
    if (d->parting.stages == MM_STAGE_BATCH && no_batch_option(d)) return MM_CAUSE_DATA;
    bool options_cannot = replay->ran_a && replay->ran_b && replay->repeats_a != replay->repeats_b;
    if (!options_cannot && diff_explaining(d, MM_FACT_SEED)) return MM_CAUSE_SEED;
    if (!options_cannot && diff_explaining(d, MM_FACT_OPTION)) return MM_CAUSE_CONFIGURATION;
    if (code_may(d, replay)) return MM_CAUSE_CODE;
    return cause_of_fault(d, replay);
}

static void add_reason(const diffing *d, mm_cause cause, const diff_replay *replay, mm_text *out) {
    switch (cause) {
    case MM_CAUSE_WEIGHTS:
        reason_weights(d, out);
        return;
    case MM_CAUSE_DATA:
        reason_data(d, replay, out);
        return;
    case MM_CAUSE_SEED:
        reason_seed(d, replay, out);
        return;
    case MM_CAUSE_CONFIGURATION:
        reason_option(d, out);
        return;
    case MM_CAUSE_CODE:
        mm_text_add_string(out, "another program made run B: ");
        add_facts(d, MM_FACT_CODE, out);
        return;
    default:
        reason_fault(d, replay, out);
        return;
    }
}

// --- sentences

static void say_replayed(const diffing *d, const diff_replay *replay, mm_text *out) {
    const char *const names[] = {"A", "B"};
    const bool ran[] = {replay->ran_a, replay->ran_b}, good[] = {replay->repeats_a, replay->repeats_b};
    for (int i = 0; i < 2; i++)
        if (ran[i])
            mm_text_format(out, "%srun %s's step %lld %s", out->size ? ", " : "", names[i],
                           (long long)d->parting.step, good[i] ? "repeats" : "does not repeat");
    if (out->size) mm_text_add_string(out, " on this machine");
    if (replay->why_not[0]) mm_text_format(out, "%s%s", out->size ? "; " : "", replay->why_not);
    const mm_fact *code = diff_explaining(d, MM_FACT_CODE);
    if (out->size && code) {
        mm_text_add_string(
            out, "; the runs were made by different programs, and this one is at most one of them: ");
        add_fact(d, code, out);
    }
}

static void say_same(const diffing *d, mm_text *out) {
    const mm_diff_result *r = d->result;
    mm_text_format(out, "The runs are the same to the bit, up to step %lld, where both end%s",
                   (long long)r->steps_a, d->a.failed ? " at a number that is not finite" : "");
    bool first = true;
    for (size_t i = 0; i < r->facts.count; i++) {
        const mm_fact *f = &r->facts.facts[i];
        if (strcmp(f->key, "command") == 0 || strcmp(f->key, "out") == 0) continue;
        mm_text_add_string(out, first ? "; they differ in " : ", ");
        add_name(f, out);
        if (f->from) mm_text_format(out, " from step %lld", (long long)f->from);
        first = false;
    }
    mm_text_add_string(out, ".");
}

// One of the runs, or both, ends before the other does, or was stopped.
static void say_length(const diffing *d, mm_text *out) {
    const mm_side *const sides[] = {&d->a, &d->b};
    const char *const names[] = {"A", "B"};
    const bool unsaved[] = {d->unsaved_a, d->unsaved_b};
    int64_t end = d->a.rows < d->b.rows ? d->a.rows : d->b.rows;
    bool stopped = false;
    mm_text_format(out, "The runs are equal to step %lld, where ", (long long)end);
    for (int i = 0; i < 2; i++) {
        bool ended = mm_side_ended(sides[i]) && !unsaved[i];
        if (ended || sides[i]->rows > end) continue;
        mm_text_format(out,
                       unsaved[i] ? "%s%s was stopped before its last checkpoint: mm --resume %s"
                                  : "%s%s's metrics end; it was stopped: mm --resume %s",
                       stopped ? ", and " : "", names[i], sides[i]->path);
        stopped = true;
    }
    int longer = d->b.rows > end;
    if (!stopped)
        mm_text_format(out, "%s ends%s; %s goes on to step %lld", names[!longer],
                       sides[!longer]->failed ? " at a number that is not finite" : "", names[longer],
                       (long long)sides[longer]->rows);
    mm_text_add_string(out, ".");
}

static void say_parted(const diffing *d, const char *reason, mm_text *out) {
    const mm_diff_result *r = d->result;
    if (!r->parted) {
        mm_text_format(out, "The runs differ before step 1: %s.", reason);
        return;
    }
    mm_text_format(out, "The runs part at step %lld, ", (long long)r->first.step);
    mm_place_words(&r->first, out);
    mm_text_format(out, ": %s.", reason);
}

static bool copy(char *to, size_t size, const mm_text *text) {
    snprintf(to, size, "%s", text->data ? text->data : "");
    return !text->failed;
}

mm_status diff_explain(diffing *d, const diff_replay *replay, mm_error *error) {
    mm_diff_result *r = d->result;
    mm_text what = {0}, sentence = {0}, replayed = {0};
    r->cause = cause_of(d, replay);
    if (r->cause) add_reason(d, r->cause, replay, &what);
    say_replayed(d, replay, &replayed);
    if (r->same)
        say_same(d, &sentence);
    else if (r->parted || r->facts.initial)
        say_parted(d, what.data ? what.data : "", &sentence);
    else
        say_length(d, &sentence);
    bool good = copy(r->what, sizeof r->what, &what);
    good &= copy(r->sentence, sizeof r->sentence, &sentence);
    good &= copy(r->replayed, sizeof r->replayed, &replayed);
    mm_text_free(&what);
    mm_text_free(&sentence);
    mm_text_free(&replayed);
    return good ? MM_OK : mm_trouble(error, "comparing runs: out of memory");
}
