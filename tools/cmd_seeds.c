// mm seeds: the table of random streams, and which of them are the same.
#include "cmd.h"
#include "print.h"
#include <inttypes.h>
#include <mm/files/json.h>
#include <mm/record/settings.h>
#include <mm/run/seeds.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIALS_MOST = 4096, MEMBERS_SHOWN = 6 };

static const option_row options[] = {
    {.name = "ranks",
     .letter = 'r',
     .kind = OPTION_SETTING,
     .argument = "R",
     .help = "ranks of a run",
     .standard = "8"},
    {.name = "seed",
     .letter = 's',
     .kind = OPTION_SETTING,
     .argument = "N",
     .help = "base seed",
     .standard = "1337"},
    {.name = "seed-policy",
     .kind = OPTION_SETTING,
     .help = "which key a rank's streams take",
     .standard = "rank"},
    {.name = "trials",
     .kind = OPTION_TEXT,
     .argument = "S1,S2,...",
     .help = "base seeds of runs that are to be independent, instead of --seed"},
    {.name = "json", .kind = OPTION_FLAG, .help = "write {\"streams\", \"shared\", \"holds\"}"},
    {0},
};

// One set of trials.
typedef struct question {
    int64_t ranks, policy;
    uint64_t seeds[TRIALS_MOST];
    int trials;
} question;

// Each word as --seed has it.
static mm_status read_trials(const char *text, question *q, mm_error *error) {
    const mm_field *seed = mm_settings_field("seed");
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ",");
        if (q->trials == TRIALS_MOST)
            return mm_trouble(error, "--trials: expected at most %d base seeds", TRIALS_MOST);
        char *word = strndup(at, length);
        if (!word) return mm_trouble(error, "--trials: out of memory");
        mm_settings one = {0};
        mm_status status = mm_settings_parse(&one, seed, "--trials", word, error);
        free(word);
        if (status) return status;
        q->seeds[q->trials++] = one.seed;
        at += length;
        if (!*at) return MM_OK;
    }
}

// The options' defaults where nothing was given.
static mm_status take_standards(mm_settings *settings, const bool *set, mm_error *error) {
    for (const option_row *option = options; option->name; option++) {
        const mm_field *field = option_field(option);
        if (!field || set[field - mm_settings_fields]) continue;
        mm_status status = mm_settings_parse(settings, field, option->name, option->standard, error);
        if (status) return status;
    }
    return MM_OK;
}

static mm_status read_question(const args *given, question *q, mm_error *error) {
    bool set[MM_SETTINGS_FIELDS] = {false};
    mm_settings settings = {0};
    mm_status status = args_settings(given, &settings, set, error);
    if (!status) status = take_standards(&settings, set, error);
    q->ranks = settings.ranks;
    q->policy = settings.seed_policy;
    q->trials = 0;
    const char *trials = args_text(given, "trials");
    if (!status && trials && args_text(given, "seed"))
        status =
            mm_trouble(error, "--seed %s and --trials %s: give one of them; --trials names each base seed",
                       args_text(given, "seed"), trials);
    if (!status && trials) status = read_trials(trials, q, error);
    if (!status && !trials) q->seeds[q->trials++] = settings.seed;
    mm_settings_free(&settings);
    return status;
}

static void put_optional(mm_json_writer *w, const char *key, int value) {
    mm_json_put_key(w, key);
    if (value < 0)
        mm_json_put_null(w);
    else
        mm_json_put_integer(w, value);
}

static void json_text(mm_text *out, const question *q, const mm_seed_table *table) {
    mm_json_writer writer = mm_json_writer_on(out, 1), *w = &writer;
    mm_json_open_object(w);
    mm_json_put_key(w, "streams");
    mm_json_open_array(w);
    for (size_t i = 0; i < table->stream_count; i++) {
        const mm_seed_stream *s = &table->streams[i];
        mm_json_open_inline_object(w);
        mm_json_pair_string(w, "purpose", s->purpose);
        mm_settings_write_seed(q->seeds[s->trial], "trial", w);
        put_optional(w, "rank", s->rank);
        mm_json_pair_hex64(w, "key", s->key);
        mm_json_close(w);
    }
    mm_json_close(w);
    mm_json_put_key(w, "shared");
    mm_json_open_array(w);
    for (size_t i = 0; i < table->group_count; i++) {
        const mm_seed_group *g = &table->groups[i];
        mm_json_open_inline_object(w);
        mm_json_pair_string(w, "purpose", g->purpose);
        mm_json_pair_string(w, "across", mm_seed_across_name(g->across));
        mm_json_put_key(w, "members");
        mm_json_open_inline_array(w);
        for (size_t m = g->first; m < g->first + g->count; m++) {
            mm_json_open_inline_object(w);
            mm_settings_write_seed(q->seeds[table->members[m].trial], "trial", w);
            put_optional(w, "rank", table->members[m].rank);
            mm_json_pair_integer(w, "epoch", table->members[m].epoch);
            mm_json_close(w);
        }
        mm_json_close(w);
        mm_json_close(w);
    }
    mm_json_close(w);
    mm_json_pair_bool(w, "holds", table->group_count == 0);
    mm_json_close(w);
    mm_text_add_string(out, "\n");
}

