// Steps of a training run, timed: what tools/bench is made of. One JSON object on a line for each series.
//
//     bench_step [--go] [--warm N] [--profile] [--gemms FILE] [--save] SETTING=VALUE...
//
// SETTING is one of run.json's (preset=small seq_len=512 ...); steps=N are taken after --warm N (2) that do
// not count, in a run directory of its own, which is removed. --go: instead reads "go N" lines, takes N steps
// for each and answers with a line, until the input ends. --profile: where the time of the counted steps
// went (gemm_share: the median step's inside GEMM, gemm_share_of_all: that of all steps together); --gemms:
// also the list of their GEMMs, for bench_gemm. --save: the run ends as mm does, with a checkpoint.
#include <limits.h>
#include <mm/base/clock.h>
#include <mm/base/profile.h>
#include <mm/files/publish.h>
#include <mm/run/train.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_STEPS = 4096, MOST_FIELDS = 64 };

typedef struct bench {
    mm_settings settings;
    bool go, profile, save;
    int64_t warm;
    const char *gemms;
    char folder[64];
    double began, last;       // of the program; of the last step's end
    double ready, first_step; // seconds from the program's start
    double planned;           // bytes
    int64_t leaves, parameters;
    double seconds[MOST_STEPS];
    double shares[MOST_STEPS], inside; // of each step inside GEMM; seconds in it when the last step ended
    int64_t wanted, taken;             // steps of the series
    int64_t tokens;                    // of the series
    bool profiling;
} bench;

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_settings(const bench *b) {
    const mm_settings *s = &b->settings;
    printf("\"preset\": \"%s\", \"seq_len\": %lld, \"batch\": %lld, \"micro_batch\": %lld, \"ranks\": %lld, "
           "\"workers\": %lld, \"dropout\": %g, \"trace\": \"%s\", \"parameters\": %lld, \"leaves\": %lld",
           s->preset ? s->preset : s->model, (long long)s->seq_len, (long long)s->batch,
           (long long)s->micro_batch, (long long)s->ranks, (long long)s->workers, s->dropout,
           mm_settings_field("trace")->choices[s->trace], (long long)b->parameters, (long long)b->leaves);
}

static void print_times(bench *b) {
    qsort(b->seconds, (size_t)b->taken, sizeof *b->seconds, compare);
    double median = b->seconds[b->taken / 2], tokens = (double)b->tokens / (double)b->taken;
    printf(", \"steps\": %lld, \"seconds_median\": %.6f, \"seconds_min\": %.6f, \"tokens_per_second\": %.1f",
           (long long)b->taken, median, b->seconds[0], tokens / median);
}

static double seconds_of(const mm_profile_sum *sum, mm_profile_op op) {
    double seconds = 0;
    for (int pass = 0; pass < MM_PROFILE_PASSES; pass++) seconds += sum->rows[op][pass].seconds;
    return seconds;
}

static bool write_gemms(const bench *b, const mm_profile_sum *sum) {
    FILE *file = fopen(b->gemms, "we");
    if (!file) return false;
    for (int i = 0; i < sum->gemm_count; i++) {
        const mm_profile_gemm *g = &sum->gemms[i];
        fprintf(file, "%d %d %d %lld %lld %lld %lld %lld %lld %g %.9f\n", g->transpose_a, g->transpose_b,
                g->adds, (long long)g->m, (long long)g->n, (long long)g->k, (long long)g->lda,
                (long long)g->ldb, (long long)g->ldc, (double)g->calls / (double)b->taken,
                g->seconds / (double)b->taken);
    }
    return !fclose(file);
}

