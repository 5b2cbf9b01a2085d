#include "profile_show.h"
#include "progress.h"
#include <mm/base/clock.h>

static double seconds_of(const mm_profile_sum *sum, mm_profile_op op) {
    double seconds = 0;
    for (int pass = 0; pass < MM_PROFILE_PASSES; pass++) seconds += sum->rows[op][pass].seconds;
    return seconds;
}

static mm_profile_row add_rows(const mm_profile_row *a, const mm_profile_row *b) {
    return (mm_profile_row){a->seconds + b->seconds, a->gemm_seconds + b->gemm_seconds,
                            a->gemm_flops + b->gemm_flops};
}

// All that belongs to the steps: shares are shares of it.
static mm_profile_row steps_row(const mm_profile_sum *sum) {
    mm_profile_row all = {0};
    for (int op = 0; op < MM_PROFILE_VALIDATION; op++)
        for (int pass = 0; pass < MM_PROFILE_PASSES; pass++) all = add_rows(&all, &sum->rows[op][pass]);
    return all;
}

static mm_profile_row pass_row(const mm_profile_sum *sum, mm_pass pass) {
    mm_profile_row all = {0};
    for (int op = 0; op < MM_PROFILE_VALIDATION; op++) all = add_rows(&all, &sum->rows[op][pass]);
    return all;
}

static void add_row(mm_text *out, const char *stage, const char *name, const mm_profile_row *row,
                    double whole) {
    if (row->seconds < 0.0005) return; // would show as nothing
    mm_text_format(out, "  %-9s%-20s %9.3f s %6.2f%%", stage, name, row->seconds, 100 * row->seconds / whole);
    if (row->gemm_seconds > 0)
        mm_text_format(out, "  %7.1f GF/s  %3.0f%% in GEMM", row->gemm_flops / row->gemm_seconds * 1e-9,
                       100 * row->gemm_seconds / row->seconds);
    mm_text_add_string(out, "\n");
}

static void add_pass(mm_text *out, const mm_profile_sum *sum, mm_pass pass, const char *stage, double whole) {
    mm_profile_row all = pass_row(sum, pass);
    add_row(out, stage, "", &all, whole);
    for (int op = 0; op < MM_PROFILE_VALIDATION; op++)
        add_row(out, "", mm_profile_name((mm_profile_op)op), &sum->rows[op][pass], whole);
}

static void add_share(mm_text *out, const char *name, double part, double whole) {
    mm_text_format(out, "%s %.1f%%", name, 100 * part / whole);
}

static void add_shares(mm_text *out, const mm_profile_sum *sum, const mm_profile_row *steps) {
    mm_text_add_string(out, "  of the steps: ");
    add_share(out, "inside GEMM", steps->gemm_seconds, steps->seconds);
    mm_text_format(out, " (%.1f GF/s a worker)",
                   steps->gemm_seconds > 0 ? steps->gemm_flops / steps->gemm_seconds * 1e-9 : 0);
    add_share(out, ", merge", seconds_of(sum, MM_PROFILE_MERGE), steps->seconds);
    add_share(out, ", wait", seconds_of(sum, MM_PROFILE_WAIT) + seconds_of(sum, MM_PROFILE_SERIAL),
              steps->seconds);
    add_share(out, ", trace", seconds_of(sum, MM_PROFILE_TRACE), steps->seconds);
}

void profile_text(mm_text *out, const mm_profile_sum *sum) {
    char took[16];
    mm_profile_row steps = steps_row(sum);
    mm_text_format(out, "where the time went: %s on %d %s\n", mm_clock_print(sum->seconds, took),
                   sum->workers, sum->workers == 1 ? "worker" : "workers, whose seconds are added");
    if (steps.seconds <= 0) return;
    add_pass(out, sum, MM_PASS_FORWARD, "forward", steps.seconds);
    add_pass(out, sum, MM_PASS_BACKWARD, "backward", steps.seconds);
    add_pass(out, sum, MM_PASS_NONE, "step", steps.seconds);
    for (int op = MM_PROFILE_VALIDATION; op < MM_PROFILE_OPS; op++)
        add_row(out, op == MM_PROFILE_VALIDATION ? "beside" : "", mm_profile_name((mm_profile_op)op),
                &sum->rows[op][MM_PASS_NONE], steps.seconds);
    add_shares(out, sum, &steps);
}

void profile_show(void *self, const mm_profile_sum *sum) {
    (void)self;
    mm_text text = {0};
    profile_text(&text, sum);
    progress_show(&text, true);
    mm_text_free(&text);
}