static void add_member(mm_text *out, const question *q, const mm_seed_member *m) {
    if (q->trials > 1) mm_text_format(out, "seed %" PRIu64, q->seeds[m->trial]);
    if (m->rank >= 0) mm_text_format(out, "%srank %d", q->trials > 1 ? " " : "", m->rank);
}

static int ascending(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// A base seed that two trials have.
static bool find_twice(const question *q, uint64_t *seed) {
    static uint64_t sorted[TRIALS_MOST];
    memcpy(sorted, q->seeds, (size_t)q->trials * sizeof *sorted);
    qsort(sorted, (size_t)q->trials, sizeof *sorted, ascending);
    for (int i = 1; i < q->trials; i++) {
        *seed = sorted[i];
        if (sorted[i - 1] == sorted[i]) return true;
    }
    return false;
}

// No policy keeps trials of one seed apart.
static void add_verdict(mm_text *out, const question *q, const mm_seed_table *table) {
    uint64_t seed;
    if (!table->group_count)
        mm_text_add_string(out, "every stream that must differ differs\n");
    else if (find_twice(q, &seed))
        mm_text_format(out,
                       "streams that must differ are the same: --trials has seed %" PRIu64
                       " more than once; give each trial a seed of its own\n",
                       seed);
    else
        mm_text_add_string(out, "streams that must differ are the same: choose another --seed-policy "
                                "(hashed keeps neighbouring seeds apart)\n");
}

static void people_text(mm_text *out, const question *q, const mm_seed_table *table) {
    mm_text_format(out, "%-18s %12s  %-6s %s\n", "purpose", "trial", "rank", "key");
    for (size_t i = 0; i < table->stream_count; i++) {
        const mm_seed_stream *s = &table->streams[i];
        char rank[16] = "all";
        if (s->rank >= 0) snprintf(rank, sizeof rank, "%d", s->rank);
        mm_text_format(out, "%-18s %12" PRIu64 "  %-6s %016" PRIx64 "\n", s->purpose, q->seeds[s->trial],
                       rank, s->key);
    }
    mm_text_add_string(out, "\n");
    for (size_t i = 0; i < table->group_count; i++) {
        const mm_seed_group *g = &table->groups[i];
        mm_text_format(out, "SHARED across %s: %s of ", mm_seed_across_name(g->across), g->purpose);
        for (size_t m = 0; m < g->count && m < MEMBERS_SHOWN; m++) {
            if (m) mm_text_add_string(out, " = ");
            add_member(out, q, &table->members[g->first + m]);
        }
        if (g->count > MEMBERS_SHOWN) mm_text_format(out, " = ... (%zu in all)", g->count);
        mm_text_add_string(out, "\n");
    }
    add_verdict(out, q, table);
}

static mm_status run_seeds(const args *given, mm_error *error) {
    static question q;
    mm_status status = read_question(given, &q, error);
    if (status) return status;
    mm_seed_table table;
    status = mm_seed_table_make((mm_seed_policy)q.policy, q.seeds, q.trials, (int)q.ranks, &table, error);
    if (status) return status;
    mm_text out = {0};
    if (args_flag(given, "json"))
        json_text(&out, &q, &table);
    else
        people_text(&out, &q, &table);
    bool holds = table.group_count == 0;
    mm_seed_table_free(&table);
    status = print_text(&out, error);
    mm_text_free(&out);
    return status ? status : holds ? MM_OK : MM_DIFFERS;
}

const command cmd_seeds = {
    .name = "seeds",
    .summary = "Shows every random stream, and which of them are the same",
    .options = options,
    .about =
        "Initial weights and sample order must be the same for all ranks. Dropout and token noise must "
        "differ from rank to rank, and everything from trial to trial and from epoch to epoch. Exits 1 where "
        "streams that must differ are the same.",
    .examples = "mm seeds --ranks 8\nmm seeds --ranks 8 --seed-policy shared\nmm seeds --ranks 8 --trials "
                "1337,1338\n",
    .run = run_seeds,
};