// A leaf's seconds are all of its worker's from its batch to its gradient; shares are of the workers' time.
static void print_profile(bench *b, const mm_profile_sum *sum) {
    mm_profile_row steps = {0};
    double leaf = seconds_of(sum, MM_PROFILE_CLEAR);
    for (int op = 0; op < MM_PROFILE_VALIDATION; op++)
        for (int pass = 0; pass < MM_PROFILE_PASSES; pass++) {
            const mm_profile_row *row = &sum->rows[op][pass];
            steps.seconds += row->seconds;
            steps.gemm_seconds += row->gemm_seconds;
            steps.gemm_flops += row->gemm_flops;
            if (pass != MM_PASS_NONE || op == MM_PROFILE_BATCH) leaf += row->seconds;
        }
    qsort(b->shares, (size_t)b->taken, sizeof *b->shares, compare);
    double leaves = (double)b->leaves * (double)b->taken, merges = (double)(b->leaves - 1) * (double)b->taken;
    double merge = seconds_of(sum, MM_PROFILE_MERGE), wait = seconds_of(sum, MM_PROFILE_WAIT);
    printf(", \"gemm_share\": %.4f, \"gemm_share_of_all\": %.4f, \"gemm_gflops\": %.2f, \"gemm_flops\": "
           "%.6g, \"merge_share\": %.4f, "
           "\"wait_share\": %.4f, \"serial_share\": %.4f, \"trace_share\": %.4f, \"update_share\": %.4f, "
           "\"leaf_seconds\": %.6f, \"merge_seconds\": %.6f",
           b->shares[b->taken / 2], steps.gemm_seconds / steps.seconds,
           steps.gemm_seconds > 0 ? steps.gemm_flops / steps.gemm_seconds * 1e-9 : 0,
           steps.gemm_flops / (double)b->taken, merge / steps.seconds, wait / steps.seconds,
           seconds_of(sum, MM_PROFILE_SERIAL) / steps.seconds,
           seconds_of(sum, MM_PROFILE_TRACE) / steps.seconds,
           (seconds_of(sum, MM_PROFILE_NORM) + seconds_of(sum, MM_PROFILE_ADAMW)) / steps.seconds,
           leaf / leaves, merges > 0 ? merge / merges : 0);
    printf(", \"operations\": [");
    const char *between = "";
    static const char *const passes[] = {"step", "forward", "backward"};
    for (int op = 0; op < MM_PROFILE_OPS; op++)
        for (int pass = 0; pass < MM_PROFILE_PASSES; pass++) {
            const mm_profile_row *row = &sum->rows[op][pass];
            if (row->seconds <= 0) continue;
            printf("%s[\"%s\", \"%s\", %.6f, %.6f, %.6g]", between, mm_profile_name((mm_profile_op)op),
                   passes[pass], row->seconds / (double)b->taken, row->gemm_seconds / (double)b->taken,
                   row->gemm_flops / (double)b->taken);
            between = ", ";
        }
    printf("]");
}

static void print_series(bench *b) {
    mm_profile_sum sum;
    if (b->profiling) mm_profile_stop(&sum);
    printf("{");
    print_settings(b);
    print_times(b);
    printf(", \"ready_seconds\": %.3f, \"first_step_seconds\": %.3f, \"planned_bytes\": %.0f, "
           "\"peak_bytes\": %.0f",
           b->ready, b->first_step, b->planned, mm_resident_peak_bytes());
    if (b->profiling) print_profile(b, &sum);
    printf("}\n");
    fflush(stdout);
    if (b->profiling && b->gemms && !write_gemms(b, &sum)) perror(b->gemms);
    b->profiling = false;
}

static void end(bench *b, int status) {
    mm_status removed = mm_remove_folder(b->folder, NULL);
    exit(removed ? 2 : status);
}

// The steps of the next series; ends the program where there is none.
static void next_series(bench *b) {
    char line[64];
    long long steps = b->settings.steps - b->warm;
    if (b->go && !fgets(line, sizeof line, stdin)) end(b, 0);
    if (b->go && (sscanf(line, "go %lld", &steps) != 1 || steps < 1 || steps > MOST_STEPS)) {
        fprintf(stderr, "bench_step: expected \"go N\", found %s", line);
        end(b, 2);
    }
    b->wanted = steps;
    b->taken = b->tokens = 0;
    if (!b->profile) return;
    mm_error error;
    if (mm_profile_start((int)b->settings.workers, &error)) {
        fprintf(stderr, "bench_step: %s\n", error.text);
        end(b, 2);
    }
    b->profiling = true;
    b->inside = 0;
}

static void on_header(void *self, const mm_train_header *header) {
    bench *b = self;
    b->ready = mm_clock_seconds() - b->began;
    b->planned = header->memory.total;
    b->leaves = header->leaves;
    b->parameters = header->parameters;
}

static void on_step(void *self, const mm_train_step *step) {
    bench *b = self;
    double now = mm_clock_seconds();
    if (step->step == 1) b->first_step = now - b->began;
    if (step->step > b->warm) {
        const double inside = b->profiling ? mm_profile_gemm_seconds() : 0;
        b->shares[b->taken] = (inside - b->inside) / (now - b->last) / (double)b->settings.workers;
        b->inside = inside;
        b->seconds[b->taken++] = now - b->last;
        b->tokens += step->tokens;
        if (b->taken == b->wanted) {
            print_series(b);
            if (!b->go && !b->save) end(b, 0);
        }
    }
    if (step->step == b->warm || (step->step > b->warm && b->taken == b->wanted && b->go)) next_series(b);
    b->last = mm_clock_seconds();
}

static mm_status take_word(bench *b, bool *given, const char *word, mm_error *error) {
    char key[64];
    const char *value = strchr(word, '=');
    const mm_field *field = NULL;
    if (value && (size_t)(value - word) < sizeof key) {
        snprintf(key, sizeof key, "%.*s", (int)(value - word), word);
        field = mm_settings_field(key);
    }
    if (!field) return mm_trouble(error, "%s: expected SETTING=VALUE or an option", word);
    given[field - mm_settings_fields] = true;
    return mm_settings_parse(&b->settings, field, key, value + 1, error);
}

static mm_status take_words(bench *b, bool *given, int argc, char **argv, mm_error *error) {
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--go") == 0) {
            b->go = true;
        } else if (strcmp(argv[i], "--profile") == 0) {
            b->profile = true;
        } else if (strcmp(argv[i], "--save") == 0) {
            b->save = true;
        } else if (strcmp(argv[i], "--warm") == 0 && more) {
            b->warm = atoi(argv[++i]);
        } else if (strcmp(argv[i], "--gemms") == 0 && more) {
            b->gemms = argv[++i];
        } else {
            mm_status status = take_word(b, given, argv[i], error);
            if (status) return status;
        }
    }
    return MM_OK;
}

static mm_status set_up(bench *b, int argc, char **argv, mm_error *error) {
    bool given[MOST_FIELDS] = {false};
    mm_status status = take_words(b, given, argc, argv, error);
    static const char *const fixed[] = {"val_every=0", "save_every=0"};
    for (int i = 0; !status && i < 2; i++) status = take_word(b, given, fixed[i], error);
    if (!status) status = mm_train_resolve(&b->settings, given, error);
    if (status) return status;
    if (b->warm < 1 || b->settings.steps > MOST_STEPS)
        return mm_trouble(error, "expected --warm of at least 1 and steps of at most %d", MOST_STEPS);
    b->settings.steps = b->go ? INT32_MAX : b->settings.steps + b->warm;
    snprintf(b->folder, sizeof b->folder, "/tmp/mm-bench-XXXXXX");
    if (!mkdtemp(b->folder)) return mm_trouble_errno(error, b->folder, "make it");
    char run[96];
    snprintf(run, sizeof run, "%s/run", b->folder);
    return mm_settings_set_string(&b->settings.out, run, error);
}

int main(int argc, char **argv) {
    static bench b = {.warm = 2};
    b.began = mm_clock_seconds();
    mm_error error;
    mm_status status = set_up(&b, argc, argv, &error);
    mm_train_watch watch = {.self = &b, .header = on_header, .step = on_step};
    mm_train_result result;
    if (!status) status = mm_train(&b.settings, argc, argv, &watch, NULL, &result, &error);
    if (status) fprintf(stderr, "bench_step: %s\n", error.text);
    mm_settings_free(&b.settings);
    end(&b, status ? 2 : 0);
}
